"""What happens next: `decide(execution, event, world)`. The heart of the product, pure and readable in one sitting.

The execution and every flowable task run are *blocks*: a list of children, a phase (tasks, errors, finally) and a cursor
whose size does not depend on the number of children. An event changes one task run; if that ends it, its block advances,
which may start children or end the block, and so on upwards. Every step costs the same in an execution of ten task runs and of
a hundred thousand. Rules: project spec, execution-semantics §3 to §6, §9 and §11.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flows import limits
from flows.errors import ExpressionError, HeadraceError, MachineError
from flows.expressions import Scope, evaluate_value, names_in, render_value, truthy
from flows.machine import context
from flows.machine.effects import Effects, HandOut, TimerWanted
from flows.machine.events import Created, Event, Finished, Kill, Lost, Started, TimerFired
from flows.machine.execution import BY_RANK, RANK, Attempt, Cursor, Execution, TaskRun
from flows.machine.outputs import KnownOutputs
from flows.machine.plan import Plan, plan_of
from flows.machine.retries import failures_of, policy_of, retry_at
from flows.machine.states import State
from flows.spec.model import Flow, Task

TIMEOUT_GRACE_US = 30_000_000
"""How long after an attempt's timeout the machine waits for the worker's own word before it ends the attempt itself."""


class Lookup(Protocol):
    """What the machine may ask about ended task runs that it does not hold. Answers are nested as expressions see them."""

    def outputs(self, execution: Execution, task_ids: frozenset[str] | None) -> dict[str, Any]:
        """Outputs of ended task runs of these tasks (None = of all)."""

    def states(self, execution: Execution) -> dict[str, Any]:
        """`tasks.<id>.state` and `tasks.<id>.<value>.state` of all task runs."""


@dataclass(slots=True)
class World:
    """Everything a decision needs beside the execution: the flow, the time, and sources of ids, chance and look-ups."""

    flow: Flow
    now: int
    new_id: Callable[[], str]
    random: Callable[[], float]
    lookup: Lookup
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    default_worker_group: str = "default"

    def outputs(self, execution: Execution, task_ids: frozenset[str] | None) -> dict[str, Any]:
        """Outputs by task, from the execution while it holds them, else looked up."""
        if execution.known_outputs is None:
            return self.lookup.outputs(execution, task_ids)
        return execution.known_outputs.nested(None if task_ids is None else sorted(task_ids))

    def states(self, execution: Execution) -> dict[str, Any]:
        """States by task."""
        return self.lookup.states(execution)


KNOWN_OUTPUTS_MAX = 2_000
"""Task runs with outputs an execution holds in memory; beyond, outputs are looked up when an expression names them."""


def decide(execution: Execution, event: Event, world: World, effects: Effects | None = None) -> Effects:
    """Applies one event. Changes `execution` in place and returns (or extends) what must be stored.

    An event that names an attempt which is not the current one, or a task run that is over, changes nothing: applying a message
    twice is applying it once. Raises MachineError when an invariant is broken; the execution is then void.
    """
    step = _Step(execution, world, effects if effects is not None else Effects())
    match event:
        case Created():
            step.created()
        case Started():
            step.started(event)
        case Finished():
            step.finished(event)
        case Lost():
            step.lost(event)
        case TimerFired():
            step.timer(event)
        case Kill():
            step.kill(event)
    step.settle()
    return step.effects


class _Step:
    """One decision in the making.

    `agenda`: blocks that must advance; `due`: (loop, task, the run before it) to start. So neither nesting nor length recurses.
    """

    def __init__(self, execution: Execution, world: World, effects: Effects) -> None:
        self.execution = execution
        self.world = world
        self.now = world.now
        self.effects = effects
        self.plan: Plan = plan_of(world.flow)
        self.agenda: deque[str | None] = deque()
        self.due: deque[tuple[TaskRun, Task, TaskRun]] = deque()

    # -- events -------------------------------------------------------------------------------------------------------

    def created(self) -> None:
        if self.execution.state is not State.CREATED:
            return
        self.execution.known_outputs = KnownOutputs()
        self._move_execution(State.RUNNING)
        self.agenda.append(None)

    def started(self, event: Started) -> None:
        run = self._waiting(event.task_run_id, event.attempt)
        if run is None:
            return
        self._begin(run, event.worker_id, self.now)
        timeout = self.plan.places[run.task_id].timeout_us
        if timeout is not None:
            self.effects.timers.append(TimerWanted(run.id, run.attempt, "timeout", self.now + timeout + TIMEOUT_GRACE_US))

    def _begin(self, run: TaskRun, worker_id: str | None, at: int) -> None:
        handed_out = run.history[-1][1]
        at = max(at, handed_out)
        run.attempts.append(Attempt(State.RUNNING, [(State.CREATED.value, handed_out), (State.RUNNING.value, at)], worker_id))
        run.move(State.RUNNING, at)
        self.effects.touch(run)

    def finished(self, event: Finished) -> None:
        run = self._waiting(event.task_run_id, event.attempt)
        if run is not None:
            # Start and end travelled in one message; the worker's clock only says how long it took.
            self._begin(run, event.worker_id, self.now - event.took_us)
        else:
            run = self._running(event.task_run_id, event.attempt)
            if run is None:
                return
        self._end_attempt(run, event.state, event.error, event.log_lines)
        if event.outputs is not None:
            run.outputs = event.outputs
        self._after_attempt(run, event.state)

    def lost(self, event: Lost) -> None:
        run = self._waiting(event.task_run_id, event.attempt)
        if run is not None:
            self._begin(run, event.worker_id, self.now)
        else:
            run = self._running(event.task_run_id, event.attempt)
            if run is None:
                return
        error = {"code": "attempt.lost", "message": event.reason}
        losses = 1 + sum(attempt.state is State.RESUBMITTED for attempt in run.attempts)
        self.effects.timers_void.add(run.id)
        if self.execution.state.terminated:
            self._end_attempt(run, State.KILLED, error, None)
            self._end_run(run, State.KILLED)
        elif losses > limits.RETRY_ATTEMPTS_LOST_MAX:
            message = f"{event.reason}; lost {losses} times, more than the {limits.RETRY_ATTEMPTS_LOST_MAX} allowed"
            self._end_attempt(run, State.FAILED, {"code": "attempt.lost_too_often", "message": message}, None)
            self._end_run(run, self._softened(run, State.FAILED))
        else:
            self._end_attempt(run, State.RESUBMITTED, error, None)
            run.move(State.CREATED, self.now)
            self._hand_out(run)

    def timer(self, event: TimerFired) -> None:
        run = self.execution.runs.get(event.task_run_id)
        if run is None or run.attempt != event.attempt:
            return
        if event.kind == "retry" and run.state is State.RETRYING:
            self._leave_retrying()
            run.move(State.CREATED, self.now)
            self._hand_out(run)
        elif event.kind == "timeout" and run.state is State.RUNNING:
            error = {"code": "task.timeout", "message": "the attempt outlived its timeout and its worker did not end it"}
            self.effects.stopped.add(run.id)
            self._end_attempt(run, State.FAILED, error, None)
            self._after_attempt(run, State.FAILED)

    def kill(self, event: Kill) -> None:
        if self.execution.state.terminated:
            return
        self._move_execution(State.KILLING)
        for run in list(self.execution.runs.values()):
            if run.state is State.RUNNING and run.cursor is None:
                # Its worker is asked to end it; the result is recorded when it comes.
                self.effects.stopped.add(run.id)
                continue
            if run.state is State.RETRYING:
                self.effects.timers_void.add(run.id)
            if self.effects.hand_outs.pop(run.id, None) is None:
                self.effects.withdrawn.add(run.id)
            run.move(State.KILLED, self.now)
            self._forget(run)
        self._move_execution(State.KILLED)
        self.execution.retrying = 0
        self.effects.ended = True

    # -- attempts and task runs ---------------------------------------------------------------------------------------

    def _waiting(self, run_id: str, attempt: int) -> TaskRun | None:
        """The task run if this attempt is the one it waits for."""
        run = self.execution.runs.get(run_id)
        return run if run is not None and run.state is State.CREATED and run.attempt + 1 == attempt else None

    def _running(self, run_id: str, attempt: int) -> TaskRun | None:
        """The task run if this attempt is the one that runs."""
        run = self.execution.runs.get(run_id)
        return run if run is not None and run.state is State.RUNNING and run.attempt == attempt and run.cursor is None else None

    def _end_attempt(self, run: TaskRun, state: State, error: dict[str, str] | None, log_lines: int | None) -> None:
        attempt = run.attempts[-1]
        attempt.state = state
        attempt.history.append((state.value, self.now))
        attempt.error = error
        attempt.log_lines = log_lines
        self.effects.withdrawn.add(run.id)
        if self.plan.places[run.task_id].timeout_us is not None:
            self.effects.timers_void.add(run.id)
        self.effects.touch(run)

    def _after_attempt(self, run: TaskRun, state: State) -> None:
        """The attempt ended in `state`: try again, or end the task run."""
        if state is State.FAILED and not self.execution.state.terminated:
            retry = policy_of(self.world.flow, self.plan.places[run.task_id].task)
            due = None if retry is None else retry_at(retry, run, self.execution, self.now, self.world.random)
            if due is not None:
                run.outputs = None  # only the last attempt's are the task run's
                run.move(State.RETRYING, self.now)
                self.execution.retrying += 1
                self._move_execution(State.RETRYING)
                self.effects.timers.append(TimerWanted(run.id, run.attempt, "retry", due))
                return
        self._end_run(run, self._softened(run, state))

    def _softened(self, run: TaskRun, state: State) -> State:
        """warningOnRetry, allowFailure, allowWarning, in that order (execution-semantics §9.1)."""
        task = self.plan.places[run.task_id].task
        if state is State.SUCCESS and failures_of(run):
            retry = policy_of(self.world.flow, task)
            if retry is not None and retry.warning_on_retry:
                state = State.WARNING
        if state is State.FAILED and task.allow_failure:
            state = State.WARNING
        if state is State.WARNING and task.allow_warning:
            state = State.SUCCESS
        return state

    def _leave_retrying(self) -> None:
        self.execution.retrying -= 1
        if self.execution.retrying == 0 and self.execution.state is State.RETRYING:
            self._move_execution(State.RUNNING)

    def _end_run(self, run: TaskRun, state: State) -> None:
        """A task run is over: keep its outputs, tell its block."""
        run.move(state, self.now)
        self._forget(run)
        execution = self.execution
        if run.cursor is None:
            self._know_outputs(run)
        if execution.state.terminated or execution.state is State.KILLING:
            return
        parent = execution.runs.get(run.parent_id) if run.parent_id is not None else None
        if run.parent_id is not None and parent is None:
            return  # its block is already over: the result is recorded, nothing follows (execution-semantics §6.2)
        cursor = self._cursor(parent)
        place = self.plan.places[run.task_id]
        if place.phase == "tasks":
            cursor.worst = max(cursor.worst, RANK[state])
        self._touch_block(parent)
        if place.phase != cursor.phase:
            return  # the block went on to errors or finally while this one was still running
        cursor.open -= 1
        if place.phase == "tasks" and state is State.FAILED:
            cursor.failed = True
        if parent is not None and not cursor.failed and cursor.phase == "tasks" and self._concurrent_loop(parent):
            self._next_of_value(parent, run, place.index)
        self.agenda.append(parent.id if parent is not None else None)

    def _know_outputs(self, run: TaskRun) -> None:
        known = self.execution.known_outputs
        if run.outputs and known is not None:
            if known.count < KNOWN_OUTPUTS_MAX:
                known.add(run)
            else:
                self.execution.known_outputs = None

    def _forget(self, run: TaskRun) -> None:
        self.execution.runs.pop(run.id, None)
        self.effects.touch(run)

    # -- blocks -------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Advances blocks until nothing more follows."""
        while self.agenda or self.due:
            if self.execution.state.terminated:
                return
            if self.due:
                loop, task, before = self.due.popleft()
                self._next_in_loop(loop, task, before)
                continue
            block = self.agenda.popleft()
            run = None
            if block is not None:
                run = self.execution.runs.get(block)
                if run is None:
                    continue
            self._advance(run)

    def _advance(self, run: TaskRun | None) -> None:
        """Starts what may start in a block now; ends the phase or the block when nothing is left."""
        cursor = self._cursor(run)
        task = self.plan.places[run.task_id].task if run is not None else None
        if cursor.phase == "tasks":
            if not cursor.failed:
                self._start_children(run, task, cursor)
                if cursor.open or self._left(run, task, cursor):
                    return
            self._next_phase(run, task, cursor)
            return
        children = self.plan.children(task, cursor.phase)
        if cursor.open:
            return
        if cursor.next < len(children):
            self._start_one(run, cursor, children[cursor.next], None, None)
            self._touch_block(run)
            return
        self._next_phase(run, task, cursor)

    def _next_phase(self, run: TaskRun | None, task: Task | None, cursor: Cursor) -> None:
        order = ["errors", "finally"] if cursor.failed else ["finally"]
        if cursor.phase in order:
            order = order[order.index(cursor.phase) + 1 :]
        elif cursor.phase != "tasks":
            order = []
        for phase in order:
            if self.plan.children(task, phase):
                cursor.phase, cursor.next, cursor.open = phase, 0, 0
                self._touch_block(run)
                self.agenda.append(run.id if run is not None else None)
                return
        state = BY_RANK[cursor.worst]
        if run is None:
            self._end_execution(state)
        else:
            self._end_run(run, self._softened(run, state))

    def _start_children(self, run: TaskRun | None, task: Task | None, cursor: Cursor) -> None:
        children = self.plan.children(task, cursor.branch)
        kind = type_name(task)
        before = cursor.next
        if kind == "ForEach" and run is not None and task is not None:
            values = (run.items or []) if children else []
            width = loop_limit(task)
            if width == 1:
                total = len(values) * len(children)
                if not cursor.open and cursor.next < total:
                    index, child = divmod(cursor.next, len(children))
                    self._start_one(run, cursor, children[child], values[index], index)
            else:
                while cursor.next < len(values) and not cursor.failed and (width == 0 or cursor.open < width):
                    self._start_one(run, cursor, children[0], values[cursor.next], cursor.next)
        elif kind == "Parallel" and task is not None:
            width = int(task.properties.get("concurrent") or 0)
            while cursor.next < len(children) and not cursor.failed and (width == 0 or cursor.open < width):
                self._start_one(run, cursor, children[cursor.next], None, None)
        elif not cursor.open and cursor.next < len(children):
            self._start_one(run, cursor, children[cursor.next], None, None)
        if cursor.next != before:
            self._touch_block(run)

    def _start_one(self, run: TaskRun | None, cursor: Cursor, child: Task, value: str | None, iteration: int | None) -> None:
        cursor.next += 1
        cursor.open += 1
        self._start(run, child, value, iteration)

    def _left(self, run: TaskRun | None, task: Task | None, cursor: Cursor) -> bool:
        """Whether children of `tasks` are still to be started."""
        children = self.plan.children(task, cursor.branch)
        if run is not None and task is not None and type_name(task) == "ForEach":
            values = len(run.items or ())
            return bool(children) and cursor.next < (values * len(children) if loop_limit(task) == 1 else values)
        return cursor.next < len(children)

    def _concurrent_loop(self, run: TaskRun) -> bool:
        task = self.plan.places[run.task_id].task
        return type_name(task) == "ForEach" and loop_limit(task) != 1

    def _next_of_value(self, parent: TaskRun, child: TaskRun, index: int) -> None:
        """In a concurrent loop each value goes through the tasks by itself; the place is known from the child that ended."""
        children = self.plan.children(self.plan.places[parent.task_id].task, "tasks")
        if index + 1 < len(children):
            self._cursor(parent).open += 1
            self.due.append((parent, children[index + 1], child))

    def _next_in_loop(self, loop: TaskRun, task: Task, before: TaskRun) -> None:
        cursor = self._cursor(loop)
        if loop.state.terminated or cursor.phase != "tasks":
            return
        if cursor.failed:  # another value failed in the meantime: nothing new starts
            cursor.open -= 1
            return
        self._start(loop, task, before.value, before.iteration)

    # -- starting -----------------------------------------------------------------------------------------------------

    def _start(self, parent: TaskRun | None, task: Task, value: str | None, iteration: int | None) -> None:
        """Creates a task run and sends it on its way: skipped, a block of its own, or handed out."""
        execution = self.execution
        path: tuple[str, ...] = ()
        if parent is not None:
            path = parent.path if parent.value is None else (*parent.path, parent.value)
        run = TaskRun(
            id=self.world.new_id(),
            seq=execution.task_run_count,
            task_id=task.id,
            parent_id=parent.id if parent is not None else None,
            value=value,
            iteration=iteration,
            path=path,
            state=State.CREATED,
            history=[(State.CREATED.value, self.now)],
            created_at=self.now,
        )
        execution.task_run_count += 1
        self.effects.execution_changed = True
        execution.runs[run.id] = run
        self.effects.created[run.id] = run
        try:
            if task.run_if is not None and not self._holds(task.run_if, task, run):
                self._end_run(run, State.SKIPPED)
                return
            if task.kind == "flowable":
                self._open_block(run, task)
                return
            self._hand_out(run)
        except HeadraceError as error:
            self._refuse(run, error)

    def _open_block(self, run: TaskRun, task: Task) -> None:
        run.cursor = Cursor()
        run.move(State.RUNNING, self.now)
        kind = type_name(task)
        if kind == "If":
            holds = self._holds(task.properties.get("condition"), task, run)
            run.outputs = {"evaluationResult": holds}
            self._know_outputs(run)  # its children see it already
            run.cursor.branch = "then" if holds else "else"
        elif kind == "ForEach":
            run.items = self._values(task, run)
        self.agenda.append(run.id)

    def _refuse(self, run: TaskRun, error: HeadraceError) -> None:
        """Something of the task could not be evaluated: the task run fails without having run."""
        refused = {"code": error.code, "message": str(error)}
        run.cursor = None
        run.attempts.append(Attempt(State.FAILED, [(State.FAILED.value, self.now)], None, 0, refused))
        self._end_run(run, self._softened(run, State.FAILED))

    def _hand_out(self, run: TaskRun) -> None:
        place = self.plan.places[run.task_id]
        found = context.variables(place.names, self.world, self.execution, place.task, run)
        group = place.task.worker_group or self.world.default_worker_group
        self.effects.withdrawn.discard(run.id)
        self.effects.hand_outs[run.id] = HandOut(run, place.task, run.attempt + 1, group, found)
        self.effects.touch(run)

    def _scope(self, value: Any, task: Task, run: TaskRun) -> Scope:
        return Scope(context.variables(names_in(value), self.world, self.execution, task, run), self.world.functions)

    def _holds(self, condition: Any, task: Task, run: TaskRun) -> bool:
        if isinstance(condition, str):
            return truthy(render_value(condition, self._scope(condition, task, run)))
        return truthy(condition)

    def _values(self, task: Task, run: TaskRun) -> list[str]:
        """The values of a loop: texts, duplicates removed, first one kept (execution-semantics §6.6)."""
        written = task.properties.get("values")
        found = evaluate_value(written, self._scope(written, task, run))
        if isinstance(found, str):
            try:
                found = json.loads(found)
            except ValueError as error:
                raise ExpressionError(
                    f"values of {task.id}: expected a JSON array, found {found[:80]!r}", code="loop.values"
                ) from error
        if not isinstance(found, list):
            raise ExpressionError(f"values of {task.id}: expected a list, found {type(found).__name__}", code="loop.values")
        if len(found) > limits.LOOP_VALUES_MAX:
            raise ExpressionError(
                f"values of {task.id}: {len(found)} values, at most {limits.LOOP_VALUES_MAX}", code="loop.values"
            )
        texts: dict[str, None] = {}
        for position, item in enumerate(found):
            if item is None:
                raise ExpressionError(f"values of {task.id}: value {position} is null", code="loop.values")
            texts[item if isinstance(item, str) else json.dumps(item, separators=(",", ":"), ensure_ascii=False)] = None
        return list(texts)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _end_execution(self, state: State) -> None:
        execution = self.execution
        flow = self.world.flow
        if flow.outputs:
            written = {output.id: output.value for output in flow.outputs}
            try:
                scope = Scope(context.variables(names_in(written), self.world, execution), self.world.functions)
                execution.outputs = {name: evaluate_value(value, scope) for name, value in written.items()}
            except HeadraceError as error:
                execution.error = {"code": error.code, "message": f"outputs of the flow: {error}"}
                state = State.FAILED
        self._end_strays()
        self._move_execution(state)
        self.effects.ended = True

    def _end_strays(self) -> None:
        """What a failed block left behind: attempts at workers go on and are recorded, but nothing further follows from them."""
        for run in list(self.execution.runs.values()):
            if run.cursor is not None or run.state is State.RETRYING:
                if run.state is State.RETRYING:
                    self.effects.timers_void.add(run.id)
                    self._leave_retrying()
                run.move(State.KILLED, self.now)
                self._forget(run)

    def _move_execution(self, state: State) -> None:
        self.execution.move(state, self.now)
        self.effects.execution_changed = True

    def _cursor(self, run: TaskRun | None) -> Cursor:
        cursor = self.execution.cursor if run is None else run.cursor
        if cursor is None:
            raise MachineError(f"task run {run.id if run else ''} of {self.execution.id} has children but is no block")
        return cursor

    def _touch_block(self, run: TaskRun | None) -> None:
        if run is None:
            self.effects.execution_changed = True
        else:
            self.effects.touch(run)


def type_name(task: Task | None) -> str:
    """`ForEach` of `io.kestra.plugin.core.flow.ForEach`; empty for the flow itself."""
    return task.type.rsplit(".", 1)[-1] if task is not None else ""


def loop_limit(task: Task) -> int:
    """`concurrencyLimit` of a ForEach: 1 unless written otherwise."""
    written = task.properties.get("concurrencyLimit")
    return 1 if written is None else int(written)
