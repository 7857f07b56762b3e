"""The variables an expression sees (execution-semantics §14), and only those it names.

A sequence of a thousand tasks thus ships a thousand small contexts, not a thousand growing ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows.expressions import Names
from flows.machine.execution import Execution, TaskRun
from flows.spec.model import Task

if TYPE_CHECKING:
    from flows.machine.world import World


def iso(at_us: int) -> str:
    """Microseconds since 1970 as ISO-8601 in UTC, e.g. `2026-01-31T10:00:00.000001Z`."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).replace(microsecond=at_us % 1_000_000, tzinfo=None).isoformat() + "Z"


def variables(
    names: Names, world: World, execution: Execution, task: Task | None = None, run: TaskRun | None = None
) -> dict[str, Any]:
    """The context of a task run, or of the execution's end when `task` and `run` are None. Holds the named roots only."""
    wanted = names.roots
    found: dict[str, Any] = {}

    def want(root: str) -> bool:
        return wanted is None or root in wanted

    if wanted is not None and not wanted:
        return found
    if want("flow"):
        found["flow"] = {
            "id": execution.flow_id,
            "namespace": execution.namespace,
            "revision": execution.revision,
            "tenantId": execution.tenant,
        }
    if want("execution"):
        found["execution"] = execution_root(execution)
    if want("inputs") and execution.inputs:
        found["inputs"] = execution.inputs
    if want("vars") and (world.flow.variables or execution.variables):
        found["vars"] = {**world.flow.variables, **execution.variables}
    if want("labels"):
        found["labels"] = labels_map(execution.labels)
    if execution.trigger:
        _trigger_roots(found, want, execution.trigger)
    if want("outputs"):
        found["outputs"] = outputs_root(names, world, execution, run)
    if want("tasks"):
        found["tasks"] = world.lookup.states(execution)
    if execution.loop is not None and want("item"):
        found["item"] = execution.loop["item"]
    if execution.failure is not None and want("error"):
        found["error"] = execution.failure
    for root, value in world.roots.items():
        if want(root):
            found.setdefault(root, value)
    if task is not None and run is not None:
        _task_roots(found, want, execution, task, run)
    return found


def execution_root(execution: Execution) -> dict[str, Any]:
    """`execution` in expressions; its end and outputs once it has them."""
    found: dict[str, Any] = {
        "id": execution.id,
        "startDate": iso(execution.created_at),
        "originalId": execution.original_id or execution.id,
        "state": execution.state.value,
    }
    if execution.ended_at is not None:
        found["endDate"] = iso(execution.ended_at)
    if execution.outputs is not None:
        found["outputs"] = execution.outputs
    return found


def outputs_root(names: Names, world: World, execution: Execution, run: TaskRun | None) -> dict[str, Any]:
    """`outputs` in expressions: from the execution while it holds them, else looked up, and only what is named.

    An iteration of a Loop sees what its parent's tasks put out under its own (execution-semantics §7.3).
    """
    task_ids = None if names.outputs is None or names.roots is None else names.outputs
    if execution.known_outputs is not None:
        found = execution.known_outputs.nested(None if task_ids is None else sorted(task_ids))
    elif task_ids is None or run is None or not names.positions:
        found = world.lookup.outputs(execution, task_ids)
    else:
        path = run.path if run.value is None else (*run.path, run.value)
        here = names.outputs_here_at(len(path))
        found = world.lookup.outputs_here(execution, here, path) if here else {}
        others = task_ids - here
        if others:
            found = {**world.lookup.outputs(execution, others), **found}
    inherited = execution.loop.get("outputs") if execution.loop is not None else None
    return {**inherited, **found} if inherited else found


def _trigger_roots(found: dict[str, Any], want: Callable[[str], bool], trigger: Mapping[str, Any]) -> None:
    variables: Mapping[str, Any] = trigger.get("variables") or {}
    if want("trigger"):
        found["trigger"] = {**variables, "_context": {"id": trigger.get("id"), "type": trigger.get("type")}}
    if want("schedule") and "date" in variables:
        found["schedule"] = dict(variables)  # the older name of a schedule's variables


def _task_roots(found: dict[str, Any], want: Callable[[str], bool], execution: Execution, task: Task, run: TaskRun) -> None:
    if want("task"):
        found["task"] = {"id": task.id, "type": task.type}
    if want("taskrun"):
        taskrun: dict[str, Any] = {"id": run.id, "startDate": iso(run.created_at), "attemptsCount": run.attempt}
        if run.parent_id is not None:
            taskrun["parentId"] = run.parent_id
        if run.value is not None:
            taskrun["value"] = run.value
        if run.iteration is not None:
            taskrun["iteration"] = run.iteration
        found["taskrun"] = taskrun
    if (want("parent") or want("parents")) and run.parent_id is not None:
        parents = list(_parents(execution, run))
        if parents:
            found["parents"] = parents
            found["parent"] = parents[0]


def _parents(execution: Execution, run: TaskRun) -> list[dict[str, Any]]:
    """Ancestors, nearest first; only those with a value or outputs (execution-semantics §14.3)."""
    found = []
    step = execution.runs.get(run.parent_id) if run.parent_id else None
    while step is not None:
        entry: dict[str, Any] = {}
        if step.value is not None:
            entry["taskrun"] = {"value": step.value}
        if step.outputs:
            entry["outputs"] = step.outputs
        if entry:
            found.append(entry)
        step = execution.runs.get(step.parent_id) if step.parent_id else None
    return found


def labels_map(labels: list[dict[str, str]]) -> dict[str, Any]:
    """Labels as a map; `system.x` is nested under `system`. The first of two equal keys wins."""
    found: dict[str, Any] = {}
    for label in labels:
        key, value = label["key"], label["value"]
        if key.startswith("system."):
            found.setdefault("system", {}).setdefault(key[7:], value)
        else:
            found.setdefault(key, value)
    return found


def nest_outputs(
    tree: dict[str, Any], task_id: str, path: tuple[str, ...], value: str | None, outputs: Mapping[str, Any]
) -> None:
    """Merges a task run's outputs into `tree` under `<task>.<ancestor values…>.<own value>` (execution-semantics §14.2)."""
    node = tree.setdefault(task_id, {})
    for step in path if value is None else (*path, value):
        node = node.setdefault(step, {})
    for key, item in outputs.items():
        present = node.get(key)
        if isinstance(present, dict) and isinstance(item, dict):
            node[key] = {**present, **item}
        else:
            node[key] = item
