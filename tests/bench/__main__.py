"""`python -m tests.bench [--profile quick|full] [--back-end sqlite] [--only fan_out]`: one JSON line for each number."""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.measures import MEASURES, PROFILES, Bench, Number, new_token
from tests.support import postgres
from tests.support.platform import Platform


def main() -> int:
    """Runs what was asked for. A measurement that fails is a line with `error`, and the others go on; then the status is 1."""
    parser = argparse.ArgumentParser(description="benchmarks of the whole platform, over REST")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument("--back-end", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--only", action="append", help="name of a measurement; again for more")
    given = parser.parse_args()
    failed = False
    for back_end in given.back_end or ("sqlite", "postgresql"):
        reason = postgres.unavailable() if back_end == "postgresql" else None
        if reason:
            _print(back_end, given.profile, {"bench": "all", "skipped": reason})
            continue
        with _platform(back_end) as running:
            bench = Bench(running, new_token(running), PROFILES[given.profile])
            failed = _measure(bench, back_end, given.profile, given.only) or failed
    return 1 if failed else 0


def _measure(bench: Bench, back_end: str, profile: str, only: list[str] | None) -> bool:
    failed = False
    for measure in MEASURES:
        if only and measure.__name__ not in only:
            continue
        try:
            for number in measure(bench):
                _print(back_end, profile, _line(number))
        except Exception as error:  # noqa: BLE001 - said in the line; the next measurement may well work
            failed = True
            _print(back_end, profile, {"bench": measure.__name__, "error": f"{type(error).__name__}: {error}"})
    return failed


@contextmanager
def _platform(back_end: str) -> Iterator[Platform]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True))
        database = stack.enter_context(postgres.fresh_database("headrace_bench")) if back_end == "postgresql" else ""
        running = Platform(Path(folder), database)
        stack.callback(running.close)
        yield running.start()


def _line(number: Number) -> dict[str, Any]:
    detail = {name: round(value, 4) if isinstance(value, float) else value for name, value in number.detail.items()}
    return {"bench": number.name, "value": round(number.value, 4), "unit": number.unit, "detail": detail}


def _print(back_end: str, profile: str, line: dict[str, Any]) -> None:
    about = {
        "back_end": back_end,
        "profile": profile,
        "commit": _commit(),
        "machine": _machine(),
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    print(json.dumps(line | about), flush=True)


def _commit() -> str:
    found = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {machine.system()} {machine.machine()}, Python {machine.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
