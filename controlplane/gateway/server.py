"""The workers' door: gRPC around the sessions. One asyncio loop in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import uvloop
from django.db import transaction
from django.db.models import F

from controlplane.engine.advance import LEASE_SECONDS, FlowLoader, assign_message
from controlplane.engine.items import Token
from controlplane.engine.service import Engine
from controlplane.executions.models import HandOut
from controlplane.fleet.enrolment import EnrolmentRefused, Identity, enrol
from controlplane.fleet.models import Worker
from controlplane.gateway.auth import caller, in_thread
from controlplane.gateway.files import FileDoor
from controlplane.gateway.recorder import Recorder
from controlplane.gateway.session import MESSAGE_BYTES_MAX, Held
from controlplane.gateway.stream import Stream
from controlplane.gateway.triggers import TriggerDoor
from controlplane.gateway.values import (
    ValueDoor,
    cache_get,
    cache_put,
    decrypt_values,
    kv_delete,
    kv_get,
    kv_keys,
    kv_set,
)
from flows.errors import HeadraceError
from wire import gateway, gateway_grpc

log = logging.getLogger(__name__)

RENEW_SECONDS = LEASE_SECONDS // 3
OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX + 1_000_000),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX + 1_000_000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
]


class Gateway(gateway_grpc.GatewayServicer, gateway_grpc.EnrolmentServicer):
    """The service. Tenant and worker come from the credential of each call."""

    def __init__(self, engine: Engine, recorder: Recorder, load_flow: FlowLoader, executor: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._recorder = recorder
        self._load_flow = load_flow
        self._executor = executor
        self._streams: dict[tuple[str, str], Stream] = {}
        self._files = FileDoor(executor)
        self._triggers = TriggerDoor(engine, executor)
        self._values = ValueDoor(executor)
        self.closing = False

    async def Enrol(self, request: gateway.EnrolRequest, context: grpc.aio.ServicerContext[Any, Any]) -> gateway.EnrolResponse:
        """Join token in, credential out."""
        try:
            identity, credential = await in_thread(
                self._executor, enrol, request.join_token, request.name, dict(request.labels), request.version
            )
        except EnrolmentRefused as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{error.code}: {error}")
        return gateway.EnrolResponse(
            tenant=identity.tenant, worker_group=identity.worker_group, worker_id=identity.worker_id, credential=credential
        )

    async def Session(
        self, request_iterator: AsyncIterator[gateway.ToPlane], context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """One worker's stream, until either side ends it."""
        identity = await caller(context, self._executor)
        stream = Stream(identity, self._engine, self._recorder)
        writer = asyncio.create_task(self._write(stream, context))
        reader = asyncio.create_task(self._read(stream, request_iterator))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if stream.channel is not None:
                self._engine.dispatcher.detach(stream.channel)
            if self._streams.get((identity.tenant, identity.worker_id)) is stream:
                del self._streams[(identity.tenant, identity.worker_id)]
            for task in (writer, reader):
                task.cancel()
            for ended in await asyncio.gather(writer, reader, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.error("the stream of worker %s broke", identity.worker_id, exc_info=ended)

    async def Triggers(
        self, request_iterator: AsyncIterator[gateway.TriggerReport], context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """Polling and realtime triggers that this worker evaluates."""
        await self._triggers.serve(await caller(context, self._executor), request_iterator, context)

    async def _read(self, stream: Stream, messages: AsyncIterator[gateway.ToPlane]) -> None:
        session = stream.session
        async for message in messages:
            work = session.received(message)
            if session.closed is not None:
                stream.wake.set()
                await asyncio.sleep(5)  # the writer says goodbye and ends the call
                return
            if work is None:
                await self._welcome(stream)
            else:
                stream.handle(work)

    async def _write(self, stream: Stream, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        while True:
            await stream.wake.wait()
            stream.wake.clear()
            for message in stream.session.take_outgoing():
                await context.write(message)
            if stream.session.closed is not None:
                return

    async def _welcome(self, stream: Stream) -> None:
        """Opens the session: a new epoch, the worker's leases from the table, verdicts, and what it missed."""
        identity = stream.identity
        session = stream.session
        epoch, rows = await in_thread(self._executor, _open_session, identity, session.hello)
        older = self._streams.get((identity.tenant, identity.worker_id))
        if older is not None:
            older.session.goodbye("superseded: this worker opened another stream")
            older.wake.set()
        self._streams[(identity.tenant, identity.worker_id)] = stream
        held, assigns = await in_thread(self._executor, self._from_table, identity, rows)
        session.welcome(epoch, LEASE_SECONDS, RENEW_SECONDS, held, assigns)
        stream.wake.set()
        self._engine.dispatcher.attach(stream.open_channel(epoch))
        self._engine.wake()

    def _from_table(self, identity: Identity, rows: list[dict[str, Any]]) -> tuple[list[Held], list[gateway.Assign]]:
        """What the worker holds by the table, and the hand-outs to repeat. Loads flows: not for the loop's thread."""
        held: list[Held] = []
        assigns: list[gateway.Assign] = []
        for row in rows:
            token = Token(identity.tenant, row["execution_id"], row["task_run_id"], row["attempt"], row["lease_id"])
            held.append(Held(token, row["task_id"], row["light"], row["stop"]))
            try:
                flow = self._load_flow(identity.tenant, row["namespace"], row["flow_id"], row["flow_revision"])
                task = flow.task(row["task_id"])
            except (HeadraceError, KeyError):
                log.exception("a hand-out names a flow that cannot be loaded")
                continue
            assigns.append(
                assign_message(
                    token.execution_id,
                    row["namespace"],
                    row["flow_id"],
                    row["flow_revision"],
                    task,
                    token.task_run_id,
                    token.attempt,
                    token.lease_id,
                    row["context"].encode(),
                )
            )
        return held, assigns

    def close(self) -> None:
        """Tells every worker that this door closes."""
        self.closing = True
        for stream in self._streams.values():
            stream.session.goodbye("closing: this control plane is going down")
            stream.wake.set()

    # -- files and secrets --------------------------------------------------------------------------------------------

    async def PutFile(
        self, request_iterator: AsyncIterator[gateway.PutFileChunk], context: grpc.aio.ServicerContext[Any, Any]
    ) -> gateway.PutFileResult:
        """A file of the task run, streamed."""
        return await self._files.put(await caller(context, self._executor), request_iterator, context)

    async def GetFile(
        self, request: gateway.GetFileRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[gateway.FileChunk]:
        """A file the attempt may read, streamed."""
        async for chunk in self._files.get(await caller(context, self._executor), request, context):
            yield chunk

    async def ListNamespaceFiles(
        self, request: gateway.ListNamespaceFilesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> gateway.ListNamespaceFilesResponse:
        """Files of the flow's namespace."""
        return await self._files.list_namespace(await caller(context, self._executor), request, context)

    async def ResolveSecrets(
        self, request: gateway.ResolveSecretsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> gateway.ResolveSecretsResponse:
        """Values of secrets that the attempt's task names."""
        return await self._files.resolve_secrets(await caller(context, self._executor), request, context)

    async def FileInfo(
        self, request: gateway.FileInfoRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> gateway.FileInfoResult:
        """Whether a file is there, and its size."""
        return await self._files.info(await caller(context, self._executor), request, context)

    async def DeleteFile(
        self, request: gateway.DeleteFileRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> gateway.DeleteFileResult:
        """Removes a file."""
        return await self._files.delete(await caller(context, self._executor), request, context)

    # -- values -------------------------------------------------------------------------------------------------------

    async def FetchLogs(
        self, request: gateway.FetchLogsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[gateway.LogRecords]:
        """Stored log lines of an execution, streamed."""
        async for part in self._values.logs(await caller(context, self._executor), request, context):
            yield part

    async def KvGet(self, request: gateway.KvGetRequest, context: grpc.aio.ServicerContext[Any, Any]) -> gateway.KvEntry:
        """A key of a namespace."""
        return await self._values.answer(await caller(context, self._executor), request, context, kv_get)

    async def KvSet(self, request: gateway.KvSetRequest, context: grpc.aio.ServicerContext[Any, Any]) -> gateway.KvSetResult:
        """Sets a key."""
        return await self._values.answer(await caller(context, self._executor), request, context, kv_set)

    async def KvDelete(
        self, request: gateway.KvDeleteRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> gateway.KvDeleteResult:
        """Removes a key."""
        return await self._values.answer(await caller(context, self._executor), request, context, kv_delete)

    async def KvKeys(self, request: gateway.KvKeysRequest, context: grpc.aio.ServicerContext[Any, Any]) -> gateway.KvKeysResult:
        """Keys of a namespace."""
        return await self._values.answer(await caller(context, self._executor), request, context, kv_keys)

    async def CacheGet(self, request: gateway.CacheGetRequest, context: grpc.aio.ServicerContext[Any, Any]) -> gateway.CacheEntry:
        """A kept result of a task."""
        return await self._values.answer(await caller(context, self._executor), request, context, cache_get)

    async def CachePut(
        self, request: gateway.CachePutRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> gateway.CachePutResult:
        """Keeps a result of a task."""
        return await self._values.answer(await caller(context, self._executor), request, context, cache_put)

    async def Decrypt(
        self, request: gateway.DecryptRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> gateway.DecryptResult:
        """Plain texts of encrypted values the attempt was handed."""
        return await self._values.answer(await caller(context, self._executor), request, context, decrypt_values)


def _open_session(identity: Identity, hello: gateway.Hello) -> tuple[int, list[dict[str, Any]]]:
    """Counts the epoch up and reads (and renews) what the table says this worker holds."""
    now = time.time_ns() // 1000
    mine = {"tenant_id": identity.tenant, "worker_id": identity.worker_id}
    with transaction.atomic():
        worker = Worker.objects.filter(tenant_id=identity.tenant, id=identity.worker_id)
        worker.update(
            epoch=F("epoch") + 1,
            seen_at_us=now,
            light_slots=hello.light_slots,
            process_slots=hello.process_slots,
            version=hello.version[:40],
        )
        epoch = worker.values_list("epoch", flat=True).get()
        HandOut.objects.filter(**mine, lease_id__isnull=False).update(lease_until_us=now + LEASE_SECONDS * 1_000_000)
        rows = HandOut.objects.filter(**mine, lease_id__isnull=False).values(
            "execution_id",
            "task_run_id",
            "attempt",
            "lease_id",
            "namespace",
            "flow_id",
            "flow_revision",
            "task_id",
            "light",
            "stop",
            "context",
        )
        return epoch, [dict(row) for row in rows]


class GatewayServer:
    """Runs the door: a thread with an asyncio loop and a gRPC server on it."""

    def __init__(self, engine: Engine, recorder: Recorder, load_flow: FlowLoader, address: str) -> None:
        self._engine = engine
        self._recorder = recorder
        self._load_flow = load_flow
        self._address = address
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.port = 0

    def start(self, timeout: float = 20.0) -> None:
        """Starts and waits until the port is bound. Raises OSError when it cannot be."""
        self._thread.start()
        if not self._ready.wait(timeout):
            raise OSError(f"the gRPC server did not start on {self._address} within {timeout:.0f} s")
        if self._failure is not None:
            raise OSError(f"cannot listen for workers on {self._address}: is the port taken? ({self._failure})")

    def stop(self) -> None:
        """Says goodbye to the workers and ends the thread."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except Exception as error:  # noqa: BLE001 - whatever it is, `start` raises it in the caller's thread
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="gateway-db") as executor:
            service = Gateway(self._engine, self._recorder, self._load_flow, executor)
            server = grpc.aio.server(options=OPTIONS)
            gateway_grpc.add_GatewayServicer_to_server(service, server)  # type: ignore[no-untyped-call]
            gateway_grpc.add_EnrolmentServicer_to_server(service, server)  # type: ignore[no-untyped-call]
            self.port = server.add_insecure_port(self._address)
            await server.start()
            self._ready.set()
            await self._stop.wait()
            service.close()
            await asyncio.sleep(0.2)
            await server.stop(grace=2)
