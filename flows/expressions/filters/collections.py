"""Filters on lists and maps (expressions §5.3). Lists are never changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from flows.errors import ExpressionError
from flows.expressions.operators import is_number, kind_of, type_error
from flows.expressions.printing import is_sequence, to_json, to_text
from flows.expressions.registry import filter_
from flows.expressions.scope import Frame


def list_of(frame: Frame, value: Any, name: str) -> list[Any]:
    """A fresh list of the value's elements. Raises ExpressionError when it is no list."""
    if is_sequence(value) or isinstance(value, AbstractSet):
        frame.budget.elements(len(value))
        return list(value)
    raise type_error(f"`{name}` expects a list", value)


@filter_("first")
def first(frame: Frame, value: Any) -> Any:
    """The first element or character; null of an empty list."""
    return _end(frame, value, 0, "first")


@filter_("last")
def last(frame: Frame, value: Any) -> Any:
    """The last element or character; null of an empty list."""
    return _end(frame, value, -1, "last")


def _end(frame: Frame, value: Any, index: int, name: str) -> Any:
    if isinstance(value, str) or is_sequence(value):
        return value[index] if value else ("" if isinstance(value, str) else None)
    if isinstance(value, AbstractSet):
        return _end(frame, list_of(frame, value, name), index, name)
    raise type_error(f"`{name}` expects a list or a text", value)


@filter_("length", null_passes=False)
def length(frame: Frame, value: Any) -> int:
    """Number of elements, entries or characters; zero for everything else."""
    if isinstance(value, (str, Mapping, AbstractSet)) or is_sequence(value):
        return len(value)
    return 0


@filter_("join", "separator")
def join(frame: Frame, value: Any, separator: Any = "") -> str:
    """The elements' texts with a separator between them; null elements print `null`."""
    between = to_text(separator, frame.budget)
    texts = []
    for item in list_of(frame, value, "join"):
        text = "null" if item is None else to_text(item, frame.budget)
        frame.budget.produce(len(text) + len(between))
        texts.append(text)
    return between.join(texts)


def _sortable(items: list[Any], name: str) -> None:
    kinds = {float if is_number(item) else type(item) for item in items}
    if len(kinds) > 1:
        found = ", ".join(sorted({kind_of(item) for item in items}))
        raise ExpressionError(f"`{name}` expects elements of one type, found {found}", code="expression.type")
    if kinds and not kinds <= {float, str, bool, date, datetime, time, timedelta, Decimal, UUID}:
        raise type_error(f"`{name}` expects numbers, texts or dates", items[0])


@filter_("sort")
def sort(frame: Frame, value: Any) -> list[Any]:
    """In natural order. Elements of different types raise."""
    items = list_of(frame, value, "sort")
    frame.budget.spend(len(items))
    _sortable(items, "sort")
    return sorted(items)


@filter_("rsort")
def rsort(frame: Frame, value: Any) -> list[Any]:
    """In reverse natural order."""
    items = list_of(frame, value, "rsort")
    frame.budget.spend(len(items))
    _sortable(items, "rsort")
    return sorted(items, reverse=True)


@filter_("reverse")
def reverse(frame: Frame, value: Any) -> Any:
    """Last element first; texts are reversed by character."""
    if isinstance(value, str):
        return frame.budget.text(value)[::-1]
    return list_of(frame, value, "reverse")[::-1]


@filter_("slice", "fromIndex toIndex")
def slice_(frame: Frame, value: Any, start: Any = 0, end: Any = None) -> Any:
    """Elements or characters from an index up to, without, another. Out of range, or an empty stretch, raises."""
    if not isinstance(value, str) and not is_sequence(value):
        raise type_error("`slice` expects a list or a text", value)
    last_index = len(value) if end is None else end
    for index in (start, last_index):
        if not isinstance(index, int) or isinstance(index, bool):
            raise type_error("`slice` expects integers", index)
    if not 0 <= start < last_index <= len(value):
        raise ExpressionError(
            f"`slice` from {start} to {last_index} is out of range for a length of {len(value)}", code="expression.range"
        )
    part = value[start:last_index]
    return frame.budget.text(part) if isinstance(part, str) else list_of(frame, part, "slice")


@filter_("merge", "items")
def merge(frame: Frame, value: Any, items: Any) -> Any:
    """List and list, map and map (the right one wins), map and list (elements as key and value)."""
    if isinstance(value, Mapping):
        if isinstance(items, Mapping):
            frame.budget.elements(2 * (len(value) + len(items)))
            return {**value, **items}
        added = list_of(frame, items, "merge")
        frame.budget.elements(2 * len(value))
        return {**value, **{to_text(item, frame.budget): item for item in added}}
    return list_of(frame, value, "merge") + list_of(frame, items, "merge")


@filter_("chunk", "size")
def chunk(frame: Frame, value: Any, size: Any) -> list[list[Any]]:
    """Lists of at most `size` elements."""
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise type_error("`chunk` expects a size of one or more", size)
    items = list_of(frame, value, "chunk")
    frame.budget.produce(56 * (len(items) // size + 1))
    return [items[index : index + size] for index in range(0, len(items), size)]


@filter_("flatten")
def flatten(frame: Frame, value: Any) -> list[Any]:
    """Lists inside the list replaced by their elements, one level deep."""
    flat: list[Any] = []
    for item in list_of(frame, value, "flatten"):
        if is_sequence(item) or isinstance(item, AbstractSet):
            frame.budget.elements(len(item))
            flat.extend(item)
        else:
            flat.append(item)
    return flat


@filter_("keys")
def keys(frame: Frame, value: Any) -> list[Any]:
    """The keys of a map, the indices of a list."""
    if isinstance(value, Mapping):
        frame.budget.elements(len(value))
        return list(value)
    return list(range(len(list_of(frame, value, "keys"))))


@filter_("values")
def values(frame: Frame, value: Any) -> list[Any]:
    """The values of a map."""
    if isinstance(value, Mapping):
        frame.budget.elements(len(value))
        return list(value.values())
    return list_of(frame, value, "values")


@filter_("distinct")
def distinct(frame: Frame, value: Any) -> list[Any]:
    """Every element once, the first of equals kept, order unchanged."""
    kept: list[Any] = []
    seen: set[tuple[str, Any]] = set()
    for item in list_of(frame, value, "distinct"):
        if is_number(item):
            mark: tuple[str, Any] = ("number", item)
        elif isinstance(item, (Mapping, AbstractSet)) or is_sequence(item):
            mark = ("tree", to_json(item, frame.budget, drop_nulls=False))
        else:
            mark = (type(item).__name__, item)
        frame.budget.spend(1)
        if mark not in seen:
            seen.add(mark)
            kept.append(item)
    return kept


_CLASS_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "java.lang.Boolean"),
    (float, "java.lang.Double"),
    (str, "java.lang.String"),
    (datetime, "java.time.ZonedDateTime"),
    (date, "java.time.LocalDate"),
    (time, "java.time.LocalTime"),
    (timedelta, "java.time.Duration"),
    (Decimal, "java.math.BigDecimal"),
    (list, "java.util.ArrayList"),
    (Mapping, "java.util.LinkedHashMap"),
)


@filter_("className")
def class_name(frame: Frame, value: Any) -> str:
    """The Java class the value would have, for debugging."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "java.lang.Integer" if -(2**31) <= value < 2**31 else "java.lang.Long"
    return next((name for kind, name in _CLASS_NAMES if isinstance(value, kind)), "java.lang.Object")
