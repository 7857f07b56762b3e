"""Server-sent events. The name of a frame travels in `id:`, there is no `event:` line; clients depend on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from django.http import StreamingHttpResponse

KEEP_ALIVE_SECONDS = 12.0
"""A silent stream says something this often, so that proxies keep it and dead clients are noticed."""


def frame(name: str, body: bytes) -> bytes:
    """One frame. `body` is JSON on one line."""
    return b"id: %b\ndata: %b\n\n" % (name.encode(), body)


def event_stream(frames: AsyncIterator[bytes]) -> StreamingHttpResponse:
    """An answer that flushes each frame at once, neither compressed nor buffered on the way."""
    response = StreamingHttpResponse(frames, content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response
