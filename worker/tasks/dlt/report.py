"""The structure of what dlt did: the outputs of the dlt task, and of scripts that use dlt. Plain data, no dlt.

Loaded by place into the interpreters of script tasks too (see `worker.python_env`): standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

JOBS_LISTED_MAX = 200
"""Jobs listed per load package; `jobsTotal` tells how many there were."""


def merge(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several runs as one: identity and state of the last, sums and lists over all, the latest cursors.

    `found` is in order of time. One run is returned as it is; none gives an empty mapping. With several, `runs` names them.
    """
    if len(found) < 2:
        return dict(found[0]) if found else {}
    merged = dict(found[-1])
    merged["startedAt"] = found[0].get("startedAt")
    merged["firstRun"] = any(report.get("firstRun") for report in found)
    merged["state"] = "failed" if any(report.get("state") == "failed" for report in found) else found[-1].get("state")
    for name in ("steps", "loadIds", "packages", "schemaChanges", "failures"):
        merged[name] = [item for report in found for item in report.get(name) or ()]
    merged["rows"] = sum_rows(report.get("rows") or {} for report in found)
    merged["bytes"] = sum_rows(report.get("bytes") or {} for report in found)
    cursors: dict[tuple[Any, ...], dict[str, Any]] = {}
    pending: dict[Any, list[Any]] = {}
    for report in found:
        pending[report.get("pipelineName")] = list(report.get("pending") or ())
        for cursor in report.get("cursors") or ():
            key = (report.get("pipelineName"), cursor.get("source"), cursor.get("resource"), cursor.get("path"))
            # The first start and the last end describe the stretch all runs covered together.
            first = cursors.get(key, cursor)
            cursors[key] = {**cursor, "startValue": first.get("startValue")}
    merged["cursors"] = list(cursors.values())
    merged["pending"] = [item for items in pending.values() for item in items]
    merged["runs"] = [
        {
            name: report.get(name)
            for name in ("pipelineName", "destination", "dataset", "transactionId", "state", "loadIds", "rows")
        }
        for report in found
    ]
    return merged


def sum_rows(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Adds numbers per table."""
    total: dict[str, int] = {}
    for count in counts:
        for table, number in count.items():
            total[table] = total.get(table, 0) + int(number)
    return total


def metrics_of(report: dict[str, Any]) -> list[tuple[str, float, str, dict[str, str]]]:
    """Metrics of a report as (name, value, kind, tags): `rows` and `bytes` per table, `duration` in seconds per step."""
    if not report:
        return []
    pipeline = {"pipeline": str(report.get("pipelineName") or "")}
    found: list[tuple[str, float, str, dict[str, str]]] = []
    for name in ("rows", "bytes"):
        for table, number in (report.get(name) or {}).items():
            found.append((name, float(number), "counter", {**pipeline, "table": str(table)}))
    seconds: dict[str, float] = {}
    for step in report.get("steps") or ():
        seconds[step["step"]] = seconds.get(step["step"], 0.0) + float(step.get("seconds") or 0.0)
    found.extend(("duration", round(spent, 6), "timer", {**pipeline, "step": step}) for step, spent in seconds.items())
    return found


def describe_change(change: dict[str, Any]) -> str:
    """One schema change as a phrase: `new column games.rating (bigint)`."""
    if change["change"] == "new_table":
        columns = ", ".join(f"{column['name']} {column['dataType']}" for column in change.get("columns") or ())
        return f"new table {change['table']} ({columns})"
    if change["change"] == "new_variant":
        return f"column {change['table']}.{change['variantOf']} also holds {change['dataType']} (would need {change['column']})"
    if change["change"] == "changed_type":
        return f"column {change['table']}.{change['column']} changed from {change['was']} to {change['dataType']}"
    return f"new column {change['table']}.{change['column']} ({change['dataType']})"
