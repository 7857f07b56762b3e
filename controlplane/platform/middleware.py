"""What happens around every request: an id, security headers, exceptions as JSON, expired login cookies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from controlplane.platform.errors import error_response, request_id, respond

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class RequestMiddleware:
    """One class for both ways in: WSGI (REST) and ASGI (streams)."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self._answer_later(request) if self._is_async else _finish(request, self._get_response(request))

    async def _answer_later(self, request: HttpRequest) -> HttpResponseBase:
        return _finish(request, await self._get_response(request))

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase:
        """Exceptions of plain and asynchronous views; DRF's own go through its handler to the same function."""
        return respond(request, error)


def _finish(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    headers = response.headers
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("X-Request-Id", request_id(request))
    if request.path.startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler404: JSON, always."""
    return error_response(request, 404, "nothing is found at this address", "resource.missing")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400: a malformed host, path or upload."""
    return respond(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500."""
    return error_response(request, 500, "something went wrong on our side", "internal")
