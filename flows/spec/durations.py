"""ISO-8601 durations as Java's Duration reads them: `PT10S`, `PT1H30M`, `P2D`, `P1DT12H`, `-PT5M`, `PT0.5S`."""

from __future__ import annotations

import re
from datetime import timedelta

_DURATION = re.compile(
    r"([-+]?)P(?:([-+]?[0-9]{1,9})D)?(T(?=[-+0-9])(?:([-+]?[0-9]{1,9})H)?(?:([-+]?[0-9]{1,9})M)?(?:([-+]?[0-9]{1,11})(?:[.,]([0-9]{0,9}))?S)?)?",
    re.IGNORECASE,
)


def parse_duration(text: str) -> timedelta:
    """The duration of a text, to the microsecond. Raises ValueError with what was expected."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not (match.group(2) or match.group(3)):
        raise ValueError(f"expected a duration such as PT30S, PT10M or P1D, found `{text[:60]}`")
    sign, days, _, hours, minutes, seconds, fraction = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    if seconds and seconds.startswith("-"):
        micros = -micros
    try:
        total = timedelta(
            days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0), microseconds=micros
        )
    except OverflowError:
        raise ValueError(f"the duration `{text[:60]}` is too long") from None
    return -total if sign == "-" else total
