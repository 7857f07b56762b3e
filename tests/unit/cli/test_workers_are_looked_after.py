"""Workers beside a control plane: started again when they die, taken back after a crash, ended with the plane."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.workers import LocalWorkers

PLANE = "127.0.0.1:1"


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LocalWorkers]]:
    """Makes real child processes that sleep instead of working: `headrace worker` is replaced by a program on the path."""
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import time; time.sleep(60)'\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr("cli.workers.sys.executable", str(stand_in))
    made: list[LocalWorkers] = []

    def make(plane: str = PLANE) -> LocalWorkers:
        made.append(LocalWorkers(1, plane, tmp_path, lambda: "token"))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def pid_of(workers: LocalWorkers) -> int:
    (pid,) = workers.pids()
    return pid


def until(true: Callable[[], bool], tend: LocalWorkers) -> None:
    deadline = time.monotonic() + 10
    while not true():
        tend.tend()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_worker_that_died_is_started_again(workers: Callable[..., LocalWorkers]) -> None:
    running = workers()
    running.start()
    first = pid_of(running)
    os.kill(first, signal.SIGKILL)
    until(lambda: running.pids() != [first] and bool(running.pids()), running)


def test_worker_of_a_crashed_plane_is_taken_back(workers: Callable[..., LocalWorkers]) -> None:
    crashed = workers()
    crashed.start()
    survivor = pid_of(crashed)

    later = workers()
    later.start()

    assert pid_of(later) == survivor


def test_worker_that_looks_for_its_plane_elsewhere_is_replaced(workers: Callable[..., LocalWorkers]) -> None:
    crashed = workers()
    crashed.start()
    survivor = pid_of(crashed)

    later = workers("127.0.0.1:2")
    later.start()

    assert pid_of(later) != survivor
    assert not _lives(survivor)


def test_note_of_a_process_that_is_gone_is_not_believed(workers: Callable[..., LocalWorkers]) -> None:
    crashed = workers()
    crashed.start()
    gone = pid_of(crashed)
    os.kill(gone, signal.SIGKILL)
    until(lambda: not _lives(gone), workers())

    later = workers()
    later.start()

    assert pid_of(later) != gone


def test_workers_end_with_their_plane(workers: Callable[..., LocalWorkers]) -> None:
    running = workers()
    running.start()
    pid = pid_of(running)
    running.stop()
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(state) and not state.startswith("Z")
