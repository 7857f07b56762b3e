"""Rules of blocks that their own properties cannot express: Dag, WorkingDirectory (flow-language §1.2)."""

from __future__ import annotations

from dataclasses import dataclass

from flows.plugins import TaskType
from flows.spec.cycles import circular
from flows.spec.faults import Findings, Path, nearest
from flows.spec.source import ListNode, MapNode

RUNNABLE = frozenset({"light", "process"})


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task as it stands in the source, defaults merged in: its node, place, class if known, and the id of its parent."""

    node: MapNode
    path: Path
    type: type[TaskType] | None
    parent: str | None = None


def is_dag(task_type: type[TaskType] | None) -> bool:
    """Whether the tasks of this type are wrapped: `{task: {…}, dependsOn: […]}`."""
    return task_type is not None and any(name.endswith(".Dag") for name in task_type.types)


def check_dag(dag: MapNode, needs: dict[str, list[str]], path: Path, findings: Findings) -> None:
    """Dependencies must exist in the same Dag and may not run in circles."""
    listed = dag.get("tasks")
    items = listed.items if isinstance(listed, ListNode) else []
    places = {str(task_id): item for item in items if isinstance(item, MapNode) and (task_id := _task_id(item)) is not None}
    ring = circular(needs)
    for index, item in enumerate(items):
        if not isinstance(item, MapNode):
            continue
        task_id = _task_id(item)
        if task_id is None or task_id not in needs or places[task_id] is not item:
            continue
        missing = [name for name in needs[task_id] if name not in needs]
        place = item.entries.get("dependsOn")
        where = (*path, index, "dependsOn")
        if missing and place is not None:
            message = f"Not existing task id in dependency: {', '.join(missing)}"
            findings.error("flow.unknown_reference", message, place, where, nearest(missing[0], needs))
        if task_id in ring and place is not None:
            members = dict.fromkeys((task_id, *(one for one in needs[task_id] if one in ring)))
            message = f"Cyclic dependency detected: {', '.join(members)}"
            findings.error("flow.cycle", message, place, where, "take one of the dependencies away")


def _task_id(item: MapNode) -> str | None:
    task = item.get("task")
    found = task.get("id") if isinstance(task, MapNode) else None
    value = found.plain() if found is not None else None
    return str(value) if value is not None and not isinstance(value, (list, dict)) else None


def check_switch(block: FoundTask, findings: Findings) -> None:
    """A Switch needs somewhere to go."""
    if block.type is None or "cases" not in block.type.branches:
        return
    cases, defaults = block.node.get("cases"), block.node.get("defaults")
    if not (isinstance(cases, MapNode) and cases.entries) and not (isinstance(defaults, ListNode) and defaults.items):
        message = "No task defined, neither cases or default have any tasks"
        findings.error("flow.no_tasks", message, block.node, block.path, "give `cases`, `defaults`, or both")


def check_working_directory(found: list[FoundTask], block: FoundTask, findings: Findings) -> None:
    """The tasks of a WorkingDirectory run in order on its one worker: runnable ones only, without a choice of workers."""
    depth = len(block.path)
    for child in found:
        if child.path[:depth] != block.path or len(child.path) != depth + 2 or child.path[depth] != "tasks":
            continue
        if child.type is not None and (child.type.kind not in RUNNABLE or child.type.branches):
            message = "Only runnable tasks are allowed as children of a WorkingDirectory task"
            place = child.node.entries.get("type") or child.node
            findings.error("flow.not_runnable", message, place, (*child.path, "type"), "put it beside the WorkingDirectory")
        for name in ("workerGroup", "workerSelector"):
            if name in child.node.entries:
                message = (
                    "Cannot set a Worker Group in any WorkingDirectory sub-tasks, "
                    "it is only supported at the WorkingDirectory level"
                )
                findings.error("flow.worker_group", message, child.node.entries[name], (*child.path, name))
