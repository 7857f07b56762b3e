"""Filters on numbers (expressions §5.2)."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.operators import LONG_MAX, LONG_MIN, brief, is_number, type_error
from flows.expressions.registry import filter_
from flows.expressions.scope import Frame

NUMBER_CHARACTERS_MAX = 1_000
"""Length of a text that `number` reads."""

FRACTION_DIGITS_MAX = 340
"""Digits after the point that `numberFormat` gives, as in Java."""


@filter_("abs", null_passes=False)
def absolute(frame: Frame, value: Any) -> Any:
    """The number without its sign."""
    if not is_number(value):
        raise type_error("`abs` expects a number", value)
    return abs(value)


@filter_("number", "type")
def number(frame: Frame, value: Any, kind: Any = None) -> Any:
    """The number in a text; without a type the smallest that fits."""
    if not isinstance(value, str):
        raise type_error("`number` expects a text", value)
    text = value.strip()
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise ExpressionError(f"`number` reads at most {NUMBER_CHARACTERS_MAX} characters", code="expression.range")
    wanted = kind.upper() if isinstance(kind, str) else None
    if kind is not None and wanted not in ("INT", "FLOAT", "LONG", "DOUBLE", "BIGDECIMAL", "BIGINTEGER"):
        raise ExpressionError(f"`number` does not know the type `{brief(kind)}`", code="expression.arguments")
    try:
        if re.fullmatch(r"[-+]?(?:0[xX]|#)[0-9a-fA-F]+", text):
            whole = int(text.replace("#", "0x"), 16)
            return float(whole) if wanted in ("FLOAT", "DOUBLE") else _fits(whole, wanted, value)
        if wanted in ("INT", "LONG", "BIGINTEGER"):
            return _fits(_whole(text), wanted, value)
        if wanted == "BIGDECIMAL":
            return Decimal(text)
        if wanted in ("FLOAT", "DOUBLE"):
            return float(text)
        return _fits(int(text), None, value) if re.fullmatch(r"[-+]?[0-9]+", text) else float(_decimal_text(text))
    except (ValueError, InvalidOperation):
        raise ExpressionError(f"`{value[:60]}` is no number", code="expression.type") from None


def _whole(text: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _decimal_text(text: str) -> str:
    if not re.fullmatch(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fFdDlL]?", text):
        raise ValueError(text)
    return text.rstrip("fFdDlL")


def _fits(whole: int, wanted: str | None, text: str) -> int:
    if wanted == "INT" and not -(2**31) <= whole < 2**31:
        raise ExpressionError(f"`{text[:60]}` does not fit a 32-bit integer", code="expression.overflow")
    if wanted == "LONG" and not LONG_MIN <= whole <= LONG_MAX:
        raise ExpressionError(f"`{text[:60]}` does not fit a 64-bit integer", code="expression.overflow")
    return whole


@filter_("numberFormat", "format")
def number_format(frame: Frame, value: Any, pattern: Any = None) -> str:
    """Java's DecimalFormat; without a pattern, grouped with at most three digits after the point."""
    if isinstance(value, Decimal):
        amount = value
    elif is_number(value):
        if isinstance(value, float) and not math.isfinite(value):
            return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
        amount = Decimal(repr(value))
    else:
        raise type_error("`numberFormat` expects a number", value)
    if pattern is None:
        pattern = "#,##0.###"
    if not isinstance(pattern, str):
        raise type_error("`numberFormat` expects a text as `format`", pattern)
    if len(pattern) > NUMBER_CHARACTERS_MAX:
        raise ExpressionError("`numberFormat`: the format is too long", code="expression.range")
    return frame.budget.text(decimal_format(amount, pattern))


_SHAPE = re.compile(
    r"(?P<prefix>(?:'[^']*'|[^#0,.';])*)(?P<whole>[#,0]*)(?:\.(?P<fraction>0*#*))?(?P<exponent>E0+)?(?P<suffix>(?:'[^']*'|[^#0,';])*)"
)


def decimal_format(amount: Decimal, pattern: str) -> str:
    """A number by a DecimalFormat pattern such as `#,##0.00`, `0.###E0`, `#%`. Raises ExpressionError for other patterns."""
    positive, _, negative = pattern.partition(";")
    shape = _SHAPE.fullmatch(positive)
    if shape is None or amount.adjusted() > 400:
        raise ExpressionError(f"`{pattern[:60]}` is no number format", code="expression.arguments")
    prefix, suffix = _literal(shape["prefix"]), _literal(shape["suffix"])
    affixes = shape["prefix"] + shape["suffix"]
    context = Context(prec=1000)
    if "%" in affixes:
        amount = context.multiply(amount, Decimal(100))
    elif "‰" in affixes:
        amount = context.multiply(amount, Decimal(1000))
    whole, fraction = shape["whole"] or "", shape["fraction"] or ""
    grouping = len(whole) - whole.rfind(",") - 1 if "," in whole else 0
    least = whole.replace(",", "").count("0")
    if len(fraction) > FRACTION_DIGITS_MAX:
        raise ExpressionError(f"`numberFormat` gives at most {FRACTION_DIGITS_MAX} digits", code="expression.range")
    tail = ""
    magnitude = abs(amount)
    if shape["exponent"]:
        power = magnitude.adjusted() - max(least, 1) + 1 if magnitude else 0
        magnitude = magnitude.scaleb(-power, context)
        tail = f"E{'-' if power < 0 else ''}{abs(power):0{len(shape['exponent']) - 1}d}"
    rounded = magnitude.quantize(Decimal(1).scaleb(-len(fraction)), ROUND_HALF_EVEN, context)
    text = format(rounded, "f")
    digits, _, decimals = text.partition(".")
    digits = digits.lstrip("0").rjust(least, "0")
    keep = fraction.count("0")
    while len(decimals) > keep and decimals.endswith("0"):
        decimals = decimals[:-1]
    if not digits and not decimals:
        digits = "0"
    if grouping:
        head = len(digits) % grouping
        groups = [digits[:head]] if head else []
        groups += [digits[index : index + grouping] for index in range(head, len(digits), grouping)]
        digits = ",".join(groups)
    body = digits + ("." + decimals if decimals else "") + tail
    if amount < 0 and rounded:
        if negative:
            other = _SHAPE.fullmatch(negative)
            if other is not None:
                return _literal(other["prefix"]) + body + _literal(other["suffix"])
        return f"-{prefix}{body}{suffix}"
    return f"{prefix}{body}{suffix}"


def _literal(text: str) -> str:
    return re.sub(r"'([^']*)'", lambda match: match.group(1) or "'", text)
