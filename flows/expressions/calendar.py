"""Functions on days and instants, made for `when` (expressions §7): `isWeekend`, `dayOfWeek`, `isDateBetween`, …

A date is whatever the date filters accept; without a zone it is taken in UTC. Days of the week are Java's names: `MONDAY`.
Public holidays need a calendar of the world and come in through `Scope`.
"""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.moments import moment
from flows.expressions.operators import type_error
from flows.expressions.registry import function
from flows.expressions.scope import Frame

DAYS = tuple(name.upper() for name in calendar.day_name)
POSITIONS = ("FIRST", "SECOND", "THIRD", "FOURTH")


def _day_index(value: Any) -> int:
    if isinstance(value, str) and value.upper() in DAYS:
        return DAYS.index(value.upper())
    raise ExpressionError(f"a day of the week is one of {', '.join(DAYS)}", code="expression.arguments")


@function("isWeekend", "date")
def is_weekend(frame: Frame, date: Any) -> bool:
    """Whether a date is a Saturday or Sunday."""
    return moment(date).weekday() >= 5


@function("dayOfWeek", "date")
def day_of_week(frame: Frame, date: Any) -> str:
    """`MONDAY` … `SUNDAY`."""
    return DAYS[moment(date).weekday()]


@function("dayOfMonth", "date")
def day_of_month(frame: Frame, date: Any) -> int:
    """1 … 31."""
    return moment(date).day


@function("monthOfYear", "date")
def month_of_year(frame: Frame, date: Any) -> int:
    """1 … 12."""
    return moment(date).month


@function("hourOfDay", "date")
def hour_of_day(frame: Frame, date: Any) -> int:
    """0 … 23."""
    return moment(date).hour


@function("isDateAfter", "date other")
def is_date_after(frame: Frame, date: Any, other: Any) -> bool:
    """Whether a date is later than another."""
    return moment(date) > moment(other)


@function("isDateBefore", "date other")
def is_date_before(frame: Frame, date: Any, other: Any) -> bool:
    """Whether a date is earlier than another."""
    return moment(date) < moment(other)


@function("isDateBetween", "date after before")
def is_date_between(frame: Frame, date: Any, after: Any, before: Any) -> bool:
    """Whether a date is later than one and earlier than another."""
    return moment(after) < moment(date) < moment(before)


@function("isDayWeekInMonth", "date dayOfWeek position")
def is_day_week_in_month(frame: Frame, date: Any, day: Any, position: Any) -> bool:
    """Whether a date is the FIRST, SECOND, THIRD, FOURTH or LAST such day of its month."""
    at, wanted = moment(date), _day_index(day)
    if not isinstance(position, str) or position.upper() not in (*POSITIONS, "LAST"):
        raise type_error("`isDayWeekInMonth` expects FIRST, SECOND, THIRD, FOURTH or LAST as `position`", position)
    if at.weekday() != wanted:
        return False
    if position.upper() == "LAST":
        return at.day + 7 > calendar.monthrange(at.year, at.month)[1]
    return (at.day - 1) // 7 == POSITIONS.index(position.upper())


@function("isLastWorkingDay", "date days")
def is_last_working_day(frame: Frame, date: Any, days: Any = None) -> bool:
    """Whether a date is the last of its month that is a working day; `days` names them, Monday to Friday without."""
    at = moment(date)
    working = set(range(5)) if days is None else {_day_index(day) for day in (days if isinstance(days, list) else [days])}
    if not working:
        raise ExpressionError("`isLastWorkingDay` needs at least one working day", code="expression.arguments")
    last: datetime = at.replace(day=calendar.monthrange(at.year, at.month)[1])
    while last.weekday() not in working:
        last -= timedelta(days=1)
    return at.date() == last.date()
