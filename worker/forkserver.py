"""A warm, single-threaded interpreter that forks a child for each process attempt.

Started by the agent as `python -m worker.forkserver FD [MODULE…]`, FD being one end of a SOCK_SEQPACKET pair. It imports
little, so that a fork is cheap and safe: no threads, no asyncio, no gRPC. Modules named on the command line are imported
once and shared by all children.

Requests are JSON datagrams: `spawn` (with the descriptors stdout, stderr and, for Python tasks, control, as SCM_RIGHTS),
`signal`. Answers: `ready`, `spawned`, `exited`. When the agent goes away (end of stream), every group started here is killed
and the server ends: no task outlives the agent that answers for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import Any, NoReturn

REQUEST_BYTES_MAX = 190_000
"""Bytes of one datagram; larger requests come as a file (`spec`)."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ENDED_REMEMBERED = 256
_OOM_SCORE = "500"
"""When memory runs out, a task goes before the agent that answers for all of them."""
_libc = ctypes.CDLL(None, use_errno=True)


class ForkServer:
    """Forks, signals and reaps. One thread, one loop."""

    def __init__(self, agent: socket.socket) -> None:
        self._agent = agent
        self._pid = os.getpid()
        self._running: dict[int, tuple[str, str]] = {}  # pid → (request id, marker)
        self._ended: dict[str, None] = {}  # markers of attempts that ended here: what carries one has no right to live
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def serve(self) -> NoReturn:
        """Runs until the agent goes away."""
        # Processes that leave their group (daemons) come to us when their parents end, and are found by their marker.
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)  # a terminal's Ctrl-C is the agent's business
        self._say({"op": "ready", "threads": len(os.listdir("/proc/self/task"))})
        poll = select.poll()
        poll.register(self._agent, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake_read:
                    os.read(self._wake_read, 4096)
                    self._reap()
                else:
                    self._request()

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._agent.send(json.dumps(message).encode())
        except OSError:
            self._end()

    def _request(self) -> None:
        try:
            data, ancillary, _, _ = self._agent.recvmsg(REQUEST_BYTES_MAX, socket.CMSG_SPACE(64), socket.MSG_CMSG_CLOEXEC)
        except OSError:
            self._end()
        descriptors: list[int] = []
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                whole = len(content) - len(content) % 4
                descriptors += memoryview(content[:whole]).cast("i").tolist()
        if not data:
            self._end()
        request = json.loads(data)
        if "spec" in request:
            with open(request["spec"], encoding="utf-8") as file:
                request.update(json.load(file))
        if request["op"] == "spawn":
            self._spawn(request, descriptors)
        elif request["op"] == "signal":
            self._signal(request["pid"], request["signal"])
        for descriptor in descriptors:
            os.close(descriptor)

    def _spawn(self, request: dict[str, Any], descriptors: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._say({"op": "exited", "id": request["id"], "status": 127, "error": f"fork failed: {error.strerror}"})
            return
        if pid == 0:
            self._child(request, descriptors)
        self._running[pid] = (request["id"], request["marker"])
        self._say({"op": "spawned", "id": request["id"], "pid": pid})

    def _child(self, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
        status = 127
        try:
            os.setsid()
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != self._pid:
                os._exit(127)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(descriptors[0], 1)
            os.dup2(descriptors[1], 2)
            control = descriptors[2] if len(descriptors) > 2 else -1
            for descriptor in (self._agent.fileno(), self._wake_read, self._wake_write, nothing, *descriptors[:2]):
                os.close(descriptor)
            for name, (soft, hard) in request.get("limits", {}).items():
                resource.setrlimit(getattr(resource, name), (soft, hard))
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
                score.write(_OOM_SCORE)
            os.chdir(request["cwd"])
            if request["kind"] == "exec":
                os.execvpe(request["argv"][0], request["argv"], request["env"])
            os.environ.clear()
            os.environ.update(request["env"])
            status = importlib.import_module("worker.child").run(control)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)

    def _signal(self, pid: int, number: int) -> None:
        if pid not in self._running:
            return
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            # Not yet a leader of its own group, or the group is empty.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            known = self._running.pop(pid, None)
            if known is None:
                continue
            _kill_group(pid)
            self._ended[known[1]] = None
            if len(self._ended) > _ENDED_REMEMBERED:
                del self._ended[next(iter(self._ended))]
            self._say(
                {
                    "op": "exited",
                    "id": known[0],
                    "status": os.waitstatus_to_exitcode(status),
                    "user_seconds": usage.ru_utime,
                    "system_seconds": usage.ru_stime,
                    "memory_kib": usage.ru_maxrss,
                }
            )
        self._kill_strays()

    def _kill_strays(self) -> None:
        """Kills what an ended attempt left behind in a session of its own."""
        for pid in _children_of(self._pid):
            if pid not in self._running and _marker_of(pid) in self._ended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _end(self) -> NoReturn:
        for pid, (_, marker) in list(self._running.items()):
            self._ended[marker] = None
            _kill_group(pid)
        # Those killed hand their own children to us; look until nobody is left.
        for _ in range(20):
            strays = _children_of(self._pid)
            if not strays:
                break
            for pid in strays:
                if pid in self._running or _marker_of(pid) in self._ended:
                    _kill_group(pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                break
            select.select([], [], [], 0.01)
        os._exit(0)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _children_of(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(text) for text in file.read().split()]
    except OSError:
        return []


def _marker_of(pid: int) -> str:
    """The attempt a process belongs to, from its first environment; empty when it tells none."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            for entry in file.read().split(b"\0"):
                if entry.startswith(b"HEADRACE_LEASE="):
                    return entry[15:].decode(errors="replace")
    except OSError:
        pass
    return ""


def main(arguments: list[str]) -> NoReturn:
    """`python -m worker.forkserver FD [MODULE…]`."""
    agent = socket.socket(fileno=int(arguments[0]))
    agent.set_inheritable(False)
    for name in arguments[1:]:
        importlib.import_module(name)
    ForkServer(agent).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
