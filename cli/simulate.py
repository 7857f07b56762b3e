"""`headrace flow simulate FILES`: what the flows of some files will do, in virtual time, without a server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from cli.failures import CommandFailed
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
