"""The trigger type that fires when its address is called: Webhook (triggers-and-conditions §7)."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from flows.plugins import Properties, TriggerKind, TriggerType
from flows.schedule.conditions import MultipleCondition
from flows.schedule.signatures import Verification
from flows.spec.dialects import present_types


class WebhookOutputs(Properties):
    """`trigger.*` of an execution that a webhook started."""

    body: Any = None
    """The body: parsed when it is JSON, else its text; null when it is empty."""
    headers: dict[str, list[str]]
    """Each header's values, always a list, without the secret ones."""
    parameters: dict[str, list[str]]
    """Each query parameter's values, always a list."""


class Webhook(TriggerType):
    """Starts an execution when `…/executions/webhook/{namespace}/{flowId}/{key}` is called.

    The key is the secret of the address. `verification` asks for a signature besides, as many senders give one.
    """

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.trigger.Webhook",)
    kind: ClassVar[TriggerKind] = "webhook"
    title: ClassVar[str] = "Start by an HTTP call"
    outputs: ClassVar[type[Properties]] = WebhookOutputs
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: hook
type: io.kestra.plugin.core.trigger.Webhook
key: "{{ secret('HOOK_KEY') }}"
conditions:
  - type: io.kestra.plugin.core.condition.Expression
    expression: "{{ trigger.body.action == 'opened' }}"
""",
        """\
id: pushed
type: io.kestra.plugin.core.trigger.Webhook
key: a-long-and-random-text
wait: true
returnOutputs: true
verification:
  type: github
  secret: "{{ secret('GITHUB_HOOK') }}"
""",
    )

    key: str = Field(min_length=1, max_length=256)
    """Rendered and trimmed, then compared with the key in the address."""
    wait: bool = False
    """Hold the call until the execution ends."""
    return_outputs: bool = False
    """With `wait`: answer with the outputs of the flow."""
    response_content_type: str = "application/json"
    verification: Verification | None = None

    @field_validator("conditions")
    @classmethod
    def _no_multiple(cls, value: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        for condition in value or []:
            written = condition.get("type")
            if isinstance(written, str) and not set(present_types(written)).isdisjoint(MultipleCondition.types):
                raise ValueError("invalid webhook: conditions of type MultipleCondition are not supported")
        return value
