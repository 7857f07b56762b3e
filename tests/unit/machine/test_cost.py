"""One event costs the same in an execution of ten task runs and of twenty thousand. Counted in operations, not in seconds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Any

import pytest

from flows.machine.decide import decide
from flows.machine.effects import Effects
from flows.machine.events import Created, Event, Finished, Lost, Started
from flows.machine.execution import TaskRun
from flows.machine.loops import WINDOW
from flows.machine.simulate import Answer, Simulation, scripted
from flows.machine.states import State
from flows.machine.world import World
from tests.unit.machine.written import flow

SIZES = (10, 1_000, 20_000)


def opened(source: str) -> Simulation:
    simulation = Simulation(flow(source), scripted({}, Answer(silent=True, told=False)), Random(0), checked=False)
    simulation.apply(Created())
    return simulation


def calls(simulation: Simulation, event: Event) -> tuple[int, Effects]:
    """Python functions entered while the machine decides this event, and what it wants stored."""
    count = 0

    def counted(frame: FrameType, kind: str, _: Any) -> None:
        nonlocal count
        count += kind == "call"

    world: World = simulation._world(simulation.flow, Effects(), simulation.executions["execution"])
    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        effects = decide(simulation.execution, event, world)
    finally:
        sys.setprofile(before)
    return count, effects


def written(effects: Effects) -> tuple[int, int, int]:
    """(task runs touched, hand-outs made, bytes of cursors written)."""
    touched: list[TaskRun] = [*effects.created.values(), *effects.changed.values()]
    cursors = sum(len(json.dumps([bool(value) for value in run.cursor.dump()])) for run in touched if run.cursor is not None)
    return len(touched), len(effects.hand_outs), cursors


def first(simulation: Simulation) -> tuple[str, int]:
    run_id, hand_out = next(iter(simulation.held.items()))
    return run_id, hand_out.attempt


EVENTS: dict[str, Callable[[str, int], Event]] = {
    "started": lambda run_id, attempt: Started(run_id, attempt, "w"),
    "finished": lambda run_id, attempt: Finished(run_id, attempt, "w", State.SUCCESS),
    "failed": lambda run_id, attempt: Finished(run_id, attempt, "w", State.WARNING),
    "lost": lambda run_id, attempt: Lost(run_id, attempt, "w", "gone"),
}


@pytest.mark.parametrize("limit", [0, 8])
@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_of_a_loop_costs_the_same_whatever_its_size(kind: str, limit: int) -> None:
    found = []
    for size in SIZES:
        loop = f"id: each, type: ForEach, concurrencyLimit: {limit}, values: {list(range(size))}"
        simulation = opened(f"tasks: [{{{loop}, tasks: [{{id: a}}, {{id: b}}]}}]")
        assert len(simulation.execution.runs) == 1 + (min(size, WINDOW) if limit == 0 else limit)
        cost, effects = calls(simulation, EVENTS[kind](*first(simulation)))
        found.append((cost, *written(effects)))
    assert found[0] == found[1] == found[2], found


def test_an_event_of_a_sequence_costs_the_same_whatever_ran_before() -> None:
    found = []
    for size in (10, 100, 1_000):
        simulation = opened("tasks: [" + ", ".join(f"{{id: t{number}}}" for number in range(size)) + "]")
        for _ in range(size - 2):
            simulation.apply(Finished(*first(simulation), "w", State.SUCCESS, outputs={"n": 1}))
        cost, effects = calls(simulation, Finished(*first(simulation), "w", State.SUCCESS, outputs={"n": 1}))
        found.append((cost, *written(effects)))
    assert found[0] == found[1] == found[2], found
