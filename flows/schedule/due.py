"""The scheduler's decisions about one Schedule or ScheduleOnDates trigger (triggers-and-conditions §3–§6).

    rule = ScheduleRule.of(trigger, FlowFacts.of(flow))        # once for each revision of the flow
    state = rule.created(now)                                  # a first deployment never runs the past
    look = rule.look(state, now)                               # one firing at most; store `look.state` together with it

Everything is pure: `now` is an argument, the state is a value, who calls stores it together with the firing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flows.schedule.facts import FlowFacts
from flows.schedule.state import Backfill, Look, TriggerState
from flows.spec.model import Trigger

Recover = Literal["ALL", "LAST", "NONE"]
"""What becomes of instants missed while no scheduler ran or the trigger was off."""


@dataclass(frozen=True, slots=True)
class ScheduleRule:
    """One trigger of a flow, compiled. Shared between threads."""

    trigger: Trigger
    flow: FlowFacts

    @classmethod
    def of(cls, trigger: Trigger, flow: FlowFacts, functions: Mapping[str, Callable[..., Any]] | None = None) -> ScheduleRule:
        """The rule of a trigger of kind `schedule`."""
        raise NotImplementedError

    def created(self, now: datetime) -> TriggerState:
        """The state of a trigger seen for the first time."""
        raise NotImplementedError

    def changed(self, state: TriggerState, now: datetime) -> TriggerState:
        """The state after a save of the flow: unchanged when the digest is the same, else begun anew (traps 4 and 5)."""
        raise NotImplementedError

    def look(self, state: TriggerState, now: datetime, *, running: str | None = "") -> Look:
        """What to do now: at most one firing. `running`: the state of the execution that holds the lock."""
        raise NotImplementedError

    def recovered(self, state: TriggerState, now: datetime, default: Recover = "ALL") -> TriggerState:
        """The state when a scheduler starts: missed instants by `recoverMissedSchedules`."""
        raise NotImplementedError

    def disabled(self, state: TriggerState) -> TriggerState:
        """Switched off at run time: there is no next date."""
        raise NotImplementedError

    def enabled(self, state: TriggerState, now: datetime, default: Recover = "ALL") -> TriggerState:
        """Switched on again at run time: next date by `recoverMissedSchedules`."""
        raise NotImplementedError

    def backfill(self, state: TriggerState, backfill: Backfill, now: datetime) -> TriggerState:
        """A backfill begins. Raises BackfillRefused when one is under way, when it ends before it starts, …"""
        raise NotImplementedError

    def backfill_paused(self, state: TriggerState, *, paused: bool) -> TriggerState:
        """Pause, and go on."""
        raise NotImplementedError

    def backfill_deleted(self, state: TriggerState) -> TriggerState:
        """Given up: the regular next date is put back."""
        raise NotImplementedError
