"""`x.y`, `x[k]` and `x.method()`: data only. No attribute of a Python object is ever reached (expressions §3)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from flows.errors import ExpressionError
from flows.expressions import regexes
from flows.expressions.budget import Budget
from flows.expressions.operators import brief, equal, kind_of, type_error
from flows.expressions.printing import is_sequence

EXCERPT_CHARACTERS = 200


class Undefined(ExpressionError):
    """A name, key or index that is not there. Only `??`, `???`, `is defined` and `default` absorb it."""

    code = "expression.undefined"


def undefined(name: object, source: str, line: int, known: object = None) -> Undefined:
    """The error for a missing `name`; `known`, the place it was looked up in, gives the nearest name as a hint."""
    excerpt = source if len(source) <= EXCERPT_CHARACTERS else source[:EXCERPT_CHARACTERS] + "…"
    shown = brief(name)
    message = f"Unable to find `{shown}` used in the expression `{excerpt}` at line {line}"
    if isinstance(known, Mapping) and isinstance(name, str) and len(known) <= 1000 and len(name) <= 100:
        near = difflib.get_close_matches(name, [key for key in known if isinstance(key, str) and len(key) <= 100], n=1)
        if near:
            message += f"; did you mean `{near[0]}`?"
    elif known is None and name:
        message += "; the value before it is null"
    return Undefined(message, line=line)


def attribute(value: Any, key: Any, source: str, line: int) -> Any:
    """The entry of a map or list. Raises Undefined when it is not there or `value` has no entries."""
    if isinstance(value, Mapping):
        if isinstance(key, (str, int)) and not isinstance(key, bool) and key in value:
            return value[key]
        raise undefined(key, source, line, value)
    if is_sequence(value):
        index = key
        if isinstance(key, str) and len(key) < 10 and key.isdecimal() and key.isascii():
            index = int(key)
        if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(value):
            return value[index]
        raise undefined(key, source, line, ())
    raise undefined(key, source, line, None if value is None else ())


def _length(value: Any, budget: Budget) -> int:
    if isinstance(value, (Mapping, AbstractSet, str)) or is_sequence(value):
        return len(value)
    raise type_error("size() expects a map, a list or a text", value)


def _keys(value: Any, budget: Budget) -> list[Any]:
    if not isinstance(value, Mapping):
        raise type_error("keySet() expects a map", value)
    budget.elements(len(value))
    return list(value)


def _values(value: Any, budget: Budget) -> list[Any]:
    if not isinstance(value, Mapping):
        raise type_error("values() expects a map", value)
    budget.elements(len(value))
    return list(value.values())


def _get(value: Any, budget: Budget, key: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(key) if isinstance(key, (str, int)) else None
    if is_sequence(value) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    raise Undefined(f"Unable to find `{brief(key)}` in {kind_of(value)}")


def _holds(value: Any, budget: Budget, item: Any) -> bool:
    if isinstance(value, str):
        return _text(item, "contains()") in value
    if is_sequence(value) or isinstance(value, AbstractSet):
        return any(equal(one, item, budget) for one in value)
    raise type_error("contains() expects a list or a text", value)


def _holds_key(value: Any, budget: Budget, key: Any) -> bool:
    if not isinstance(value, Mapping):
        raise type_error("containsKey() expects a map", value)
    return isinstance(key, (str, int)) and key in value


def _empty(value: Any, budget: Budget) -> bool:
    return _length(value, budget) == 0


def _text(value: Any, method: str) -> str:
    if not isinstance(value, str):
        raise type_error(f"{method} expects a text", value)
    return value


def _upper(value: Any, budget: Budget) -> str:
    return budget.text(_text(value, "toUpperCase()")).upper()


def _lower(value: Any, budget: Budget) -> str:
    return budget.text(_text(value, "toLowerCase()")).lower()


def _trim(value: Any, budget: Budget) -> str:
    return budget.text(_text(value, "trim()")).strip()


def _split(value: Any, budget: Budget, delimiter: Any, limit: Any = 0) -> list[str]:
    if not isinstance(limit, int):
        raise type_error("split() expects an integer limit", limit)
    return regexes.split(_text(value, "split()"), _text(delimiter, "split()"), limit, budget)


def _replace(value: Any, budget: Budget, old: Any, new: Any) -> str:
    text, old, new = _text(value, "replace()"), _text(old, "replace()"), _text(new, "replace()")
    budget.produce(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _starts(value: Any, budget: Budget, start: Any) -> bool:
    return _text(value, "startsWith()").startswith(_text(start, "startsWith()"))


def _ends(value: Any, budget: Budget, end: Any) -> bool:
    return _text(value, "endsWith()").endswith(_text(end, "endsWith()"))


def _substring(value: Any, budget: Budget, start: Any, end: Any = None) -> str:
    text = _text(value, "substring()")
    last = len(text) if end is None else end
    if not isinstance(start, int) or not isinstance(last, int) or not 0 <= start <= last <= len(text):
        raise ExpressionError(
            f"substring({brief(start)}, {brief(last)}) is outside a text of {len(text)} characters", code="expression.range"
        )
    return budget.text(text[start:last])


def _index_of(value: Any, budget: Budget, item: Any) -> int:
    if isinstance(value, str):
        return value.find(_text(item, "indexOf()"))
    if is_sequence(value):
        return next((index for index, one in enumerate(value) if equal(one, item, budget)), -1)
    raise type_error("indexOf() expects a list or a text", value)


def _equals(value: Any, budget: Budget, other: Any) -> bool:
    return equal(value, other, budget)


METHODS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "size": (_length, 0, 0),
    "length": (_length, 0, 0),
    "keyset": (_keys, 0, 0),
    "values": (_values, 0, 0),
    "get": (_get, 1, 1),
    "contains": (_holds, 1, 1),
    "containskey": (_holds_key, 1, 1),
    "isempty": (_empty, 0, 0),
    "touppercase": (_upper, 0, 0),
    "tolowercase": (_lower, 0, 0),
    "split": (_split, 1, 2),
    "replace": (_replace, 2, 2),
    "startswith": (_starts, 1, 1),
    "endswith": (_ends, 1, 1),
    "substring": (_substring, 1, 2),
    "indexof": (_index_of, 1, 1),
    "trim": (_trim, 0, 0),
    "equals": (_equals, 1, 1),
}
"""The closed list of methods, lower-cased, with the least and greatest number of arguments."""
