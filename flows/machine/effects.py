"""What follows from an event, recorded for whoever stores it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flows.machine.execution import TaskRun
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


@dataclass(slots=True)
class Effects:
    """Everything one or several decisions about an execution want stored. Task runs appear in one of created, changed."""

    created: dict[str, TaskRun] = field(default_factory=dict)
    changed: dict[str, TaskRun] = field(default_factory=dict)
    hand_outs: dict[str, HandOut] = field(default_factory=dict)
    """By task run: what waits for a worker from now on."""
    withdrawn: set[str] = field(default_factory=set)
    """Task runs whose hand-out, waiting or leased, is void."""
    stopped: set[str] = field(default_factory=set)
    """Task runs whose running attempt must be ended by its worker."""
    timers: list[TimerWanted] = field(default_factory=list)
    timers_void: set[str] = field(default_factory=set)
    """Task runs whose timers are void."""
    execution_changed: bool = False
    ended: bool = False

    def touch(self, run: TaskRun) -> None:
        """Notes a changed task run."""
        if run.id not in self.created:
            self.changed[run.id] = run
