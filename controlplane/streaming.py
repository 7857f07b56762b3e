"""Stream addresses as the REST side knows them: described in the OpenAPI document, served by the ASGI side."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.openapi import AutoSchema
from rest_framework.request import Request

from controlplane.accounts.views import TenantView
from controlplane.openapi.components import ref
from controlplane.platform.errors import ApiError

_BODIES = {"followExecution": "Execution", "followLogs": "LogEntry"}


class _StreamSchema(AutoSchema):
    """Frames: the name in `id:`, JSON in `data:`."""

    view: Any

    def get_operation_id(self) -> str:
        return str(self.view.operation)

    def get_tags(self) -> list[str]:
        return ["Executions" if self.view.operation == "followExecution" else "Logs"]

    def get_response_serializers(self) -> Any:
        return {(200, "text/event-stream"): ref(_BODIES[self.view.operation])}

    def get_override_parameters(self) -> list[Any]:
        if self.view.operation == "followExecution":
            return []
        from controlplane.logs.api import WHICH

        return list(WHICH)


class StreamsLiveElsewhere(TenantView):
    """Reached only when a deployment sends a stream to the WSGI side."""

    operation: str = ""
    schema = _StreamSchema()

    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """A stream of events: `id: progress` for every change, `id: end` as the last frame."""
        raise ApiError(
            "event streams are served by the ASGI application (controlplane.asgi); send paths that end in /follow there",
            status=503,
            code="stream.misrouted",
        )
