"""The measurements: each takes a running platform and says one number with its details."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx

from tests.bench.load import Connection, Json, in_threads, percentile, seconds_between, state_at, wait_until_over
from tests.bench.memory import family, pss_bytes
from tests.support.platform import Platform

NAMESPACE = "bench"
SEQUENCE = 40
CLIENTS = 8
"""Connections that submit at once; more only queue up on two cores."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How much of everything."""

    sequences: int
    submits: int
    fan_outs: tuple[int, ...]
    executions: int
    log_lines: int
    idle_seconds: float
    iterations: int


PROFILES = {
    "quick": Profile(
        sequences=5, submits=30, fan_outs=(100, 1_000), executions=200, log_lines=20_000, idle_seconds=3, iterations=5_000
    ),
    "full": Profile(
        sequences=20,
        submits=300,
        fan_outs=(100, 1_000, 10_000),
        executions=3_000,
        log_lines=100_000,
        idle_seconds=15,
        iterations=100_000,
    ),
}


@dataclass(frozen=True, slots=True)
class Number:
    """One result: value in `unit`, and what belongs to it."""

    name: str
    value: float
    unit: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """A running platform and a way in."""

    platform: Platform
    token: str
    profile: Profile

    def connect(self) -> Connection:
        """A connection of its own."""
        return Connection(self.platform.address, self.token)

    def store(self, connection: Connection, flow_id: str, tasks: str) -> None:
        """Creates a flow in the namespace of the benchmarks."""
        source = f"id: {flow_id}\nnamespace: {NAMESPACE}\ntasks:\n{tasks}"
        connection.call("POST", "/flows", source.encode(), "application/x-yaml")

    def run(self, connection: Connection, flow_id: str, timeout: float = 300) -> Json:
        """One execution, to its end. Raises RuntimeError when it does not end SUCCESS."""
        # The answer comes when the execution is over: polling would load what is measured with its own questions.
        execution: Json = connection.call("POST", f"/executions/{NAMESPACE}/{flow_id}?wait=true")
        if not execution["state"].get("endDate"):
            execution = wait_until_over(connection, execution["id"], timeout)
        if execution["state"]["current"] != "SUCCESS":
            raise RuntimeError(f"{flow_id} ended {execution['state']['current']}")
        return execution


LIGHT = "type: io.kestra.plugin.core.debug.Return\n    format: done\n"


def start_up(bench: Bench) -> list[Number]:
    """From the start of the process, cold, to /health 200."""
    return [Number("start_up", bench.platform.started_seconds, "s", {"what": "process start to healthy, empty data folder"})]


def idle_memory(bench: Bench) -> list[Number]:
    """Control plane, worker and warm interpreters after a while of nothing."""
    time.sleep(bench.profile.idle_seconds)
    plane = [pid for pid in family(bench.platform.pid) if pid not in _worker_families(bench)]
    workers = _worker_families(bench)
    megabytes = {"plane": pss_bytes(plane) / 1e6, "worker": pss_bytes(workers) / 1e6}
    detail = {name: round(value, 1) for name, value in megabytes.items()} | {"processes": len(plane) + len(workers)}
    return [Number("idle_memory", sum(megabytes.values()), "MB", detail)]


def _worker_families(bench: Bench) -> list[int]:
    return [pid for worker in bench.platform.workers() for pid in family(worker)]


def sequence_and_hops(bench: Bench) -> list[Number]:
    """Forty light tasks one after another, and the time from a task's end to the start of the next."""
    connection = bench.connect()
    bench.store(connection, "sequence", "".join(f"  - id: t{number}\n    {LIGHT}" for number in range(SEQUENCE)))
    bench.run(connection, "sequence")
    durations, hops = [], []
    for _ in range(bench.profile.sequences):
        execution = bench.run(connection, "sequence")
        durations.append(seconds_between(execution["state"]["startDate"], execution["state"]["endDate"]))
        runs = execution["taskRunList"]
        for before, after in pairwise(runs):
            started = state_at(after["state"], "RUNNING") or after["state"]["startDate"]
            hops.append(seconds_between(before["state"]["endDate"], started) * 1000)
    connection.close()
    return [
        Number(
            "sequence_40",
            statistics.median(durations),
            "s",
            {"runs": len(durations), "best": min(durations), "worst": max(durations)},
        ),
        Number("hop", percentile(hops, 0.5), "ms", {"p99": percentile(hops, 0.99), "hops": len(hops)}),
    ]


def submit_to_start(bench: Bench) -> list[Number]:
    """From sending the request to the task running on the worker, one at a time."""
    connection = bench.connect()
    bench.store(connection, "one", f"  - id: t\n    {LIGHT}")
    bench.run(connection, "one")
    waits = []
    for _ in range(bench.profile.submits):
        sent = time.time()
        started = connection.call("POST", f"/executions/{NAMESPACE}/one")
        execution = wait_until_over(connection, started["id"], 30)
        run = execution["taskRunList"][0]
        at = state_at(run["state"], "RUNNING") or run["state"]["endDate"]
        waits.append((_epoch(at) - sent) * 1000)
    connection.close()
    return [Number("submit_to_start", percentile(waits, 0.5), "ms", {"p99": percentile(waits, 0.99), "submits": len(waits)})]


def _epoch(iso: str) -> float:
    return seconds_between("1970-01-01T00:00:00+00:00", iso)


def fan_out(bench: Bench) -> list[Number]:
    """One execution with that many no-op task runs."""
    connection = bench.connect()
    numbers = []
    for width in bench.profile.fan_outs:
        values = json.dumps(list(range(width)))
        loop = f"  - id: each\n    type: io.kestra.plugin.core.flow.ForEach\n    concurrencyLimit: 0\n    values: {values}\n"
        bench.store(
            connection,
            f"fan-{width}",
            f"{loop}    tasks:\n      - id: t\n        {LIGHT.replace('    format', '        format')}",
        )
        execution = bench.run(connection, f"fan-{width}", timeout=600)
        seconds = seconds_between(execution["state"]["startDate"], execution["state"]["endDate"])
        numbers.append(Number(f"fan_out_{width}", width / seconds, "task runs/s", {"seconds": seconds}))
    connection.close()
    return numbers


def long_loop(bench: Bench) -> list[Number]:
    """A loop of very many iterations, then a task that fails: rate, growth of the control plane, and a restart of it all.

    Nothing asks for the whole execution: what is measured is the engine, not the JSON of a hundred thousand task runs.
    """
    connection = bench.connect()
    width = bench.profile.iterations
    loop = (
        "  - id: each\n    type: io.kestra.plugin.core.flow.ForEach\n    concurrencyLimit: 0\n    values: '{{ inputs.values }}'\n"
    )
    task = f"    tasks:\n      - id: t\n        {LIGHT.replace('    format', '        format')}"
    bad = f"  - {{id: bad, type: io.kestra.plugin.core.flow.Subflow, namespace: {NAMESPACE}, flowId: nowhere}}\n"
    bench.store(connection, "long-loop", loop + task + bad + "inputs: [{id: values, type: JSON}]\n")
    values = json.dumps({"values": list(range(width))}).encode()
    plane = [pid for pid in family(bench.platform.pid) if pid not in _worker_families(bench)]
    before = peak = pss_bytes(plane)
    began = time.monotonic()
    execution_id = connection.call("POST", f"/executions/{NAMESPACE}/long-loop", values, "application/json")["id"]
    found = f"/executions/search?filters%5Bid%5D%5BEQUALS%5D={execution_id}&state=FAILED&size=1"
    while not connection.call("GET", found)["total"]:
        peak = max(peak, pss_bytes(plane))
        time.sleep(0.5)
    seconds = time.monotonic() - began
    began = time.monotonic()
    connection.call("POST", "/executions/restart/by-ids", json.dumps([execution_id]).encode(), "application/json")
    restarted = time.monotonic() - began
    connection.close()
    detail = {"seconds": seconds, "plane_before_mb": before / 1e6, "plane_growth_mb": (peak - before) / 1e6}
    return [
        Number(f"long_loop_{width}", width / seconds, "task runs/s", detail),
        Number(f"restart_{width}", restarted, "s", {"plane_after_mb": pss_bytes(plane) / 1e6}),
    ]


def executions_over_rest(bench: Bench) -> list[Number]:
    """One-task executions submitted one by one over several connections, until the last one is over."""
    first = bench.connect()
    bench.store(first, "single", f"  - id: t\n    {LIGHT}")
    bench.run(first, "single")
    count = bench.profile.executions
    ids: list[str] = []

    def submit(number: int) -> None:
        connection = bench.connect()
        ids.extend(connection.call("POST", f"/executions/{NAMESPACE}/single")["id"] for _ in range(count // CLIENTS))
        connection.close()

    began = time.monotonic()
    in_threads(CLIENTS, submit)
    submitted = time.monotonic() - began
    for execution_id in reversed(ids):
        wait_until_over(first, execution_id, 300)
        if _all_over(first):
            break
    seconds = time.monotonic() - began
    first.close()
    detail = {"executions": len(ids), "seconds": seconds, "submitted_seconds": submitted, "connections": CLIENTS}
    return [Number("executions_over_rest", len(ids) / seconds, "executions/s", detail)]


def _all_over(connection: Connection) -> bool:
    query = f"/executions/search?namespace={NAMESPACE}&flowId=single&state=CREATED&state=RUNNING&size=1"
    return bool(connection.call("GET", query)["total"] == 0)


def log_lines(bench: Bench) -> list[Number]:
    """Lines one process writes, until all of them can be read over REST."""
    connection = bench.connect()
    count = bench.profile.log_lines
    script = f"seq -f 'line %.0f of the benchmark, as long as log lines usually are' {count}"
    process = "    taskRunner: {type: io.kestra.plugin.core.runner.Process}\n"
    bench.store(
        connection,
        "logs",
        f'  - id: t\n    type: io.kestra.plugin.scripts.shell.Commands\n{process}    commands:\n      - "{script}"\n',
    )
    execution = bench.run(connection, "logs")
    began = execution["state"]["startDate"]
    deadline = time.monotonic() + 60
    found = f"/logs/search?filters%5BexecutionId%5D%5BEQUALS%5D={execution['id']}&size=1"
    while connection.call("GET", found)["total"] < count:  # a result never waits for the lines
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all of {count} lines were stored within a minute")
        time.sleep(0.02)
    entries = connection.call("GET", f"/logs/{execution['id']}?minLevel=INFO")
    readable = seconds_between(began, datetime.now(UTC).isoformat())
    stored = sum(1 for entry in entries if entry["message"].startswith("line "))
    connection.close()
    ended = seconds_between(began, execution["state"]["endDate"])
    detail = {"lines": count, "stored": stored, "execution_seconds": ended}
    return [Number(f"log_lines_{count}", readable, "s", detail)]


MEASURES: tuple[Callable[[Bench], list[Number]], ...] = (
    start_up,
    idle_memory,
    sequence_and_hops,
    submit_to_start,
    fan_out,
    long_loop,
    executions_over_rest,
    log_lines,
)


def new_token(platform: Platform) -> str:
    """A bearer token, made once: verifying a password is slow on purpose."""
    with httpx.Client(base_url=platform.address, trust_env=False, timeout=30) as http:
        user, password = platform.login.split(":", 1)
        answer = http.post("/api/v1/me/api-tokens", json={"name": "bench", "maxAge": "P1D"}, auth=(user, password))
        answer.raise_for_status()
        return str(answer.json()["fullToken"])
