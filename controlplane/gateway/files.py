"""Files and secrets for attempts: calls beside the stream, each under the token of an attempt leased to the caller.

See `attempts` for what an attempt may read.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor

import grpc
import orjson

from controlplane.catalog.engine_flows import flow_of
from controlplane.engine.advance import task_json
from controlplane.files import namespace_files, storage
from controlplane.fleet.enrolment import Identity
from controlplane.gateway.attempts import Attempt, Context, NotYours, attempt_of, may_read, refuse
from controlplane.gateway.auth import in_thread
from controlplane.platform.errors import Conflict
from controlplane.vault.resolver import resolve_secret
from flows.errors import HeadraceError
from wire import gateway

QUEUED_CHUNKS_MAX = 8
"""Chunks between the socket and the disk: a slow disk slows the sender, not the memory."""

NAMESPACE_FILE = "nsfile:///"


class FileDoor:
    """The calls. `executor` runs what touches disk and database."""

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
        attempt = await attempt_of(self._executor, identity, first.token, context)
        pipe: queue.Queue[gateway.PutFileChunk | None] = queue.Queue(QUEUED_CHUNKS_MAX)
        writing = asyncio.ensure_future(in_thread(self._executor, _store, attempt, first, pipe))

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
            await refuse(context, error)
        return gateway.PutFileResult(uri=stored.uri, size_bytes=stored.size_bytes)

    async def get(
        self, identity: Identity, request: gateway.GetFileRequest, context: Context
    ) -> AsyncIterator[gateway.FileChunk]:
        """Sends a file of the execution, or of the flow's namespace."""
        attempt = await attempt_of(self._executor, identity, request.token, context)
        try:
            chunks = await in_thread(self._executor, _open, attempt, request)
        except HeadraceError as error:
            await refuse(context, error)
        while True:
            data = await in_thread(self._executor, next, chunks, b"")
            if not data:
                return
            yield gateway.FileChunk(data=data)

    async def list_namespace(
        self, identity: Identity, request: gateway.ListNamespaceFilesRequest, context: Context
    ) -> gateway.ListNamespaceFilesResponse:
        """The current files of a namespace, the flow's own unless another one is named."""
        attempt = await attempt_of(self._executor, identity, request.token, context)
        namespace = request.namespace or attempt.namespace
        found = await in_thread(self._executor, namespace_files.namespace_files, attempt.tenant, namespace)
        return gateway.ListNamespaceFilesResponse(
            files=[gateway.NamespaceFile(path=f.path, size_bytes=f.size_bytes, version=f.version, sha256=f.sha256) for f in found]
        )

    async def info(self, identity: Identity, request: gateway.FileInfoRequest, context: Context) -> gateway.FileInfoResult:
        """Whether a file is there, and its size."""
        attempt = await attempt_of(self._executor, identity, request.token, context)
        try:
            return await in_thread(self._executor, _info, attempt, request)
        except HeadraceError as error:
            await refuse(context, error)
        raise AssertionError("refuse aborts the call")

    async def delete(self, identity: Identity, request: gateway.DeleteFileRequest, context: Context) -> gateway.DeleteFileResult:
        """Removes a file of the execution or of a namespace."""
        attempt = await attempt_of(self._executor, identity, request.token, context)
        try:
            return await in_thread(self._executor, _delete, attempt, request)
        except HeadraceError as error:
            await refuse(context, error)
        raise AssertionError("refuse aborts the call")

    async def resolve_secrets(
        self, identity: Identity, request: gateway.ResolveSecretsRequest, context: Context
    ) -> gateway.ResolveSecretsResponse:
        """Values of secrets that the task's declaration names."""
        attempt = await attempt_of(self._executor, identity, request.token, context)
        try:
            values, missing = await in_thread(self._executor, _secrets, attempt, list(request.names))
        except HeadraceError as error:
            await refuse(context, error)
        return gateway.ResolveSecretsResponse(values=values, missing=missing)


def _store(attempt: Attempt, first: gateway.PutFileChunk, pipe: queue.Queue[gateway.PutFileChunk | None]) -> storage.StoredFile:
    name = first.name

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

    if first.cache:
        task_id = first.sub_run.task_id or attempt.task_id
        return storage.put_file(attempt.tenant, _cache_path(attempt, task_id, first.cache), received())
    if first.HasField("namespace_file"):
        return _store_in_namespace(attempt, first.namespace_file, received())
    own = not first.HasField("sub_run")
    return storage.put_task_file(
        attempt.tenant,
        attempt.namespace,
        attempt.flow_id,
        attempt.execution_id,
        attempt.task_id if own else first.sub_run.task_id,
        attempt.task_run_id if own else first.sub_run.id,
        name,
        received(),
    )


def _store_in_namespace(attempt: Attempt, place: gateway.NamespacePlace, chunks: Iterator[bytes]) -> storage.StoredFile:
    """Stores a namespace file. Raises Conflict (`file.exists`) when it must not replace the present one."""
    namespace = place.namespace or attempt.namespace
    path = place.path.lstrip("/")
    if place.conflict in ("ERROR", "SKIP"):
        present = namespace_files.current_file(attempt.tenant, namespace, path)
        if present is not None:
            if place.conflict == "ERROR":
                raise Conflict(f"the file {path!r} of namespace {namespace} is there already", code="file.exists")
            for _ in chunks:
                pass  # the sender is heard to its end, so that it learns of the answer
            return storage.StoredFile(_namespace_uri(namespace, path), present.size_bytes)
    stored = namespace_files.put_namespace_file(attempt.tenant, namespace, path, chunks)
    return storage.StoredFile(_namespace_uri(namespace, stored.path), stored.size_bytes)


def _namespace_uri(namespace: str, path: str) -> str:
    return storage.uri_of(f"{namespace.replace('.', '/')}/_files/{path}")


def _cache_path(attempt: Attempt, task_id: str, key: str) -> str:
    """Where a task keeps what the next execution may find: beside the executions of its flow, not below one of them."""
    digest = hashlib.sha256(f"{task_id}\0{key}".encode()).hexdigest()
    folder = storage.execution_folder(attempt.namespace, attempt.flow_id, "x").removesuffix("/executions/x")
    return f"{folder}/cache/{digest}.zip"


def _named_file(attempt: Attempt, uri: str, namespace: str) -> tuple[str, str] | None:
    """Namespace and path when an address means a namespace file, else None."""
    if uri.startswith(NAMESPACE_FILE):
        return namespace or attempt.namespace, uri.removeprefix(NAMESPACE_FILE)
    if uri.startswith("kestra:///") and "/_files/" in uri:
        folder, _, path = storage.path_of(uri).partition("/_files/")
        return folder.replace("/", "."), path
    return None


def _open(attempt: Attempt, request: gateway.GetFileRequest) -> Iterator[bytes]:
    if request.cache:
        path = _cache_path(attempt, request.sub_task_id or attempt.task_id, request.cache)
        try:
            return iter(storage.open_file(attempt.tenant, path))
        except storage.FileMissing:
            raise storage.FileMissing("nothing is kept for this task yet", code="cache.missing") from None
    named = _named_file(attempt, request.uri, request.namespace)
    if named is not None:
        version = request.version or None
        return iter(namespace_files.read_namespace_file(attempt.tenant, *named, version))
    require_readable(attempt, request.uri)
    return iter(storage.open_file(attempt.tenant, request.uri))


def require_readable(attempt: Attempt, uri: str) -> None:
    """Raises NotYours (`file.not_allowed`) for a stored file that the attempt has no business with."""
    if not may_read(attempt, uri):
        raise NotYours(f"{uri} is no file of this execution, of one that started it, or of a namespace", code="file.not_allowed")


def _info(attempt: Attempt, request: gateway.FileInfoRequest) -> gateway.FileInfoResult:
    named = _named_file(attempt, request.uri, request.namespace)
    if named is not None:
        present = namespace_files.current_file(attempt.tenant, *named, request.version or None)
        uri = _namespace_uri(*named)
        size = 0 if present is None else present.size_bytes
        return gateway.FileInfoResult(exists=present is not None, size_bytes=size, uri=uri)
    require_readable(attempt, request.uri)
    try:
        size = storage.file_size(attempt.tenant, request.uri)
    except storage.FileMissing:
        return gateway.FileInfoResult(exists=False, uri=request.uri)
    return gateway.FileInfoResult(exists=True, size_bytes=size, uri=request.uri)


def _delete(attempt: Attempt, request: gateway.DeleteFileRequest) -> gateway.DeleteFileResult:
    """Removes a namespace file, or a file of the execution itself: those of others are only read."""
    named = _named_file(attempt, request.uri, request.namespace)
    if named is not None:
        try:
            namespace_files.delete_path(attempt.tenant, *named)
        except storage.FileMissing:
            return gateway.DeleteFileResult(deleted=False, uri=_namespace_uri(*named))
        return gateway.DeleteFileResult(deleted=True, uri=_namespace_uri(*named))
    if not storage.belongs_to(request.uri, attempt.namespace, attempt.flow_id, attempt.execution_id):
        raise NotYours(f"{request.uri} is no file of this execution", code="file.not_allowed")
    try:
        storage.locate(attempt.tenant, request.uri)
    except storage.FileMissing:
        return gateway.DeleteFileResult(deleted=False, uri=request.uri)
    storage.remove_file(attempt.tenant, storage.path_of(request.uri))
    return gateway.DeleteFileResult(deleted=True, uri=request.uri)


def _secrets(attempt: Attempt, names: list[str]) -> tuple[dict[str, str], list[str]]:
    flow = flow_of(attempt.tenant, attempt.namespace, attempt.flow_id, attempt.revision)
    if attempt.of_trigger:
        trigger = next((one for one in flow.triggers if one.id == attempt.task_id), None)
        declared = "" if trigger is None else orjson.dumps(dict(trigger.properties), default=str).decode().upper()
    else:
        declared = task_json(flow.task(attempt.task_id)).decode().upper()
    values: dict[str, str] = {}
    missing: list[str] = []
    for name in names:
        if name.upper() not in declared:
            raise NotYours(f"{attempt.task_id} does not name the secret {name}", code="secret.not_declared")
        value = resolve_secret(attempt.tenant, attempt.namespace, name)
        if value is None:
            missing.append(name)
        else:
            values[name] = value
    return values, missing
