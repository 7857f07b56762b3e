"""Concurrency limits (execution-semantics §12): places are never given twice, and never lost, with any number of engines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from controlplane.engine import concurrency
from controlplane.engine.items import Item
from controlplane.engine.sweeper import expired_leases
from controlplane.executions import commands
from controlplane.platform.database import connect
from flows.machine.events import Admitted, Kill, Pause
from flows.machine.states import State
from tests.conformance.engine.conftest import empty
from tests.conformance.engine.faulty import Crash, Faulty
from tests.conformance.engine.plane import TENANT, FakeWorker, Plane
from tests.unit.machine.written import flow

FLOWS = {
    "queue": flow("concurrency: {limit: 1, behavior: QUEUE}\ntasks: [{id: a}]"),
    "two": flow("concurrency: {limit: 2, behavior: QUEUE}\ntasks: [{id: a}]"),
    "cancel": flow("concurrency: {limit: 1, behavior: CANCEL}\ntasks: [{id: a}]"),
    "fail": flow("concurrency: {limit: 1, behavior: FAIL}\ntasks: [{id: a}]"),
    "grown": flow("concurrency: {limit: 1}\ntasks: [{id: a}]"),
    "grown#2": flow("concurrency: {limit: 2}\ntasks: [{id: a}]"),
    "calls": flow(
        "tasks: [{id: each, type: ForEach, values: [1, 2, 3], concurrencyLimit: 0, tasks: [{id: c, type: Subflow, "
        "namespace: tests, flowId: queue}]}]"
    ),
    "free": flow("tasks: [{id: a}]"),
}


@pytest.fixture
def plane(backend: str) -> Iterator[Plane]:
    found = Plane(backend, dict(FLOWS))
    yield found
    found.close()


@pytest.fixture
def worker(plane: Plane) -> FakeWorker:
    return plane.attach()


def _states(plane: Plane, flow_id: str) -> list[str]:
    return [row[0] for row in plane.rows("SELECT state FROM execution WHERE flow_id = ? ORDER BY created_at_us, id", (flow_id,))]


def _history(plane: Plane, execution_id: str) -> str:
    return str(plane.rows("SELECT history FROM execution WHERE id = ?", (execution_id,))[0][0])


def test_one_too_many_waits_and_runs_when_the_first_ends(plane: Plane, worker: FakeWorker) -> None:
    plane.start("queue")
    second = plane.start("queue")
    assert _states(plane, "queue") == ["RUNNING", "QUEUED"]
    plane.step(worker.item(worker.take()))
    plane.follow()
    assert _states(plane, "queue") == ["SUCCESS", "RUNNING"]
    assert [state for state in ("CREATED", "QUEUED", "RUNNING") if f'"{state}"' in _history(plane, second)] == [
        "CREATED",
        "QUEUED",
        "RUNNING",
    ]


@pytest.mark.parametrize(("flow_id", "state"), [("cancel", "CANCELLED"), ("fail", "FAILED")])
def test_one_too_many_ends_at_once_where_the_flow_says_so(plane: Plane, flow_id: str, state: str) -> None:
    plane.start(flow_id)
    refused = plane.start(flow_id)
    assert plane.state(refused) == state
    assert plane.count("task_run", f"execution_id = '{refused}'") == 0


def test_many_that_arrive_in_one_batch_share_the_places(plane: Plane) -> None:
    assert set(plane.step(*(plane.creation("two") for _ in range(5)))) == {"applied"}
    assert sorted(_states(plane, "two")) == ["QUEUED", "QUEUED", "QUEUED", "RUNNING", "RUNNING"]


def test_the_line_is_first_come_first_served(plane: Plane, worker: FakeWorker) -> None:
    ids = [plane.start("queue") for _ in range(4)]
    seen = []
    for _ in ids:
        assign = worker.take()
        seen.append(assign.token.execution_id)
        plane.step(worker.item(assign))
        plane.follow()
    assert seen == ids


def test_somebody_new_does_not_pass_those_who_wait(plane: Plane, worker: FakeWorker) -> None:
    plane.start("queue")
    plane.start("queue")
    plane.step(worker.item(worker.take()))  # the place is free, nobody was admitted yet
    plane.start("queue")
    assert _states(plane, "queue") == ["SUCCESS", "QUEUED", "QUEUED"]
    plane.follow()
    assert _states(plane, "queue") == ["SUCCESS", "RUNNING", "QUEUED"]


def test_a_paused_execution_keeps_its_place(plane: Plane, worker: FakeWorker) -> None:
    first = plane.start("queue")
    plane.step(Item((TENANT, first), Pause()))
    assert plane.state(first) == "PAUSED"
    plane.start("queue")
    plane.follow()
    assert _states(plane, "queue") == ["PAUSED", "QUEUED"]


WAYS_TO_END: dict[str, Callable[[Plane, FakeWorker, str], None]] = {
    "success": lambda plane, worker, execution_id: _answer(plane, worker, State.SUCCESS),
    "failure": lambda plane, worker, execution_id: _answer(plane, worker, State.FAILED),
    "kill": lambda plane, worker, execution_id: _kill(plane, execution_id),
    "kill while paused": lambda plane, worker, execution_id: _kill(plane, execution_id, Pause()),
    "parked": lambda plane, worker, execution_id: _park(plane, worker),
    "deleted": lambda plane, worker, execution_id: _delete(plane, execution_id),
    "its process died": lambda plane, worker, execution_id: _die(plane, worker),
}


def _answer(plane: Plane, worker: FakeWorker, state: State) -> None:
    plane.step(worker.item(worker.take(), state))


def _kill(plane: Plane, execution_id: str, *before: Pause) -> None:
    plane.step(*(Item((TENANT, execution_id), event) for event in before), Item((TENANT, execution_id), Kill()))


def _park(plane: Plane, worker: FakeWorker) -> None:
    plane.advance.forget()
    plane.gone.add("queue")
    plane.step(worker.item(worker.take()))
    plane.gone.clear()


def _delete(plane: Plane, execution_id: str) -> None:
    for table, column in (("execution", "id"), ("task_run", "execution_id"), ("hand_out", "execution_id")):
        plane.connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (execution_id,))
    plane.sweep()


def _die(plane: Plane, worker: FakeWorker) -> None:
    _answer(plane, worker, State.SUCCESS)
    plane.sweep()


@pytest.mark.parametrize("way", WAYS_TO_END)
def test_a_place_is_free_again_however_its_holder_ends(plane: Plane, worker: FakeWorker, way: str) -> None:
    first = plane.start("queue")
    second = plane.start("queue")
    WAYS_TO_END[way](plane, worker, first)
    plane.follow()
    assert plane.state(second) == "RUNNING"


def test_killing_one_that_waits_takes_it_out_of_the_line(plane: Plane, worker: FakeWorker) -> None:
    first, second, third = (plane.start("queue") for _ in range(3))
    assert plane.kill(second) == "applied"
    plane.step(worker.item(worker.take()))
    plane.follow()
    assert [plane.state(one) for one in (first, second, third)] == ["SUCCESS", "KILLED", "RUNNING"]


def test_force_run_and_unqueue_ask_no_limit(plane: Plane) -> None:
    first, second, third, fourth = (plane.start("queue") for _ in range(4))
    key = (TENANT, second)
    assert plane.step(commands.force_run(key)) == ["applied"]
    assert plane.step(commands.unqueue((TENANT, third))) == ["applied"]
    assert plane.step(commands.unqueue((TENANT, fourth), State.CANCELLED)) == ["applied"]
    assert [plane.state(one) for one in (first, second, third, fourth)] == ["RUNNING", "RUNNING", "RUNNING", "CANCELLED"]
    late = commands.unqueue((TENANT, fourth))
    assert plane.step(late) == ["refused"]
    assert late.refusal_code == "execution.over"


def test_the_newest_revision_says_the_limit_for_older_ones_too(plane: Plane) -> None:
    for _ in range(3):
        item = plane.creation("grown")
        item.pinned = True
        plane.step(item)
    assert _states(plane, "grown") == ["RUNNING", "RUNNING", "QUEUED"]


def test_children_of_a_limited_flow_stand_in_the_line_too(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("calls")
    assert sorted(_states(plane, "queue")) == ["QUEUED", "QUEUED", "RUNNING"]
    plane.run_out(worker)
    assert plane.state(parent) == "SUCCESS"
    assert _states(plane, "queue") == ["SUCCESS"] * 3


def test_a_scheduled_start_passes_the_limit_by(plane: Plane) -> None:
    plane.start("queue")
    later = plane.start("queue", schedule_at=plane.connection.now_us() + 60_000_000)
    assert plane.state(later) == "CREATED"
    for timer in plane.timers():
        plane.step(timer)
    assert plane.state(later) == "RUNNING"


def test_a_flow_without_a_limit_costs_no_statement(backend: str) -> None:
    seen: list[str] = []
    plane = Plane(backend, dict(FLOWS), wrap=lambda real: Faulty(real, seen.append))
    try:
        worker = plane.attach()
        plane.step()
        seen.clear()
        plane.start("free")
        plane.step(worker.item(worker.take()))
        begun = ["begin", "insert execution", "insert task_run", "insert hand_out", "commit"]
        ended = ["begin", "lock execution", "take hand_out", "update execution", "update task_run", "commit"]
        assert [one for one in seen if one != "execute"] == [*begun, *ended]
        assert seen.count("execute") <= 2  # the look for what waits
    finally:
        plane.close()


# -- several engines --------------------------------------------------------------------------------------------------


def _two(url: str) -> tuple[Plane, Plane]:
    planes = (Plane(url, dict(FLOWS)), Plane(url, dict(FLOWS)))
    for plane in planes:
        plane.advance.checked = False
    return planes


def test_two_engines_never_give_the_same_place(postgresql: str) -> None:
    one, two = _two(postgresql)
    try:
        barrier = threading.Barrier(2)
        creations = [[plane.creation("two") for _ in range(25)] for plane in (one, two)]

        def run(plane: Plane, items: list[Item]) -> None:
            barrier.wait()
            for item in items:
                plane.step(item)

        threads = [threading.Thread(target=run, args=pair) for pair in zip((one, two), creations, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert one.count("execution", "state = 'RUNNING'") == 2
        assert one.count("execution", "state = 'QUEUED'") == 48
    finally:
        one.close()
        two.close()


def test_locks_of_flows_taken_in_different_orders_do_not_deadlock(postgresql: str) -> None:
    """Each engine begins with one flow and finds out in the middle of its step that it needs the other's."""
    flows = {
        "left": flow("concurrency: {limit: 100}\ntasks: [{id: c, type: Subflow, namespace: tests, flowId: right-end}]"),
        "right": flow("concurrency: {limit: 100}\ntasks: [{id: c, type: Subflow, namespace: tests, flowId: left-end}]"),
        "left-end": flow("concurrency: {limit: 100}\ntasks: [{id: c, type: Subflow, namespace: tests, flowId: right}]"),
        "right-end": flow("concurrency: {limit: 100}\ntasks: [{id: a}]"),
    }
    planes = [Plane(postgresql, dict(flows)) for _ in range(2)]
    for plane in planes:
        plane.advance.checked = False
    failures: list[BaseException] = []
    barrier = threading.Barrier(2)

    def run(plane: Plane, flow_id: str) -> None:
        try:
            barrier.wait()
            for _ in range(15):
                plane.step(plane.creation(flow_id))
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    try:
        threads = [
            threading.Thread(target=run, args=(plane, name)) for plane, name in zip(planes, ("left", "left-end"), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not failures, failures
        assert not any(thread.is_alive() for thread in threads)
        assert planes[0].count("execution", "flow_id = 'left'") == 15
    finally:
        for plane in planes:
            plane.close()


def test_an_admission_that_comes_twice_is_given_once(postgresql: str) -> None:
    one, two = _two(postgresql)
    try:
        worker = one.attach()
        one.start("queue")
        second, third = one.start("queue"), one.start("queue")
        one.step(worker.item(worker.take()))
        both = [concurrency.admissions(plane.connection, (TENANT, "tests", "queue"), plane.newest) for plane in (one, two)]
        assert [item.key[1] for items in both for item in items] == [second, second]
        assert one.step(*both[0]) == ["applied"]
        assert two.step(*both[1]) == ["refused"]
        late = Item((TENANT, third), Admitted(), states=frozenset({State.QUEUED}))
        assert two.step(late) == ["refused"]
        assert one.state(third) == "QUEUED"
    finally:
        one.close()
        two.close()


# -- crashes ----------------------------------------------------------------------------------------------------------


def test_a_crash_at_any_statement_gives_no_place_twice_and_loses_none(backend: str) -> None:
    at = 0
    while True:
        at += 1
        connection = connect(backend)
        empty(connection)
        connection.close()
        seen = 0

        def point(statement: str, at: int = at) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                raise Crash(statement)

        plane = Plane(backend, dict(FLOWS), wrap=lambda real, point=point: Faulty(real, point))  # type: ignore[misc]
        plane.advance.checked = False
        items = [plane.creation("queue") for _ in range(3)]
        crashed = False
        try:
            _live(plane, items)
        except Crash:
            crashed = True
            plane.close()
            plane = Plane(backend, dict(FLOWS))
            plane.advance.checked = False
            for item in items:
                item.tries += 1
            _live(plane, items)
        assert [row[0] for row in plane.rows("SELECT state FROM execution")] == ["SUCCESS"] * 3, f"crash point {at}"
        plane.close()
        if not crashed:
            assert at > 20
            return


def _live(plane: Plane, items: list[Item]) -> None:
    """Everything is created, worked and admitted, from wherever things stand."""
    for item in items:
        plane.step(item)
    worker = plane.attach(worker_id="w" * 22)
    for _ in range(20):
        plane.sweep()
        plane.follow()
        running = plane.count("execution", "state = 'RUNNING'")
        assert running <= 1, "a place was given twice"
        plane.expire_leases()
        while worker.inbox:
            plane.step(worker.item(worker.take()))
            worker.channel.free[True] = 10
        plane.step(*expired_leases(plane.connection))
        worker.channel.free[True] = 10
        plane.dispatcher.look_again()
        plane.step()


# -- planted ----------------------------------------------------------------------------------------------------------


def test_planted_a_verdict_without_a_lock_is_caught(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlocked(self: concurrency.Places, keys: object) -> None:
        for key in set(keys) - self._taken.keys():  # type: ignore[call-overload]
            self._count(key)

    monkeypatch.setattr(concurrency.Places, "hold", unlocked)

    def ten_times() -> None:
        for _ in range(10):
            plane = Plane(postgresql, {})
            empty(plane.connection)
            plane.close()
            test_two_engines_never_give_the_same_place(postgresql)

    with pytest.raises(AssertionError):
        ten_times()
