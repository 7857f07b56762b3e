"""What the machine needs to know about a flow at every step, worked out once a flow revision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flows.errors import MachineError
from flows.expressions import Names, names_in
from flows.expressions.names import union
from flows.spec.durations import parse_duration
from flows.spec.model import Flow, Output, Task
from flows.spec.outputs import read_outputs

PHASES = frozenset({"errors", "finally", "afterExecution", "onPause"})
"""Branches beside the ones a block's state comes from; each is a phase of its own."""

_MACHINE_ONLY = frozenset(
    {"runIf", "when", "retry", "disabled", "allowFailure", "allowWarning"}
    | {"tasks", "errors", "finally", "then", "else", "cases", "defaults", "onPause"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task stands: in which branch of which parent, and what its hand-outs need.

    `phase`: `tasks` for every branch a block's state comes from, else the branch's own name. `after`: at or below
    `afterExecution`. `names`: what its templates name, for tasks that carry others to a worker or an execution theirs too.
    """

    task: Task
    phase: str
    index: int
    after: bool
    names: Names
    timeout_us: int | None
    """Its timeout when written as a plain duration; None when absent or an expression (the worker alone enforces that)."""
    deps: tuple[int, ...] = ()
    """Dag: positions of the tasks it waits for."""
    inner: frozenset[str] = frozenset()
    """Ids of all tasks below it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Places by task id, and the lists at the root: those of the flow, or those of the Loop `root` for one of its iterations."""

    flow: Flow
    places: dict[str, Place]
    root: Task | None = None
    outputs: tuple[Output, ...] = ()
    """What is rendered at the end: the flow's outputs, or the Loop's."""

    def children(self, task: Task | None, branch: str) -> tuple[Task, ...]:
        """The tasks of a branch of a block; `task` None = the root."""
        block = task if task is not None else self.root
        if block is not None:
            return block.branches.get(branch, ())
        flow = self.flow
        return {
            "tasks": flow.tasks,
            "errors": flow.errors,
            "finally": flow.finally_,
            "afterExecution": flow.after_execution,
        }.get(branch, ())

    @property
    def root_id(self) -> str | None:
        """Id of the task the root's children stand below; None for a flow."""
        return None if self.root is None else self.root.id


@lru_cache(maxsize=2048)
def plan_of(flow: Flow, root: str | None = None) -> Plan:
    """The plan of a flow revision, or of an iteration of its Loop `root`. Cached by identity: revisions are immutable.

    Raises MachineError when there is no such Loop.
    """
    places: dict[str, Place] = {}

    def visit(task: Task | None, branches: dict[str, tuple[Task, ...]], after: bool) -> None:
        for branch, tasks in branches.items():
            phase = branch if branch in PHASES else "tasks"
            positions = {child.id: index for index, child in enumerate(tasks)}
            for index, child in enumerate(tasks):
                below = after or phase == "afterExecution"
                deps = tuple(positions[name] for name in child.depends_on if name in positions)
                inner = frozenset(step.id for step in child.walk() if step is not child)
                places[child.id] = Place(child, phase, index, below, _names(child), _timeout_us(child), deps, inner)
                visit(child, dict(child.branches), below)

    if root is not None:
        loop = flow.index.get(root)
        if loop is None:
            raise MachineError(f"flow {flow.namespace}.{flow.id} has no task {root}")
        visit(loop, dict(loop.branches), after=False)
        return Plan(flow, places, loop, read_outputs(loop.properties.get("outputs")))
    lists = {"tasks": flow.tasks, "errors": flow.errors, "finally": flow.finally_, "afterExecution": flow.after_execution}
    visit(None, lists, after=False)
    return Plan(flow, places, None, flow.outputs)


def _names(task: Task) -> Names:
    """Flowable tasks evaluate little by themselves; others take what they carry along: WorkingDirectory and Loop their tasks."""
    properties: dict[str, Any] = {key: value for key, value in task.properties.items() if key not in _MACHINE_ONLY}
    own = names_in(properties)
    if task.kind == "flowable" or not task.branches:
        return own
    place = Names(roots=frozenset({"taskrun", "parents"}))  # where it stands: what its children's outputs nest by
    return union([own, place, *(names_in(dict(child.properties)) for child in task.walk() if child is not task)])


def _timeout_us(task: Task) -> int | None:
    if task.timeout is None or "{" in task.timeout:
        return None
    return int(parse_duration(task.timeout).total_seconds() * 1_000_000)
