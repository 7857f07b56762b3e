"""The templates of a flow: which texts will be rendered, where they stand, and whether they can be read at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flows.errors import ExpressionError
from flows.expressions import compile_template
from flows.plugins import TaskType, TriggerType
from flows.spec.blocks import FoundTask
from flows.spec.faults import Findings, Path
from flows.spec.source import ListNode, MapNode, Node, ScalarNode
from flows.spec.tasks import TaskReader, child_nodes
from flows.spec.triggers import TriggerReader

NEVER_RENDERED = frozenset(
    {"id", "type", "version", "description", "disabled", "retry", "workerGroup", "workerSelector", "taskCache", "stopAfter"}
)
"""Properties of a plug-in whose texts stay as they are."""

INPUT_TEMPLATES = ("defaults", "expression", "dependsOn")


@dataclass(slots=True)
class Spot:
    """A place in the source."""

    line: int
    column: int


def spot(node: ScalarNode, line: int) -> Spot:
    """The place of a line of a text (from 1): a block's text begins one line further down than its node."""
    below = line if node.block else line - 1
    return Spot(node.line + below, node.column if not below else 1)


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


def templates(node: Node, path: Path) -> Iterator[tuple[ScalarNode, Path]]:
    """The texts below a node that hold expressions or tags."""
    for scalar, where in texts(node, path):
        if "{{" in scalar.text or "{%" in scalar.text or "{#" in scalar.text:
            yield scalar, where


def task_properties(task: FoundTask) -> Iterator[tuple[str, Node, Path]]:
    """The properties of a task whose templates are rendered: name, node, path. Child tasks are tasks of their own."""
    apart = child_nodes(task.node, task.type) | NEVER_RENDERED | _unrendered(task.type)
    for key, entry in task.node.entries.items():
        if key not in apart:
            yield key, entry.value, (*task.path, key)


def _unrendered(task_type: type[TaskType] | None) -> frozenset[str]:
    return task_type.unrendered if task_type is not None else frozenset()


ASKED = frozenset({"conditions", "preconditions", "dependsOn"})
"""Properties of triggers that are not rendered as a whole, but whose expressions are asked one by one."""


def trigger_properties(node: MapNode, path: Path, trigger_type: type[TriggerType] | None) -> Iterator[tuple[str, Node, Path]]:
    """The properties of a trigger whose templates are evaluated at some time: name, node, path."""
    unrendered = trigger_type.unrendered - ASKED if trigger_type is not None else frozenset()
    for key, entry in node.entries.items():
        if key not in NEVER_RENDERED and key not in unrendered:
            yield key, entry.value, (*path, key)


def input_parts(node: Node | None, path: Path) -> Iterator[tuple[MapNode, str, Node, Path]]:
    """The rendered parts of declared inputs, those of forms included: the input, the name of the part, its node and path."""
    for index, item in enumerate(node.items if isinstance(node, ListNode) else []):
        if not isinstance(item, MapNode):
            continue
        for key in INPUT_TEMPLATES:
            part = item.get(key)
            if part is not None:
                yield item, key, part, (*path, index, key)
        yield from input_parts(item.get("inputs"), (*path, index, "inputs"))


def check_templates(root: MapNode, tasks: TaskReader, triggers: TriggerReader, findings: Findings) -> None:
    """Every template that will be rendered must be readable."""
    for task in tasks.found:
        for _, node, path in task_properties(task):
            check_syntax(node, path, findings)
    for trigger, path, trigger_type in triggers.found:
        for _, node, where in trigger_properties(trigger, path, trigger_type):
            check_syntax(node, where, findings)
    for name in ("outputs", "sla", "checks"):
        part = root.get(name)
        if isinstance(part, ListNode):
            check_syntax(part, (name,), findings)
    for _, _, part, path in input_parts(root.get("inputs"), ("inputs",)):
        check_syntax(part, path, findings)


def check_syntax(node: Node, path: Path, findings: Findings) -> None:
    """Notes an error for each template below a node that cannot be read."""
    for scalar, where in templates(node, path):
        try:
            compile_template(scalar.text)
        except ExpressionError as error:
            hint = "put text that only looks like an expression between {% raw %} and {% endraw %}"
            findings.error("flow.expression", str(error), spot(scalar, error.line or 1), where, hint)
