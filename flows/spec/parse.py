"""YAML source → `Flow`, or every problem that stands in the way.

    parsed = parse_flow(source, catalogue)
    if parsed.valid: run(parsed.flow)
    else: show(parsed.problems)

Reading goes on after a fault, so that one look shows all of them; a `Flow` exists only without errors.
"""

from __future__ import annotations

from dataclasses import dataclass

from flows.errors import FlowInvalid
from flows.plugins import Catalogue
from flows.spec import dialects, parts, shapes
from flows.spec.calls import check_own_call
from flows.spec.defaults import OuterDefaults, PluginDefaults
from flows.spec.faults import Findings, as_list, as_map, checked
from flows.spec.input_shapes import read_inputs
from flows.spec.labels import read_labels
from flows.spec.model import Flow, Input
from flows.spec.problems import Problem, in_order
from flows.spec.retry import read_retry
from flows.spec.source import MapNode, Node, ScalarNode, read_source
from flows.spec.tasks import TaskReader
from flows.spec.templates import check_templates
from flows.spec.triggers import TriggerReader


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


def parse_flow(source: str, catalogue: Catalogue, defaults: OuterDefaults = ()) -> Parsed:
    """Reads a flow source against the known plug-in types. Never raises on what a user wrote.

    `defaults`: plugin defaults from outside the flow, nearest namespace first, the installation's last.
    """
    return read_flow(source, catalogue, defaults).parsed


@dataclass(frozen=True, slots=True)
class Reading:
    """A source as it was read: what `parse_flow` answers, and the nodes for whoever looks further."""

    parsed: Parsed
    flow: Flow | None
    """The flow even when it has errors, as far as its top could be read; for looking at, not for running."""

    findings: Findings
    root: MapNode | None = None
    tasks: TaskReader | None = None
    triggers: TriggerReader | None = None
    inputs: tuple[Input, ...] = ()


def read_flow(source: str, catalogue: Catalogue, defaults: OuterDefaults = ()) -> Reading:
    """The same as `parse_flow`, with everything met on the way."""
    document = read_source(source)
    findings = Findings(document.problems)
    root = as_map(document.root, (), findings, "A flow") if document.root is not None else None
    if root is None:
        return Reading(_parsed(None, findings), None, findings)
    root = dialects.renamed(root, dialects.FLOW_NAMES)
    reader = _FlowReader(catalogue, findings, PluginDefaults.read(root.get("pluginDefaults"), catalogue, findings, defaults))
    flow = reader.read(root)
    return Reading(_parsed(flow, findings), flow, findings, root, reader.tasks, reader.triggers, reader.inputs)


def _parsed(flow: Flow | None, findings: Findings) -> Parsed:
    problems = in_order(findings.problems)
    return Parsed(None if any(problem.severity == "error" for problem in problems) else flow, problems)


class _FlowReader:
    """Reads the top of one document and hands the parts on."""

    def __init__(self, catalogue: Catalogue, findings: Findings, defaults: PluginDefaults) -> None:
        self.findings = findings
        self.inputs: tuple[Input, ...] = ()
        self.tasks = TaskReader(catalogue, findings, defaults)
        self.triggers = TriggerReader(catalogue, findings, defaults)

    def read(self, root: MapNode) -> Flow | None:
        findings = self.findings
        top, _ = checked(shapes.FlowDocument, root, (), findings)
        self._identity(root)
        if as_list(root.get("tasks"), ("tasks",), Findings(), "") == [] and not isinstance(root.get("tasks"), MapNode):
            where = root.entries.get("tasks") or root
            findings.error("flow.no_tasks", "A flow needs at least one task in `tasks`", where, ("tasks",))
        branches = {
            name: self.tasks.branch(root.get(name), (name,), None) for name in ("tasks", "errors", "finally", "afterExecution")
        }
        self._listeners(root.get("listeners"))
        labels = read_labels(root.get("labels"), ("labels",), findings)
        inputs = read_inputs(root.get("inputs"), ("inputs",), findings)
        outputs = parts.read_outputs(root.get("outputs"), ("outputs",), findings)
        triggers = self.triggers.read(root.get("triggers"), ("triggers",))
        retry_node = root.get("retry")
        retry = read_retry(retry_node, ("retry",), findings) if retry_node is not None else None
        concurrency = parts.read_concurrency(root.get("concurrency"), ("concurrency",), findings)
        sla = parts.read_sla(root.get("sla"), ("sla",), findings)
        checks = parts.read_checks(root.get("checks"), ("checks",), findings)
        parts.read_quotas(root.get("quotas"), ("quotas",), findings)
        selector = parts.read_worker_selector(root, (), findings)
        check_templates(root, self.tasks, self.triggers, findings)
        self.inputs = inputs
        if top is None:
            return None
        check_own_call((top.namespace, top.id), self.tasks.found, findings)
        index = {task.id: task for name in branches for first in branches[name] for task in first.walk()}
        variables = root.get("variables")
        return Flow(
            id=top.id,
            namespace=top.namespace,
            tasks=branches["tasks"],
            errors=branches["errors"],
            finally_=branches["finally"],
            after_execution=branches["afterExecution"],
            description=top.description,
            labels=labels,
            inputs=inputs,
            outputs=outputs,
            variables=variables.plain() if isinstance(variables, MapNode) else {},
            retry=retry,
            concurrency=concurrency,
            sla=sla,
            checks=checks,
            triggers=triggers,
            worker_group=selector.group if selector is not None else None,
            worker_selector=selector,
            disabled=top.disabled,
            draft=top.draft,
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

    def _listeners(self, node: Node | None) -> None:
        for entry, where in parts.entries(node, ("listeners",), self.findings, "A listener"):
            checked(shapes.Listener, entry, where, self.findings, templates=True)
            self.triggers.read_conditions(entry.get("conditions"), (*where, "conditions"))
            self.tasks.branch(entry.get("tasks"), (*where, "tasks"), None)
