"""The small parts of a flow or task: outputs, concurrency, SLAs, checks, worker selection, cache (flow-language §7–§13)."""

from __future__ import annotations

from typing import TypeVar

from flows.plugins import Properties
from flows.spec import dialects, shapes
from flows.spec.faults import Findings, Path, as_list, as_map, checked
from flows.spec.labels import read_labels
from flows.spec.model import Check, Concurrency, Output, Sla, TaskCache, WorkerSelector
from flows.spec.source import MapNode, Node, ScalarNode

M = TypeVar("M", bound=Properties)


def absent(node: Node | None) -> bool:
    """Whether nothing stands there: no property, or null."""
    return node is None or (isinstance(node, ScalarNode) and node.value is None)


def entries(node: Node | None, path: Path, findings: Findings, what: str) -> list[tuple[MapNode, Path]]:
    """The maps of a list, each with its path; a problem for everything else."""
    found = []
    for index, item in enumerate(as_list(node, path, findings, f"`{path[-1]}`")):
        entry = as_map(item, (*path, index), findings, what)
        if entry is not None:
            found.append((entry, (*path, index)))
    return found


def check_unique(name: str, seen: dict[str, int], entry: MapNode, path: Path, findings: Findings, what: str) -> bool:
    """Notes the second bearer of an id; whether this one is the first."""
    if name in seen:
        message = f"Duplicate {what} with name [{name}]; it stands already in line {seen[name]}"
        findings.error("flow.duplicate_id", message, entry, path)
        return False
    seen[name] = entry.line
    return True


def read_outputs(node: Node | None, path: Path, findings: Findings) -> tuple[Output, ...]:
    """Typed outputs: of a flow, or of the iterations of a Loop."""
    found: list[Output] = []
    seen: dict[str, int] = {}
    for entry, where in entries(node, path, findings, "An output"):
        shape, data = checked(shapes.Output, entry, where, findings, templates=True)
        if shape is None or not check_unique(shape.id, seen, entry, where, findings, "output"):
            continue
        if shape.type == "ARRAY" and shape.item_type is None:
            findings.error("flow.missing_property", "The property `itemType` is required", entry, (*where, "itemType"))
        if shape.item_type == "ARRAY":
            findings.error("flow.wrong_value", "`itemType` cannot be `ARRAY`", entry.entries["itemType"], (*where, "itemType"))
        if shape.type in ("FORM", "REUSABLE_INPUTS"):
            message = f"An output cannot be of the type {shape.type}, which groups inputs"
            findings.error("flow.wrong_value", message, entry.entries["type"].value, (*where, "type"))
        found.append(
            Output(
                id=shape.id,
                value=data.get("value"),
                type=shape.type,
                required=shape.required,
                item_type=shape.item_type,
                description=shape.description,
                display_name=shape.display_name,
            )
        )
    return tuple(found)


def read_concurrency(node: Node | None, path: Path, findings: Findings) -> Concurrency | None:
    """The limit of executions that run at once."""
    if node is None or absent(node):
        return None
    entry = as_map(node, path, findings, "`concurrency`")
    shape, _ = checked(shapes.Concurrency, entry, path, findings) if entry is not None else (None, {})
    return Concurrency(shape.limit, shape.behavior) if shape is not None else None


def read_sla(node: Node | None, path: Path, findings: Findings) -> tuple[Sla, ...]:
    """Service levels. MAX_DURATION needs `duration`, EXECUTION_ASSERTION needs `assert`."""
    found: list[Sla] = []
    seen: dict[str, int] = {}
    for entry, where in entries(node, path, findings, "An entry of `sla`"):
        shape, _ = checked(shapes.Sla, entry, where, findings)
        labels = read_labels(entry.get("labels"), (*where, "labels"), findings)
        if shape is None or not check_unique(shape.id, seen, entry, where, findings, "SLA id"):
            continue
        for kind, name, given in (("MAX_DURATION", "duration", shape.duration), ("EXECUTION_ASSERTION", "assert", shape.assert_)):
            if shape.type == kind and given is None:
                findings.error("flow.missing_property", f"{kind} needs `{name}`", entry, where)
            elif shape.type != kind and given is not None:
                findings.error(
                    "flow.wrong_value", f"`{name}` belongs to {kind}, not to {shape.type}", entry.entries[name], (*where, name)
                )
        found.append(Sla(shape.id, shape.type, shape.behavior, shape.duration, shape.assert_, labels))
    return tuple(found)


def read_checks(node: Node | None, path: Path, findings: Findings) -> tuple[Check, ...]:
    """Conditions that must hold before an execution is created; `condition` is the older name of `when`."""
    found = []
    for entry, where in entries(node, path, findings, "An entry of `checks`"):
        shape, _ = checked(shapes.Check, dialects.renamed(entry, dialects.CHECK_NAMES), where, findings)
        if shape is not None:
            found.append(Check(shape.when, shape.message, shape.style, shape.behavior))
    return tuple(found)


def read_quotas(node: Node | None, path: Path, findings: Findings) -> None:
    """Quotas are examined; they are kept in the raw flow only."""
    for entry, where in entries(node, path, findings, "An entry of `quotas`"):
        checked(shapes.Quota, entry, where, findings)


def read_worker_selector(node: MapNode, path: Path, findings: Findings) -> WorkerSelector | None:
    """`workerGroup` (1.x) or `workerSelector` (2.0) of a flow, task or trigger; the newer one wins when both stand there."""
    group = _part(shapes.WorkerGroup, node.get("workerGroup"), (*path, "workerGroup"), findings)
    selector = _part(shapes.WorkerSelector, node.get("workerSelector"), (*path, "workerSelector"), findings)
    if selector is not None:
        return WorkerSelector(group.key if group else None, tuple(selector.tags), selector.match, selector.fallback)
    if group is not None and group.key is not None:
        return WorkerSelector(group=group.key, fallback=group.fallback)
    return None


def read_task_cache(node: Node | None, path: Path, findings: Findings) -> TaskCache | None:
    """The `taskCache` of a task."""
    shape = _part(shapes.TaskCache, node, path, findings)
    return TaskCache(shape.enabled, shape.ttl) if shape is not None else None


def _part(model: type[M], node: Node | None, path: Path, findings: Findings) -> M | None:
    if node is None or absent(node):
        return None
    entry = as_map(node, path, findings, f"`{path[-1]}`")
    return checked(model, entry, path, findings)[0] if entry is not None else None
