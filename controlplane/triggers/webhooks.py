"""Webhooks: a call from outside starts an execution. Nobody signs in; the key in the address is the secret (contract §15).

What does not lead to a trigger is answered alike: an unknown tenant, flow, key or path. Keys are compared in constant time, all
of a flow's, so that neither time nor words tell which part was wrong. A call that its sender repeats under the same
`Idempotency-Key` starts nothing again and gets the first answer.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from controlplane.catalog.queries import FlowMissing, LoadedFlow, load_flow
from controlplane.engine import get_engine
from controlplane.executions.actions import FlowDisabled
from controlplane.platform.clock import now_us
from controlplane.platform.errors import ApiError, Conflict, Missing
from controlplane.triggers.firing import Wanted, all_labels, due_key, execution_item, typed_inputs
from controlplane.triggers.models import Firing, TriggerState
from controlplane.triggers.rules import ConditionRaised, functions_of, make_rule
from controlplane.triggers.settling import Settlement, StateKey
from flows.errors import FlowInvalid, HeadraceError
from flows.expressions import Scope, render_value
from flows.schedule.facts import CORRELATION, FlowFacts
from flows.spec.model import Trigger
from wire.ids import new_id

log = logging.getLogger(__name__)

ANSWERED_HEADER = "idempotency-key"


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
class Call:
    """A request as the trigger sees it. Names of headers are lower case; headers and parameters are lists (trap 10)."""

    method: str
    body: bytes
    headers: Mapping[str, list[str]]
    parameters: Mapping[str, list[str]]
    path: str | None = None

    def variables(self) -> dict[str, Any]:
        """`trigger.*`: the body parsed when it is JSON, else as text, absent when empty."""
        found: dict[str, Any] = {
            "headers": {name: list(values) for name, values in self.headers.items()},
            "parameters": {name: list(values) for name, values in self.parameters.items()},
        }
        body = self._body()
        if body is not None:
            found["body"] = body
        return found

    def _body(self) -> Any:
        if not self.body.strip():
            return None
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return self.body.decode("utf-8", "replace").replace("\x00", "\ufffd")


@dataclass(frozen=True, slots=True)
class Received:
    """What a call led to. `wait`, `return_outputs`, `content_type`: how the trigger wants it answered."""

    tenant: str
    execution_id: str
    wait: bool = False
    return_outputs: bool = False
    content_type: str = "application/json"
    labels: Mapping[str, str] = field(default_factory=dict)


def receive(tenant: str, namespace: str, flow_id: str, key: str, call: Call) -> Received | None:
    """Starts the execution a call is for; None when the trigger's conditions do not hold.

    Raises NoWebhook, FlowDisabled, TriggerDisabled, BadSignature, InputInvalid, EngineUnavailable.
    """
    loaded, trigger = _find(tenant, namespace, flow_id, key, call.path)
    flow = loaded.flow
    facts = FlowFacts.of(flow, loaded.revision, tenant)
    if flow.disabled:
        raise FlowDisabled(f"Illegal state: Cannot execute a disabled flow ({namespace}.{flow_id})")
    state_key = (tenant, namespace, flow_id, trigger.id)
    if trigger.disabled or _switched_off(state_key):
        raise TriggerDisabled(f"trigger {trigger.id} of flow {namespace}.{flow_id} is disabled; enable it to be called")
    functions = functions_of(tenant, namespace)
    verify(trigger, call, Scope(facts.roots(), functions))
    remembered = _replay_key(trigger, call)
    answer = _how(tenant, trigger)
    if remembered is not None:
        earlier = _answered(state_key, remembered)
        if earlier is not None:
            return answer(earlier)
    variables = call.variables()
    scope = Scope({**facts.roots(), "trigger": variables}, functions)
    rule = make_rule(flow, loaded.revision, tenant, trigger.id)
    try:
        if not rule.holds(variables):
            return None
    except ConditionRaised as error:
        log.warning("webhook %s of %s.%s: %s", trigger.id, namespace, flow_id, error)  # counts as false (§9)
        return None
    execution_id = new_id()
    inputs = render_value(dict(trigger.inputs), scope)
    labels = all_labels(facts, trigger, _correlation(call), execution_id)
    wanted = Wanted(execution_id, variables, labels, inputs, cause={"kind": "webhook", "method": call.method})
    if flow.inputs:
        typed_inputs(flow, facts, wanted)  # told to the caller now; the execution's own are made from the same
    item = execution_item(facts, trigger, flow, wanted, now_us())
    if remembered is not None:
        changes = {"last_triggered_at_us": now_us()}
        item.claim = Settlement(state_key, None, remembered, execution_id, changes).claim()
    if get_engine().call(item) == "superseded":
        # The same call came twice in this moment: the other one started it.
        earlier = _answered(state_key, remembered or "")
        if earlier is None:
            raise NoWebhook("no webhook answers at this address")
        return answer(earlier)
    return answer(execution_id)


def verify(trigger: Trigger, call: Call, scope: Scope) -> None:
    """Raises BadSignature when the trigger's `verification` is not met."""


def _how(tenant: str, trigger: Trigger) -> Any:
    properties = trigger.properties

    def answer(execution_id: str) -> Received:
        return Received(
            tenant,
            execution_id,
            wait=properties.get("wait") is True,
            return_outputs=properties.get("returnOutputs") is True,
            content_type=str(properties.get("responseContentType") or "application/json"),
        )

    return answer


def _find(tenant: str, namespace: str, flow_id: str, key: str, path: str | None) -> tuple[LoadedFlow, Trigger]:
    """The flow and its first webhook with that key. Raises NoWebhook, FlowDraft, Conflict for a flow that cannot run."""
    nothing = NoWebhook("no webhook answers at this address")
    try:
        loaded = load_flow(tenant, namespace, flow_id, None)
    except FlowMissing:
        raise nothing from None
    except FlowInvalid:
        raise Conflict("Illegal state: Cannot execute an invalid flow", code="flow.invalid") from None
    facts = FlowFacts.of(loaded.flow, loaded.revision, tenant)
    scope = Scope(facts.roots(), functions_of(tenant, namespace))
    found: Trigger | None = None
    for trigger in loaded.flow.triggers:
        if trigger.kind != "webhook":
            continue
        same = hmac.compare_digest(_key_of(trigger, scope), hashlib.sha256(key.encode()).digest())
        if same and found is None and (path or None) == (trigger.properties.get("path") or None):
            found = trigger
    if found is None:
        raise nothing
    return loaded, found


def _key_of(trigger: Trigger, scope: Scope) -> bytes:
    """Digest of the rendered key; of nothing anyone can send when it cannot be rendered or is empty."""
    try:
        text = str(render_value(trigger.properties.get("key"), scope)).strip()
    except HeadraceError:
        text = ""
    return hashlib.sha256(text.encode() if text else b"\xff").digest()


def _switched_off(key: StateKey) -> bool:
    tenant, namespace, flow_id, trigger_id = key
    return TriggerState.objects.filter(
        tenant_id=tenant, namespace=namespace, flow_id=flow_id, trigger_id=trigger_id, disabled=True
    ).exists()


def _replay_key(trigger: Trigger, call: Call) -> str | None:
    """What makes a repetition of the call recognisable: the sender's own key."""
    given = call.headers.get(ANSWERED_HEADER)
    return due_key(f"webhook:{hashlib.sha256(given[0].encode()).hexdigest()}") if given and given[0] else None


def _answered(key: StateKey, remembered: str) -> str | None:
    """The execution a call was answered with before."""
    tenant, namespace, flow_id, trigger_id = key
    found: str | None = (
        Firing.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id, trigger_id=trigger_id, due_key=remembered)
        .values_list("execution_id", flat=True)
        .first()
    )
    return found


def _correlation(call: Call) -> str | None:
    """A correlation id that the caller hands on as parameter `labels=system.correlationId:…`, as at other creations."""
    for text in call.parameters.get("labels", ()):
        name, _, value = text.partition(":")
        if name == CORRELATION and value:
            return value
    return None
