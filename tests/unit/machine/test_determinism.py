"""The same flow, answers and seed give the same execution: in this process, in another, and whatever order hashes come in."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from random import Random

from tests.unit.machine.explore import random_flow, random_schedule


def digest_of(seed: int, count: int = 40) -> str:
    """One number for many executions: every task run, its history with times, its outputs."""
    found = hashlib.sha256()
    for number in range(count):
        flow = random_flow(Random(f"{seed} {number}"))
        simulation = random_schedule(flow, Random(f"{seed} {number} schedule"), Counter())
        for run in simulation.runs.values():
            entry = (run.id, run.seq, run.task_id, run.parent_id, run.value, run.history, run.outputs, len(run.attempts))
            found.update(repr(entry).encode())
        found.update(repr((simulation.execution.history, simulation.execution.outputs)).encode())
    return found.hexdigest()


def test_the_same_seed_gives_the_same_digest() -> None:
    assert digest_of(1, 15) == digest_of(1, 15)
    assert digest_of(1, 15) != digest_of(2, 15)


def test_other_hash_seeds_zones_and_locales_give_the_same_digest() -> None:
    here = digest_of(3, 15)
    for settings in (
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu"},
        {"PYTHONHASHSEED": "77", "TZ": "UTC", "LC_ALL": "tr_TR.UTF-8"},
    ):
        found = subprocess.run(
            [sys.executable, "-c", "from tests.unit.machine.test_determinism import digest_of; print(digest_of(3, 15))"],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert found.stdout.strip() == here, settings
