"""Filters on dates and times (expressions §5.5). Without `timeZone` everything is in UTC."""

from __future__ import annotations

from typing import Any

from flows.expressions import moments
from flows.expressions.operators import type_error
from flows.expressions.registry import filter_
from flows.expressions.scope import Frame


@filter_("date", "format timeZone existingFormat locale")
def date(
    frame: Frame, value: Any, format_name: Any = "iso", time_zone: Any = None, existing_format: Any = None, locale: Any = None
) -> str:
    """The date as text."""
    return moments.text(moments.moment(value, time_zone, existing_format, locale), format_name, locale)


@filter_("dateAdd", "amount unit format timeZone existingFormat locale")
def date_add(
    frame: Frame,
    value: Any,
    amount: Any,
    unit: Any,
    format_name: Any = "iso",
    time_zone: Any = None,
    existing_format: Any = None,
    locale: Any = None,
) -> str:
    """The date moved by `amount` units, as text."""
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise type_error("`dateAdd` expects an integer as `amount`", amount)
    if not isinstance(unit, str):
        raise type_error("`dateAdd` expects a unit such as DAYS", unit)
    moved = moments.shifted(moments.moment(value, time_zone, existing_format, locale), amount, unit)
    return moments.text(moved, format_name, locale)


@filter_("timestamp", "timeZone existingFormat")
def timestamp(frame: Frame, value: Any, time_zone: Any = None, existing_format: Any = None) -> int:
    """Whole seconds since 1970."""
    return moments.micros(moments.moment(value, time_zone, existing_format)) // 1_000_000


@filter_("timestampMilli", "timeZone existingFormat")
def timestamp_milli(frame: Frame, value: Any, time_zone: Any = None, existing_format: Any = None) -> int:
    """Whole milliseconds since 1970."""
    return moments.micros(moments.moment(value, time_zone, existing_format)) // 1000


@filter_("timestampMicro", "timeZone existingFormat")
def timestamp_micro(frame: Frame, value: Any, time_zone: Any = None, existing_format: Any = None) -> str:
    """Microseconds since 1970, as text."""
    return str(moments.micros(moments.moment(value, time_zone, existing_format)))


@filter_("timestampNano", "timeZone existingFormat")
def timestamp_nano(frame: Frame, value: Any, time_zone: Any = None, existing_format: Any = None) -> str:
    """Nanoseconds since 1970, as text."""
    return str(moments.micros(moments.moment(value, time_zone, existing_format)) * 1000)
