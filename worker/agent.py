"""The composition root: reads options, builds the parts, starts and stops them in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import grpc.aio
import orjson
import uvloop

from flows.expressions.ambient import make_ambient
from flows.machine.events import SubRun
from flows.plugins import Catalogue
from wire import gateway
from wire.plugins import discover
from worker import limits
from worker.agent_context import Toolbox
from worker.attempt import Attempt
from worker.config import WorkerOptions
from worker.door import Bridge, Door
from worker.errors import WorkerCannotStart
from worker.executor import Executor
from worker.families import family_of, modules_of
from worker.folders import Folders
from worker.identity import Identity, enrol, store_identity, stored_identity
from worker.rendering import Plans, environment_variables
from worker.session import Drain, Goodbye, HelloFacts, Reconnect, Start, Stop, WorkerSession
from worker.spool import SqliteSpool
from worker.subruns import message_of
from worker.transport import Transport, open_channel
from worker.triggers.agent import TriggerAgent
from worker.triggers.context import TriggerTools
from worker.zygotes import COMMANDS, Zygotes

_log = logging.getLogger("headrace.worker")
_TICK_SECONDS = 0.5
_SWEEP_SECONDS = 600.0
_FLUSH_SECONDS = 5.0
"""How long the last results may take to be acknowledged before the agent ends; they are in the spool anyway."""


def run(options: WorkerOptions) -> int:
    """Runs a worker until it is told to stop (SIGTERM, SIGINT). Returns the exit status: 0, or 3 when it cannot go on."""
    try:
        agent = Agent(options)
        # What is loaded by now stays for good: the collector need not look at it after every few thousand attempts.
        gc.collect()
        gc.freeze()
        return uvloop.run(agent.run())
    except WorkerCannotStart as error:
        _log.error("%s [%s]", error, error.code)
        return 3


def product_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("headrace")
    except PackageNotFoundError:
        return "0"


class Agent:
    """One worker. `run` is its life."""

    def __init__(self, options: WorkerOptions, catalogue: Catalogue | None = None) -> None:
        self._options = options
        self._catalogue = catalogue if catalogue is not None else discover()
        self._folders = Folders(options.data)
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._executor: Executor
        self._session: WorkerSession
        self._transport: Transport

    def stop(self) -> None:
        """Begins to drain; a second call ends what still runs."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def run(self) -> int:
        """Enrols if need be, works, drains, ends. Raises WorkerCannotStart."""
        options = self._options
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, self.stop)
            except (ValueError, RuntimeError):
                break  # not in the main thread: whoever embeds the agent calls stop()
        try:
            self._folders.prepare()
        except OSError as error:
            raise WorkerCannotStart(f"The data folder {options.data} cannot be used: {error.strerror}.") from None
        credential = options.data / "credential.json"
        channel = open_channel(options.plane, tls=options.tls, tls_ca=options.tls_ca)
        spool = SqliteSpool(options.data / "spool.db", log_bytes_max=options.spool_log_bytes_max)
        try:
            identity = stored_identity(credential)
            fresh = identity is None
            while not self._stopping.is_set():
                if identity is None:
                    identity = await self._enrol(channel)
                    if identity is None:
                        break
                    store_identity(credential, identity)
                try:
                    await self._work(channel, identity, spool)
                except PermissionError as error:
                    if fresh or not options.join_token:
                        message = f"The plane refused this worker's credential ({error}). Remove {credential} and enrol it again."
                        raise WorkerCannotStart(message, code="worker.credential_refused") from None
                    _log.warning("credential refused (%s); enrolling again", error)
                    identity, fresh = None, True
            return 0
        finally:
            spool.close()
            await channel.close()

    async def _enrol(self, channel: grpc.aio.Channel) -> Identity | None:
        while not self._stopping.is_set():
            asking = asyncio.ensure_future(enrol(channel, self._options, product_version()))
            stop = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait((asking, stop), return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if not asking.done():
                asking.cancel()
                break
            try:
                identity = asking.result()
            except ConnectionError as error:
                _log.warning("the plane at %s is away: %s", self._options.plane, error)
                continue
            _log.info("enrolled in tenant %s, worker group %s", identity.tenant, identity.worker_group)
            return identity
        return None

    # ------------------------------------------------------------ one life with one credential

    async def _work(self, channel: grpc.aio.Channel, identity: Identity, spool: SqliteSpool) -> None:
        options = self._options
        loop = asyncio.get_running_loop()
        zygotes = Zygotes(modules_of)
        self._session = WorkerSession(spool, self._hello())
        self._transport = Transport(channel, self._session, identity.metadata, self._act)
        door, bridge = Door(channel, identity.metadata), Bridge(loop)
        environment = environment_variables(str(self._folders.data))
        ambient = make_ambient(lambda: datetime.now(UTC), random.Random())
        tools = Toolbox(
            door,
            bridge,
            self._folders.cache,
            environment,
            ambient,
            options.default_runner,
            self._report,
            self._sub_runs,
        )
        slots = (options.light_slots, options.process_slots)
        self._executor = Executor(
            self._session, tools, Plans(self._catalogue), self._folders, zygotes, slots, self._transport.wake
        )
        seeing = TriggerTools(door, bridge, self._folders, environment, ambient, options.local_paths)
        triggers = TriggerAgent(channel, identity.metadata, self._catalogue, seeing)
        helpers = [
            asyncio.create_task(triggers.run()),
            asyncio.create_task(self._tick()),
            asyncio.create_task(self._warm(zygotes)),
            asyncio.create_task(self._sweep(zygotes)),
        ]
        stream = asyncio.create_task(self._transport.run())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((stream, stop), return_when=asyncio.FIRST_COMPLETED)
            if stream.done():
                stream.result()  # raises PermissionError
            await triggers.leave()
            await self._drain()
        finally:
            for task in (stop, stream, *helpers):
                task.cancel()
            for attempt in self._executor.running:
                attempt.stop("drain")
            await self._executor.close()
            await asyncio.gather(stop, stream, *helpers, return_exceptions=True)
            spool.commit()

    def _hello(self) -> HelloFacts:
        options = self._options
        types = sorted(name for name, task in self._catalogue.entries.items() if task.kind in ("light", "process"))
        labels = {**options.labels, "default-runner": options.default_runner}
        return HelloFacts(product_version(), options.light_slots, options.process_slots, tuple(types), labels)

    def _act(self) -> None:
        for action in self._session.take_actions():
            match action:
                case Start(assign):
                    self._executor.start(assign)
                case Stop(token, reason):
                    self._executor.stop(token, reason)
                case Reconnect(reason):
                    self._transport.reconnect(reason)
                case Drain():
                    self.stop()
                case Goodbye(reason):
                    self._transport.reconnect(f"the plane said goodbye: {reason}")
        self._executor.run_inline()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._session.tick(time.monotonic())
            self._act()
            self._transport.wake()

    async def _warm(self, zygotes: Zygotes) -> None:
        """Starts the interpreter for commands, and families named in the options, before anybody waits for them."""
        modules = {family.split(".")[-1]: family for family in map(family_of, self._catalogue)}
        for family in (COMMANDS, *(modules[name] for name in self._options.preload if name in modules)):
            await zygotes.of(family).ready()

    async def _sweep(self, zygotes: Zygotes) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await zygotes.close_idle()
            await asyncio.to_thread(self._folders.sweep)

    def _report(self, attempt: Attempt, what: dict[str, Any]) -> None:
        """Passes progress on, at most twice a second an attempt; the latest word always gets through."""
        if attempt.ended:
            return
        now = time.monotonic()
        wait = attempt.progress_at + limits.PROGRESS_SECONDS - now
        if attempt.progress_later is not None:
            attempt.progress_later.cancel()
            attempt.progress_later = None
        if wait > 0:
            attempt.progress_later = asyncio.get_running_loop().call_later(wait, self._report, attempt, what)
            return
        attempt.progress_at = now
        data = orjson.dumps(attempt.masker.mask_value(what), default=str, option=orjson.OPT_NON_STR_KEYS)
        self._session.progress(attempt.token, data)
        self._transport.wake()

    def _sub_runs(self, attempt: Attempt, runs: Sequence[SubRun]) -> None:
        """Keeps what an attempt tells of task runs below it, and passes it on."""
        if attempt.ended:
            return
        messages = [message_of(run, attempt.masker) for run in runs]
        self._session.report(gateway.Report(token=attempt.lease, runs=messages))
        self._transport.wake()

    # ------------------------------------------------------------ the end

    async def _drain(self) -> None:
        """Takes nothing new, lets attempts finish within the grace, gives the rest back, waits for acknowledgements."""
        _log.info("draining: %d attempts run", self._session.running_count)
        self._session.drain()
        self._transport.wake()
        await self._until(lambda: self._session.running_count == 0, self._options.drain_seconds)
        for attempt in self._executor.running:
            attempt.stop("drain")
        await self._until(lambda: self._session.running_count == 0, limits.STOP_GRACE_SECONDS + 2)
        await self._until(lambda: self._session.settled, _FLUSH_SECONDS)

    async def _until(self, reached: Any, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not reached() and time.monotonic() < until and not self._hurry.is_set():  # noqa: ASYNC110 - several ends, no haste
            await asyncio.sleep(0.05)
