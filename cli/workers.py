"""Worker processes beside an embedded control plane: started, watched, started again when they die, stopped with it.

When the control plane dies without a word its workers live on, finish what they run and keep the results. The next
`headrace up` on the same folder finds them by a note beside their data and takes them back.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

RESTART_SECONDS = 1.0
"""Least time between two starts of one worker; doubled at each death up to the next."""

RESTART_SECONDS_MAX = 30.0
STEADY_SECONDS = 60.0
"""A worker that lived this long starts the waiting over."""

STOP_SECONDS = 10.0
"""How long a worker may take to hand in what it holds before it is killed."""

log = logging.getLogger("headrace.up")


class _Process(Protocol):
    """What a child must be able to do: `subprocess.Popen` and `_Adopted` can."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class _Adopted:
    """A worker that an earlier control plane started."""

    def __init__(self, pid: int, born: str) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._born = born

    def poll(self) -> int | None:
        if self.returncode is None and _birth(self.pid) != self._born:
            self.returncode = 0
        return self.returncode

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout if timeout is not None else STOP_SECONDS)
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("worker", timeout or STOP_SECONDS)
            time.sleep(0.05)
        return 0

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


@dataclass
class _Child:
    number: int
    process: _Process | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    wait_seconds: float = field(default=RESTART_SECONDS)


class LocalWorkers:
    """`count` workers of one plane. `join_token` makes a fresh permission to enrol; it is asked for each start."""

    def __init__(self, count: int, plane: str, data: Path, join_token: Callable[[], str]) -> None:
        self._children = [_Child(number) for number in range(1, count + 1)]
        self._plane = plane
        self._data = data
        self._join_token = join_token

    def pids(self) -> list[int]:
        """Processes that live now."""
        return [child.process.pid for child in self._children if child.process is not None and child.process.poll() is None]

    def start(self) -> None:
        """Takes back those that are still there, starts the others."""
        for child in self._children:
            child.process = self._adopt(child)
            child.started_at = time.monotonic()
            if child.process is None:
                self._start(child)

    def tend(self) -> None:
        """Looks after them: who died is started again, later each time it dies young. Call it twice a second."""
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                if now - child.started_at > STEADY_SECONDS:
                    child.wait_seconds = RESTART_SECONDS
                log.warning("worker %d ended (status %s); it starts again", child.number, child.process.returncode)
                child.start_at = now + child.wait_seconds
                child.wait_seconds = min(child.wait_seconds * 2, RESTART_SECONDS_MAX)
                child.process = None
            if child.process is None and child.start_at <= now:
                self._start(child)

    def stop(self) -> None:
        """Asks them to end, waits, and kills who does not."""
        living = [child.process for child in self._children if child.process is not None and child.process.poll() is None]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in living:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self._children:
            self._note(child).unlink(missing_ok=True)

    def _note(self, child: _Child) -> Path:
        return self._data / f"worker-{child.number}.json"

    def _start(self, child: _Child) -> None:
        data = self._data / f"worker-{child.number}"
        command = [
            sys.executable,
            "-m",
            "cli.main",
            "worker",
            "--plane",
            self._plane,
            "--data",
            str(data),
            "--name",
            f"local-{child.number}",
        ]
        environment = os.environ | {"HEADRACE_JOIN_TOKEN": self._join_token()}
        # A session of its own: Ctrl-C in the terminal reaches the plane, which then stops its workers in order.
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        child.process = process
        child.started_at = time.monotonic()
        self._note(child).write_text(
            json.dumps({"pid": process.pid, "born": _birth(process.pid), "plane": self._plane}), encoding="utf-8"
        )

    def _adopt(self, child: _Child) -> _Process | None:
        """A worker of an earlier control plane on this folder; ended first when it looks for that plane elsewhere."""
        try:
            note = json.loads(self._note(child).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not note.get("born") or _birth(note["pid"]) != note["born"]:
            return None
        adopted = _Adopted(note["pid"], note["born"])
        if note["plane"] == self._plane:
            log.info("worker %d is still there (process %d)", child.number, adopted.pid)
            return adopted
        adopted.terminate()
        try:
            adopted.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            adopted.kill()
        return None


def _birth(pid: int) -> str | None:
    """When the process began, in ticks since boot; tells a process from a later one with its number. None: no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]
