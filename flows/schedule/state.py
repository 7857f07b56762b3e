"""What is remembered of a trigger between two looks (triggers-and-conditions §3), and what a look leads to.

All of it is immutable: each function that changes something gives a new state. Datetimes are aware, in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flows.machine.states import State


@dataclass(frozen=True, slots=True)
class Backfill:
    """The past that a Schedule is asked to run: every instant from `start` to `end`, both included (trap 18).

    `id`: unique among the backfills of the trigger, it keeps their firings apart. `current`: the last instant that was run; None
    before the first. `previous_next`: the regular next date, put back when the backfill is over.
    """

    id: str
    start: datetime
    end: datetime
    current: datetime | None = None
    paused: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    previous_next: datetime | None = None


@dataclass(frozen=True, slots=True)
class TriggerState:
    """The row of one trigger. `evaluated_at`: the last instant that was dealt with (a schedule's due instant, not the clock).

    `next_at`: when to look next; None = compute it. `disabled`: the switch at run time, which survives edits; what YAML says is
    not in here (trap 5). `execution_id`, `updated_at`: who holds the lock "one execution at a time" and since when.
    `evaluating_since`, `worker_id`: an evaluation that was sent to a worker and has not been answered.
    `digest`: of the trigger as it was written when the state was made.
    """

    evaluated_at: datetime
    next_at: datetime | None = None
    disabled: bool = False
    execution_id: str | None = None
    updated_at: datetime | None = None
    evaluating_since: datetime | None = None
    worker_id: str | None = None
    backfill: Backfill | None = None
    stop_after: tuple[str, ...] = ()
    digest: str = ""

    def locked(self, execution_id: str, now: datetime) -> TriggerState:
        """An execution was started and holds the lock."""
        return replace(self, execution_id=execution_id, updated_at=now)

    def unlocked(self) -> TriggerState:
        """By hand: neither an execution nor an evaluation is waited for any more (trap 2)."""
        return replace(self, execution_id=None, updated_at=None, evaluating_since=None)

    def restarted(self) -> TriggerState:
        """By hand: the evaluation, wherever it ran, is given up."""
        return replace(self, evaluating_since=None, worker_id=None)

    def execution_ended(self, execution_id: str, state: str) -> TriggerState:
        """The execution that held the lock ended. With `stopAfter`, its end state sets the switch each time (trap 6)."""
        disabled = state in self.stop_after if self.stop_after else self.disabled
        held = self.execution_id == execution_id
        return replace(
            self,
            disabled=disabled,
            execution_id=None if held else self.execution_id,
            updated_at=None if held else self.updated_at,
            next_at=None if disabled and not self.disabled else self.next_at,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an execution is created as FAILED. `code` is stable; the message is for the user."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Firing:
    """An execution to create. `key`: unique in the tenant; a second firing with the same key is the same firing.

    `variables`: of the trigger, as `trigger.*`. `labels`: all labels of the execution. `inputs`: as given, before the flow's
    defaults and types. `failure`: the execution is created as FAILED and runs nothing. `correlation_id`: of the chain it goes on;
    None begins one.
    """

    key: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None
    failure: Failure | None = None
    correlation_id: str | None = None
    backfill: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nothing fires now. `code`: `waits`, `never`, `disabled`, `trigger_disabled`, `flow_disabled`, `locked`, `evaluating`,
    `backfill_paused`, `condition_false`, `late`. `detail`: plain data for a person or a program, e.g. `{"until": "…Z"}`."""

    code: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """The outcome of one look: the state to store, the execution to create, or why there is none."""

    state: TriggerState
    firing: Firing | None = None
    reason: Reason | None = None
    warnings: tuple[str, ...] = ()


def holds_lock(state: str | None) -> bool:
    """Whether an execution in that state keeps its trigger waiting. One that is not found (None) does too (traps 1 and 2)."""
    return state is None or not State(state).terminated
