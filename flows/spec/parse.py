"""YAML source → `Flow`, or every problem that stands in the way.

    parsed = parse_flow(source, catalogue)
    if parsed.valid: run(parsed.flow)
    else: show(parsed.problems)

Reading goes on after a fault, so that one look shows all of them; a `Flow` exists only without errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flows.errors import FlowInvalid
from flows.plugins import Catalogue
from flows.spec import dialects, shapes, validate
from flows.spec.defaults import PluginDefaults
from flows.spec.faults import Findings, as_list, as_map, checked, found_text
from flows.spec.input_shapes import read_inputs
from flows.spec.labels import read_labels
from flows.spec.model import Flow, Output, Retry
from flows.spec.problems import Problem
from flows.spec.retry import read_retry
from flows.spec.source import ListNode, MapNode, Node, ScalarNode, read_source
from flows.spec.tasks import TaskReader


@dataclass(frozen=True, slots=True)
class Parsed:
    """The outcome of reading a source: the flow when there is no error, and all findings in order of their place."""

    flow: Flow | None
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether there is a flow. Warnings do not prevent one."""
        return self.flow is not None

    def require(self) -> Flow:
        """The flow. Raises FlowInvalid with the errors when there is none."""
        if self.flow is None:
            raise FlowInvalid([problem for problem in self.problems if problem.severity == "error"])
        return self.flow


def parse_flow(source: str, catalogue: Catalogue) -> Parsed:
    """Reads a flow source against the known task types. Never raises on what a user wrote."""
    document = read_source(source)
    findings = Findings(document.problems)
    flow = None
    if document.root is not None:
        root = as_map(document.root, (), findings, "A flow")
        if root is not None:
            flow = _FlowReader(catalogue, findings).read(root)
    problems = sorted(findings.problems, key=_place)
    if any(problem.severity == "error" for problem in problems):
        flow = None
    return Parsed(flow, tuple(dict.fromkeys(problems)))


def _place(problem: Problem) -> tuple[int, int]:
    return (problem.line or 0, problem.column or 0)


class _FlowReader:
    """Reads the top of one document and hands the parts on."""

    def __init__(self, catalogue: Catalogue, findings: Findings) -> None:
        self.catalogue = catalogue
        self.findings = findings

    def read(self, root: MapNode) -> Flow | None:
        findings = self.findings
        root = dialects.renamed(root, dialects.FLOW_NAMES)
        top, _ = checked(shapes.FlowDocument, root, (), findings)
        self._identity(root)
        defaults = PluginDefaults.read(root.get("pluginDefaults"), self.catalogue, findings)
        reader = TaskReader(self.catalogue, findings, defaults)
        if as_list(root.get("tasks"), ("tasks",), Findings(), "") == [] and not isinstance(root.get("tasks"), (MapNode,)):
            where = root.entries.get("tasks") or root
            findings.error("flow.no_tasks", "A flow needs at least one task in `tasks`", where, ("tasks",))
        branches = {
            name: reader.branch(root.get(name), (name,), None) for name in ("tasks", "errors", "finally", "afterExecution")
        }
        self._listeners(root.get("listeners"), reader)
        labels = read_labels(root.get("labels"), ("labels",), findings)
        inputs = read_inputs(root.get("inputs"), ("inputs",), findings)
        outputs = self._outputs(root.get("outputs"))
        self._triggers(root.get("triggers"))
        retry = self._retry(root.get("retry"))
        self._small_parts(root)
        validate.check_references(root, reader, inputs, findings)
        if top is None:
            return None
        index = {task.id: task for name in branches for first in branches[name] for task in first.walk()}
        variables = root.get("variables")
        return Flow(
            id=top.id,
            namespace=top.namespace,
            tasks=branches["tasks"],
            errors=branches["errors"],
            finally_=branches["finally"],
            description=top.description,
            labels=labels,
            inputs=inputs,
            outputs=outputs,
            variables=variables.plain() if isinstance(variables, MapNode) else {},
            retry=retry,
            disabled=top.disabled,
            raw=root.plain(),
            index=index,
        )

    def _identity(self, root: MapNode) -> None:
        node = root.get("id")
        if isinstance(node, ScalarNode) and node.text in shapes.RESERVED_FLOW_IDS:
            self.findings.error(
                "flow.reserved_id",
                f"The flow id `{node.text}` is reserved",
                node,
                ("id",),
                "choose another id, for example with a suffix",
            )

    def _retry(self, node: Node | None) -> Retry | None:
        return read_retry(node, ("retry",), self.findings) if node is not None else None

    def _outputs(self, node: Node | None) -> tuple[Output, ...]:
        found: list[Output] = []
        seen: dict[str, int] = {}
        for index, item in enumerate(as_list(node, ("outputs",), self.findings, "`outputs`")):
            path = ("outputs", index)
            entry = as_map(item, path, self.findings, "An output")
            if entry is None:
                continue
            shape, data = checked(shapes.Output, entry, path, self.findings, templates=True)
            if shape is None:
                continue
            if shape.id in seen:
                self.findings.error(
                    "flow.duplicate_id",
                    f"Duplicate output with name [{shape.id}]; it stands already in line {seen[shape.id]}",
                    entry,
                    path,
                )
            seen.setdefault(shape.id, entry.line)
            found.append(Output(shape.id, data.get("value"), shape.type))
        return tuple(found)

    def _triggers(self, node: Node | None) -> None:
        seen: dict[str, int] = {}
        for index, item in enumerate(as_list(node, ("triggers",), self.findings, "`triggers`")):
            path = ("triggers", index)
            entry = as_map(item, path, self.findings, "A trigger")
            if entry is None:
                continue
            shape, _ = checked(shapes.Trigger, entry, path, self.findings, templates=True)
            if shape is not None and shape.id in seen:
                message = f"Duplicate trigger id with name [{shape.id}]; it stands already in line {seen[shape.id]}"
                self.findings.error("flow.duplicate_id", message, entry, path)
            elif shape is not None:
                seen[shape.id] = entry.line

    def _listeners(self, node: Node | None, reader: TaskReader) -> None:
        for index, item in enumerate(as_list(node, ("listeners",), self.findings, "`listeners`")):
            entry = as_map(item, ("listeners", index), self.findings, "A listener")
            if entry is not None:
                checked(shapes.Listener, entry, ("listeners", index), self.findings)
                reader.branch(entry.get("tasks"), ("listeners", index, "tasks"), None)

    def _small_parts(self, root: MapNode) -> None:
        findings = self.findings
        concurrency = root.get("concurrency")
        if isinstance(concurrency, MapNode):
            checked(shapes.Concurrency, concurrency, ("concurrency",), findings)
        elif concurrency is not None and not (isinstance(concurrency, ScalarNode) and concurrency.value is None):
            findings.error(
                "flow.wrong_type", f"`concurrency` must be a map, found {found_text(concurrency)}", concurrency, ("concurrency",)
            )
        for name, model, names in (
            ("sla", shapes.Sla, {}),
            ("checks", shapes.Check, dialects.CHECK_NAMES),
            ("quotas", shapes.Quota, {}),
        ):
            node = root.get(name)
            for index, item in enumerate(node.items if isinstance(node, ListNode) else []):
                entry = as_map(item, (name, index), findings, f"An entry of `{name}`")
                if entry is not None:
                    self._part(model, dialects.renamed(entry, names), (name, index))

    def _part(self, model: Any, node: MapNode, path: tuple[str | int, ...]) -> None:
        shape, _ = checked(model, node, path, self.findings)
        if isinstance(shape, shapes.Sla):
            if shape.type == "MAX_DURATION" and shape.duration is None:
                self.findings.error("flow.missing_property", "MAX_DURATION needs `duration`", node, path)
            if shape.type == "EXECUTION_ASSERTION" and shape.assert_ is None:
                self.findings.error("flow.missing_property", "EXECUTION_ASSERTION needs `assert`", node, path)
            read_labels(node.get("labels"), (*path, "labels"), self.findings)
