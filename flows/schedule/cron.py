"""A cron expression in a time zone: the next and the previous instant, in microseconds, without scanning.

Which instants fire. Take every local time that matches the fields (a day matches when it is allowed by both day fields, or, when
both are restricted, by either: `0 13 13 * 5` is the 13th and every Friday; `*/2` counts as a restriction).

- A local time that exists once is that instant.
- A local time that does not exist, because clocks were put forward over it, fires once, shifted by the length of the gap: 02:30
  in Paris on the last Sunday of March is 03:30. When the shifted instant fires anyway it is still one instant.
- A local time that exists twice, because clocks were put back, fires once, the first time, when minute and hour are fixed. With a
  wildcard (`*` or `*/n`) in minute or hour it fires both times, so that every quarter of an hour stays one in real time.

Sources: triggers-and-conditions §5 and trap 17; the last two rules are Vixie cron's, the shift is that of java.time.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import product

from flows.schedule.cron_fields import CronInvalid, Fields, read_fields
from flows.schedule.zones import NEAR, Stretch, stretch_at

__all__ = ["Cron", "CronInvalid", "parse_cron"]

YEARS_SEARCHED = 41
"""A fifth Friday in February can be 40 years away. What is not found by then never comes (30 February)."""

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_YEARS = range(2, 9998)
"""The years in which instants are looked for: in every zone they are inside what a datetime can say."""

_month = lru_cache(maxsize=4096)(monthrange)
"""First weekday and length of a month."""

_NOWHERE = datetime(1, 1, 1)
_NEVER = -1


class Cron:
    """One expression. Immutable but for caches, shared between threads. Instants come back in UTC, whole seconds."""

    __slots__ = ("_days", "_first", "_last", "_months", "_next", "_previous", "_quiet", "_table", "expression", "fields")

    def __init__(self, expression: str, fields: Fields) -> None:
        self.expression = expression
        self.fields = fields
        sets = (fields.hours, fields.minutes, fields.seconds)
        sizes = (24, 60, 60)
        self._next = [_following(values, size) for values, size in zip(sets, sizes, strict=True)]
        self._previous = [_preceding(values, size) for values, size in zip(sets, sizes, strict=True)]
        self._first = [min(values) for values in sets]
        self._last = [max(values) for values in sets]
        self._months = fields.months
        self._quiet: tuple[tzinfo | None, datetime, datetime, timedelta] = (None, _NOWHERE, _NOWHERE, timedelta(0))
        """Where the last instant was found: between two changes of clocks, whose offset spares looking around."""
        self._table: tuple[timedelta, ...] | None = None
        self._days: dict[tuple[int, int], tuple[int, ...]] = {}

    def __repr__(self) -> str:
        return f"Cron({self.expression!r})"

    def next(self, after: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The first instant later than `after`, an aware datetime of any zone. None when there is none within 41 years.

        The result is in UTC, because two datetimes of one zone compare by their clocks, which goes wrong in a repeated hour.
        """
        at = (after if after.tzinfo is UTC else after.astimezone(UTC)).replace(tzinfo=None, microsecond=0) + _SECOND
        where, low, high, offset = self._quiet
        if where is zone and low <= at < high:
            quick = self._local_from(at + offset)
            if quick is not None and (instant := quick - offset) < high:
                return instant.replace(tzinfo=UTC)
        limit = at.year + YEARS_SEARCHED
        while at.year <= limit and at.year in _YEARS:
            stretch = stretch_at(zone, at)
            found, local = self._first_in(stretch, at)
            if found is not None:
                if at - stretch.start >= NEAR:
                    self._quiet = (zone, stretch.start + NEAR, stretch.end, stretch.offset)
                return found.replace(tzinfo=UTC)
            if local is None:
                return None
            # Nothing before the clocks change or the year ends. The next local time may be years away: go near it, once the
            # end of this stretch has been looked at, because the next one may repeat it.
            searched = stretch.end - at >= NEAR
            at = max(stretch.end, local - stretch.offset - NEAR) if searched else stretch.end
        return None

    def previous(self, before: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The last instant earlier than `before`. None when there is none within 41 years."""
        exact = before.astimezone(UTC).replace(tzinfo=None)
        at = exact.replace(microsecond=0) if exact.microsecond else exact - _SECOND
        limit = at.year - YEARS_SEARCHED
        while at.year >= limit and at.year in _YEARS:
            stretch = stretch_at(zone, at)
            found, local = self._last_in(stretch, at)
            if found is not None:
                return found.replace(tzinfo=UTC)
            if local is None:
                return None
            searched = at - stretch.start >= NEAR
            edge = stretch.start - _SECOND
            at = min(edge, local - stretch.offset + NEAR) if searched else edge
        return None

    def at_or_after(self, instant: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The first instant not earlier than the given one."""
        return self.next(instant - timedelta(microseconds=1), zone)

    def between(self, after: datetime, until: datetime, zone: tzinfo = UTC) -> Iterator[datetime]:
        """The instants later than `after` and not later than `until`, in order.

        The same as asking `next` again and again; days without a change of clocks are taken from a table of their times.
        """
        at = self.next(after, zone)
        while at is not None and at <= until:
            yield at
            where, low, high, offset = self._quiet
            midnight = datetime.combine((at + offset).date(), time.min) - offset
            if where is zone and low <= midnight and midnight + _DAY <= high:
                begin = midnight.replace(tzinfo=UTC)
                for step in self._times():
                    instant = begin + step
                    if instant > at:
                        if instant > until:
                            return
                        yield instant
                        at = instant
            at = self.next(at, zone)

    def _times(self) -> tuple[timedelta, ...]:
        """The times of a matching day, from midnight; none when there are very few or very many of them."""
        if self._table is None:
            fields = self.fields
            count = len(fields.hours) * len(fields.minutes) * len(fields.seconds)
            steps = product(sorted(fields.hours), sorted(fields.minutes), sorted(fields.seconds)) if 4 <= count <= 1_440 else ()
            self._table = tuple(timedelta(hours=hour, minutes=minute, seconds=second) for hour, minute, second in steps)
        return self._table

    # One stretch of constant offset -------------------------------------------------------------------------------------

    def _first_in(self, stretch: Stretch, at: datetime) -> tuple[datetime | None, datetime | None]:
        """The first instant from `at` to the end of the stretch, and the local time that was found or would be next."""
        start, end, offset, before = stretch
        local = at + offset
        if offset < before and not self.fields.repeats:
            local = max(local, start + before)
        match = self._local_from(local)
        found = match - offset if match is not None and match - offset < end else None
        if offset > before and at < start + (offset - before):
            skipped = self._local_from(at + before)
            if skipped is not None and skipped < start + offset and (found is None or skipped - before < found):
                found = skipped - before
        return found, match

    def _last_in(self, stretch: Stretch, at: datetime) -> tuple[datetime | None, datetime | None]:
        """The last instant from the start of the stretch to `at`, and the local time that was found or would be next."""
        start, _, offset, before = stretch
        match = self._local_to(at + offset)
        found = match - offset if match is not None and match - offset >= start else None
        if offset < before and not self.fields.repeats and match is not None and match < start + before:
            found = None
        if offset > before:
            skipped = self._local_to(min(at + before, start + offset - _SECOND))
            if skipped is not None and skipped >= start + before and (found is None or skipped - before > found):
                found = skipped - before
        return found, match

    # Local times without a zone -----------------------------------------------------------------------------------------

    def _local_from(self, local: datetime) -> datetime | None:
        """The first matching local time that is not earlier."""
        year, month, day = local.year, local.month, local.day
        next_hour, next_minute, next_second = self._next
        first_hour, first_minute, first_second = self._first
        days = self._days_of(year, month) if month in self._months else ()
        if day in days:
            hour, minute = local.hour, local.minute
            if next_hour[hour] == hour:
                if next_minute[minute] == minute and (second := next_second[local.second]) != _NEVER:
                    return datetime(year, month, day, hour, minute, second)
                if (minute := next_minute[minute + 1]) != _NEVER:
                    return datetime(year, month, day, hour, minute, first_second)
            if (hour := next_hour[hour + 1]) != _NEVER:
                return datetime(year, month, day, hour, first_minute, first_second)
        limit = min(year + YEARS_SEARCHED, _YEARS.stop)
        while year <= limit:
            for candidate in days:
                if candidate > day:
                    return datetime(year, month, candidate, first_hour, first_minute, first_second)
            day = 0
            month += 1
            if month > 12:
                year, month = year + 1, 1
            days = self._days_of(year, month) if month in self._months else ()
        return None

    def _local_to(self, local: datetime) -> datetime | None:
        """The last matching local time that is not later."""
        year, month, day = local.year, local.month, local.day
        previous_hour, previous_minute, previous_second = self._previous
        last_hour, last_minute, last_second = self._last
        days = self._days_of(year, month) if month in self._months else ()
        if day in days:
            hour, minute = local.hour, local.minute
            if previous_hour[hour] == hour:
                if previous_minute[minute] == minute and (second := previous_second[local.second]) != _NEVER:
                    return datetime(year, month, day, hour, minute, second)
                if minute and (minute := previous_minute[minute - 1]) != _NEVER:
                    return datetime(year, month, day, hour, minute, last_second)
            if hour and (hour := previous_hour[hour - 1]) != _NEVER:
                return datetime(year, month, day, hour, last_minute, last_second)
        limit = max(year - YEARS_SEARCHED, _YEARS.start - 1)
        while year >= limit:
            for candidate in reversed(days):
                if candidate < day:
                    return datetime(year, month, candidate, last_hour, last_minute, last_second)
            day = 32
            month -= 1
            if month < 1:
                year, month = year - 1, 12
            days = self._days_of(year, month) if month in self._months else ()
        return None

    def _days_of(self, year: int, month: int) -> tuple[int, ...]:
        """The days of a month that match. There are only 28 kinds of month: by its first weekday and its length."""
        kind = _month(year, month)
        days = self._days.get(kind)
        if days is None:
            days = self._days[kind] = _matching_days(self.fields, (kind[0] + 1) % 7, kind[1])
        return days


def _matching_days(fields: Fields, first_weekday: int, length: int) -> tuple[int, ...]:
    """The days of a month by both day fields; `first_weekday`: of its first day, 0 = Sunday."""

    def weekday(day: int) -> int:
        return (first_weekday + day - 1) % 7

    all_days = range(1, length + 1)
    of_month = {day for day in all_days if day in fields.days.days}
    of_month.update(length - back for back in fields.days.before_last if back < length)
    of_month.update(_working_day(day, length, weekday(day)) for day in fields.days.near if day <= length)
    if fields.days.last_working:
        of_month.add(max(day for day in all_days if weekday(day) not in (0, 6)))
    of_week = {day for day in all_days if weekday(day) in fields.weekdays.days}
    of_week.update(day for day in all_days if day + 7 > length and weekday(day) in fields.weekdays.last)
    of_week.update(day for day in all_days if (weekday(day), (day + 6) // 7) in fields.weekdays.nth)
    if fields.days.free:
        return tuple(sorted(of_week))
    if fields.weekdays.free:
        return tuple(sorted(of_month))
    return tuple(sorted(of_month | of_week))


def _working_day(day: int, length: int, weekday: int) -> int:
    """The working day nearest to a day, without leaving its month."""
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day


def _following(values: Collection[int], size: int) -> list[int]:
    """For each number to `size`: the first value that is not smaller, or -1."""
    found = [_NEVER] * (size + 1)
    for number in range(size - 1, -1, -1):
        found[number] = number if number in values else found[number + 1]
    return found


def _preceding(values: Collection[int], size: int) -> list[int]:
    """For each number below `size`: the last value that is not larger, or -1."""
    found: list[int] = []
    for number in range(size):
        found.append(number if number in values else (found[-1] if found else _NEVER))
    return found


@lru_cache(maxsize=4096)
def parse_cron(expression: str, *, with_seconds: bool = False) -> Cron:
    """The expression, ready to be asked. Raises CronInvalid: `invalid cron expression '..': reason`."""
    return Cron(expression.strip(), read_fields(expression, with_seconds=with_seconds))
