"""One process, two ways in: streams to Django's ASGI application, everything else to Django's WSGI application in threads.

`uvicorn controlplane.router:app`, or `build()` inside `headrace up`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from controlplane.bridge import Bridge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

WEB_THREADS = 8
"""Threads of the REST side. Each costs a database connection on PostgreSQL."""

_STREAM = re.compile(r"/api/v1/(?:[^/]+/)?(?:executions|logs)/[^/]+/follow")
_CREATE = re.compile(r"/api/v1/(?:[^/]+/)?executions/[^/]+/[^/]+")
_WEBHOOK = re.compile(r"/api/v1/(?:[^/]+/)?executions/webhook/[^/]+/[^/]+/.+")
_WAIT = re.compile(rb"(?:^|&)wait=(?:true|True|1)(?:&|$)")


def is_stream(scope: Scope) -> bool:
    """Whether an HTTP request may last: a follow stream, or the creation of an execution that waits for its end.

    Webhooks do when their trigger says so, which only the flow knows.
    """
    path = scope["path"]
    if _WEBHOOK.fullmatch(path) is not None:
        return True
    if scope["method"] == "GET":
        return _STREAM.fullmatch(path) is not None
    return (
        scope["method"] == "POST"
        and b"wait=" in scope.get("query_string", b"")
        and _WAIT.search(scope["query_string"]) is not None
        and _CREATE.fullmatch(path) is not None
    )


def build() -> Asgi:
    """The application. Importing Django happens here, not at import."""
    from controlplane.asgi import application
    from controlplane.wsgi import application as pages

    streams: Any = application
    threaded = Bridge(pages, WEB_THREADS)

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await _lifespan(receive, send)
        elif kind == "http":
            await (streams if is_stream(scope) else threaded)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    return route


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def __getattr__(name: str) -> Any:
    if name == "app":
        return build()
    raise AttributeError(name)
