"""A second, naive reading of cron expressions: every minute of a stretch of time is looked at, one after the other.

It shares no code with the product. Around clock changes it states the rules from the instant's side: an instant fires when its
local time matches (a repeated local time only the first time, unless minute or hour is a wildcard), or when clocks were put
forward by d less than d ago and the local time they would have shown matches.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
GAPS = (timedelta(minutes=30), timedelta(minutes=60))
"""By how much the zones of the tests are put forward."""

ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe")

MONTHS = ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]


@dataclass(frozen=True, slots=True)
class Minutes:
    """The minutes of a stretch in one zone: instant, local day, minute of that day, whether it is repeated; and shifted ones."""

    instants: list[datetime]
    days: list[date]
    of_day: list[int]
    repeated: list[bool]
    shifted: list[tuple[datetime, date, int]]


def minutes(zone_name: str, start: datetime, end: datetime) -> Minutes:
    """Every whole minute from start to before end (both in UTC)."""
    zone = ZoneInfo(zone_name)
    found = Minutes([], [], [], [], [])
    at = start
    while at < end:
        local = at.astimezone(zone)
        found.instants.append(at)
        found.days.append(local.date())
        found.of_day.append(local.hour * 60 + local.minute)
        found.repeated.append(local.fold == 1)
        if local.hour < 5:
            for gap in GAPS:
                earlier = (at - gap).astimezone(zone).utcoffset()
                offset = local.utcoffset()
                assert earlier is not None and offset is not None
                if offset - earlier == gap:
                    skipped = (at + earlier).replace(tzinfo=None)
                    found.shifted.append((at, skipped.date(), skipped.hour * 60 + skipped.minute))
        at += MINUTE
    return found


def scan(expression: str, stretch: Minutes) -> list[datetime]:
    """The instants at which a five-field expression fires."""
    minute, hour, day, month, weekday = expression.split()
    clock = [value(minute, of_day % 60, []) and value(hour, of_day // 60, []) for of_day in range(1440)]
    wildcard = "*" in minute or "*" in hour
    matching = {one: day_matches(day, month, weekday, one) for one in {*stretch.days, *(one for _, one, _ in stretch.shifted)}}
    fires = {
        at
        for at, one, of_day, repeated in zip(stretch.instants, stretch.days, stretch.of_day, stretch.repeated, strict=True)
        if clock[of_day] and matching[one] and (wildcard or not repeated)
    }
    fires.update(at for at, one, of_day in stretch.shifted if clock[of_day] and matching[one])
    return sorted(fires)


def day_matches(day: str, month: str, weekday: str, one: date) -> bool:
    """Whether a date is allowed by the three fields of days."""
    if not value(month, one.month, MONTHS):
        return False
    by_month = any(in_month(part, one) for part in day.split(","))
    by_week = any(in_week(part, one) for part in weekday.split(","))
    if day in ("*", "?"):
        return by_week
    return by_month if weekday in ("*", "?") else by_month or by_week


def value(field: str, number: int, names: list[str]) -> bool:
    """Whether a number is in a plain field."""
    return any(in_part(part, number, names) for part in field.split(","))


def in_part(part: str, number: int, names: list[str]) -> bool:
    """Whether a number is in one entry of a field's list."""
    body, _, step = part.partition("/")
    if body in ("*", "?"):
        low = 1 if names is MONTHS or names is DAYS_OF_MONTH else 0
        return (number - low) % int(step or 1) == 0
    first, dash, last = body.partition("-")
    low = number_of(first, names)
    if dash:
        high = number_of(last, names)
        if names is WEEKDAYS and high == 0 < low:
            high = 7
    else:
        high = 10_000 if step else low
    return low <= number <= high and (number - low) % int(step or 1) == 0


DAYS_OF_MONTH: list[str] = ["days"]


def number_of(text: str, names: list[str]) -> int:
    """A number, or the place of a name."""
    return names.index(text.upper()) if text.upper() in names else int(text)


def in_month(part: str, one: date) -> bool:
    """One entry of the day-of-month field."""
    last = calendar.monthrange(one.year, one.month)[1]
    if part.upper() == "L":
        return one.day == last
    if part.upper().startswith("L-"):
        return one.day == last - int(part[2:])
    if part.upper() == "LW":
        tail = [date(one.year, one.month, day) for day in range(last - 6, last + 1)]
        return one == max(day for day in tail if day.weekday() < 5)
    if part.upper().endswith("W"):
        wanted = int(part[:-1])
        if wanted > last:
            return False
        working = [day for day in range(1, last + 1) if date(one.year, one.month, day).weekday() < 5]
        # The nearest working day; a Saturday goes back and a Sunday forward, unless that leaves the month.
        nearest = min(working, key=lambda day: (abs(day - wanted), day))
        return one.day == nearest
    return in_part(part, one.day, DAYS_OF_MONTH)


def in_week(part: str, one: date) -> bool:
    """One entry of the day-of-week field."""
    weekday = one.isoweekday() % 7
    last = calendar.monthrange(one.year, one.month)[1]
    if "#" in part:
        name, _, nth = part.partition("#")
        return number_of(name, WEEKDAYS) % 7 == weekday and (one.day + 6) // 7 == int(nth)
    if part.upper().endswith("L") and len(part) > 1:
        return number_of(part[:-1], WEEKDAYS) % 7 == weekday and one.day > last - 7
    return in_part(part, weekday, WEEKDAYS) or (weekday == 0 and in_part(part, 7, WEEKDAYS))


def crons(count: int, seed: int) -> list[str]:
    """Expressions of every kind: plain and dense ones, night hours around clock changes, days by month and by week."""
    chance = Random(seed)
    known = [
        "* * * * *",
        "*/15 * * * *",
        "0 * * * *",
        "30 2 * * *",
        "0 2 * * *",
        "59 1 * * *",
        "*/10 2 * * *",
        "0 */2 * * *",
        "45 1,2,3 * * *",
        "0 0 1 1 *",
        "0 0 29 2 *",
        "0 0 30 2 *",
        "0 0 13 * 5",
        "0 12 */2 * 1",
        "15 3 L * *",
        "15 3 LW * *",
        "15 3 L-2 * ?",
        "0 6 15W * *",
        "0 6 1W,31W * *",
        "0 6 ? * 5L",
        "0 6 * * MON#1,FRI#3",
        "0 0 * JAN-MAR SUN",
        "0 0 * * 7",
        "0 0 * * FRI-SUN",
    ]
    return known[:count] + [_random(chance) for _ in range(count - len(known))]


def _random(chance: Random) -> str:
    minute = chance.choice(
        ["*", f"*/{chance.choice([2, 7, 15, 20, 30])}", _list(chance, 60), str(chance.randrange(60)), "0", "5-50/9", "10/25"]
    )
    hour = chance.choice(
        [
            "*",
            f"*/{chance.choice([2, 3, 5])}",
            _list(chance, 24),
            str(chance.randrange(4)),
            str(chance.randrange(24)),
            "1-3",
            "22-23",
        ]
    )
    day = chance.choice(
        ["*", "*", "*", "?", str(chance.randint(1, 31)), "*/3", "1-7", "L", "LW", f"{chance.randint(1, 28)}W", "L-1"]
    )
    month = chance.choice(["*", "*", "*", "3,4,10,11", "mar", "OCT-DEC", "*/2", str(chance.randint(1, 12))])
    weekday = chance.choice(["*", "*", "*", "?", "0", "7", "1-5", "SAT,SUN", "sun", "5#2", "0L", "FRI-SUN", "*/2", "3/2"])
    return f"{minute} {hour} {day} {month} {weekday}"


def _list(chance: Random, size: int) -> str:
    return ",".join(str(one) for one in sorted(chance.sample(range(size), chance.randint(2, 4))))


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant in UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
