"""Between a trigger's row and the pure scheduler: rows become its states, its answers become changes of columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.platform.errors import Conflict
from controlplane.triggers.rows import StateRow, dump
from controlplane.triggers.rules import Rule, rule_of
from flows.errors import HeadraceError
from flows.schedule import backfills
from flows.schedule.due import ScheduleRule
from flows.schedule.schedule_trigger import Recover
from flows.schedule.state import Backfill, Look, TriggerState

Changes = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def moment(at_us: int) -> datetime:
    """Microseconds as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


def micros(at: datetime) -> int:
    """The other way."""
    return (at - _EPOCH) // _MICROSECOND


def _moment(at_us: int | None) -> datetime | None:
    return None if at_us is None else moment(at_us)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def state_of(row: StateRow) -> TriggerState:
    """The row as the pure scheduler knows it."""
    return TriggerState(
        evaluated_at=moment(row.evaluated_at_us if row.evaluated_at_us is not None else row.created_at_us),
        next_at=_moment(row.next_at_us),
        disabled=row.disabled,
        execution_id=row.execution_id,
        updated_at=_moment(row.locked_at_us),
        evaluating_since=_moment(row.evaluation_since_us),
        worker_id=row.worker_id,
        backfill=backfill_of(row.backfill),
        stop_after=row.stop_after,
        digest=row.digest,
    )


def backfill_of(stored: Mapping[str, Any] | None) -> Backfill | None:
    """A stored backfill as a value."""
    if stored is None:
        return None
    return Backfill(
        id=stored["id"],
        start=moment(stored["start"]),
        end=moment(stored["end"]),
        current=_moment(stored.get("current")),
        paused=bool(stored.get("paused")),
        inputs=stored.get("inputs") or {},
        labels=stored.get("labels") or {},
        previous_next=_moment(stored.get("previousNext")),
    )


def backfill_text(backfill: Backfill | None) -> str | None:
    """The column of a backfill."""
    if backfill is None:
        return None
    return dump(
        {
            "id": backfill.id,
            "start": micros(backfill.start),
            "end": micros(backfill.end),
            "current": _micros(backfill.current),
            "paused": backfill.paused,
            "inputs": dict(backfill.inputs),
            "labels": dict(backfill.labels),
            "previousNext": _micros(backfill.previous_next),
        }
    )


def changes_of(before: TriggerState, after: TriggerState) -> Changes:
    """Columns in which two states of a schedule differ. What workers and switches do is written by those who do it."""
    found: Changes = {}
    if before.evaluated_at != after.evaluated_at:
        found["evaluated_at_us"] = micros(after.evaluated_at)
    if before.next_at != after.next_at:
        found["next_at_us"] = _micros(after.next_at)
    if before.backfill != after.backfill:
        found["backfill"] = backfill_text(after.backfill)
    return found


def schedule_of(row: StateRow) -> ScheduleRule | None:
    """The compiled schedule of a row; None for other kinds, and for a flow that cannot be loaded (it is not live either)."""
    if row.kind != "schedule":
        return None
    try:
        return rule_of(row).schedule
    except HeadraceError:
        return None


def look(rule: Rule, row: StateRow, now_us: int) -> Look:
    """What is to be done about a schedule that nothing holds."""
    assert rule.schedule is not None
    return rule.schedule.look(state_of(row), moment(now_us))


def first_at(row: StateRow, now_us: int) -> int | None:
    """When a trigger that is seen for the first time, or anew, is looked at next."""
    schedule = schedule_of(row)
    if schedule is not None:
        return _micros(schedule.created(moment(now_us)).next_at)
    return now_us if row.kind in ("polling", "realtime") else None


def resumed(row: StateRow, now_us: int, recover: str | None, rule: Rule | None = None) -> Changes:
    """Columns of a trigger that is switched on again: its dates missed meanwhile by `recover` or its own choice (§5)."""
    if row.kind == "flow":
        return {"next_at_us": flow_deadline(row, now_us, rule)}
    schedule = schedule_of(row) if rule is None else rule.schedule
    if schedule is None:
        return {"next_at_us": now_us if row.kind in ("polling", "realtime") else row.next_at_us}
    choice: dict[str, Recover] = {"ALL": "ALL", "LAST": "LAST", "NONE": "NONE"}
    if recover in choice:
        schedule = replace(schedule, recover=choice[recover])
    # To the scheduler a row whose flow rested is one that was off: both are switched on again here.
    before = replace(state_of(row), disabled=True)
    after = schedule.enabled(before, moment(now_us))
    return {**changes_of(before, after), "next_at_us": _micros(after.next_at)}


def flow_deadline(row: StateRow, now_us: int, rule: Rule | None = None) -> int | None:
    """When the present window of a Flow trigger with `onMiss` ends."""
    try:
        follows = (rule or rule_of(row)).follows
    except HeadraceError:
        return None
    return None if follows is None else _micros(follows.next_deadline(moment(now_us)))


def recovered(row: StateRow, now_us: int) -> Changes:
    """Columns of a schedule when a scheduler starts."""
    schedule = schedule_of(row)
    if schedule is None:
        return {}
    before = state_of(row)
    return changes_of(before, schedule.recovered(before, moment(now_us)))


def backfill_began(row: StateRow, backfill: Backfill, now_us: int) -> Changes:
    """Columns of a schedule whose backfill begins. Raises HeadraceError when it cannot."""
    return _changed(row, lambda schedule, state: backfills.begun(schedule, state, backfill, moment(now_us)))


def backfill_paused(row: StateRow, paused: bool) -> Changes:
    """Pause, and go on."""
    return _changed(row, lambda _, state: backfills.paused(state, paused=paused))


def backfill_deleted(row: StateRow) -> Changes:
    """Given up: the regular next date is put back."""
    return _changed(row, lambda _, state: backfills.deleted(state))


def _changed(row: StateRow, change: Callable[[ScheduleRule, TriggerState], TriggerState]) -> Changes:
    schedule = schedule_of(row)
    if schedule is None:
        raise Conflict(f"flow {row.namespace}.{row.flow_id} cannot be loaded; save it again", code="flow.invalid")
    before = state_of(row)
    try:
        return changes_of(before, change(schedule, before))
    except backfills.BackfillRefused as error:
        raise Conflict(str(error), code=error.code) from None
