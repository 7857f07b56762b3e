"""`python -m tests.bench.schedules`: the simulation of a month of a thousand schedules, and one look of the scheduler's rules.

Two JSON lines. The schedules are a plausible mix: a tenth every quarter of an hour, a fifth hourly, half daily, the rest weekly
and monthly, in four time zones; one in twenty has a condition, one in ten has inputs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from datetime import UTC, datetime
from random import Random
from typing import Any

from cli.simulate import plan_json
from flows.schedule.due import ScheduleRule
from flows.schedule.facts import FlowFacts
from flows.schedule.simulation import simulate_schedules
from flows.spec.model import Flow, Trigger

START = datetime(2026, 10, 1, tzinfo=UTC)
TARGET_SECONDS = 5
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe")
SCHEDULE = "io.kestra.plugin.core.trigger.Schedule"
WEEKEND = {"type": "io.kestra.plugin.core.condition.Weekend"}


def flows(count: int, seed: int) -> list[Flow]:
    """That many flows with one schedule each."""
    chance = Random(seed)
    return [_flow(number, chance) for number in range(count)]


def _flow(number: int, chance: Random) -> Flow:
    minute, hour = chance.randrange(60), chance.randrange(24)
    kind = chance.random()
    if kind < 0.1:
        cron = "*/15 * * * *"
    elif kind < 0.3:
        cron = f"{minute} * * * *"
    elif kind < 0.8:
        cron = f"{minute} {hour} * * *"
    else:
        cron = f"{minute} {hour} * * {chance.randrange(7)}" if kind < 0.95 else f"{minute} {hour} 1 * *"
    properties: dict[str, Any] = {"id": "it", "type": SCHEDULE, "cron": cron, "timezone": chance.choice(ZONES)}
    conditions = (WEEKEND,) if chance.random() < 0.05 else ()
    inputs = {"day": "{{ trigger.date }}"} if chance.random() < 0.1 else {}
    trigger = Trigger("it", SCHEDULE, "schedule", properties, conditions=conditions, inputs=inputs)
    return Flow(f"flow-{number:05}", "bench", (), triggers=(trigger,))


def main() -> int:
    """Measures, and says whether the target was met by the exit status."""
    parser = argparse.ArgumentParser(description="schedules in virtual time")
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    many = flows(given.count, given.seed)
    begun = time.perf_counter()
    plan = simulate_schedules(many, START, given.days, given.seed)
    seconds = time.perf_counter() - begun
    digest = hashlib.sha256(plan_json(plan).encode()).hexdigest()[:16]
    detail = {"schedules": given.count, "days": given.days, "firings": len(plan.firings), "sha256": digest}
    _print("simulate_schedules", seconds, "s", detail | {"target": TARGET_SECONDS})
    rule = ScheduleRule.of(many[0].triggers[0], FlowFacts.of(many[0]))
    state, looks = rule.created(START), 10_000
    begun = time.perf_counter()
    for _ in range(looks):
        state = rule.look(state, state.next_at or START).state
    _print("schedule_look", (time.perf_counter() - begun) / looks * 1e6, "us", {"looks": looks})
    return 0 if seconds <= TARGET_SECONDS else 1


def _print(name: str, value: float, unit: str, detail: dict[str, Any]) -> None:
    print(json.dumps({"bench": name, "value": round(value, 3), "unit": unit, "detail": detail}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
