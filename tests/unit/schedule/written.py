"""Triggers as a test writes them: a map that goes through the language's reader, as a saved flow does."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import yaml

from flows.plugins import Catalogue
from flows.schedule.conditions import read_condition
from flows.schedule.context import ConditionContext
from flows.schedule.due import DEFAULT_SERVER, ScheduleRule, Server
from flows.schedule.facts import FlowFacts, UpstreamExecution
from flows.schedule.state import Look, TriggerState
from flows.schedule.upstream import FlowTriggerRule
from flows.schedule.webhooks import WebhookRule
from flows.spec.model import Flow, Trigger
from flows.spec.parse import parse_flow
from wire.plugins import discover

FLOW = FlowFacts("company.team", "report", revision=3, labels={"team": "data"}, variables={"region": "eu"})
CORE = "io.kestra.plugin.core."
SCHEDULE = CORE + "trigger.Schedule"
ON_DATES = CORE + "trigger.ScheduleOnDates"
WEBHOOK = CORE + "trigger.Webhook"
AFTER = CORE + "trigger.Flow"


@cache
def catalogue() -> Catalogue:
    """What is installed."""
    return discover()


def at(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text)


def source(*triggers: dict[str, Any], flow_id: str = "report", **more: Any) -> str:
    """A flow with those triggers, as YAML."""
    tasks = [{"id": "log", "type": CORE + "log.Log", "message": "started"}]
    flow = {"id": flow_id, "namespace": "company.team", "tasks": tasks, "triggers": list(triggers), **more}
    return yaml.safe_dump(flow, sort_keys=False)


def flow(*triggers: dict[str, Any], flow_id: str = "report", **more: Any) -> Flow:
    """The same, read."""
    return parse_flow(source(*triggers, flow_id=flow_id, **more), catalogue()).require()


def problems(*triggers: dict[str, Any]) -> list[str]:
    """The errors of a flow with those triggers: `path: message`."""
    parsed = parse_flow(source(*triggers), catalogue())
    return [f"{one.path}: {one.message}" for one in parsed.problems if one.severity == "error"]


def trigger(**properties: Any) -> Trigger:
    """One trigger, read. Its id is `it` unless given."""
    return flow({"id": "it", **properties}).triggers[0]


def schedule(cron: str, *, facts: FlowFacts = FLOW, server: Server = DEFAULT_SERVER, **more: Any) -> ScheduleRule:
    """The rule of a Schedule."""
    return ScheduleRule.of(trigger(type=SCHEDULE, cron=cron, **more), facts, server, catalogue().conditions)


def on_dates(*dates: str, server: Server = DEFAULT_SERVER, **more: Any) -> ScheduleRule:
    """The rule of a ScheduleOnDates."""
    return ScheduleRule.of(trigger(type=ON_DATES, dates=list(dates), **more), FLOW, server)


def after(*, server: Server = DEFAULT_SERVER, facts: FlowFacts = FLOW, **more: Any) -> FlowTriggerRule:
    """The rule of a Flow trigger."""
    return FlowTriggerRule.of(trigger(type=AFTER, **more), facts, server, catalogue().conditions)


def webhook(*, server: Server = DEFAULT_SERVER, facts: FlowFacts = FLOW, **more: Any) -> WebhookRule:
    """The rule of a Webhook."""
    return WebhookRule.of(trigger(type=WEBHOOK, **more), facts, server, catalogue().conditions)


def condition(name: str, **properties: Any) -> dict[str, Any]:
    """A condition as written."""
    return {"type": f"{CORE}condition.{name}", **properties}


def holds(name: str, context: ConditionContext, **properties: Any) -> bool:
    """Whether a condition of the core holds."""
    return read_condition(condition(name, **properties), catalogue().conditions).holds(context)


def dated(text: str) -> ConditionContext:
    """The context of a schedule's date."""
    return ConditionContext(FLOW, {"trigger": {"date": text}})


def upstream(flow_id: str = "extract", state: str = "SUCCESS", **more: Any) -> UpstreamExecution:
    """An execution of another flow. `labels` may be a map."""
    labels = more.pop("labels", {})
    pairs = [{"key": key, "value": value} for key, value in labels.items()]
    defaults: dict[str, Any] = {"id": f"e-{flow_id}", "namespace": "company.team"}
    return UpstreamExecution(flow_id=flow_id, state=state, labels=pairs, **{**defaults, **more})


def fire_all(rule: ScheduleRule, state: TriggerState, now: datetime, most: int = 100) -> tuple[list[Look], TriggerState]:
    """Look after look at one moment, each execution over at once, until nothing fires: the looks that fired, and the state."""
    fired = []
    for _ in range(most):
        look = rule.look(state, now)
        moved = look.state != state
        state = look.state
        if look.firing is not None:
            fired.append(look)
        elif not moved or state.next_at is None or state.next_at > now:
            break
    return fired, state


def dates(looks: list[Look]) -> list[str]:
    """When they were due, in UTC."""
    return [look.firing.due_at.strftime("%Y-%m-%dT%H:%MZ") for look in looks if look.firing and look.firing.due_at]
