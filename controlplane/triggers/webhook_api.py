"""REST of webhooks: reading the call, and its answer. The coroutine that serves them is in `streams`."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import orjson
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.views import PublicView, plain
from controlplane.executions import queries
from controlplane.executions.api import WAIT_SECONDS, public_url
from controlplane.openapi.describe import answer
from controlplane.platform.rendering import dump, json_bytes, no_content
from controlplane.platform.wakeups import hub
from controlplane.triggers.webhooks import Answer, Arrival, receive

_TAGS = ["Executions"]
_HIDDEN = frozenset({"cookie", "x-csrftoken"})
"""Headers that are about a browser's session here: no business of a flow."""


def read_call(request: HttpRequest, path: str | None) -> Arrival:
    """The request as a trigger sees it: headers and parameters with all their values; names of headers in lower case."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        if name.lower() not in _HIDDEN:
            headers[name.lower()] = [value]
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    return Arrival(request.method or "GET", request.body, headers, parameters, path)


def begin(request: HttpRequest, tenant: str, namespace: str, flow_id: str, key: str, path: str | None) -> Answer | None:
    """Starts the execution; None when the conditions do not hold."""
    return receive(tenant, namespace, flow_id, key, read_call(request, path))


def answer_of(request: HttpRequest, received: Answer) -> HttpResponse:
    """What the caller hears: the execution as it is now, or its outputs."""
    row = queries.find_execution(received.tenant, received.execution_id)
    if not (received.wait and received.outputs and queries.is_over(row)):
        body = orjson.loads(queries.full_json(row, public_url(request, row)))
        return json_bytes(dump(body))
    outputs: dict[str, Any] = orjson.loads(row["outputs"] or "{}")
    if received.content_type.split(";")[0].strip() == "application/json":
        return json_bytes(dump(outputs))
    # Anything but JSON: the text of the only output (how addresses are proved to many services), else all of them as JSON.
    values = list(outputs.values())
    text = values[0] if len(values) == 1 and isinstance(values[0], str) else dump(outputs).decode()
    return HttpResponse(text, content_type=received.content_type)


class WebhookView(PublicView):
    """Starts an execution from outside; the key in the address is the secret."""

    def _answer(self, request: Request, tenant: str, namespace: str, flow_id: str, key: str, path: str | None) -> HttpResponse:
        http = plain(request)
        received = begin(http, tenant, namespace, flow_id, key, path)
        if received is None:
            return no_content()
        if received.wait:
            # Reached only without the router (plain WSGI): this thread waits.
            with hub.subscribe(tenant, received.execution_id) as changes:
                remaining = WAIT_SECONDS
                while not queries.is_over(queries.find_execution(tenant, received.execution_id)) and remaining > 0:
                    changes.wait(1.0)
                    remaining -= 1.0
        return answer_of(http, received)

    @extend_schema(operation_id="triggerExecutionByGetWebhook", tags=_TAGS, auth=[], responses=answer("Execution"))
    def get(self, request: Request, tenant: str, namespace: str, flow_id: str, key: str) -> HttpResponse:
        """204 when the trigger's conditions do not hold."""
        return self._answer(request, tenant, namespace, flow_id, key, None)

    @extend_schema(operation_id="triggerExecutionByPostWebhook", tags=_TAGS, auth=[], request=None, responses=answer("Execution"))
    def post(self, request: Request, tenant: str, namespace: str, flow_id: str, key: str) -> HttpResponse:
        """The same; a body of any type is `trigger.body`."""
        return self._answer(request, tenant, namespace, flow_id, key, None)

    @extend_schema(operation_id="triggerExecutionByPutWebhook", tags=_TAGS, auth=[], request=None, responses=answer("Execution"))
    def put(self, request: Request, tenant: str, namespace: str, flow_id: str, key: str) -> HttpResponse:
        """The same."""
        return self._answer(request, tenant, namespace, flow_id, key, None)


class WebhookWithPathView(WebhookView):
    """The same for triggers that declare a `path` behind the key."""

    @extend_schema(operation_id="triggerExecutionByGetWebhookWithPath", tags=_TAGS, auth=[], responses=answer("Execution"))
    def get(  # type: ignore[override]
        self, request: Request, tenant: str, namespace: str, flow_id: str, key: str, path: str
    ) -> HttpResponse:
        """404 for any other path."""
        return self._answer(request, tenant, namespace, flow_id, key, path)

    @extend_schema(
        operation_id="triggerExecutionByPostWebhookWithPath", tags=_TAGS, auth=[], request=None, responses=answer("Execution")
    )
    def post(  # type: ignore[override]
        self, request: Request, tenant: str, namespace: str, flow_id: str, key: str, path: str
    ) -> HttpResponse:
        """The same."""
        return self._answer(request, tenant, namespace, flow_id, key, path)

    @extend_schema(
        operation_id="triggerExecutionByPutWebhookWithPath", tags=_TAGS, auth=[], request=None, responses=answer("Execution")
    )
    def put(  # type: ignore[override]
        self, request: Request, tenant: str, namespace: str, flow_id: str, key: str, path: str
    ) -> HttpResponse:
        """The same."""
        return self._answer(request, tenant, namespace, flow_id, key, path)
