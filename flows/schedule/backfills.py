"""Backfills: the past of a Schedule, run on request (triggers-and-conditions §5.1).

While one is under way regular instants wait; afterwards the regular next date is put back, and what was missed is run.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from flows.errors import HeadraceError
from flows.schedule.due import ScheduleRule
from flows.schedule.facts import iso
from flows.schedule.state import Backfill, TriggerState
from flows.schedule.timetable import CronTimetable


class BackfillRefused(HeadraceError):
    """A backfill that cannot begin, or none that could be paused or deleted."""

    code = "backfill.refused"


def begun(rule: ScheduleRule, state: TriggerState, backfill: Backfill, now: datetime) -> TriggerState:
    """A backfill begins: its first instant is the first one not earlier than `start`, so `start` is included.

    Raises BackfillRefused for another type than Schedule, when one is under way (`backfill.running`), or when it ends before it
    starts.
    """
    if not isinstance(rule.timetable, CronTimetable):
        raise BackfillRefused(f"only Schedule triggers can be backfilled; `{rule.trigger.id}` is a {rule.trigger.type}")
    if state.backfill is not None:
        found = f"from {iso(state.backfill.start)} to {iso(state.backfill.end)}"
        raise BackfillRefused(
            f"a backfill of `{rule.trigger.id}` is under way ({found}); delete it or wait for its end", code="backfill.running"
        )
    if backfill.end < backfill.start:
        raise BackfillRefused(f"a backfill must start before it ends, found {iso(backfill.start)} to {iso(backfill.end)}")
    kept = replace(backfill, current=None, previous_next=state.next_at)
    return replace(state, backfill=kept, next_at=rule.first_of(kept, now))


def paused(state: TriggerState, *, paused: bool) -> TriggerState:
    """Paused: no execution is created, the state is kept. Not paused: it goes on where it was. Raises BackfillRefused."""
    return replace(state, backfill=replace(_required(state), paused=paused))


def deleted(state: TriggerState) -> TriggerState:
    """Given up: the regular next date is put back. Raises BackfillRefused when there is none."""
    return replace(state, backfill=None, next_at=_required(state).previous_next)


def _required(state: TriggerState) -> Backfill:
    if state.backfill is None:
        raise BackfillRefused("the trigger has no backfill", code="backfill.missing")
    return state.backfill
