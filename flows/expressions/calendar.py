"""Functions on days and instants, made for `when` (expressions §7): `isWeekend`, `dayOfWeek`, `isDateBetween`, …

A date is whatever the date filters accept. The day and hour are those of the date's own zone (`2025-01-04T00:30+01:00` is a
Saturday), of `timeZone` when it is given, of UTC when there is neither. Days of the week are Java's names: `MONDAY`. The
reference leaves the signatures open; these are the current ones, `timeZone` added.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.moments import moment, own_moment
from flows.expressions.operators import type_error
from flows.expressions.printing import is_sequence
from flows.expressions.registry import function
from flows.expressions.scope import Frame

DAYS = tuple(name.upper() for name in calendar.day_name)
POSITIONS = ("FIRST", "SECOND", "THIRD", "FOURTH")


def _day_index(value: Any) -> int:
    if isinstance(value, str) and value.upper() in DAYS:
        return DAYS.index(value.upper())
    raise ExpressionError(f"a day of the week is one of {', '.join(DAYS)}", code="expression.arguments")


@function("isWeekend", "date timeZone")
def is_weekend(frame: Frame, date: Any, time_zone: Any = None) -> bool:
    """Whether a date is a Saturday or Sunday."""
    return own_moment(date, time_zone).weekday() >= 5


@function("dayOfWeek", "date timeZone")
def day_of_week(frame: Frame, date: Any, time_zone: Any = None) -> str:
    """`MONDAY` … `SUNDAY`."""
    return DAYS[own_moment(date, time_zone).weekday()]


@function("dayOfMonth", "date timeZone")
def day_of_month(frame: Frame, date: Any, time_zone: Any = None) -> int:
    """1 … 31."""
    return own_moment(date, time_zone).day


@function("monthOfYear", "date timeZone")
def month_of_year(frame: Frame, date: Any, time_zone: Any = None) -> int:
    """1 … 12."""
    return own_moment(date, time_zone).month


@function("hourOfDay", "date timeZone")
def hour_of_day(frame: Frame, date: Any, time_zone: Any = None) -> int:
    """0 … 23."""
    return own_moment(date, time_zone).hour


@function("isDateAfter", "date reference|other")
def is_date_after(frame: Frame, date: Any, reference: Any) -> bool:
    """Whether a date is later than another; what has no zone is in UTC."""
    return moment(date) > moment(reference)


@function("isDateBefore", "date reference|other")
def is_date_before(frame: Frame, date: Any, reference: Any) -> bool:
    """Whether a date is earlier than another."""
    return moment(date) < moment(reference)


@function("isDateBetween", "date after before")
def is_date_between(frame: Frame, date: Any, after: Any, before: Any) -> bool:
    """Whether a date is later than one and earlier than another, both excluded."""
    return moment(after) < moment(date) < moment(before)


@function("isDayWeekInMonth", "date dayOfWeek position|dayInMonth timeZone")
def is_day_week_in_month(frame: Frame, date: Any, day: Any, position: Any, time_zone: Any = None) -> bool:
    """Whether a date is the FIRST, SECOND, THIRD, FOURTH or LAST such day of its month."""
    at, wanted = own_moment(date, time_zone), _day_index(day)
    if not isinstance(position, str) or position.upper() not in (*POSITIONS, "LAST"):
        raise type_error("`isDayWeekInMonth` expects FIRST, SECOND, THIRD, FOURTH or LAST as `position`", position)
    if at.weekday() != wanted:
        return False
    if position.upper() == "LAST":
        return at.day + 7 > calendar.monthrange(at.year, at.month)[1]
    return (at.day - 1) // 7 == POSITIONS.index(position.upper())


@function("isLastWorkingDay", "date workingDays|days timeZone")
def is_last_working_day(frame: Frame, date: Any, days: Any = None, time_zone: Any = None) -> bool:
    """Whether a date is the last working day of its month.

    `workingDays` names them, as a list or as a text with commas or blanks between; Monday to Friday without.
    """
    at = own_moment(date, time_zone)
    named = re.split(r"[,\s]+", days.strip()) if isinstance(days, str) and days.strip() else days
    working = {_day_index(day) for day in named} if is_sequence(named) else set(range(5))
    if not working or (named and not is_sequence(named)):
        raise type_error("`isLastWorkingDay` expects days of the week as `workingDays`", days)
    last: datetime = at.replace(day=calendar.monthrange(at.year, at.month)[1])
    while last.weekday() not in working:
        last -= timedelta(days=1)
    return at.date() == last.date()


@function("isPublicHoliday", "date countryCode|country subDivision timeZone")
def is_public_holiday(frame: Frame, date: Any, country: Any, division: Any = None, time_zone: Any = None) -> bool:
    """Whether a date is a public holiday of a country (`FR`), or of a part of it (`US`, `CA`), by ISO 3166 codes."""
    at = own_moment(date, time_zone)
    if not isinstance(country, str) or not re.fullmatch(r"[A-Za-z]{2,3}", country.strip()):
        raise type_error("`isPublicHoliday` expects a country code such as FR", country)
    if division is not None and (not isinstance(division, str) or not re.fullmatch(r"[A-Za-z0-9-]{0,10}", division.strip())):
        raise type_error("`isPublicHoliday` expects the code of a part of the country as `subDivision`", division)
    part = (division or "").strip().upper().removeprefix(country.strip().upper() + "-")
    return at.date() in holidays_of(country.strip().upper(), part, at.year)


@lru_cache(maxsize=64)
def holidays_of(country: str, division: str, year: int) -> frozenset[Any]:
    """The public holidays of a year, as dates. Raises ExpressionError for countries and parts that are not known."""
    # Imported here: it is large, and few flows ask for it.
    import holidays

    try:
        found = holidays.country_holidays(country, subdiv=division or None, years=year)
    except NotImplementedError:
        where = f"{country}-{division}" if division else country
        raise ExpressionError(
            f"`isPublicHoliday` knows no holidays of `{where}`; use ISO 3166 codes such as FR or US and CA",
            code="expression.arguments",
        ) from None
    return frozenset(found)
