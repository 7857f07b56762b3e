"""Values as moments in time, and moments as text in the named formats (expressions §5.5)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from flows.expressions import java_time
from flows.expressions.java_time import fault
from flows.expressions.locales import STYLES, US_ENGLISH, Locale, locale_of
from flows.expressions.operators import type_error

NAMED_PATTERNS = {
    "iso": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "iso_sec": "yyyy-MM-dd'T'HH:mm:ssXXX",
    "iso_milli": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "sql": "yyyy-MM-dd HH:mm:ss.SSSSSS",
    "sql_milli": "yyyy-MM-dd HH:mm:ss.SSS",
    "sql_seq": "yyyy-MM-dd HH:mm:ss",
    "iso_local_date": "yyyy-MM-dd",
    "iso_date": "yyyy-MM-ddXXX",
    "iso_offset_date": "yyyy-MM-ddXXX",
    "iso_ordinal_date": "yyyy-DDDXXX",
    "basic_iso_date": "yyyyMMddXX",
    "rfc_1123_date_time": "EEE, d MMM yyyy HH:mm:ss",
}

UNITS: dict[str, timedelta] = {
    "MICROS": timedelta(microseconds=1),
    "MILLIS": timedelta(milliseconds=1),
    "SECONDS": timedelta(seconds=1),
    "MINUTES": timedelta(minutes=1),
    "HOURS": timedelta(hours=1),
    "HALF_DAYS": timedelta(hours=12),
}
DAY_UNITS = {"DAYS": 1, "WEEKS": 7}
MONTH_UNITS = {"MONTHS": 1, "YEARS": 12, "DECADES": 120, "CENTURIES": 1200, "MILLENNIA": 12000}


def time_zone(name: Any) -> tzinfo:
    """The zone of a `timeZone` argument; UTC without one."""
    if name is None:
        return UTC
    if not isinstance(name, str):
        raise type_error("`timeZone` expects a text such as Europe/Paris", name)
    return java_time.zone(name)


def moment(value: Any, zone_name: Any = None, existing_format: Any = None, locale: Any = None) -> datetime:
    """The value as a moment in the zone asked for. Raises ExpressionError when it is none.

    `locale` names the language of month and day names that `existing_format` reads.
    """
    zone = time_zone(zone_name)
    try:
        return _zoned(_read(value, existing_format, US_ENGLISH if locale is None else locale_of(locale)), zone)
    except OverflowError:
        raise fault("The date is outside the years 1 to 9999") from None


def own_moment(value: Any, zone_name: Any = None) -> datetime:
    """The value as a moment in its own zone; in the zone asked for when there is one; in UTC when it has none."""
    if zone_name is not None:
        return moment(value, zone_name)
    read = _read(value, None)
    if not isinstance(read, datetime):
        return datetime.combine(read, time(0), UTC)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


def _zoned(value: datetime | date, zone: tzinfo) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(0), zone)
    return value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone)


def _read(value: Any, existing_format: Any, locale: Locale = US_ENGLISH) -> datetime | date:
    if existing_format is not None:
        if not isinstance(existing_format, str):
            raise type_error("`existingFormat` expects a text", existing_format)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str):
            return _read_by(value, existing_format, locale)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time(12))
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(0, UTC) + timedelta(seconds=value)
        except OverflowError:
            raise fault(f"{value} seconds since 1970 are outside the years 1 to 9999") from None
    if isinstance(value, str):
        return _read_iso(value.strip())
    raise type_error("a date filter expects a date, a text or whole seconds since 1970", value)


def _read_by(text: str, pattern: str, locale: Locale) -> datetime | date:
    """By a named format or a pattern; the ISO names that have no pattern are read as any ISO text."""
    lowered = pattern.lower()
    if lowered in _ISO_STYLES:
        return _read_iso(text.strip())
    if lowered in STYLES:
        return java_time.read(text, locale.style(lowered), locale)
    return java_time.read(text, NAMED_PATTERNS.get(lowered, pattern), locale)


_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"(Z|[-+][0-9]{2}(?::?[0-9]{2})?)?(?:\[([^\]]{1,60})\])?)?"
)


def _read_iso(text: str) -> datetime | date:
    match = _ISO.fullmatch(text)
    if match is None:
        raise fault(f"Text '{text[:60]}' is no ISO date; name its pattern with existingFormat")
    day, clock, seconds, fraction, offset, region = match.groups()
    try:
        parsed = date.fromisoformat(day)
        if clock is None:
            return parsed
        hour, minute = clock.split(":")
        micros = int((fraction or "0").ljust(6, "0")[:6])
        local = datetime.combine(parsed, time(int(hour), int(minute), int(seconds or 0), micros))
    except ValueError as error:
        raise fault(f"Text '{text[:60]}' is no date: {error}") from None
    if offset is not None:
        zoned = local.replace(tzinfo=java_time.zone(offset))
        return zoned.astimezone(java_time.zone(region)) if region else zoned
    return local.replace(tzinfo=java_time.zone(region)) if region else local


def text(value: datetime, format_name: Any, locale: Any = None) -> str:
    """The moment in a named format, or by a Java pattern."""
    if not isinstance(format_name, str):
        raise type_error("`format` expects a text", format_name)
    where = locale_of(locale)
    lowered = format_name.lower()
    if lowered == "rfc_1123_date_time":
        offset = java_time.write(value, "XX")
        return java_time.write(value, NAMED_PATTERNS[lowered]) + (" GMT" if offset == "Z" else f" {offset}")
    if lowered in _ISO_STYLES:
        return _ISO_STYLES[lowered](value)
    pattern = where.style(lowered) if lowered in STYLES else NAMED_PATTERNS.get(lowered, format_name)
    return java_time.write(value, pattern, where)


def _local_time(value: datetime) -> str:
    base = value.strftime("%H:%M:%S")
    return base + (f".{value.microsecond:06d}".rstrip("0") if value.microsecond else "")


def _offset(value: datetime) -> str:
    return java_time.write(value, "XXX")


def _day(value: datetime) -> str:
    return value.date().isoformat()


def _instant(value: datetime) -> str:
    value = value.astimezone(UTC)
    return f"{_day(value)}T{_local_time(value)}Z"


def _zoned_text(value: datetime) -> str:
    region = f"[{value.tzinfo.key}]" if isinstance(value.tzinfo, ZoneInfo) else ""
    return f"{_day(value)}T{_local_time(value)}{_offset(value)}{region}"


def _week(value: datetime) -> str:
    iso = value.isocalendar()
    return f"{iso.year:04d}-W{iso.week:02d}-{iso.weekday}{_offset(value)}"


_ISO_STYLES = {
    "iso_local_time": _local_time,
    "iso_time": lambda value: _local_time(value) + _offset(value),
    "iso_offset_time": lambda value: _local_time(value) + _offset(value),
    "iso_local_date_time": lambda value: f"{_day(value)}T{_local_time(value)}",
    "iso_offset_date_time": lambda value: f"{_day(value)}T{_local_time(value)}{_offset(value)}",
    "iso_date_time": _zoned_text,
    "iso_zoned_date_time": _zoned_text,
    "iso_instant": _instant,
    "iso_week_date": _week,
}


def shifted(value: datetime, amount: int, unit: str) -> datetime:
    """The moment moved by whole units. Months end on the last day where a day is missing. Raises ExpressionError."""
    try:
        if unit in UNITS:
            return (value.astimezone(UTC) + amount * UNITS[unit]).astimezone(value.tzinfo)
        if unit == "NANOS":
            return (value.astimezone(UTC) + timedelta(microseconds=amount // 1000)).astimezone(value.tzinfo)
        if unit in DAY_UNITS:
            return value + timedelta(days=amount * DAY_UNITS[unit])
        if unit in MONTH_UNITS:
            months = value.year * 12 + value.month - 1 + amount * MONTH_UNITS[unit]
            year, month = divmod(months, 12)
            last = _days_in_month(year, month + 1)
            return value.replace(year=year, month=month + 1, day=min(value.day, last))
    except (OverflowError, ValueError):
        raise fault(f"{amount} {unit} from {value.date().isoformat()} is outside the years 1 to 9999") from None
    known = ", ".join([*UNITS, *DAY_UNITS, *MONTH_UNITS])
    raise fault(f"`{unit[:40]}` is no unit of time; the units are {known}")


def _days_in_month(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1) if (year, month) != (9999, 12) else date.max
    return (following - timedelta(days=1)).day if (year, month) != (9999, 12) else 31


def micros(value: datetime) -> int:
    """Whole microseconds since 1970."""
    return (value - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
