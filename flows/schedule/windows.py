"""Stretches of time in which several executions must meet (triggers-and-conditions §8.3, §8.4, trap 16).

`TimeWindow` is the 1.x spelling, `Window` the one of 2.0; both become a `Frame`, which says which window an instant lies in.
Times of day are those of the server's zone unless they carry an offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from flows.plugins import Properties
from flows.schedule.context import read_time
from flows.spec.shapes import Duration

DAY = timedelta(days=1)
NOTHING = timedelta(0)

FrameKind = Literal["aligned", "sliding", "daily"]


def _time_text(text: str) -> str:
    read_time(text)
    return text


def _positive(value: timedelta) -> timedelta:
    if value <= NOTHING:
        raise ValueError("expected a duration longer than zero, such as PT1H")
    return value


TimeText = Annotated[str, AfterValidator(_time_text)]
Length = Annotated[Duration, AfterValidator(_positive)]


@dataclass(frozen=True, slots=True)
class Span:
    """One window: from `start` to before `end`, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Frame:
    """How windows follow one another.

    aligned: windows of `length`, counted from midnight plus `advance`. sliding: the last `length` before each instant.
    daily: each day from `opens` to `closes`; without `opens` from midnight (in the offset of `closes`, when it has one). A daily
    window whose end is not after its beginning ends on the next day.
    """

    kind: FrameKind = "aligned"
    length: timedelta = DAY
    advance: timedelta = NOTHING
    opens: time | None = None
    closes: time | None = None

    def span(self, at: datetime, zone: tzinfo = UTC) -> Span | None:
        """The window an instant lies in, or None: it is outside of the daily window."""
        if self.kind == "sliding":
            return Span(_utc(at) - self.length, _utc(at) + timedelta(microseconds=1))
        if self.kind == "daily":
            day = at.astimezone(zone).date()
            candidates = (self._daily(day + DAY * shift, zone) for shift in (-1, 0, 1))
            return next((span for span in candidates if span.start <= at <= span.end), None)
        local = at.astimezone(zone)
        begin = _utc(_midnight(local.date(), zone)) + self.advance
        while begin > at:
            begin -= DAY
        while at - begin >= DAY and self.advance >= DAY:
            begin += DAY
        steps = (at - begin) // self.length
        return Span(begin + steps * self.length, begin + (steps + 1) * self.length)

    def next_end(self, after: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The first end of a window later than an instant; None for sliding windows, which have no end of their own."""
        if self.kind == "sliding":
            return None
        if self.kind == "daily":
            day = after.astimezone(zone).date()
            ends = (self._daily(day + DAY * shift, zone).end for shift in (-2, -1, 0, 1, 2))
            return min(end for end in ends if end > after)
        span = self.span(after, zone)
        return span.end if span is not None else None

    def span_ending(self, end: datetime, zone: tzinfo = UTC) -> Span | None:
        """The window that ends at an instant given by `next_end`."""
        return self.span(end if self.kind == "daily" else end - timedelta(microseconds=1), zone)

    def _daily(self, day: date, zone: tzinfo) -> Span:
        closes = self.closes if self.closes is not None else time(0)
        ends_in = closes.tzinfo or zone
        opens = self.opens if self.opens is not None else time(0, tzinfo=ends_in)
        start = _utc(datetime.combine(day, opens.replace(tzinfo=None), opens.tzinfo or zone))
        end = _utc(datetime.combine(day, closes.replace(tzinfo=None), ends_in))
        if end <= start:
            end = _utc(datetime.combine(day + DAY, closes.replace(tzinfo=None), ends_in))
        return Span(start, end)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(0), zone)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


class TimeWindow(Properties):
    """`timeWindow` of preconditions and of MultipleCondition."""

    type: Literal["DURATION_WINDOW", "SLIDING_WINDOW", "DAILY_TIME_DEADLINE", "DAILY_TIME_WINDOW"] = "DURATION_WINDOW"
    deadline: TimeText | None = None
    window: Length | None = None
    window_advance: Duration | None = None
    start_time: TimeText | None = None
    end_time: TimeText | None = None

    @model_validator(mode="after")
    def _fits(self) -> TimeWindow:
        needed, allowed = _FIELDS[self.type]
        for field, (article, words) in _WORDS.items():
            given = getattr(self, field) is not None
            if given and field not in needed + allowed:
                raise ValueError(f"Time window of type `{self.type}` cannot have {article}{words}.")
            if not given and field in needed:
                raise ValueError(f"Time window of type `{self.type}` must have {article}{words}.")
        return self

    def frame(self) -> Frame:
        """The rule of its windows."""
        match self.type:
            case "DAILY_TIME_DEADLINE":
                return Frame("daily", closes=read_time(self.deadline or ""))
            case "DAILY_TIME_WINDOW":
                return Frame("daily", opens=read_time(self.start_time or ""), closes=read_time(self.end_time or ""))
            case "SLIDING_WINDOW":
                return Frame("sliding", self.window or DAY)
            case _:
                return Frame("aligned", self.window or DAY, self.window_advance or NOTHING)


_WORDS = {
    "deadline": ("a ", "deadline"),
    "window": ("a ", "window"),
    "window_advance": ("a ", "window advance"),
    "start_time": ("a ", "start time"),
    "end_time": ("an ", "end time"),
}
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "DURATION_WINDOW": ((), ("window", "window_advance")),
    "SLIDING_WINDOW": ((), ("window",)),
    "DAILY_TIME_DEADLINE": (("deadline",), ()),
    "DAILY_TIME_WINDOW": (("start_time", "end_time"), ()),
}
"""Type of window → the fields it must have, and those it may have; the others are refused."""


class Window(Properties):
    """`window` of a Flow trigger in the 2.0 form: exactly one of its four forms."""

    deadline: TimeText | None = None
    from_: TimeText | None = Field(default=None, alias="from")
    to: TimeText | None = None
    every: Length | None = None
    offset: Duration | None = None
    lookback: Length | None = None
    fire_once: bool = False

    @model_validator(mode="after")
    def _one_form(self) -> Window:
        forms = [name for name, given in self._forms() if given]
        if len(forms) != 1:
            found = " and ".join(f"`{name}`" for name in forms) or "none of them"
            raise ValueError(f"exactly one of `deadline`, `from` with `to`, `every` and `lookback` is needed, found {found}")
        if (self.from_ is None) != (self.to is None):
            raise ValueError("`from` and `to` belong together")
        if self.offset is not None and self.every is None:
            raise ValueError("`offset` belongs to `every`")
        return self

    def _forms(self) -> tuple[tuple[str, bool], ...]:
        return (
            ("deadline", self.deadline is not None),
            ("from", self.from_ is not None or self.to is not None),
            ("every", self.every is not None),
            ("lookback", self.lookback is not None),
        )

    def frame(self) -> Frame:
        """The rule of its windows."""
        if self.deadline is not None:
            return Frame("daily", closes=read_time(self.deadline))
        if self.from_ is not None and self.to is not None:
            return Frame("daily", opens=read_time(self.from_), closes=read_time(self.to))
        if self.lookback is not None:
            return Frame("sliding", self.lookback)
        return Frame("aligned", self.every or DAY, self.offset or NOTHING)
