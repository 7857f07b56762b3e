"""What the two readers share: faults, limits, numbers and times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

from flows.errors import ExpressionError

DEPTH_MAX = 100
"""Nesting of lists and structs."""

DIGITS_MAX = 1_000
"""Digits of one number."""

VALUE_BYTES = 16
"""What one value is charged, beside its text."""


def fault(message: str) -> ExpressionError:
    """Text or bytes that are no Ion."""
    return ExpressionError(f"Invalid ion: {message}", code="expression.invalid_ion")


def too_deep() -> ExpressionError:
    """Lists and structs inside each other beyond the limit."""
    return ExpressionError(f"The Ion nests deeper than {DEPTH_MAX} levels", code="expression.too_deep")


def number(value: Decimal) -> float | Decimal:
    """A decimal as a number of the language, where nothing is lost by it."""
    if -300 < value.adjusted() < 300:
        near = float(value)
        if Decimal(repr(near)) == value:
            return near
    return value


def moment(day: date, clock: tuple[int, int, int, int] | None, offset_minutes: int | None) -> date | datetime:
    """A timestamp: local time of day and its offset (None = unknown, taken as UTC). Raises ExpressionError."""
    if clock is None:
        return day
    hour, minute, second, micros = clock
    zone = UTC if not offset_minutes else timezone(timedelta(minutes=offset_minutes))
    try:
        return datetime(day.year, day.month, day.day, hour, minute, second, micros, tzinfo=zone)
    except (ValueError, OverflowError) as error:
        raise fault(f"a timestamp is no date: {error}") from None
