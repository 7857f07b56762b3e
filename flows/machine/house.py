"""A whole house in memory and in virtual time: many executions, their children and queues, an imagined worker, a heap of what
happens next.

It does for the pure machine what the control plane's engine does, on dictionaries instead of tables: proofs that the language
needs no server. It reads no clock and throws no dice of its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from flows.errors import HeadraceError, MachineError
from flows.expressions import Scope
from flows.machine import invariants, rewind
from flows.machine.children import CORRELATION, ChildImpossible, child_execution, rerun_of
from flows.machine.context import nest_outputs
from flows.machine.decide import decide
from flows.machine.effects import ChildWanted, Effects, HandOut
from flows.machine.events import (
    Admitted,
    ChildCreated,
    ChildRefused,
    Created,
    Event,
    Finished,
    Lost,
    TimerFired,
    Verdict,
)
from flows.machine.execution import Execution, TaskRun
from flows.machine.states import State
from flows.machine.world import Iteration, World
from flows.spec.input_types import is_encrypted
from flows.spec.inputs import resolve_inputs
from flows.spec.model import Concurrency, Flow

FlowKey = tuple[str, str]
"""(namespace, flow id)."""


@dataclass(slots=True)
class Held:
    """One execution and every task run it ever had, in order of creation."""

    execution: Execution
    flow: Flow
    runs: dict[str, TaskRun] = field(default_factory=dict)
    admitted_at: int | None = None
    """When it took its place under the flow's concurrency limit; None while it has none."""


class Worker(Protocol):
    """Plays the workers: takes a hand-out, and says when what becomes of it."""

    def take(self, house: House, execution: Execution, hand_out: HandOut) -> Iterable[tuple[int, Event]]:
        """(moment in microseconds, event) for everything the workers will say about this attempt."""


class House:
    """Executions of some flows, moved on by events in order of virtual time.

    `flows`: the newest revision of each. `slots`: attempts the workers take at a time; None = all. `files`: lines by URI.
    `checked`: every step is held against the machine's rules.
    """

    def __init__(
        self,
        flows: Iterable[Flow],
        worker: Worker,
        random: Random,
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        roots: Mapping[str, Any] | None = None,
        slots: int | None = None,
        checked: bool = True,
        now: int = 0,
    ) -> None:
        self.flows: dict[FlowKey, Flow] = {(flow.namespace, flow.id): flow for flow in flows}
        self.worker = worker
        self.random = random
        self.functions = functions or {}
        self.roots = roots or {}
        self.slots = slots
        self.checked = checked
        self.now = now
        self.steps = 0
        self.executions: dict[str, Held] = {}
        self.files: dict[str, list[str]] = {}
        self.waiting: dict[str, HandOut] = {}
        self.held: dict[str, HandOut] = {}
        self.timers: dict[tuple[str, str], tuple[int, int]] = {}
        """(task run, or `@` and the execution; kind) → (attempt, due)."""
        self.notices: list[tuple[str, dict[str, Any]]] = []
        self.last = Effects()
        self._owner: dict[str, str] = {}
        self._heap: list[tuple[int, int, str, Event]] = []
        self._order = 0
        self._ids = 0

    # -- what may be asked --------------------------------------------------------------------------------------------

    def waits(self, execution_id: str) -> invariants.Waits:
        """Where task runs of an execution wait now."""
        runs = self.executions[execution_id].runs
        own = {run_id for run_id in (*self.waiting, *self.held) if run_id in runs}
        timed = {
            run_id for run_id, kind in self.timers if kind in ("retry", "pause", "pause_timeout", "round") and run_id in runs
        }
        return invariants.Waits(own, timed)

    @property
    def quiet(self) -> bool:
        """Nothing more happens by itself."""
        return not self._heap

    # -- what may be done ---------------------------------------------------------------------------------------------

    def create(
        self,
        key: FlowKey,
        inputs: Mapping[str, Any] | None = None,
        *,
        execution_id: str | None = None,
        labels: Iterable[tuple[str, str]] = (),
        trigger: dict[str, Any] | None = None,
        cause: dict[str, Any] | None = None,
        kind: str = "NORMAL",
        schedule_at: int | None = None,
        breakpoints: Iterable[str] = (),
        resolved: bool = False,
    ) -> Execution:
        """An execution of a flow, which starts with the next step. `resolved`: the inputs are typed values already.

        Raises KeyError for an unknown flow, ChildImpossible for a disabled one, InputInvalid.
        """
        flow = self.flows[key]
        if flow.disabled:
            raise ChildImpossible(f"flow {flow.namespace}.{flow.id} is disabled; enable it to run it", code="flow.disabled")
        identity = execution_id or self.new_id("execution")
        values = (
            dict(inputs or {}) if resolved else resolve_inputs(flow, inputs or {}, self._scope_factory(flow), encrypt=_unsealed)
        )
        found = {name: value for name, value in flow.labels.items() if not name.startswith("system.")}
        found.update(labels)
        found.setdefault(CORRELATION, identity)
        execution = Execution(
            tenant="main",
            id=identity,
            namespace=flow.namespace,
            flow_id=flow.id,
            revision=1,
            state=State.CREATED,
            history=[(State.CREATED.value, self.now)],
            created_at=self.now,
            inputs=values,
            labels=[{"key": name, "value": value} for name, value in found.items()],
            trigger=trigger,
            original_id=identity,
            kind=kind,
            schedule_at=schedule_at,
            cause=cause or {"kind": "api"},
            breakpoints=list(breakpoints),
        )
        self._adopt(execution, flow)
        return execution

    def tell(self, at: int, execution_id: str, event: Event) -> None:
        """`event` happens to an execution at that time (microseconds)."""
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, execution_id, event))

    def restart(self, execution_id: str) -> Effects:
        """Restarts in place. Raises NothingToRestart."""
        return self._rewound(
            execution_id, lambda held, world, effects: rewind.restart(held.execution, _all(held), world, effects)
        )

    def change_state(self, execution_id: str, task_run_id: str, state: State) -> Effects:
        """Gives a task run another end; the execution goes on from there. Raises TaskRunUnknown."""

        def act(held: Held, world: World, effects: Effects) -> Effects:
            return rewind.change_state(held.execution, _all(held), task_run_id, state, world, effects)

        return self._rewound(execution_id, act)

    def replay(self, execution_id: str, task_run_id: str | None = None) -> Execution:
        """A new execution like an ended one, from the beginning or from one of its task runs. Raises TaskRunUnknown."""
        source = self.executions[execution_id]
        new_id = self.new_id("execution")
        if task_run_id is None:
            execution = rerun_of(source.execution, new_id, self.now, cause="replay")
            self._adopt(execution, source.flow)
            return execution
        effects = Effects()
        world = self._world(source.flow, effects, source)
        execution, effects = rewind.replay(source.execution, _all(source), task_run_id, new_id, world)
        self.executions[new_id] = Held(execution, source.flow, admitted_at=self.now)
        self._keep(self.executions[new_id], effects)
        return execution

    def _rewound(self, execution_id: str, act: Callable[[Held, World, Effects], Effects]) -> Effects:
        held = self.executions[execution_id]
        effects = Effects()
        act(held, self._world(held.flow, effects, held), effects)
        held.admitted_at = self.now if held.admitted_at is None else held.admitted_at
        self._keep(held, effects)
        return effects

    # -- time ---------------------------------------------------------------------------------------------------------

    def go(self, until: int | None = None, steps_max: int = 10_000_000) -> None:
        """Lets everything happen, or everything until a time. Raises MachineError when a rule breaks or it does not end."""
        end = self.steps + steps_max
        while self._heap:
            if until is not None and self._heap[0][0] > until:
                self.now = max(self.now, until)
                return
            self.step()
            if self.steps > end:
                raise MachineError(f"no end within {steps_max} events")
        if until is not None:
            self.now = max(self.now, until)

    def step(self) -> None:
        """The next thing happens."""
        at, _, execution_id, event = heapq.heappop(self._heap)
        self.now = max(self.now, at)
        if self._current(execution_id, event):
            self.happen(execution_id, event)

    def happen(self, execution_id: str, event: Event) -> Effects:
        """One event, now. Returns what a store would keep."""
        self.steps += 1
        held = self.executions[execution_id]
        if isinstance(event, Created) and event.verdict == "run" and held.execution.state is State.CREATED:
            event = Created(self._verdict(held))
        if isinstance(event, (Finished, Lost)):
            self._let_go(event.task_run_id, event.attempt)
        if isinstance(event, TimerFired):
            owner = event.task_run_id or f"@{execution_id}"
            timer = self.timers.get((owner, event.kind))
            if timer is not None and timer[0] == event.attempt:
                del self.timers[owner, event.kind]
        effects = Effects()
        decide(held.execution, event, self._world(held.flow, effects, held), effects)
        self._keep(held, effects)
        return effects

    # -- the tables ---------------------------------------------------------------------------------------------------

    def _adopt(self, execution: Execution, flow: Flow) -> None:
        self.executions[execution.id] = Held(execution, flow)
        self.tell(self.now, execution.id, Created())

    def _keep(self, held: Held, effects: Effects) -> None:
        execution = held.execution
        self._forget_rows(held, effects)
        held.runs.update(effects.created)
        held.runs.update({run_id: run for run_id, run in effects.reported.items() if run_id not in held.runs})
        for run_id in effects.created:
            self._owner[run_id] = execution.id
        for run_id in effects.withdrawn:
            self.waiting.pop(run_id, None)
            self.held.pop(run_id, None)
        for run_id in effects.timers_void:
            owner = run_id or f"@{execution.id}"
            for key in [key for key in self.timers if key[0] == owner and key[1] != "rerun"]:
                del self.timers[key]
        for timer in effects.timers:
            self.timers[timer.task_run_id or f"@{execution.id}", timer.kind] = (timer.attempt, timer.due_at)
            self.tell(timer.due_at, execution.id, TimerFired(timer.task_run_id, timer.attempt, timer.kind))
        self.waiting.update(effects.hand_outs)
        for run_id in sorted(effects.stopped & self.held.keys(), key=lambda name: held.runs[name].seq):
            run = held.runs[run_id]
            self.tell(self.now, execution.id, Finished(run_id, run.attempt, "worker", State.KILLED))
        self._place(held)
        for wanted in effects.children:
            self._child(held, wanted)
        for told in effects.tells:
            if told.execution_id in self.executions:
                self.tell(self.now, told.execution_id, told.event)
        self.notices.extend((notice.kind, notice.data) for notice in effects.notices)
        if effects.reruns:
            self._adopt(rerun_of(execution, self.new_id("execution"), self.now, cause="retry"), held.flow)
        while self.waiting and (self.slots is None or len(self.held) < self.slots):
            self._take(next(iter(self.waiting)))
        if self.checked:
            invariants.check(execution, held.flow, effects, self.waits(execution.id))
        self.last = effects

    def _forget_rows(self, held: Held, effects: Effects) -> None:
        gone = set(effects.removed)
        above = set(effects.removed_below)
        if above:
            for run in held.runs.values():
                if run.parent_id in above and run.id not in effects.created:
                    gone.add(run.id)
                    above.add(run.id)
        for run_id in gone:
            held.runs.pop(run_id, None)

    def _take(self, run_id: str) -> None:
        """The workers take a hand-out."""
        hand_out = self.waiting.pop(run_id)
        hand_out.context = opened(hand_out.context)
        self.held[run_id] = hand_out
        execution = self.executions[self._owner[run_id]].execution
        for at, event in self.worker.take(self, execution, hand_out):
            self.tell(at, execution.id, event)

    def _let_go(self, run_id: str, attempt: int) -> None:
        for table in (self.held, self.waiting):
            hand_out = table.get(run_id)
            if hand_out is not None and hand_out.attempt == attempt:
                del table[run_id]

    def _current(self, execution_id: str, event: Event) -> bool:
        """A void timer never fires."""
        if not isinstance(event, TimerFired):
            return True
        timer = self.timers.get((event.task_run_id or f"@{execution_id}", event.kind))
        return timer is not None and timer == (event.attempt, self.now)

    # -- children -----------------------------------------------------------------------------------------------------

    def _child(self, parent: Held, wanted: ChildWanted) -> None:
        execution = parent.execution
        try:
            if wanted.restarts is not None:
                self._restart_child(parent, wanted)
            else:
                flow = parent.flow if wanted.kind == "LOOP" else self.flows.get((wanted.namespace, wanted.flow_id))
                if flow is None:
                    raise ChildImpossible(
                        f"there is no flow {wanted.namespace}.{wanted.flow_id}; create it, or mend the task's `flowId`",
                        code="flow.missing",
                    )
                child = child_execution(wanted, execution, flow, 1, self.now, self._scope_factory(flow), _unsealed)
                self._adopt(child, flow)
        except HeadraceError as error:
            if isinstance(error, MachineError):
                raise
            self.tell(self.now, execution.id, ChildRefused(wanted.task_run_id, wanted.id, error.code, str(error)))
            return
        self.tell(self.now, execution.id, ChildCreated(wanted.task_run_id, wanted.id))

    def _restart_child(self, parent: Held, wanted: ChildWanted) -> None:
        assert wanted.restarts is not None
        child = self.executions[wanted.restarts]
        if child.execution.waiter is not None:
            child.execution.waiter = (parent.execution.id, wanted.task_run_id, wanted.index)
        self.restart(wanted.restarts)

    # -- the concurrency limit ----------------------------------------------------------------------------------------

    def _verdict(self, held: Held) -> Verdict:
        limit = self._limit(held)
        if limit is None:
            return "run"
        if self._places(held) >= limit.limit:
            return limit.behavior
        held.admitted_at = self.now
        return "run"

    def _limit(self, held: Held) -> Concurrency | None:
        newest = self.flows.get((held.flow.namespace, held.flow.id), held.flow)
        return newest.concurrency if held.execution.loop is None else None

    def _siblings(self, held: Held) -> list[Held]:
        key = (held.flow.namespace, held.flow.id)
        return [
            one for one in self.executions.values() if (one.flow.namespace, one.flow.id) == key and one.execution.loop is None
        ]

    def _places(self, held: Held) -> int:
        return sum(one.admitted_at is not None for one in self._siblings(held))

    def _place(self, held: Held) -> None:
        """An execution that is over gives its place back; the oldest queued one takes it."""
        limit = self._limit(held)
        if limit is None:
            return
        execution = held.execution
        if execution.state.terminated or execution.state is State.QUEUED:
            held.admitted_at = None
        elif execution.state is not State.CREATED and held.admitted_at is None:
            held.admitted_at = self.now  # forced, or started by its date
        free = limit.limit - self._places(held)
        queued = [one for one in self._siblings(held) if one.execution.state is State.QUEUED and one.admitted_at is None]
        for one in queued[: max(0, free)]:
            if one is not held:
                one.admitted_at = self.now
                self.tell(self.now, one.execution.id, Admitted())

    # -- the machine's world ------------------------------------------------------------------------------------------

    def _scope_factory(self, flow: Flow) -> Callable[[Mapping[str, Any]], Scope]:
        roots = {
            **self.roots,
            "flow": {"id": flow.id, "namespace": flow.namespace, "revision": 1, "tenantId": "main"},
            "vars": flow.variables,
        }
        return lambda inputs: Scope({**roots, "inputs": inputs}, self.functions)

    def _world(self, flow: Flow, effects: Effects, held: Held) -> World:
        memory = _Memory(self, held, effects)
        return World(flow, self.now, self.new_id, self.random.random, memory, self.functions, self.roots, encrypt=_unsealed)

    def new_id(self, kind: str = "run") -> str:
        """The next identifier."""
        self._ids += 1
        return f"{kind}{self._ids:06d}"


def _unsealed(text: str) -> str:
    """Nothing leaves this process, so a secret keeps its form and needs no key."""
    return text


def opened(value: Any) -> Any:
    """A value with the secrets in it as texts, as a worker gets them when it renders."""
    if is_encrypted(value):
        return value["value"]
    if isinstance(value, dict):
        return {name: opened(one) for name, one in value.items()}
    return [opened(one) for one in value] if isinstance(value, list) else value


def _all(held: Held) -> list[TaskRun]:
    return sorted(held.runs.values(), key=_by_seq)


def _by_seq(run: TaskRun) -> int:
    return run.seq


class _Memory:
    """Look-ups answered from all task runs of an execution and those of the step under way."""

    def __init__(self, house: House, held: Held, effects: Effects) -> None:
        self._house = house
        self._held = held
        self._effects = effects

    def _all(self) -> list[TaskRun]:
        runs = {**self._held.runs, **self._effects.created, **self._effects.reported}
        return sorted((run for run in runs.values() if run.id not in self._effects.removed), key=_by_seq)

    def outputs(self, execution: Execution, task_ids: frozenset[str] | None) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for run in self._all():
            if run.outputs and (task_ids is None or run.task_id in task_ids):
                nest_outputs(tree, run.task_id, run.path, run.value, run.outputs)
        return tree

    def outputs_here(self, execution: Execution, task_ids: frozenset[str], path: tuple[str, ...]) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for run in self._all():
            if run.outputs and run.task_id in task_ids:
                own = run.path if run.value is None else (*run.path, run.value)
                if own[: len(path)] == path[: len(own)]:
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

    def iterations(self, execution: Execution, run: TaskRun) -> list[Iteration]:
        found: dict[int, Iteration] = {}
        for held in self._house.executions.values():
            child = held.execution
            waiter = child.waiter
            if waiter is not None and waiter[:2] == (execution.id, run.id) and waiter[2] is not None and child.state.terminated:
                found[waiter[2]] = Iteration(waiter[2], child.id, child.state, child.outputs)
        return [found[index] for index in sorted(found)]

    def open_children(self, execution: Execution) -> list[str]:
        return [
            held.execution.id
            for held in self._house.executions.values()
            if held.execution.started_by == execution.id and not held.execution.state.terminated
        ]

    def lines(self, execution: Execution, uri: str) -> list[str]:
        found = self._house.files.get(uri)
        if found is None:
            raise ChildImpossible(f"there is no file {uri[:200]}", code="file.missing")
        return found

    def store_lines(self, execution: Execution, run: TaskRun, name: str, lines: Iterable[str]) -> str:
        uri = f"kestra:///{execution.namespace.replace('.', '/')}/{execution.flow_id}/executions/{execution.id}/{run.id}/{name}"
        self._house.files[uri] = list(lines)
        return uri
