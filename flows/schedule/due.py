"""The scheduler's decisions about one Schedule or ScheduleOnDates trigger (triggers-and-conditions §3–§6).

    rule = ScheduleRule.of(trigger, FlowFacts.of(flow))        # once for each revision of the flow
    state = rule.created(now)                                  # a first deployment never runs the past
    look = rule.look(state, now)                               # one firing at most; store `look.state` together with it

Everything is pure: `now` is an argument, the state is a value, who calls stores it together with the firing, under the firing's
key. Nothing fires twice: a firing leaves a state whose next date is later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

from pydantic import ValidationError

from flows.errors import HeadraceError
from flows.expressions import Scope, compile_template, evaluate_value, render_value, truthy
from flows.plugins import ConditionType, TriggerType
from flows.schedule.conditions import Register, Verdict, ask, read_conditions
from flows.schedule.context import ConditionContext, Functions, read_date
from flows.schedule.cron import parse_cron
from flows.schedule.facts import FlowFacts, due_key, iso, trigger_key
from flows.schedule.schedule_trigger import Recover, Schedule, ScheduleOnDates
from flows.schedule.state import Backfill, Failure, Firing, Look, Reason, TriggerState, holds_lock
from flows.schedule.timetable import CronTimetable, DatesTimetable, Timetable
from flows.schedule.zones import zone_of
from flows.spec.model import Trigger

T = TypeVar("T", bound=TriggerType)

CANDIDATES_MAX = 11_000
"""Instants whose conditions are asked in one search: more than a week of minutes. What lies beyond is looked for from there on,
when that instant has come."""

SEARCHED = timedelta(days=3_653)
"""How far `trigger.next` and `trigger.previous` look for an instant that the conditions accept: ten years."""

NEVER_AGAIN = timedelta(days=365)
"""A schedule without a next date is looked at again after a year (§6)."""

_TICK = timedelta(microseconds=1)


class RuleInvalid(HeadraceError):
    """A trigger whose properties cannot be used, for example because its dates cannot be rendered."""

    code = "trigger.invalid"


@dataclass(frozen=True, slots=True)
class Server:
    """What the installation says: its time zone, its country, and what becomes of missed instants unless a trigger says so."""

    zone: tzinfo = UTC
    country: str | None = None
    recover: Recover = "ALL"
    functions: Functions = field(default_factory=dict)


DEFAULT_SERVER = Server()


@dataclass(frozen=True, slots=True, eq=False)
class ScheduleRule:
    """One trigger of a flow, compiled. Shared between threads."""

    trigger: Trigger
    flow: FlowFacts
    key: str
    timetable: Timetable
    zone: tzinfo
    conditions: tuple[ConditionType, ...]
    late: timedelta | None
    recover: Recover
    server: Server

    @classmethod
    def of(
        cls, trigger: Trigger, flow: FlowFacts, server: Server = DEFAULT_SERVER, register: Register | None = None
    ) -> ScheduleRule:
        """The rule of a trigger of kind `schedule`. `register`: all condition types. Raises RuleInvalid."""
        read: Schedule | ScheduleOnDates
        on_dates = trigger.type in ScheduleOnDates.types
        read = shaped(ScheduleOnDates, trigger) if on_dates else shaped(Schedule, trigger)
        conditions = conditions_of(trigger, register)
        zone = zone_of(read.timezone) if read.timezone is not None else server.zone
        late = None
        table: Timetable
        if isinstance(read, Schedule):
            table = CronTimetable(parse_cron(read.cron, with_seconds=read.with_seconds), zone)
            conditions += conditions_of(trigger, register, read.schedule_conditions or ())
            late = read.late_maximum_delay
        else:
            table = DatesTimetable.of(_dates(read.dates, zone, flow, server))
        recover = read.recover_missed_schedules or server.recover
        return cls(trigger, flow, trigger_key(flow, trigger), table, zone, conditions, late, recover, server)

    # The state's life ---------------------------------------------------------------------------------------------------

    def created(self, now: datetime) -> TriggerState:
        """The state of a trigger seen for the first time: its first date is after now, so the past is not run."""
        state = TriggerState(evaluated_at=now, stop_after=self.trigger.stop_after, digest=self.trigger.digest)
        return replace(state, next_at=self._next(now, now))

    def changed(self, state: TriggerState, now: datetime) -> TriggerState:
        """After a save of the flow. The same trigger keeps its state; another one (any property, by its digest) begins anew.

        Its backfill and its evaluation are dropped (trap 4). The switch at run time stays (trap 5), and so does the lock: the
        execution it waits for is still running.
        """
        if state.digest == self.trigger.digest:
            return state
        fresh = self.created(now)
        return replace(
            fresh,
            next_at=None if state.disabled else fresh.next_at,
            disabled=state.disabled,
            execution_id=state.execution_id,
            updated_at=state.updated_at,
        )

    def disabled(self, state: TriggerState) -> TriggerState:
        """Switched off at run time: there is no next date."""
        return replace(state, disabled=True, next_at=None)

    def enabled(self, state: TriggerState, now: datetime) -> TriggerState:
        """Switched on again at run time. What was missed meanwhile is run by `recoverMissedSchedules`."""
        return self.recovered(replace(state, disabled=False, next_at=None), now) if state.disabled else state

    def recovered(self, state: TriggerState, now: datetime) -> TriggerState:
        """When a scheduler starts (trap 8): missed instants by `recoverMissedSchedules`. A backfill goes on as it was.

        ALL: one execution for each, in order. LAST: only the most recent one, if it is later than what was dealt with. NONE: the
        next one in the future.
        """
        if state.disabled or state.backfill is not None:
            return state
        due = state.next_at or self._next(state.evaluated_at, now)
        if due > now or self.recover == "ALL":
            return replace(state, next_at=due)
        last = self._previous(now + _TICK) if self.recover == "LAST" else None
        if last is not None and last > state.evaluated_at:
            return replace(state, next_at=last)
        return replace(state, next_at=self._next(now, now))

    # One look -----------------------------------------------------------------------------------------------------------

    def look(self, state: TriggerState, now: datetime, *, running: str | None = None) -> Look:
        """What to do now: at most one firing. Call again while `next_at` has passed and nothing holds the lock.

        `running`: the state of the execution that holds the lock; None when it cannot be found, which keeps it (trap 2).
        """
        switched_off = self._off(state)
        if switched_off is not None:
            return Look(state, reason=switched_off)
        if state.execution_id is not None and not self.trigger.allow_concurrent:
            if holds_lock(running):
                detail = {"execution": state.execution_id, "state": running or "unknown", "since": _text(state.updated_at)}
                return Look(state, reason=Reason("locked", detail))
            state = state.execution_ended(state.execution_id, running or "")
            if state.disabled:
                return Look(state, reason=Reason("disabled", {"by": "stopAfter"}))
        if state.next_at is None:
            state = replace(state, next_at=self._following(state, now))
        if state.next_at is not None and state.next_at > now:
            return Look(state, reason=Reason("waits", {"until": iso(state.next_at)}))
        if state.backfill is not None and state.backfill.paused:
            return Look(state, reason=Reason("backfill_paused", {"backfill": state.backfill.id}))
        return self._evaluate(state, now)

    def _off(self, state: TriggerState) -> Reason | None:
        if self.flow.disabled:
            return Reason("flow_disabled")
        if self.trigger.disabled:
            return Reason("trigger_disabled")
        return Reason("disabled") if state.disabled else None

    def _evaluate(self, state: TriggerState, now: datetime) -> Look:
        planned = state.next_at if state.next_at is not None else now
        due = self.timetable.next(planned - _TICK)
        backfill = state.backfill
        if backfill is not None and (due is None or due > backfill.end):
            state = self._backfill_over(state, now)
            return Look(state, reason=Reason("waits", {"until": _text(state.next_at)}))
        late = False
        if self.late is not None and backfill is None and due is not None and due < now - self.late:
            due, late = self.timetable.next(now - self.late - _TICK), True
        if due is None:
            return Look(replace(state, next_at=now + NEVER_AGAIN), reason=Reason("never"))
        if due > now:
            detail = {"until": iso(due), **({"skipped": iso(planned)} if late else {})}
            return Look(replace(state, next_at=due), reason=Reason("late" if late else "waits", detail))
        return self._at(state, due, now)

    def _at(self, state: TriggerState, due: datetime, now: datetime) -> Look:
        """The evaluation of an instant that has come."""
        following = self._accepted(due, forward=True)
        dates = {"date": due, "next": following, "previous": self._accepted(due, forward=False)}
        context = self._context({name: iso(at, self.zone) for name, at in dates.items() if at is not None})
        verdict = self._asked(context)
        if following is not None and not self.conditional and self.late is None and state.backfill is None:
            passed = replace(state, evaluated_at=due, next_at=following)
        else:
            passed = self._passed(state, due, now)
        if verdict.error is None and not verdict.holds:
            return Look(passed, reason=Reason("condition_false", {"at": iso(due), "until": _text(passed.next_at)}))
        if verdict.error is not None:
            return Look(passed, self._failed(state, due, context, verdict.error))
        firing, warnings = self._firing(state, due, context)
        return Look(passed, firing, warnings=warnings)

    def _firing(self, state: TriggerState, due: datetime, context: ConditionContext) -> tuple[Firing, tuple[str, ...]]:
        labels, warnings = rendered_labels(self.trigger.labels, context)
        backfill = state.backfill
        try:
            inputs = render_value(self.trigger.inputs, Scope(context.variables, context.functions)) if self.trigger.inputs else {}
        except HeadraceError as error:
            failure = Failure(error.code, f"the inputs of the trigger `{self.trigger.id}` cannot be rendered: {error}")
            return self._failed(state, due, context, failure), warnings
        return Firing(
            key=due_key(self.key, due, backfill.id if backfill is not None else ""),
            variables=context.variables["trigger"],
            labels={**self.flow.labels, **labels, **(backfill.labels if backfill is not None else {})},
            inputs={**inputs, **(backfill.inputs if backfill is not None else {})},
            due_at=due,
            backfill=backfill is not None,
        ), warnings

    def _failed(self, state: TriggerState, due: datetime, context: ConditionContext, failure: Failure) -> Firing:
        """An execution that shows what went wrong (trap 7). It carries the flow's labels."""
        backfill = state.backfill.id if state.backfill is not None else ""
        return Firing(
            key=due_key(self.key, due, backfill),
            variables=context.variables["trigger"],
            labels=dict(self.flow.labels),
            due_at=due,
            failure=failure,
            backfill=bool(backfill),
        )

    def _passed(self, state: TriggerState, due: datetime, now: datetime) -> TriggerState:
        """The state after an instant was dealt with."""
        if state.backfill is not None:
            moved = replace(state, backfill=replace(state.backfill, current=due))
        else:
            moved = replace(state, evaluated_at=due)
        following = self._following(moved, now)
        if moved.backfill is not None and following > moved.backfill.end:
            return self._backfill_over(moved, now)
        return replace(moved, next_at=following)

    def _following(self, state: TriggerState, now: datetime) -> datetime:
        """The next date of a state; a backfill's until it is over."""
        backfill = state.backfill
        if backfill is not None:
            return self._next(backfill.current if backfill.current is not None else backfill.start - _TICK, now)
        base = state.evaluated_at
        if self.late is not None and base < now - self.late:
            base = now - self.late - _TICK
        return self._next(base, now)

    def first_of(self, backfill: Backfill, now: datetime) -> datetime:
        """The first date of a backfill that has not begun."""
        return self._next(backfill.start - _TICK, now)

    def _backfill_over(self, state: TriggerState, now: datetime) -> TriggerState:
        backfill = state.backfill
        restored = backfill.previous_next if backfill is not None else None
        over = replace(state, backfill=None, next_at=restored)
        return over if restored is not None else replace(over, next_at=self._following(over, now))

    def instants(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The instants later than one and not later than another at which `look` fires when nothing ever waits, in order.

        One whose conditions cannot be told is among them: it becomes a FAILED execution.
        """
        candidates = self.timetable.between(after, until)
        return (one for one in candidates if self._fires_at(one)) if self.conditional else candidates

    def _fires_at(self, candidate: datetime) -> bool:
        verdict = self._asked_at(candidate)
        return verdict.holds or verdict.error is not None

    # Searching ----------------------------------------------------------------------------------------------------------

    def _next(self, after: datetime, now: datetime) -> datetime:
        """The next date to look at: the first instant that the conditions accept, or where the search has to go on."""
        candidate = self.timetable.next(after)
        if candidate is None:
            return max(now, after) + NEVER_AGAIN
        if not self.conditional:
            return candidate
        for _ in range(CANDIDATES_MAX):
            verdict = self._asked_at(candidate)
            # One that cannot be told is looked at when it is due: then its execution fails, visibly.
            following = self.timetable.next(candidate) if not verdict.holds and verdict.error is None else None
            if following is None:
                return candidate
            candidate = following
        return candidate

    def _previous(self, before: datetime) -> datetime | None:
        return self._accepted(before, forward=False)

    def _accepted(self, at: datetime, *, forward: bool) -> datetime | None:
        """The nearest instant after or before another one that the conditions accept (trap 3), within ten years."""
        step = self.timetable.next if forward else self.timetable.previous
        candidate = step(at)
        if not self.conditional:
            return candidate
        for _ in range(CANDIDATES_MAX):
            if candidate is None or abs(candidate - at) > SEARCHED:
                return None
            verdict = self._asked_at(candidate)
            if verdict.holds or verdict.error is not None:
                return candidate
            candidate = step(candidate)
        return None

    @property
    def conditional(self) -> bool:
        """Whether an instant may be refused."""
        return bool(self.conditions) or self.trigger.when is not None

    def _asked_at(self, candidate: datetime) -> Verdict:
        return self._asked(self._context({"date": iso(candidate, self.zone)}))

    def _asked(self, context: ConditionContext) -> Verdict:
        verdict = ask(self.conditions, context)
        return verdict if not verdict.holds else gate(self.trigger.when, context)

    def _context(self, dates: Mapping[str, Any]) -> ConditionContext:
        variables = {**self.flow.roots(), "trigger": dates, "schedule": dates}
        return ConditionContext(self.flow, variables, None, self.server.functions, self.server.zone, self.server.country)


def shaped(shape: type[T], trigger: Trigger) -> T:
    """The trigger's properties, typed. Raises RuleInvalid."""
    try:
        return shape.model_validate(dict(trigger.properties))
    except ValidationError as error:
        raise RuleInvalid(f"the trigger `{trigger.id}` cannot be used: {error.errors(include_url=False)[0]['msg']}") from None


def conditions_of(
    trigger: Trigger, register: Register | None, values: Iterable[Mapping[str, Any]] | None = None
) -> tuple[ConditionType, ...]:
    """The trigger's conditions, read (or the given ones instead). Raises RuleInvalid."""
    try:
        return read_conditions(trigger.conditions if values is None else values, register)
    except ValueError as error:
        raise RuleInvalid(f"a condition of the trigger `{trigger.id}` cannot be used: {error}") from None


def gate(when: str | bool | None, context: ConditionContext) -> Verdict:
    """The expression `when`: false for a rendered `false`, `0` or blank."""
    if when is None or isinstance(when, bool):
        return Verdict(when is not False)
    try:
        return Verdict(truthy(compile_template(when).evaluate(Scope(context.variables, context.functions))))
    except HeadraceError as error:
        return Verdict(False, Failure(error.code, f"`when` cannot be evaluated: {error}"))


def rendered_labels(labels: Mapping[str, str], context: ConditionContext) -> tuple[dict[str, str], tuple[str, ...]]:
    """The labels of a trigger. One that cannot be rendered is left out, with a warning (§2)."""
    found: dict[str, str] = {}
    warnings: list[str] = []
    for key, value in labels.items():
        try:
            found[key] = context.render(value)
        except HeadraceError as error:
            warnings.append(f"the label `{key}` is left out: {error}")
    return found, tuple(warnings)


def _dates(dates: list[str] | str, zone: tzinfo, flow: FlowFacts, server: Server) -> list[datetime]:
    try:
        scope = Scope(flow.roots(), server.functions)
        found = evaluate_value(dates, scope)
        if not isinstance(found, list):
            raise RuleInvalid("`dates` must give a list of dates")
        return [read_date(str(one), zone) for one in found]
    except HeadraceError as error:
        raise RuleInvalid(f"`dates` cannot be used: {error}") from None


def _text(at: datetime | None) -> str | None:
    return iso(at) if at is not None else None
