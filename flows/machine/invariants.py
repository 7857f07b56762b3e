"""What must hold of every execution between two steps. Tests ask after each event; the engine asks when HEADRACE_CHECK is set.

A broken rule is a fault of ours, never of a user: `check` raises MachineError and the execution is parked with the report.
The rules read open task runs only, so asking costs as much as an execution has open, not as much as it ever had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from flows.errors import MachineError
from flows.machine.effects import Effects
from flows.machine.execution import RANK, Cursor, Execution, History, TaskRun
from flows.machine.plan import Plan, plan_of
from flows.machine.states import EXECUTION_TRANSITIONS, FROZEN, TASK_RUN_TRANSITIONS, State
from flows.spec.model import Flow


@dataclass(frozen=True, slots=True)
class Waits:
    """What is known to wait outside the machine, by task run: what stands in the tables of hand-outs and timers."""

    hand_outs: Container[str]
    """Task runs with a hand-out, waiting or leased."""
    retries: Container[str]
    """Task runs with a retry timer."""


def check(execution: Execution, flow: Flow, effects: Effects | None = None, waits: Waits | None = None) -> None:
    """Raises MachineError naming every broken rule. `effects`: what the last step recorded; `waits`: where runs may wait."""
    found = list(broken(execution, flow, effects, waits))
    if found:
        raise MachineError(f"execution {execution.id} is inconsistent: " + "; ".join(found))


def broken(execution: Execution, flow: Flow, effects: Effects | None = None, waits: Waits | None = None) -> Iterator[str]:
    """The broken rules, as sentences. None for a healthy execution."""
    plan = plan_of(flow, execution.loop["taskId"] if execution.loop is not None else None)
    runs = execution.runs
    yield from _execution_rules(execution)
    yield from _histories(execution, runs.values())
    yield from _numbers(execution)
    for run in runs.values():
        yield from _run_rules(execution, plan, run)
    if not execution.state.terminated:
        yield from _blocks(execution, plan)
    if effects is not None:
        yield from _effects_rules(execution, effects)
    if waits is not None:
        yield from _waiting(execution, waits, plan)


def follows(history: History, table: Mapping[State, frozenset[State]]) -> bool:
    """Whether each state of a history may follow the one before it."""
    states = [State(state) for state, _ in history]
    return bool(states) and all(after in table.get(before, ()) for before, after in pairwise(states))


def _execution_rules(execution: Execution) -> Iterator[str]:
    if not follows(execution.history, EXECUTION_TRANSITIONS):
        yield f"its history {_short(execution.history)} does not follow the table"
    if execution.history and execution.history[-1][0] != execution.state:
        yield f"its state is {execution.state}, its history ends with {execution.history[-1][0]}"
    if execution.state.terminated != (execution.ended_at is not None):
        yield f"it is {execution.state} with end {execution.ended_at}"
    if execution.state.terminated:
        return
    states = Counter(run.state for run in execution.runs.values())
    for counted, state in (
        (execution.retrying, State.RETRYING),
        (execution.pausing, State.PAUSED),
        (execution.stopped, State.BREAKPOINT),
    ):
        if counted != states[state]:
            yield f"it counts {counted} task runs that are {state}, {states[state]} are"
    if execution.state in (State.CREATED, State.QUEUED):
        if execution.runs:
            yield f"it is {execution.state} and has open task runs"
        return
    paused = execution.paused or states[State.PAUSED] > 0
    if (execution.state is State.PAUSED) != paused:
        yield f"it is {execution.state} with {states[State.PAUSED]} paused task runs, by hand: {execution.paused}"
    if not paused and (execution.state is State.BREAKPOINT) != (states[State.BREAKPOINT] > 0):
        yield f"it is {execution.state} with {states[State.BREAKPOINT]} task runs at a breakpoint"
    if not paused and not states[State.BREAKPOINT] and (execution.state is State.RETRYING) != (states[State.RETRYING] > 0):
        yield f"it is {execution.state} with {states[State.RETRYING]} retrying task runs"
    if execution.held and execution.state not in FROZEN:
        yield f"it is {execution.state} and holds {len(execution.held)} task runs back"
    if execution.state is State.KILLING:
        yield "KILLING lasts no longer than a step"


def _histories(execution: Execution, runs: Iterable[TaskRun]) -> Iterator[str]:
    for run in runs:
        if not follows(run.history, TASK_RUN_TRANSITIONS):
            yield f"the history {_short(run.history)} of task run {run.id} ({run.task_id}) does not follow the table"
        if run.history[-1][0] != run.state:
            yield f"task run {run.id} ({run.task_id}) is {run.state}, its history ends with {run.history[-1][0]}"
        for number, attempt in enumerate(run.attempts, 1):
            last = number == len(run.attempts)
            if not last and not attempt.state.terminated:
                yield f"attempt {number} of task run {run.id} never ended, {len(run.attempts)} is running"


def _numbers(execution: Execution) -> Iterator[str]:
    counts = Counter(run.seq for run in execution.runs.values())
    twice = [seq for seq, count in counts.items() if count > 1]
    if twice:
        yield f"numbers {twice} were given twice"
    if counts and max(counts) >= execution.task_run_count:
        yield f"number {max(counts)} was given, {execution.task_run_count} task runs were counted"


def _run_rules(execution: Execution, plan: Plan, run: TaskRun) -> Iterator[str]:
    name = f"task run {run.id} ({run.task_id})"
    place = plan.places.get(run.task_id)
    if place is None:
        yield f"{name} is of no task of the flow"
        return
    if run.state.terminated:
        yield f"{name} is {run.state} and still held as open"
    flowable = place.task.kind == "flowable"
    begun = run.state in (State.RUNNING, State.PAUSED)
    if flowable and begun != (run.cursor is not None):
        yield f"{name} is a block and {run.state}, and has {'no' if run.cursor is None else 'a'} cursor"
    if run.cursor is not None and not flowable and not place.task.branches and place.task.kind != "executable":
        yield f"{name} is no block and has a cursor"
    if flowable and not begun and run.state not in (State.BREAKPOINT, State.CREATED, State.RESTARTED):
        yield f"{name} is a block and {run.state}"
    if flowable and execution.state.terminated and not place.after:
        yield f"{name} is an open block of an execution that is {execution.state}"
    if run.state is State.RETRYING and execution.state.terminated and not place.after:
        yield f"{name} would be tried again in an execution that is {execution.state}"
    running = bool(run.attempts) and run.attempts[-1].state is State.RUNNING
    if not flowable and run.cursor is None and running != (run.state is State.RUNNING):
        yield f"{name} is {run.state}, its last attempt is {run.attempts[-1].state if run.attempts else 'none'}"
    parent = execution.runs.get(run.parent_id) if run.parent_id is not None else None
    if parent is not None and parent.cursor is None and parent.state is not State.PAUSED:
        yield f"{name} has the parent {parent.id}, which is no block"
    if parent is not None and place.task.parent != parent.task_id:
        yield f"{name} belongs below {place.task.parent}, its parent is of {parent.task_id}"
    if run.parent_id is None and place.task.parent != plan.root_id:
        yield f"{name} belongs below {place.task.parent} and has no parent"


def _blocks(execution: Execution, plan: Plan) -> Iterator[str]:
    """A cursor counts exactly the open children of the phase it is in; a block that has none would never move again."""
    counted: Counter[tuple[str | None, str]] = Counter()
    for run in execution.runs.values():
        if run.task_id in plan.places:
            counted[run.parent_id, plan.places[run.task_id].phase] += 1
    if execution.state in FROZEN:
        return  # what follows waits until it goes on
    blocks: list[tuple[str | None, Cursor | None]] = [(None, execution.cursor)]
    blocks.extend(
        (run.id, run.cursor)
        for run in execution.runs.values()
        if run.cursor is not None and run.state is State.RUNNING and plan.places[run.task_id].task.kind != "executable"
    )
    for block, cursor in blocks:
        if cursor is None or (block is None and execution.state is State.CREATED):
            continue
        name = "the flow" if block is None else f"block {block}"
        found = counted[block, cursor.phase]
        if cursor.open != found:
            yield f"{name} counts {cursor.open} open children in `{cursor.phase}`, there are {found}"
        if found == 0:
            yield f"{name} is open in `{cursor.phase}` and nothing below it is"
        if cursor.failed and cursor.phase == "tasks":
            yield f"{name} has failed and stays in `tasks`"
        if cursor.failed and cursor.worst < RANK[State.FAILED]:
            yield f"{name} has failed, the worst end it knows is {cursor.worst}"


def _effects_rules(execution: Execution, effects: Effects) -> Iterator[str]:
    """What is to be stored fits what the execution has become."""
    both = effects.created.keys() & effects.changed.keys()
    if both:
        yield f"task runs {sorted(both)} are stored as new and as changed"
    yield from _histories(execution, [*effects.created.values(), *effects.changed.values()])
    for run in (*effects.created.values(), *effects.changed.values()):
        if run.state.terminated == (run.id in execution.runs):
            held = "held" if run.state.terminated else "not held"
            yield f"task run {run.id} ({run.task_id}) is {run.state} and {held} as open"
        if run.state.terminated != (run.ended_at is not None):
            yield f"task run {run.id} ({run.task_id}) is {run.state} with end {run.ended_at}"
    for run_id, hand_out in effects.hand_outs.items():
        run = hand_out.run
        if run.state in (State.CREATED, State.RESTARTED) and hand_out.attempt != run.attempt + 1:
            yield f"attempt {hand_out.attempt} of task run {run_id} is handed out, its next one is {run.attempt + 1}"
        if run_id in effects.withdrawn:
            yield f"task run {run_id} is handed out and withdrawn at once"
    if effects.ended != execution.state.terminated and effects.ended:
        yield f"it is told as over and is {execution.state}"


def _waiting(execution: Execution, waits: Waits, plans: Plan) -> Iterator[str]:
    """Every open leaf waits for something that has a name: a worker, or a timer."""
    for run in execution.runs.values():
        if run.state is State.RETRYING and run.id not in waits.retries:
            yield f"task run {run.id} ({run.task_id}) waits for a retry that no timer holds"
        if run.cursor is not None or run.state in (State.PAUSED, State.BREAKPOINT, State.RETRYING) or run.id in execution.held:
            continue
        if plans.places[run.task_id].task.kind == "executable":
            continue  # waits for its child executions
        if run.id not in waits.hand_outs:
            yield f"task run {run.id} ({run.task_id}) is {run.state} and nobody has or will get its hand-out"


def _short(history: History) -> str:
    return " ".join(state for state, _ in history)
