"""What follows from an event, recorded for whoever stores it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from flows.machine.events import Event
from flows.machine.execution import TaskRun
from flows.machine.states import State
from flows.spec.model import Task


@dataclass(slots=True)
class HandOut:
    """An attempt that waits for a worker. `context`: the variables its templates name."""

    run: TaskRun
    task: Task
    attempt: int
    worker_group: str
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TimerWanted:
    """Tell the machine `kind` about this attempt at `due_at` (microseconds)."""

    task_run_id: str
    attempt: int
    kind: str
    due_at: int


@dataclass(frozen=True, slots=True)
class ChildWanted:
    """An execution to create on behalf of a task run, in the same transaction; answered by ChildCreated or ChildRefused.

    `id`: of the new execution. `kind`: SUBFLOW, ITEM (a batch of ForEachItem) or LOOP (an iteration of the same flow below
    the Loop `task_id`). `revision` None = the newest. `inputs` are rendered, not yet checked against the child's. `labels`: of
    the task; `inherit_labels`: the parent's as well, else only its `system.*` ones. `restarts`: an execution to restart
    instead of creating one. `wait`: whether its end is told to the parent.
    """

    id: str
    kind: Literal["SUBFLOW", "ITEM", "LOOP"]
    task_run_id: str
    task_id: str
    task_type: str
    namespace: str
    flow_id: str
    revision: int | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: tuple[tuple[str, str], ...] = ()
    inherit_labels: bool = False
    schedule_at: int | None = None
    wait: bool = True
    index: int | None = None
    item: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    """LOOP: outputs of the parent's tasks that the iteration's templates name."""
    restarts: str | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """An event for another execution of the tenant. Stored with the step, delivered after it, at least once."""

    execution_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class Notice:
    """Something for a part of the control plane that is no execution, e.g. `trigger.toggle`. Stored with the step."""

    kind: str
    data: dict[str, Any]


@dataclass(slots=True)
class Effects:
    """Everything one or several decisions about an execution want stored. Task runs appear in one of created, changed."""

    created: dict[str, TaskRun] = field(default_factory=dict)
    changed: dict[str, TaskRun] = field(default_factory=dict)
    reported: dict[str, TaskRun] = field(default_factory=dict)
    """Task runs that a worker reported, over already. Their ids are the worker's: one that is stored is not stored again."""
    hand_outs: dict[str, HandOut] = field(default_factory=dict)
    """By task run: what waits for a worker from now on."""
    withdrawn: set[str] = field(default_factory=set)
    """Task runs whose hand-out, waiting or leased, is void."""
    stopped: set[str] = field(default_factory=set)
    """Task runs whose running attempt must be ended by its worker."""
    timers: list[TimerWanted] = field(default_factory=list)
    timers_void: set[str] = field(default_factory=set)
    """Task runs whose timers are void; the empty id stands for the execution's own. Void before new ones are set."""
    removed: set[str] = field(default_factory=set)
    """Task runs whose rows go, e.g. the error handlers of an execution that is restarted."""
    removed_below: set[str] = field(default_factory=set)
    """Task runs whose descendants' rows go, e.g. a LoopUntil's last round. Before new ones are created."""
    children: list[ChildWanted] = field(default_factory=list)
    tells: list[Tell] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    reruns: bool = False
    """A new execution with the same inputs is wanted now (retry behaviour CREATE_NEW_EXECUTION)."""
    states: list[State] = field(default_factory=list)
    """States the execution took, in order."""
    execution_changed: bool = False
    ended: bool = False
    """The execution came to an end in these decisions (tasks of `afterExecution` may still run)."""

    def touch(self, run: TaskRun) -> None:
        """Notes a changed task run."""
        if run.id not in self.created:
            self.changed[run.id] = run
