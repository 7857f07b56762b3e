"""jq's functions on times: seconds since 1970, "broken down" arrays, and C's formats (`%Y-%m-%dT%H:%M:%SZ`). All in UTC."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.expressions.budget import Budget
from flows.expressions.jq import values
from flows.expressions.jq.values import JqError

FORMAT_CHARACTERS_MAX = 500
"""Length of a format and of a time as text."""

_MONTHS, _DAYS = tuple(calendar.month_name)[1:], tuple(calendar.day_name)


def _moment(value: Any, name: str) -> datetime:
    """A time from seconds or from a broken down time."""
    try:
        if values.kind(value) == "number" and math.isfinite(value):
            return datetime.fromtimestamp(0, UTC) + timedelta(seconds=value)
        if isinstance(value, list) and len(value) >= 6 and all(values.kind(one) == "number" for one in value):
            year, month, day, hour, minute = (values.whole(one) for one in value[:5])
            start = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
            return start + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=value[5])
    except (OverflowError, ValueError):
        raise JqError(f"{name}: the time is outside the years 1 to 9999") from None
    raise JqError(f"{name} requires parsed datetime inputs")


def _broken(at: datetime) -> list[Any]:
    seconds = values.number(at.second + at.microsecond / 1_000_000) if at.microsecond else at.second
    weekday, of_year = at.isoweekday() % 7, at.timetuple().tm_yday - 1
    return [at.year, at.month - 1, at.day, at.hour, at.minute, seconds, weekday, of_year]


def _gmtime(budget: Budget, value: Any) -> list[Any]:
    if values.kind(value) != "number":
        raise JqError("gmtime() requires a number")
    return _broken(_moment(value, "gmtime"))


def _mktime(budget: Budget, value: Any) -> int:
    if not isinstance(value, list):
        raise JqError("mktime requires array of 6 numbers")
    return math.floor((_moment(value, "mktime") - datetime.fromtimestamp(0, UTC)).total_seconds())


def _format(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise JqError(f"{name} requires a string format")
    if len(value) > FORMAT_CHARACTERS_MAX:
        raise JqError(f"{name}: the format is too long")
    return value


_COMPOUND = {"T": "%H:%M:%S", "F": "%Y-%m-%d", "D": "%m/%d/%y", "R": "%H:%M", "c": "%a %b %e %H:%M:%S %Y", "r": "%I:%M:%S %p"}


def _strftime(budget: Budget, value: Any, pattern: Any) -> str:
    text = _format(pattern, "strftime/1")
    at = _moment(value, "strftime/1")
    text = re.sub(r"%([TFDRcr])", lambda match: _COMPOUND[match[1]], text)
    budget.produce(10 * len(text))
    return re.sub(r"%(.)", lambda match: _written(at, match[1]), text, flags=re.DOTALL)


def _written(at: datetime, letter: str) -> str:
    iso = at.isocalendar()
    simple = {
        "Y": f"{at.year}",
        "C": f"{at.year // 100:02d}",
        "y": f"{at.year % 100:02d}",
        "m": f"{at.month:02d}",
        "d": f"{at.day:02d}",
        "e": f"{at.day:2d}",
        "H": f"{at.hour:02d}",
        "k": f"{at.hour:2d}",
        "I": f"{at.hour % 12 or 12:02d}",
        "l": f"{at.hour % 12 or 12:2d}",
        "M": f"{at.minute:02d}",
        "S": f"{at.second:02d}",
        "j": f"{at.timetuple().tm_yday:03d}",
        "A": _DAYS[at.weekday()],
        "a": _DAYS[at.weekday()][:3],
        "B": _MONTHS[at.month - 1],
        "b": _MONTHS[at.month - 1][:3],
        "h": _MONTHS[at.month - 1][:3],
        "p": "AM" if at.hour < 12 else "PM",
        "P": "am" if at.hour < 12 else "pm",
        "Z": "UTC",
        "z": "+0000",
        "u": f"{at.isoweekday()}",
        "w": f"{at.isoweekday() % 7}",
        "s": f"{math.floor((at - datetime.fromtimestamp(0, UTC)).total_seconds())}",
        "G": f"{iso.year}",
        "g": f"{iso.year % 100:02d}",
        "V": f"{iso.week:02d}",
        "U": f"{(at.timetuple().tm_yday + 6 - at.isoweekday() % 7) // 7:02d}",
        "W": f"{(at.timetuple().tm_yday + 6 - at.weekday()) // 7:02d}",
        "x": f"{at.month:02d}/{at.day:02d}/{at.year % 100:02d}",
        "X": f"{at.hour:02d}:{at.minute:02d}:{at.second:02d}",
        "n": "\n",
        "t": "\t",
        "%": "%",
    }
    return simple.get(letter, "%" + letter)


def _strptime(budget: Budget, value: Any, pattern: Any) -> list[Any]:
    if not isinstance(value, str):
        raise JqError(f"strptime/1 requires string inputs and arguments, found {values.kind(value)}")
    text = _format(pattern, "strptime/1")
    budget.produce(len(value) + 4 * len(text))
    text = re.sub(r"%([TFDRcr])", lambda match: _COMPOUND[match[1]], text)
    parts: dict[str, int] = {"Y": 1900, "m": 1, "d": 1, "H": 0, "M": 0, "S": 0}
    refused = JqError(f'date "{value[:60]}" does not match format "{text[:60]}"')
    position = index = 0
    while index < len(text):
        character = text[index]
        index += 1
        if character.isspace():
            while position < len(value) and value[position].isspace():
                position += 1
            continue
        if character != "%" or index == len(text):
            if value[position : position + 1] != character:
                raise refused
            position += 1
            continue
        position = _taken(text[index], value, position, parts)
        if position < 0:
            raise refused
        index += 1
    if position != len(value):
        raise refused
    return _resolved(parts, refused)


_WIDTHS = {
    "Y": 4,
    "m": 2,
    "d": 2,
    "e": 2,
    "H": 2,
    "k": 2,
    "I": 2,
    "l": 2,
    "M": 2,
    "S": 2,
    "j": 3,
    "y": 2,
    "s": 12,
    "u": 1,
    "w": 1,
}
_SAME = {"e": "d", "k": "H", "l": "I"}


def _taken(letter: str, value: str, position: int, parts: dict[str, int]) -> int:
    """The position behind a field, or -1."""
    width = _WIDTHS.get(letter)
    if width is not None:
        match = re.compile(rf"[ ]?[0-9]{{1,{width}}}").match(value, position)
        if match is None:
            return -1
        parts[_SAME.get(letter, letter)] = int(match.group())
        return match.end()
    names = {"A": _DAYS, "a": _DAYS, "B": _MONTHS, "b": _MONTHS, "h": _MONTHS}.get(letter)
    if names is not None:
        for number, name in enumerate(names, 1):
            for form in (name, name[:3]):
                if value[position : position + len(form)].lower() == form.lower():
                    parts["m" if names is _MONTHS else "u"] = number
                    return position + len(form)
        return -1
    if letter == "p":
        half = value[position : position + 2].upper()
        parts["p"] = 12 if half == "PM" else 0
        return position + 2 if half in ("AM", "PM") else -1
    if letter == "Z":
        match = re.compile(r"[A-Za-z]{1,8}").match(value, position)
        return -1 if match is None else match.end()
    if letter == "z":
        match = re.compile(r"Z|([+-])([0-9]{2}):?([0-9]{2})?").match(value, position)
        return -1 if match is None else match.end()
    return position + 1 if letter == "%" and value[position : position + 1] == "%" else -1


def _resolved(parts: dict[str, int], refused: JqError) -> list[Any]:
    if "s" in parts:
        return _broken(_moment(parts["s"], "strptime/1"))
    if "y" in parts:
        parts["Y"] = parts["y"] + (1900 if parts["y"] >= 69 else 2000)
    hour = parts["I"] % 12 + parts.get("p", 0) if "I" in parts else parts["H"]
    try:
        at = datetime(parts["Y"], parts["m"], parts["d"], hour, parts["M"], min(parts["S"], 59), tzinfo=UTC)
        return _broken(at.replace(month=1, day=1) + timedelta(days=parts["j"] - 1) if "j" in parts else at)
    except (ValueError, OverflowError):
        raise refused from None


FUNCTIONS: tuple[tuple[str, Callable[..., Any], int], ...] = (
    ("gmtime", _gmtime, 0),
    ("localtime", _gmtime, 0),
    ("mktime", _mktime, 0),
    ("strftime", _strftime, 1),
    ("strflocaltime", _strftime, 1),
    ("strptime", _strptime, 1),
)
"""Name, function `(budget, value, *arguments)`, number of arguments."""
