"""The text of a cron expression → the sets of its fields (triggers-and-conditions §5).

Five fields: minute, hour, day of month, month, day of week; six with seconds first. In each: `*`, a value, a range `a-b`, a
step `*/n`, `a-b/n` or `a/n` (from a to the end), and lists of those. Names of months and days in any case; 0 and 7 are Sunday.
Nicknames: @yearly @annually @monthly @weekly @daily @midnight @hourly.

Taken over from Quartz: `?` for `*` in a day field; day of month `L` (last), `L-3` (three days before the last), `15W` (the
working day nearest to the 15th, in the same month), `LW` (last working day); day of week `5L` (last Friday), `5#2` (second one).
Not taken over: the field of years, and a lone `L` as a day of week, which other programs read in two ways. Ranges that go
backwards (`22-2`) are refused; `FRI-SUN` and `5-7` are fine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flows.errors import HeadraceError

EXPRESSION_LENGTH_MAX = 256
"""Characters of a cron expression. The longest sensible list of minutes has about 180."""

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}


class CronInvalid(HeadraceError):
    """A text that is no cron expression. The message quotes it and says why."""

    code = "cron.invalid"

    def __init__(self, expression: str, reason: str) -> None:
        super().__init__(f"invalid cron expression '{expression[:EXPRESSION_LENGTH_MAX]}': {reason}")


@dataclass(frozen=True, slots=True)
class Field:
    """One place of the expression: its name, its bounds, and the names its values may be written with."""

    name: str
    low: int
    high: int
    names: dict[str, int]


SECOND = Field("second", 0, 59, {})
MINUTE = Field("minute", 0, 59, {})
HOUR = Field("hour", 0, 23, {})
DAY = Field("day of month", 1, 31, {})
MONTH = Field("month", 1, 12, _MONTHS)
WEEKDAY = Field("day of week", 0, 7, _DAYS)


@dataclass(frozen=True, slots=True)
class DaysOfMonth:
    """The day-of-month field. `before_last`: n of `L-n` (0 is `L`); `near`: days of `15W`; `last_working`: `LW`."""

    days: frozenset[int]
    before_last: frozenset[int] = frozenset()
    near: frozenset[int] = frozenset()
    last_working: bool = False
    free: bool = False
    """`*` or `?`: the field says nothing. A step such as `*/2` does say something."""


@dataclass(frozen=True, slots=True)
class DaysOfWeek:
    """The day-of-week field, 0 = Sunday. `last`: days of `5L`; `nth`: (day, n) of `5#2`."""

    days: frozenset[int]
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()
    free: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """A whole expression. `repeats`: the minute or the hour is a wildcard, so that a repeated hour is run through twice."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: DaysOfMonth
    months: frozenset[int]
    weekdays: DaysOfWeek
    repeats: bool


def read_fields(expression: str, *, with_seconds: bool = False) -> Fields:
    """The fields of an expression; with `with_seconds` there are six. Raises CronInvalid."""
    text = expression.strip()
    if len(text) > EXPRESSION_LENGTH_MAX:
        raise CronInvalid(text, f"it is longer than {EXPRESSION_LENGTH_MAX} characters")
    if text.startswith("@"):
        if text.lower() not in NICKNAMES:
            raise CronInvalid(text, f"unknown nickname, expected one of {', '.join(NICKNAMES)}")
        parts = ["0", *NICKNAMES[text.lower()].split()]
    else:
        parts = text.split()
        expected = 6 if with_seconds else 5
        if len(parts) != expected:
            names = (
                "second minute hour day-of-month month day-of-week"
                if with_seconds
                else "minute hour day-of-month month day-of-week"
            )
            more = " (six fields need `withSeconds: true`)" if len(parts) == 6 else ""
            raise CronInvalid(text, f"expected {expected} fields ({names}), found {len(parts)}{more}")
        if not with_seconds:
            parts = ["0", *parts]
    try:
        return Fields(
            seconds=_plain(parts[0], SECOND),
            minutes=_plain(parts[1], MINUTE),
            hours=_plain(parts[2], HOUR),
            days=_days_of_month(parts[3]),
            months=_plain(parts[4], MONTH),
            weekdays=_days_of_week(parts[5]),
            repeats="*" in parts[1] or "*" in parts[2],
        )
    except _Reason as reason:
        raise CronInvalid(text, str(reason)) from None


class _Reason(Exception):
    """Why a field cannot be read."""


def _plain(text: str, field: Field) -> frozenset[int]:
    return frozenset(value for part in _parts(text, field) for value in _values(part, field))


def _parts(text: str, field: Field) -> list[str]:
    parts = text.split(",")
    if not all(parts):
        raise _Reason(f"{field.name}: `{text}` has an empty entry in its list")
    return parts


def _values(part: str, field: Field) -> range:
    """The values of one entry of a list."""
    body, slash, step_text = part.partition("/")
    step = 1
    if slash:
        widest = field.high - field.low + (field is not WEEKDAY)
        if not _number(step_text) or not 1 <= int(step_text) <= widest:
            raise _Reason(f"{field.name}: the step of `{part}` must be a number from 1 to {widest}")
        step = int(step_text)
    if body == "*":
        return range(field.low, field.high + (field is not WEEKDAY), step)
    first_text, dash, last_text = body.partition("-")
    first = _value(first_text, field, part)
    if not dash:
        return range(first, (field.high if slash else first) + 1, step)
    last = _value(last_text, field, part)
    if field is WEEKDAY and last == 0 and first > 0:
        last = 7
    if last < first:
        raise _Reason(f"{field.name}: the range `{body}` goes backwards; write `{first}-{field.high},{field.low}-{last}`")
    return range(first, last + 1, step)


def _value(text: str, field: Field, part: str) -> int:
    if text.upper() in field.names:
        return field.names[text.upper()]
    if not _number(text):
        names = f" or a name ({', '.join(field.names)})" if field.names else ""
        raise _Reason(f"{field.name}: expected a number from {field.low} to {field.high}{names}, found `{part}`")
    value = int(text)
    if not field.low <= value <= field.high:
        raise _Reason(f"{field.name}: {value} is not between {field.low} and {field.high}")
    return value


def _number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,4}", text) is not None


def _days_of_month(text: str) -> DaysOfMonth:
    if text in ("*", "?"):
        return DaysOfMonth(frozenset(range(1, 32)), free=True)
    days: set[int] = set()
    before_last: set[int] = set()
    near: set[int] = set()
    last_working = False
    for part in _parts(text, DAY):
        upper = part.upper()
        if upper == "L":
            before_last.add(0)
        elif upper == "LW":
            last_working = True
        elif match := re.fullmatch(r"L-([0-9]{1,2})", upper):
            if not 1 <= int(match[1]) <= 30:
                raise _Reason(f"{DAY.name}: `{part}` must go back 1 to 30 days")
            before_last.add(int(match[1]))
        elif match := re.fullmatch(r"([0-9]{1,4})W", upper):
            near.add(_value(match[1], DAY, part))
        else:
            days.update(_values(part, DAY))
    return DaysOfMonth(frozenset(days), frozenset(before_last), frozenset(near), last_working)


def _days_of_week(text: str) -> DaysOfWeek:
    if text in ("*", "?"):
        return DaysOfWeek(frozenset(range(7)), free=True)
    days: set[int] = set()
    last: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for part in _parts(text, WEEKDAY):
        upper = part.upper()
        if upper == "L":
            raise _Reason(f"{WEEKDAY.name}: say of which day `L` is the last, for example `5L`")
        if match := re.fullmatch(r"([A-Z]{3}|[0-9]{1,4})L", upper):
            last.add(_value(match[1], WEEKDAY, part) % 7)
        elif match := re.fullmatch(r"([A-Z]{3}|[0-9]{1,4})#([0-9]{1,4})", upper):
            if not 1 <= int(match[2]) <= 5:
                raise _Reason(f"{WEEKDAY.name}: `{part}` must count from 1 to 5")
            nth.add((_value(match[1], WEEKDAY, part) % 7, int(match[2])))
        else:
            days.update(value % 7 for value in _values(part, WEEKDAY))
    return DaysOfWeek(frozenset(days), frozenset(last), frozenset(nth))
