"""Reads what the hooks of `worker.tasks.dlt.watch` wrote while a script used dlt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worker.python_env.environment import REPORTS
from worker.tasks.dlt.report import merge, metrics_of

Metric = tuple[str, float, str, dict[str, str]]
"""Name, value, kind (counter or timer, in seconds), tags."""


def reports(folder: Path) -> dict[str, Any]:
    """Everything dlt did in the environment at `folder`, merged: the structure of the outputs of the dlt task.

    Empty when the script did not run a dlt pipeline. Unreadable files (a script killed while one was written) are left out.
    """
    found = [report for path in sorted((folder / REPORTS).glob("run-*.json")) if (report := _read(path)) is not None]
    return merge(sorted(found, key=lambda report: str(report.get("startedAt") or "")))


def metrics(report: dict[str, Any]) -> list[Metric]:
    """The metrics of a report: rows and bytes per table, seconds per step."""
    return metrics_of(report)


def latest_progress(folder: Path, since: float = 0.0) -> dict[str, Any] | None:
    """What the script's pipeline does now: `step`, `message`, `done`, `total`, and `at` (seconds since the epoch).

    None when nothing newer than `since` was written. Cheap enough to ask twice a second.
    """
    newest: dict[str, Any] | None = None
    for path in (folder / REPORTS).glob("progress-*.json"):
        progress = _read(path)
        if progress is not None and float(progress.get("at") or 0) > (newest or {"at": since})["at"]:
            newest = progress
    return newest


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
