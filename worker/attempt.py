"""One attempt in the agent's hands: what it is, its log, its secrets, how it is asked to stop, how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from pydantic import BaseModel

from flows.errors import HeadraceError
from wire import gateway
from worker import limits
from worker.errors import TaskFailed
from worker.folders import RunFolders
from worker.lines import ProtocolReader
from worker.logship import ERROR, INFO, LEVELS, AttemptLog
from worker.masking import Masker
from worker.rendering import Plan
from worker.session import StopReason, WorkerSession

Why = StopReason | str


def now_us() -> int:
    """Wall clock, microseconds since 1970."""
    return time.time_ns() // 1000


class Stopped(Exception):
    """The attempt was ended from outside; why is in its `stop_reason`."""


class Attempt:
    """The state of one attempt. Belongs to the loop's thread, except where a method says otherwise.

    `above`: the attempt whose lease this one runs under, for the children of a WorkingDirectory; secrets are masked together.
    """

    __slots__ = (
        "_protocol",
        "assign",
        "ended",
        "folders",
        "lease",
        "log",
        "marker",
        "masker",
        "metrics",
        "on_stop",
        "plan",
        "progress_at",
        "progress_later",
        "started_at_us",
        "started_timer",
        "stop_reason",
        "sub_run",
        "task",
        "timeout_text",
        "timeout_timer",
        "token",
        "warning",
    )

    def __init__(
        self, assign: gateway.Assign, plan: Plan, session: WorkerSession, folders: RunFolders, above: Attempt | None = None
    ) -> None:
        self.assign = assign
        self.token = assign.token
        self.lease: gateway.AttemptToken = self.token if above is None else above.lease
        """What the plane knows the lease by: the attempt's own token, or that of the attempt it runs below."""
        self.sub_run: gateway.SubRunName | None = None
        self.marker = self.token.lease_id
        """Unique to the attempt on this worker: what its processes are recognised by."""
        if above is not None:
            self.sub_run = gateway.SubRunName(id=self.token.task_run_id, task_id=assign.task_id)
            self.marker = f"{self.token.lease_id}.{self.token.task_run_id}.{self.token.attempt}"
        self.plan = plan
        self.folders = folders
        self.masker: Masker = Masker() if above is None else above.masker
        below = "" if above is None else assign.task_id
        self.log = AttemptLog(
            self.token, lambda batch, reserve: session.log_batch(batch, reserve=reserve), self.masker, sub_task_id=below
        )
        self.metrics: list[gateway.Metric] = []
        self._protocol: ProtocolReader | None = None
        self.started_at_us = now_us()
        self.ended = False
        self.stop_reason: str | None = None
        self.on_stop: Callable[[], None] | None = None
        """Ends what runs for the attempt just now; None while there is nothing to end but the waiting itself."""
        self.task: asyncio.Task[None] | None = None
        self.started_timer: asyncio.TimerHandle | None = None
        self.timeout_timer: asyncio.TimerHandle | None = None
        self.timeout_text = ""
        self.progress_at = 0.0
        self.progress_later: asyncio.TimerHandle | None = None
        self.warning: str | None = None
        """What makes a success a WARNING."""

    @property
    def protocol(self) -> ProtocolReader:
        """What the task said by `::{…}::` lines."""
        if self._protocol is None:
            log = self.log
            self._protocol = ProtocolReader(lambda level, text: log.line(LEVELS.get(level, INFO), text))
        return self._protocol

    def stop(self, reason: str) -> None:
        """Asks the attempt to end; the first reason stays, except that `forget` and `lease` outrank others."""
        if self.ended:
            return
        if self.stop_reason is None or reason in ("forget", "lease"):
            self.stop_reason = reason
        if self.on_stop is not None:
            self.on_stop()
        elif self.task is not None:
            self.task.cancel()

    def add_metric(self, name: str, value: float, kind: str, tags: Mapping[str, str] | None) -> None:
        """Keeps a number for the result."""
        clean = {self.masker.mask(str(key)): self.masker.mask(str(item)) for key, item in (tags or {}).items()}
        self.metrics.append(gateway.Metric(name=self.masker.mask(str(name)), kind=kind, value=float(value), tags=clean))

    def close_timers(self) -> None:
        """Nothing of this attempt rings any more."""
        for timer in (self.started_timer, self.timeout_timer, self.progress_later):
            if timer is not None:
                timer.cancel()


def result_of(attempt: Attempt, outputs: Any, error: BaseException | None) -> gateway.Result:
    """The result of an attempt that ran: its own end, or the one it was given by a stop."""
    outcome, code, message = gateway.SUCCESS, "", ""
    data = b""
    if isinstance(error, HeadraceError):
        outcome, code, message = gateway.FAILED, error.code, str(error)
        if isinstance(error, TaskFailed) and error.outputs is not None:
            outputs = error.outputs
    elif error is not None:
        outcome, code, message = gateway.FAILED, "task.error", f"{type(error).__name__}: {error}"
    try:
        data = outputs if isinstance(outputs, bytes) else outputs_json(outputs, attempt.masker)
    except TaskFailed as failure:
        outcome, code, message = gateway.FAILED, failure.code, str(failure)
    if outcome == gateway.SUCCESS and attempt.warning is not None:
        outcome, code, message = gateway.WARNING, "task.warning", attempt.warning
    done = outcome in (gateway.SUCCESS, gateway.WARNING)
    if attempt.stop_reason is not None and not (done and attempt.stop_reason in ("lease", "drain")):
        outcome, code, message = stopped(attempt.stop_reason, attempt.timeout_text)
    message = attempt.masker.mask(message)[: limits.ERROR_CHARACTERS_MAX]
    if outcome == gateway.FAILED:
        attempt.log.line(ERROR, message)
    attempt.log.flush(last=True)
    return gateway.Result(
        token=attempt.token,
        outcome=outcome,
        outputs_json=data,
        metrics=attempt.metrics,
        started_at_us=attempt.started_at_us,
        ended_at_us=now_us(),
        error_code=code,
        error_message=message,
        log_lines=attempt.log.lines_count,
    )


def stopped(reason: str, timeout_text: str) -> tuple[gateway.Outcome, str, str]:
    """How an attempt ends that was stopped: outcome, code, message."""
    if reason == "timeout":
        return gateway.FAILED, "task.timeout", f"The task was stopped after its timeout of {timeout_text}."
    if reason == "lease":
        text = "The worker lost touch with its plane and stopped the attempt before its lease ran out."
        return gateway.LOST, "worker.lease_not_renewed", text
    if reason == "drain":
        return gateway.LOST, "worker.drained", "The worker was stopped before the attempt had ended."
    if reason == "lost":
        return gateway.LOST, "worker.process_lost", "The process that ran the attempt was lost together with its supervisor."
    return gateway.KILLED, "", ""


def outputs_json(outputs: Any, masker: Masker) -> bytes:
    """Outputs as JSON with secrets masked; empty for none. Raises TaskFailed when they are too large or no JSON object."""
    if outputs is None:
        return b""
    if isinstance(outputs, BaseModel):
        outputs = outputs.model_dump(mode="json", by_alias=True)
    if masker:
        outputs = masker.mask_value(orjson.loads(_dump(outputs)))
    data = _dump(outputs)
    if data == b"{}":
        return b""
    if not data.startswith(b"{"):
        raise TaskFailed(f"Outputs have to be a map, found {type(outputs).__name__}.", code="task.outputs_invalid")
    if len(data) > limits.OUTPUTS_BYTES_MAX:
        have = f"The outputs have {len(data)} bytes, {limits.OUTPUTS_BYTES_MAX} are allowed."
        raise TaskFailed(f"{have} Store large data as a file and output its URI.", code="task.outputs_too_large")
    return data


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise TaskFailed(f"The outputs cannot be written as JSON: {error}", code="task.outputs_invalid") from None
