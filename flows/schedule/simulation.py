"""When the schedules of many flows will fire, in virtual time: the scheduler's own rules, without a scheduler.

The plan is a pure function of its arguments: the same flows, start and seed give the same plan, byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from operator import attrgetter
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

from flows.expressions.ambient import make_ambient
from flows.schedule.conditions import Register
from flows.schedule.due import DEFAULT_SERVER, RuleInvalid, ScheduleRule, Server
from flows.schedule.facts import FlowFacts, iso
from flows.spec.model import Flow, Trigger

NO_INPUTS: Mapping[str, Any] = MappingProxyType({})


class PlannedFiring(NamedTuple):
    """An execution that will be started. `at` in UTC, `zone`: the trigger's; `failure`: why it would be FAILED."""

    at: datetime
    namespace: str
    flow_id: str
    trigger_id: str
    zone: tzinfo
    inputs: Mapping[str, Any] = NO_INPUTS
    failure: str | None = None

    @property
    def local(self) -> str:
        """The instant in the trigger's zone."""
        return iso(self.at, self.zone)

    def to_json(self) -> dict[str, Any]:
        """As plain data; what is empty is left out."""
        found: dict[str, Any] = {
            "at": iso(self.at),
            "local": self.local,
            "namespace": self.namespace,
            "flowId": self.flow_id,
            "triggerId": self.trigger_id,
        }
        if self.inputs:
            found["inputs"] = dict(self.inputs)
        if self.failure is not None:
            found["failure"] = self.failure
        return found


@dataclass(frozen=True, slots=True)
class Unplanned:
    """A schedule that will not fire, and why."""

    namespace: str
    flow_id: str
    trigger_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """The firings in order of time, then of namespace, flow and trigger; and the schedules that have none."""

    start: datetime
    end: datetime
    firings: tuple[PlannedFiring, ...]
    unplanned: tuple[Unplanned, ...] = ()


def simulate_schedules(
    flows: Iterable[Flow],
    start: datetime,
    days: int,
    seed: int = 0,
    *,
    server: Server = DEFAULT_SERVER,
    register: Register | None = None,
) -> SchedulePlan:
    """The plan from just after `start` for so many days, as if every execution ended before the next was due.

    `seed`: for `randomInt()`, `uuid()` and the like in inputs; `now()` is the due instant.
    """
    end = start + timedelta(days=days)
    planned: list[PlannedFiring] = []
    unplanned: list[Unplanned] = []
    for flow in sorted(flows, key=lambda one: (one.namespace, one.id)):
        facts = FlowFacts.of(flow)
        for trigger in sorted((one for one in flow.triggers if one.kind == "schedule"), key=lambda one: one.id):
            found = _plan(facts, trigger, start, end, seed, server, register)
            if isinstance(found, str):
                unplanned.append(Unplanned(flow.namespace, flow.id, trigger.id, found))
            else:
                planned += found
    # The sort is stable, and flows and triggers came in the order of their names.
    planned.sort(key=attrgetter("at"))
    return SchedulePlan(start, end, tuple(planned), tuple(unplanned))


def _plan(
    facts: FlowFacts, trigger: Trigger, start: datetime, end: datetime, seed: int, server: Server, register: Register | None
) -> list[PlannedFiring] | str:
    """The firings of one trigger, or why there are none."""
    if facts.disabled:
        return "the flow is disabled"
    if trigger.disabled:
        return "the trigger is disabled"
    clock = _Clock(start)
    ambient = make_ambient(lambda: clock.now, Random(f"{seed}/{facts.namespace}/{facts.id}/{trigger.id}"))
    try:
        rule = ScheduleRule.of(trigger, facts, replace(server, functions={**server.functions, **ambient}), register)
    except RuleInvalid as error:
        return str(error)
    if trigger.inputs or rule.conditional:
        found = list(_looked(rule, start, end, clock))
    else:
        found = [PlannedFiring(at, facts.namespace, facts.id, trigger.id, rule.zone) for at in rule.instants(start, end)]
    return found or f"no instant from {iso(start)} to {iso(end)}"


class _Clock:
    """What `now()` says while an instant is evaluated."""

    def __init__(self, now: datetime) -> None:
        self.now = now


def _looked(rule: ScheduleRule, start: datetime, end: datetime, clock: _Clock) -> Iterator[PlannedFiring]:
    """Look after look, each at the moment the one before asked for."""
    state = rule.created(start)
    while state.next_at is not None and state.next_at <= end:
        clock.now = state.next_at
        look = rule.look(state, state.next_at)
        state = look.state
        if look.firing is not None and look.firing.due_at is not None:
            failure = look.firing.failure.message if look.firing.failure is not None else None
            flow, trigger_id = rule.flow, rule.trigger.id
            yield PlannedFiring(look.firing.due_at, flow.namespace, flow.id, trigger_id, rule.zone, look.firing.inputs, failure)
