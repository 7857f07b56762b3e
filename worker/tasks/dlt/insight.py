"""From a dlt pipeline to our structure: what it loaded, what changed, where it will go on.

dlt's trace objects are read here and nowhere else. Loaded by place into the interpreters of script tasks too: it imports
nothing but the standard library and its neighbours, and gets dlt's objects handed in.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from .report import JOBS_LISTED_MAX, sum_rows

_JOB_STATES = {"completed_jobs": "completed", "failed_jobs": "failed", "started_jobs": "started", "new_jobs": "new"}
_MESSAGE_CHARS_MAX = 4000


def observe(pipeline: Any, since: dt.datetime | None = None, error: BaseException | None = None) -> dict[str, Any]:
    """What `pipeline` (a `dlt.Pipeline`) did in its last trace, after success or failure.

    `since`: steps that began earlier are left out (a working folder that is kept holds the trace of an earlier process).
    `error`: what the run raised. Never raises for a missing piece: what dlt does not know is None or empty.
    """
    trace = pipeline.last_trace
    steps = [step for step in (trace.steps if trace else ()) if since is None or step.started_at >= since]
    packages: dict[str, dict[str, Any]] = {}
    rows: dict[str, dict[str, int]] = {}
    sizes: dict[str, dict[str, int]] = {}
    changes: dict[str, list[dict[str, Any]]] = {}
    load: Any = None
    first_run = False
    for step in steps:
        info = step.step_info
        if info is None or not hasattr(info, "load_packages"):
            continue
        first_run = first_run or bool(getattr(info, "first_run", False))
        if step.step == "normalize":
            for load_id, metrics in (info.metrics or {}).items():
                rows[load_id] = sum_rows(_per_table(metric, "items_count") for metric in metrics)
                sizes[load_id] = sum_rows(_per_table(metric, "file_size") for metric in metrics)
        if step.step in ("load", "run") and hasattr(info, "destination_type"):
            load = info
        for package in info.load_packages:
            packages[package.load_id] = _package(package)
            changes[package.load_id] = schema_changes(package.schema, package.schema_update) if package.schema_update else []
    for load_id, package in packages.items():
        package["rows"] = rows.get(load_id, {})
        package["schemaChanged"] = bool(changes.get(load_id))
    failed = error is not None or any(step.step_exception for step in steps)
    return {
        "pipelineName": pipeline.pipeline_name,
        "destination": load.destination_name if load else _named(pipeline.destination),
        "destinationType": load.destination_type if load else getattr(pipeline.destination, "destination_type", None),
        "dataset": (load.dataset_name if load else None) or pipeline.dataset_name,
        "transactionId": trace.transaction_id if trace else None,
        "startedAt": iso(steps[0].started_at) if steps else None,
        "endedAt": iso(trace.finished_at) if trace else None,
        "state": "failed" if failed else "loaded",
        "firstRun": first_run,
        "steps": [_step(step) for step in steps],
        "loadIds": [load_id for load_id, package in packages.items() if package["state"] == "loaded"],
        "rows": sum_rows(rows.values()),
        "bytes": sum_rows(sizes.values()),
        "packages": list(packages.values()),
        "schemaChanges": [change for found in changes.values() for change in found],
        "cursors": cursors(pipeline.state),
        "pending": _pending(pipeline),
        "stateVersion": pipeline.state.get("_state_version"),
        "stateHash": pipeline.state.get("_version_hash"),
        "schema": _schema(pipeline),
        "failures": [_failure(step) for step in steps if step.step_exception and step.step != "run"],
    }


def schema_changes(schema: Any, update: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The diff that an update of tables (as dlt reports it: new columns per table) makes to a destination.

    A table is new when the update holds all its columns: a table that was there before keeps at least one.
    """
    found: list[dict[str, Any]] = []
    for name, table in sorted(update.items()):
        if name.startswith("_dlt_"):
            continue
        fresh = {key: column for key, column in table.get("columns", {}).items() if column.get("data_type")}
        whole = {key for key, column in schema.tables.get(name, table)["columns"].items() if column.get("data_type")}
        if whole <= set(fresh):
            found.append(new_table(name, fresh, schema.tables.get(name, table).get("parent")))
        else:
            found.extend(new_column(name, column) for key, column in fresh.items() if not key.startswith("_dlt_"))
    return found


def new_table(name: str, columns: Mapping[str, Any], parent: str | None) -> dict[str, Any]:
    """The change `new_table`, with its columns (dlt's own left out)."""
    listed = [
        {"name": key, "dataType": column["data_type"], "nullable": bool(column.get("nullable", True))}
        for key, column in columns.items()
        if not key.startswith("_dlt_")
    ]
    return {
        "table": name,
        "change": "new_table",
        "column": None,
        "dataType": None,
        "nullable": None,
        "parent": parent,
        "columns": listed,
    }


def new_column(table: str, column: Mapping[str, Any]) -> dict[str, Any]:
    """The change `new_column`, or `new_variant` when values of an existing column came with another type."""
    change = {
        "table": table,
        "change": "new_variant" if column.get("variant") else "new_column",
        "column": column["name"],
        "dataType": column["data_type"],
        "nullable": bool(column.get("nullable", True)),
    }
    if column.get("variant"):
        change["variantOf"] = column["name"].rsplit("__v_", 1)[0]
    return change


def cursors(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Incremental cursors in a pipeline's state: where each resource began and where it will go on."""
    found = []
    for source, held in (state.get("sources") or {}).items():
        for resource, own in (held.get("resources") or {}).items():
            for path, cursor in (own.get("incremental") or {}).items():
                found.append(
                    {
                        "source": source,
                        "resource": resource,
                        "path": path,
                        "initialValue": plain(cursor.get("initial_value")),
                        "startValue": plain(cursor.get("start_value")),
                        "lastValue": plain(cursor.get("last_value")),
                    }
                )
    return found


def iso(moment: Any) -> str | None:
    """A moment as ISO-8601 in UTC with `Z`; seconds since the epoch are understood too."""
    if moment is None:
        return None
    if isinstance(moment, (int, float)):
        moment = dt.datetime.fromtimestamp(moment, tz=dt.timezone.utc)  # noqa: UP017 - also runs on Python 3.10
    return str(moment.astimezone(dt.timezone.utc).isoformat(timespec="milliseconds")).replace("+00:00", "Z")  # noqa: UP017


def plain(value: Any) -> Any:
    """A cursor's value as JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, dt.datetime):
        return iso(value) if value.tzinfo else value.isoformat()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _per_table(metric: Mapping[str, Any], name: str) -> dict[str, int]:
    return {table: getattr(found, name) for table, found in metric["table_metrics"].items() if not table.startswith("_dlt_")}


def _package(package: Any) -> dict[str, Any]:
    jobs: dict[str, list[dict[str, Any]]] = {}
    size = total = 0
    for state, found in package.jobs.items():
        for job in found:
            if job.job_file_info.table_name.startswith("_dlt_"):
                continue
            total += 1
            size += job.file_size or 0
            if total <= JOBS_LISTED_MAX or state == "failed_jobs":
                jobs.setdefault(_JOB_STATES.get(state, state), []).append(_job(job))
    return {
        "loadId": package.load_id,
        "state": package.state,
        "completedAt": iso(package.completed_at),
        "schemaName": package.schema_name,
        "schemaHash": package.schema_hash,
        "jobs": jobs,
        "jobsTotal": total,
        "bytes": size,
        "droppedTables": [table["name"] if isinstance(table, dict) else str(table) for table in package.dropped_tables or ()],
    }


def _job(job: Any) -> dict[str, Any]:
    described = {
        "id": job.job_file_info.job_id(),
        "table": job.job_file_info.table_name,
        "format": job.job_file_info.file_format,
        "bytes": job.file_size,
        "seconds": round(job.elapsed or 0.0, 3),
        "retries": job.job_file_info.retry_count,
    }
    if job.failed_message:
        described["message"] = str(job.failed_message)[:_MESSAGE_CHARS_MAX]
    return described


def _step(step: Any) -> dict[str, Any]:
    ended = step.finished_at
    return {
        "step": step.step,
        "startedAt": iso(step.started_at),
        "endedAt": iso(ended),
        "seconds": round((ended - step.started_at).total_seconds(), 3) if ended else None,
        "failed": bool(step.step_exception),
    }


def _failure(step: Any) -> dict[str, Any]:
    traces = step.exception_traces or []
    # The last of the chain is what happened first; those before it only say where it passed.
    cause = traces[-1] if traces else {}
    return {
        "step": step.step,
        "kind": str(cause.get("exception_type", "")).rsplit(".", 1)[-1] or None,
        "message": str(cause.get("message") or step.step_exception)[:_MESSAGE_CHARS_MAX],
        "retryable": not cause.get("is_terminal", False),
    }


def _pending(pipeline: Any) -> list[dict[str, str]]:
    return [
        *({"loadId": load_id, "state": "extracted"} for load_id in pipeline.list_extracted_load_packages()),
        *({"loadId": load_id, "state": "normalized"} for load_id in pipeline.list_normalized_load_packages()),
    ]


def _schema(pipeline: Any) -> dict[str, Any] | None:
    if not pipeline.default_schema_name:
        return None
    schema = pipeline.default_schema
    return {"name": schema.name, "version": schema.version, "versionHash": schema.version_hash}


def _named(destination: Any) -> str | None:
    return getattr(destination, "destination_name", None) if destination is not None else None
