"""Java's String.format: `%s %d %x %f %e %b %c %n %%` with flags, width and precision."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.budget import Budget
from flows.expressions.operators import is_number, type_error
from flows.expressions.printing import to_text

_SPECIFIER = re.compile(r"%(?:(\d{1,4})\$)?([-#+ 0,(]*)(\d{1,9})?(?:\.(\d{1,9}))?([a-zA-Z%])")

PRECISION_MAX = 1000
"""Digits after the point that a format may ask for."""


def java_format(pattern: str, arguments: Sequence[Any], budget: Budget) -> str:
    """The pattern with its specifiers filled in. Raises ExpressionError for missing arguments and unknown specifiers."""
    position = 0
    following = 0
    pieces: list[str] = []
    for match in _SPECIFIER.finditer(pattern):
        gap = pattern[position : match.start()]
        _no_stray(gap)
        index, flags, width, precision, kind = match.groups()
        position = match.end()
        if kind == "%":
            piece = "%"
        elif kind == "n":
            piece = "\n"
        else:
            which = int(index) - 1 if index else following
            following += 0 if index else 1
            if not 0 <= which < len(arguments):
                raise ExpressionError(f"`format`: there is no argument for `{match.group()}`", code="expression.arguments")
            piece = _formatted(kind, flags, precision, arguments[which], budget, int(width or 0))
        size = int(width or 0)
        budget.produce(len(gap) + max(size, len(piece)))
        pieces.append(gap)
        pieces.append(piece.ljust(size) if "-" in flags else piece.rjust(size))
    tail = pattern[position:]
    _no_stray(tail)
    budget.produce(len(tail))
    pieces.append(tail)
    return "".join(pieces)


def _no_stray(text: str) -> None:
    if "%" in text:
        raise ExpressionError("`format`: a `%` stands without a specifier; write `%%` for the sign", code="expression.arguments")


def _formatted(kind: str, flags: str, precision: str | None, value: Any, budget: Budget, width: int) -> str:
    digits = int(precision) if precision is not None else None
    if digits is not None and digits > PRECISION_MAX and kind in "fFeEgG":
        raise ExpressionError(f"`format` gives at most {PRECISION_MAX} digits", code="expression.range")
    lowered = kind.lower()
    if lowered == "s":
        text = "null" if value is None else to_text(value, budget)
        text = text if digits is None else text[:digits]
    elif lowered == "b":
        text = "false" if value is None else to_text(value, budget) if isinstance(value, bool) else "true"
    elif lowered == "c":
        text = chr(value) if isinstance(value, int) and 0 <= value < 0x110000 else to_text(value, budget)[:1]
    elif value is None:
        text = "null"
    elif lowered in ("d", "x", "o"):
        if not isinstance(value, int) or isinstance(value, bool):
            raise type_error(f"`format`: `%{kind}` expects an integer", value)
        if lowered == "d":
            text = _signed(format(abs(value), "," if "," in flags else ""), value < 0, flags, width, budget)
        else:
            text = format(value if value >= 0 else value + 2**64, lowered)
            if "0" in flags:
                budget.produce(width)
                text = text.zfill(width)
    elif lowered in ("f", "e", "g"):
        if not is_number(value):
            raise type_error(f"`format`: `%{kind}` expects a number", value)
        places = 6 if digits is None else digits
        if lowered == "f":
            rounded = abs(Decimal(repr(value))).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _context(places))
            text = format(rounded, ",f" if "," in flags else "f")
        else:
            text = format(abs(value), f".{places}{lowered}")
        text = _signed(text, value < 0, flags, width, budget)
    else:
        raise ExpressionError(f"`format`: `%{kind}` is not known", code="expression.arguments")
    return text.upper() if kind.isupper() else text


def _context(places: int) -> Any:
    from decimal import Context

    return Context(prec=places + 330)


def _signed(text: str, negative: bool, flags: str, width: int, budget: Budget) -> str:
    if negative and "(" in flags:
        return f"({text})"
    sign = "-" if negative else "+" if "+" in flags else " " if " " in flags else ""
    if "0" in flags:
        budget.produce(width)
        text = text.zfill(width - len(sign))
    return sign + text
