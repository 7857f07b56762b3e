"""The grammar of filters in query strings, and its translation to conditions on rows.

    filters[FIELD][OP]=value            filters[FIELD][OP][KEY]=value            filters[or][0][FIELD][OP]=value
    filters[or][0][and][1][FIELD][OP]=value (one level of nesting)

Plain filters are AND-ed. A resource lists its fields once (`FilterField`); everything else is 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from django.db.models import Q
from django.http import HttpRequest

from controlplane.platform.errors import BadRequest

_KEY = re.compile(r"filters((?:\[[^\[\]]*\])+)")
_PART = re.compile(r"\[([^\[\]]*)\]")
_ALIASES = {"query": "q", "minlevel": "level", "group": "grouplist", "loglevel": "level"}

EQUALITY = frozenset({"EQUALS", "NOT_EQUALS"})
MEMBERSHIP = EQUALITY | {"IN", "NOT_IN"}
NULLS = frozenset({"IS_NULL", "IS_NOT_NULL"})
WORDING = EQUALITY | {"CONTAINS", "NOT_CONTAINS", "STARTS_WITH", "ENDS_WITH"}
TEXTUAL = WORDING | {"REGEX"} | NULLS
NAMES = TEXTUAL | {"IN", "NOT_IN", "PREFIX"}
ORDER = EQUALITY | {"GREATER_THAN", "GREATER_THAN_OR_EQUAL_TO", "LESS_THAN", "LESS_THAN_OR_EQUAL_TO"} | NULLS
NEGATIVE = {"NOT_EQUALS": "EQUALS", "NOT_IN": "IN", "NOT_CONTAINS": "CONTAINS", "IS_NOT_NULL": "IS_NULL"}

REGEX_CHARACTERS_MAX = 200
"""Length of a regular expression in a filter: embedded, Python's engine runs it on every row."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One leaf. `field` is canonical (lower case, no underscores); `value` a text, or a map for keyed fields."""

    field: str
    operation: str
    value: str | Mapping[str, str]

    @property
    def text(self) -> str:
        """The value of a plain field. Raises BadRequest for a keyed one."""
        if isinstance(self.value, str):
            return self.value
        raise BadRequest(f"filter {self.field} takes no key", code="filter.invalid")

    @property
    def values(self) -> list[str]:
        """A comma-separated list."""
        return [item for item in self.text.split(",") if item]


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions joined by and / or."""

    joint: Literal["and", "or"] = "and"
    items: list[Node] = field(default_factory=list)

    def conditions(self) -> Iterator[Condition]:
        """All leaves."""
        for item in self.items:
            if isinstance(item, Group):
                yield from item.conditions()
            else:
                yield item


Node: TypeAlias = "Condition | Group"


def canonical(name: str) -> str:
    """`FLOW_ID`, `flowId`, `flowid` → `flowid`; constants with another wire name are translated."""
    plain = name.replace("_", "").lower()
    return _ALIASES.get(plain, plain)


def parse_filters(items: Iterable[tuple[str, str]]) -> Group:
    """The tree of all `filters[…]` among raw query items. Raises BadRequest."""
    root = Group()
    keyed: dict[tuple[Any, ...], dict[str, str]] = {}
    groups: dict[tuple[str, ...], Group] = {(): root}
    for key, value in items:
        if not key.startswith("filters"):
            continue
        match = _KEY.fullmatch(key)
        if match is None:
            raise BadRequest(f"{key!r} does not read filters[field][OPERATION]", code="filter.syntax")
        parts = _PART.findall(match[1])
        place: tuple[str, ...] = ()
        while len(parts) >= 2 and parts[0] in ("and", "or"):
            if len(place) >= 4:
                raise BadRequest("filters nest at most one level", code="filter.syntax")
            joint, index = parts[0], parts[1]
            if not index.isdigit():
                raise BadRequest(f"{key!r}: a number must follow [{joint}]", code="filter.syntax")
            _open_groups(groups, place, joint, index)
            place = (*place, joint, index)
            parts = parts[2:]
        _add_leaf(groups[place], parts, value, keyed, place, key)
    return root


def _open_groups(groups: dict[tuple[str, ...], Group], place: tuple[str, ...], joint: str, index: str) -> None:
    """`[or][0]`: a group of that joint in the parent, holding one and-group per index."""
    head = (*place, joint)
    if head not in groups:
        groups[head] = Group("or" if joint == "or" else "and")
        groups[place].items.append(groups[head])
    member = (*head, index)
    if member not in groups:
        groups[member] = Group()
        groups[head].items.append(groups[member])


def _add_leaf(
    group: Group, parts: list[str], value: str, keyed: dict[tuple[Any, ...], dict[str, str]], place: tuple[str, ...], key: str
) -> None:
    if len(parts) == 2:
        group.items.append(Condition(canonical(parts[0]), parts[1], value))
        return
    if len(parts) == 3:
        name, operation, label = canonical(parts[0]), parts[1], parts[2]
        present = keyed.get((*place, name, operation))
        if present is None:
            present = keyed[(*place, name, operation)] = {}
            group.items.append(Condition(name, operation, present))
        present[label] = value
        return
    raise BadRequest(f"{key!r} does not read filters[field][OPERATION] or filters[field][OPERATION][key]", code="filter.syntax")


def filters_from_json(rows: Any) -> Group:
    """`[{"field", "operation", "value"}, …]` of a JSON body. Raises BadRequest."""
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise BadRequest("filters must be a list of {field, operation, value}", code="filter.syntax")
    root = Group()
    for row in rows:
        if not isinstance(row, Mapping) or "field" not in row or "operation" not in row:
            raise BadRequest("each filter needs field, operation and value", code="filter.syntax")
        value = row.get("value", "")
        if isinstance(value, Mapping) and set(value) == {"value"}:
            value = value["value"]
        if isinstance(value, Mapping):
            value = {str(name): str(item) for name, item in value.items()}
        elif isinstance(value, list):
            value = ",".join(str(item) for item in value)
        elif isinstance(value, bool):
            value = str(value).lower()
        else:
            value = "" if value is None else str(value)
        root.items.append(Condition(canonical(str(row["field"])), str(row["operation"]), value))
    return root


@dataclass(frozen=True, slots=True)
class FilterField:
    """A field of a resource: which operations it knows and how a (never negative) condition becomes a Q."""

    operations: frozenset[str]
    build: Callable[[Condition], Q]


Fields = Mapping[str, FilterField]


def to_q(node: Node, fields: Fields) -> Q:
    """The whole tree as one Q. Raises BadRequest for fields and operations the resource does not have."""
    if isinstance(node, Condition):
        known = fields.get(node.field)
        if known is None:
            raise BadRequest(f"cannot filter by {node.field!r}; known are {', '.join(sorted(fields))}", code="filter.field")
        if node.operation not in known.operations:
            allowed = ", ".join(sorted(known.operations))
            raise BadRequest(f"{node.field} does not know {node.operation!r}; it knows {allowed}", code="filter.operation")
        positive = NEGATIVE.get(node.operation)
        if positive is not None:
            return ~known.build(Condition(node.field, positive, node.value))
        return known.build(node)
    joined = Q()
    for item in node.items:
        condition = to_q(item, fields)
        joined = joined | condition if node.joint == "or" else joined & condition
    return joined


def text_field(column: str, operations: frozenset[str] = TEXTUAL) -> FilterField:
    """Texts: exact, parts (case-insensitive), regular expression, lists, dotted prefix."""

    def build(condition: Condition) -> Q:
        match condition.operation:
            case "EQUALS":
                return Q(**{column: condition.text})
            case "IN":
                return Q(**{f"{column}__in": condition.values})
            case "CONTAINS":
                return Q(**{f"{column}__icontains": condition.text})
            case "STARTS_WITH":
                return Q(**{f"{column}__startswith": condition.text})
            case "ENDS_WITH":
                return Q(**{f"{column}__endswith": condition.text})
            case "PREFIX":
                return prefix(column, condition.text)
            case "IS_NULL":
                return Q(**{f"{column}__isnull": True})
            case _:
                return Q(**{f"{column}__regex": checked_regex(condition.text)})

    return FilterField(operations, build)


def prefix(column: str, value: str) -> Q:
    """A dotted name itself or anything below it."""
    return Q(**{column: value}) | Q(**{f"{column}__startswith": value + "."})


def checked_regex(pattern: str) -> str:
    """The pattern, when it is one and short. Raises BadRequest."""
    if len(pattern) > REGEX_CHARACTERS_MAX:
        raise BadRequest(f"a regular expression may have {REGEX_CHARACTERS_MAX} characters", code="filter.regex")
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadRequest(f"{pattern!r} is no regular expression: {error}", code="filter.regex") from None
    return pattern


def instant_field(column: str, parse: Callable[[str], int]) -> FilterField:
    """Times in a `…_at_us` column; `parse` reads ISO 8601."""
    lookups = {
        "EQUALS": "",
        "GREATER_THAN": "__gt",
        "GREATER_THAN_OR_EQUAL_TO": "__gte",
        "LESS_THAN": "__lt",
        "LESS_THAN_OR_EQUAL_TO": "__lte",
    }

    def build(condition: Condition) -> Q:
        if condition.operation == "IS_NULL":
            return Q(**{f"{column}__isnull": True})
        try:
            at_us = parse(condition.text)
        except ValueError:
            raise BadRequest(f"{condition.text!r} is no ISO 8601 date", code="filter.value") from None
        return Q(**{column + lookups[condition.operation]: at_us})

    return FilterField(ORDER, build)


def words_field(*columns: str) -> FilterField:
    """`q`: every token, split at blank, `_`, `-` and `.`, must occur in one of the columns."""

    def build(condition: Condition) -> Q:
        return free_text(condition.text, columns)

    return FilterField(EQUALITY, build)


def free_text(text: str, columns: Sequence[str]) -> Q:
    """The condition of `words_field` for any text; `*` and nothing mean everything."""
    everything = Q()
    if text in ("", "*"):
        return everything
    for token in re.split(r"[\s_.\-]+", text):
        if token:
            somewhere = Q()
            for column in columns:
                somewhere |= Q(**{f"{column}__icontains": token})
            everything &= somewhere
    return everything


def query_items(request: HttpRequest) -> list[tuple[str, str]]:
    """All query parameters in order, repeats included."""
    return [(name, value) for name, values in request.GET.lists() for value in values]
