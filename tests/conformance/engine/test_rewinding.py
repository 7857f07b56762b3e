"""Restart, replay and a task run's state by hand: over every task run an execution ever had, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlplane.engine import rewinding
from controlplane.engine.items import Item
from controlplane.engine.sweeper import expired_leases
from flows.machine.execution import Execution
from flows.machine.states import State
from tests.conformance.engine.conftest import emptied
from tests.conformance.engine.faulty import Crash, Faulty
from tests.conformance.engine.plane import TENANT, FakeWorker, Plane
from tests.unit.machine.written import flow
from wire.ids import new_id

FLOWS = {
    "failing": flow("""
    tasks:
      - {id: a}
      - {id: seq, type: Sequential, tasks: [{id: s1}, {id: s2}]}
      - {id: z}
    errors: [{id: e1}]
    """),
    "failing#2": flow("tasks: [{id: a}, {id: seq, type: Sequential, tasks: [{id: s1}, {id: s2}]}, {id: better}]"),
    "loop": flow("tasks: [{id: each, type: ForEach, concurrencyLimit: 0, values: [1, 2, 3, 4], tasks: [{id: t}]}]"),
    "calls": flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: child}]"),
    "child": flow("tasks: [{id: c1}, {id: c2}]"),
}


@pytest.fixture
def plane(backend: str) -> Iterator[Plane]:
    found = Plane(backend, dict(FLOWS))
    yield found
    found.close()


@pytest.fixture
def worker(plane: Plane) -> FakeWorker:
    return plane.attach(light=20)


def _failed(plane: Plane, worker: FakeWorker) -> str:
    """`s2` failed, `e1` ran."""
    execution_id = plane.start("failing")
    plane.run_out(worker, lambda assign: worker.item(assign, State.FAILED if assign.task_id == "s2" else State.SUCCESS))
    assert plane.state(execution_id) == "FAILED"
    return execution_id


def _tasks(plane: Plane, execution_id: str) -> list[str]:
    sql = "SELECT task_id, state FROM task_run WHERE execution_id = ? ORDER BY seq"
    return [f"{task_id} {state}" for task_id, state in plane.rows(sql, (execution_id,))]


def test_a_restart_runs_only_what_failed_in_the_same_execution(plane: Plane, worker: FakeWorker) -> None:
    execution_id = _failed(plane, worker)
    before = dict(plane.rows("SELECT task_id, id FROM task_run"))
    assert plane.step(rewinding.restart((TENANT, execution_id))) == ["applied"]
    assert _tasks(plane, execution_id) == ["a SUCCESS", "seq RUNNING", "s1 SUCCESS", "s2 RESTARTED"]
    assign = worker.take("s2")
    assert (assign.token.task_run_id, assign.token.attempt) == (before["s2"], 2)
    plane.step(worker.item(assign))
    plane.run_out(worker)
    assert _tasks(plane, execution_id) == ["a SUCCESS", "seq SUCCESS", "s1 SUCCESS", "s2 SUCCESS", "z SUCCESS"]
    history = plane.rows("SELECT history FROM execution WHERE id = ?", (execution_id,))[0][0]
    assert [state for state in history.split('"') if state.isupper()] == [
        "CREATED",
        "RUNNING",
        "FAILED",
        "RESTARTED",
        "RUNNING",
        "SUCCESS",
    ]


def test_a_restart_of_a_wide_loop_hands_out_the_failed_ones_only(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("loop")
    for position in range(4):
        plane.step(worker.item(worker.take(), State.FAILED if position in (1, 2) else State.SUCCESS))
    plane.step(*expired_leases(plane.connection))
    assert plane.state(execution_id) == "FAILED"
    plane.advance.forget()
    assert plane.step(rewinding.restart((TENANT, execution_id))) == ["applied"]
    assert len(worker.inbox) == 2
    plane.run_out(worker)
    assert plane.state(execution_id) == "SUCCESS"
    assert plane.states(execution_id, "t") == ["SUCCESS"] * 4


def test_what_has_nothing_to_restart_is_refused_and_left_as_it_is(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("loop")
    item = rewinding.restart((TENANT, execution_id))
    assert plane.step(item) == ["refused"]
    assert item.refusal == "it is RUNNING"
    plane.run_out(worker)
    item = rewinding.restart((TENANT, execution_id))
    assert plane.step(item) == ["refused"]
    assert item.refusal_code == "execution.nothing_to_restart"
    assert plane.state(execution_id) == "SUCCESS"
    assert plane.step(rewinding.restart((TENANT, "nowhere"))) == ["absent"]


def test_a_restart_in_another_revision_is_a_new_execution_with_new_task_runs(plane: Plane, worker: FakeWorker) -> None:
    source = _failed(plane, worker)
    before = {row[0] for row in plane.rows("SELECT id FROM task_run")}
    target = new_id()
    item = rewinding.restart_as_new((TENANT, source), target, FLOWS["failing#2"], 2)
    assert plane.step(item) == ["applied"]
    assert plane.state(source) == "FAILED"
    assert plane.rows("SELECT parent_id, original_id, flow_revision FROM execution WHERE id = ?", (target,)) == [
        (source, source, 2)
    ]
    plane.run_out(worker)
    assert _tasks(plane, target) == ["a SUCCESS", "seq SUCCESS", "s1 SUCCESS", "s2 SUCCESS", "better SUCCESS"]
    assert not before & {row[0] for row in plane.rows("SELECT id FROM task_run WHERE execution_id = ?", (target,))}


def test_a_replay_from_a_task_run_copies_what_came_before(plane: Plane, worker: FakeWorker) -> None:
    source = _failed(plane, worker)
    (run_id,) = plane.rows("SELECT id FROM task_run WHERE task_id = 's1'")[0]
    target = new_id()

    def prepare(execution: Execution) -> None:
        execution.inputs = {"n": 2}

    item = rewinding.replay((TENANT, source), run_id, target, FLOWS["failing"], 1, prepare=prepare)
    assert plane.step(item) == ["applied"]
    assert _tasks(plane, target) == ["a SUCCESS", "seq RUNNING", "s1 RESTARTED"]
    plane.run_out(worker)
    assert plane.state(target) == "SUCCESS"
    assert plane.rows("SELECT inputs FROM execution WHERE id = ?", (target,)) == [('{"n":2}',)]
    unknown = rewinding.replay((TENANT, source), "nowhere", new_id(), FLOWS["failing"], 1)
    assert plane.step(unknown) == ["refused"]
    assert unknown.refusal_code == "task_run.unknown"


def test_a_task_runs_state_by_hand_lets_the_execution_go_on_from_there(plane: Plane, worker: FakeWorker) -> None:
    execution_id = _failed(plane, worker)
    (run_id,) = plane.rows("SELECT id FROM task_run WHERE task_id = 's2'")[0]
    assert plane.step(rewinding.change_state((TENANT, execution_id), run_id, State.SUCCESS)) == ["applied"]
    assert [assign.task_id for assign in worker.inbox] == ["z"]
    plane.run_out(worker)
    assert plane.state(execution_id) == "SUCCESS"


def test_the_restart_of_a_parent_restarts_the_same_failed_child(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("calls")
    plane.step(worker.item(worker.take("c1")))
    plane.step(worker.item(worker.take("c2"), State.FAILED))
    plane.follow()
    assert plane.state(parent) == "FAILED"
    assert plane.step(rewinding.restart((TENANT, parent))) == ["applied"]
    plane.follow()
    assert plane.count("execution") == 2
    plane.step(worker.item(worker.take("c2")))
    plane.follow()
    assert plane.state(parent) == "SUCCESS"
    assert plane.states(plane.rows("SELECT id FROM execution WHERE flow_id = 'child'")[0][0], "c1") == ["SUCCESS"]


def test_a_child_that_is_gone_cannot_be_restarted_and_its_parent_hears_of_it(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("calls")
    plane.step(worker.item(worker.take("c1"), State.FAILED))
    plane.follow()
    plane.connection.execute("DELETE FROM execution WHERE flow_id = 'child'")
    plane.step(rewinding.restart((TENANT, parent)))
    plane.follow()
    assert plane.state(parent) == "FAILED"
    assert plane.count("outbox") == 0


def test_a_crash_at_any_statement_of_a_restart_changes_nothing(backend: str) -> None:
    at = 0
    while True:
        at += 1
        emptied(backend)
        plane = Plane(backend, dict(FLOWS))
        plane.advance.checked = False
        execution_id = _failed(plane, plane.attach())
        before = plane.rows("SELECT id, state, history, attempts FROM task_run ORDER BY seq")
        plane.close()
        seen = 0

        def point(statement: str, at: int = at) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                raise Crash(statement)

        broken = Plane(backend, dict(FLOWS), wrap=lambda real, point=point: Faulty(real, point))  # type: ignore[misc]
        broken.advance.checked = False
        crashed = False
        try:
            broken.step(rewinding.restart((TENANT, execution_id)))
        except Crash:
            crashed = True
            assert broken.rows("SELECT id, state, history, attempts FROM task_run ORDER BY seq") == before, at
        broken.close()
        if not crashed:
            assert at > 5
            return


def test_a_restart_told_twice_restarts_once(plane: Plane, worker: FakeWorker) -> None:
    execution_id = _failed(plane, worker)
    items: list[Item] = [rewinding.restart((TENANT, execution_id)) for _ in range(2)]
    assert plane.step(*items) == ["applied", "refused"]
    assert [assign.task_id for assign in worker.inbox] == ["s2"]
