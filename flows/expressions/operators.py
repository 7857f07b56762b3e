"""What the operators mean: Pebble's arithmetic, comparison, equality and truth (expressions §2.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.budget import Budget
from flows.expressions.printing import is_sequence, to_text

LONG_MAX = 2**63 - 1
LONG_MIN = -(2**63)


def kind_of(value: Any) -> str:
    """The word a user knows for the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "a map"
    if is_sequence(value) or isinstance(value, AbstractSet):
        return "a list"
    return f"a {type(value).__name__}"


BRIEF_CHARACTERS = 200


def brief(value: Any) -> str:
    """A key or argument for an error message: texts and numbers as they are, cut short; of all else only its kind.

    Whole values are never shown: one that holds itself many times over would take for ever to write out.
    """
    if isinstance(value, str):
        return value if len(value) <= BRIEF_CHARACTERS else value[:BRIEF_CHARACTERS] + "…"
    if isinstance(value, (bool, float)) or (isinstance(value, int) and value.bit_length() <= 128):
        return to_text(value, Budget())
    return kind_of(value)


def type_error(what: str, value: Any) -> ExpressionError:
    """`what` names the operation and what it expects; the found type is added."""
    return ExpressionError(f"{what}, found {kind_of(value)}", code="expression.type")


def is_number(value: Any) -> bool:
    """Integers and floats; booleans are no numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _operand(value: Any, symbol: str) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip()
        try:
            if len(text) <= 400:
                return float(text) if any(mark in text for mark in ".eE") else int(text)
        except ValueError:
            pass
        raise ExpressionError(f"`{symbol}` expects numbers, found the text `{value[:60]}`", code="expression.type")
    raise type_error(f"`{symbol}` expects numbers", value)


def _bounded(value: float, symbol: str) -> int | float:
    if isinstance(value, int) and not LONG_MIN <= value <= LONG_MAX:
        raise ExpressionError(f"The result of `{symbol}` does not fit a 64-bit integer", code="expression.overflow")
    return value


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ExpressionError("The number is too large", code="expression.overflow") from None


def add(left: Any, right: Any, budget: Budget) -> Any:
    """Texts are joined (null prints `null`), a list takes the right side, numbers are summed."""
    if isinstance(left, str) or isinstance(right, str):
        first = "null" if left is None else to_text(left, budget)
        second = "null" if right is None else to_text(right, budget)
        budget.produce(len(first) + len(second))
        return first + second
    if is_sequence(left):
        items = list(right) if is_sequence(right) or isinstance(right, AbstractSet) else [right]
        budget.elements(len(left) + len(items))
        return [*left, *items]
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        budget.elements(len(left) + len(right))
        return {**left, **right}
    if not is_number(left):
        raise type_error("`+` expects numbers, texts or a list", left)
    if not is_number(right):
        raise type_error("`+` expects numbers, texts or a list", right)
    return _arithmetic("+", left, right)


def subtract(left: Any, right: Any, budget: Budget) -> Any:
    """A list loses the right side's elements; otherwise numbers, texts being parsed."""
    if is_sequence(left):
        gone = list(right) if is_sequence(right) else [right]
        budget.elements(len(left))
        return [item for item in left if not any(equal(item, other, budget) for other in gone)]
    return _arithmetic("-", left, right)


def _arithmetic(symbol: str, left: Any, right: Any) -> int | float:
    first, second = _operand(left, symbol), _operand(right, symbol)
    whole = isinstance(first, int) and isinstance(second, int)
    if not whole:
        first, second = _float(first), _float(second)
    if symbol == "+":
        return _bounded(first + second, symbol)
    if symbol == "-":
        return _bounded(first - second, symbol)
    if symbol == "*":
        return _bounded(first * second, symbol)
    if whole:
        if not second:
            raise ExpressionError(f"`{symbol}`: division by zero", code="expression.division_by_zero")
        quotient = abs(int(first)) // abs(int(second))
        if (first < 0) != (second < 0):
            quotient = -quotient
        return _bounded(quotient if symbol == "/" else int(first) - quotient * int(second), symbol)
    if symbol == "/":
        return _divide(first, second)
    return math.fmod(first, second) if second and math.isfinite(first) else math.nan


def _divide(first: float, second: float) -> float:
    if second:
        return first / second
    if not first or math.isnan(first):
        return math.nan
    return math.copysign(math.inf, first) * math.copysign(1, second)


def multiply(left: Any, right: Any, budget: Budget) -> Any:
    """Numbers, texts being parsed."""
    return _arithmetic("*", left, right)


def divide(left: Any, right: Any, budget: Budget) -> Any:
    """Two integers divide to an integer, towards zero; division of integers by zero raises."""
    return _arithmetic("/", left, right)


def remainder(left: Any, right: Any, budget: Budget) -> Any:
    """Keeps the sign of the left operand."""
    return _arithmetic("%", left, right)


def negate(value: Any, budget: Budget) -> Any:
    """Unary minus, numbers only."""
    if not is_number(value):
        raise type_error("unary `-` expects a number", value)
    return _bounded(-value, "-")


def positive(value: Any, budget: Budget) -> Any:
    """Unary plus, numbers only."""
    if not is_number(value):
        raise type_error("unary `+` expects a number", value)
    return value


def equal(left: Any, right: Any, budget: Budget) -> bool:
    """Numbers by value, otherwise only values of the same kind; null equals null."""
    return _equal(left, right, budget, set())


def _equal(left: Any, right: Any, budget: Budget, met: set[tuple[int, int]]) -> bool:
    """`met`: pairs of lists and maps already under comparison, so that shared parts are compared once."""
    budget.spend(1)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    maps = isinstance(left, Mapping) and isinstance(right, Mapping)
    if not maps and not (is_sequence(left) and is_sequence(right)):
        return type(left) is type(right) and bool(left == right)
    pair = (id(left), id(right))
    if left is right or pair in met:
        return True
    if len(left) != len(right):
        return False
    met.add(pair)
    if maps:
        return all(key in right and _equal(item, right[key], budget, met) for key, item in left.items())
    return all(_equal(one, other, budget, met) for one, other in zip(left, right, strict=True))


def _comparable(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return True
    aware = isinstance(left, datetime) and isinstance(right, datetime)
    return aware and (left.tzinfo is None) is (right.tzinfo is None)


def compare(symbol: str, left: Any, right: Any) -> bool:
    """`< > <= >=`: two numbers, two texts (character by character), or two date-times; null on a side is false; all else raises.

    Older versions of the language refused texts; the current ones compare them, and `trigger.date > '2026-01-01'` needs it.
    """
    if left is None or right is None:
        return False
    if not _comparable(left, right):
        for side in (left, right):
            if not is_number(side):
                raise type_error(f"invalid operands for mathematical comparison: `{symbol}` expects numbers or two texts", side)
    if symbol == "<":
        return bool(left < right)
    if symbol == ">":
        return bool(left > right)
    if symbol == "<=":
        return bool(left <= right)
    return bool(left >= right)


def contains(left: Any, right: Any, budget: Budget) -> bool:
    """A list holds an element (or all of a list), a map holds a key, a text holds a text; null holds nothing."""
    if left is None:
        return False
    if isinstance(left, Mapping):
        keys = right if is_sequence(right) else [right]
        budget.spend(len(keys))
        return all(isinstance(key, str) and key in left for key in keys)
    if is_sequence(left) or isinstance(left, AbstractSet):
        wanted = right if is_sequence(right) else [right]
        return all(any(equal(item, one, budget) for item in left) for one in wanted)
    if isinstance(left, str):
        return to_text(right, budget) in left
    raise type_error("`contains` expects a list, a map or a text on its left", left)


def is_in(item: Any, holder: Any, budget: Budget) -> bool:
    """`item isIn holder`: the text of an element of a list, or of a key or value of a map; null is in nothing."""
    if item is None or not (isinstance(holder, (Mapping, AbstractSet)) or is_sequence(holder)):
        return False
    wanted = to_text(item, budget)
    sides = (holder.keys(), holder.values()) if isinstance(holder, Mapping) else (holder,)
    budget.spend(len(holder) // 4 + 1)
    return any(one is not None and to_text(one, budget) == wanted for side in sides for one in side)


def truth(value: Any, what: str) -> bool:
    """Truth in `if`, `and`, `or`, `not`: booleans, numbers other than zero, non-empty texts; all else raises."""
    if value is True or value is False:
        return bool(value)
    if isinstance(value, (int, float)):
        return value != 0
    if isinstance(value, str):
        return value != ""
    raise type_error(f"{what} expects a boolean, a number or a text", value)


def inclusive_range(start: Any, end: Any, step: Any, budget: Budget) -> list[Any]:
    """`a..b` and `range()`: both ends included, integers or single characters; a negative step counts down."""
    if isinstance(start, str) and isinstance(end, str) and len(start) == 1 and len(end) == 1:
        return [chr(code) for code in inclusive_range(ord(start), ord(end), step, budget)]
    for bound in (start, end, step):
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise type_error("a range expects integers or single characters", bound)
    if not step:
        raise ExpressionError("a range needs an increment other than zero", code="expression.type")
    count = (end - start) // step + 1
    if count <= 0:
        return []
    budget.spend(count)
    budget.elements(count)
    return list(range(start, end + (1 if step > 0 else -1), step))
