"""Declared inputs: their shape by type, ids, dependencies and literal defaults (flow-language §4)."""

from __future__ import annotations

from typing import Any

from flows.errors import ExpressionError, InputInvalid
from flows.expressions import regexes
from flows.plugins import is_template
from flows.spec import dialects, input_types, shapes
from flows.spec.cycles import circular
from flows.spec.faults import Findings, Path, as_list, as_map, checked, found_text, nearest
from flows.spec.model import Input
from flows.spec.source import MapNode, Node, ScalarNode

_COMMON = {"id", "type", "description", "displayName", "required", "defaults"}


def read_inputs(node: Node | None, path: Path, findings: Findings) -> tuple[Input, ...]:
    """The inputs at a node, in order; faulty ones left out with problems."""
    found: list[Input] = []
    places: dict[str, tuple[MapNode, Path]] = {}
    for index, item in enumerate(as_list(node, path, findings, "`inputs`")):
        where = (*path, index)
        entry = as_map(item, where, findings, "An input")
        if entry is None:
            continue
        entry = dialects.renamed(entry, dialects.INPUT_NAMES)
        declared = _input(entry, where, findings)
        if declared is None:
            continue
        if declared.id in places:
            first = places[declared.id][0].line
            message = f"Duplicate input with name [{declared.id}]; it stands already in line {first}"
            findings.error("flow.duplicate_id", message, entry, where)
            continue
        places[declared.id] = (entry, where)
        found.append(declared)
    _check_dependencies(found, places, findings)
    _check_nesting(found, places, findings)
    return tuple(found)


def _input(node: MapNode, path: Path, findings: Findings) -> Input | None:
    kind = node.get("type")
    name = kind.text if isinstance(kind, ScalarNode) else ""
    model = shapes.INPUTS.get(name, shapes.Input)
    if kind is not None and name not in input_types.KNOWN:
        findings.error(
            "flow.unknown_type",
            f"Unknown input type {found_text(kind)}",
            kind,
            (*path, "type"),
            nearest(name.upper(), input_types.KNOWN),
        )
        return None
    shape, data = checked(model, node, path, findings, templates=True)
    if shape is None:
        return None
    if isinstance(shape, (shapes.ArrayInput, shapes.MultiselectInput)) and shape.item_type == "ARRAY":
        findings.error("flow.wrong_value", "`itemType` cannot be `ARRAY`", node, (*path, "itemType"))
    if isinstance(shape, shapes.MultiselectInput) and shape.options is not None and shape.values is not None:
        findings.error("flow.wrong_value", "`options` and `values` exclude each other", node, path)
    if isinstance(shape, (shapes.SelectInput, shapes.MultiselectInput)):
        given = data.get("values") or data.get("options") or shape.expression
        if not given:
            findings.warn("flow.missing_property", f"{shape.type} needs `values` or `expression`", node, path)
    if isinstance(shape, shapes.TextInput) and shape.validator is not None:
        try:
            regexes.check(shape.validator)
        except ExpressionError as error:
            place = node.entries["validator"]
            findings.error("flow.wrong_value", f"invalid pattern [{shape.validator}]: {error}", place, (*path, "validator"))
    extra: dict[str, Any] = {key: value for key, value in data.items() if key not in _COMMON}
    declared = Input(
        id=shape.id,
        type=shape.type,
        required=shape.required,
        defaults=data.get("defaults"),
        has_defaults=data.get("defaults") is not None,
        description=shape.description,
        display_name=shape.display_name,
        extra=extra,
    )
    _check_default(declared, node, path, findings)
    return declared


def _check_default(declared: Input, node: MapNode, path: Path, findings: Findings) -> None:
    if not declared.has_defaults or "{{" in str(declared.defaults) or "{%" in str(declared.defaults):
        return
    if declared.extra.get("expression") is not None or is_template(declared.defaults):
        return
    try:
        input_types.parse(declared, declared.defaults)
    except InputInvalid as error:
        findings.error(
            "flow.wrong_value", f"The default does not fit: {error}", node.entries["defaults"].value, (*path, "defaults")
        )


def _dependencies(declared: Input) -> list[str]:
    depends = declared.extra.get("dependsOn")
    names = depends.get("inputs") if isinstance(depends, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else []


def _check_dependencies(found: list[Input], places: dict[str, tuple[MapNode, Path]], findings: Findings) -> None:
    needs = {declared.id: _dependencies(declared) for declared in found}
    ring_members = circular(needs)
    for declared in found:
        node, path = places[declared.id]
        for name in needs[declared.id]:
            if name not in needs:
                findings.error(
                    "flow.unknown_reference",
                    f"Input with id '{declared.id}' depends on a non-existent input '{name}'.",
                    node.entries["dependsOn"],
                    (*path, "dependsOn"),
                    nearest(name, needs),
                )
        if declared.id in ring_members:
            ring = [name for name in needs[declared.id] if name in ring_members]
            message = f"Cycle dependency detected for input with id '{declared.id}': [{', '.join(ring)}]"
            findings.error("flow.cycle", message, node.entries["dependsOn"], (*path, "dependsOn"))


def _check_nesting(found: list[Input], places: dict[str, tuple[MapNode, Path]], findings: Findings) -> None:
    names = {declared.id for declared in found}
    for declared in found:
        parts = declared.id.split(".")
        for length in range(1, len(parts)):
            prefix = ".".join(parts[:length])
            if prefix in names:
                node, path = places[declared.id]
                findings.error(
                    "flow.conflicting_inputs",
                    f"The input `{declared.id}` stands below `{prefix}`, which is an input too",
                    node,
                    (*path, "id"),
                )
