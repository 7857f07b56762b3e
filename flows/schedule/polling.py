"""Polling and realtime triggers: when a worker is asked, and what its answer leads to (triggers-and-conditions §4).

The next look is reckoned from the answer, so the period is the interval and the time an evaluation takes (trap 9); dates that
pass meanwhile are dropped.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from flows.schedule.facts import iso
from flows.schedule.state import Reason, TriggerState, holds_lock
from flows.spec.model import Trigger

INTERVAL = timedelta(seconds=60)
"""Between two looks of a polling trigger that says nothing else."""

INTERVAL_MIN = timedelta(seconds=1)


def created(trigger: Trigger, now: datetime) -> TriggerState:
    """The state of a trigger seen for the first time: it is looked at now."""
    return TriggerState(evaluated_at=now, next_at=now, stop_after=trigger.stop_after, digest=trigger.digest)


def changed(trigger: Trigger, state: TriggerState, now: datetime) -> TriggerState:
    """After a save of the flow: begun anew when the trigger's digest changed; the switch and the lock stay (traps 4 and 5)."""
    if state.digest == trigger.digest:
        return state
    fresh = created(trigger, now)
    return replace(
        fresh,
        next_at=None if state.disabled else now,
        disabled=state.disabled,
        execution_id=state.execution_id,
        updated_at=state.updated_at,
    )


def enabled(state: TriggerState, now: datetime) -> TriggerState:
    """Switched on again at run time: looked at now."""
    return replace(state, disabled=False, next_at=now)


def waits(trigger: Trigger, state: TriggerState, now: datetime, *, flow_disabled: bool, running: str | None) -> Reason | None:
    """Why no worker is to be asked now; None when one is. `running`: the state of the execution that holds the lock."""
    if flow_disabled:
        return Reason("flow_disabled")
    if trigger.disabled:
        return Reason("trigger_disabled")
    if state.disabled:
        return Reason("disabled")
    if state.evaluating_since is not None:
        return Reason("evaluating", {"worker": state.worker_id, "since": iso(state.evaluating_since)})
    lockable = trigger.kind == "polling" and not trigger.allow_concurrent
    if lockable and state.execution_id is not None and holds_lock(running):
        since = iso(state.updated_at) if state.updated_at is not None else None
        return Reason("locked", {"execution": state.execution_id, "state": running or "unknown", "since": since})
    if state.next_at is not None and state.next_at > now:
        return Reason("waits", {"until": iso(state.next_at)})
    return None


def sent(state: TriggerState, worker_id: str, now: datetime) -> TriggerState:
    """A worker was asked."""
    return replace(state, evaluating_since=now, worker_id=worker_id)


def answered(state: TriggerState, now: datetime, interval: timedelta = INTERVAL, execution_id: str | None = None) -> TriggerState:
    """The worker answered: with an execution, which takes the lock, with nothing, or with an error that was logged."""
    held = state.locked(execution_id, now) if execution_id is not None else state
    return replace(held, evaluated_at=now, next_at=now + max(interval, INTERVAL_MIN), evaluating_since=None, worker_id=None)


def lost(state: TriggerState, now: datetime) -> TriggerState:
    """The worker is gone: somebody else is asked at once."""
    return replace(state, evaluating_since=None, worker_id=None, next_at=now)
