"""Webhooks: a call from outside starts an execution. Nobody signs in; the key in the address is the secret (contract §15).

What does not lead to a trigger is answered alike: an unknown tenant, flow, key or path. All keys of a flow are compared, each in
constant time, so that neither time nor words tell which part was wrong. A call that its sender repeats (the same
`Idempotency-Key`, or the same signed delivery) starts nothing again and gets the first answer.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.catalog.queries import FlowMissing, LoadedFlow, load_flow
from controlplane.engine import get_engine
from controlplane.executions.actions import FlowDisabled
from controlplane.platform.clock import now_us
from controlplane.platform.errors import ApiError, Conflict, Missing
from controlplane.triggers.dates import moment
from controlplane.triggers.firing import due_key, execution_item, typed_inputs, wanted_of
from controlplane.triggers.models import Firing, TriggerState
from controlplane.triggers.rules import Rule, make_rule
from controlplane.triggers.settling import Settlement, StateKey
from flows.errors import FlowInvalid, HeadraceError
from flows.schedule.facts import CORRELATION
from flows.schedule.signatures import SignatureRefused
from flows.schedule.webhooks import Call, WebhookRule
from wire.ids import new_id

log = logging.getLogger(__name__)

REPEATED_HEADER = "idempotency-key"


class NoWebhook(Missing):
    """Nothing answers at that address; the reasons look alike on purpose."""

    code = "webhook.missing"


class TriggerDisabled(Conflict):
    """The webhook is switched off."""

    code = "trigger.disabled"


class BadSignature(ApiError):
    """The call is not signed as the trigger's `verification` wants it."""

    status = 401
    code = "webhook.signature"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request: what the language calls a call, and what is around it. Names of headers are lower case."""

    method: str
    body: bytes
    headers: Mapping[str, list[str]]
    parameters: Mapping[str, list[str]]
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call led to. `wait`, `outputs`, `content_type`: how the trigger wants it answered."""

    tenant: str
    execution_id: str
    wait: bool
    outputs: bool
    content_type: str


def receive(tenant: str, namespace: str, flow_id: str, key: str, arrival: Arrival) -> Answer | None:
    """Starts the execution a call is for; None when the trigger's conditions do not hold.

    Raises NoWebhook, FlowDisabled, FlowDraft, TriggerDisabled, BadSignature, InputInvalid, EngineUnavailable.
    """
    loaded, rule = _find(tenant, namespace, flow_id, key, arrival.path)
    webhook = rule.webhook
    assert webhook is not None
    state_key = (tenant, namespace, flow_id, rule.trigger.id)
    _require_enabled(rule, state_key)
    given = arrival.headers.get(REPEATED_HEADER)
    call = Call(given[0] if given else new_id(), arrival.body, arrival.headers, arrival.parameters)
    now = now_us()
    try:
        received = webhook.receive(call, moment(now))
    except SignatureRefused as error:
        raise BadSignature(str(error), code=error.code) from None
    for warning in received.warnings:
        log.warning("webhook %s of %s.%s: %s", rule.trigger.id, namespace, flow_id, warning)
    if received.firing is None:
        return None
    remembered = _remembered(given[0] if given else received.replay_key)
    if remembered is not None and (earlier := _answered(state_key, remembered)) is not None:
        return _answer(tenant, webhook, earlier)
    wanted = wanted_of(received.firing, {"kind": "webhook", "method": arrival.method})
    correlation = _correlation(arrival.parameters)
    if correlation is not None:
        wanted = wanted.labelled(CORRELATION, correlation)
    if loaded.flow.inputs and wanted.failure is None:
        typed_inputs(loaded.flow, rule.facts, wanted)  # what does not fit is told to the caller
    item = execution_item(rule.facts, rule.trigger, loaded.flow, wanted, now)
    if remembered is not None:
        changes = {"last_triggered_at_us": now}
        item.claim = Settlement(state_key, None, remembered, wanted.execution_id, changes).claim()
    if get_engine().call(item) == "superseded":
        # The same call came twice in this moment and the other one started it, or the trigger went away.
        earlier = _answered(state_key, remembered or "")
        if earlier is None:
            raise NoWebhook("no webhook answers at this address")
        return _answer(tenant, webhook, earlier)
    return _answer(tenant, webhook, wanted.execution_id)


def _answer(tenant: str, webhook: WebhookRule, execution_id: str) -> Answer:
    outputs = webhook.answer_type() == "outputs"
    return Answer(tenant, execution_id, webhook.wait, outputs, webhook.response_content_type)


def _find(tenant: str, namespace: str, flow_id: str, key: str, path: str | None) -> tuple[LoadedFlow, Rule]:
    """The flow and its first webhook with that key. Raises NoWebhook, FlowDraft, Conflict for a flow that cannot run."""
    nothing = NoWebhook("no webhook answers at this address")
    try:
        loaded = load_flow(tenant, namespace, flow_id, None)
    except FlowMissing:
        raise nothing from None
    except FlowInvalid:
        raise Conflict("Illegal state: Cannot execute an invalid flow", code="flow.invalid") from None
    found: Rule | None = None
    for trigger in loaded.flow.triggers:
        if trigger.kind != "webhook":
            continue
        try:
            rule = make_rule(loaded.flow, loaded.revision, tenant, trigger.id)
        except HeadraceError:
            continue
        assert rule.webhook is not None
        if rule.webhook.answers_to(key) and found is None:
            found = rule
    # No trigger declares a path behind its key, so nothing answers there (contract §15).
    if found is None or path:
        raise nothing
    return loaded, found


def _require_enabled(rule: Rule, key: StateKey) -> None:
    """The flow, the trigger's text and the switch at run time. Raises FlowDisabled, TriggerDisabled."""
    assert rule.webhook is not None
    refused = rule.webhook.refused()
    if refused is not None and refused.code == "flow_disabled":
        raise FlowDisabled(f"Illegal state: Cannot execute a disabled flow ({rule.facts.namespace}.{rule.facts.id})")
    tenant, namespace, flow_id, trigger_id = key
    switched_off = TriggerState.objects.filter(
        tenant_id=tenant, namespace=namespace, flow_id=flow_id, trigger_id=trigger_id, disabled=True
    )
    if refused is not None or switched_off.exists():
        raise TriggerDisabled(f"trigger {trigger_id} of flow {namespace}.{flow_id} is disabled; enable it to be called")


def _remembered(identity: str | None) -> str | None:
    """The key under which a call that may be repeated is remembered."""
    return None if not identity else due_key(f"webhook:{hashlib.sha256(identity.encode()).hexdigest()}")


def _answered(key: StateKey, remembered: str) -> str | None:
    """The execution a call was answered with before."""
    tenant, namespace, flow_id, trigger_id = key
    found: str | None = (
        Firing.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id, trigger_id=trigger_id, due_key=remembered)
        .values_list("execution_id", flat=True)
        .first()
    )
    return found


def _correlation(parameters: Mapping[str, Any]) -> str | None:
    """A correlation id that the caller hands on as `labels=system.correlationId:…`, as at other creations."""
    for text in parameters.get("labels", ()):
        name, _, value = text.partition(":")
        if name == CORRELATION and value:
            return str(value)
    return None
