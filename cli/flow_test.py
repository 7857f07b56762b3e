"""`headrace flow test`: runs unit-test documents against flows, in memory, without a server."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
import yaml
from rich.console import Console

from cli.failures import CommandFailed
from flows.errors import HeadraceError
from flows.expressions.ambient import make_ambient
from flows.machine.case import CaseResult, TestSuite, read_suite, run_suite
from flows.spec.model import Flow
from flows.spec.parse import parse_flow
from wire.plugins import discover

MARKS = {"SUCCESS": "ok", "FAILED": "FAILED", "ERROR": "ERROR", "SKIPPED": "skipped"}


def run_tests(files: list[Path], flow_files: list[Path], seed: int, output: str) -> int:
    """Runs every case of every document; 0 when all hold. Raises CommandFailed for what cannot be read.

    `flow_files`: flows or folders of flows; without any, the folders of the documents are looked through.
    """
    suites = [(path, _suite(path)) for path in files]
    flows = _flows(flow_files or sorted({path.parent for path in files}), given=bool(flow_files))
    functions = _functions(seed)
    report: list[dict[str, Any]] = []
    bad = False
    for path, suite in suites:
        flow = flows.get((suite.namespace, suite.flow_id))
        if flow is None:
            raise CommandFailed(
                f"{path}: there is no flow {suite.namespace}.{suite.flow_id} in the given files; name its file with --flows"
            )
        beside = tuple(one for one in flows.values() if one is not flow)
        results = run_suite(suite, flow, functions=functions, beside=beside, seed=seed)
        bad = bad or any(one.outcome in ("FAILED", "ERROR") for one in results)
        report.append({"file": str(path), "suite": suite.id, "results": [_json(one) for one in results]})
        if output == "table":
            _print(path, suite, results)
    if output == "json":
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2, default=str))
    return 1 if bad else 0


def _suite(path: Path) -> TestSuite:
    try:
        return read_suite(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise CommandFailed(f"{path}: not YAML: {error}") from None
    except HeadraceError as error:
        raise CommandFailed(f"{path}: {error}") from None


def _flows(places: list[Path], *, given: bool) -> dict[tuple[str, str], Flow]:
    found: dict[tuple[str, str], Flow] = {}
    for place in places:
        paths = sorted([*place.rglob("*.yml"), *place.rglob("*.yaml")]) if place.is_dir() else [place]
        for path in paths:
            text = path.read_text(encoding="utf-8")
            if place.is_dir() and ("testCases:" in text or "tasks:" not in text):
                continue
            parsed = parse_flow(text, discover())
            if parsed.flow is not None:
                found[parsed.flow.namespace, parsed.flow.id] = parsed.flow
            elif given and not place.is_dir():
                first = next(problem for problem in parsed.problems if problem.severity == "error")
                raise CommandFailed(f"{path}: {first} (`headrace flow validate` shows all)")
    return found


def _functions(seed: int) -> Mapping[str, Callable[..., Any]]:
    """Clock and chance, the same for the same seed: a test that depends on today is no test."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return dict(make_ambient(lambda: moment, random.Random(seed)))


def _json(result: CaseResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "outcome": result.outcome,
        "state": result.state,
        "errors": list(result.errors),
        "assertions": [
            {"operator": one.operator, "expected": one.expected, "actual": one.actual, "holds": one.holds, "message": one.message}
            for one in result.checked
        ],
    }


def _print(path: Path, suite: TestSuite, results: list[CaseResult]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{path}: {suite.id} ({suite.namespace}.{suite.flow_id})", markup=False)
    for result in results:
        console.print(f"  {MARKS[result.outcome]:8} {result.id}", markup=False)
        for error in result.errors:
            console.print(f"           {error}", markup=False)
        for one in result.checked:
            if not one.holds:
                where = f"{one.task_id}: " if one.task_id else ""
                console.print(f"           {where}{one.message}", markup=False)
        if result.outcome in ("FAILED", "ERROR") and result.outline:
            for line in result.outline.splitlines():
                console.print(f"           | {line}", markup=False)
