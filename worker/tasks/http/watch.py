"""The trigger type `io.kestra.plugin.core.http.Trigger`: asks an address now and then, fires when the answer is as wanted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from flows.expressions import render_value, truthy
from flows.plugins import Dynamic, Properties, TriggerKind, TriggerType
from flows.spec.shapes import Duration
from worker.errors import TaskFailed
from worker.tasks.http.client import Options, RequestProperties, answer
from worker.tasks.http.tasks import RequestOutputs


class Trigger(TriggerType, RequestProperties):
    """Fires when `responseCondition` is true of the answer; a status of 400 or more is no error here, the condition decides."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.http.Trigger",)
    kind: ClassVar[TriggerKind] = "polling"
    title: ClassVar[str] = "Start when an address answers as wanted"
    outputs: ClassVar[type[Properties]] = RequestOutputs
    unrendered: ClassVar[frozenset[str]] = frozenset({"responseCondition"})
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: ready
type: io.kestra.plugin.core.http.Trigger
uri: https://api.example.com/status
interval: PT30S
responseCondition: "{{ response.statusCode == 200 and fromJson(response.body).ready }}"
""",
    )

    interval: Duration = timedelta(seconds=60)
    response_condition: str = Field(
        default="{{ response.statusCode < 400 }}", description="Sees `response.statusCode`, `response.body`, `response.headers`."
    )
    encrypt_body: Dynamic[bool] = False

    def evaluate(self, context: Any) -> RequestOutputs | None:
        """One request. Raises TaskFailed when nothing answers, ExpressionError when the condition cannot be told."""
        if self.encrypt_body:
            raise TaskFailed("encryptBody is not supported: keep the answer out of outputs, or in a secret", code="http.encrypt")
        found = answer(self, context)
        try:
            body = found.text(str((self.options or Options()).default_charset))
        except ValueError:
            body = None
        response = {"statusCode": found.code, "body": body, "headers": found.headers}
        if not truthy(render_value(self.response_condition, context.scope_with(response=response))):
            return None
        return RequestOutputs(uri=found.uri, code=found.code, headers=found.headers, body=body)
