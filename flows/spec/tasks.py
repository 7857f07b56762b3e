"""Tasks: their type, their properties against the type's class, and the tasks below them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flows.plugins import Catalogue, TaskProperties, TaskType, is_template
from flows.spec import dialects, parts, shapes
from flows.spec.blocks import RUNNABLE, FoundTask, check_dag, check_switch, check_working_directory, is_dag
from flows.spec.defaults import PluginDefaults
from flows.spec.durations import parse_duration
from flows.spec.faults import Findings, Path, checked, found_text, suggestion
from flows.spec.input_shapes import read_inputs
from flows.spec.model import Task
from flows.spec.retry import read_retry
from flows.spec.source import ListNode, MapNode, Node, ScalarNode, located


class TaskReader:
    """Reads the tasks of one flow. `declared` knows every id of the source, `found` every task node with its class."""

    def __init__(self, catalogue: Catalogue, findings: Findings, defaults: PluginDefaults) -> None:
        self.catalogue = catalogue
        self.findings = findings
        self.defaults = defaults
        self.declared: dict[str, int] = {}
        self.disabled: set[str] = set()
        self.found: list[FoundTask] = []

    def branch(self, node: Node | None, path: Path, parent: str | None) -> tuple[Task, ...]:
        """The enabled tasks of a list, in order."""
        tasks: list[Task] = []
        for entry, where in parts.entries(node, path, self.findings, "A task"):
            task = self._task(entry, where, parent)
            if task is not None:
                tasks.append(task)
        return tuple(tasks)

    def _task(self, node: MapNode, path: Path, parent: str | None) -> Task | None:
        node = dialects.renamed(node, dialects.TASK_NAMES)
        name, task_type = self._type(node, path)
        if task_type is not None:
            node = self.defaults.over(node, name, task_type)
        found = FoundTask(node, path, task_type, parent)
        self.found.append(found)
        self._declare(node, path)
        shape_type: type[TaskProperties] = task_type if task_type is not None else _UnknownTask
        branch_names = task_type.branches if task_type is not None else ()
        fields = {field.alias or key for key, field in shape_type.model_fields.items()}
        foreign = [branch for branch in branch_names if branch not in fields]
        if task_type is not None and task_type.kind == "executable" and "outputs" not in fields:
            # Their classes use the name for what they give; what is written there is read here.
            foreign.append("outputs")
            self._written_outputs(node.get("outputs"), (*path, "outputs"))
        shape: TaskProperties | None
        before = len(self.findings.problems)
        shape, data = checked(shape_type, node, path, self.findings, skip=foreign, templates=True)
        if shape is None and len(self.findings.problems) == before:
            # Only expressions inside lists and maps stand where the class wants other types: they are known when they run.
            shape = _UnknownTask.model_validate({key: data[key] for key in data if key not in branch_names})
        task_id = self._id(node)
        branches = dict(self._branches(node, task_type, path, task_id))
        retry_node = node.get("retry")
        retry = read_retry(retry_node, (*path, "retry"), self.findings) if retry_node is not None else None
        selector = parts.read_worker_selector(node, path, self.findings)
        cache = parts.read_task_cache(node.get("taskCache"), (*path, "taskCache"), self.findings)
        self._durations(node, path)
        check_switch(found, self.findings)
        if task_type is not None and task_type.kind == "process" and task_type.branches:
            check_working_directory(self.found, found, self.findings)
        if "onResume" in node.entries and "onResume" in fields:
            read_inputs(node.get("onResume"), (*path, "onResume"), self.findings)
        if cache is not None and task_type is not None and task_type.kind not in RUNNABLE:
            message = f"`taskCache` has no effect: a {task_type.types[0].rsplit('.', 1)[-1]} does not run on a worker"
            self.findings.warn("flow.no_effect", message, node.entries["taskCache"], (*path, "taskCache"))
        if shape is None or task_type is None:
            return None
        data["type"] = name
        branches |= self._implied(task_type, data, node, path)
        if shape.disabled:
            self.disabled.add(shape.id)
            return None
        return Task(
            id=shape.id,
            type=name,
            kind=task_type.kind,
            properties=data,
            branches=branches,
            parent=parent,
            run_if=shape.when if shape.when is not None else shape.run_if,
            timeout=shape.timeout,
            retry=retry,
            allow_failure=shape.allow_failure,
            allow_warning=shape.allow_warning,
            worker_group=selector.group if selector is not None else None,
            worker_selector=selector,
            task_cache=cache,
        )

    def _branches(
        self, node: MapNode, task_type: type[TaskType] | None, path: Path, task_id: str | None
    ) -> Iterator[tuple[str, tuple[Task, ...]]]:
        for name in task_type.branches if task_type is not None else ():
            child = node.get(name)
            if child is None:
                continue
            if isinstance(child, MapNode) and isinstance(child.get("type"), ScalarNode):
                # One task instead of a list, as Pause's `onPause`.
                task = self._task(child, (*path, name), task_id)
                yield name, (task,) if task is not None else ()
            elif isinstance(child, MapNode):
                # Cases of a Switch: a map of lists.
                for case, entry in child.entries.items():
                    yield f"{name}.{case}", self.branch(entry.value, (*path, name, case), task_id)
            elif name == "tasks" and is_dag(task_type):
                yield name, self._dag(node, child, (*path, name), task_id)
            else:
                yield name, self.branch(child, (*path, name), task_id)

    def _dag(self, dag: MapNode, node: Node, path: Path, parent: str | None) -> tuple[Task, ...]:
        """The tasks of a Dag, each with what it depends on; a disabled dependency counts as met (execution-semantics §15, 28)."""
        tasks: list[tuple[Task, list[str]]] = []
        needs: dict[str, list[str]] = {}
        for entry, where in parts.entries(node, path, self.findings, "A task of a Dag"):
            shape, _ = checked(shapes.DagTask, entry, where, self.findings, templates=True)
            inner = entry.get("task")
            if not isinstance(inner, MapNode):
                continue
            task = self._task(inner, (*where, "task"), parent)
            task_id = self._id(inner)
            depends_on = shape.depends_on if shape is not None else []
            if task_id is not None:
                needs[task_id] = depends_on
            if task is not None:
                tasks.append((task, depends_on))
        check_dag(dag, needs, path, self.findings)
        present = {task.id for task, _ in tasks}
        return tuple(replace(task, depends_on=tuple(one for one in wanted if one in present)) for task, wanted in tasks)

    def _implied(self, task_type: type[TaskType], data: dict[str, Any], node: MapNode, path: Path) -> dict[str, tuple[Task, ...]]:
        """The tasks that a type adds below itself; they stand where their parent stands."""
        return {
            name: self.branch(located(tasks, node.line, node.column), (*path, name), self._id(node))
            for name, tasks in task_type.expand(data).items()
        }

    def _type(self, node: MapNode, path: Path) -> tuple[str, type[TaskType] | None]:
        written = node.get("type")
        if not isinstance(written, ScalarNode) or written.value is None:
            if written is not None and not isinstance(written, ScalarNode):
                self.findings.error(
                    "flow.wrong_type", f"`type` must be a text, found {found_text(written)}", written, (*path, "type")
                )
            return "", None
        found = dialects.known_type(self.catalogue.entries, written.text)
        if found is not None:
            return found
        hint = suggestion(written.text, self.catalogue.entries)
        self.findings.error("flow.unknown_type", f"Invalid type: {written.text[:200]}", written, (*path, "type"), hint)
        return written.text, None

    def _id(self, node: MapNode) -> str | None:
        found = node.get("id")
        return found.text if isinstance(found, ScalarNode) and found.value is not None else None

    def _declare(self, node: MapNode, path: Path) -> None:
        task_id = self._id(node)
        if task_id is None:
            return
        line = node.entries["id"].line
        if task_id in self.declared:
            message = f"Duplicate task id with name [{task_id[:100]}]; it stands already in line {self.declared[task_id]}"
            self.findings.error(
                "flow.duplicate_id", message, node.entries["id"], (*path, "id"), "ids are unique in the whole flow"
            )
        self.declared.setdefault(task_id, line)

    def _written_outputs(self, node: Node | None, path: Path) -> None:
        """Of a Loop: typed values of each iteration, a list; of a Subflow: a map, rendered in the child's context."""
        if isinstance(node, ListNode):
            parts.read_outputs(node, path, self.findings)
        elif node is not None and not parts.absent(node) and not isinstance(node, MapNode):
            message = f"`outputs` must be a list of outputs, or a map, found {found_text(node)}"
            self.findings.error("flow.wrong_type", message, node, path)

    def _durations(self, node: MapNode, path: Path) -> None:
        """Durations that classes take as texts, because they may be expressions."""
        frequency = node.get("checkFrequency")
        places = [(node, path, name) for name in ("timeout", "pauseDuration", "delay")]
        if isinstance(frequency, MapNode):
            places += [(frequency, (*path, "checkFrequency"), name) for name in ("interval", "maxDuration")]
        for holder, where, name in places:
            written = holder.get(name)
            if isinstance(written, ScalarNode) and isinstance(written.value, str) and not is_template(written.text):
                try:
                    parse_duration(written.text)
                except ValueError as error:
                    self.findings.error("flow.wrong_value", f"`{name}`: {error}", written, (*where, name))


class _UnknownTask(TaskProperties):
    """Only the common properties are examined: the type is not known, or the others are known only at run time."""

    model_config = {"extra": "allow"}


def child_nodes(node: MapNode, task_type: type[TaskType] | None) -> set[str]:
    """The names of a task's properties that hold tasks."""
    return (
        set(task_type.branches)
        if task_type is not None
        else {key for key, entry in node.entries.items() if isinstance(entry.value, ListNode) and _holds_tasks(entry.value)}
    )


def _holds_tasks(node: ListNode) -> bool:
    return any(isinstance(item, MapNode) and {"id", "type"} <= item.entries.keys() for item in node.items)
