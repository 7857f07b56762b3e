"""The calls of the gateway beside the session: files, namespace files, secrets. Async; `Bridge` lends them to threads."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio

from wire import gateway
from worker import limits
from worker.errors import TaskFailed

T = TypeVar("T")
SERVICE = "/headrace.gateway.v1.Gateway/"
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    # The door is one address; a proxy from the environment would only see a broken stream.
    ("grpc.enable_http_proxy", 0),
)
_CALL_SECONDS = 60.0
_REFUSAL = re.compile(r"([a-z_]+\.[a-z_]+): (.+)", re.DOTALL)
"""How the plane says no: a stable code, then a text for a person."""
_REFUSALS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
)
_OWN_CODES = frozenset({"file.store_failed", "file.read_failed", "file.list_failed", "secret.unavailable"})
"""Calls whose failures have one code whatever the plane's reason is."""
_FILE_SECONDS = 3_600.0


class Door:
    """Unary and file calls under an attempt's token, on the worker's channel."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> None:
        self._channel = channel
        self._stubs: dict[str, Any] = {}
        self._metadata = tuple(metadata)
        self._put = channel.stream_unary(
            SERVICE + "PutFile",
            request_serializer=gateway.PutFileChunk.SerializeToString,
            response_deserializer=gateway.PutFileResult.FromString,
        )
        self._get = channel.unary_stream(
            SERVICE + "GetFile",
            request_serializer=gateway.GetFileRequest.SerializeToString,
            response_deserializer=gateway.FileChunk.FromString,
        )
        self._list = channel.unary_unary(
            SERVICE + "ListNamespaceFiles",
            request_serializer=gateway.ListNamespaceFilesRequest.SerializeToString,
            response_deserializer=gateway.ListNamespaceFilesResponse.FromString,
        )
        self._resolve = channel.unary_unary(
            SERVICE + "ResolveSecrets",
            request_serializer=gateway.ResolveSecretsRequest.SerializeToString,
            response_deserializer=gateway.ResolveSecretsResponse.FromString,
        )

    async def put_file(
        self,
        token: gateway.AttemptToken,
        name: str,
        path: Path,
        *,
        sub_run: gateway.SubRunName | None = None,
        cache: str = "",
        namespace_file: gateway.NamespacePlace | None = None,
    ) -> gateway.PutFileResult:
        """Uploads a file; the plane checks its SHA-256. Raises TaskFailed.

        It belongs to the task run of the token, or to the one below it that `sub_run` names; with `cache` it is what the task
        keeps between executions, under that key; with `namespace_file` it is a file of a namespace.
        """

        async def chunks() -> AsyncIterator[gateway.PutFileChunk]:
            digest = hashlib.sha256()
            first = True
            with path.open("rb") as file:
                while True:
                    data = await asyncio.to_thread(file.read, limits.FILE_CHUNK_BYTES)
                    digest.update(data)
                    chunk = gateway.PutFileChunk(data=data)
                    if first:
                        chunk.token.CopyFrom(token)
                        chunk.name = name
                        chunk.cache = cache
                        if sub_run is not None:
                            chunk.sub_run.CopyFrom(sub_run)
                        if namespace_file is not None:
                            chunk.namespace_file.CopyFrom(namespace_file)
                        first = False
                    if len(data) < limits.FILE_CHUNK_BYTES:
                        chunk.sha256 = digest.hexdigest()
                        yield chunk
                        return
                    yield chunk

        async def call() -> gateway.PutFileResult:
            result: gateway.PutFileResult = await self._put(chunks(), metadata=self._metadata, timeout=_FILE_SECONDS)
            return result

        return await self._again(f"storing the file {name!r}", "file.store_failed", call)

    async def get_file(
        self,
        token: gateway.AttemptToken,
        uri: str,
        target: Path,
        sha256: str | None = None,
        *,
        namespace: str = "",
        version: int = 0,
    ) -> None:
        """Downloads a file to `target`, which it replaces; `sha256`: what it has to be. Raises TaskFailed.

        `namespace` and `version` (0 = current) say which namespace file an `nsfile:///…` means.
        """
        request = gateway.GetFileRequest(token=token, uri=uri, namespace=namespace, version=version)
        await self.download(request, f"reading the file {uri}", target, sha256)

    async def download(self, request: gateway.GetFileRequest, what: str, target: Path, sha256: str | None = None) -> None:
        """Downloads what the request names. Raises TaskFailed (`file.read_failed`)."""
        beside = target.with_name(f".part-{os.urandom(6).hex()}")

        async def call() -> None:
            digest = hashlib.sha256()
            with beside.open("wb") as file:
                async for chunk in self._get(request, metadata=self._metadata, timeout=_FILE_SECONDS):
                    await asyncio.to_thread(file.write, chunk.data)
                    digest.update(chunk.data)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise TaskFailed(f"The file {request.uri} changed while it was read; run the task again.", code="file.changed")
            beside.replace(target)

        try:
            await self._again(what, "file.read_failed", call)
        finally:
            beside.unlink(missing_ok=True)

    async def namespace_files(self, token: gateway.AttemptToken, namespace: str = "") -> list[gateway.NamespaceFile]:
        """The files of a namespace; empty name = the flow's own. Raises TaskFailed."""

        async def call() -> gateway.ListNamespaceFilesResponse:
            request = gateway.ListNamespaceFilesRequest(token=token, namespace=namespace)
            answer: gateway.ListNamespaceFilesResponse = await self._list(request, metadata=self._metadata, timeout=_CALL_SECONDS)
            return answer

        return list((await self._again("listing namespace files", "file.list_failed", call)).files)

    async def resolve_secrets(self, token: gateway.AttemptToken, names: Sequence[str]) -> dict[str, str]:
        """Values of secrets by name; those that do not exist are left out. Raises TaskFailed."""

        async def call() -> gateway.ResolveSecretsResponse:
            request = gateway.ResolveSecretsRequest(token=token, names=names)
            answer: gateway.ResolveSecretsResponse = await self._resolve(request, metadata=self._metadata, timeout=_CALL_SECONDS)
            return answer

        return dict((await self._again("resolving secrets", "secret.unavailable", call)).values)

    async def ask(self, method: str, request: Any, answer: type[T], what: str, code: str) -> T:
        """One of the other unary calls. Raises TaskFailed: with the plane's own code when it refused, else with `code`."""
        stub = self._stubs.get(method)
        if stub is None:
            stub = self._stubs[method] = self._channel.unary_unary(
                SERVICE + method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,  # type: ignore[attr-defined]
            )

        async def call() -> T:
            found: T = await stub(request, metadata=self._metadata, timeout=_CALL_SECONDS)
            return found

        return await self._again(what, code, call)

    async def fetch_logs(self, request: gateway.FetchLogsRequest) -> tuple[list[gateway.LogRecord], bool]:
        """Stored log lines, and whether all that the ended attempts announced are there. Raises TaskFailed."""
        stub = self._channel.unary_stream(
            SERVICE + "FetchLogs",
            request_serializer=gateway.FetchLogsRequest.SerializeToString,
            response_deserializer=gateway.LogRecords.FromString,
        )

        async def call() -> tuple[list[gateway.LogRecord], bool]:
            found: list[gateway.LogRecord] = []
            complete = False
            async for part in stub(request, metadata=self._metadata, timeout=_CALL_SECONDS):
                found.extend(part.records)
                complete = part.complete
            return found, complete

        return await self._again("reading logs", "log.unavailable", call)

    async def _again(self, what: str, code: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Makes a call; while the plane is away it is tried again, up to half a minute or so."""
        for pause in (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, None):
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE and pause is not None:
                    await asyncio.sleep(pause)
                    continue
                reason = error.details() or error.code().name
                told = _REFUSAL.match(reason) if error.code() in _REFUSALS else None
                if told is not None and code not in _OWN_CODES:
                    raise TaskFailed(told.group(2), code=told.group(1)) from None
                raise TaskFailed(f"{what[:1].upper()}{what[1:]} failed: {reason}", code=code) from None
        raise AssertionError("unreachable: the last round returns or raises")


class Bridge:
    """Runs coroutines of the agent's loop for a thread that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's outcome. Call it from threads other than the loop's only."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def soon(self, call: Callable[..., object], *arguments: object) -> None:
        """Runs a plain call on the loop, some time soon, in order."""
        self._loop.call_soon_threadsafe(call, *arguments)
