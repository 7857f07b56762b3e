"""A flow run in memory and in virtual time: the machine, an imagined worker, and a heap of what happens next.

`headrace test` and `headrace simulate` answer from it, and so do the machine's own tests. It reads no clock and throws no dice of
its own: the same flow, answers and seed give the same task runs, to the last identifier.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from flows.errors import MachineError
from flows.expressions import Scope, render_value
from flows.machine import invariants
from flows.machine.context import nest_outputs
from flows.machine.decide import World, decide
from flows.machine.effects import Effects, HandOut
from flows.machine.events import Created, Event, Finished, Kill, Lost, Started, TimerFired
from flows.machine.execution import Execution, TaskRun
from flows.machine.states import State
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


def echo(hand_out: HandOut) -> Answer:
    """Success, with the task's `format` rendered as the output `value` where it has one."""
    written = hand_out.task.properties.get("format")
    return Answer(outputs=None if written is None else {"value": render_value(written, Scope(hand_out.context))})


@dataclass(slots=True)
class Simulation:
    """One execution. `runs`: every task run it ever had, in order of creation; `steps`: events applied so far."""

    flow: Flow
    answers: Answers
    random: Random
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: list[dict[str, str]] = field(default_factory=list)
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    slots: int | None = None
    """Attempts the worker takes at a time; None = all."""
    checked: bool = True
    now: int = 0
    steps: int = 0
    execution: Execution = field(init=False)
    runs: dict[str, TaskRun] = field(default_factory=dict)
    waiting: dict[str, HandOut] = field(default_factory=dict)
    held: dict[str, HandOut] = field(default_factory=dict)
    timers: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """(task run, kind) → (attempt, due)."""
    last: Effects = field(default_factory=Effects)
    _heap: list[tuple[int, int, Event]] = field(default_factory=list)
    _order: int = 0
    _ids: int = 0

    def __post_init__(self) -> None:
        self.execution = Execution(
            tenant="main",
            id="execution",
            namespace=self.flow.namespace,
            flow_id=self.flow.id,
            revision=1,
            state=State.CREATED,
            history=[(State.CREATED.value, self.now)],
            created_at=self.now,
            inputs=dict(self.inputs),
            labels=list(self.labels),
        )

    # -- what may be asked --------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """The execution is terminated and none of its attempts is left anywhere."""
        return self.execution.state.terminated and not self.execution.runs

    def of(self, task_id: str) -> list[TaskRun]:
        """Task runs of a task, in order of creation."""
        return [run for run in self.runs.values() if run.task_id == task_id]

    def outline(self, *, histories: bool = False) -> str:
        """The task runs as text: one line each, indented below its parent, `[v]` = its value."""

        def line(run: TaskRun) -> str:
            shown = " ".join(state for state, _ in run.history) if histories else run.state
            return f"{run.task_id}{'' if run.value is None else f'[{run.value}]'} {shown}"

        children: dict[str | None, list[TaskRun]] = {}
        for run in self.runs.values():
            children.setdefault(run.parent_id, []).append(run)
        states = " ".join(state for state, _ in self.execution.history) if histories else self.execution.state
        lines = [str(states)]
        open_: list[tuple[int, TaskRun]] = [(1, run) for run in reversed(children.get(None, []))]
        while open_:
            depth, run = open_.pop()
            lines.append("  " * depth + line(run))
            open_.extend((depth + 1, child) for child in reversed(children.get(run.id, [])))
        return "\n".join(lines)

    def waits(self) -> invariants.Waits:
        """Where task runs wait now."""
        retries = {run_id for run_id, kind in self.timers if kind == "retry"}
        return invariants.Waits({*self.waiting, *self.held}, retries)

    # -- what happens -------------------------------------------------------------------------------------------------

    def at(self, seconds: float, event: Event) -> None:
        """`event` happens at that time."""
        self._push(int(seconds * SECOND_US), event)

    def run(self, until: float | None = None) -> Execution:
        """Runs to the end, or until a time in seconds. Raises MachineError when a rule breaks or it waits for nobody."""
        if self.execution.state is State.CREATED and not self.steps:
            self._push(self.now, Created())
        while self._heap:
            if until is not None and self._heap[0][0] > until * SECOND_US:
                return self.execution
            at, _, event = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            if self._current(event):
                self.apply(event)
            if self.steps > EVENTS_MAX:
                raise MachineError(f"execution of {self.flow.id} did not end within {EVENTS_MAX} events")
        if until is None and not self.over:
            raise MachineError(f"execution of {self.flow.id} waits for nobody:\n{self.outline()}")
        return self.execution

    def apply(self, event: Event) -> Effects:
        """One event, now. Returns what would be stored."""
        self.steps += 1
        if isinstance(event, (Finished, Lost)):
            self._let_go(event.task_run_id, event.attempt)
        if isinstance(event, TimerFired):
            timer = self.timers.get((event.task_run_id, event.kind))
            if timer is not None and timer[0] == event.attempt:
                del self.timers[event.task_run_id, event.kind]
        effects = Effects()
        decide(self.execution, event, self._world(effects), effects)
        self._keep(effects)
        if self.checked:
            invariants.check(self.execution, self.flow, effects, self.waits())
        self.last = effects
        return effects

    # -- the tables ---------------------------------------------------------------------------------------------------

    def _keep(self, effects: Effects) -> None:
        self.runs.update(effects.created)
        for run_id in effects.withdrawn:
            self.waiting.pop(run_id, None)
            self.held.pop(run_id, None)
        for run_id in effects.timers_void:
            self.timers.pop((run_id, "retry"), None)
            self.timers.pop((run_id, "timeout"), None)
        for timer in effects.timers:
            self.timers[timer.task_run_id, timer.kind] = (timer.attempt, timer.due_at)
            self._push(timer.due_at, TimerFired(timer.task_run_id, timer.attempt, timer.kind))
        self.waiting.update(effects.hand_outs)
        for run_id in sorted(effects.stopped & self.held.keys(), key=lambda name: self.runs[name].seq):
            run = self.runs[run_id]
            self._push(self.now, Finished(run_id, run.attempt, "worker", State.KILLED))
        while self.waiting and (self.slots is None or len(self.held) < self.slots):
            self._take(next(iter(self.waiting)))

    def _take(self, run_id: str) -> None:
        """The imagined worker takes a hand-out and decides what becomes of it."""
        hand_out = self.waiting.pop(run_id)
        self.held[run_id] = hand_out
        answer = self.answers(hand_out, self.random)
        if answer.silent:
            if answer.told:
                self._push(self.now, Started(run_id, hand_out.attempt, "worker"))
            return
        begins = self.now + int(answer.wait_seconds * SECOND_US)
        took = int(answer.seconds * SECOND_US)
        messages: list[tuple[int, Event]] = []
        if answer.told:
            messages.append((begins, Started(run_id, hand_out.attempt, "worker")))
        if answer.state is None:
            messages.append((begins + took, Lost(run_id, hand_out.attempt, "worker", "the worker is gone")))
        else:
            error = None if answer.error is None else dict(answer.error)
            outputs = None if answer.outputs is None else dict(answer.outputs)
            end = Finished(run_id, hand_out.attempt, "worker", answer.state, took, outputs, None, error)
            messages.append((begins + took, end))
        for at, event in messages:
            self._push(at, event)
            for late in range(answer.repeats):
                self._push(at + 1 + self.random.randrange(10 * SECOND_US) * (late + 1), event)

    def _let_go(self, run_id: str, attempt: int) -> None:
        held = self.held.get(run_id)
        if held is not None and held.attempt == attempt:
            del self.held[run_id]
        waiting = self.waiting.get(run_id)
        if waiting is not None and waiting.attempt == attempt:
            del self.waiting[run_id]

    def _current(self, event: Event) -> bool:
        """A void timer never fires."""
        if not isinstance(event, TimerFired):
            return True
        timer = self.timers.get((event.task_run_id, event.kind))
        return timer is not None and timer == (event.attempt, self.now)

    def _push(self, at: int, event: Event) -> None:
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, event))

    def _world(self, effects: Effects) -> World:
        return World(self.flow, self.now, self._new_id, self.random.random, _Memory(self.runs, effects.created), self.functions)

    def _new_id(self) -> str:
        self._ids += 1
        return f"run{self._ids:06d}"


class _Memory:
    """Look-ups answered from all task runs of the simulation and those of the step under way."""

    def __init__(self, runs: Mapping[str, TaskRun], fresh: Mapping[str, TaskRun]) -> None:
        self._runs = runs
        self._fresh = fresh

    def _all(self) -> list[TaskRun]:
        return sorted({**self._runs, **self._fresh}.values(), key=lambda run: run.seq)

    def outputs(self, execution: Execution, task_ids: frozenset[str] | None) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for run in self._all():
            if run.outputs and (task_ids is None or run.task_id in task_ids):
                nest_outputs(tree, run.task_id, run.path, run.value, run.outputs)
        return tree

    def states(self, execution: Execution) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for run in self._all():
            node = tree.setdefault(run.task_id, {})
            if run.value is not None:
                node = node.setdefault(run.value, {})
            node["state"] = run.state.value
        return tree


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
) -> Simulation:
    """Runs a flow to its end (or `until` a time in seconds) and gives everything that became of it.

    `answers`: a script by task id, or a function that plays the worker; `kill_at`: when someone kills it.
    """
    played = answers if callable(answers) else scripted(answers or {})
    simulation = Simulation(flow, played, Random(seed), inputs or {}, functions=functions or {}, slots=slots)
    if kill_at is not None:
        simulation.at(kill_at, Kill())
    simulation.run(until)
    return simulation
