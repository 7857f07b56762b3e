"""From a decision to an engine's item: the execution a trigger starts, with the claim that makes it the only one.

An execution that cannot begin as its trigger wants (a condition raised, inputs do not fit) is created FAILED with the reason, so
that its people see it (triggers-and-conditions trap 7).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from controlplane.catalog.engine_flows import flow_of
from controlplane.engine.advance import new_execution
from controlplane.engine.items import Item
from controlplane.triggers.rows import StateRow
from controlplane.triggers.rules import Rule, labels_list
from controlplane.triggers.settling import Settlement
from controlplane.vault.encryption import encrypt_for
from controlplane.vault.functions import plane_functions
from flows.errors import HeadraceError
from flows.expressions import Scope
from flows.schedule.facts import CORRELATION, FlowFacts, iso, trigger_key
from flows.schedule.state import Firing
from flows.spec.inputs import resolve_inputs
from flows.spec.model import Flow, Trigger
from wire.ids import new_id

DUE_KEY_CHARACTERS_MAX = 200
"""Of the column; longer keys are kept as their digest."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An execution to start. `inputs` as given; `failure` {"code", "message"}: it is created FAILED and runs nothing."""

    execution_id: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    failure: Mapping[str, str] | None = None
    cause: Mapping[str, Any] = field(default_factory=dict)

    def labelled(self, key: str, value: str) -> Wanted:
        """The same with one more label, or another value of it."""
        return replace(self, labels={**self.labels, key: value})


def due_key(text: str) -> str:
    """A key as it is stored."""
    return text if len(text) <= DUE_KEY_CHARACTERS_MAX else "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def execution_item(facts: FlowFacts, trigger: Trigger, flow: Flow | None, wanted: Wanted, now_us: int) -> Item:
    """The item that creates the execution. `flow` is needed when it declares inputs."""
    failure = dict(wanted.failure) if wanted.failure is not None else None
    inputs: dict[str, Any] = {}
    if flow is not None and flow.inputs and failure is None:
        try:
            inputs = typed_inputs(flow, facts, wanted)
        except HeadraceError as error:
            failure = {"code": error.code, "message": str(error)}
    return new_execution(
        facts.tenant,
        facts.namespace,
        facts.id,
        facts.revision,
        now_us,
        execution_id=wanted.execution_id,
        inputs=inputs,
        labels=labels_list(wanted.labels),
        trigger={"id": trigger.id, "type": trigger.type, "variables": dict(wanted.variables)},
        cause={**wanted.cause, "trigger": trigger.id},
        fails=failure,
    )


def typed_inputs(flow: Flow, facts: FlowFacts, wanted: Wanted) -> dict[str, Any]:
    """Inputs of the flow's types, defaults filled in. Raises InputInvalid, ExpressionError."""
    functions = plane_functions(facts.tenant, flow.namespace, datetime.now(UTC))
    roots = {**facts.roots(), "trigger": dict(wanted.variables)}
    return resolve_inputs(
        flow.inputs,
        dict(wanted.inputs),
        lambda inputs: Scope({**roots, "inputs": inputs}, functions),
        encrypt=encrypt_for(facts.tenant),
    )


def all_labels(facts: FlowFacts, trigger: Trigger, correlation: str | None, execution_id: str) -> dict[str, str]:
    """Labels of the flow, over them the trigger's, and the correlation id (its own for the first of a chain)."""
    own = {key: value for key, value in trigger.labels.items() if not key.startswith("system.")}
    return {**facts.labels, **own, CORRELATION: correlation or execution_id}


def flow_for(row: StateRow, rule: Rule) -> Flow | None:
    """The flow, when its inputs must be resolved."""
    return flow_of(row.tenant_id, row.namespace, row.flow_id, row.flow_revision) if rule.with_inputs else None


def wanted_of(firing: Firing, cause: Mapping[str, Any], execution_id: str | None = None) -> Wanted:
    """What a decision of the language wants, as an execution; the correlation id goes on, or begins with it."""
    identity = execution_id or new_id()
    failure = None if firing.failure is None else {"code": firing.failure.code, "message": firing.failure.message}
    labels = {**firing.labels, CORRELATION: firing.correlation_id or identity}
    return Wanted(identity, firing.variables, labels, firing.inputs, failure, cause)


def key_of(rule: Rule, firing: Firing) -> str:
    """The firing's key as it is stored: the trigger's own name is in the columns before it."""
    return due_key(firing.key.removeprefix(trigger_key(rule.facts, rule.trigger)))


def schedule_item(row: StateRow, rule: Rule, firing: Firing, changes: Mapping[str, Any], now_us: int) -> Item:
    """The item of a schedule's firing: creates the execution and moves the row in one transaction."""
    cause: dict[str, Any] = {"kind": "backfill" if firing.backfill else "trigger"}
    if firing.due_at is not None:
        cause["dueAt"] = iso(firing.due_at.astimezone(UTC))
    wanted = wanted_of(firing, cause)
    item = execution_item(rule.facts, rule.trigger, flow_for(row, rule), wanted, now_us)
    assert item.new is not None
    moved: dict[str, Any] = {**changes, "last_triggered_at_us": now_us, "reason": None}
    if not item.new.state.terminated and not rule.trigger.allow_concurrent:
        moved |= {"execution_id": wanted.execution_id, "locked_at_us": now_us}
    item.claim = Settlement(row.key, row.version, key_of(rule, firing), wanted.execution_id, moved).claim()
    return item
