"""What a step has to tell is stored with it, delivered after it, and applied once; and what was removed is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from controlplane.engine import outbox, store
from controlplane.engine.items import Item
from controlplane.engine.lookups import StoredLookups
from controlplane.engine.sweeper import note_connected, run_once, without_workers
from controlplane.platform.database import Database
from flows.machine.events import SetLabels
from tests.conformance.engine.plane import TENANT, FakeWorker, Plane
from tests.unit.machine.written import flow

FLOWS = {
    "toggle": flow("tasks: [{id: off, type: Toggle, trigger: nightly, enabled: false}]"),
    "one": flow("tasks: [{id: a}]"),
    "marks": flow("""
    tasks:
      - {id: mark, type: Labels, labels: {stage: loaded}}
      - {id: keep, type: SetVariables, variables: {n: 3}}
      - {id: a, type: Return, format: "{{ labels.stage }} {{ vars.n }}"}
    """),
    "rounds": flow("""
    tasks:
      - id: poll
        type: LoopUntil
        condition: "{{ outputs.q.value == 'done' }}"
        checkFrequency: {interval: PT1H}
        tasks:
          - {id: inner, type: Sequential, tasks: [{id: q, type: Return, format: x}]}
          - {id: r, type: Log, message: "{{ outputs.q.value }}"}
      - {id: z}
    """),
    "sla": flow(
        "sla: [{id: too-long, type: MAX_DURATION, duration: PT1H, behavior: FAIL, labels: {sla: missed}}]\ntasks: [{id: a}]"
    ),
    "nobody": flow("tasks: [{id: a, + workerGroup: {key: gpu, fallback: FAIL}}]"),
    "waits": flow("tasks: [{id: a, + workerGroup: {key: gpu}}]"),
    "nested": flow("""
    tasks:
      - id: outer
        type: ForEach
        concurrencyLimit: 0
        values: [a, "b,", '["a"']
        tasks:
          - {id: t, type: Return, format: x}
          - {id: inner, type: ForEach, values: [1, 2], tasks: [{id: u, type: Return, format: x}]}
          - {id: s, type: Log, message: "{{ outputs.t[taskrun.value] }}"}
    """),
}


@pytest.fixture(autouse=True)
def nobody_else_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's own consumers are put aside."""
    monkeypatch.setattr(outbox, "_consumers", {})
    monkeypatch.setattr(outbox, "_wanted", {})


@pytest.fixture
def plane(backend: str) -> Iterator[Plane]:
    found = Plane(backend, dict(FLOWS))
    yield found
    found.close()


@pytest.fixture
def worker(plane: Plane) -> FakeWorker:
    return plane.attach()


class Seen:
    """A consumer that remembers, and fails as often as it is told."""

    def __init__(self) -> None:
        self.notices: list[outbox.Notice] = []
        self.failures = 0

    def __call__(self, database: Database, notice: outbox.Notice) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("planted")
        self.notices.append(notice)


@pytest.fixture
def consumer(nobody_else_listens: None) -> Seen:
    seen = Seen()
    outbox.consume("trigger.toggle", seen)
    return seen


# -- notices ----------------------------------------------------------------------------------------------------------


def test_a_notice_is_stored_with_the_step_and_reaches_its_consumer_once(plane: Plane, consumer: Seen) -> None:
    execution_id = plane.start("toggle")
    assert plane.state(execution_id) == "SUCCESS"
    _, (notice,) = outbox.stale(plane.connection, age_us=-1)
    assert outbox.deliver(plane.connection, notice)
    assert not outbox.deliver(plane.connection, notice)
    assert [(one.kind, one.data["trigger"], one.data["enabled"]) for one in consumer.notices] == [
        ("trigger.toggle", "nightly", False)
    ]
    assert plane.count("outbox") == 0


def test_a_consumer_that_fails_gets_the_notice_again(plane: Plane, consumer: Seen) -> None:
    consumer.failures = 1
    plane.start("toggle")
    _, (notice,) = outbox.stale(plane.connection, age_us=-1)
    with pytest.raises(RuntimeError):
        outbox.deliver(plane.connection, notice)
    assert plane.count("outbox") == 1
    assert outbox.deliver(plane.connection, notice)


def test_what_nobody_consumes_is_not_written(plane: Plane) -> None:
    plane.start("toggle")
    plane.start("one")
    assert plane.count("outbox") == 0


def test_states_are_told_only_for_tenants_that_want_them(plane: Plane, worker: FakeWorker) -> None:
    seen = Seen()
    asked: list[str] = []

    def wanted(database: Database, tenant: str) -> bool:
        asked.append(tenant)
        return len(asked) > 1

    outbox.consume(outbox.STATES, seen, wanted)
    execution_id = plane.start("one")
    assert plane.count("outbox") == 0
    plane.step(worker.item(worker.take()))
    (row,) = plane.rows("SELECT payload FROM outbox")
    told = orjson.loads(row[0])
    assert (told["executionId"], told["flowId"], told["states"]) == (execution_id, "one", ["SUCCESS"])
    assert set(asked) == {TENANT}


def test_the_courier_brings_notices_by_itself(plane: Plane, consumer: Seen) -> None:
    arrived = threading.Event()
    outbox.consume("trigger.toggle", lambda database, notice: arrived.set())
    plane.start("toggle")  # telling hands it to the courier
    assert arrived.wait(10)
    for _ in range(100):
        if not plane.count("outbox"):
            break
        time.sleep(0.02)
    assert plane.count("outbox") == 0
    plane.engine.courier.stop()


# -- what changes in an execution -------------------------------------------------------------------------------------


def _edited(plane: Plane, execution_id: str) -> tuple[Any, Any]:
    labels, variables = plane.rows("SELECT labels, variables FROM execution WHERE id = ?", (execution_id,))[0]
    found = orjson.loads(labels) if isinstance(labels, str) else labels
    return {label["key"]: label["value"] for label in found}, orjson.loads(variables)


def test_labels_and_variables_that_tasks_set_are_stored_and_found_again(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("marks")
    labels, variables = _edited(plane, execution_id)
    assert labels["stage"] == "loaded"
    assert variables == {"n": 3}
    plane.advance.forget()
    plane.step(Item((TENANT, execution_id), SetLabels((("more", "x"),))))
    labels, variables = _edited(plane, execution_id)
    assert (labels["stage"], labels["more"], variables) == ("loaded", "x", {"n": 3})


def test_labels_are_not_written_by_steps_that_do_not_change_them(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("one")
    plane.connection.execute("UPDATE execution SET labels = '[]' WHERE id = ?", (execution_id,))
    plane.step(worker.item(worker.take()))
    assert _edited(plane, execution_id)[0] == {}


def test_a_service_level_has_a_timer_that_goes_with_the_end(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("sla")
    assert plane.rows("SELECT task_run_id, kind FROM timer") == [("", "sla:too-long")]
    late = plane.start("sla")
    plane.step(worker.item(next(one for one in worker.inbox if one.token.execution_id == execution_id)))
    assert plane.state(execution_id) == "SUCCESS"
    (timer,) = plane.timers()
    assert timer.key[1] == late
    plane.step(timer)
    assert plane.state(late) == "FAILED"
    assert _edited(plane, late)[0]["sla"] == "missed"
    assert plane.count("timer") == 0


# -- rounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remembered", [True, False])
def test_a_round_takes_the_rows_of_the_last_one_with_it(plane: Plane, worker: FakeWorker, remembered: bool) -> None:
    execution_id = plane.start("rounds")
    for answer in ("first", "second", "done"):
        if not remembered:
            plane.advance.forget()
        plane.step(worker.item(worker.take("q"), outputs={"value": answer}))
        told = worker.take("r")
        assert orjson.loads(told.context_json)["outputs"]["q"]["value"] == answer
        plane.step(worker.item(told))
        assert plane.count("task_run") == (4 if answer != "done" else 5)
        for timer in plane.timers():
            assert plane.state(execution_id) == "PAUSED"
            plane.step(timer)
    plane.run_out(worker)
    assert plane.state(execution_id) == "SUCCESS"
    assert plane.states(execution_id, "q") == ["SUCCESS"]


# -- one position of a loop -------------------------------------------------------------------------------------------


def test_outputs_at_a_position_are_those_above_at_and_below_it(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("nested")
    plane.run_out(worker, lambda assign: worker.item(assign, outputs={"value": assign.task_id}))
    (execution,) = batch_of(plane, execution_id)
    look = StoredLookups(plane.connection, {}, {})
    tasks = frozenset({"t", "u"})
    whole = look.outputs(execution, tasks)
    for value in ("a", "b,", '["a"'):
        here = look.outputs_here(execution, tasks, (value,))
        assert here == {"t": {value: whole["t"][value]}, "u": {value: whole["u"][value]}}
        deep = look.outputs_here(execution, tasks, (value, "2"))
        assert deep == {"t": {value: whole["t"][value]}, "u": {value: {"2": whole["u"][value]["2"]}}}
    assert look.outputs_here(execution, tasks, ()) == whole


def batch_of(plane: Plane, execution_id: str) -> list[Any]:
    return list(store.load_executions(plane.connection, [(TENANT, execution_id)]).values())


# -- nobody of the group ----------------------------------------------------------------------------------------------


def _worker_row(plane: Plane, worker_id: str, group: str, seen_at_us: int) -> None:
    columns = "tenant_id, id, worker_group, name, digest, labels, version, epoch, light_slots, process_slots"
    columns += ", enrolled_at_us, seen_at_us"
    plane.connection.execute(
        f"INSERT INTO worker ({columns}) VALUES (?, ?, ?, 'w', ?, '{{}}', '', 1, 1, 1, 0, ?)",
        (TENANT, worker_id, group, worker_id, seen_at_us),
    )


def test_a_task_that_does_not_want_to_wait_fails_while_nobody_of_its_group_is_connected(plane: Plane) -> None:
    failing, waiting = plane.start("nobody"), plane.start("waits")
    plane.step(*without_workers(plane.connection))
    assert (plane.state(failing), plane.state(waiting)) == ("FAILED", "RUNNING")
    assert plane.count("hand_out") == 1


def test_a_task_waits_while_somebody_of_its_group_is_connected_anywhere(plane: Plane) -> None:
    plane.start("nobody")
    now = plane.connection.now_us()
    _worker_row(plane, "elsewhere", "gpu", now - 5_000_000)
    assert without_workers(plane.connection) == []
    plane.connection.execute("UPDATE worker SET seen_at_us = ?", (now - 60_000_000,))
    assert len(without_workers(plane.connection)) == 1


def test_a_worker_that_comes_in_the_last_instant_gets_the_task(plane: Plane) -> None:
    execution_id = plane.start("nobody")
    (verdict,) = without_workers(plane.connection)
    worker = plane.attach(group="gpu")
    plane.step()
    assert plane.step(verdict) == ["superseded"]
    plane.step(worker.item(worker.take()))
    assert plane.state(execution_id) == "SUCCESS"


def test_the_sweep_notes_which_workers_are_connected_here(plane: Plane) -> None:
    worker = plane.attach(group="gpu")
    _worker_row(plane, worker.channel.worker_id, "gpu", 0)
    note_connected(plane.connection, plane.engine)
    assert plane.connection.now_us() - plane.rows("SELECT seen_at_us FROM worker")[0][0] < 5_000_000
    assert run_once(plane.connection, plane.engine)["alone"] == 0
