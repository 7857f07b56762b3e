"""jq's values: their kinds, order, arithmetic, and paths into them. Values are plain JSON data and are never changed in place."""

from __future__ import annotations

import math
from functools import cmp_to_key
from typing import Any

from flows.expressions.budget import Budget
from flows.expressions.printing import float_text, int_text, to_json

EXACT_MAX = 1e17
"""Whole numbers below are shown without a point."""

INDEX_MAX = 10_000_000
"""Beyond, an index is no mistake but an attack."""

Path = tuple[Any, ...]


class JqError(Exception):
    """An error of the program that `try` and `?` can catch. `value` is what `catch` receives."""

    def __init__(self, value: Any) -> None:
        super().__init__(value if isinstance(value, str) else "(not a text)")
        self.value = value


def kind(value: Any) -> str:
    """The name of the value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def number(value: float) -> int | float:
    """A computed number: whole ones as integers."""
    if isinstance(value, int):
        return value if -EXACT_MAX < value < EXACT_MAX else _float(value)
    return int(value) if abs(value) < EXACT_MAX and value.is_integer() else value


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def shown(value: Any, budget: Budget) -> str:
    """`kind (value)` for messages, cut short."""
    text = dump(value, budget)
    return f"{kind(value)} ({text if len(text) <= 30 else text[:27] + '...'})"


def dump(value: Any, budget: Budget) -> str:
    """The value as JSON text."""
    if isinstance(value, float):
        if math.isnan(value):
            return "null"
        if math.isinf(value):
            return "1.7976931348623157e+308" if value > 0 else "-1.7976931348623157e+308"
        return int_text(int(value)) if abs(value) < EXACT_MAX and value.is_integer() else float_text(value).replace("E", "e")
    return to_json(value, budget, drop_nulls=False)


def truth(value: Any) -> bool:
    """Everything but false and null."""
    return value is not None and value is not False


# Order -------------------------------------------------------------------------------------------------------------


def _rank(value: Any) -> int:
    if value is None:
        return 0
    if value is False:
        return 1
    if value is True:
        return 2
    if isinstance(value, (int, float)):
        return 3
    if isinstance(value, str):
        return 4
    return 5 if isinstance(value, list) else 6


def compare(left: Any, right: Any, budget: Budget) -> int:
    """Negative, zero or positive: null, false, true, numbers, texts, arrays, objects."""
    budget.spend(1)
    ranks = _rank(left), _rank(right)
    if ranks[0] != ranks[1]:
        return ranks[0] - ranks[1]
    if ranks[0] < 3 or left is right:
        return 0 if left == left or not isinstance(left, float) else -1  # noqa: PLR0124 - not a number is below itself
    if ranks[0] in (3, 4):
        if left != left:  # noqa: PLR0124
            return -1
        return int(left > right) - int(left < right)
    if ranks[0] == 5:
        for one, other in zip(left, right, strict=False):
            found = compare(one, other, budget)
            if found:
                return found
        return len(left) - len(right)
    keys: list[Any] = sorted(left)
    others: list[Any] = sorted(right)
    budget.spend((len(keys) + len(others)) // 4)
    if keys != others:
        return -1 if keys < others else 1
    for key in keys:
        found = compare(left[key], right[key], budget)
        if found:
            return found
    return 0


def ordered(items: list[Any], budget: Budget, keys: list[Any] | None = None) -> list[Any]:
    """The items in order of themselves, or of keys given beside them."""
    budget.elements(2 * len(items))
    if keys is None:
        return sorted(items, key=cmp_to_key(lambda left, right: compare(left, right, budget)))

    def by_key(left: tuple[Any, Any], right: tuple[Any, Any]) -> int:
        return compare(left[0], right[0], budget)

    return [item for _, item in sorted(zip(keys, items, strict=True), key=cmp_to_key(by_key))]


# Arithmetic --------------------------------------------------------------------------------------------------------


def arithmetic(symbol: str, left: Any, right: Any, budget: Budget) -> Any:
    """`+ - * / %`. Raises JqError."""
    numbers = _rank(left) == 3 and _rank(right) == 3
    if symbol == "+":
        if numbers:
            return number(left + right)
        return _added(left, right, budget)
    if symbol == "-":
        if numbers:
            return number(left - right)
        if isinstance(left, list) and isinstance(right, list):
            return [item for item in left if not any(compare(item, other, budget) == 0 for other in right)]
        raise JqError(f"{shown(left, budget)} and {shown(right, budget)} cannot be subtracted")
    if symbol == "*":
        return number(_product(left, right)) if numbers else _multiplied(left, right, budget)
    if symbol == "/":
        if numbers:
            if right == 0:
                raise JqError(f"{shown(left, budget)} and {shown(right, budget)} cannot be divided because the divisor is zero")
            return number(_quotient(left, right))
        if isinstance(left, str) and isinstance(right, str):
            return split(left, right, budget)
        raise JqError(f"{shown(left, budget)} and {shown(right, budget)} cannot be divided")
    if not numbers:
        raise JqError(f"{shown(left, budget)} and {shown(right, budget)} cannot be divided")
    return _remainder(left, right, budget)


def _product(left: float, right: float) -> float:
    try:
        return left * right
    except OverflowError:
        return math.inf


def _quotient(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    try:
        return left / right
    except OverflowError:
        return math.inf


def _remainder(left: float, right: float, budget: Budget) -> Any:
    if left != left or right != right:  # noqa: PLR0124
        return math.nan
    first, second = whole(left), abs(whole(right))
    if second == 0:
        raise JqError(f"{shown(left, budget)} and {shown(right, budget)} cannot be divided because the divisor is zero")
    rest = abs(first) % second
    return -rest if first < 0 else rest


def whole(value: float) -> int:
    """The number without its fraction, held inside 64 bits."""
    if isinstance(value, float):
        if math.isnan(value):
            return 0
        if math.isinf(value):
            return 2**63 - 1 if value > 0 else -(2**63)
    return max(-(2**63), min(2**63 - 1, int(value)))


def _added(left: Any, right: Any, budget: Budget) -> Any:
    if left is None:
        return right
    if right is None:
        return left
    if isinstance(left, str) and isinstance(right, str):
        budget.produce(len(left) + len(right))
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        budget.elements(len(left) + len(right))
        return left + right
    if isinstance(left, dict) and isinstance(right, dict):
        budget.elements(2 * (len(left) + len(right)))
        return {**left, **right}
    raise JqError(f"{shown(left, budget)} and {shown(right, budget)} cannot be added")


def _multiplied(left: Any, right: Any, budget: Budget) -> Any:
    if isinstance(right, str) and _rank(left) == 3:
        left, right = right, left
    if isinstance(left, str) and _rank(right) == 3:
        if not right > 0:
            return None
        count = max(1, min(whole(right), 2**40))
        budget.produce(len(left) * count)
        return left * count
    if isinstance(left, dict) and isinstance(right, dict):
        budget.elements(2 * (len(left) + len(right)))
        merged = dict(left)
        for key, item in right.items():
            both = isinstance(merged.get(key), dict) and isinstance(item, dict)
            merged[key] = _multiplied(merged[key], item, budget) if both else item
        return merged
    raise JqError(f"{shown(left, budget)} and {shown(right, budget)} cannot be multiplied")


def split(text: str, separator: str, budget: Budget) -> list[str]:
    """`"a,b" / ","`."""
    if not text:
        return []
    budget.produce(len(text))
    if not separator:
        budget.elements(len(text))
        return list(text)
    budget.elements(text.count(separator) + 1)
    return text.split(separator)


# Parts -------------------------------------------------------------------------------------------------------------


def get(value: Any, key: Any, budget: Budget) -> Any:
    """`value[key]`; what is missing is null. Raises JqError where the kinds do not fit."""
    if isinstance(key, str):
        if isinstance(value, dict):
            return value.get(key)
        if value is None:
            return None
        raise JqError(f'Cannot index {kind(value)} with "{key[:100]}"')
    if isinstance(key, dict) and "start" in key and "end" in key:
        return _sliced(value, key.get("start"), key.get("end"), budget)
    if _rank(key) == 3:
        if isinstance(value, list):
            index = math.floor(key) if math.isfinite(key) else -(2**63)
            index = index + len(value) if index < 0 else index
            return value[index] if 0 <= index < len(value) else None
        if value is None:
            return None
    if isinstance(key, list) and isinstance(value, list):
        return indices(value, key, budget)
    if value is None and key is None:
        return None
    raise JqError(f"Cannot index {kind(value)} with {kind(key)}")


def _sliced(value: Any, start: Any, end: Any, budget: Budget) -> Any:
    if value is None:
        return None
    if not isinstance(value, (list, str)):
        raise JqError(f"Cannot index {kind(value)} with object")
    low, high = bounds(len(value), start, end)
    budget.elements(max(0, high - low))
    return value[low:high]


def bounds(length: int, start: Any, end: Any) -> tuple[int, int]:
    """Where a slice begins and ends in a sequence of that length."""
    for one in (start, end):
        if one is not None and _rank(one) != 3:
            raise JqError("Start and end indices of an array slice must be numbers")
    low = 0 if start is None else _place(math.floor(start) if math.isfinite(start) else whole(start), length)
    high = length if end is None else _place(math.ceil(end) if math.isfinite(end) else whole(end), length)
    return low, max(low, high)


def _place(index: int, length: int) -> int:
    return max(0, min(length, index + length if index < 0 else index))


def put(value: Any, key: Any, new: Any, budget: Budget) -> Any:
    """A copy of the value with one part replaced. Raises JqError where the kinds do not fit."""
    if isinstance(key, str) and (value is None or isinstance(value, dict)):
        budget.elements(2 * len(value or ()) + 2)
        return {**(value or {}), key: new}
    if isinstance(key, dict) and (value is None or isinstance(value, list)):
        low, high = bounds(len(value or ()), key.get("start"), key.get("end"))
        if not isinstance(new, list):
            raise JqError("A slice of an array can only be assigned another array")
        budget.elements(len(value or ()) + len(new))
        return [*(value or ())[:low], *new, *(value or ())[high:]]
    if _rank(key) == 3 and (value is None or isinstance(value, list)):
        items = value or []
        index = whole(math.floor(key) if math.isfinite(key) else key)
        if index < 0:
            index += len(items)
            if index < 0:
                raise JqError("Out of bounds negative array index")
        if index > INDEX_MAX:
            raise JqError("Array index too large")
        budget.elements(max(len(items), index + 1))
        copy = items + [None] * (index + 1 - len(items))
        copy[index] = new
        return copy
    if isinstance(key, str):
        raise JqError(f'Cannot index {kind(value)} with "{key[:100]}"')
    raise JqError(f"Cannot update field at {kind(key)} index of {kind(value)}")


def get_path(value: Any, path: Path, budget: Budget) -> Any:
    """The part a path leads to; null where it leaves the value."""
    for key in path:
        if value is None:
            return None
        value = get(value, key, budget)
    return value


def put_path(value: Any, path: Path, new: Any, budget: Budget) -> Any:
    """A copy with the part at a path replaced."""
    chain = [value]
    for key in path[:-1]:
        budget.spend(1)
        chain.append(get(chain[-1], key, budget) if chain[-1] is not None else None)
    for holder, key in zip(reversed(chain), reversed(path), strict=False):
        new = put(holder, key, new, budget)
    return new


def remove_paths(value: Any, paths: list[Any], budget: Budget) -> Any:
    """A copy without the parts the paths lead to; the last ones go first, so that places do not shift."""
    for path in reversed(ordered(paths, budget)):
        if not isinstance(path, list):
            raise JqError("Path must be specified as an array")
        value = None if not path else _removed(value, tuple(path), budget)
    return value


def _removed(value: Any, path: Path, budget: Budget) -> Any:
    budget.spend(1)
    if value is None:
        return None
    key = path[0]
    if len(path) > 1:
        below = get(value, key, budget)
        return value if below is None else put(value, key, _removed(below, path[1:], budget), budget)
    if isinstance(value, dict) and isinstance(key, str):
        budget.elements(2 * len(value))
        return {name: item for name, item in value.items() if name != key}
    if isinstance(value, list):
        budget.elements(len(value))
        if isinstance(key, dict):
            low, high = bounds(len(value), key.get("start"), key.get("end"))
            return value[:low] + value[high:]
        if _rank(key) == 3:
            index = whole(key)
            index = index + len(value) if index < 0 else index
            return value[:index] + value[index + 1 :] if 0 <= index < len(value) else value
    raise JqError(f"Cannot delete field at {'object' if isinstance(key, str) else 'array'} index of {kind(value)}")


def contains(value: Any, part: Any, budget: Budget) -> bool:
    """Whether a value holds another: parts of texts, elements, entries, all the way down."""
    budget.spend(1)
    if isinstance(value, dict) and isinstance(part, dict):
        return all(key in value and contains(value[key], item, budget) for key, item in part.items())
    if isinstance(value, list) and isinstance(part, list):
        return all(any(kind(one) == kind(item) and contains(one, item, budget) for one in value) for item in part)
    if isinstance(value, str) and isinstance(part, str):
        return part in value
    if kind(value) == kind(part) or (isinstance(value, bool) and isinstance(part, bool)):
        return compare(value, part, budget) == 0
    raise JqError(f"{shown(value, budget)} and {shown(part, budget)} cannot have their containment checked")


def indices(value: Any, part: Any, budget: Budget) -> Any:
    """Where a part begins: in a text, or elements or stretches of an array."""
    if value is None:
        return None
    if isinstance(value, str) and isinstance(part, str):
        found: list[int] = []
        position = value.find(part) if part else -1
        while position >= 0:
            budget.elements(1)
            found.append(position)
            position = value.find(part, position + 1)
        return found or (None if not part else [])
    if not isinstance(value, list):
        raise JqError(f"Cannot determine indices in {kind(value)}")
    wanted = part if isinstance(part, list) else [part]
    if not wanted:
        return None
    budget.elements(len(value))
    return [
        index
        for index in range(len(value) - len(wanted) + 1)
        if all(compare(value[index + offset], item, budget) == 0 for offset, item in enumerate(wanted))
    ]


def length(value: Any) -> Any:
    """Characters, elements, entries; a number without its sign; null is zero."""
    if value is None:
        return 0
    if isinstance(value, bool):
        raise JqError("boolean has no length")
    if isinstance(value, (int, float)):
        return number(abs(value))
    return len(value)
