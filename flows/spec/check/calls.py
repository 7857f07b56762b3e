"""Calls of other flows, and starts of this one by its triggers: the flow, its inputs, their types."""

from __future__ import annotations

from collections.abc import Iterable

from flows.errors import InputInvalid
from flows.plugins import is_template
from flows.spec import input_types
from flows.spec.blocks import FoundTask
from flows.spec.calls import literal, starts_executions
from flows.spec.check.known import Known, KnownFlow
from flows.spec.faults import Findings, Path, nearest
from flows.spec.input_shapes import dependencies
from flows.spec.model import Input
from flows.spec.source import Entry, MapNode, Node
from flows.spec.templates import texts

CALL_DEPTH_MAX = 50
"""Flows followed from one call while looking for a circle."""


def check_calls(own: tuple[str, str], tasks: Iterable[FoundTask], known: Known, findings: Findings) -> dict[str, tuple[str, ...]]:
    """Checks every call that names its flow. Returns the flow outputs that are known to come back, by task id."""
    outputs: dict[str, tuple[str, ...]] = {}
    for task in tasks:
        namespace, flow_id = literal(task.node, "namespace"), literal(task.node, "flowId")
        if not starts_executions(task) or namespace is None or flow_id is None or (namespace, flow_id) == own:
            continue
        place, path = task.node.entries["flowId"], (*task.path, "flowId")
        if known.may_call(own[0], namespace) is False:
            message = f"Flows of `{own[0]}` may not start flows of `{namespace}`"
            findings.error("flow.not_allowed", message, task.node.entries["namespace"], (*task.path, "namespace"))
            continue
        target = known.flow(namespace, flow_id)
        if target is None:
            continue
        if target is False:
            findings.error("flow.missing_subflow", f"There is no flow `{namespace}.{flow_id}`", place, path)
            continue
        if target.disabled:
            findings.error("flow.missing_subflow", f"The flow `{namespace}.{flow_id}` is disabled", place, path)
        if _comes_back(own, target, known):
            message = f"The flow `{namespace}.{flow_id}` starts this one again, directly or through others"
            findings.warn("flow.recursive", message, place, path)
        task_id = literal(task.node, "id")
        if task_id is not None and literal(task.node, "revision") is None:
            outputs[task_id] = target.outputs
        given = task.node.get("inputs")
        if given is None or isinstance(given, MapNode):
            check_given(given, target.inputs, task.node, task.path, f"{namespace}.{flow_id}", findings)
    return outputs


def _comes_back(own: tuple[str, str], target: KnownFlow, known: Known) -> bool:
    waiting, seen = list(target.calls), set(target.calls)
    while waiting and len(seen) <= CALL_DEPTH_MAX:
        one = waiting.pop()
        if one == own:
            return True
        found = known.flow(*one)
        if found:
            waiting.extend(call for call in found.calls if call not in seen)
            seen.update(found.calls)
    return own in seen


def check_given(
    given: MapNode | None, declared: tuple[Input, ...], node: MapNode, path: Path, flow: str, findings: Findings
) -> None:
    """Literal values must fit, required inputs must be there, others have no effect."""
    by_id = {one.id: one for one in declared}
    entries = dict(_leaves(given, by_id)) if given is not None else {}
    where = (*path, "inputs")
    for name, entry in entries.items():
        one = by_id.get(name)
        if one is None:
            message = f"The flow `{flow}` has no input `{name[:100]}`; the value is dropped"
            findings.warn("flow.unknown_input", message, entry, (*where, name), nearest(name, by_id))
        elif not _has_templates(entry.value):
            _check_value(one, entry, (*where, name), findings)
    for one in declared:
        conditional = dependencies(one) or one.extra.get("formConditions") or one.extra.get("dependsOn")
        chosen = one.extra.get("autoSelectFirst")
        if one.required and not one.has_defaults and not conditional and not chosen and one.id not in entries:
            message = f"The flow `{flow}` needs the input `{one.id}`"
            findings.error("flow.missing_input", message, node.entries.get("inputs") or node, where, f"give it as `{one.id}`")


def _check_value(declared: Input, entry: Entry, path: Path, findings: Findings) -> None:
    value = entry.value.plain()
    if value is None or declared.type == "FILE" or declared.extra.get("expression") is not None:
        return
    try:
        input_types.parse(declared, value)
    except InputInvalid as fault:
        findings.error("flow.wrong_input", str(fault), entry.value, path, f"the input is of the type {declared.type}")


def _has_templates(node: Node) -> bool:
    return any(is_template(scalar.text) for scalar, _ in texts(node, ()))


def _leaves(node: MapNode, declared: dict[str, Input], prefix: str = "") -> list[tuple[str, Entry]]:
    """The given values by input id: a map stands for dotted ids where such are declared."""
    found = []
    for key, entry in node.entries.items():
        name = f"{prefix}{key}"
        deeper = name not in declared and any(one.startswith(name + ".") for one in declared)
        if deeper and isinstance(entry.value, MapNode):
            found += _leaves(entry.value, declared, f"{name}.")
        else:
            found.append((name, entry))
    return found
