"""Where each task stands, and whether another one can have run before it (execution-semantics §4, §6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from flows.plugins import TaskType
from flows.spec.blocks import FoundTask, is_dag
from flows.spec.faults import Path
from flows.spec.source import ListNode, MapNode, ScalarNode

Order = Literal["before", "beside", "never", "inside"]
"""A task seen from a reader: it may have ended before; runs at the same time; cannot have run; is inside other executions."""

VALUE_LOOPS = frozenset({"ForEach", "EachSequential", "EachParallel"})
LOOPS = VALUE_LOOPS | {"LoopUntil", "WaitFor"}
SEES_ITS_CHILDREN = frozenset({"LoopUntil", "WaitFor", "Loop", "WorkingDirectory", "ForEachItem"})
"""Blocks with properties that are rendered after their tasks ran."""

_PHASES = {"errors": 1, "finally": 2, "afterExecution": 3, "listeners": 3}


@dataclass(eq=False, slots=True)
class Place:
    """A task of the source. `branch`: the property of the parent it stands in; `generated`: nobody wrote it."""

    id: str
    found: FoundTask
    parent: Place | None
    branch: str
    index: int
    disabled: bool
    generated: bool
    needs: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The last part of the type's name, as `ForEach`."""
        return type_name(self.found.type)

    @property
    def ancestors(self) -> list[Place]:
        """The blocks around it, nearest first."""
        found, current = [], self.parent
        while current is not None:
            found.append(current)
            current = current.parent
        return found

    @property
    def phase(self) -> int:
        """0 = the tasks themselves, 1 = errors, 2 = finally, 3 = after the end."""
        return _PHASES.get(self.branch, 0)

    def value_levels(self) -> int:
        """How many loop values stand between `outputs.<id>` and what it holds, inside the execution it runs in."""
        levels, current = 0, self
        while current.parent is not None and current.parent.name != "Loop":
            levels += current.parent.name in VALUE_LOOPS and current.phase == 0
            current = current.parent
        return levels

    def iteration(self) -> Place | None:
        """The Loop whose iterations it runs in."""
        return next((one for one in self.ancestors if one.name == "Loop"), None)


@dataclass(slots=True)
class Places:
    """All tasks of a flow. Of two tasks with one id the first is known by it."""

    all: list[Place] = field(default_factory=list)
    by_id: dict[str, Place] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Iterable[FoundTask]) -> Places:
        """The places of the tasks that a reader found."""
        places = cls()
        by_path: dict[Path, Place] = {}
        for task in sorted(found, key=lambda one: len(one.path)):
            task_id = _text(task.node, "id")
            if task_id is None:
                continue
            parent = None
            length = len(task.path) - 1
            while length > 0 and parent is None:
                parent = by_path.get(task.path[:length])
                length -= 1
            below = task.path[len(parent.found.path) if parent else 0 :]
            steps = [step for step in below if step != "task"]
            index = steps[-1] if steps and isinstance(steps[-1], int) else 0
            branch = ".".join(str(step) for step in steps if not isinstance(step, int))
            disabled = task.node.get("disabled")
            place = by_path[task.path] = Place(
                task_id,
                task,
                parent,
                branch if parent or branch in _PHASES else branch.split(".")[0],
                index,
                disabled is not None and disabled.plain() is True,
                parent is not None and branch == "tasks" and "tasks" not in parent.found.node.entries,
            )
            places.all.append(place)
            places.by_id.setdefault(task_id, place)
        for place in places.all:
            if is_dag(place.found.type):
                _read_needs(place, places)
        places.all.sort(key=lambda one: (one.found.node.line, one.found.node.column))
        return places

    def order(self, reader: Place | None, target: Place) -> Order:
        """Whether the target can have run when the reader is rendered; reader None = the end of the execution."""
        line = [target, *target.ancestors]
        own_line = [reader, *reader.ancestors] if reader is not None else []
        loop = target.iteration()
        if loop is not None and loop not in own_line:
            return "inside"
        if reader is None:
            return "never" if line[-1].phase == 3 else "before"
        if target in own_line[1:]:
            return "before"
        common = next((one for one in line[1:] if one in own_line[1:]), None)
        repeats = any(one.name in LOOPS for one in ([common, *common.ancestors] if common else []))
        if target is reader:
            return "before" if repeats else "never"
        if reader in line:
            return "before" if reader.name in SEES_ITS_CHILDREN else "never"
        theirs = next(one for one in line if one.parent is common)
        own = next(one for one in own_line if one.parent is common)
        return _among_siblings(own, theirs, common, repeats)


def _among_siblings(own: Place, theirs: Place, block: Place | None, repeats: bool) -> Order:
    if theirs.phase != own.phase:
        return "before" if theirs.phase < own.phase or repeats else "never"
    if theirs.branch != own.branch:
        # Pause: `onPause` comes before `tasks`. If and Switch: only one of the branches runs.
        first = block is not None and block.name == "Pause" and theirs.branch == "onPause"
        return "before" if first or repeats else "never"
    if own.phase == 0 and block is not None:
        if is_dag(block.found.type):
            if theirs.id in own.needs:
                return "before"
            return "never" if own.id in theirs.needs and not repeats else "beside"
        if block.name == "EachParallel" or (block.name == "Parallel" and _text(block.found.node, "concurrent") != "1"):
            return "beside"
    return "before" if theirs.index < own.index or repeats else "never"


def type_name(task_type: type[TaskType] | None) -> str:
    """The last part of the name a type is shown under."""
    return task_type.types[0].rsplit(".", 1)[-1] if task_type is not None and task_type.types else ""


def _text(node: MapNode, key: str) -> str | None:
    found = node.get(key)
    return found.text if isinstance(found, ScalarNode) and found.value is not None else None


def _read_needs(dag: Place, places: Places) -> None:
    """Everything each task of a Dag waits for, directly or not."""
    listed = dag.found.node.get("tasks")
    direct: dict[str, list[str]] = {}
    for item in listed.items if isinstance(listed, ListNode) else []:
        inner = item.get("task") if isinstance(item, MapNode) else None
        wanted = item.get("dependsOn") if isinstance(item, MapNode) else None
        task_id = _text(inner, "id") if isinstance(inner, MapNode) else None
        if task_id is not None:
            direct[task_id] = (
                [one.text for one in wanted.items if isinstance(one, ScalarNode)] if isinstance(wanted, ListNode) else []
            )
    for place in places.all:
        if place.parent is dag and place.phase == 0:
            met: set[str] = set()
            waiting = list(direct.get(place.id, ()))
            while waiting:
                one = waiting.pop()
                if one not in met:
                    met.add(one)
                    waiting.extend(direct.get(one, ()))
            place.needs = frozenset(met)
