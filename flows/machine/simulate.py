"""A flow run in memory and in virtual time: the machine, an imagined worker, and a heap of what happens next.

`headrace test` and `headrace simulate` answer from it, and so do the machine's own tests. It reads no clock and throws no dice of
its own: the same flow, answers and seed give the same task runs, to the last identifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from flows.errors import ExpressionError, MachineError
from flows.expressions import Scope, render_value, truthy
from flows.machine.context import nest_outputs
from flows.machine.effects import Effects, HandOut
from flows.machine.events import Created, Event, Finished, Kill, Lost, Reported, Started, SubRun
from flows.machine.execution import Execution, TaskRun
from flows.machine.house import Held, House
from flows.machine.orders import type_name
from flows.machine.states import FROZEN, State
from flows.spec.durations import parse_duration
from flows.spec.model import Flow

SECOND_US = 1_000_000
EVENTS_MAX = 1_000_000
"""Events of one simulated execution; beyond, it is taken for one that never ends."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of one attempt. Times are seconds of virtual time.

    `state` None: the worker loses it after `seconds`. `silent`: nothing is ever heard of it, only a timer can end it.
    `told`: the worker says that it began (otherwise begin and end travel in one message). `repeats`: its messages arrive that
    many times more, late.
    """

    state: State | None = State.SUCCESS
    seconds: float = 1.0
    outputs: Mapping[str, Any] | None = None
    error: Mapping[str, str] | None = None
    wait_seconds: float = 0.0
    told: bool = True
    silent: bool = False
    repeats: int = 0
    reports: tuple[SubRun, ...] = ()


Answers = Callable[[HandOut, Random], Answer]
"""Plays the worker: a hand-out in, what becomes of it out."""


def scripted(script: Mapping[str, Answer | list[Answer]], otherwise: Answer | None = None) -> Answers:
    """Answers by task id; a list holds one for each attempt, the last one repeats. A key `task[value]` goes before `task`.

    What the script does not name succeeds after a second; a task with `format` then puts out the rendered text, as Return does.
    """

    def answer(hand_out: HandOut, random: Random) -> Answer:
        run = hand_out.run
        found = script.get(f"{run.task_id}[{run.value}]", script.get(run.task_id))
        if isinstance(found, list):
            return found[min(hand_out.attempt, len(found)) - 1]
        if found is not None:
            return found
        return otherwise if otherwise is not None else echo(hand_out)

    return answer


def echo(hand_out: HandOut, functions: Mapping[str, Callable[..., Any]] | None = None) -> Answer:
    """What the cheap core tasks do: Return gives its `format`, OutputValues its `values`, Fail fails; anything else succeeds."""
    properties = hand_out.task.properties
    scope = Scope(hand_out.context, functions or {})
    kind = type_name(hand_out.task)
    try:
        if kind == "Fail":
            condition = properties.get("condition")
            if condition is None or truthy(render_value(condition, scope)):
                message = str(render_value(properties.get("errorMessage", "Task failure"), scope))
                return Answer(State.FAILED, error={"code": "task.fail", "message": message})
            return Answer()
        if kind == "Assert":
            return _assert(properties, scope)
        if kind == "Sleep":
            return Answer(seconds=parse_duration(str(render_value(properties.get("duration"), scope))).total_seconds())
        if kind == "OutputValues":
            return Answer(outputs={"values": render_value(properties.get("values"), scope)})
        written = properties.get("format")
        if written is None:
            render_value({name: value for name, value in properties.items() if name == "message"}, scope)
            return Answer()
        return Answer(outputs={"value": render_value(written, scope)})
    except ExpressionError as error:
        return Answer(State.FAILED, error={"code": error.code, "message": str(error)})


def _assert(properties: Mapping[str, Any], scope: Scope) -> Answer:
    written = properties.get("conditions")
    found = written if isinstance(written, list) else [written]
    failed = [one for one in found if not truthy(render_value(one, scope) if isinstance(one, str) else one)]
    outputs = {"failed": len(failed), "success": len(found) - len(failed)}
    if not failed:
        return Answer(outputs=outputs)
    message = str(render_value(properties.get("errorMessage") or f"{len(failed)} conditions are false", scope))
    return Answer(State.FAILED, outputs=outputs, error={"code": "task.assertion", "message": message})


class Player:
    """The imagined workers: `answers` says what becomes of an attempt; what needs files or a directory is done here."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def take(self, house: House, execution: Execution, hand_out: HandOut) -> list[tuple[int, Event]]:
        """Everything the workers will say about an attempt they take now."""
        answer = self.answer(house, hand_out)
        run_id, attempt, now = hand_out.run.id, hand_out.attempt, house.now
        if answer.silent:
            return [(now, Started(run_id, attempt, "worker"))] if answer.told else []
        begins = now + int(answer.wait_seconds * SECOND_US)
        took = int(answer.seconds * SECOND_US)
        messages: list[tuple[int, Event]] = []
        if answer.told:
            messages.append((begins, Started(run_id, attempt, "worker")))
        if answer.reports:
            messages.append((begins + took, Reported(run_id, attempt, tuple(answer.reports))))
        if answer.state is None:
            messages.append((begins + took, Lost(run_id, attempt, "worker", "the worker is gone")))
        else:
            error = None if answer.error is None else dict(answer.error)
            outputs = None if answer.outputs is None else dict(answer.outputs)
            messages.append((begins + took, Finished(run_id, attempt, "worker", answer.state, took, outputs, None, error)))
        late = [
            (at + 1 + house.random.randrange(10 * SECOND_US) * (again + 1), event)
            for at, event in messages
            for again in range(answer.repeats)
        ]
        return messages + late

    def answer(self, house: House, hand_out: HandOut) -> Answer:
        """What becomes of an attempt."""
        kind = type_name(hand_out.task)
        if kind == "WorkingDirectory":
            return self._directory(house, hand_out)
        if kind == "ForEachItem$ForEachItemSplit":
            return _split(house, hand_out)
        if kind == "ForEachItem$ForEachItemMergeOutputs":
            uri = render_value(hand_out.task.properties.get("subflowOutputs"), Scope(hand_out.context, house.functions))
            return Answer(outputs={"subflowOutputs": uri} if uri else None)
        return self.answers(hand_out, house.random)

    def _directory(self, house: House, hand_out: HandOut) -> Answer:
        """A WorkingDirectory: its tasks one after the other, each with what the ones before gave."""
        context = {**hand_out.context, "outputs": dict(hand_out.context.get("outputs", {}))}
        reports: list[SubRun] = []
        worst, seconds = State.SUCCESS, 0.0
        run = hand_out.run
        for position, child in enumerate(hand_out.task.branches.get("tasks", ())):
            own = f"{run.id}-{hand_out.attempt}-{position}"
            path = run.path if run.value is None else (*run.path, run.value)
            seen = replace(run, id=own, task_id=child.id, parent_id=run.id, value=None, path=path, attempts=[], history=[])
            context["task"] = {"id": child.id, "type": child.type}
            try:
                skipped = child.run_if is not None and not truthy(
                    render_value(child.run_if, Scope(context, house.functions)) if isinstance(child.run_if, str) else child.run_if
                )
                answer = Answer(State.SKIPPED, 0) if skipped else self.answer(house, HandOut(seen, child, 1, "", context))
            except ExpressionError as failure:
                answer = Answer(State.FAILED, error={"code": failure.code, "message": str(failure)})
            state = answer.state or State.FAILED
            if state is State.FAILED and child.allow_failure:
                state = State.WARNING
            if state is State.WARNING and child.allow_warning:
                state = State.SUCCESS
            seconds += answer.seconds
            outputs = None if answer.outputs is None else dict(answer.outputs)
            error = None if answer.error is None else dict(answer.error)
            reports.append(SubRun(own, child.id, state, int(answer.seconds * SECOND_US), outputs, error))
            if outputs:
                nest_outputs(context["outputs"], child.id, path, None, outputs)
            if state is State.FAILED:
                return Answer(State.FAILED, seconds, reports=tuple(reports))
            worst = State.WARNING if state is State.WARNING else worst
        return Answer(worst, seconds, reports=tuple(reports))


def _split(house: House, hand_out: HandOut) -> Answer:
    """The first part of a ForEachItem: the lines of a file in batches of so many rows."""
    properties = hand_out.task.properties
    uri = str(render_value(properties.get("items"), Scope(hand_out.context, house.functions)))
    lines = house.files.get(uri)
    if lines is None:
        return Answer(State.FAILED, error={"code": "file.missing", "message": f"there is no file {uri[:200]}"})
    batch = properties.get("batch") or {}
    rows = int(batch.get("rows") or 1)
    if batch.get("partitions"):
        rows = max(1, -(-len(lines) // int(batch["partitions"])))
    base = f"{uri}.{hand_out.run.id}"
    batches = [lines[start : start + rows] for start in range(0, len(lines), rows)]
    for number, part in enumerate(batches):
        house.files[f"{base}.{number}"] = part
    house.files[base] = [f"{base}.{number}" for number in range(len(batches))]
    return Answer(outputs={"splits": base})


class Simulation(House):
    """A house with one flow and one execution of it, `execution`; further flows (its subflows) may stand beside."""

    def __init__(
        self,
        flow: Flow,
        answers: Answers,
        random: Random,
        inputs: dict[str, Any] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        slots: int | None = None,
        checked: bool = True,
        beside: Iterable[Flow] = (),
        files: Mapping[str, list[str]] | None = None,
    ) -> None:
        super().__init__([flow, *beside], Player(answers), random, functions=functions, slots=slots, checked=checked)
        self.flow = flow
        self.files.update(files or {})
        key = (flow.namespace, flow.id)
        pairs = tuple((labels or {}).items())
        self.execution = self.create(key, inputs, execution_id="execution", labels=pairs, resolved=True)
        self._heap.clear()

    @property
    def runs(self) -> dict[str, TaskRun]:
        """Every task run the execution has, in order of creation."""
        return self.executions[self.execution.id].runs

    @property
    def over(self) -> bool:
        """The execution is terminated and none of its attempts is left anywhere."""
        return self.execution.state.terminated and not self.execution.runs

    def of(self, task_id: str) -> list[TaskRun]:
        """Task runs of a task, in order of creation."""
        return [run for run in self.runs.values() if run.task_id == task_id]

    def outline(self, *, histories: bool = False, execution_id: str | None = None) -> str:
        """The task runs as text: one line each, indented below its parent, `[v]` = its value."""
        return outline(self.executions[execution_id or self.execution.id], histories=histories)

    def at(self, seconds: float, event: Event) -> None:
        """`event` happens to the execution at that time."""
        self.tell(int(seconds * SECOND_US), self.execution.id, event)

    def apply(self, event: Event) -> Effects:
        """One event of the execution, now, and nothing of what follows by itself. Returns what a store would keep."""
        return self.happen(self.execution.id, event)

    def run(self, until: float | None = None) -> Execution:
        """Runs to the end, or until a time in seconds. Raises MachineError when a rule breaks or it waits for nobody."""
        if self.execution.state is State.CREATED and not self.steps:
            self.tell(self.now, self.execution.id, Created())
        self.go(None if until is None else int(until * SECOND_US), EVENTS_MAX)
        waits = self.execution.state in FROZEN and self.execution.state is not State.CREATED
        if until is None and not self.over and not waits:
            raise MachineError(f"execution of {self.flow.id} waits for nobody:\n{self.outline()}")
        return self.execution


def outline(held: Held, *, histories: bool = False) -> str:
    """The task runs of an execution as text: one line each, indented below its parent, `[v]` = its value."""

    def line(run: TaskRun) -> str:
        shown = " ".join(state for state, _ in run.history) if histories else run.state
        return f"{run.task_id}{'' if run.value is None else f'[{run.value}]'} {shown}"

    children: dict[str | None, list[TaskRun]] = {}
    for run in sorted(held.runs.values(), key=_by_seq):
        children.setdefault(run.parent_id, []).append(run)
    execution = held.execution
    states = " ".join(state for state, _ in execution.history) if histories else execution.state
    lines = [str(states)]
    open_: list[tuple[int, TaskRun]] = [(1, run) for run in reversed(children.get(None, []))]
    while open_:
        depth, run = open_.pop()
        lines.append("  " * depth + line(run))
        open_.extend((depth + 1, child) for child in reversed(children.get(run.id, [])))
    return "\n".join(lines)


def _by_seq(run: TaskRun) -> int:
    return run.seq


def run(
    flow: Flow,
    answers: Answers | Mapping[str, Answer | list[Answer]] | None = None,
    *,
    seed: int = 0,
    inputs: dict[str, Any] | None = None,
    kill_at: float | None = None,
    slots: int | None = None,
    until: float | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    beside: Iterable[Flow] = (),
    files: Mapping[str, list[str]] | None = None,
) -> Simulation:
    """Runs a flow to its end (or `until` a time in seconds) and gives everything that became of it.

    `answers`: a script by task id, or a function that plays the worker; `kill_at`: when someone kills it; `beside`: flows it may
    start; `files`: lines by URI.
    """
    played = answers if callable(answers) else scripted(answers or {})
    simulation = Simulation(
        flow, played, Random(seed), inputs or {}, functions=functions, slots=slots, beside=beside, files=files
    )
    if kill_at is not None:
        simulation.at(kill_at, Kill())
    simulation.run(until)
    return simulation
