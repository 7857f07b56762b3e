"""Tasks: their type, their properties against the type's class, and the tasks below them."""

from __future__ import annotations

from flows.plugins import Catalogue, TaskProperties, TaskType, is_template
from flows.spec import dialects
from flows.spec.defaults import PluginDefaults
from flows.spec.durations import parse_duration
from flows.spec.faults import Findings, Path, as_list, as_map, checked, found_text, nearest
from flows.spec.model import Task
from flows.spec.retry import read_retry
from flows.spec.source import ListNode, MapNode, Node, ScalarNode


class TaskReader:
    """Reads the tasks of one flow. `declared` knows every id of the source, `found` every task node with its class."""

    def __init__(self, catalogue: Catalogue, findings: Findings, defaults: PluginDefaults) -> None:
        self.catalogue = catalogue
        self.findings = findings
        self.defaults = defaults
        self.declared: dict[str, int] = {}
        self.found: list[tuple[MapNode, Path, type[TaskType] | None]] = []
        self._types: list[str] | None = None

    def branch(self, node: Node | None, path: Path, parent: str | None) -> tuple[Task, ...]:
        """The enabled tasks of a list, in order."""
        tasks: list[Task] = []
        for index, item in enumerate(as_list(node, path, self.findings, f"`{path[-1]}`")):
            entry = as_map(item, (*path, index), self.findings, "A task")
            task = self._task(entry, (*path, index), parent) if entry is not None else None
            if task is not None:
                tasks.append(task)
        return tuple(tasks)

    def _task(self, node: MapNode, path: Path, parent: str | None) -> Task | None:
        if "task" in node.entries and "type" not in node.entries:
            # A Dag wraps each task with what it depends on.
            inner = node.get("task")
            entry = as_map(inner, (*path, "task"), self.findings, "A task") if inner is not None else None
            return self._task(entry, (*path, "task"), parent) if entry is not None else None
        node = dialects.renamed(node, dialects.TASK_NAMES)
        name, task_type = self._type(node, path)
        if task_type is not None:
            node = self.defaults.over(node, name, task_type)
        self.found.append((node, path, task_type))
        self._declare(node, path)
        shape_type: type[TaskProperties] = task_type if task_type is not None else _UnknownTask
        branch_names = task_type.branches if task_type is not None else ()
        fields = {field.alias or key for key, field in shape_type.model_fields.items()}
        foreign = [branch for branch in branch_names if branch not in fields]
        shape: TaskProperties | None
        before = len(self.findings.problems)
        shape, data = checked(shape_type, node, path, self.findings, skip=foreign, templates=True)
        if shape is None and len(self.findings.problems) == before:
            # Only expressions inside lists and maps stand where the class wants other types: they are known when they run.
            shape = _UnknownTask.model_validate({key: data[key] for key in data if key not in branch_names})
        task_id = self._id(node)
        branches = {branch: tasks for branch in branch_names for branch, tasks in self._branches(node, branch, path, task_id)}
        retry_node = node.get("retry")
        retry = read_retry(retry_node, (*path, "retry"), self.findings) if retry_node is not None else None
        self._timeout(node, path)
        if shape is None or task_type is None or shape.disabled:
            return None
        data["type"] = name
        group = shape.worker_group.get("key") if shape.worker_group else None
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
            worker_group=group if isinstance(group, str) else None,
        )

    def _branches(self, node: MapNode, name: str, path: Path, task_id: str | None) -> list[tuple[str, tuple[Task, ...]]]:
        child = node.get(name)
        if isinstance(child, MapNode):
            # Cases of a Switch: a map of lists.
            found = []
            for case, entry in child.entries.items():
                found.append((f"{name}.{case}", self.branch(entry.value, (*path, name, case), task_id)))
            return found
        if child is None:
            return []
        return [(name, self.branch(child, (*path, name), task_id))]

    def _type(self, node: MapNode, path: Path) -> tuple[str, type[TaskType] | None]:
        written = node.get("type")
        if not isinstance(written, ScalarNode) or written.value is None:
            if written is not None and not isinstance(written, ScalarNode):
                self.findings.error(
                    "flow.wrong_type", f"`type` must be a text, found {found_text(written)}", written, (*path, "type")
                )
            return "", None
        for candidate in dialects.present_types(written.text):
            found = self.catalogue.get(candidate)
            if found is not None:
                return candidate, found
        if self._types is None:
            self._types = list(self.catalogue.entries)
        hint = nearest(written.text, self._types) or self._same_class(written.text)
        self.findings.error("flow.unknown_type", f"Invalid type: {written.text[:200]}", written, (*path, "type"), hint)
        return written.text, None

    def _same_class(self, written: str) -> str | None:
        last = written.rsplit(".", 1)[-1]
        alike = [name for name in self._types or () if name.rsplit(".", 1)[-1] == last]
        return f"did you mean `{alike[0]}`?" if alike else None

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

    def _timeout(self, node: MapNode, path: Path) -> None:
        timeout = node.get("timeout")
        if isinstance(timeout, ScalarNode) and timeout.value is not None and not is_template(timeout.text):
            try:
                parse_duration(timeout.text)
            except ValueError as error:
                self.findings.error("flow.wrong_value", f"`timeout`: {error}", timeout, (*path, "timeout"))


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
