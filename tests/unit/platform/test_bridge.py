"""A WSGI application behind an ASGI server: whole answers, long ones in pieces, bodies of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from controlplane.bridge import MEMORY_BYTES_MAX, PIECE_BYTES, Bridge, Wsgi

Message = dict[str, Any]


def exchange(application: Wsgi, *body: bytes, headers: Iterable[tuple[bytes, bytes]] = (), path: str = "/a b/ü") -> list[Message]:
    """Everything the bridge sends for one request."""
    incoming = [
        {"type": "http.request", "body": part, "more_body": index < len(body) - 1} for index, part in enumerate(body or (b"",))
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": b"/a%20b",
        "query_string": b"x=\xff",
        "http_version": "1.1",
        "headers": list(headers),
    }
    asyncio.run(Bridge(application, 2)(scope, receive, send))
    return sent


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("201 Created", [("X-Path", environ["PATH_INFO"]), ("Content-Length", str(len(body)))])
    return [body]


def test_a_whole_answer_goes_out_in_two_messages() -> None:
    start, body = exchange(echo, b"hel", b"lo")
    assert start["status"] == 201
    assert (b"x-path", "/a b/ü".encode()) in start["headers"]
    assert body == {"type": "http.response.body", "body": b"hello"}


def test_a_large_body_passes_through_a_file() -> None:
    part = b"x" * (MEMORY_BYTES_MAX // 2)
    _, *pieces = exchange(echo, part, part, part)
    assert b"".join(piece["body"] for piece in pieces) == part * 3


def test_a_long_answer_goes_out_in_pieces_and_is_closed() -> None:
    closed: list[bool] = []

    class Long:
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(40):
                yield b"y" * 10_000

        def close(self) -> None:
            closed.append(True)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Long()

    _, *pieces = exchange(application)
    assert len(pieces) > 2
    assert all(len(piece["body"]) < PIECE_BYTES + 10_000 for piece in pieces)
    assert b"".join(piece["body"] for piece in pieces) == b"y" * 400_000
    assert closed == [True]


def test_a_header_with_an_underscore_cannot_pass_for_another() -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.update(environ)
        start_response("204 No Content", [])
        return []

    exchange(
        application, headers=[(b"x_csrf_token", b"evil"), (b"x-csrf-token", b"good"), (b"cookie", b"a=1"), (b"cookie", b"b=2")]
    )
    assert seen["HTTP_X_CSRF_TOKEN"] == "good"
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert seen["QUERY_STRING"] == "x=\xff"
