"""From messages about ended attempts to values of the machine and rows of metrics."""

from __future__ import annotations

from typing import Any

import orjson

from flows.machine.events import SubRun
from flows.machine.states import State
from wire import gateway

STATES: dict[int, State] = {
    gateway.SUCCESS: State.SUCCESS,
    gateway.WARNING: State.WARNING,
    gateway.FAILED: State.FAILED,
    gateway.KILLED: State.KILLED,
    gateway.SKIPPED: State.SKIPPED,
}

TEXT_MAX = 100_000
"""Characters of an error message that are kept."""

NAME_MAX = 256
"""Characters of a task's id."""

Ending = tuple[State, dict[str, Any] | None, dict[str, str] | None]
"""State, outputs, error."""


def ending(told: gateway.Result | gateway.SubRun) -> Ending:
    """How an attempt ended. Outputs that are no JSON, and an unknown outcome, make it FAILED."""
    state = STATES.get(told.outcome, State.FAILED)
    error = None
    if told.error_code or told.error_message:
        error = {"code": told.error_code, "message": told.error_message[:TEXT_MAX]}
    if not told.outputs_json:
        return state, None, error
    try:
        found = orjson.loads(told.outputs_json)
    except orjson.JSONDecodeError:
        text = "the worker sent outputs that are no JSON; the attempt counts as failed"
        return State.FAILED, None, {"code": "worker.outputs", "message": text}
    return state, found if isinstance(found, dict) else {"value": found}, error


def sub_run(told: gateway.SubRun) -> SubRun:
    """A task run below an attempt, as its worker tells it."""
    state, outputs, error = ending(told)
    return SubRun(
        id=told.id[:22],
        task_id=told.task_id[:NAME_MAX],
        state=state,
        took_us=max(0, told.took_us),
        outputs=outputs,
        error=error,
        log_lines=told.log_lines,
        attempts=told.attempts,
        value=told.value if told.HasField("value") else None,
        dynamic=told.dynamic,
    )


def metric_row(task_run_id: str, task_id: str, metric: gateway.Metric) -> dict[str, Any]:
    """A metric as the engine stores it with the end of its task run."""
    return {
        "task_run_id": task_run_id,
        "task_id": task_id,
        "name": metric.name[:200],
        "kind": metric.kind[:10],
        "value": metric.value,
        "tags": dict(metric.tags),
    }
