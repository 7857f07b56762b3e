"""What a call of a webhook leads to (triggers-and-conditions §7). Who holds the socket finds the flow and sends the answer.

rule = WebhookRule.of(trigger, FlowFacts.of(flow), server)
if rule.answers_to(key):                     # compared in constant time; a key that cannot be rendered never matches
received = rule.receive(call, now)       # raises SignatureRefused
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from flows.errors import HeadraceError
from flows.expressions import Scope, render_value
from flows.plugins import ConditionType
from flows.schedule.conditions import Register, ask
from flows.schedule.context import ConditionContext
from flows.schedule.due import DEFAULT_SERVER, Server, conditions_of, gate, rendered_labels, shaped
from flows.schedule.facts import FlowFacts, trigger_key
from flows.schedule.signatures import Verification, check, replay_key
from flows.schedule.state import Failure, Firing, Reason
from flows.schedule.webhook_trigger import Webhook
from flows.spec.model import Trigger

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-gitlab-token"})
"""Headers that carry credentials. Conditions and inputs may read them; the execution, which people see, does not keep them."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call. `id`: unique, or what the sender calls this delivery: two calls with one id fire once."""

    id: str
    body: bytes = b""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def variables(self) -> dict[str, Any]:
        """`trigger.body`, `trigger.headers`, `trigger.parameters`; header and parameter values are lists (trap 10)."""
        found: dict[str, Any] = {
            "headers": {name: list(values) for name, values in self.headers.items()},
            "parameters": {name: list(values) for name, values in self.parameters.items()},
        }
        body = read_body(self.body)
        return {"body": body, **found} if body is not None else found


def read_body(body: bytes) -> Any:
    """The body as JSON when it is, else as text; None when it is blank."""
    text = body.decode("utf-8", errors="replace")
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@dataclass(frozen=True, slots=True)
class Received:
    """What to do: create `firing`, or answer that nothing was (`reason`; conditions false: 204). Warnings go to the log."""

    firing: Firing | None = None
    reason: Reason | None = None
    warnings: tuple[str, ...] = ()
    replay_key: str | None = None
    """Of a verified call: the same call within the tolerance has the same key."""


@dataclass(frozen=True, slots=True, eq=False)
class WebhookRule:
    """One Webhook trigger, compiled."""

    trigger: Trigger
    flow: FlowFacts
    key: str
    conditions: tuple[ConditionType, ...]
    server: Server
    wait: bool
    return_outputs: bool
    response_content_type: str
    verification: Verification | None

    @classmethod
    def of(
        cls, trigger: Trigger, flow: FlowFacts, server: Server = DEFAULT_SERVER, register: Register | None = None
    ) -> WebhookRule:
        """The rule of a Webhook trigger. `server.functions` gives `secret`. Raises RuleInvalid."""
        read = shaped(Webhook, trigger)
        conditions = conditions_of(trigger, register)
        return cls(
            trigger,
            flow,
            read.key,
            conditions,
            server,
            read.wait,
            read.return_outputs,
            read.response_content_type,
            read.verification,
        )

    def answers_to(self, key: str) -> bool:
        """Whether the key of an address is the trigger's."""
        try:
            rendered = self._context({}).render(self.key).strip()
        except HeadraceError:
            return False
        return bool(rendered) and hmac.compare_digest(rendered.encode(), key.strip().encode())

    def refused(self) -> Reason | None:
        """Why no call is taken at all, although the key fits: the flow or the trigger is disabled (the answer is 409)."""
        if self.flow.disabled:
            return Reason("flow_disabled", {"message": "Cannot execute a disabled flow"})
        if self.trigger.disabled:
            return Reason("trigger_disabled", {"message": f"The trigger `{self.trigger.id}` is disabled"})
        return None

    def receive(self, call: Call, now: datetime) -> Received:
        """The execution to create, or none. Conditions that fail count as false, with a warning. Raises SignatureRefused."""
        replay = None
        if self.verification is not None:
            secret = self._context({}).render(self.verification.secret)
            check(self.verification, secret, call.headers, call.body, now)
            replay = replay_key(self.verification, call.headers, call.body)
        variables = call.variables()
        context = self._context(variables)
        verdict = ask(self.conditions, context)
        verdict = gate(self.trigger.when, context) if verdict.holds else verdict
        if not verdict.holds:
            said = (verdict.error.message,) if verdict.error is not None else ()
            return Received(None, Reason("condition_false"), said, replay)
        labels, warnings = rendered_labels(self.trigger.labels, context)
        failure = None
        inputs: Any = {}
        try:
            if self.trigger.inputs:
                inputs = render_value(self.trigger.inputs, Scope(context.variables, self.server.functions))
        except HeadraceError as error:
            failure = Failure(error.code, f"the inputs of the trigger `{self.trigger.id}` cannot be rendered: {error}")
        key = f"{trigger_key(self.flow, self.trigger)}@call:{call.id}"
        shown = {name: values for name, values in variables["headers"].items() if name.lower() not in SECRET_HEADERS}
        firing = Firing(key, {**variables, "headers": shown}, {**self.flow.labels, **labels}, inputs, failure=failure)
        return Received(firing, None, warnings, replay)

    def answer_type(self) -> Literal["execution", "outputs"]:
        """What a call that was waited for is answered with."""
        return "outputs" if self.wait and self.return_outputs else "execution"

    def _context(self, variables: Mapping[str, Any]) -> ConditionContext:
        roots = {**self.flow.roots(), "trigger": variables}
        return ConditionContext(self.flow, roots, None, self.server.functions, self.server.zone, self.server.country)
