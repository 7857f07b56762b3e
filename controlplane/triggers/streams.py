"""The coroutine of webhooks: answers at once, or when the execution is over if the trigger says `wait`."""

from __future__ import annotations

import time

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from controlplane.executions import queries
from controlplane.executions.api import WAIT_SECONDS
from controlplane.executions.streams import LOOK_SECONDS
from controlplane.platform.errors import error_response
from controlplane.platform.rendering import no_content
from controlplane.platform.threads import in_thread
from controlplane.platform.wakeups import hub
from controlplane.triggers.webhook_api import answer_of, begin
from controlplane.triggers.webhooks import Answer

METHODS = ("GET", "POST", "PUT")


async def answer_webhook(
    request: HttpRequest, tenant: str, namespace: str, flow_id: str, key: str, path: str | None = None
) -> HttpResponseBase:
    """`GET|POST|PUT …/executions/webhook/{namespace}/{flowId}/{key}[/{path}]`. Nobody signs in."""
    if request.method not in METHODS:
        response = error_response(request, 405, "a webhook is called by GET, POST or PUT", "request.method")
        response["Allow"] = ", ".join(METHODS)
        return response
    received = await in_thread(begin, request, tenant, namespace, flow_id, key, path)
    if received is None:
        return no_content()
    if received.wait:
        await _over(received)
    return await in_thread(answer_of, request, received)


async def _over(received: Answer) -> None:
    """Waits for the end of the execution, at most `WAIT_SECONDS`."""
    until = time.monotonic() + WAIT_SECONDS
    with hub.subscribe(received.tenant, received.execution_id) as changes:
        row = await in_thread(queries.find_execution, received.tenant, received.execution_id)
        while not queries.is_over(row) and time.monotonic() < until:
            changed = await changes.changed(LOOK_SECONDS)
            if changes.ended or not changed:
                row = await in_thread(queries.find_execution, received.tenant, received.execution_id)
