"""Schedulers are processes that die: whatever is killed, every due instant has one execution (guarantee: exactly once)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import backend, empty

__all__ = ["backend", "empty"]

PROGRAM = """
import sys, time
import django
from django.conf import settings
django.setup()
from controlplane.catalog.engine_flows import flow_of, newest_of
from controlplane.engine.service import Engine, install
from controlplane.platform.wakeups import hub
from controlplane.triggers.scheduler import Scheduler
url = sys.argv[1]
engine = Engine(url, flow_of, hub, load_newest=newest_of)
engine.start()
install(engine)
scheduler = Scheduler(url, lambda: engine, hub)
scheduler.start()
print("up", flush=True)
time.sleep(3600)
"""
FLOWS = 10
SECONDS = 12.0


class Processes:
    """Schedulers with engines of their own, on one database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        environment = {"DJANGO_SETTINGS_MODULE": "controlplane.settings", "HEADRACE_DATABASE": self.url}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, self.url], env={**os.environ, **environment}, stdout=subprocess.PIPE
        )
        self.running.append(process)

    def up(self) -> None:
        for process in self.running:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"

    def kill_one(self, chance: random.Random) -> None:
        victim = self.running.pop(chance.randrange(len(self.running)))
        victim.kill()
        victim.wait()

    def kill_all(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


@pytest.fixture
def processes(backend: str, empty: None) -> Iterator[Processes]:
    if not backend.startswith("postgres"):
        pytest.skip("several planes share PostgreSQL; SQLite is one process's own")
    found = Processes(backend)
    yield found
    found.kill_all()


def test_schedulers_that_are_killed_lose_and_double_no_instant(processes: Processes) -> None:
    from tests.conformance.triggers.world import TriggerWorld, cron, flow

    world = TriggerWorld(processes.url)
    try:
        _race(world, processes, cron, flow)
    finally:
        world.close()


def _race(world: Any, processes: Processes, cron: Any, flow: Any) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    names = [f"every{number}" for number in range(FLOWS)]
    for name in names:
        world.save(flow(name, cron("* * * * * *", more="withSeconds: true")))
    for _ in range(3):
        processes.start()
    processes.up()
    kills = 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.3, 1.2))
        processes.kill_one(chance)
        processes.start()
        kills += 1
    time.sleep(4)  # those that are left catch up
    processes.kill_all()
    fired = 0
    for name in names:
        dates = [datetime.fromisoformat(date) for date in world.dates(name)]
        assert len(dates) >= SECONDS / 2
        expected = [dates[0] + timedelta(seconds=number) for number in range(len(dates))]
        assert sorted(dates) == expected, f"seed {seed}: {name} has gaps or doubles"
        fired += len(dates)
    print(f"{kills} kills, {fired} instants, 0 missing, 0 double")
