"""Templates inside a flow: can they be read, and do they name what exists?

Unknown references are warnings, because only the data of a run decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flows.errors import ExpressionError
from flows.expressions import compile_template
from flows.expressions.registry import FILTERS, FUNCTIONS, TESTS
from flows.plugins import TaskType
from flows.spec.faults import Findings, Path, nearest
from flows.spec.model import Input
from flows.spec.source import ListNode, MapNode, Node, ScalarNode
from flows.spec.tasks import TaskReader, child_nodes

NEVER_RENDERED = frozenset({"id", "type", "version", "description", "disabled", "retry", "workerGroup", "workerSelector"})
"""Properties of a task whose texts stay as they are."""

OTHER_CONTEXTS = frozenset({"outputs"})
"""Properties rendered in the context of another execution (Subflow, ForEachItem): what they name is not known here."""

OUTSIDE_FUNCTIONS = frozenset(
    {
        "now",
        "secret",
        "kv",
        "credential",
        "read",
        "fileURI",
        "fileSize",
        "fileExists",
        "isFileEmpty",
        "fileEmpty",
        "encrypt",
        "decrypt",
        "uuid",
        "id",
        "ksuid",
        "nanoId",
        "randomPort",
        "randomInt",
        "iterationOutput",
        "loopOutputs",
        "errorLogs",
        "http",
        "appLink",
        "env",
        "fromIon",
        "isPublicHoliday",
    }
)
"""Functions that a scope may supply; the core register has the others."""

OUTSIDE_FILTERS = frozenset({"jq", "toIon"})
"""Filters of the language that may be supplied by a plug-in."""


def check_references(root: MapNode, reader: TaskReader, inputs: Iterable[Input], findings: Findings) -> None:
    """Examines every template that will be rendered: syntax (error), unknown tasks, inputs and names (warnings)."""
    known_inputs = {one.id.split(".")[0] for one in inputs}
    declared = root.get("inputs")
    if isinstance(declared, ListNode):
        for item in declared.items:
            named = (item.get("id") or item.get("name")) if isinstance(item, MapNode) else None
            if isinstance(named, ScalarNode):
                known_inputs.add(named.text.split(".")[0])
    checker = _Checker(set(reader.declared), known_inputs, findings)
    for task in reader.found:
        node, path, task_type = task.node, task.path, task.type
        children = child_nodes(node, task_type)
        for key, entry in node.entries.items():
            if key in children or key in NEVER_RENDERED or (task_type is not None and key in task_type.unrendered):
                continue
            checker.value(entry.value, (*path, key), references=not (key in OTHER_CONTEXTS and _starts_executions(task_type)))
    _check_recursion(root, reader, findings)
    for name in ("outputs", "sla", "checks"):
        part = root.get(name)
        if isinstance(part, ListNode):
            checker.value(part, (name,), references=name == "outputs")
    if isinstance(declared, ListNode):
        for index, item in enumerate(declared.items):
            for key in ("defaults", "expression", "dependsOn"):
                part = item.get(key) if isinstance(item, MapNode) else None
                if part is not None:
                    checker.value(part, ("inputs", index, key), references=False)


def _check_recursion(root: MapNode, reader: TaskReader, findings: Findings) -> None:
    """A flow that starts itself, as written, would never end."""
    own = tuple(found.text if isinstance(found := root.get(name), ScalarNode) else None for name in ("namespace", "id"))
    for task in reader.found:
        node, path, task_type = task.node, task.path, task.type
        if task_type is not None and _starts_executions(task_type):
            target = tuple(
                text.text if isinstance(text := node.get(name), ScalarNode) else None for name in ("namespace", "flowId")
            )
            if target == own and None not in own:
                place = node.entries["flowId"]
                findings.error("flow.recursive", f"Recursive call to flow [{'.'.join(map(str, own))}]", place, (*path, "flowId"))


def _starts_executions(task_type: type[TaskType] | None) -> bool:
    return task_type is None or any(name.endswith(("Subflow", "ForEachItem", ".Flow")) for name in task_type.types)


def texts(node: Node, path: Path) -> Iterator[tuple[ScalarNode, Path]]:
    """The texts below a node, with their places."""
    if isinstance(node, ScalarNode):
        if isinstance(node.value, str):
            yield node, path
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from texts(item, (*path, index))
    else:
        for key, entry in node.entries.items():
            yield from texts(entry.value, (*path, key))


class _Checker:
    def __init__(self, tasks: set[str], inputs: set[str], findings: Findings) -> None:
        self.tasks = tasks
        self.inputs = inputs
        self.findings = findings

    def value(self, node: Node, path: Path, *, references: bool) -> None:
        for scalar, where in texts(node, path):
            text = scalar.text
            if "{{" in text or "{%" in text or "{#" in text:
                self._template(scalar, where, references)

    def _template(self, node: ScalarNode, path: Path, references: bool) -> None:
        try:
            names = compile_template(node.text).names
        except ExpressionError as error:
            below = _lines_below(node, error.line or 1)
            self.findings.error(
                "flow.expression",
                str(error),
                _Spot(node.line + below, node.column if not below else 1),
                path,
                "put text that only looks like an expression between {% raw %} and {% endraw %}",
            )
            return
        if references and names.outputs is not None:
            self._unknown(names.outputs, self.tasks, "outputs", "task", node, path)
        if references and names.inputs is not None:
            self._unknown(names.inputs, self.inputs, "inputs", "input", node, path)
        self._unknown_calls(names.filters, FILTERS.keys() | OUTSIDE_FILTERS, "filter", node, path)
        self._unknown_calls(names.tests, TESTS.keys(), "test", node, path)
        self._unknown_calls(names.functions, FUNCTIONS.keys() | OUTSIDE_FUNCTIONS, "function", node, path)

    def _unknown(self, named: frozenset[str], known: set[str], root: str, what: str, node: ScalarNode, path: Path) -> None:
        for name in sorted(named - known):
            position = node.text.find(name)
            below = _lines_below(node, node.text.count("\n", 0, max(position, 0)) + 1)
            message = f"`{root}.{name[:100]}` is used, but the flow has no {what} `{name[:100]}`"
            self.findings.warn("flow.unknown_reference", message, node, path, nearest(name, known), below)

    def _unknown_calls(self, named: frozenset[str], known: Iterable[str], what: str, node: ScalarNode, path: Path) -> None:
        for name in sorted(named - set(known)):
            message = f"There is no {what} `{name[:100]}`"
            self.findings.warn("flow.unknown_function", message, node, path, nearest(name, known))


class _Spot:
    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column


def _lines_below(node: ScalarNode, line: int) -> int:
    """Lines from a node's start to a line of its text: a block's text begins one line further down."""
    return line if node.block else line - 1
