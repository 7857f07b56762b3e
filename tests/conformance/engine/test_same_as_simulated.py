"""Random flows of the whole language: the engine, on either database, ends as the simulator says it will.

The seed is printed; HEADRACE_TEST_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from controlplane.engine.items import Item
from flows.machine.effects import HandOut
from flows.machine.events import Finished
from flows.machine.simulate import Answer, run
from flows.machine.states import State
from flows.spec.model import Flow
from flows.spec.parse import parse_flow
from tests.conformance.engine.plane import FakeWorker, Plane
from tests.unit.machine.explore import random_flow
from tests.unit.machine.written import flow
from wire import gateway
from wire.plugins import discover

SEED = int(os.environ.get("HEADRACE_TEST_SEED") or time.time_ns() % 1_000_000)
FLOWS_TRIED = 40


def end_of(seed: int, task_id: str, value: str | None, attempt: int) -> State:
    """How an attempt ends: a fixed dice for each (task, value, attempt)."""
    dice = zlib.crc32(f"{seed} {task_id} {value} {attempt}".encode()) % 100
    return State.FAILED if dice < 18 else State.WARNING if dice < 24 else State.SUCCESS


@pytest.fixture
def plane(backend: str) -> Iterator[Plane]:
    found = Plane(backend, {})
    yield found
    found.close()


def simulated(source: Flow, seed: int, beside: tuple[Flow, ...] = ()) -> Any:
    def answer(hand_out: HandOut, random: Random) -> Answer:
        state = end_of(seed, hand_out.run.task_id, hand_out.run.value, hand_out.attempt)
        return Answer(state, 0, {"value": hand_out.attempt}, told=False)

    return run(source, answer, beside=beside)


def carried_out(plane: Plane, worker: FakeWorker, flow_id: str, seed: int) -> str:
    execution_id = plane.start(flow_id)

    def answer(assign: gateway.Assign) -> Item:
        token = assign.token
        value = plane.rows("SELECT value FROM task_run WHERE id = ?", (token.task_run_id,))[0][0]
        state = end_of(seed, assign.task_id, value, token.attempt)
        item = worker.item(assign)
        item.event = Finished(token.task_run_id, token.attempt, "w", state, 0, {"value": token.attempt})
        return item

    for _ in range(5_000):
        plane.follow()
        if worker.inbox:
            plane.step(answer(worker.take()))
            continue
        timers = plane.timers()
        if not timers:
            return execution_id
        for item in timers:  # one second later: all of them, before anything that follows from them
            plane.step(item)
    raise AssertionError("it does not end")


def tame(source: Flow) -> Flow:
    """The same flow, every wait a second long: virtual and real time then agree about what comes first."""

    def calm(value: Any) -> Any:
        if isinstance(value, list):
            return [calm(one) for one in value]
        if not isinstance(value, dict):
            return "PT1S" if value == "PT0S" else value
        if value.get("type") == "random":
            return {"type": "constant", "interval": "PT1S", "maxAttempt": 2}
        return {name: calm(one) for name, one in value.items()}

    return parse_flow(json.dumps(calm(dict(source.raw))), discover()).require()


def test_random_flows_end_as_simulated(plane: Plane) -> None:
    print(f"seed {SEED}")
    worker = plane.attach(light=1_000)
    for number in range(FLOWS_TRIED):
        seed = SEED + number
        source = tame(random_flow(Random(seed)))
        plane.flows[f"f{number}"] = source
        execution_id = carried_out(plane, worker, f"f{number}", seed)
        expected = simulated(source, seed)
        assert plane.outline(execution_id) == expected.outline(), f"HEADRACE_TEST_SEED={seed}\n{source.raw}"
    plane.audit()


def test_a_subflow_a_loop_and_a_switch_end_as_simulated(plane: Plane) -> None:
    worker = plane.attach(light=1_000)
    child = flow("outputs: [{id: v, value: '{{ outputs.t.value }}'}]\ntasks: [{id: t}]", "child")
    parent = flow("""
        tasks:
          - id: loop
            type: Loop
            values: [a, b, c]
            concurrencyLimit: 1
            outputs: [{id: v, value: "{{ outputs.call.outputs.v }}"}]
            tasks:
              - {id: call, type: Subflow, namespace: tests, flowId: child}
          - id: sw
            type: Switch
            value: "{{ outputs.loop.terminatedIterations }}"
            cases: {"3": [{id: all}]}
            defaults: [{id: some}]
        """)
    plane.flows.update(child=child, parent=parent)
    seed = next(one for one in range(1_000) if all(end_of(one, name, None, 1) is State.SUCCESS for name in ("t", "all")))
    execution_id = carried_out(plane, worker, "parent", seed)
    expected = simulated(parent, seed, (child,))
    assert plane.outline(execution_id) == expected.outline()
    assert "all SUCCESS" in expected.outline()
