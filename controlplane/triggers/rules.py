"""Compiled triggers, by flow revision: what a look at one needs of its flow, kept so that a due second costs no parsing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from controlplane.catalog.engine_flows import flow_of
from controlplane.triggers.rows import StateRow
from controlplane.vault.functions import plane_functions
from flows.errors import HeadraceError
from flows.plugins import ConditionType
from flows.schedule.conditions import ask
from flows.schedule.context import ConditionContext
from flows.schedule.due import ScheduleRule, Server, conditions_of, gate
from flows.schedule.facts import FlowFacts
from flows.schedule.state import Failure
from flows.schedule.upstream import FlowTriggerRule
from flows.schedule.webhooks import WebhookRule
from flows.spec.model import Flow, Trigger
from wire.plugins import discover

RULES_MAX = 20_000
"""Compiled triggers kept in memory; one takes a few kB."""


class TriggerGone(HeadraceError):
    """The revision has no such trigger: the row is about to be deleted."""

    code = "trigger.gone"


class ConditionRaised(HeadraceError):
    """A condition, or `when`, that can be told neither true nor false."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, code=failure.code)


@dataclass(frozen=True, slots=True)
class Rule:
    """A trigger with what is known of its flow. One of `schedule`, `webhook` and `follows` is there for these kinds;
    `conditions` are asked before a worker looks (polling, realtime).
    """

    trigger: Trigger
    facts: FlowFacts
    with_inputs: bool
    schedule: ScheduleRule | None = None
    webhook: WebhookRule | None = None
    follows: FlowTriggerRule | None = None
    conditions: tuple[ConditionType, ...] = ()

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Whether conditions and `when` hold; `variables`: `trigger.*`. Raises ConditionRaised."""
        if not self.conditions and self.trigger.when is None:
            return True
        functions = plane_functions(self.facts.tenant, self.facts.namespace)
        roots = {**self.facts.roots(), "trigger": dict(variables)}
        context = ConditionContext(self.facts, roots, None, functions)
        verdict = ask(self.conditions, context)
        if verdict.holds:
            verdict = gate(self.trigger.when, context)
        if verdict.error is not None:
            raise ConditionRaised(verdict.error)
        return verdict.holds


_Key = tuple[str, str, str, int, str]
_rules: OrderedDict[_Key, Rule] = OrderedDict()
_lock = Lock()


def rule_of(row: StateRow) -> Rule:
    """The rule of a row. Raises TriggerGone, and what loading the flow raises (FlowMissing, FlowInvalid)."""
    key = (row.tenant_id, row.namespace, row.flow_id, row.flow_revision, row.trigger_id)
    with _lock:
        found = _rules.get(key)
        if found is not None:
            _rules.move_to_end(key)
            return found
    flow = flow_of(row.tenant_id, row.namespace, row.flow_id, row.flow_revision)
    found = make_rule(flow, row.flow_revision, row.tenant_id, row.trigger_id)
    with _lock:
        _rules[key] = found
        while len(_rules) > RULES_MAX:
            _rules.popitem(last=False)
    return found


def is_known(row: StateRow) -> bool:
    """Whether its rule is in memory."""
    return (row.tenant_id, row.namespace, row.flow_id, row.flow_revision, row.trigger_id) in _rules


def make_rule(flow: Flow, revision: int, tenant: str, trigger_id: str) -> Rule:
    """Compiles a trigger of a flow. Raises TriggerGone."""
    trigger = next((one for one in flow.triggers if one.id == trigger_id), None)
    if trigger is None:
        raise TriggerGone(f"flow {flow.namespace}.{flow.id}, revision {revision}, has no trigger {trigger_id}")
    facts = FlowFacts.of(flow, revision, tenant)
    register = discover().conditions
    server = Server(functions=plane_functions(tenant, flow.namespace))
    given = bool(flow.inputs)
    match trigger.kind:
        case "schedule":
            return Rule(trigger, facts, given, schedule=ScheduleRule.of(trigger, facts, server, register))
        case "webhook":
            return Rule(trigger, facts, given, webhook=WebhookRule.of(trigger, facts, server, register))
        case "flow":
            return Rule(trigger, facts, given, follows=FlowTriggerRule.of(trigger, facts, server, register))
        case _:
            return Rule(trigger, facts, given, conditions=conditions_of(trigger, register))


def forget_rules() -> None:
    """Drops what is kept. Revisions never change, so only tests need this."""
    with _lock:
        _rules.clear()


def labels_list(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Labels as executions hold them."""
    return [{"key": key, "value": value} for key, value in labels.items()]
