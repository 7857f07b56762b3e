"""`python -m tests.bench.cron_year [--count 200] [--seed 1]`: a year of instants, cron by cron and zone by zone, against a scan.

Every minute of 2026 is looked at for each expression in each of four zones; `next` and `previous` must walk through exactly the
instants the scan finds, and `between` must list them. One JSON line; the status is 1 when there is any difference.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flows.schedule.cron import Cron, parse_cron
from tests.support.cron_scan import ZONES, crons, minutes, scan, utc


def walk(cron: Cron, zone: ZoneInfo, start: datetime, end: datetime) -> tuple[list[datetime], list[datetime]]:
    """The instants from start to before end, found forwards and found backwards."""
    forwards, backwards = [], []
    at = cron.next(start - timedelta(seconds=1), zone)
    while at is not None and at < end:
        forwards.append(at)
        at = cron.next(at, zone)
    at = cron.previous(end, zone)
    while at is not None and at >= start:
        backwards.append(at)
        at = cron.previous(at, zone)
    return forwards, backwards[::-1]


def main() -> int:
    """Runs all of it."""
    parser = argparse.ArgumentParser(description="cron against a scan of every minute of a year")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start, end = utc(2026, 1, 1), utc(2027, 1, 1)
    instants = differences = 0
    walking = 0.0
    for name in ZONES:
        stretch = minutes(name, start, end)
        for expression in crons(given.count, given.seed):
            expected = scan(expression, stretch)
            cron = parse_cron(expression)
            begun = time.perf_counter()
            forwards, backwards = walk(cron, ZoneInfo(name), start, end)
            walking += time.perf_counter() - begun
            instants += len(expected)
            bulk = list(cron.between(start - timedelta(seconds=1), end - timedelta(seconds=1), ZoneInfo(name)))
            if forwards != expected or backwards != expected or bulk != expected:
                differences += 1
                odd = sorted(set(expected) ^ set(forwards) | set(expected) ^ set(backwards))[:3]
                print(f"{expression} in {name}: {[str(one) for one in odd]}", file=sys.stderr)
    line = {
        "bench": "cron_year",
        "value": differences,
        "unit": "differences",
        "detail": {
            "crons": given.count,
            "zones": list(ZONES),
            "seed": given.seed,
            "instants": instants,
            "us_per_step": round(walking / max(2 * instants, 1) * 1e6, 2),
        },
    }
    print(json.dumps(line), flush=True)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
