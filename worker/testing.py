"""A plane for tests of workers: the real door over real gRPC, with a scripted memory behind it instead of an engine.

Use:

    with FakeGateway() as plane:
        token = plane.assign({"id": "hello", "type": "io.kestra.plugin.core.log.Log", "message": "hi"})
        assert plane.result(token).outcome == gateway.SUCCESS

A worker connects to `plane.address` with `plane.join_token`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

import grpc
import grpc.aio
import uvloop

from flows.plugins import Catalogue
from wire import gateway
from wire.ids import new_id
from wire.plugins import discover
from worker.testing_values import ScriptedValues

T = TypeVar("T")
_HANDLERS = "headrace.gateway.v1."


class FakeGateway:
    """Implements Enrolment and Gateway. Thread-safe for tests; its loop runs in a thread of its own.

    `results`, `lines`, `progress`, `started`, `sub_runs`: what workers reported, by lease. Log batches are checked: a gap is an
    error. `sub_lines`: lines of task runs below an attempt, by task run and attempt.
    `namespace_files`, `files`: contents by path and by URI. `secrets`: values by name. `acknowledging`: set to False to hold
    acknowledgements back. `lease_seconds`, `renew_seconds`: told in the Welcome.
    """

    def __init__(self, *, catalogue: Catalogue | None = None, port: int = 0, answers_renewals: bool = True) -> None:
        self.catalogue = catalogue if catalogue is not None else discover()
        self.join_token = "join-" + new_id()
        self.credentials: dict[str, str] = {}
        self.namespace = "company.team"
        self.namespace_files: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.secrets: dict[str, str] = {}
        self.caches: dict[str, bytes] = {}
        self.values = ScriptedValues(lambda: self.namespace, self.files, self.namespace_files)
        self.acknowledging = True
        self.answers_renewals = answers_renewals
        self.lease_seconds = 60
        self.renew_seconds = 10
        self.open: dict[str, gateway.Assign] = {}
        self.results: dict[str, gateway.Result] = {}
        self.result_count = 0
        self.lines: dict[str, list[gateway.LogLine]] = {}
        self.sub_runs: dict[str, list[gateway.SubRun]] = {}
        self.sub_lines: dict[tuple[str, int], list[gateway.LogLine]] = {}
        self.accepted: list[str] = []
        self.started: list[str] = []
        self.progress: dict[str, list[dict[str, Any]]] = {}
        self.hellos: list[gateway.Hello] = []
        self.errors: list[str] = []
        self._port = port
        self._changed = threading.Condition()
        self._queues: list[asyncio.Queue[gateway.ToWorker | None]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-gateway", daemon=True)
        self._server: grpc.aio.Server | None = None

    # ------------------------------------------------------------ life

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self) -> None:
        server = self._server = grpc.aio.server()
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        enrolment = {
            "Enrol": unary(self._enrol, gateway.EnrolRequest.FromString, gateway.EnrolResponse.SerializeToString),
        }
        calls: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Session": stream(self._session, gateway.ToPlane.FromString, gateway.ToWorker.SerializeToString),
            "PutFile": grpc.stream_unary_rpc_method_handler(
                self._put_file, gateway.PutFileChunk.FromString, gateway.PutFileResult.SerializeToString
            ),
            "GetFile": grpc.unary_stream_rpc_method_handler(
                self._get_file, gateway.GetFileRequest.FromString, gateway.FileChunk.SerializeToString
            ),
            "ListNamespaceFiles": unary(
                self._list, gateway.ListNamespaceFilesRequest.FromString, gateway.ListNamespaceFilesResponse.SerializeToString
            ),
            "ResolveSecrets": unary(
                self._resolve, gateway.ResolveSecretsRequest.FromString, gateway.ResolveSecretsResponse.SerializeToString
            ),
        }
        calls |= self.values.handlers()
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(_HANDLERS + "Enrolment", enrolment),
                grpc.method_handlers_generic_handler(_HANDLERS + "Gateway", calls),
            )
        )
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        await server.start()

    async def _stop(self) -> None:
        await self._disconnect()
        if self._server is not None:
            await self._server.stop(0.2)

    @property
    def address(self) -> str:
        """HOST:PORT of the door."""
        return f"127.0.0.1:{self._port}"

    def disconnect(self) -> None:
        """Ends every open stream; workers come back."""
        self._do(self._disconnect())

    async def _disconnect(self) -> None:
        for queue in self._queues:
            queue.put_nowait(None)

    # ------------------------------------------------------------ what a test does

    def assign(self, task: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> gateway.AttemptToken:
        """Hands one task out, to whoever is connected or connects next. Returns its token."""
        return self.assign_many([task], context)[0]

    def assign_many(self, tasks: list[Mapping[str, Any]], context: Mapping[str, Any] | None = None) -> list[gateway.AttemptToken]:
        """Hands several tasks out in one message."""
        execution_id = new_id()
        assigns = [self._make(task, context or {}, execution_id) for task in tasks]
        self._loop.call_soon_threadsafe(self._hand_out, assigns)
        return [assign.token for assign in assigns]

    def _make(self, task: Mapping[str, Any], context: Mapping[str, Any], execution_id: str) -> gateway.Assign:
        found = self.catalogue.get(task["type"])
        token = gateway.AttemptToken(execution_id=execution_id, task_run_id=new_id(), attempt=1, lease_id=new_id())
        return gateway.Assign(
            token=token,
            task_type=task["type"],
            task_json=json.dumps(task).encode(),
            context_json=json.dumps(context).encode(),
            namespace=self.namespace,
            flow_id="flow",
            flow_revision=1,
            task_id=task["id"],
            light=found is not None and found.kind == "light",
        )

    def _hand_out(self, assigns: list[gateway.Assign]) -> None:
        for assign in assigns:
            self.open[assign.token.lease_id] = assign
        self._tell(gateway.ToWorker(assign=assigns))

    def stop_attempt(self, token: gateway.AttemptToken) -> None:
        """Asks the worker to end an attempt."""
        self._loop.call_soon_threadsafe(self._tell, gateway.ToWorker(stop=[token]))

    def tell(self, message: gateway.ToWorker) -> None:
        """Sends any message to whoever is connected."""
        self._loop.call_soon_threadsafe(self._tell, message)

    def _tell(self, message: gateway.ToWorker) -> None:
        for queue in self._queues:
            queue.put_nowait(message)

    def until(self, reached: Callable[[], bool], seconds: float = 20.0, what: str = "the awaited state") -> None:
        """Waits until a condition on what was reported holds. Raises TimeoutError naming `what`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not reached():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{what} was not reached in {seconds:g} s; errors: {self.errors}")
                self._changed.wait(min(left, 0.5))

    def result(self, token: gateway.AttemptToken, seconds: float = 20.0) -> gateway.Result:
        """The result of an attempt, waited for; all of its log has arrived then."""
        self.until(lambda: token.lease_id in self.results, seconds, f"a result of {token.task_run_id}")
        return self.results[token.lease_id]

    def texts(self, token: gateway.AttemptToken) -> list[str]:
        """The log lines of an attempt so far."""
        return [line.text for line in self.lines.get(token.lease_id, [])]

    def sub_run(self, token: gateway.AttemptToken, task_id: str) -> gateway.SubRun:
        """The task run of that task below an attempt. Raises KeyError when none was told of."""
        for run in self.sub_runs.get(token.lease_id, []):
            if run.task_id == task_id:
                return run
        raise KeyError(task_id)

    def sub_texts(self, run: gateway.SubRun) -> list[str]:
        """The log lines of the last attempt of a task run below an attempt."""
        return [line.text for line in self.sub_lines.get((run.id, run.attempts), [])]

    def connected(self, seconds: float = 20.0) -> None:
        """Waits until a worker is connected."""
        self.until(lambda: bool(self._queues), seconds, "a connected worker")

    # ------------------------------------------------------------ the door

    async def _enrol(self, request: gateway.EnrolRequest, context: Any) -> gateway.EnrolResponse:
        if request.join_token != self.join_token:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the join token is unknown or used up")
        worker_id, credential = new_id(), "credential-" + new_id()
        self.credentials[credential] = worker_id
        return gateway.EnrolResponse(tenant="main", worker_group="default", worker_id=worker_id, credential=credential)

    async def _known(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization", "").removeprefix("Bearer ") not in self.credentials:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the credential is unknown")

    async def _session(self, requests: AsyncIterator[gateway.ToPlane], context: Any) -> AsyncIterator[gateway.ToWorker]:
        await self._known(context)
        queue: asyncio.Queue[gateway.ToWorker | None] = asyncio.Queue()
        reading = asyncio.ensure_future(self._listen(requests, queue))
        try:
            while (message := await queue.get()) is not None:
                yield message
        finally:
            reading.cancel()
            with contextlib.suppress(ValueError):
                self._queues.remove(queue)

    async def _listen(self, requests: AsyncIterator[gateway.ToPlane], queue: asyncio.Queue[gateway.ToWorker | None]) -> None:
        try:
            async for message in requests:
                if message.HasField("hello"):
                    queue.put_nowait(self._welcome(message.hello))
                    self._queues.append(queue)
                    known = {held.token.lease_id for held in message.hello.held}
                    again = [assign for lease, assign in self.open.items() if lease not in known]
                    if again:
                        queue.put_nowait(gateway.ToWorker(assign=again))
                answer = self._take(message)
                if answer is not None:
                    queue.put_nowait(answer)
                with self._changed:
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - a broken stream is one of the things tests do
            if not isinstance(error, asyncio.CancelledError | grpc.aio.AioRpcError):
                self.errors.append(repr(error))
        finally:
            queue.put_nowait(None)

    def _welcome(self, hello: gateway.Hello) -> gateway.ToWorker:
        self.hellos.append(hello)
        kinds = gateway.Verdict
        verdicts = []
        for held in hello.held:
            lease = held.token.lease_id
            kind = kinds.DONE if lease in self.results else kinds.KEEP if lease in self.open else kinds.STOP
            verdicts.append(gateway.Verdict(token=held.token, kind=kind))
        welcome = gateway.Welcome(
            epoch=len(self.hellos),
            lease_seconds=self.lease_seconds,
            renew_seconds=self.renew_seconds,
            message_bytes_max=4_000_000,
            verdicts=verdicts,
        )
        return gateway.ToWorker(welcome=welcome)

    def _take(self, message: gateway.ToPlane) -> gateway.ToWorker | None:
        self.accepted += [token.lease_id for token in message.accepted]
        self.started += [started.token.lease_id for started in message.started]
        for progress in message.progress:
            self.progress.setdefault(progress.token.lease_id, []).append(json.loads(progress.progress_json))
        for batch in message.logs:
            if batch.sub_task_id:
                lines = self.sub_lines.setdefault((batch.token.task_run_id, batch.token.attempt), [])
            else:
                lines = self.lines.setdefault(batch.token.lease_id, [])
            if batch.first > len(lines):
                self.errors.append(f"log of {batch.token.task_run_id}: line {batch.first} follows line {len(lines) - 1}")
            lines.extend(batch.lines[max(0, len(lines) - batch.first) :])
        for report in message.reports:
            known = self.sub_runs.setdefault(report.token.lease_id, [])
            present = {run.id for run in known}
            known += [run for run in report.runs if run.id not in present]
        for result in message.results:
            lease = result.token.lease_id
            if lease in self.open or lease not in self.results:
                self.results[lease] = result
                self.result_count += 1
            self.open.pop(lease, None)
        renewed = message.renew.round if self.answers_renewals else 0
        ack = message.seq if self.acknowledging else 0
        return gateway.ToWorker(ack=ack, renewed=renewed) if ack or renewed else None

    async def _put_file(self, chunks: AsyncIterator[gateway.PutFileChunk], context: Any) -> gateway.PutFileResult:
        await self._known(context)
        data, digest = b"", ""
        first: gateway.PutFileChunk | None = None
        async for chunk in chunks:
            first = first if first is not None else chunk
            data += chunk.data
            digest = chunk.sha256 or digest
        if first is None or hashlib.sha256(data).hexdigest() != digest:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the SHA-256 does not fit")
            raise AssertionError("abort raises")
        token, name = first.token, first.name
        if first.cache:
            self.caches[first.cache] = data
            return gateway.PutFileResult(size_bytes=len(data))
        if first.HasField("namespace_file"):
            path = first.namespace_file.path
            present = self.namespace_files.get(path)
            if present is not None and first.namespace_file.conflict == "ERROR":
                await context.abort(grpc.StatusCode.ALREADY_EXISTS, f"file.exists: {path} is there already")
            if present is None or first.namespace_file.conflict != "SKIP":
                self.namespace_files[path] = data
            return gateway.PutFileResult(uri=f"kestra:///{self.namespace.replace('.', '/')}/_files/{path}", size_bytes=len(data))
        run = f"{first.sub_run.task_id}/{first.sub_run.id}" if first.HasField("sub_run") else f"task/{token.task_run_id}"
        place = f"{self.namespace.replace('.', '/')}/flow/executions/{token.execution_id}/tasks/{run}"
        uri = f"kestra:///{place}/{name}"
        self.files[uri] = data
        return gateway.PutFileResult(uri=uri, size_bytes=len(data))

    async def _get_file(self, request: gateway.GetFileRequest, context: Any) -> AsyncIterator[gateway.FileChunk]:
        await self._known(context)
        if request.cache and request.cache not in self.caches:
            await context.abort(grpc.StatusCode.NOT_FOUND, "cache.missing: nothing is kept")
        data = self.caches[request.cache] if request.cache else self.files.get(request.uri)
        if data is None and request.uri.startswith("nsfile:///"):
            data = self.namespace_files.get(request.uri.removeprefix("nsfile:///"))
        if data is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no file {request.uri}")
            raise AssertionError("abort raises")
        for chunk in _chunks(data):
            yield gateway.FileChunk(data=chunk)

    async def _list(self, request: gateway.ListNamespaceFilesRequest, context: Any) -> gateway.ListNamespaceFilesResponse:
        await self._known(context)
        return gateway.ListNamespaceFilesResponse(
            files=[
                gateway.NamespaceFile(path=path, size_bytes=len(data), version=1, sha256=hashlib.sha256(data).hexdigest())
                for path, data in sorted(self.namespace_files.items())
            ]
        )

    async def _resolve(self, request: gateway.ResolveSecretsRequest, context: Any) -> gateway.ResolveSecretsResponse:
        await self._known(context)
        values = {name: self.secrets[name] for name in request.names if name in self.secrets}
        return gateway.ResolveSecretsResponse(values=values, missing=[name for name in request.names if name not in values])


def _chunks(data: bytes, size: int = 65_536) -> Iterator[bytes]:
    for start in range(0, max(len(data), 1), size):
        yield data[start : start + size]


class AgentThread:
    """A real agent in a thread of this process, for tests that need no `kill -9`."""

    def __init__(self, agent: Any) -> None:
        self._agent = agent
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agent")
        self._ended: Any = None

    def __enter__(self) -> Self:
        begun = threading.Event()

        async def life() -> int:
            self._loop = asyncio.get_running_loop()
            begun.set()
            status: int = await self._agent.run()
            return status

        self._ended = self._pool.submit(lambda: uvloop.run(life()))
        begun.wait(5)
        return self

    def stop(self, seconds: float = 30.0) -> int:
        """Drains the agent and waits for its end. Returns its exit status."""
        assert self._loop is not None
        if not self._ended.done():
            self._loop.call_soon_threadsafe(self._agent.stop)
        status: int = self._ended.result(seconds)
        return status

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._pool.shutdown()

    def wait(self, seconds: float = 30.0) -> int:
        """Waits until the agent ends by itself. Returns its exit status, or raises what ended it."""
        status: int = self._ended.result(seconds)
        return status
