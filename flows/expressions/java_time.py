"""Java's DateTimeFormatter patterns: writing and reading dates by letters such as `yyyy-MM-dd'T'HH:mm:ssXXX`.

Names of months and days are those of the locale. Week numbers (`w`, `Y`, `W`, `e`) follow the locale's country: Sunday and
the first day of January in the United States (the default), ISO elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.errors import ExpressionError
from flows.expressions.locales import US_ENGLISH, Locale

PATTERN_CHARACTERS_MAX = 500
"""Length of a date pattern."""

TEXT_CHARACTERS_MAX = 500
"""Length of a date as text."""

_LETTERS = frozenset("GuyYDMLQqwWdFEecahKkHmsSAnNXxZzVOv")


def fault(message: str) -> ExpressionError:
    """A date that cannot be written or read."""
    return ExpressionError(message, code="expression.date")


@dataclass(frozen=True, slots=True)
class Letters:
    """A run of one pattern letter."""

    letter: str
    count: int


@dataclass(frozen=True, slots=True)
class Optional:
    """A part in brackets: read when it fits; written always."""

    parts: tuple[Part, ...]


Part = str | Letters | Optional


@lru_cache(maxsize=256)
def pattern_parts(pattern: str) -> tuple[Part, ...]:
    """The parts of a pattern. Raises ExpressionError for letters Java does not know either."""
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise fault(f"A date pattern has at most {PATTERN_CHARACTERS_MAX} characters")
    stack: list[list[Part]] = [[]]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "'":
            end = position + 1
            text = ""
            while True:
                close = pattern.find("'", end)
                if close < 0:
                    raise fault(f"The date pattern `{pattern}` has a quote that is never closed")
                text += pattern[end:close]
                if pattern[close + 1 : close + 2] != "'" or close == position + 1:
                    break
                text += "'"
                end = close + 2
            stack[-1].append(text or "'")
            position = close + 1
        elif character == "[":
            stack.append([])
            position += 1
        elif character == "]":
            if len(stack) == 1:
                raise fault(f"The date pattern `{pattern}` closes a bracket that was not opened")
            inner = stack.pop()
            stack[-1].append(Optional(tuple(inner)))
            position += 1
        elif character.isascii() and character.isalpha():
            if character not in _LETTERS:
                raise fault(f"The date pattern `{pattern}` has the unknown letter `{character}`; put text in single quotes")
            end = position
            while end < len(pattern) and pattern[end] == character:
                end += 1
            if end - position > 19:
                raise fault(f"The date pattern `{pattern}` repeats `{character}` too often")
            stack[-1].append(Letters(character, end - position))
            position = end
        elif character in "{}#":
            raise fault(f"The date pattern `{pattern}` holds `{character}`, which is reserved")
        else:
            stack[-1].append(character)
            position += 1
    while len(stack) > 1:
        inner = stack.pop()
        stack[-1].append(Optional(tuple(inner)))
    return tuple(stack[0])


def zone(name: str) -> tzinfo:
    """A time zone by id (`Europe/Paris`, `UTC`, `Z`) or offset (`+02:00`, `GMT+2`). Raises ExpressionError."""
    if name in ("Z", "UTC", "GMT", "UT", "Etc/UTC"):
        return UTC
    match = re.fullmatch(r"(?:UTC|GMT|UT)?([-+])([0-9]{1,2})(?::?([0-9]{2}))?(?::?([0-9]{2}))?", name)
    if match is not None:
        sign = -1 if match[1] == "-" else 1
        offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0), seconds=int(match[4] or 0))
        if offset <= timedelta(hours=18):
            return timezone(sign * offset)
    elif re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}", name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise fault(f"timezone '({name[:60]})' is not a valid time-zone ID")


# Writing -----------------------------------------------------------------------------------------------------------


def write(value: datetime, pattern: str, locale: Locale = US_ENGLISH) -> str:
    """A zoned date-time by a pattern. Raises ExpressionError for faults of the pattern."""
    return "".join(_written(value, pattern_parts(pattern), locale))


def _written(value: datetime, parts: tuple[Part, ...], locale: Locale) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Optional):
            yield from _written(value, part.parts, locale)
        else:
            yield _field(value, part.letter, part.count, locale)


def _year(year: int, count: int) -> str:
    return f"{year % 100:02d}" if count == 2 else f"{year:0{count}d}"


def _field(value: datetime, letter: str, count: int, locale: Locale) -> str:
    words = locale.language
    if letter in "uy":
        return _year(value.year, count)
    if letter in "ML":
        short = (words.alone_short or words.months_short) if letter == "L" else words.months_short
        return _named(value.month, count, words.months, short, value.month - 1)
    if letter == "E" or (letter in "ec" and count >= 3):
        alone = (words.days_alone_short or words.days_short) if letter == "c" else words.days_short
        return _named(0, max(count, 3), words.days, alone, value.weekday())
    if letter in _NUMBERS:
        return f"{_NUMBERS[letter](value):0{count}d}"
    if letter in "YwWec":
        return _week_field(value.date(), letter, count, locale.country)
    if letter in "Qq":
        quarter = (value.month + 2) // 3
        if count <= 2:
            return f"{quarter:0{count}d}"
        ordinal = ("st", "nd", "rd", "th")[quarter - 1]
        return str(quarter) if count == 5 else words.quarter[count == 4].format(quarter, th=ordinal)
    if letter == "a":
        return words.halves[value.hour >= 12]
    if letter == "G":
        return words.eras[count == 4]
    if letter == "S":
        return f"{value.microsecond * 1000:09d}".ljust(count, "0")[:count]
    return _zone_field(value, letter, count)


def _week_field(day: date, letter: str, count: int, country: str) -> str:
    week_year, week, of_week = week_date(day, country)
    if letter == "Y":
        return _year(week_year, count)
    if letter == "W":
        week = week_of_month(day, country)
    return f"{(of_week if letter in 'ec' else week):0{count}d}"


_NUMBERS: dict[str, Callable[[datetime], int]] = {
    "d": lambda value: value.day,
    "F": lambda value: (value.day - 1) // 7 + 1,
    "D": lambda value: value.timetuple().tm_yday,
    "H": lambda value: value.hour,
    "k": lambda value: value.hour or 24,
    "K": lambda value: value.hour % 12,
    "h": lambda value: value.hour % 12 or 12,
    "m": lambda value: value.minute,
    "s": lambda value: value.second,
    "n": lambda value: value.microsecond * 1000,
    "A": lambda value: _micros_of_day(value) // 1000,
    "N": lambda value: _micros_of_day(value) * 1000,
}


def _micros_of_day(value: datetime) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def _named(number: int, count: int, names: tuple[str, ...], short: tuple[str, ...], index: int) -> str:
    if count <= 2:
        return f"{number:0{count}d}"
    return short[index] if count == 3 else names[index] if count == 4 else names[index][0]


def _zone_field(value: datetime, letter: str, count: int) -> str:
    offset = value.utcoffset()
    if offset is None:
        raise fault(f"The pattern letter `{letter}` needs a time zone")
    if letter == "V":
        return zone_id(value)
    if letter in "zv":
        if isinstance(value.tzinfo, timezone) and value.tzinfo is not UTC:
            return zone_id(value)
        return "Coordinated Universal Time" if value.tzinfo is UTC and count >= 4 else value.tzname() or zone_id(value)
    seconds = int(offset.total_seconds())
    sign = "-" if seconds < 0 else "+"
    hours, minutes = divmod(abs(seconds) // 60, 60)
    if letter == "O" or (letter == "Z" and count == 4):
        if not seconds:
            return "GMT"
        return (
            f"GMT{sign}{hours:02d}:{minutes:02d}" if count == 4 else f"GMT{sign}{hours}" + (f":{minutes:02d}" if minutes else "")
        )
    if letter == "Z":
        return f"{sign}{hours:02d}{minutes:02d}" if count < 4 else "Z" if not seconds else f"{sign}{hours:02d}:{minutes:02d}"
    if letter == "X" and not seconds:
        return "Z"
    if count == 1:
        return f"{sign}{hours:02d}" + (f"{minutes:02d}" if minutes else "")
    return f"{sign}{hours:02d}{':' if count in (3, 5) else ''}{minutes:02d}"


def zone_id(value: datetime) -> str:
    """The id of a value's zone: a region, or an offset such as `+02:00`, or `Z`."""
    if isinstance(value.tzinfo, ZoneInfo):
        return value.tzinfo.key
    return _zone_field(value, "X", 3)


_SUNDAY_COUNTRIES = frozenset({"US", "CA", "MX", "BR", "JP", "IN", "KR", "IL", "ZA", "HK", "TW"})


def week_date(day: date, country: str) -> tuple[int, int, int]:
    """Week-based year, week and day of week by the country's rule."""
    if country not in _SUNDAY_COUNTRIES:
        iso = day.isocalendar()
        return iso.year, iso.week, iso.weekday
    of_week = day.isoweekday() % 7
    saturday = min(day.toordinal() + 6 - of_week, date.max.toordinal())
    week_year = date.fromordinal(saturday).year
    first = date(week_year, 1, 1)
    start = first.toordinal() - first.isoweekday() % 7
    return week_year, (day.toordinal() - start) // 7 + 1, of_week + 1


def week_of_month(day: date, country: str) -> int:
    """The week inside the month by the country's rule: 0 = days before its first week."""
    sunday = country in _SUNDAY_COUNTRIES
    first = day.replace(day=1)
    offset = first.isoweekday() % 7 if sunday else first.weekday()
    """Days of the first week that belong to the month before."""
    least = 1 if sunday else 4
    week = (day.day - 1 + offset) // 7
    return week + 1 if 7 - offset >= least else week


# Reading -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Fields:
    numbers: dict[str, int] = field(default_factory=dict)
    afternoon: bool | None = None
    zone: tzinfo | None = None

    def copy(self) -> _Fields:
        return _Fields(dict(self.numbers), self.afternoon, self.zone)


def read(text: str, pattern: str, locale: Locale = US_ENGLISH) -> datetime | date:
    """The date-time of a text by a pattern: zoned, local, or a date alone. Raises ExpressionError when it does not fit."""
    if len(text) > TEXT_CHARACTERS_MAX:
        raise fault("The text is too long for a date")
    fields = _Fields()
    end = _consume(text, 0, pattern_parts(pattern), fields, locale)
    if end != len(text):
        raise fault(
            f"Text '{text[:60]}' could not be parsed by the pattern `{pattern}`" + (f" at index {-end - 1}" if end < 0 else "")
        )
    try:
        return _resolve(fields, text)
    except (ValueError, OverflowError) as error:
        raise fault(f"Text '{text[:60]}' is no date: {error}") from None


def _consume(text: str, position: int, parts: tuple[Part, ...], fields: _Fields, locale: Locale) -> int:
    """The index behind the parts, or minus one minus the index that does not fit."""
    for index, part in enumerate(parts):
        if isinstance(part, str):
            following = position + len(part) if text.startswith(part, position) else -1
        elif isinstance(part, Optional):
            attempt = fields.copy()
            following = _consume(text, position, part.parts, attempt, locale)
            if following < 0:
                following = position
            else:
                fields.numbers, fields.afternoon, fields.zone = attempt.numbers, attempt.afternoon, attempt.zone
        else:
            after = parts[index + 1] if index + 1 < len(parts) else None
            adjacent = isinstance(after, Letters) and _is_numeric(after)
            following = _consume_field(text, position, part, adjacent, fields, locale)
        if following < 0:
            return -1 - position
        position = following
    return position


def _is_numeric(part: Letters) -> bool:
    return part.letter in "uyYDdHhKkmsSnANwe" or (part.letter in "MLQ" and part.count <= 2)


def _consume_field(text: str, position: int, part: Letters, adjacent: bool, fields: _Fields, locale: Locale) -> int:
    letter, count, words = part.letter, part.count, locale.language
    if letter in "XxZOzV":
        return _consume_zone(text, position, fields)
    if letter == "a":
        for index, word in enumerate(words.halves):
            if text[position : position + len(word)].upper() == word.upper():
                fields.afternoon = index == 1
                return position + len(word)
        return -1
    if letter in "ML" and count >= 3:
        short = (words.alone_short or words.months_short) if letter == "L" else words.months_short
        return _consume_name(text, position, words.months if count == 4 else short, "M", fields)
    if letter == "E" or (letter in "ec" and count >= 3):
        return _consume_name(text, position, words.days if count == 4 else words.days_short, "E", fields)
    if letter == "G":
        era = words.eras[count == 4]
        return position + len(era) if text.startswith(era, position) else -1
    if not _is_numeric(part):
        raise fault(f"The pattern letter `{letter}` cannot be used for reading")
    widest = count if count >= 2 and (letter not in "uy" or count == 2 or adjacent) else 19
    match = re.compile(rf"[0-9]{{{count},{max(widest, count)}}}").match(text, position)
    if match is None:
        return -1
    digits = match.group()
    number = int(digits)
    if letter == "S":
        letter, number = "n", int(digits.ljust(9, "0")[:9])
    elif letter in "uy":
        letter = "y"
        number = 2000 + number if count == 2 else number
    elif letter == "L":
        letter = "M"
    fields.numbers[letter] = number
    return match.end()


def _consume_name(text: str, position: int, names: tuple[str, ...], letter: str, fields: _Fields) -> int:
    for index, name in enumerate(names):
        if text[position : position + len(name)].lower() == name.lower():
            fields.numbers[letter] = index + 1
            return position + len(name)
    return -1


_ZONE_TEXT = re.compile(
    r"(?:GMT|UTC)?[-+][0-9]{1,2}(?::?[0-9]{2}){0,2}|Z(?![A-Za-z])|[A-Za-z][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}"
)


def _consume_zone(text: str, position: int, fields: _Fields) -> int:
    match = _ZONE_TEXT.match(text, position)
    if match is None:
        return -1
    fields.zone = zone(match.group())
    return match.end()


def _resolve(fields: _Fields, text: str) -> datetime | date:
    numbers = fields.numbers
    if "y" not in numbers:
        raise ValueError("it has no year")
    if "D" in numbers:
        day = date(numbers["y"], 1, 1) + timedelta(days=numbers["D"] - 1)
    else:
        day = date(numbers["y"], numbers.get("M", 1), numbers.get("d", 1))
    hour = numbers.get("H")
    if hour is None and "k" in numbers:
        hour = numbers["k"] % 24
    if hour is None and ("h" in numbers or "K" in numbers):
        hour = numbers.get("h", numbers.get("K", 0)) % 12 + (12 if fields.afternoon else 0)
    if hour is None:
        if fields.zone is None and not {"m", "s", "n"} & numbers.keys():
            return day
        hour = 0
    clock = time(hour, numbers.get("m", 0), numbers.get("s", 0), numbers.get("n", 0) // 1000)
    return datetime.combine(day, clock, fields.zone)
