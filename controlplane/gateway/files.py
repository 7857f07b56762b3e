"""Files and secrets for attempts: calls beside the stream, each under the token of an attempt leased to the caller.

Tenant and worker come from the credential; flow, namespace and task from the hand-out's row. A message can only name an attempt,
a file and a secret, and each is checked against that row.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import grpc

from controlplane.catalog.engine_flows import flow_of
from controlplane.engine.advance import task_json
from controlplane.executions.models import HandOut
from controlplane.files import namespace_files, storage
from controlplane.fleet.enrolment import Identity
from controlplane.gateway.auth import in_thread
from controlplane.platform.errors import Missing
from controlplane.vault.resolver import resolve_secret
from flows.errors import HeadraceError
from wire import gateway

QUEUED_CHUNKS_MAX = 8
"""Chunks between the socket and the disk: a slow disk slows the sender, not the memory."""

NAMESPACE_FILE = "nsfile:///"

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the table says about the attempt a call is made for."""

    tenant: str
    namespace: str
    flow_id: str
    revision: int
    execution_id: str
    task_id: str
    task_run_id: str


class NotYours(HeadraceError):
    """The attempt is not leased to the caller, or it asks for something that is not its own."""

    code = "lease.superseded"


class FileDoor:
    """The four calls. `executor` runs what touches disk and database."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def put(
        self, identity: Identity, chunks: AsyncIterator[gateway.PutFileChunk], context: Context
    ) -> gateway.PutFileResult:
        """Stores a stream of chunks as a file of the task run; nothing is visible before the last one."""
        first = await anext(chunks, None)
        if first is None or not first.name:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "file.name: the first chunk must carry the attempt's token and a name"
            )
        assert first is not None
        attempt = await self._attempt(identity, first.token, context)
        pipe: queue.Queue[gateway.PutFileChunk | None] = queue.Queue(QUEUED_CHUNKS_MAX)
        writing = asyncio.ensure_future(in_thread(self._executor, _store, attempt, first.name, pipe))

        async def offer(item: gateway.PutFileChunk | None) -> None:
            while not writing.done():
                if not pipe.full():  # this coroutine is the only one that puts
                    pipe.put_nowait(item)
                    return
                await asyncio.sleep(0.005)

        try:
            await offer(first)
            async for chunk in chunks:
                await offer(chunk)
        finally:
            await offer(None)  # heard only when the last chunk never came: the upload broke off
        try:
            stored = await writing
        except HeadraceError as error:
            await _refuse(context, error)
        return gateway.PutFileResult(uri=stored.uri, size_bytes=stored.size_bytes)

    async def get(
        self, identity: Identity, request: gateway.GetFileRequest, context: Context
    ) -> AsyncIterator[gateway.FileChunk]:
        """Sends a file of the execution, or of the flow's namespace."""
        attempt = await self._attempt(identity, request.token, context)
        try:
            chunks = await in_thread(self._executor, _open, attempt, request.uri)
        except HeadraceError as error:
            await _refuse(context, error)
        while True:
            data = await in_thread(self._executor, next, chunks, b"")
            if not data:
                return
            yield gateway.FileChunk(data=data)

    async def list_namespace(
        self, identity: Identity, request: gateway.ListNamespaceFilesRequest, context: Context
    ) -> gateway.ListNamespaceFilesResponse:
        """The current files of the flow's namespace."""
        attempt = await self._attempt(identity, request.token, context)
        if request.namespace and request.namespace != attempt.namespace:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"namespace.not_allowed: a task of {attempt.namespace} may not read the files of {request.namespace}",
            )
        found = await in_thread(self._executor, namespace_files.namespace_files, attempt.tenant, attempt.namespace)
        return gateway.ListNamespaceFilesResponse(
            files=[gateway.NamespaceFile(path=f.path, size_bytes=f.size_bytes, version=f.version, sha256=f.sha256) for f in found]
        )

    async def resolve_secrets(
        self, identity: Identity, request: gateway.ResolveSecretsRequest, context: Context
    ) -> gateway.ResolveSecretsResponse:
        """Values of secrets that the task's declaration names."""
        attempt = await self._attempt(identity, request.token, context)
        try:
            values, missing = await in_thread(self._executor, _secrets, attempt, list(request.names))
        except HeadraceError as error:
            await _refuse(context, error)
        return gateway.ResolveSecretsResponse(values=values, missing=missing)

    async def _attempt(self, identity: Identity, token: gateway.AttemptToken, context: Context) -> Attempt:
        found = await in_thread(self._executor, _leased, identity, token)
        if found is None:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, "lease.superseded: this attempt is not leased to this worker any more"
            )
        assert found is not None
        return found


def _leased(identity: Identity, token: gateway.AttemptToken) -> Attempt | None:
    row = (
        HandOut.objects.filter(
            tenant_id=identity.tenant,
            task_run_id=token.task_run_id,
            execution_id=token.execution_id,
            attempt=token.attempt,
            lease_id=token.lease_id,
            worker_id=identity.worker_id,
        )
        .values_list("namespace", "flow_id", "flow_revision", "execution_id", "task_id", "task_run_id")
        .first()
    )
    return Attempt(identity.tenant, *row) if row is not None else None


def _store(attempt: Attempt, name: str, pipe: queue.Queue[gateway.PutFileChunk | None]) -> storage.StoredFile:
    def received() -> Iterator[bytes]:
        digest = hashlib.sha256()
        while True:
            chunk = pipe.get()
            if chunk is None:
                raise storage.FileDamaged(f"the upload of {name} broke off; send the file again")
            digest.update(chunk.data)
            yield chunk.data
            if chunk.sha256:
                if digest.hexdigest() != chunk.sha256.lower():
                    raise storage.FileDamaged(f"the bytes of {name} do not have the announced sha256; send the file again")
                return

    return storage.put_task_file(
        attempt.tenant,
        attempt.namespace,
        attempt.flow_id,
        attempt.execution_id,
        attempt.task_id,
        attempt.task_run_id,
        name,
        received(),
    )


def _open(attempt: Attempt, uri: str) -> Iterator[bytes]:
    own_files = f"kestra:///{attempt.namespace.replace('.', '/')}/_files/"
    for prefix in (NAMESPACE_FILE, own_files):
        if uri.startswith(prefix):
            return iter(namespace_files.read_namespace_file(attempt.tenant, attempt.namespace, uri.removeprefix(prefix)))
    if not storage.belongs_to(uri, attempt.namespace, attempt.flow_id, attempt.execution_id):
        raise NotYours(f"{uri} is no file of this execution or of namespace {attempt.namespace}", code="file.not_allowed")
    return iter(storage.open_file(attempt.tenant, uri))


def _secrets(attempt: Attempt, names: list[str]) -> tuple[dict[str, str], list[str]]:
    task = flow_of(attempt.tenant, attempt.namespace, attempt.flow_id, attempt.revision).task(attempt.task_id)
    declared = task_json(task).decode().upper()
    values: dict[str, str] = {}
    missing: list[str] = []
    for name in names:
        if name.upper() not in declared:
            raise NotYours(f"task {attempt.task_id} does not name the secret {name}", code="secret.not_declared")
        value = resolve_secret(attempt.tenant, attempt.namespace, name)
        if value is None:
            missing.append(name)
        else:
            values[name] = value
    return values, missing


async def _refuse(context: Context, error: HeadraceError) -> None:
    code = grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, Missing):
        code = grpc.StatusCode.NOT_FOUND
    elif isinstance(error, NotYours):
        code = grpc.StatusCode.PERMISSION_DENIED
    await context.abort(code, f"{error.code}: {error}")
