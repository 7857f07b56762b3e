"""Rows of executions as REST shows them. Built from plain values; what is JSON in a column goes out as it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from controlplane.engine import NewExecution
from controlplane.platform.clock import iso, iso_span, now_us
from flows.machine.states import State

Row = Mapping[str, Any]

SUMMARY_COLUMNS = (
    "id",
    "tenant_id",
    "namespace",
    "flow_id",
    "flow_revision",
    "state",
    "history",
    "labels",
    "inputs",
    "outputs",
    "trigger",
    "error",
    "task_run_count",
    "parent_id",
    "original_id",
    "created_at_us",
    "ended_at_us",
    "kind",
    "schedule_at_us",
    "cause",
    "extra",
)
FULL_COLUMNS = (*SUMMARY_COLUMNS, "variables", "version")
TASK_RUN_COLUMNS = (
    "id",
    "seq",
    "task_id",
    "parent_id",
    "value",
    "iteration",
    "state",
    "history",
    "attempts",
    "outputs",
    "dynamic",
    "created_at_us",
    "ended_at_us",
)


def state_json(current: str, history: Sequence[Sequence[Any]], now: int | None = None) -> dict[str, Any]:
    """`State`: the end and the final duration only when it is terminal, the duration so far otherwise."""
    start = history[0][1]
    last = history[-1][1]
    body: dict[str, Any] = {
        "current": current,
        "histories": [{"state": state, "date": iso(at)} for state, at in history],
        "startDate": iso(start),
    }
    if State(current).terminated:
        body["endDate"] = iso(last)
        body["duration"] = iso_span(last - start)
    else:
        body["duration"] = iso_span(max(0, (now_us() if now is None else now) - start))
    return body


def _json(body: dict[str, Any], name: str, text: str | None) -> None:
    """A JSON column as it is: nobody parses it to write it again."""
    if text is not None:
        body[name] = orjson.Fragment(text)


def execution_summary(row: Row) -> dict[str, Any]:
    """A row of a search: no task runs, no variables."""
    body: dict[str, Any] = {
        "id": row["id"],
        "tenantId": row["tenant_id"],
        "namespace": row["namespace"],
        "flowId": row["flow_id"],
        "flowRevision": row["flow_revision"],
        "labels": orjson.Fragment(row["labels"]) if isinstance(row["labels"], str) else row["labels"] or [],
        "state": state_json(row["state"], orjson.loads(row["history"])),
        "originalId": row["original_id"] or row["id"],
        "deleted": False,
        "taskRunCount": row["task_run_count"],
    }
    extra = orjson.loads(row["extra"]) if row["extra"] is not None else {}
    first = extra.get("first") or row["created_at_us"]
    body["metadata"] = {"attemptNumber": extra.get("attempt", 1), "originalCreatedDate": iso(first)}
    if row["kind"] != "NORMAL":
        body["kind"] = row["kind"]
    if row["schedule_at_us"] is not None:
        body["scheduleDate"] = iso(row["schedule_at_us"])
    if extra.get("breakpoints"):
        body["breakpoints"] = extra["breakpoints"]
    if extra.get("loop"):
        body["loopRun"] = {"taskId": extra["loop"]["taskId"], "item": extra["loop"]["item"]}
    _json(body, "cause", row["cause"])
    _json(body, "inputs", row["inputs"])
    _json(body, "outputs", row["outputs"])
    _json(body, "trigger", row["trigger"])
    _json(body, "error", row["error"])
    if row["parent_id"] is not None:
        body["parentId"] = row["parent_id"]
    return body


def execution_full(row: Row, runs: Iterable[Row], progress: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The whole execution. `progress`: the latest word of running task runs, by id."""
    body = execution_summary(row)
    body["taskRunList"] = [task_run(row, run, (progress or {}).get(run["id"])) for run in runs]
    _json(body, "variables", row["variables"])
    return body


def task_run(execution: Row, run: Row, progress: Any = None) -> dict[str, Any]:
    """One task run with its attempts and outputs."""
    body: dict[str, Any] = {
        "id": run["id"],
        "executionId": execution["id"],
        "namespace": execution["namespace"],
        "flowId": execution["flow_id"],
        "taskId": run["task_id"],
        "state": state_json(run["state"], orjson.loads(run["history"])),
        "attempts": [_attempt(attempt) for attempt in orjson.loads(run["attempts"])],
    }
    if run["parent_id"] is not None:
        body["parentTaskRunId"] = run["parent_id"]
    if run["value"] is not None:
        body["value"] = run["value"]
    if run["iteration"] is not None:
        body["iteration"] = run["iteration"]
    if run["dynamic"]:
        body["dynamic"] = True
    _json(body, "outputs", run["outputs"])
    if progress is not None:
        body["progress"] = progress
    return body


def _attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"state": state_json(attempt["state"], attempt["history"])}
    for name in ("workerId", "logLines", "error"):
        value = attempt.get(name)
        if value is not None:
            body[name] = value
    return body


def created_execution(
    tenant: str,
    namespace: str,
    flow_id: str,
    revision: int,
    execution_id: str,
    at_us: int,
    inputs: Mapping[str, Any],
    labels: Sequence[Mapping[str, str]],
    trigger: Mapping[str, Any] | None,
    new: NewExecution | None = None,
) -> dict[str, Any]:
    """The answer to a creation, made of what was stored without reading it back."""
    body: dict[str, Any] = {
        "id": execution_id,
        "tenantId": tenant,
        "namespace": namespace,
        "flowId": flow_id,
        "flowRevision": revision,
        "labels": labels,
        "state": {
            "current": State.CREATED.value,
            "histories": [{"state": State.CREATED.value, "date": iso(at_us)}],
            "startDate": iso(at_us),
            "duration": "PT0S",
        },
        "inputs": inputs,
        "originalId": execution_id,
        "deleted": False,
        "metadata": {"attemptNumber": 1, "originalCreatedDate": iso(at_us)},
        "taskRunList": [],
        "taskRunCount": 0,
    }
    if trigger is not None:
        body["trigger"] = trigger
    if new is None:
        return body
    if new.kind != "NORMAL":
        body["kind"] = new.kind
    if new.schedule_at_us is not None:
        body["scheduleDate"] = iso(new.schedule_at_us)
    if new.breakpoints:
        body["breakpoints"] = list(new.breakpoints)
    if new.fails is not None:
        history = [(State.CREATED.value, at_us), (State.FAILED.value, at_us)]
        body["state"] = state_json(State.FAILED.value, history)
        body["error"] = new.fails
    return body
