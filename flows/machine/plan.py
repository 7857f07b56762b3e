"""What the machine needs to know about a flow at every step, worked out once a flow revision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flows.expressions import Names, names_in
from flows.spec.durations import parse_duration
from flows.spec.model import Flow, Task

PHASES = ("errors", "finally")
_MACHINE_ONLY = frozenset(
    {"runIf", "when", "retry", "tasks", "errors", "finally", "then", "else", "disabled", "allowFailure", "allowWarning"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task stands: in which list of which parent, and what its hand-outs need."""

    task: Task
    phase: str
    index: int
    names: Names
    timeout_us: int | None
    """Its timeout when written as a plain duration; None when absent or an expression (the worker alone enforces that)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Places by task id, and the three lists of the flow itself."""

    flow: Flow
    places: dict[str, Place]

    def children(self, task: Task | None, branch: str) -> tuple[Task, ...]:
        """The tasks of a branch of a block; `task` None = the flow itself."""
        if task is not None:
            return task.branches.get(branch, ())
        return {"tasks": self.flow.tasks, "errors": self.flow.errors, "finally": self.flow.finally_}.get(branch, ())


@lru_cache(maxsize=2048)
def plan_of(flow: Flow) -> Plan:
    """The plan of a flow revision. Cached by identity: revisions are immutable and shared."""
    places: dict[str, Place] = {}

    def visit(task: Task | None, branches: dict[str, tuple[Task, ...]]) -> None:
        for branch, tasks in branches.items():
            phase = branch if branch in PHASES else "tasks"
            for index, child in enumerate(tasks):
                places[child.id] = Place(child, phase, index, _names(child), _timeout_us(child))
                visit(child, dict(child.branches))

    visit(None, {"tasks": flow.tasks, "errors": flow.errors, "finally": flow.finally_})
    return Plan(flow, places)


def _names(task: Task) -> Names:
    properties: dict[str, Any] = {key: value for key, value in task.properties.items() if key not in _MACHINE_ONLY}
    return names_in(properties)


def _timeout_us(task: Task) -> int | None:
    if task.timeout is None or "{" in task.timeout:
        return None
    return int(parse_duration(task.timeout).total_seconds() * 1_000_000)
