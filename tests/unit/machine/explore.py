"""A plain seeded loop over flows and schedules: no shrinking, but a thousand times the volume of the hypothesis tests."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

from flows.errors import MachineError
from flows.machine.events import Created, Event, Finished, Kill, Lost, Started, TimerFired
from flows.machine.execution import Execution
from flows.machine.simulate import Answer, Simulation, scripted
from flows.machine.states import State
from flows.spec.model import Flow
from flows.spec.parse import parse_flow
from tests.unit.machine.written import TYPES
from wire.plugins import discover

ENDS = (State.SUCCESS, State.SUCCESS, State.FAILED, State.FAILED, State.WARNING, State.KILLED)
RETRIES = (
    {"type": "constant", "interval": "PT1S", "maxAttempt": 2},
    {"type": "constant", "interval": "PT0S", "maxAttempt": 3, "warningOnRetry": True},
    {"type": "random", "minInterval": "PT1S", "maxInterval": "PT3S", "maxAttempt": 2},
)
CONDITIONS = ("true", "false", "{{ missing.name }}")
LEAVES = ("Log", "Log", "Log", "Labels")
KINDS = (
    *("Log", "Log", "Sequential", "Parallel", "If", "ForEach", "ForEach", "Dag", "Switch", "AllowFailure", "EachSequential"),
    *("EachParallel", "LoopUntil"),
)
VALUES: tuple[Any, ...] = ([], ["a"], ["a", "b", "a"], ["a", "b", "c"], ["a", "b", "c", "d"], "[1, null]")


def digest(execution: Execution) -> tuple[Any, ...]:
    """Everything of an execution that is stored."""
    runs = tuple(
        (
            run.id,
            run.state,
            tuple(run.history),
            None if run.cursor is None else tuple(run.cursor.dump()),
            tuple((attempt.state, tuple(attempt.history)) for attempt in run.attempts),
            str(run.outputs),
        )
        for run in execution.runs.values()
    )
    return (execution.state, tuple(execution.history), tuple(execution.cursor.dump()), execution.task_run_count, runs)


def random_flow(random: Random) -> Flow:
    """A valid flow of up to a few dozen tasks."""
    count = 0

    def task(depth: int) -> dict[str, Any]:
        nonlocal count
        count += 1
        found: dict[str, Any] = {"id": f"t{count}"}
        kind = random.choice(LEAVES) if depth == 0 or count > 25 else random.choice(KINDS)
        found["type"] = TYPES[kind]
        if kind == "Labels":
            found["labels"] = {"seen": found["id"]}
        elif kind == "Dag":
            names = tasks(depth - 1, 3)
            found["tasks"] = [{"task": one, "dependsOn": [names[at - 1]["id"]] if at else []} for at, one in enumerate(names)]
            found["concurrent"] = random.randrange(3)
        elif kind == "Switch":
            found["value"] = random.choice(["a", "b"])
            found["cases"] = {"a": tasks(depth - 1, 2)}
            if random.random() < 0.7:
                found["defaults"] = tasks(depth - 1, 2)
        elif kind == "LoopUntil":
            found["condition"] = "false"
            found["failOnMaxReached"] = random.random() < 0.3
            found["checkFrequency"] = {"interval": "PT1S", "maxIterations": random.randrange(1, 3)}
            found["tasks"] = tasks(depth - 1, 2)
        elif kind.startswith("Each"):
            found["value"] = random.choice(VALUES)
            found["tasks"] = tasks(depth - 1, 2)
        elif kind == "Log":
            found["message"] = "x"
            if random.random() < 0.2:
                found["timeout"] = "PT10S"
        elif kind == "If":
            found["condition"] = random.choice(CONDITIONS)
            found["then"] = tasks(depth - 1, 3)
            if random.random() < 0.5:
                found["else"] = tasks(depth - 1, 2)
        else:
            found["tasks"] = tasks(depth - 1, 3)
        if kind == "Parallel":
            found["concurrent"] = random.randrange(3)
        if kind == "ForEach":
            found["values"] = random.choice(VALUES)
            found["concurrencyLimit"] = random.randrange(4)
        if kind not in LEAVES:
            for handler in ("errors", "finally"):
                if random.random() < 0.25:
                    found[handler] = tasks(depth - 1, 2)
        if random.random() < 0.2:
            found["retry"] = random.choice(RETRIES)
        if random.random() < 0.1:
            found["runIf"] = random.choice(CONDITIONS)
        for option, chance in (("allowFailure", 0.15), ("allowWarning", 0.1), ("disabled", 0.05)):
            if random.random() < chance:
                found[option] = True
        return found

    def tasks(depth: int, most: int) -> list[dict[str, Any]]:
        return [task(max(depth, 0)) for _ in range(random.randint(1, most))]

    source: dict[str, Any] = {"id": "f", "namespace": "tests", "tasks": tasks(random.randint(1, 3), 3)}
    for handler in ("errors", "finally"):
        if random.random() < 0.3:
            source[handler] = tasks(1, 2)
    if random.random() < 0.2:
        source["retry"] = RETRIES[0]
    return parse_flow(json.dumps(source), discover()).require()


def random_schedule(flow: Flow, random: Random, counts: Counter[str], kills: float = 0.01) -> Simulation:
    """One execution of it under a random schedule, to its end. Raises when a rule breaks or it cannot end."""
    simulation = Simulation(flow, scripted({}, Answer(silent=True, told=False)), random)
    said: list[Event] = [Created()]
    simulation.apply(said[0])
    patience = 400
    while not simulation.over:
        patience -= 1
        if patience < -5_000:
            raise MachineError(f"does not end:\n{simulation.outline()}")
        simulation.now += random.randrange(5_000_000)
        dice = random.random()
        if dice < kills and patience > 0:
            event: Event = Kill()
        elif dice < 0.25 and patience > 0:
            _stale(simulation, random, said, counts)
            continue
        else:
            event = _next(simulation, random, patience > 0)
        simulation.apply(event)
        said.append(event)
        counts[type(event).__name__.lower()] += 1
    counts["executions"] += 1
    counts["task runs"] += len(simulation.runs)
    if simulation.held or simulation.waiting:
        raise MachineError("it ended and somebody still holds or waits for a hand-out")
    return simulation


def _next(simulation: Simulation, random: Random, wild: bool) -> Event:
    """Something that may happen now; tame once patience is at its end."""
    held = list(simulation.held.items())
    timers = list(simulation.timers.items())
    if not held and not timers:
        raise MachineError(f"waits for nobody:\n{simulation.outline()}")
    if timers and (not held or random.random() < 0.2):
        (run_id, kind), (attempt, due) = random.choice(timers)
        simulation.now = max(simulation.now, due)
        return TimerFired(run_id, attempt, kind)
    run_id, hand_out = random.choice(held)
    choice = random.random() if wild else 1.0
    if choice < 0.2:
        return Started(run_id, hand_out.attempt, "w")
    if choice < 0.3:
        return Lost(run_id, hand_out.attempt, "w", "gone")
    state = random.choice(ENDS) if wild else State.SUCCESS
    return Finished(run_id, hand_out.attempt, "w", state, 500, {"n": hand_out.attempt})


def _stale(simulation: Simulation, random: Random, said: list[Event], counts: Counter[str]) -> None:
    """An earlier message again, or a message about an attempt that is not the current one: nothing may change."""
    event = random.choice(said)
    if random.random() < 0.5:
        run = simulation.runs[random.choice(list(simulation.runs))] if simulation.runs else None
        if run is None:
            return
        current = run.attempt + 1 if run.state is State.CREATED else run.attempt
        attempt = current + random.choice([-2, -1, 1] if not run.state.terminated else [-1, 0, 1])
        others: list[Event] = [
            Started(run.id, attempt, "other"),
            Finished(run.id, attempt, "other", random.choice(ENDS)),
            Lost(run.id, attempt, "other", "gone"),
            TimerFired(run.id, attempt, random.choice(["retry", "timeout"])),
        ]
        event = random.choice(others)
    if isinstance(event, Kill):
        return
    before = digest(simulation.execution)
    effects = simulation.apply(event)
    counts["stale"] += 1
    if digest(simulation.execution) != before or effects.hand_outs or effects.created or effects.ended:
        raise MachineError(f"{event} is old and changed something")
