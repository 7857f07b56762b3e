"""The tests after `is` (expressions §6). `defined` lives in the compiler, because it absorbs what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from flows.expressions.operators import is_number, type_error
from flows.expressions.printing import is_sequence
from flows.expressions.registry import test
from flows.expressions.scope import Frame


@test("null none")
def null(frame: Frame, value: Any) -> bool:
    """Present, but null."""
    return value is None


@test("empty")
def empty(frame: Frame, value: Any) -> bool:
    """Null, a blank text, a list or map without entries."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, (Mapping, AbstractSet)) or is_sequence(value):
        return not value
    return False


def _parity(value: Any, name: str) -> int:
    if not is_number(value):
        raise type_error(f"`is {name}` expects a number", value)
    return int(value) % 2


@test("even")
def even(frame: Frame, value: Any) -> bool:
    """A number without remainder by two."""
    return _parity(value, "even") == 0


@test("odd")
def odd(frame: Frame, value: Any) -> bool:
    """A number with remainder by two."""
    return _parity(value, "odd") == 1


@test("iterable")
def iterable(frame: Frame, value: Any) -> bool:
    """A list or set; a map is none."""
    return is_sequence(value) or isinstance(value, AbstractSet)


@test("map")
def map_(frame: Frame, value: Any) -> bool:
    """A map."""
    return isinstance(value, Mapping)


@test("json")
def json_(frame: Frame, value: Any) -> bool:
    """A text that is valid JSON."""
    if not isinstance(value, str):
        return False
    frame.budget.produce(len(value))
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True
