"""Messages about task runs below an attempt: steps that a task tells of, children of a WorkingDirectory."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from flows.machine.events import SubRun
from flows.machine.states import State
from wire import gateway
from worker.attempt import outputs_json
from worker.errors import TaskFailed
from worker.masking import Masker

OUTCOMES: Mapping[State, gateway.Outcome] = {
    State.SUCCESS: gateway.SUCCESS,
    State.WARNING: gateway.WARNING,
    State.FAILED: gateway.FAILED,
    State.KILLED: gateway.KILLED,
    State.SKIPPED: gateway.SKIPPED,
}
"""How a task run that is told of may have ended."""
STATES: Mapping[int, State] = {outcome: state for state, outcome in OUTCOMES.items()}


def message_of(run: SubRun, masker: Masker, metrics: list[gateway.Metric] | None = None) -> gateway.SubRun:
    """The message of a task run, with secrets masked. Outputs that are too large make it FAILED without outputs."""
    error = run.error or {}
    outcome, code, text = OUTCOMES[run.state], error.get("code", ""), error.get("message", "")
    try:
        outputs = outputs_json(run.outputs, masker)
    except TaskFailed as failure:
        outcome, code, text, outputs = gateway.FAILED, failure.code, str(failure), b""
    message = gateway.SubRun(
        id=run.id,
        task_id=masker.mask(run.task_id),
        outcome=outcome,
        outputs_json=outputs,
        took_us=run.took_us,
        error_code=code,
        error_message=masker.mask(text),
        log_lines=run.log_lines or 0,
        attempts=run.attempts,
        dynamic=run.dynamic,
        metrics=metrics or [],
    )
    if run.value is not None:
        message.value = run.value
    return message


def child_run(result: gateway.Result, task_id: str, value: str | None) -> SubRun:
    """What the end of a child's last attempt says about its task run. Only a failure has an error."""
    failed = result.outcome == gateway.FAILED
    error = {"code": result.error_code, "message": result.error_message} if failed else None
    return SubRun(
        id=result.token.task_run_id,
        task_id=task_id,
        state=STATES[result.outcome],
        took_us=max(0, result.ended_at_us - result.started_at_us),
        outputs=orjson.loads(result.outputs_json) if result.outputs_json else None,
        error=error,
        log_lines=result.log_lines,
        attempts=result.token.attempt,
        value=value,
    )
