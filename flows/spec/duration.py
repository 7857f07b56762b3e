"""ISO-8601 durations as the flow language writes them: `PT10S`, `P1DT2H`, `PT0.5S`; also plain seconds such as `30`."""

from __future__ import annotations

import re
from datetime import timedelta

_ISO = re.compile(
    r"^([+-])?P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?$",
    re.IGNORECASE,
)


def parse_duration(text: str) -> timedelta:
    """Reads a duration. Raises ValueError naming the expected form. Months and years have no fixed length and are refused."""
    match = _ISO.match(text.strip())
    if match is None or not any(match.groups()[1:]):
        raise ValueError(f"expected an ISO-8601 duration such as PT30S or P1D, found {text!r}")
    sign, weeks, days, hours, minutes, seconds = match.groups()
    total = timedelta(
        weeks=float(weeks or 0),
        days=float(days or 0),
        hours=float(hours or 0),
        minutes=float(minutes or 0),
        seconds=float((seconds or "0").replace(",", ".")),
    )
    return -total if sign == "-" else total


def format_duration(value: timedelta) -> str:
    """The ISO-8601 form, e.g. `PT1M30S`; zero is `PT0S`."""
    seconds = value.total_seconds()
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = (f"{int(hours)}H" if hours else "") + (f"{int(minutes)}M" if minutes else "")
    if rest or not text:
        text += f"{rest:.6f}".rstrip("0").rstrip(".") + "S"
    return f"{sign}PT{text}"
