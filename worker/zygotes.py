"""The agent's side of its fork servers: one lean one for commands, one per family of Python tasks, started when needed."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wire.ids import new_id
from worker import forkserver, limits
from worker.errors import TaskFailed

_log = logging.getLogger("headrace.worker")
COMMANDS = ""
"""Name of the family that only executes commands: nothing is preloaded."""

_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. `status`: exit code, negative for a signal. `lost`: its fork server went away with it."""

    status: int
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    memory_kib: int = 0
    lost: bool = False
    error: str = ""


@dataclass(slots=True)
class Spawned:
    """A process that was forked. `exit` ends with it."""

    zygote: Zygote
    id: str
    pid: int
    exit: asyncio.Future[Exit]

    def signal(self, number: int) -> None:
        """Signals the process group. Nothing happens when it has ended."""
        if not self.exit.done():
            self.zygote.signal(self.pid, number)


@dataclass(slots=True)
class Order:
    """What to fork: `argv` for a command; empty for a Python task, which gets its order by the control socket."""

    env: Mapping[str, str]
    cwd: Path
    marker: str
    argv: Sequence[str] = ()
    limits: Mapping[str, tuple[int, int]] = field(default_factory=lambda: {"RLIMIT_CORE": (0, 0)})


class Zygote:
    """One fork server and its children."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = tuple(modules)
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: asyncio.Future[int] | None = None
        self._children: dict[str, tuple[asyncio.Future[Spawned], asyncio.Future[Exit]]] = {}
        self._pids: dict[str, int] = {}
        self.used_at = time.monotonic()

    @property
    def idle(self) -> bool:
        """Alive and without children."""
        return self._channel is not None and not self._children

    async def ready(self) -> None:
        """Starts the server unless it runs, and waits until it can fork. Raises TaskFailed."""
        self.used_at = time.monotonic()
        if self._ready is None:
            self._start()
        assert self._ready is not None
        try:
            threads = await asyncio.wait_for(asyncio.shield(self._ready), _READY_SECONDS)
        except TimeoutError:
            raise TaskFailed("The worker could not start its interpreter for tasks in time.", code="worker.fork_failed") from None
        if threads > 1 and self._modules:
            # Forking a process with threads may deadlock the child; the libraries are then imported by each child.
            _log.warning("preloading %s starts threads; tasks of this family start cold", ", ".join(self._modules))
            await self.close()
            self._modules = ()
            await self.ready()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._ready = loop.create_future()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker.forkserver", str(theirs.fileno()), *self._modules],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
        )
        theirs.close()
        self._channel = ours
        loop.add_reader(ours.fileno(), self._read)

    async def spawn(self, order: Order, descriptors: Sequence[int]) -> Spawned:
        """Forks a child that gets these descriptors (stdout, stderr, control). The caller closes its own copies.

        Raises TaskFailed when no process can be had.
        """
        await self.ready()
        loop = asyncio.get_running_loop()
        spawned: asyncio.Future[Spawned] = loop.create_future()
        ended: asyncio.Future[Exit] = loop.create_future()
        request_id = new_id()
        self._children[request_id] = (spawned, ended)
        body: dict[str, Any] = {
            "kind": "exec" if order.argv else "python",
            "argv": list(order.argv),
            "env": dict(order.env),
            "cwd": str(order.cwd),
            "limits": dict(order.limits),
        }
        request = {"op": "spawn", "id": request_id, "marker": order.marker, **body}
        data = json.dumps(request).encode()
        spec = None
        if len(data) > forkserver.REQUEST_BYTES_MAX - 10_000:
            spec = order.cwd.parent / f"spawn-{request_id}.json"
            spec.touch(0o600)
            spec.write_text(json.dumps(body), encoding="utf-8")
            data = json.dumps({"op": "spawn", "id": request_id, "marker": order.marker, "spec": str(spec)}).encode()
        try:
            await self._send(data, descriptors)
            return await spawned
        finally:
            if spec is not None:
                spec.unlink(missing_ok=True)

    def signal(self, pid: int, number: int) -> None:
        """Signals a child's group through the server, which knows whether the number still belongs to it."""
        if self._channel is None:
            return
        try:
            self._channel.send(json.dumps({"op": "signal", "pid": pid, "signal": number}).encode())
        except OSError:
            _kill_group(pid, number)

    async def _send(self, data: bytes, descriptors: Sequence[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        while self._channel is not None:
            try:
                self._channel.sendmsg([data], rights)
            except BlockingIOError:
                await asyncio.sleep(0.002)
            except OSError:
                break
            else:
                return
        raise TaskFailed("The worker's interpreter for tasks went away.", code="worker.fork_failed")

    def _read(self) -> None:
        assert self._channel is not None
        while self._channel is not None:
            try:
                data = self._channel.recv(65_536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._gone()
                return
            self._take(json.loads(data))

    def _take(self, message: dict[str, Any]) -> None:
        if message["op"] == "ready":
            assert self._ready is not None
            if not self._ready.done():
                self._ready.set_result(int(message["threads"]))
            return
        spawned, ended = self._children[message["id"]]
        if message["op"] == "spawned":
            self._pids[message["id"]] = message["pid"]
            if not spawned.done():
                spawned.set_result(Spawned(self, message["id"], message["pid"], ended))
            return
        del self._children[message["id"]]
        self._pids.pop(message["id"], None)
        self.used_at = time.monotonic()
        if not spawned.done():
            spawned.set_exception(TaskFailed(message.get("error", "no process"), code="worker.fork_failed"))
        if not ended.done():
            usage = [message.get(name, 0) for name in ("user_seconds", "system_seconds", "memory_kib")]
            ended.set_result(Exit(message["status"], usage[0], usage[1], usage[2]))

    def _gone(self) -> None:
        """The server died: its children are killed, their attempts are lost."""
        self._detach()
        for pid in self._pids.values():
            _kill_group(pid, signal.SIGKILL)
        self._pids.clear()
        children, self._children = self._children, {}
        failure = "The worker's interpreter for tasks went away."
        for spawned, ended in children.values():
            if not spawned.done():
                spawned.set_exception(TaskFailed(failure, code="worker.fork_failed"))
            if not ended.done():
                ended.set_result(Exit(-signal.SIGKILL, lost=True))
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(TaskFailed(failure, code="worker.fork_failed"))
        self._ready = None

    def _detach(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None
        process, self._process = self._process, None
        if process is not None:
            _reap_soon(process)

    async def close(self) -> None:
        """Ends the server and everything it started."""
        if self._channel is not None:
            self._gone()


class Zygotes:
    """The fork servers of an agent, by family."""

    def __init__(self, modules_of: Callable[[str], Sequence[str]]) -> None:
        self._modules_of = modules_of
        self._families: dict[str, Zygote] = {}

    def of(self, family: str) -> Zygote:
        """The server of a family; `COMMANDS` for commands."""
        found = self._families.get(family)
        if found is None:
            found = self._families[family] = Zygote(() if family == COMMANDS else self._modules_of(family))
        return found

    async def close_idle(self) -> None:
        """Gives the memory of heavy families back that nobody has used for a while."""
        before = time.monotonic() - limits.FAMILY_IDLE_SECONDS
        for family, zygote in self._families.items():
            if family != COMMANDS and zygote.idle and zygote.used_at < before:
                await zygote.close()

    async def close(self) -> None:
        """Ends all of them."""
        for zygote in self._families.values():
            await zygote.close()


def clean_environment() -> dict[str, str]:
    """The worker's environment without what is the worker's own business: its settings and any secrets of a plane beside it."""
    ours = ("HEADRACE_", "SECRET_", "DJANGO_", "GRPC_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _kill_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _reap_soon(process: subprocess.Popen[bytes]) -> None:
    """Waits for a server that was told to end, without holding the loop; one that does not is killed."""

    def wait() -> None:
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    asyncio.get_running_loop().run_in_executor(None, wait)
