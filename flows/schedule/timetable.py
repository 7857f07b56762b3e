"""The instants of a schedule, in order: by a cron expression or by a list of dates."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from flows.schedule.cron import Cron


class Timetable(Protocol):
    """Instants in UTC, whole seconds."""

    def next(self, after: datetime) -> datetime | None:
        """The first one later than an instant, or None."""
        ...

    def previous(self, before: datetime) -> datetime | None:
        """The last one earlier than an instant, or None."""
        ...

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Those later than one instant and not later than another, in order."""
        ...


@dataclass(frozen=True, slots=True)
class CronTimetable:
    """The instants of a cron expression in a zone."""

    cron: Cron
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """See Timetable."""
        return self.cron.next(after, self.zone)

    def previous(self, before: datetime) -> datetime | None:
        """See Timetable."""
        return self.cron.previous(before, self.zone)

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """See Timetable."""
        return self.cron.between(after, until, self.zone)


@dataclass(frozen=True, slots=True)
class DatesTimetable:
    """Given instants, ascending, each once."""

    dates: tuple[datetime, ...]

    @classmethod
    def of(cls, dates: Iterable[datetime]) -> DatesTimetable:
        """From dates in any order and zone."""
        return cls(tuple(sorted({one.astimezone(UTC).replace(microsecond=0) for one in dates})))

    def next(self, after: datetime) -> datetime | None:
        """See Timetable."""
        index = bisect_right(self.dates, after)
        return self.dates[index] if index < len(self.dates) else None

    def previous(self, before: datetime) -> datetime | None:
        """See Timetable."""
        index = bisect_left(self.dates, before)
        return self.dates[index - 1] if index else None

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """See Timetable."""
        return iter(self.dates[bisect_right(self.dates, after) : bisect_right(self.dates, until)])
