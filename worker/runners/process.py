"""The process runner: a child of a fork server in a session of its own, its pipes read in large blocks by the loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker import limits
from worker.lines import LineSplitter
from worker.zygotes import Exit, Order, Spawned, Zygote

_F_SETPIPE_SZ = 1031
_DRAIN_SECONDS = 2.0
"""How long pipes may stay open after the process has ended: somebody killed may still hold them for a moment."""

Lines = Callable[[list[str]], None]


class Process:
    """One running process of an attempt. Made by `run`; `stop` ends it from outside."""

    def __init__(self, grace_seconds: float = limits.STOP_GRACE_SECONDS) -> None:
        self._grace = grace_seconds
        self._spawned: Spawned | None = None
        self._stopping = False
        self._kill_timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """SIGTERM to the process group, SIGKILL after the grace. Before the process exists: at once when it does."""
        if self._stopping:
            return
        self._stopping = True
        self._terminate()

    def _terminate(self) -> None:
        spawned = self._spawned
        if spawned is None:
            return
        spawned.signal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        self._kill_timer = loop.call_later(self._grace, spawned.signal, signal.SIGKILL)

    async def run(
        self, zygote: Zygote, order: Order, stdout: LineReader, stderr: LineReader, control: socket.socket | None = None
    ) -> Exit:
        """Forks, reads until the end, returns how it ended. `control`: the child's end of a socket; closed here.

        Raises TaskFailed when no process can be had. Cancelled: the process is killed.
        """
        with _pipe() as (out_read, out_write), _pipe() as (err_read, err_write):
            try:
                descriptors = [out_write(), err_write(), *([control.fileno()] if control is not None else [])]
                self._spawned = await zygote.spawn(order, descriptors)
            finally:
                out_write(close=True)
                err_write(close=True)
                if control is not None:
                    control.close()
            if self._stopping:
                self._terminate()
            reading = [stdout.attach(out_read()), stderr.attach(err_read())]
            try:
                ended = await asyncio.shield(self._spawned.exit)
                await asyncio.wait(reading, timeout=_DRAIN_SECONDS)
                return ended
            finally:
                if not self._spawned.exit.done():
                    self._spawned.signal(signal.SIGKILL)
                if self._kill_timer is not None:
                    self._kill_timer.cancel()
                stdout.detach()
                stderr.detach()


class LineReader:
    """Reads one pipe on the loop and hands whole lines to `take`."""

    def __init__(self, splitter: LineSplitter, take: Lines) -> None:
        self._splitter = splitter
        self._take = take
        self._descriptor: int | None = None
        self._ended: asyncio.Future[None] | None = None
        self.lines_count = 0

    def attach(self, descriptor: int) -> asyncio.Future[None]:
        """Begins to read. The future ends with the stream."""
        loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._ended = loop.create_future()
        loop.add_reader(descriptor, self._read)
        return self._ended

    def _read(self) -> None:
        assert self._descriptor is not None
        try:
            block = os.read(self._descriptor, limits.PIPE_BLOCK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        if block:
            self._hand(self._splitter.feed(block))
        else:
            self.detach()

    def _hand(self, lines: list[str]) -> None:
        if lines:
            self.lines_count += len(lines)
            self._take(lines)

    def detach(self) -> None:
        """Ends the reading; what was read of an unfinished line is its last line."""
        if self._descriptor is None:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._descriptor = None
        self._hand(self._splitter.close())
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


class _End:
    """One end of a pipe that may be closed early."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def __call__(self, *, close: bool = False) -> int:
        found = -1 if self._descriptor is None else self._descriptor
        if close and self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        return found


@contextmanager
def _pipe() -> Iterator[tuple[_End, _End]]:
    """A pipe, read end and write end, as large as the kernel grants; both ends are closed afterwards."""
    read, write = map(_End, os.pipe())
    try:
        with contextlib.suppress(OSError):  # a machine with tight pipe limits: smaller blocks, nothing else changes
            fcntl.fcntl(write(), _F_SETPIPE_SZ, limits.PIPE_BLOCK_BYTES)
        yield read, write
    finally:
        read(close=True)
        write(close=True)
