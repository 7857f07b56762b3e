"""Typed shapes against located nodes: every fault becomes a Problem with its line, what was expected and what was found."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows.limits import SOURCE_PROBLEMS_MAX
from flows.plugins import is_template
from flows.spec.problems import Problem
from flows.spec.source import ListNode, MapNode, Node, ScalarNode, path_text

M = TypeVar("M", bound=BaseModel)

Path = tuple[str | int, ...]

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
}


HINT_CANDIDATES_MAX = 2_000
"""Names among which the nearest one is looked for; more would take long, and help nobody."""


class Findings:
    """The problems of one source, collected while it is read; beyond SOURCE_PROBLEMS_MAX they are only counted as one."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self.problems = list(problems)

    def error(self, code: str, message: str, node: Place, path: Path, hint: str | None = None) -> None:
        """Notes an error at a node."""
        self._add(Problem(code, message, path_text(list(path)), node.line, node.column, hint))

    def warn(self, code: str, message: str, node: Place, path: Path, hint: str | None = None, lines_below: int = 0) -> None:
        """Notes a warning at a node, or some lines below its start."""
        place = path_text(list(path))
        column = None if lines_below else node.column
        self._add(Problem(code, message, place, node.line + lines_below, column, hint, "warning"))

    def _add(self, problem: Problem) -> None:
        if len(self.problems) < SOURCE_PROBLEMS_MAX:
            self.problems.append(problem)
        elif len(self.problems) == SOURCE_PROBLEMS_MAX:
            message = f"There are more problems; the first {SOURCE_PROBLEMS_MAX} are shown"
            self.problems.append(Problem("flow.more_problems", message, problem.path, problem.line, problem.column))


class Place(typing.Protocol):
    """Anything with a place in the source."""

    line: int
    column: int


def found_text(node: Node) -> str:
    """What stands at a node, in words."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a map"
    if node.value is None:
        return "nothing"
    shown = node.text if len(node.text) <= 60 else node.text[:60] + "…"
    return f"`{shown}`"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the nearest known name, or None."""
    candidates = list(known)
    if len(candidates) > HINT_CANDIDATES_MAX:
        return None
    close = difflib.get_close_matches(name[:100], candidates, n=1, cutoff=0.6)
    if not close:
        lowered = {one.lower(): one for one in candidates}
        close = [lowered[name.lower()]] if name.lower() in lowered else []
    return f"did you mean `{close[0]}`?" if close else None


def suggestion(written: str, known: Iterable[str]) -> str | None:
    """A hint with the type that is spelt nearly so, or that has the same last name elsewhere."""
    names = list(known)
    found = nearest(written, names)
    if found is None:
        last = written.rsplit(".", 1)[-1]
        alike = [name for name in names if name.rsplit(".", 1)[-1] == last]
        found = f"did you mean `{alike[0]}`?" if alike else None
    return found


def property_names(model: type[BaseModel]) -> list[str]:
    """The names a shape accepts, as YAML spells them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def checked_names(node: MapNode, names: Iterable[str], path: Path, findings: Findings) -> None:
    """Complains about the keys of a map that are none of the names."""
    known = list(names)
    for key, entry in node.entries.items():
        if key not in known:
            message = f"Unknown property `{key[:100]}`"
            findings.error("flow.unknown_property", message, entry, (*path, key), nearest(key, known))


def as_map(node: Node, path: Path, findings: Findings, what: str) -> MapNode | None:
    """The node as a map, or None with a problem."""
    if isinstance(node, MapNode):
        return node
    findings.error("flow.wrong_type", f"{what} must be a map, found {found_text(node)}", node, path)
    return None


def as_list(node: Node | None, path: Path, findings: Findings, what: str) -> list[Node]:
    """The items of a list node; nothing for null, a problem for anything else."""
    if node is None or (isinstance(node, ScalarNode) and node.value is None):
        return []
    if isinstance(node, ListNode):
        return node.items
    findings.error("flow.wrong_type", f"{what} must be a list, found {found_text(node)}", node, path)
    return []


def checked(
    model: type[M], node: MapNode, path: Path, findings: Findings, *, skip: Iterable[str] = (), templates: bool = False
) -> tuple[M | None, dict[str, Any]]:
    """The typed shape of a map, or None with problems; and its data, corrected where the shape wants texts.

    `skip`: properties examined elsewhere; they are part of the data but not handed to the shape.
    `templates`: expressions inside lists and maps are accepted whatever type their place asks for.
    """
    skipped = set(skip)
    data: dict[str, Any] = {}
    shape_data: dict[str, Any] = {}
    known = set(property_names(model)) | skipped
    open_ended = model.model_config.get("extra") == "allow"
    for key, entry in node.entries.items():
        if key not in known and not open_ended:
            if entry.implied:
                continue
            findings.error(
                "flow.unknown_property", f"Unknown property `{key[:100]}`", entry, (*path, key), nearest(key, sorted(known))
            )
            continue
        if isinstance(entry.value, ScalarNode) and entry.value.value is None and key not in _required(model):
            continue
        data[key] = entry.value.plain()
        if key not in skipped:
            shape_data[key] = data[key]
    for _ in range(2):
        try:
            return model.model_validate(shape_data), data
        except ValidationError as error:
            faults = _grouped(error, node, templates)
        corrected = [
            (_correct(data, fault) and _correct(shape_data, fault)) or (fault.implied and _drop(data, shape_data, fault))
            for fault in faults
        ]
        if all(corrected):
            continue
        for fault in faults:
            if not fault.only_texts:
                fault.report(model, path, findings)
        return None, data
    return None, data


def _required(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items() if field.is_required()}


class _Fault:
    """The complaints about one place. A union type complains once for every member."""

    def __init__(self, at: tuple[str | int, ...], node: Node, errors: list[ErrorDetails], loc: Path) -> None:
        self.at = at
        self.node = node
        self.errors = errors
        self.loc = loc
        scalar = isinstance(node, ScalarNode) and node.value is not None
        self.only_texts = scalar and any(error["type"] == "string_type" for error in errors)
        """The place takes a text and a number or boolean was written: the written text is meant, as Jackson reads it."""

        self.implied = False
        """An unknown property that a plug-in default put there: it is left out."""

    def report(self, model: type[BaseModel], path: Path, findings: Findings) -> None:
        place = (*path, *self.at)
        first = self.errors[0]
        kind = first["type"]
        context = first.get("ctx", {})
        if kind == "missing":
            findings.error(
                "flow.missing_property", f"The property `{self.loc[-1]}` is required", self.node, (*place, self.loc[-1])
            )
        elif kind == "extra_forbidden":
            inner = _model_at(model, self.loc[:-1])
            hint = nearest(str(self.loc[-1]), property_names(inner)) if inner is not None else None
            findings.error("flow.unknown_property", f"Unknown property `{self.loc[-1]}`", self.node, place, hint)
        elif kind == "string_pattern_mismatch":
            pattern = str(context.get("pattern", ""))
            message = f"`{place[-1]}` must match the pattern {pattern}, found {found_text(self.node)}"
            findings.error(
                "flow.invalid_id" if place[-1] in ("id", "namespace") else "flow.wrong_value", message, self.node, place
            )
        elif kind in ("literal_error", "enum"):
            expected = str(context.get("expected", ""))
            message = f"`{place[-1]}` must be one of {expected}, found {found_text(self.node)}"
            findings.error(
                "flow.wrong_value",
                message,
                self.node,
                place,
                nearest(_text(self.node), expected.replace("'", "").replace(" or ", ", ").split(", ")),
            )
        elif all(error["type"] in _EXPECTED for error in self.errors):
            expected = " or ".join(dict.fromkeys(_EXPECTED[error["type"]] for error in self.errors))
            message = f"`{place[-1]}` must be {expected}, found {found_text(self.node)}"
            hint = "this property takes no expression" if is_template(_text(self.node)) else None
            findings.error("flow.wrong_type", message, self.node, place, hint)
        elif kind == "too_short" and place and context.get("min_length") == 1:
            findings.error("flow.wrong_value", f"The '{place[-1]}' property cannot be empty", self.node, place)
        elif kind in ("value_error", "assertion_error"):
            name = f"`{place[-1]}`: " if place else ""
            findings.error("flow.wrong_value", f"{name}{context.get('error', first['msg'])}", self.node, place)
        else:
            message = first["msg"][:1].lower() + first["msg"][1:]
            findings.error(
                "flow.wrong_value", f"`{place[-1] if place else ''}`: {message}, found {found_text(self.node)}", self.node, place
            )


def _text(node: Node) -> str:
    return node.text if isinstance(node, ScalarNode) else ""


def _grouped(error: ValidationError, node: MapNode, templates: bool) -> list[_Fault]:
    by_place: dict[tuple[Any, ...], _Fault] = {}
    for detail in error.errors(include_url=False):
        at, found = _locate(node, detail["loc"])
        if templates and len(at) > 1 and detail["type"] != "extra_forbidden" and is_template(_text(found)):
            continue
        key = (at, detail["loc"][-1:]) if detail["type"] in ("missing", "extra_forbidden") else (at,)
        present = by_place.get(key)
        if present is None:
            fault = by_place[key] = _Fault(at, found, [detail], tuple(detail["loc"]))
            fault.implied = detail["type"] == "extra_forbidden" and _is_implied(node, at)
        else:
            present.errors.append(detail)
            present.only_texts = present.only_texts or (
                isinstance(found, ScalarNode) and found.value is not None and detail["type"] == "string_type"
            )
    return list(by_place.values())


def _locate(node: MapNode, loc: tuple[int | str, ...]) -> tuple[tuple[str | int, ...], Node]:
    """The place a complaint is about. Names of union members inside `loc` are no steps of the source."""
    at: list[str | int] = []
    current: Node = node
    for step in loc:
        if isinstance(current, MapNode) and str(step) in current.entries:
            current = current.entries[str(step)].value
        elif isinstance(current, ListNode) and isinstance(step, int) and step < len(current.items):
            current = current.items[step]
        else:
            continue
        at.append(step)
    return tuple(at), current


def _is_implied(node: MapNode, at: Path) -> bool:
    current: Node = node
    entry = None
    for step in at:
        if isinstance(current, MapNode):
            entry = current.entries[str(step)]
            current = entry.value
        elif isinstance(current, ListNode) and isinstance(step, int):
            entry, current = None, current.items[step]
    return entry is not None and entry.implied


def _drop(data: Any, shape_data: Any, fault: _Fault) -> bool:
    for whole in (data, shape_data):
        current = whole
        for step in fault.at[:-1]:
            current = current[step if isinstance(current, list) else str(step)]
        current.pop(str(fault.at[-1]), None)
    return True


def _correct(data: Any, fault: _Fault) -> bool:
    """Puts the written text where a text is wanted. Whether that was the whole fault."""
    if not fault.only_texts or not fault.at or not isinstance(fault.node, ScalarNode):
        return False
    current = data
    for step in fault.at[:-1]:
        current = current[step if isinstance(current, list) else str(step)]
    last = fault.at[-1]
    current[last if isinstance(current, list) else str(last)] = fault.node.text
    return True


def _model_at(model: type[BaseModel], loc: Path) -> type[BaseModel] | None:
    """The shape that a place inside another shape asks for, as far as annotations tell."""
    current: Any = model
    for step in loc:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = next((one for name, one in current.model_fields.items() if step in (name, one.alias)), None)
            if field is None:
                return None
            current = field.annotation
        current = _unwrapped(current)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _unwrapped(annotation: Any) -> Any:
    """The first shape inside optional, list and map annotations."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = typing.get_origin(annotation)
    if origin is None:
        return annotation
    arguments = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType, list, tuple, typing.Annotated):
        candidates = arguments[:1] if origin is typing.Annotated else arguments
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        candidates = arguments[1:]
    else:
        candidates = ()
    for candidate in candidates:
        inner = _unwrapped(candidate)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return annotation
