"""Addresses whose answers last, served by `asgi`. The views are coroutines."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, include, path

from controlplane.executions.streams import create_and_wait, follow_execution
from controlplane.logs.streams import follow_logs
from controlplane.triggers.streams import answer_webhook

Routes = list[URLPattern | URLResolver]

_streams: Routes = [
    path("executions/<str:execution_id>/follow", follow_execution),
    path("logs/<str:execution_id>/follow", follow_logs),
    path("executions/webhook/<str:namespace>/<str:flow_id>/<str:key>", answer_webhook),
    path("executions/webhook/<str:namespace>/<str:flow_id>/<str:key>/<path:path>", answer_webhook),
    path("executions/<str:namespace>/<str:flow_id>", create_and_wait),
]
_MAIN: dict[str, Any] = {"tenant": "main"}

urlpatterns: Routes = [
    path("api/v1/", include(_streams), _MAIN),
    path("api/v1/<str:tenant>/", include(_streams)),
]

handler400 = "controlplane.platform.middleware.bad_request"
handler404 = "controlplane.platform.middleware.not_found"
handler500 = "controlplane.platform.middleware.server_error"
