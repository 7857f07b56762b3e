"""A WSGI application behind an ASGI server, in threads, with one crossing each way.

The body is read by the loop before a thread is taken, so a slow client never holds one; a whole answer goes back in one piece.
Only long answers (files, logs) are fetched piece by piece. A request costs about half of what a general-purpose adapter takes.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MEMORY_BYTES_MAX = 1_000_000
"""Of a request's body; what is larger waits in a temporary file."""

BODY_BYTES_MAX = 4_000_000_000
"""Of a request's body at all. Files of this size belong into object storage directly."""

PIECE_BYTES = 128 * 1024
"""An answer up to this size goes out whole; a longer one in pieces of at least this."""

_TOO_LARGE = (
    b'{"message":"Content Too Large: the body is larger than this server accepts","status":413,"code":"request.too_large"}'
)


@dataclass(slots=True)
class _Answer:
    """What the application said so far; `rest` is what it has not said yet."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    rest: Iterator[bytes] | None = None
    close: Callable[[], None] | None = None


class Bridge:
    """`threads` requests at a time; more wait in line. Handles scopes of type http."""

    def __init__(self, application: Wsgi, threads: int) -> None:
        self._application = application
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            await _whole(send, 413, [(b"content-type", b"application/json")], _TOO_LARGE)
            return
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._pool, self._run, environ(scope, body))
        if answer.rest is None:
            await _whole(send, answer.status, answer.headers, answer.body)
            return
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            piece = answer.body
            while piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await loop.run_in_executor(self._pool, _gather, answer.rest)
            await send({"type": "http.response.body", "body": b""})
        finally:
            if answer.close is not None:
                await loop.run_in_executor(self._pool, answer.close)

    def _run(self, environment: dict[str, Any]) -> _Answer:
        answer = _Answer()

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answer.status = int(status[:3])
            answer.headers = [(name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]

        said = self._application(environment, start_response)
        close = getattr(said, "close", None)
        try:
            rest = iter(said)
            answer.body = _gather(rest)
            if len(answer.body) >= PIECE_BYTES:
                answer.rest, answer.close, close = rest, close, None
        finally:
            if close is not None:
                close()
            environment["wsgi.input"].close()
        return answer


def _gather(chunks: Iterator[bytes]) -> bytes:
    """The next PIECE_BYTES or more; less only at the end."""
    first = next(chunks, b"")
    if len(first) >= PIECE_BYTES:
        return first
    pieces, size = [first], len(first)
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size >= PIECE_BYTES:
            break
    return b"".join(pieces)


async def _read(receive: Receive) -> IO[bytes] | None:
    """The whole body, or None when it is too large (or the client has left)."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    first: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return io.BytesIO(first)
    spool: IO[bytes] = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX)  # noqa: SIM115 - the thread that reads it closes it
    size = len(first)
    spool.write(first)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect" or size > BODY_BYTES_MAX:
            spool.close()
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        spool.write(chunk)
    spool.seek(0)
    return spool


async def _whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if body and not any(name == b"content-length" for name, _ in headers):
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def environ(scope: Scope, body: IO[bytes]) -> dict[str, Any]:
    """The WSGI environment of an ASGI request. The path is decoded once, as WSGI wants it; the query stays as sent."""
    server = scope.get("server") or ("localhost", 80)
    found: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "RAW_PATH": scope.get("raw_path") or b"",
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": "HTTP/" + scope["http_version"],
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:  # `x_y` and `x-y` would become one variable: whoever checks the one could be fooled by the other
            continue
        if name == "content-length":
            found["CONTENT_LENGTH"] = value
        elif name == "content-type":
            found["CONTENT_TYPE"] = value
        else:
            variable = "HTTP_" + name.upper().replace("-", "_")
            separator = "; " if name == "cookie" else ","
            found[variable] = found[variable] + separator + value if variable in found else value
    if "CONTENT_LENGTH" not in found:  # a chunked body: its length is known by now
        body.seek(0, io.SEEK_END)
        if length := body.tell():
            found["CONTENT_LENGTH"] = str(length)
        body.seek(0)
    return found
