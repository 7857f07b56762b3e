"""Tasks that start executions of another flow, and the one flow they may not start: their own."""

from __future__ import annotations

from collections.abc import Iterable

from flows.plugins import is_template
from flows.spec.blocks import FoundTask
from flows.spec.faults import Findings
from flows.spec.source import MapNode, ScalarNode


def starts_executions(task: FoundTask) -> bool:
    """Whether a task starts executions of a flow that it names."""
    return task.type is not None and any(
        name.endswith((".Subflow", ".ForEachItem")) or name == "io.kestra.core.tasks.flows.Flow" for name in task.type.types
    )


def literal(node: MapNode, key: str) -> str | None:
    """The text of a property, unless it is an expression."""
    found = node.get(key)
    text = found.text if isinstance(found, ScalarNode) and found.value is not None else None
    return None if text is None or is_template(text) else text


def check_own_call(own: tuple[str, str], tasks: Iterable[FoundTask], findings: Findings) -> None:
    """A flow that starts itself, as written, would never end (flow-language §1.2)."""
    for task in tasks:
        if starts_executions(task) and (literal(task.node, "namespace"), literal(task.node, "flowId")) == own:
            place = task.node.entries["flowId"]
            message = f"Recursive call to flow [{'.'.join(own)}]"
            findings.error("flow.recursive", message, place, (*task.path, "flowId"))
