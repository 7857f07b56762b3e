"""For all tests: says at the end how many ran on which back end, and why others did not.

A test that runs on a database names it in its parameters: `[sqlite]`, `[postgresql]`, `[redis]`, in any place of the list.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

BACK_ENDS = ("sqlite", "postgresql", "redis")
_SPLIT = re.compile(r"[^a-z]+")


def back_end(test_id: str) -> str:
    """The back end a test's id names, `none` for tests without one."""
    words = set(_SPLIT.split(test_id.rpartition("[")[2].lower())) if "[" in test_id else set()
    return next((name for name in BACK_ENDS if name in words), "none")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Adds the table of counts; `make test` adds up those of its parts from the file HEADRACE_TEST_COUNTS names."""
    if hasattr(config, "workerinput"):
        return
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            counts[f"{back_end(report.nodeid)} {'failed' if outcome == 'error' else outcome}"] += 1
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                reasons[str(report.longrepr[2]).removeprefix("Skipped: ")] += 1
    terminalreporter.write_line("tests per back end: " + (describe(counts) or "none"))
    path = os.environ.get("HEADRACE_TEST_COUNTS")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"counts": counts, "skipped": reasons}) + "\n")


def describe(counts: Counter[str]) -> str:
    """`sqlite 210 passed, 3 skipped · postgresql …`."""
    parts = []
    for name in (*BACK_ENDS, "none"):
        outcomes = ("passed", "failed", "skipped")
        found = [f"{counts[f'{name} {outcome}']} {outcome}" for outcome in outcomes if counts[f"{name} {outcome}"]]
        if found:
            parts.append(f"{'no database' if name == 'none' else name} {', '.join(found)}")
    return " · ".join(parts)
