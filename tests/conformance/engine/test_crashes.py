"""There is no unlucky moment: the engine dies at the Nth statement, N rising until the scenario ends without dying."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from controlplane.engine.advance import assign_message
from controlplane.engine.items import Item
from flows.machine.events import Kill
from flows.machine.simulate import Answer
from flows.machine.simulate import run as simulate
from flows.machine.states import State
from tests.conformance.engine.conftest import emptied
from tests.conformance.engine.faulty import Crash, Faulty
from tests.conformance.engine.plane import TENANT, FakeWorker, Plane
from tests.unit.machine.written import flow
from wire import gateway

FLOWS = {
    "busy": flow("""
    tasks:
      - id: each
        type: ForEach
        concurrencyLimit: 2
        values: [1, 2]
        tasks:
          - {id: t, type: Return, format: "{{ taskrun.value }}", retry: {type: constant, interval: PT1H, maxAttempt: 2}}
          - {id: c, type: If, condition: "{{ taskrun.value == '1' }}", then: [{id: v}]}
      - {id: bad}
    errors: [{id: e}]
    """),
}


@dataclass
class Memory:
    """What a worker knows, whatever happens to the plane: hand-outs not begun, results not acknowledged, what it really ran."""

    held: dict[str, gateway.Assign] = field(default_factory=dict)
    results: dict[str, tuple[gateway.Assign, State]] = field(default_factory=dict)
    ran: Counter[tuple[str, int]] = field(default_factory=Counter)
    finished: int = 0
    slots: set[str] = field(default_factory=set)

    def work(self) -> None:
        """Runs the oldest hand-out: first tries of `t[1]` and `bad` fail."""
        lease_id, assign = next(iter(self.held.items()))
        del self.held[lease_id]
        failed = assign.task_id == "bad" or (b'"value":"1"' in assign.context_json and assign.token.attempt == 1)
        self.ran[assign.token.task_run_id, assign.token.attempt] += 1
        self.results[lease_id] = (assign, State.FAILED if failed else State.SUCCESS)


def connect(plane: Plane, memory: Memory, worker_id: str) -> FakeWorker:
    """The worker's stream to a new plane: what the table says it holds and it does not know is handed out once more."""
    worker = plane.attach(light=2, worker_id=worker_id)
    worker.channel.free[True] -= plane.held(worker)
    columns = "execution_id, task_run_id, attempt, lease_id, task_id, context"
    rows = plane.rows(f"SELECT {columns} FROM hand_out WHERE lease_id IS NOT NULL ORDER BY seq")
    leased = {row[3] for row in rows}
    memory.slots = set(leased)
    for lease_id in list(memory.held):
        if lease_id not in leased:
            del memory.held[lease_id]
    for execution_id, run_id, attempt, lease_id, task_id, context in rows:
        if lease_id not in memory.held and lease_id not in memory.results:
            task = plane.flows["busy"].task(task_id)
            memory.held[lease_id] = assign_message(
                execution_id, "tests", "busy", 1, task, run_id, attempt, lease_id, context.encode()
            )
    return worker


def live(plane: Plane, memory: Memory, creation: Item, kill_after: int | None) -> None:
    """Goes on from wherever things stand, to the end."""
    worker = connect(plane, memory, "w" * 22)
    if creation.tries >= 0:
        answer = plane.step(creation)
        assert answer == ["applied"]
        creation.tries = -1
    for _ in range(200):
        for assign in worker.inbox:
            memory.held[assign.token.lease_id] = assign
            memory.slots.add(assign.token.lease_id)
        worker.inbox.clear()
        if kill_after is not None and memory.finished >= kill_after and plane.state(creation.key[1]) != "KILLED":
            assert plane.step(Item(creation.key, Kill())) == ["applied"]
            for token in worker.stops:
                memory.held.pop(token.lease_id, None)
        elif memory.results:
            lease_id, (assign, state) = next(iter(memory.results.items()))
            item = worker.item(assign, state)
            if lease_id not in memory.slots:  # recorded before the crash: this session never counted it
                item.channel = None
            plane.step(item)
            memory.slots.discard(lease_id)
            del memory.results[lease_id]
            memory.finished += 1
        elif memory.held:
            memory.work()
        elif timers := plane.timers():
            plane.step(timers[0])
        elif plane.count("hand_out", "lease_id IS NULL"):
            plane.step()
        else:
            return
    raise AssertionError("it does not end")


def crashed(url: str, at: int, kill_after: int | None) -> tuple[bool, Plane, str, Memory]:
    """One life with a crash at the `at`-th point. Says whether the point was reached."""
    emptied(url)
    seen = 0

    def point(statement: str) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            raise Crash(statement)

    def after(statement: str) -> None:
        if statement == "commit":
            point(statement)

    memory = Memory()
    plane = Plane(url, FLOWS, wrap=lambda real: Faulty(real, point, after))
    creation = plane.creation("busy")
    reached = False
    try:
        live(plane, memory, creation, kill_after)
    except Crash:
        reached = True
        plane.close()
        plane = Plane(url, FLOWS)
        creation.tries += creation.tries >= 0
        live(plane, memory, creation, kill_after)
    return reached, plane, creation.key[1], memory


def every_point(url: str, check: Callable[[Plane, str, Memory], None], kill_after: int | None = None) -> int:
    at = 0
    while True:
        at += 1
        reached, plane, execution_id, memory = crashed(url, at, kill_after)
        try:
            check(plane, execution_id, memory)
            plane.audit()
            assert plane.count("hand_out") == 0
            repeated = {run: count for run, count in memory.ran.items() if count > 1}
            assert not repeated, f"ran more than once: {repeated}"
        except AssertionError as error:
            error.add_note(f"crash point {at}")
            raise
        finally:
            plane.close()
        if not reached:
            return at - 1


def test_a_crash_at_any_statement_changes_nothing(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    failed_once: list[Answer] = [Answer(State.FAILED), Answer()]
    expected = simulate(FLOWS["busy"], {"t[1]": failed_once, "bad": Answer(State.FAILED)})

    def check(plane: Plane, execution_id: str, memory: Memory) -> None:
        runs = sorted(f"{run.task_id} {run.value} {run.state} {len(run.attempts)}" for run in expected.runs.values())
        rows = plane.rows("SELECT task_id, value, state, attempt FROM task_run")
        assert sorted(" ".join(map(str, row)) for row in rows) == runs
        assert plane.state(execution_id) == "FAILED"

    count = every_point(backend, check)
    with capsys.disabled():
        print(f"\n  crash points of a loop with a retry on {backend.split(':', 1)[0]}: {count}, all visited")
    assert count > 50


def test_a_crash_at_any_statement_around_a_kill_ends_killed(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    def check(plane: Plane, execution_id: str, memory: Memory) -> None:
        assert plane.rows("SELECT tenant_id, state FROM execution") == [(TENANT, "KILLED")]
        assert not plane.rows("SELECT id FROM task_run WHERE ended_at_us IS NULL")
        assert plane.count("timer") == 0

    count = every_point(backend, check, kill_after=2)
    with capsys.disabled():
        print(f"\n  crash points around a kill on {backend.split(':', 1)[0]}: {count}, all visited")
    assert count > 30
