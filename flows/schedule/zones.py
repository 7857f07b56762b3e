"""Time zones as stretches of constant offset, so that local times can be searched exactly around clock changes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

from flows.errors import ExpressionError
from flows.expressions import java_time

ZERO = timedelta(0)
NEAR = timedelta(days=2)
"""No clock was ever changed by more; two changes of one zone are further apart."""
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_EVER = (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))


class Stretch(NamedTuple):
    """From `start` to before `end` (UTC, without tzinfo) a zone's clocks are `offset` ahead; before that it was `before`."""

    start: datetime
    end: datetime
    offset: timedelta
    before: timedelta


def zone_of(name: str) -> tzinfo:
    """The zone of an id such as `Europe/Paris`, `UTC` or `+02:00`. Raises ValueError with what was found."""
    try:
        return java_time.zone(name)
    except ExpressionError as error:
        raise ValueError(str(error)) from None


def stretch_at(zone: tzinfo, at: datetime) -> Stretch:
    """The stretch that an instant (UTC, without tzinfo) lies in."""
    if isinstance(zone, timezone):
        offset = zone.utcoffset(None)
        return Stretch(_EVER[0], _EVER[1], offset, offset)
    stretches = _stretches(zone, at.year)
    return next((one for one in stretches[:0:-1] if one.start <= at), stretches[0])


@lru_cache(maxsize=4096)
def _stretches(zone: tzinfo, year: int) -> tuple[Stretch, ...]:
    """The stretches that meet a year. The last one is cut off at the year's end; the first starts up to two days before it."""
    begin = datetime(year, 1, 1)
    end = datetime(year + 1, 1, 1) if year < 9999 else datetime(9999, 12, 31, 23, 59, 59)
    start = begin - NEAR if year > 1 else begin
    offset = before = _offset(zone, start)
    found: list[Stretch] = []
    day, final = start, end - _SECOND
    while day < final:
        last = min(day + _DAY, final)
        if _offset(zone, last) == offset:
            day = last
            continue
        day = _change(zone, day, last, offset)
        if day >= begin:
            found.append(Stretch(start, day, offset, before))
        start, before, offset = day, offset, _offset(zone, day)
    found.append(Stretch(start, end, offset, before))
    return tuple(found)


def _change(zone: tzinfo, low: datetime, high: datetime, offset: timedelta) -> datetime:
    """The first second after `low`, and not after `high`, with another offset than the given one."""
    while high - low > _SECOND:
        middle = low + _SECOND * ((high - low) // _SECOND // 2)
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: tzinfo, at: datetime) -> timedelta:
    offset = zone.fromutc(at.replace(tzinfo=zone)).utcoffset()
    return offset if offset is not None else ZERO
