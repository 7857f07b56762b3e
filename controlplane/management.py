"""The management port: whether this process is ready, and its numbers. Not for the public; no authentication, no Django."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
Readiness = Callable[[], dict[str, Any]]


def app(readiness: Readiness) -> Asgi:
    """An ASGI application.

    `readiness` tells the parts: a part is ready when its value is true, or a mapping whose `ready` is true. GET /health answers
    200 when all are, 503 otherwise, with the parts in both cases. GET /metrics prints numbers among the parts as Prometheus text.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path in ("/health", "/health/readiness"):
            parts = readiness()
            ready = all(is_ready(part) for part in parts.values())
            await _answer(send, 200 if ready else 503, orjson.dumps({"status": "UP" if ready else "DOWN", "parts": parts}))
        elif path == "/health/liveness":
            await _answer(send, 200, b'{"status":"UP"}')
        elif path == "/metrics":
            await _answer(send, 200, metrics(readiness()).encode(), "text/plain; version=0.0.4")
        else:
            await _answer(send, 404, b'{"message":"there are /health and /metrics here"}')

    return serve


def is_ready(part: Any) -> bool:
    """Whether one part says so."""
    return bool(part.get("ready", True)) if isinstance(part, dict) else part is not False


def metrics(parts: dict[str, Any]) -> str:
    """`headrace_<part>_<name> value` for every number, `headrace_ready{part=…}` for every part."""
    lines = []
    for name, part in sorted(parts.items()):
        lines.append(f'headrace_ready{{part="{name}"}} {int(is_ready(part))}')
        if isinstance(part, dict):
            for key, value in sorted(part.items()):
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    lines.append(f"headrace_{name}_{key} {value}")
    return "\n".join(lines) + "\n"


async def _answer(send: Send, status: int, body: bytes, kind: str = "application/json") -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
