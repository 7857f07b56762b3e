"""Executions that start executions: created, told and ended within transactions, on every database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings

from controlplane.engine import batch as batches
from controlplane.engine import outbox
from controlplane.engine.items import Item
from controlplane.engine.sweeper import expired_leases
from controlplane.files import storage
from flows.machine.events import Kill
from flows.machine.states import State
from tests.conformance.engine.conftest import emptied
from tests.conformance.engine.faulty import Crash, Faulty
from tests.conformance.engine.plane import TENANT, FakeWorker, Plane
from tests.unit.machine.written import flow

FLOWS = {
    "parent": flow("""
    tasks:
      - {id: call, type: Subflow, namespace: tests, flowId: child, inputs: {day: "{{ flow.id }}"}, labels: {from: parent}}
      - {id: use, type: Log, message: "{{ outputs.call.outputs.total }}"}
    """),
    "child": flow("""
    labels: {own: label}
    inputs: [{id: day, type: STRING}]
    tasks: [{id: work, type: Return, format: x}]
    outputs: [{id: total, type: STRING, value: "{{ outputs.work.value }}"}]
    """),
    "forget": flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: slow, wait: false}, {id: next}]"),
    "slow": flow("tasks: [{id: work}]"),
    "missing": flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: nowhere}]"),
    "refused": flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: child}]"),
    "disabled": flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: off}]"),
    "off": flow("disabled: true\ntasks: [{id: a}]"),
    "loop": flow("""
    tasks:
      - id: loop
        type: Loop
        values: [a, b, c]
        outputs: [{id: up, type: STRING, value: "{{ outputs.t.value }}"}]
        tasks: [{id: t, type: Return, format: "{{ item.value }}-{{ item.index }}"}]
      - {id: use, type: Log, message: "{{ outputs.loop.outputs }}"}
    """),
    "grand": flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: parent}]"),
    "endless": flow("tasks: [{id: again, type: Subflow, namespace: tests, flowId: endless}]"),
    "retried": flow("""
    retry: {type: constant, interval: PT1H, maxAttempt: 3, behavior: CREATE_NEW_EXECUTION}
    tasks: [{id: a}]
    """),
    "old": flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: versioned, revision: 1}]"),
    "new": flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: versioned}]"),
    "versioned": flow("tasks: [{id: first}]"),
    "versioned#2": flow("tasks: [{id: second}]"),
    "wide": flow("""
    tasks:
      - {id: loop, type: Loop, values: "{{ inputs.values }}", tasks: [{id: t, + runIf: "false"}]}
    inputs: [{id: values, type: JSON}]
    """),
}


@pytest.fixture
def plane(backend: str) -> Iterator[Plane]:
    found = Plane(backend, dict(FLOWS))
    yield found
    found.close()


@pytest.fixture
def worker(plane: Plane) -> FakeWorker:
    return plane.attach(light=50)


def _children(plane: Plane, execution_id: str) -> list[dict[str, Any]]:
    columns = (
        "id",
        "flow_id",
        "flow_revision",
        "state",
        "inputs",
        "labels",
        "trigger",
        "cause",
        "kind",
        "child_index",
        "outputs",
    )
    rows = plane.rows(
        f"SELECT {', '.join(columns)} FROM execution WHERE parent_execution_id = ? ORDER BY child_index, created_at_us",
        (execution_id,),
    )
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _labels(row: dict[str, Any]) -> dict[str, str]:
    labels = orjson.loads(row["labels"]) if isinstance(row["labels"], str) else row["labels"]
    return {label["key"]: label["value"] for label in labels}


def test_a_subflow_is_created_and_begun_in_the_transaction_that_wants_it(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("parent", labels=[{"key": "system.correlationId", "value": "tree"}, {"key": "mine", "value": "x"}])
    (child,) = _children(plane, parent)
    assert child["state"] == "RUNNING"
    assert [assign.task_id for assign in worker.inbox] == ["work"]
    assert orjson.loads(child["inputs"]) == {"day": "parent"}
    assert _labels(child) == {"own": "label", "from": "parent", "system.correlationId": "tree"}
    trigger = orjson.loads(child["trigger"])
    assert trigger["id"] == "call"
    assert trigger["variables"]["executionId"] == parent
    cause = orjson.loads(child["cause"])
    assert (cause["kind"], cause["executionId"], cause["taskId"]) == ("subflow", parent, "call")


def test_a_childs_end_ends_the_task_that_waits_for_it_with_its_outputs(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("parent")
    plane.step(worker.item(worker.take("work"), outputs={"value": "42"}))
    assert plane.count("outbox") == 1
    plane.follow()
    assert plane.count("outbox") == 0
    use = worker.take("use")
    assert orjson.loads(use.context_json)["outputs"]["call"]["outputs"] == {"total": "42"}
    plane.step(worker.item(use))
    assert plane.state(parent) == "SUCCESS"


def test_a_childs_end_told_twice_counts_once(plane: Plane, worker: FakeWorker) -> None:
    plane.start("parent")
    plane.step(worker.item(worker.take("work"), outputs={"value": "42"}))
    told = plane.engine._queue.get()
    assert told is not None
    again = Item(told.key, told.event, message=told.message)
    assert plane.step(told, again) == ["applied", "superseded"]
    assert plane.step(Item(told.key, told.event, message=told.message)) == ["superseded"]
    assert [assign.task_id for assign in worker.inbox] == ["use"]


def test_a_childs_end_is_told_by_the_sweeper_when_its_process_died(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("parent")
    plane.step(worker.item(worker.take("work"), outputs={"value": "42"}))
    plane.sweep()
    plane.run_out(worker)
    assert plane.state(parent) == "SUCCESS"


def test_a_subflow_that_is_not_waited_for_lets_the_parent_go_on(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("forget")
    assert sorted(assign.task_id for assign in worker.inbox) == ["next", "work"]
    plane.step(worker.item(worker.take("next")))
    assert plane.state(parent) == "SUCCESS"
    assert [child["state"] for child in _children(plane, parent)] == ["RUNNING"]


@pytest.mark.parametrize(
    ("flow_id", "code"), [("missing", "flow.missing"), ("disabled", "flow.disabled"), ("refused", "input.invalid")]
)
def test_a_child_that_cannot_be_created_fails_the_task_and_says_why(plane: Plane, flow_id: str, code: str) -> None:
    parent = plane.start(flow_id)
    assert plane.state(parent) == "FAILED"
    (attempts,) = plane.rows("SELECT attempts FROM task_run WHERE execution_id = ?", (parent,))[0]
    assert orjson.loads(attempts)[-1]["error"]["code"] == code
    assert not _children(plane, parent)


def test_a_given_revision_runs_and_none_means_the_newest(plane: Plane, worker: FakeWorker) -> None:
    old, new = plane.start("old"), plane.start("new")
    assert [child["flow_revision"] for child in _children(plane, old)] == [1]
    assert [child["flow_revision"] for child in _children(plane, new)] == [2]
    assert sorted(assign.task_id for assign in worker.inbox) == ["first", "second"]


def test_iterations_of_a_loop_are_executions_and_their_outputs_come_back_in_order(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("loop")
    children = _children(plane, parent)
    assert [(child["kind"], child["child_index"]) for child in children] == [("LOOP", 0), ("LOOP", 1), ("LOOP", 2)]
    for position in (2, 0, 1):
        assign = next(one for one in worker.inbox if one.token.execution_id == children[position]["id"])
        worker.inbox.remove(assign)
        item = orjson.loads(assign.context_json)["item"]
        plane.step(worker.item(assign, outputs={"value": f"{item['value']}-{item['index']}"}))
        plane.follow()
    use = orjson.loads(worker.take("use").context_json)
    assert [one["outputs"] for one in use["outputs"]["loop"]["outputs"]] == [{"up": "a-0"}, {"up": "b-1"}, {"up": "c-2"}]


def test_a_kill_reaches_executions_three_levels_down(plane: Plane, worker: FakeWorker) -> None:
    grand = plane.start("grand")
    assert plane.step(Item((TENANT, grand), Kill())) == ["applied"]
    plane.follow()
    assert plane.rows("SELECT DISTINCT state FROM execution") == [("KILLED",)]
    assert [token.task_run_id for token in worker.stops] == [worker.take("work").token.task_run_id]
    assert plane.count("outbox") == 0


def test_a_kill_without_cascade_leaves_children_alone(plane: Plane, worker: FakeWorker) -> None:
    grand = plane.start("grand")
    assert plane.step(Item((TENANT, grand), Kill(cascade=False))) == ["applied"]
    plane.follow()
    assert plane.state(grand) == "KILLED"
    assert [child["state"] for child in _children(plane, grand)] == ["RUNNING"]


def test_a_flow_that_starts_itself_for_ever_never_holds_a_transaction(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "FOLLOWED_MAX", 3)
    first = plane.start("endless")
    assert plane.count("execution") == 5  # four begun, one created and left to the next batch
    assert plane.count("execution", "state = 'CREATED'") == 1
    assert plane.count("outbox") == 1
    assert plane.step(Item((TENANT, first), Kill())) == ["applied"]


def test_many_children_that_end_at_once_take_few_transactions(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = plane.start("wide", inputs={"values": [str(number) for number in range(1_200)]})
    steps = 0
    while plane.state(parent) == "RUNNING":
        plane.follow(1) if plane.engine._queue.qsize() == 0 else plane.follow()
        steps += 1
        assert steps < 50
    assert plane.state(parent) == "SUCCESS"
    assert plane.count("execution", "kind = 'LOOP' AND state = 'SUCCESS'") == 1_200
    assert plane.count("outbox") == 0


def test_a_retry_as_a_new_execution_is_a_chain_with_one_origin(plane: Plane, worker: FakeWorker) -> None:
    first = plane.start("retried", inputs={"n": 1})
    for _ in range(2):
        plane.step(worker.item(worker.take("a"), State.FAILED))
        for timer in plane.timers():
            plane.step(timer)
    rows = plane.rows("SELECT id, state, parent_id, original_id, inputs, cause, extra FROM execution ORDER BY created_at_us")
    assert [row[1] for row in rows] == ["RETRIED", "RETRIED", "RUNNING"]
    assert [row[2] for row in rows] == [None, rows[0][0], rows[1][0]]
    assert {row[3] for row in rows} == {first}
    assert {row[4] for row in rows} == {'{"n":1}'}
    assert orjson.loads(rows[1][5])["kind"] == "retry"
    assert orjson.loads(rows[2][6])["attempt"] == 3
    assert plane.count("timer") == 0


def test_an_execution_that_is_parked_tells_the_one_that_waits_for_it(plane: Plane, worker: FakeWorker) -> None:
    parent = plane.start("parent")
    plane.advance.forget()
    plane.gone.add("child")
    plane.step(worker.item(worker.take("work")))
    plane.follow()
    assert plane.state(parent) == "FAILED"


# -- planted ----------------------------------------------------------------------------------------------------------


def test_planted_a_message_that_is_not_taken_is_caught(plane: Plane, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = type(plane.database).take

    def careless(self: Any, table: str, keys: Any, rows: Any) -> Any:
        return (lambda: rows) if table == "outbox" else taken(self, table, keys, rows)

    monkeypatch.setattr(type(plane.database), "take", careless)
    with pytest.raises(AssertionError):
        test_a_childs_end_told_twice_counts_once(plane, worker)


# -- crashes and races ------------------------------------------------------------------------------------------------

TREE = {
    "tree": flow("""
    tasks:
      - {id: call, type: Subflow, namespace: tests, flowId: leaf}
      - {id: loop, type: Loop, values: [x, y], tasks: [{id: t}]}
      - {id: off, type: Toggle, trigger: nightly}
    """),
    "leaf": flow("tasks: [{id: work}]"),
}


def _live(plane: Plane, creation: Item) -> None:
    """Goes on from wherever things stand, to the end: what memory knew is lost, leases run out."""
    plane.step(creation)
    worker = plane.attach(worker_id="w" * 22)
    for _ in range(60):
        plane.sweep()
        plane.follow()
        if not plane.count("execution", "ended_at_us IS NULL") and not plane.count("outbox"):
            return
        plane.step()
        if worker.inbox:
            plane.step(worker.item(worker.take()))
        else:
            plane.expire_leases()
            plane.step(*expired_leases(plane.connection))
        worker.channel.free[True] = 10
    raise AssertionError("it does not end")


def test_a_crash_at_any_statement_creates_no_child_twice_and_loses_none(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[outbox.Notice] = []
    outbox.consume("trigger.toggle", lambda database, notice: told.append(notice))
    at = 0
    while True:
        at += 1
        emptied(backend)
        told.clear()
        seen = 0

        def point(statement: str, at: int = at) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                raise Crash(statement)

        plane = Plane(backend, dict(TREE), wrap=lambda real, point=point: Faulty(real, point))  # type: ignore[misc]
        plane.advance.checked = False
        creation = plane.creation("tree")
        crashed = False
        try:
            _live(plane, creation)
        except Crash:
            crashed = True
            plane.close()
            plane = Plane(backend, dict(TREE))
            plane.advance.checked = False
            creation.tries += 1
            _live(plane, creation)
        rows = plane.rows("SELECT flow_id, kind, state FROM execution ORDER BY flow_id, kind")
        kinds = [("leaf", "NORMAL"), ("tree", "LOOP"), ("tree", "LOOP"), ("tree", "NORMAL")]
        assert rows == [(*kind, "SUCCESS") for kind in kinds], f"crash point {at}"
        assert [notice.data["trigger"] for notice in told] == ["nightly"], f"crash point {at}"
        assert plane.count("hand_out") == 0
        plane.close()
        if not crashed:
            break
    with capsys.disabled():
        print(f"\n  crash points of a tree of executions on {backend.split(':', 1)[0]}: {at - 1}, all visited")
    assert at > 40


def test_two_engines_that_deliver_the_same_messages_apply_each_once(postgresql: str) -> None:
    one, two = Plane(postgresql, dict(FLOWS)), Plane(postgresql, dict(FLOWS))
    try:
        for plane in (one, two):
            plane.advance.checked = False
        worker = one.attach(light=50)
        parents = [one.start("parent") for _ in range(10)]
        one.step(*(worker.item(worker.take("work"), outputs={"value": "1"}) for _ in parents))
        both = [outbox.stale(plane.connection, age_us=-1)[0] for plane in (one, two)]
        assert [len(items) for items in both] == [10, 10]
        answers: list[str] = []
        threads = [
            threading.Thread(target=lambda plane=plane, items=items: answers.extend(plane.step(*items)))
            for plane, items in zip((one, two), both, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(answers) == ["applied"] * 10 + ["superseded"] * 10
        assert one.count("task_run", "task_id = 'use'") == 10
    finally:
        one.close()
        two.close()


# -- files ------------------------------------------------------------------------------------------------------------


def test_lines_of_a_file_become_values_and_outputs_become_a_file(
    plane: Plane, worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "HEADRACE_DATA", tmp_path)
    stored = storage.put_file(TENANT, "tests/in.txt", [b"one\ntw", b"o\n"])
    plane.flows["file"] = flow("""
    inputs: [{id: file, type: STRING}]
    tasks:
      - id: loop
        type: Loop
        values: "{{ inputs.file }}"
        outputs: [{id: got, type: STRING, value: "{{ outputs.t.value }}"}]
        tasks: [{id: t, type: Return, format: "{{ item.value }}"}]
    """)
    parent = plane.start("file", inputs={"file": stored.uri})
    plane.run_out(worker, lambda one: worker.item(one, outputs={"value": orjson.loads(one.context_json)["item"]["value"]}))
    assert plane.state(parent) == "SUCCESS"
    (text,) = plane.rows("SELECT outputs FROM task_run WHERE task_id = 'loop'")[0]
    lines = storage.read_file(TENANT, orjson.loads(text)["uri"]).splitlines()
    assert [orjson.loads(line)["outputs"]["got"] for line in lines] == ["one", "two"]
    missing = plane.start("file", inputs={"file": "kestra:///tests/nowhere.txt"})
    assert plane.state(missing) == "FAILED"
