"""`headrace flow simulate FILES`: what the flows of some files will do, in virtual time, without a server."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import typer
from rich.console import Console

from cli.failures import CommandFailed
from flows.errors import InputInvalid
from flows.expressions.ambient import make_ambient
from flows.machine.context import iso as moment
from flows.machine.effects import HandOut
from flows.machine.house import Held, House
from flows.machine.simulate import Answer, Player, echo
from flows.machine.states import State
from flows.schedule.due import Server
from flows.schedule.facts import iso
from flows.schedule.simulation import SchedulePlan, simulate_schedules
from flows.schedule.zones import zone_of
from flows.spec.model import Flow
from flows.spec.parse import parse_flow
from wire.plugins import discover


def schedules(files: list[Path], start: str, days: int, zone: str, seed: int, output: str) -> int:
    """Prints when the schedules of the files fire, as a table or as JSON. Raises CommandFailed for what cannot be read."""
    try:
        server = Server(zone=zone_of(zone))
    except ValueError as error:
        raise CommandFailed(f"--timezone: {error}", status=2) from None
    plan = simulate_schedules(
        [_flow(path) for path in files], _start(start), days, seed, server=server, register=discover().conditions
    )
    if output == "json":
        typer.echo(plan_json(plan))
    else:
        _print(plan)
    return 0


def executions(
    files: list[Path], start: str, days: int, zone: str, seed: int, output: str, *, seconds: float, failures: float
) -> int:
    """Prints what becomes of every execution the schedules start, in virtual time: queues, retries, subflows and all.

    A task takes up to twice `seconds` and fails with the chance `failures` (0 to 1), both thrown from `seed`; the cheap core
    tasks give their outputs. Raises CommandFailed for what cannot be read.
    """
    flows = [_flow(path) for path in files]
    begin = _start(start)
    try:
        server = Server(zone=zone_of(zone))
    except ValueError as error:
        raise CommandFailed(f"--timezone: {error}", status=2) from None
    plan = simulate_schedules(flows, begin, days, seed, server=server, register=discover().conditions)
    rows = simulate_executions(flows, plan, seed, seconds, failures)
    if output == "json":
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2, sort_keys=True))
        return 0
    console = Console(highlight=False, soft_wrap=True)
    for row in rows:
        waited = f" after {row['waitedSeconds']} s in the line" if row["waitedSeconds"] else ""
        cells = f"{row['due']}  {row['flow']}  {row['state']}{waited}, {row['taskRuns']} task runs, {row['attempts']} attempts"
        console.print(f"{cells}, ended {row['ended']}", markup=False)
    console.print(f"{len(rows)} executions", markup=False)
    return 0


def simulate_executions(
    flows: list[Flow], plan: SchedulePlan, seed: int, seconds: float, failures: float
) -> list[dict[str, Any]]:
    """One row for each execution the plan starts (and each it starts in turn), in order of creation."""
    base = int(plan.start.timestamp() * 1_000_000)
    functions = dict(make_ambient(lambda: plan.start, Random(seed)))

    def answer(hand_out: HandOut, dice: Random) -> Answer:
        took, failed = dice.random() * 2 * seconds, dice.random() < failures
        if failed:
            return Answer(State.FAILED, took, error={"code": "simulated", "message": "the dice say so"})
        return replace(echo(hand_out, functions), seconds=took)

    house = House(flows, Player(answer), Random(seed), functions=functions, checked=False, now=base)
    for firing in plan.firings:
        at = int(firing.at.timestamp() * 1_000_000)
        house.go(until=at)
        if firing.failure is None:
            trigger = {
                "id": firing.trigger_id,
                "type": "io.kestra.plugin.core.trigger.Schedule",
                "variables": {"date": firing.local},
            }
            cause = {"kind": "trigger", "triggerId": firing.trigger_id, "due": iso(firing.at)}
            with suppress(InputInvalid):
                house.create((firing.namespace, firing.flow_id), firing.inputs, trigger=trigger, cause=cause)
    house.go()
    return [_row(held) for held in house.executions.values()]


def _row(held: Held) -> dict[str, Any]:
    execution = held.execution
    begun = next((at for state, at in execution.history if state == State.RUNNING), execution.created_at)
    return {
        "due": moment(execution.created_at),
        "flow": f"{execution.namespace}/{execution.flow_id}",
        "id": execution.id,
        "state": execution.state.value,
        "waitedSeconds": round((begun - execution.created_at) / 1_000_000, 3),
        "ended": None if execution.ended_at is None else moment(execution.ended_at),
        "taskRuns": len(held.runs),
        "attempts": sum(len(run.attempts) for run in held.runs.values()),
    }


def plan_json(plan: SchedulePlan) -> str:
    """The plan as JSON, the same bytes for the same plan."""
    data = {
        "start": iso(plan.start, UTC),
        "end": iso(plan.end, UTC),
        "firings": [firing.to_json() for firing in plan.firings],
        "unplanned": [
            {"namespace": one.namespace, "flowId": one.flow_id, "triggerId": one.trigger_id, "reason": one.reason}
            for one in plan.unplanned
        ],
    }
    return json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True)


def _print(plan: SchedulePlan) -> None:
    console = Console(highlight=False, soft_wrap=True)
    rows = [("at", "in its zone", "flow", "trigger", "inputs")]
    for firing in plan.firings:
        inputs = f"FAILED: {firing.failure}" if firing.failure else ", ".join(f"{k}={v}" for k, v in firing.inputs.items())
        rows.append((iso(firing.at), firing.local, f"{firing.namespace}/{firing.flow_id}", firing.trigger_id, inputs))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        console.print("  ".join([*cells, row[4]]).rstrip(), markup=False)
    for one in plan.unplanned:
        console.print(f"{one.namespace}/{one.flow_id} {one.trigger_id}: {one.reason}", markup=False)
    console.print(f"{len(plan.firings)} firings from {iso(plan.start)} to {iso(plan.end)}", markup=False)


def _start(text: str) -> datetime:
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(f"--from: expected a date such as 2026-01-01T00:00:00Z, found `{text}`", status=2) from None
    return start if start.tzinfo is not None else start.replace(tzinfo=UTC)


def _flow(path: Path) -> Flow:
    parsed = parse_flow(path.read_text(encoding="utf-8"), discover())
    if parsed.flow is None:
        first = next(problem for problem in parsed.problems if problem.severity == "error")
        raise CommandFailed(f"{path}: {first} (`headrace flow validate` shows all)")
    return parsed.flow
