"""Declared inputs: their shape by type, ids, dependencies and literal defaults (flow-language §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flows.errors import ExpressionError, InputInvalid
from flows.expressions import regexes
from flows.plugins import is_template
from flows.spec import dialects, input_types, shapes
from flows.spec.cycles import circular
from flows.spec.faults import Findings, Path, as_list, as_map, checked, found_text, nearest
from flows.spec.model import Input
from flows.spec.source import MapNode, Node, ScalarNode, located

_COMMON = {"id", "type", "description", "displayName", "required", "defaults"}
FILE_DEFAULTS = ("nsfile:///", "file:///")
"""Where the default of a FILE input may come from; in 0.21 it had none."""


def inputs_of(written: Sequence[Mapping[str, Any]]) -> tuple[Input, ...]:
    """Inputs declared as plain data that has been examined before, as the `onResume` of a Pause."""
    return read_inputs(located(list(written), 1, 1), (), Findings())


def read_inputs(node: Node | None, path: Path, findings: Findings) -> tuple[Input, ...]:
    """The inputs at a node, in order; faulty ones left out with problems. A FORM is replaced by the inputs inside it."""
    reader = _InputReader(findings)
    reader.list(node, path, None)
    found = [reader.completed(declared) for declared in reader.found]
    _check_dependencies(found, reader.places, findings)
    _check_nesting(found, reader.places, findings)
    return tuple(found)


class _InputReader:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.found: list[Input] = []
        self.places: dict[str, tuple[MapNode, Path]] = {}
        self.forms: dict[str, list[str]] = {}
        """The leaves of every form: what depends on a form depends on them."""

    def list(self, node: Node | None, path: Path, form: Input | None) -> None:
        for index, item in enumerate(as_list(node, path, self.findings, f"`{path[-1] if path else 'inputs'}`")):
            where = (*path, index)
            entry = as_map(item, where, self.findings, "An input")
            if entry is not None:
                self.one(dialects.renamed(entry, dialects.INPUT_NAMES), where, form)

    def one(self, entry: MapNode, path: Path, form: Input | None) -> None:
        declared = _input(entry, path, self.findings)
        if declared is None:
            return
        if form is not None:
            declared = replace(declared, id=f"{form.id}.{declared.id}", extra=_inside(declared.extra, form))
        if declared.id in self.places:
            first = self.places[declared.id][0].line
            message = f"Duplicate input with name [{declared.id}]; it stands already in line {first}"
            self.findings.error("flow.duplicate_id", message, entry, path)
            return
        self.places[declared.id] = (entry, path)
        if declared.type == "FORM":
            before = len(self.found)
            self.list(entry.get("inputs"), (*path, "inputs"), declared)
            self.forms[declared.id] = [one.id for one in self.found[before:]]
        elif declared.type == "REUSABLE_INPUTS":
            message = "REUSABLE_INPUTS names a group of inputs that is not kept here; it is left out"
            self.findings.warn("flow.no_effect", message, entry, path, "declare the inputs themselves, or a FORM")
        else:
            self.found.append(declared)

    def completed(self, declared: Input) -> Input:
        """An input whose dependencies are all names of inputs: those of a form are its leaves, siblings need no prefix."""
        depends = declared.extra.get("dependsOn")
        if not isinstance(depends, Mapping) or not depends.get("inputs"):
            return declared
        known = {one.id for one in self.found}
        needs: dict[str, None] = {}
        for name in map(str, depends["inputs"]):
            sibling = f"{declared.id.rpartition('.')[0]}.{name}"
            meant = name if name in known or name in self.forms or sibling not in known else sibling
            leaves = self.forms.get(meant)
            needs |= dict.fromkeys([meant] if leaves is None else [one for one in leaves if one != declared.id])
        return replace(declared, extra={**declared.extra, "dependsOn": {**depends, "inputs": list(needs)}})


def _inside(extra: Mapping[str, Any], form: Input) -> dict[str, Any]:
    """What an input of a form has, and its form's dependencies: it exists only where the form does."""
    outer = form.extra.get("dependsOn")
    found = {**extra, "formConditions": list(form.extra.get("formConditions", ()))}
    if isinstance(outer, Mapping):
        own = extra.get("dependsOn")
        own = own if isinstance(own, Mapping) else {}
        found["dependsOn"] = {**own, "inputs": [*(outer.get("inputs") or ()), *(own.get("inputs") or ())]}
        if outer.get("condition") is not None:
            found["formConditions"].append(outer["condition"])
    return found


def _input(node: MapNode, path: Path, findings: Findings) -> Input | None:
    kind = node.get("type")
    name = kind.text if isinstance(kind, ScalarNode) else ""
    model = shapes.INPUTS.get(name, shapes.Input)
    if kind is not None and name not in shapes.DATA_TYPES:
        findings.error(
            "flow.unknown_type",
            f"Unknown input type {found_text(kind)}",
            kind,
            (*path, "type"),
            nearest(name.upper(), shapes.DATA_TYPES),
        )
        return None
    shape, data = checked(model, node, path, findings, templates=True)
    if shape is None:
        return None
    _check_shape(shape, node, path, findings)
    declared = Input(
        id=shape.id,
        type=shape.type,
        required=shape.required,
        defaults=data.get("defaults"),
        has_defaults=data.get("defaults") is not None,
        description=shape.description,
        display_name=shape.display_name,
        extra={key: value for key, value in data.items() if key not in _COMMON},
    )
    if shape.type != "FORM" and _check_bounds(declared, node, path, findings):
        for key in ("defaults", "prefill"):
            _check_value(declared, key, node, path, findings)
    return declared


def _check_shape(shape: shapes.Input, node: MapNode, path: Path, findings: Findings) -> None:
    if shape.prefill is not None and shape.defaults is not None:
        message = "`prefill` and `defaults` exclude each other"
        findings.error("flow.wrong_value", message, node.entries["prefill"], (*path, "prefill"), "keep one of them")
    if isinstance(shape, (shapes.ArrayInput, shapes.MultiselectInput)):
        if shape.item_type == "ARRAY":
            findings.error("flow.wrong_value", "`itemType` cannot be `ARRAY`", node.entries["itemType"], (*path, "itemType"))
        elif shape.item_type not in input_types.READERS:
            message = f"`itemType` cannot be `{shape.item_type}`, which groups inputs"
            findings.error("flow.wrong_value", message, node.entries["itemType"], (*path, "itemType"))
    if isinstance(shape, shapes.MultiselectInput) and shape.options is not None and shape.values is not None:
        findings.error("flow.wrong_value", "`options` and `values` exclude each other", node, path)
    if isinstance(shape, (shapes.SelectInput, shapes.MultiselectInput)):
        choices = shape.options if isinstance(shape, shapes.MultiselectInput) and shape.options else shape.values
        if not choices and not shape.expression:
            findings.warn("flow.missing_property", f"{shape.type} needs `values` or `expression`", node, path)
    if isinstance(shape, shapes.TextInput) and shape.validator is not None:
        try:
            regexes.check(shape.validator)
        except ExpressionError as error:
            place = node.entries["validator"]
            findings.error("flow.wrong_value", f"invalid pattern [{shape.validator}]: {error}", place, (*path, "validator"))


def _check_bounds(declared: Input, node: MapNode, path: Path, findings: Findings) -> bool:
    """Whether literal bounds can be read and leave room."""
    bounds: dict[str, Any] = {}
    for key in ("min", "max", "after", "before"):
        written = declared.extra.get(key)
        if written is None or is_template(written) or declared.type not in input_types.BOUND_READERS:
            continue
        try:
            bounds[key] = input_types.bound(declared.type, written)
        except InputInvalid as error:
            findings.error("flow.wrong_value", f"`{key}`: {error.reason}, found `{written}`", node.entries[key], (*path, key))
            return False
    for low, high in (("min", "max"), ("after", "before")):
        if low in bounds and high in bounds and bounds[low] > bounds[high]:
            message = f"`{low}` is beyond `{high}`: no value can be given"
            findings.error("flow.wrong_value", message, node.entries[low], (*path, low))
            return False
    return True


def _check_value(declared: Input, key: str, node: MapNode, path: Path, findings: Findings) -> None:
    """A literal default, or a literal prefill, must be a value of the type."""
    entry = node.entries.get(key)
    value = entry.value.plain() if entry is not None else None
    if entry is None or value is None or "{{" in str(value) or "{%" in str(value):
        return
    if declared.extra.get("expression") is not None:
        return
    what = "default" if key == "defaults" else "prefill"
    if declared.type == "FILE" and not str(value).startswith(FILE_DEFAULTS):
        message = f"The {what} of a FILE input is a namespace file or a file of the server, found `{str(value)[:100]}`"
        findings.error("flow.wrong_value", message, entry.value, (*path, key), "write nsfile:///path, or file:///path")
        return
    try:
        input_types.parse(declared, value)
    except InputInvalid as error:
        findings.error("flow.wrong_value", f"The {what} does not fit: {error}", entry.value, (*path, key))


def dependencies(declared: Input) -> list[str]:
    """The ids of the inputs that are resolved before this one."""
    depends = declared.extra.get("dependsOn")
    names = depends.get("inputs") if isinstance(depends, Mapping) else None
    return [str(name) for name in names] if isinstance(names, list) else []


def _check_dependencies(found: list[Input], places: dict[str, tuple[MapNode, Path]], findings: Findings) -> None:
    needs = {declared.id: dependencies(declared) for declared in found}
    ring_members = circular(needs)
    for declared in found:
        node, path = places[declared.id]
        place = node.entries.get("dependsOn") or node
        for name in needs[declared.id]:
            if name not in needs:
                message = f"Input with id '{declared.id}' depends on a non-existent input '{name}'."
                findings.error("flow.unknown_reference", message, place, (*path, "dependsOn"), nearest(name, needs))
        if declared.id in ring_members:
            ring = [name for name in needs[declared.id] if name in ring_members]
            message = f"Cycle dependency detected for input with id '{declared.id}': [{', '.join(ring)}]"
            findings.error("flow.cycle", message, place, (*path, "dependsOn"))


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
