"""What can never run: branches behind a constant, cases that cannot match, tasks after the end."""

from __future__ import annotations

from flows.errors import ExpressionError
from flows.expressions import Scope, compile_template, truthy
from flows.plugins import is_template
from flows.spec.check.mentions import mentions
from flows.spec.check.places import Place, Places
from flows.spec.faults import Findings
from flows.spec.model import Input
from flows.spec.source import ListNode, MapNode, Node, ScalarNode

_NOT_SEQUENTIAL = frozenset({"Parallel", "Dag", "EachParallel", "Switch"})


def constant(node: Node | None) -> str | None:
    """The text a property always renders to; None when it depends on anything."""
    if not isinstance(node, ScalarNode) or node.value is None:
        return None
    if not isinstance(node.value, str):
        return str(node.value).lower() if isinstance(node.value, bool) else node.text
    if not is_template(node.text):
        return node.text
    try:
        found = mentions(node.text)
        if found.paths or any(call.kind == "function" for call in found.calls):
            return None
        return compile_template(node.text).render(Scope({}))
    except ExpressionError:
        return None


def check_reach(places: Places, inputs: tuple[Input, ...], findings: Findings) -> None:
    """Warns of everything that can never run. Disabled tasks are no concern."""
    for place in places.all:
        if place.generated or place.disabled:
            continue
        if place.name == "If":
            _check_if(place, findings)
        elif place.name == "Switch":
            _check_switch(place, inputs, findings)
        elif place.name in ("ForEach", "Loop", "EachSequential", "EachParallel"):
            key = "values" if "values" in place.found.node.entries else "value"
            values = place.found.node.get(key)
            if isinstance(values, ListNode) and not values.items:
                entry = place.found.node.entries[key]
                findings.warn(
                    "flow.unreachable", f"`{place.id}` has no values: its tasks never run", entry, (*place.found.path, key)
                )
        for key in ("runIf", "when"):
            node = place.found.node.get(key)
            # A plain `false` is somebody's switch; an expression that never holds is a mistake.
            written = constant(node) if isinstance(node, ScalarNode) and is_template(node.text) else None
            if written is not None and not truthy(written):
                entry = place.found.node.entries[key]
                findings.warn(
                    "flow.unreachable", f"`{key}` is never true: `{place.id}` never runs", entry, (*place.found.path, key)
                )
    _check_after_the_end(places, findings)


def _check_if(place: Place, findings: Findings) -> None:
    node = place.found.node
    written = constant(node.get("condition"))
    if written is None:
        return
    dead = "else" if truthy(written) else "then"
    branch = node.entries.get(dead)
    if branch is not None and isinstance(branch.value, ListNode) and branch.value.items:
        message = f"The condition of `{place.id}` is always {'true' if dead == 'else' else 'false'}: `{dead}` never runs"
        findings.warn("flow.unreachable", message, branch, (*place.found.path, dead))


def _check_switch(place: Place, inputs: tuple[Input, ...], findings: Findings) -> None:
    node = place.found.node
    cases = node.get("cases")
    if not isinstance(cases, MapNode):
        return
    possible = _possible_values(node.get("value"), inputs)
    if possible is None:
        return
    for key, entry in cases.entries.items():
        if key not in possible:
            shown = ", ".join(f"`{one}`" for one in sorted(possible)[:10])
            message = f"The case `{key[:100]}` of `{place.id}` never matches"
            findings.warn("flow.unreachable", message, entry, (*place.found.path, "cases", key), f"the value is one of {shown}")


def _possible_values(value: Node | None, inputs: tuple[Input, ...]) -> set[str] | None:
    written = constant(value)
    if written is not None:
        return {written}
    if not isinstance(value, ScalarNode):
        return None
    try:
        found = mentions(value.text)
    except ExpressionError:
        return None
    if len(found.paths) != 1 or found.calls or found.paths[0].guarded:
        return None
    keys = found.paths[0].keys
    expression = value.text.strip().removeprefix("{{").removesuffix("}}").strip().lstrip("-").strip()
    name = ".".join(str(key) for key in keys[1:])
    if keys[0] != "inputs" or None in keys or expression != f"inputs.{name}":
        return None
    declared = next((one for one in inputs if one.id == name), None)
    if declared is None:
        return None
    if declared.type in ("BOOL", "BOOLEAN"):
        return {"true", "false", ""} if not declared.required else {"true", "false"}
    values = declared.extra.get("values")
    closed = declared.type in ("SELECT", "ENUM") and declared.required and not declared.extra.get("allowCustomValue")
    return {str(one) for one in values} if closed and values and not declared.extra.get("expression") else None


def _check_after_the_end(places: Places, findings: Findings) -> None:
    """Tasks that follow one which always fails, or ends the execution, in the same sequence."""
    ended: dict[tuple[Place | None, str], Place] = {}
    for place in sorted(places.all, key=lambda one: one.index):
        key = (place.parent, place.branch)
        block = place.parent.name if place.parent is not None else ""
        if place.disabled or place.generated or (block in _NOT_SEQUENTIAL and place.branch == "tasks"):
            continue
        first = ended.get(key)
        if first is not None:
            message = f"`{place.id}` never runs: `{first.id}` before it always ends the sequence"
            findings.warn("flow.unreachable", message, place.found.node, place.found.path)
        elif _always_ends(place):
            ended[key] = place


def _always_ends(place: Place) -> bool:
    node = place.found.node
    if any(key in node.entries for key in ("runIf", "when", "allowFailure", "retry")):
        return False
    if place.name == "Exit":
        return True
    return place.name == "Fail" and "condition" not in node.entries and place.phase == 0
