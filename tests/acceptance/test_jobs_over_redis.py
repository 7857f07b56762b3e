"""Periodic jobs as processes of their own, Redis between beat and worker: what is due moves on without the control plane."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import redis_server
from tests.support.platform import Platform, states

FLOW = """\
id: again
namespace: acceptance
tasks:
  - id: fails
    type: io.kestra.plugin.core.execution.Fail
    retry: {type: constant, interval: PT4S, maxAttempts: 3}
"""


@pytest.fixture(params=["redis"])
def broker(request: pytest.FixtureRequest) -> str:
    if reason := redis_server.unavailable():
        pytest.skip(reason)
    return redis_server.SERVER


@pytest.mark.timeout(120)
def test_due_retry_is_moved_on_by_a_jobs_process(broker: str, tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data")
    try:
        client = platform.start().client()
        client.apply_flow(FLOW, "acceptance", "again")
        started = client.start("acceptance", "again", {})
        _until(lambda: states(client.execution(started["id"])).get("fails") == "RETRYING")
        platform.kill()
        platform.kill_worker()
        assert _state(platform.data, started["id"]) == "RETRYING"

        jobs = _celery(platform.data, broker)
        try:
            _until(lambda: _state(platform.data, started["id"]) == "CREATED")
        finally:
            jobs.terminate()
            jobs.wait(20)
    finally:
        platform.close()


def _celery(data: Path, broker: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "HEADRACE_DATA": str(data),
        "HEADRACE_REDIS": broker,
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
    }
    command = [sys.executable, "-m", "celery", "-A", "controlplane.jobs.app", "worker", "--beat", "--pool", "solo"]
    with (data / "jobs.log").open("wb") as log:
        return subprocess.Popen([*command, "--schedule", str(data / "beat")], env=environment, stdout=log, stderr=log)


def _state(data: Path, execution_id: str) -> str:
    with sqlite3.connect(f"file:{data / 'headrace.db'}?mode=ro", uri=True) as connection:
        (state,) = connection.execute("SELECT state FROM task_run WHERE execution_id = ?", (execution_id,)).fetchone()
    return str(state)


def _until(true: Callable[[], bool], timeout: float = 40) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
