"""Times as the rows hold them (whole microseconds since 1970, UTC) and as REST shows them (ISO 8601 with Z)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from flows.spec.durations import parse_duration

SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now_us() -> int:
    """The present, in microseconds. For leases the engine asks the database instead."""
    return time.time_ns() // 1000


def iso(at_us: int) -> str:
    """`2026-01-05T10:00:00.100000Z`: no fraction when there is none, always Z."""
    seconds, rest = divmod(at_us, SECOND_US)
    return f"{_second(seconds)}.{rest:06d}Z" if rest else f"{_second(seconds)}Z"


@lru_cache(maxsize=8192)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_span(span_us: int) -> str:
    """A length of time as `PT1H2M3.5S`."""
    sign = "-" if span_us < 0 else ""
    seconds, rest = divmod(abs(span_us), SECOND_US)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:06d}".rstrip("0") if rest else ""
    body = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if seconds or fraction or not body:
        body += f"{seconds}{fraction}S"
    return f"{sign}PT{body}"


def parse_instant(text: str) -> int:
    """ISO 8601 with any offset and fraction, as microseconds. Without an offset it is UTC. Raises ValueError.

    A blank before the offset is a `+` that a client forgot to encode.
    """
    text = re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip())
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def parse_span(text: str) -> int:
    """`PT24H`, `P1D`, `PT0.5S` as microseconds. Raises ValueError."""
    return parse_duration(text) // _MICROSECOND
