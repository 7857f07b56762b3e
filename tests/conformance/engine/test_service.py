"""The engine as a thread, with sweepers, recorder and a database that goes away: the same promises, in real time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controlplane.engine.advance import LEASE_SECONDS, new_execution
from controlplane.engine.dispatch import Channel, Dispatcher
from controlplane.engine.items import Item
from controlplane.engine.service import Engine, EngineUnavailable
from controlplane.engine.sweeper import run_once
from controlplane.gateway.recorder import Record, Recorder
from controlplane.logs.store import Chunk
from controlplane.platform import database
from controlplane.platform.database import Database
from controlplane.platform.wakeups import Hub
from flows.machine.events import Finished, Kill
from flows.machine.states import State
from flows.spec.model import Flow
from tests.conformance.engine.faulty import Faulty
from tests.conformance.engine.plane import TENANT, Plane, token_of
from tests.unit.machine.written import flow
from wire import gateway
from wire.ids import new_id

FLOWS = {
    "loop": flow("tasks: [{id: each, type: ForEach, concurrencyLimit: 2, values: [1, 2, 3], tasks: [{id: t}, {id: u}]}]"),
    "flaky": flow("tasks: [{id: a, + retry: {type: constant, interval: PT0.1S, maxAttempt: 3}}]"),
    "later": flow("tasks: [{id: a, + retry: {type: constant, interval: PT0.6S, maxAttempt: 2}}]"),
    "one": flow("tasks: [{id: a}]"),
}


class Running:
    """An engine with a worker that answers from a thread of its own."""

    def __init__(self, url: str, answer: Callable[[gateway.Assign], State | None] = lambda _: State.SUCCESS) -> None:
        self.url = url
        self.answer = answer
        self.dispatcher = Dispatcher()
        self.engine = Engine(url, self.load, Hub(), self.dispatcher)
        self.channel = Channel(TENANT, "default", new_id(), 1, deliver=self.deliver)
        self.channel.free = {True: 4, False: 4}
        self.assigned: list[gateway.Assign] = []
        self.answers: list[str] = []
        self.view = Plane(url, FLOWS)
        self.engine.start()
        self.dispatcher.attach(self.channel)

    def load(self, tenant: str, namespace: str, flow_id: str, revision: int) -> Flow:
        return FLOWS[flow_id]

    def deliver(self, assigns: list[gateway.Assign], stops: list[gateway.AttemptToken]) -> None:
        for assign in assigns:
            self.assigned.append(assign)
            state = self.answer(assign)
            if state is not None:
                self.send(assign, state)

    def send(self, assign: gateway.Assign, state: State = State.SUCCESS) -> None:
        token = token_of(assign)
        event = Finished(token.task_run_id, token.attempt, self.channel.worker_id, state)
        item = Item((TENANT, token.execution_id), event, token=token, channel=self.channel, light=True)
        item.done = self.answers.append
        self.engine.submit(item)

    def start(self, flow_id: str) -> str:
        item = new_execution(TENANT, "tests", flow_id, 1, time.time_ns() // 1000)
        assert self.engine.call(item) == "applied"
        return item.key[1]

    def wait(self, execution_id: str, state: str, timeout: float = 10) -> None:
        deadline = time.monotonic() + timeout
        while self.view.state(execution_id) != state:
            assert time.monotonic() < deadline, self.view.outline(execution_id)
            time.sleep(0.01)

    def close(self) -> None:
        self.engine.stop()
        self.view.close()


@pytest.fixture
def running(backend: str) -> Iterator[Callable[..., Running]]:
    opened: list[Running] = []

    def make(**options: Any) -> Running:
        opened.append(Running(backend, **options))
        return opened[-1]

    yield make
    for found in opened:
        found.close()


def test_an_execution_runs_to_its_end_by_itself(running: Callable[..., Running]) -> None:
    plane = running()
    ids = [plane.start("loop") for _ in range(5)]
    for execution_id in ids:
        plane.wait(execution_id, "SUCCESS")
    assert plane.channel.free[True] == 4
    plane.view.audit()


def test_retries_come_by_themselves_and_in_time(running: Callable[..., Running]) -> None:
    plane = running(answer=lambda assign: State.FAILED if assign.token.attempt < 3 else State.SUCCESS)
    began = time.monotonic()
    ids = [plane.start("flaky"), plane.start("flaky")]
    for execution_id in ids:
        plane.wait(execution_id, "SUCCESS")
    assert 0.2 <= time.monotonic() - began < 5
    assert plane.view.count("timer") == 0


def test_a_later_timer_is_not_forgotten_when_an_earlier_one_fires(running: Callable[..., Running]) -> None:
    plane = running(answer=lambda assign: State.FAILED if assign.token.attempt < 2 else State.SUCCESS)
    later, sooner = plane.start("later"), plane.start("flaky")
    plane.wait(sooner, "SUCCESS")
    plane.wait(later, "SUCCESS", timeout=3)  # nobody sweeps here


def test_a_timer_of_an_earlier_process_fires_in_the_next(running: Callable[..., Running]) -> None:
    first = running(answer=lambda assign: State.FAILED)
    execution_id = first.start("later")
    first.wait(execution_id, "RETRYING")
    first.engine.stop()
    second = running()
    second.wait(execution_id, "SUCCESS", timeout=3)


def test_what_was_submitted_before_the_stop_is_done(running: Callable[..., Running]) -> None:
    plane = running(answer=lambda assign: None)
    ids = [plane.start("one") for _ in range(3)]
    for assign in plane.assigned:
        plane.send(assign)
    plane.engine.stop()
    assert [plane.view.state(execution_id) for execution_id in ids] == ["SUCCESS"] * 3
    with pytest.raises(EngineUnavailable):
        plane.engine.call(Item((TENANT, ids[0]), Kill()))


def test_three_sweepers_at_once_count_one_loss(running: Callable[..., Running], backend: str) -> None:
    plane = running(answer=lambda assign: None)
    ids = [plane.start("one") for _ in range(3)]
    plane.view.expire_leases()
    plane.answer = lambda assign: State.SUCCESS

    def sweep() -> None:
        connection = database.connect(backend)
        for _ in range(3):
            run_once(connection, plane.engine)
        connection.close()

    sweepers = [threading.Thread(target=sweep) for _ in range(3)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join()
    for execution_id in ids:
        plane.wait(execution_id, "SUCCESS")
    assert plane.view.rows("SELECT attempt FROM task_run") == [(2,)] * 3
    for assign in plane.assigned[:3]:
        plane.send(assign, State.FAILED)
    plane.engine.stop()
    assert plane.answers[-3:] == ["superseded"] * 3


def test_a_database_that_goes_away_costs_time_and_nothing_else(
    running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third commit fails for a while, and every tenth is done but its answer is lost."""
    commits = 0
    real = database.connect

    def before(statement: str) -> None:
        nonlocal commits
        if statement == "commit":
            commits += 1
            if commits % 3 == 0:
                raise OSError("the database is away")

    def after(statement: str) -> None:
        if statement == "commit" and commits % 10 == 0:
            raise OSError("the answer was lost")

    def connect(url: str) -> Database:
        return Faulty(real(url), before, after)

    monkeypatch.setattr(database, "connect", connect)
    monkeypatch.setattr(time, "sleep", lambda seconds, sleep=time.sleep: sleep(min(seconds, 0.01)))
    plane = running()
    items = [new_execution(TENANT, "tests", "loop", 1, time.time_ns() // 1000) for _ in range(6)]
    for item in items:
        assert plane.engine.call(item) == "applied"
    deadline = time.monotonic() + 20
    ids = [item.key[1] for item in items]
    sweeper = real(plane.url)
    while {plane.view.state(execution_id) for execution_id in ids} != {"SUCCESS"}:
        assert time.monotonic() < deadline, [plane.view.outline(execution_id) for execution_id in ids]
        lost = [assign for assign in plane.assigned if token_of(assign).attempt > 3]
        assert not lost
        # A lease whose hand-out was never delivered runs out; the worker did not hear of it, so nobody renews it.
        known = {assign.token.lease_id for assign in plane.assigned}
        for (lease_id,) in plane.view.rows("SELECT lease_id FROM hand_out WHERE lease_id IS NOT NULL"):
            if lease_id not in known:
                plane.view.connection.execute("UPDATE hand_out SET lease_until_us = 1 WHERE lease_id = ?", (lease_id,))
        run_once(sweeper, plane.engine)
        time.sleep(0.02)
    sweeper.close()
    assert plane.view.count("execution") == 6
    assert all(state == "SUCCESS" for (state,) in plane.view.rows("SELECT state FROM task_run"))


def test_an_item_that_can_never_be_stored_is_answered(running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    real = database.connect

    def before(statement: str) -> None:
        if statement == "commit":
            raise OSError("the database is away")

    monkeypatch.setattr(database, "connect", lambda url: Faulty(real(url), before))
    monkeypatch.setattr(time, "sleep", lambda seconds, sleep=time.sleep: sleep(0.01))
    plane = running()
    with pytest.raises(EngineUnavailable, match="could not be stored"):
        plane.start("one")
    assert plane.view.count("execution") == 0


# -- recorder ---------------------------------------------------------------------------------------------------------


def lines(first: int, count: int) -> list[tuple[int, int, str]]:
    return [(1_000 + number, 2, f"line {number}") for number in range(first, first + count)]


def recorded(url: str, *chunks: Chunk, worker_id: str = "w") -> Recorder:
    recorder = Recorder(url, Hub())
    done = threading.Semaphore(0)
    recorder.start()
    for chunk in chunks:
        recorder.submit(Record(TENANT, worker_id, chunks=[chunk], done=done.release))
    for _ in chunks:
        assert done.acquire(timeout=10)
    return recorder


def stored(plane: Plane) -> list[int]:
    rows = plane.rows("SELECT first, count FROM log_chunk ORDER BY first")
    return [number for first, count in rows for number in range(first, first + count)]


@pytest.mark.parametrize("cuts", [[(0, 10), (0, 10)], [(0, 4), (2, 8), (0, 12)], [(0, 5), (5, 5), (3, 9)]])
def test_log_lines_that_are_sent_again_are_stored_once(backend: str, cuts: list[tuple[int, int]]) -> None:
    plane = Plane(backend, FLOWS)
    chunks = [Chunk(TENANT, "e", "r", "t", 1, first, lines(first, count)) for first, count in cuts]
    recorded(backend, *chunks).stop()
    recorded(backend, *chunks).stop()  # another process, which remembers nothing
    assert stored(plane) == list(range(max(first + count for first, count in cuts)))
    plane.close()


def test_log_lines_are_not_taken_for_stored_when_the_transaction_failed(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter(["execute", "commit"])
    failing = next(failures)
    seen = 0
    real = database.connect

    def before(statement: str) -> None:
        nonlocal failing, seen
        if statement == failing:
            seen += 1
            if seen % 2 == 0:  # the second look-up of the batch: the first attempt's lines were noted already
                failing = next(failures, "")
                raise OSError("the database is away")

    monkeypatch.setattr(database, "connect", lambda url: Faulty(real(url), before))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    plane = Plane(backend, FLOWS)
    recorder = Recorder(backend, Hub())
    done = threading.Event()
    chunks = [Chunk(TENANT, "e", run, "t", 1, 0, lines(0, 5)) for run in ("r1", "r2", "r3")]
    recorder.submit(Record(TENANT, "w", chunks=chunks, done=done.set))
    recorder.start()
    assert done.wait(10)
    recorder.stop()
    assert seen
    assert sorted(plane.rows("SELECT task_run_id, first, count FROM log_chunk")) == [("r1", 0, 5), ("r2", 0, 5), ("r3", 0, 5)]
    plane.close()


def test_a_renewal_extends_only_the_leases_of_that_worker(backend: str) -> None:
    plane = Plane(backend, FLOWS)
    mine, theirs = plane.attach(light=1), plane.attach(light=1)
    plane.start("one")
    plane.start("one")
    plane.expire_leases()
    leases = [mine.inbox[0].token.lease_id, theirs.inbox[0].token.lease_id]
    recorder = Recorder(backend, Hub())
    done = threading.Event()
    recorder.submit(Record(TENANT, mine.channel.worker_id, lease_ids=leases, done=done.set))
    recorder.start()
    assert done.wait(10)
    recorder.stop()
    now = plane.connection.now_us()
    until = dict(plane.rows("SELECT lease_id, lease_until_us FROM hand_out"))
    assert until[leases[0]] > now + (LEASE_SECONDS - 10) * 1_000_000
    assert until[leases[1]] < now
    plane.close()
