"""The engine's step keeps its promises on every database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from controlplane.engine import batch, proofs, store
from controlplane.engine.advance import Advance
from controlplane.engine.items import Item
from controlplane.engine.sweeper import expired_leases
from flows.machine import step as machine
from flows.machine.decide import decide
from flows.machine.events import Kill
from flows.machine.simulate import run as simulate
from flows.machine.states import State
from tests.conformance.engine.faulty import Faulty
from tests.conformance.engine.plane import TENANT, FakeWorker, Plane, token_of
from tests.unit.machine.written import flow

FLOWS = {
    "one": flow("tasks: [{id: a}]"),
    "two": flow("tasks: [{id: a}, {id: b}]"),
    "retried": flow("tasks: [{id: a, + retry: {type: constant, interval: PT1H, maxAttempt: 2}}]"),
    "loop": flow(
        "tasks: [{id: each, type: ForEach, concurrencyLimit: 2, values: [1, 2, 3, 4], tasks: [{id: t}, {id: u}]}, {id: z}]"
    ),
    "wide": flow(f"tasks: [{{id: each, type: ForEach, concurrencyLimit: 0, values: {list(range(40))}, tasks: [{{id: t}}]}}]"),
    "parallel": flow("tasks: [{id: par, type: Parallel, tasks: [{id: p}, {id: q}, {id: r}]}, {id: z}]"),
    "skips": flow("tasks: [{id: a, + runIf: false}, {id: c, type: If, condition: true, then: [{id: b, + runIf: false}]}]"),
    "heavy": flow("tasks: [{id: s, type: io.kestra.plugin.scripts.shell.Commands, commands: [echo]}, {id: a}]"),
    "states": flow("tasks: [{id: a}, {id: b, + runIf: \"{{ tasks.a.state == 'SUCCESS' }}\"}]"),
    "outputs": flow("""
    tasks:
      - {id: each, type: ForEach, concurrencyLimit: 0, values: [c, b, a], tasks: [{id: t, type: Return, format: x}]}
      - {id: c, type: If, condition: true, then: [{id: all, type: Return, format: "{{ outputs }}"}]}
    outputs: [{id: b, type: STRING, value: "{{ outputs.t.b.value }}"}]
    """),
    "big": flow("variables: {n: 123456789012345678901234567890}\ntasks: [{id: a, type: Return, format: '{{ vars.n }}'}]"),
    "exact": flow("""
    tasks: [{id: a}]
    outputs: [{id: n, type: STRING, value: "{{ '1.50' | number('BIGDECIMAL') }}"}]
    """),
    "number": flow("tasks: [{id: a, type: Log, message: 123456789012345678901234567890}]"),
    "zero": flow("tasks: [{id: each, type: ForEach, values: '[\"a\\\\u0000b\"]', tasks: [{id: t}]}]"),
}


@pytest.fixture
def plane(backend: str) -> Iterator[Plane]:
    found = Plane(backend, dict(FLOWS))
    yield found
    found.close()


@pytest.fixture
def worker(plane: Plane) -> FakeWorker:
    return plane.attach()


# -- from end to end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow_id", ["one", "two", "retried", "loop", "wide", "parallel", "skips", "heavy"])
def test_an_execution_ends_as_its_simulation_does(plane: Plane, worker: FakeWorker, flow_id: str) -> None:
    execution_id = plane.start(flow_id)
    plane.run_out(worker)
    assert plane.outline(execution_id) == simulate(FLOWS[flow_id]).outline()
    assert plane.count("hand_out") == 0
    assert plane.count("timer") == 0
    plane.audit()


def test_a_fan_out_larger_than_the_slots_is_handed_out_in_order_and_completely(plane: Plane) -> None:
    worker = plane.attach(light=3)
    execution_id = plane.start("wide")
    assert len(worker.inbox) == 3
    order = []

    def answer(assign: Any) -> Item:
        order.append(token_of(assign).task_run_id)
        assert len(worker.inbox) <= 2
        return worker.item(assign)

    plane.run_out(worker, answer)
    rows = plane.rows("SELECT id FROM task_run WHERE execution_id = ? AND task_id = 't' ORDER BY seq", (execution_id,))
    assert order == [row[0] for row in rows]
    assert plane.state(execution_id) == "SUCCESS"
    plane.audit()


def test_hand_outs_wait_for_a_worker_and_the_first_that_comes_gets_them(plane: Plane) -> None:
    execution_id = plane.start("parallel")
    assert plane.count("hand_out", "lease_id IS NULL") == 3
    worker = plane.attach(light=2)
    plane.step()
    assert [assign.task_id for assign in worker.inbox] == ["p", "q"]
    other = plane.attach(light=5)
    plane.step()
    assert [assign.task_id for assign in other.inbox] == ["r"]
    for end in (worker, other):
        plane.run_out(end)
    plane.run_out(worker)
    plane.run_out(other)
    assert plane.state(execution_id) == "SUCCESS"
    plane.audit()


def test_an_older_waiting_hand_out_goes_before_a_new_one(plane: Plane) -> None:
    first = plane.start("one")
    second = plane.start("one")
    worker = plane.attach(light=1)
    third = plane.start("one")
    seen = []

    def answer(assign: Any) -> Item:
        seen.append(assign.token.execution_id)
        return worker.item(assign)

    plane.run_out(worker, answer)
    assert seen == [first, second, third]


def test_outputs_are_found_when_the_memory_of_them_is_gone(
    plane: Plane, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last(plane: Plane, worker: FakeWorker) -> tuple[bytes, Any]:
        execution_id = plane.start("outputs")
        seen = b""
        order = {"a": 0, "b": 1, "c": 2}
        while worker.inbox:
            worker.inbox.sort(key=lambda assign: order.get(value_of(plane, assign), 9))
            assign = worker.take()
            seen = assign.context_json if assign.task_id == "all" else seen
            plane.step(worker.item(assign, outputs={"value": value_of(plane, assign)}))
        return seen, plane.rows("SELECT outputs FROM execution WHERE id = ?", (execution_id,))

    held = last(plane, worker)
    monkeypatch.setattr(machine, "KNOWN_OUTPUTS_MAX", 1)
    looked_up = last(plane, worker)
    assert looked_up == held
    assert held[0].index(b'"c"') < held[0].index(b'"b"') < held[0].index(b'"a"')
    plane.advance.forget()
    assert held[1] == [('{"b":"b"}',)]


def value_of(plane: Plane, assign: Any) -> str:
    return str(plane.rows("SELECT value FROM task_run WHERE id = ?", (assign.token.task_run_id,))[0][0])


def test_more_outputs_than_memory_holds_are_all_found(plane: Plane) -> None:
    count = machine.KNOWN_OUTPUTS_MAX + 100
    loop = f"id: each, type: ForEach, concurrencyLimit: 0, values: {list(range(count))}"
    plane.flows["many"] = flow(f"""
    tasks:
      - {{{loop}, tasks: [{{id: t, type: Return, format: x}}]}}
      - {{id: last, type: Return, format: "{{{{ outputs.t | length }}}}"}}
    """)
    worker = plane.attach(light=10_000)
    plane.advance.checked = False  # the rules are asked about every open task run
    plane.start("many")
    while worker.inbox[0].task_id == "t":
        items = [worker.item(assign, outputs={"value": 1}) for assign in worker.inbox]
        worker.inbox.clear()
        plane.step(*items)
    last = worker.take("last")
    assert len(orjson.loads(last.context_json)["outputs"]["t"]) == count


# -- who may write ----------------------------------------------------------------------------------------------------


def test_a_result_applied_twice_is_applied_once(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("two")
    assign = worker.take()
    assert plane.step(worker.item(assign, outputs={"n": 1})) == ["applied"]
    assert plane.step(worker.item(assign, State.FAILED, {"n": 2})) == ["superseded"]
    assert plane.outline(execution_id) == "RUNNING\n  a SUCCESS\n  b CREATED"


def test_a_result_that_comes_twice_in_one_batch_is_applied_once(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("two")
    assign = worker.take()
    assert plane.step(worker.item(assign), worker.item(assign, State.FAILED)) == ["applied", "superseded"]
    assert plane.outline(execution_id) == "RUNNING\n  a SUCCESS\n  b CREATED"


def test_the_late_result_of_a_replaced_attempt_is_refused(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("one")
    first = worker.take()
    plane.expire_leases()
    assert plane.step(*expired_leases(plane.connection)) == ["applied"]
    second = worker.take()
    assert (second.token.task_run_id, second.token.attempt) == (first.token.task_run_id, 2)
    assert plane.step(worker.item(first, State.FAILED)) == ["superseded"]
    assert plane.step(worker.started(first)) == ["superseded"]
    assert plane.step(worker.item(second)) == ["applied"]
    assert plane.state(execution_id) == "SUCCESS"


@pytest.mark.parametrize("column", ["execution_id", "task_run_id", "attempt", "lease_id", "tenant"])
def test_a_token_that_differs_in_any_part_proves_nothing(plane: Plane, worker: FakeWorker, column: str) -> None:
    from dataclasses import replace

    execution_id, other = plane.start("two"), plane.start("two")
    mine, theirs = worker.take(), worker.take()
    item = worker.item(mine)
    assert item.token is not None
    wrong: Any = {
        "execution_id": other,
        "task_run_id": theirs.token.task_run_id,
        "attempt": 2,
        "lease_id": theirs.token.lease_id,
        "tenant": "other",
    }[column]
    item.token = replace(item.token, **{column: wrong})
    item.key = (item.token.tenant, item.token.execution_id)
    assert plane.step(item)[0] in ("superseded", "absent")
    assert plane.states(execution_id, "a") == plane.states(other, "a") == ["CREATED"]
    assert plane.count("hand_out") == 2
    assert plane.step(worker.item(mine), worker.item(theirs)) == ["applied", "applied"]


def test_a_started_message_needs_the_lease(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("one")
    assign = worker.take()
    assert plane.step(worker.started(assign)) == ["applied"]
    assert plane.states(execution_id, "a") == ["RUNNING"]
    assert plane.step(worker.started(assign)) == ["applied"]
    assert plane.step(worker.item(assign)) == ["applied"]
    assert plane.step(worker.started(assign)) == ["superseded"]
    assert plane.states(execution_id, "a") == ["SUCCESS"]


def test_an_unknown_execution_is_absent(plane: Plane, worker: FakeWorker) -> None:
    assert plane.step(Item((TENANT, "nowhere"), Kill())) == ["absent"]


# -- leases -----------------------------------------------------------------------------------------------------------


def test_an_expired_lease_is_swept_once_by_three_sweepers(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("one")
    assign = worker.take()
    plane.step(worker.started(assign))
    plane.expire_leases()
    found = [expired_leases(plane.connection) for _ in range(3)]
    assert [len(items) for items in found] == [1, 1, 1]
    answers = plane.step(*found[0], *found[1]) + plane.step(*found[2])
    assert answers == ["applied", "superseded", "superseded"]
    attempts = plane.rows("SELECT attempt FROM task_run WHERE execution_id = ?", (execution_id,))
    assert attempts == [(1,)]
    assert [assign.token.attempt for assign in worker.inbox] == [2]


def test_a_lease_renewed_in_the_last_instant_is_not_swept(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("one")
    assign = worker.take()
    plane.expire_leases()
    candidates = expired_leases(plane.connection)
    plane.connection.execute("UPDATE hand_out SET lease_until_us = ?", (plane.connection.now_us() + 60_000_000,))
    assert plane.step(*candidates) == ["superseded"]
    assert plane.step(worker.item(assign)) == ["applied"]
    assert plane.state(execution_id) == "SUCCESS"


def test_a_hand_out_nobody_began_is_lost_with_its_worker_and_given_to_another(plane: Plane) -> None:
    dead = plane.attach()
    execution_id = plane.start("one")
    plane.dispatcher.detach(dead.channel)
    alive = plane.attach()
    plane.expire_leases()
    plane.step(*expired_leases(plane.connection))
    assert plane.step(alive.item(alive.take())) == ["applied"]
    assert plane.state(execution_id) == "SUCCESS"
    plane.audit()


def test_a_connected_worker_whose_lease_ran_out_is_told_to_stop_and_its_answer_frees_the_slot(plane: Plane) -> None:
    worker = plane.attach(light=2)
    plane.start("one")
    late = worker.take()
    plane.step(worker.started(late))
    plane.expire_leases()
    plane.step(*expired_leases(plane.connection))
    assert [token.lease_id for token in worker.stops] == [late.token.lease_id]
    assert plane.step(worker.item(late, State.KILLED)) == ["superseded"]
    plane.run_out(worker)
    plane.audit()


def test_a_lost_attempt_frees_its_slot(plane: Plane) -> None:
    worker = plane.attach(light=1)
    plane.start("one")
    plane.step(worker.lost(worker.take()))
    assert [assign.token.attempt for assign in worker.inbox] == [2]
    plane.audit()


# -- kill -------------------------------------------------------------------------------------------------------------


def test_kill_ends_what_waits_tells_who_runs_and_records_the_late_result(plane: Plane) -> None:
    worker = plane.attach(light=2)
    execution_id = plane.start("parallel")
    running, held = worker.take("p"), worker.take("q")
    plane.step(worker.started(running))
    assert plane.kill(execution_id) == "applied"
    assert plane.outline(execution_id) == "KILLED\n  par KILLED\n    p RUNNING\n    q KILLED\n    r KILLED"
    assert {token.lease_id for token in worker.stops} == {running.token.lease_id, held.token.lease_id}
    assert plane.count("hand_out") == 1
    assert plane.step(worker.item(running, State.KILLED)) == ["applied"]
    assert plane.step(worker.item(held)) == ["superseded"]
    assert plane.outline(execution_id) == "KILLED\n  par KILLED\n    p KILLED\n    q KILLED\n    r KILLED"
    assert plane.count("hand_out") == 0
    assert worker.channel.free[True] == 2
    plane.audit()


def test_kill_of_an_attempt_whose_worker_is_gone_ends_with_its_lease(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("one")
    plane.step(worker.started(worker.take()))
    plane.kill(execution_id)
    plane.dispatcher.detach(worker.channel)
    plane.expire_leases()
    plane.step(*expired_leases(plane.connection))
    assert plane.outline(execution_id) == "KILLED\n  a KILLED"
    assert plane.count("hand_out") == 0


def test_kill_in_the_transaction_that_creates_leaves_nothing_behind(plane: Plane, worker: FakeWorker) -> None:
    item = plane.creation("parallel")
    assert plane.step(item, Item(item.key, Kill())) == ["applied", "applied"]
    assert plane.state(item.key[1]) == "KILLED"
    assert not worker.inbox
    plane.audit()


def test_kill_reaches_a_worker_that_takes_nothing_more(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("one")
    assign = worker.take()
    plane.step(worker.started(assign))
    plane.dispatcher.drain(worker.channel)
    plane.kill(execution_id)
    assert [token.lease_id for token in worker.stops] == [assign.token.lease_id]
    plane.start("one")
    assert not worker.inbox


# -- timers -----------------------------------------------------------------------------------------------------------


def test_a_retry_timer_fires_once(plane: Plane, worker: FakeWorker) -> None:
    execution_id = plane.start("retried")
    plane.step(worker.item(worker.take(), State.FAILED))
    assert plane.state(execution_id) == "RETRYING"
    timers = plane.timers()
    assert plane.step(*timers, *plane.timers()) == ["applied", "superseded"]
    assert plane.step(*timers) == ["superseded"]
    assert [assign.token.attempt for assign in worker.inbox] == [2]
    plane.step(worker.item(worker.take(), State.FAILED))
    assert plane.outline(execution_id) == "FAILED\n  a FAILED"


# -- two engines, restarts --------------------------------------------------------------------------------------------


def test_two_engines_that_take_turns_never_act_on_an_old_state(backend: str) -> None:
    first, second = Plane(backend, FLOWS), Plane(backend, FLOWS)
    worker = first.attach()
    execution_id = first.start("loop")
    turn = 0
    while worker.inbox:
        turn += 1
        plane = (first, second)[turn % 2]
        item = worker.item(worker.take())
        assert plane.step(item) == ["applied"]
        first.step()  # the worker hangs on the first one
        first.dispatcher.backlog.add((TENANT, "default", True))
        first.step()
    assert turn == 9
    assert first.outline(execution_id) == simulate(FLOWS["loop"]).outline()
    first.close()
    second.close()


def test_a_fresh_engine_goes_on_in_the_middle_of_a_loop(backend: str) -> None:
    plane = Plane(backend, FLOWS)
    worker = plane.attach()
    execution_id = plane.start("loop")
    while worker.inbox:
        assign = worker.take()
        plane.close()
        plane = Plane(backend, FLOWS)
        worker = plane.reattach(worker)
        assert plane.step(worker.item(assign)) == ["applied"]
    assert plane.outline(execution_id) == simulate(FLOWS["loop"]).outline()
    plane.audit()
    plane.close()


# -- poison -----------------------------------------------------------------------------------------------------------


def test_an_execution_whose_flow_cannot_be_loaded_is_parked_and_others_go_on(plane: Plane, worker: FakeWorker) -> None:
    sick, healthy = plane.start("parallel"), plane.start("two")
    plane.gone.add("parallel")
    items = [worker.item(worker.take("p")), worker.item(worker.take("a"))]
    plane.flows["two"] = FLOWS["two"]
    assert plane.step(*items) == ["parked", "applied"]
    assert plane.state(sick) == "FAILED"
    assert "flow.missing" in plane.rows("SELECT error FROM execution WHERE id = ?", (sick,))[0][0]
    assert plane.states(healthy, "b") == ["CREATED"]
    assert plane.count("hand_out", f"execution_id = '{sick}'") == 0, "what a parked execution had handed out is taken back"
    assert len(worker.stops) == 2
    for name in ("q", "r"):
        assert plane.step(worker.item(worker.take(name))) == ["superseded"]
    plane.run_out(worker)
    assert plane.state(healthy) == "SUCCESS"
    assert not plane.rows("SELECT id FROM task_run WHERE execution_id = ? AND ended_at_us IS NULL", (sick,))
    plane.audit()


def test_a_fault_in_deciding_parks_that_execution_only(plane: Plane, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    sick, healthy = plane.start("one"), plane.start("two")

    def planted(execution: Any, event: Any, *rest: Any) -> Any:
        if execution.id == sick:
            raise RuntimeError("planted")
        return decide(execution, event, *rest)

    monkeypatch.setattr("controlplane.engine.batch.decide", planted)
    answers = plane.step(*(worker.item(assign) for assign in list(worker.inbox)))
    assert sorted(answers) == ["applied", "parked"]
    assert (plane.state(sick), plane.state(healthy)) == ("FAILED", "RUNNING")
    assert "planted" not in plane.rows("SELECT error FROM execution WHERE id = ?", (sick,))[0][0]


def test_a_state_that_breaks_a_rule_is_parked_when_rules_are_checked(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CHECK", "1")
    plane = Plane(backend, FLOWS)
    assert Advance(plane.database, plane.dispatcher, plane.load).checked
    worker = plane.attach()
    sick, healthy = plane.start("parallel"), plane.start("two")
    plane.connection.execute("UPDATE task_run SET cursor = replace(cursor, '3', '7') WHERE task_id = 'par'")
    plane.advance.forget()
    assert plane.step(worker.item(worker.take("p")), worker.item(worker.take("a"))) == ["parked", "applied"]
    assert "machine.invariant" in plane.rows("SELECT error FROM execution WHERE id = ?", (sick,))[0][0]
    assert plane.state(healthy) == "RUNNING"
    plane.close()


def test_waiting_hand_outs_that_cannot_be_loaded_do_not_stand_in_the_way_of_others(plane: Plane) -> None:
    sick = [plane.start("parallel") for _ in range(3)]
    healthy = plane.start("two")
    plane.gone.add("parallel")
    worker = plane.attach(light=2)
    for _ in range(20):
        plane.step()
        while not plane.engine._queue.empty():
            item = plane.engine._queue.get()
            if item is not None:
                plane.step(item)
    assert [assign.task_id for assign in worker.inbox] == ["a"]
    plane.run_out(worker)
    assert plane.state(healthy) == "SUCCESS"
    assert [plane.state(execution_id) for execution_id in sick] == ["FAILED"] * 3
    plane.audit()


@pytest.mark.parametrize("flow_id", ["big", "number", "exact", "zero"])
def test_values_a_database_dislikes_hurt_nobody_else(plane: Plane, flow_id: str) -> None:
    waiting = plane.start("one")
    creation = plane.creation(flow_id)
    plane.engine._carry_out(plane.advance, [creation])
    worker = plane.attach()
    for _ in range(10):
        plane.engine._carry_out(plane.advance, [])
        while worker.inbox:
            plane.engine._carry_out(plane.advance, [worker.item(worker.take())])
    assert plane.state(waiting) == "SUCCESS"
    assert plane.rows("SELECT state FROM execution WHERE id = ?", (creation.key[1],)) in ([("SUCCESS",)], [("FAILED",)])
    plane.audit()


# -- broken transactions ----------------------------------------------------------------------------------------------


class Unplugged(OSError):
    """The database is away."""


def test_a_commit_that_fails_leaves_slots_and_cache_right_and_the_items_can_be_tried_again(backend: str) -> None:
    broken = False

    def before(statement: str) -> None:
        if broken and statement == "commit":
            raise Unplugged

    plane = Plane(backend, FLOWS, wrap=lambda real: Faulty(real, before))
    worker = plane.attach()
    waiting = plane.start("parallel")
    free = dict(worker.channel.free)
    items = [worker.item(worker.take()), plane.creation("loop"), plane.creation("one")]
    broken = True
    for _ in range(3):
        with pytest.raises(Unplugged):
            plane.step(*items)
        assert worker.channel.free == free
        assert plane.count("execution") == 1
    broken = False
    assert plane.step(*items) == ["applied"] * 3
    plane.run_out(worker)
    assert plane.outline(items[1].key[1]) == simulate(FLOWS["loop"]).outline()
    assert plane.outline(items[2].key[1]) == simulate(FLOWS["one"]).outline()
    assert plane.state(waiting) == "SUCCESS"
    plane.audit()
    plane.close()


def test_a_look_up_that_the_database_breaks_parks_nobody(backend: str) -> None:
    broken = False

    def before(statement: str) -> None:
        if broken and statement == "select task_run":
            raise sqlite3.OperationalError("disk I/O error")

    plane = Plane(backend, FLOWS, wrap=lambda real: Faulty(real, before))
    worker = plane.attach()
    execution_id = plane.start("states")
    item = worker.item(worker.take())
    broken = True
    with pytest.raises(sqlite3.OperationalError):
        plane.step(item)
    broken = False
    assert plane.step(item) == ["applied"]
    plane.run_out(worker)
    assert plane.outline(execution_id) == "SUCCESS\n  a SUCCESS\n  b SUCCESS"
    plane.close()


def test_waiting_hand_outs_are_not_forgotten_by_a_commit_that_fails(backend: str) -> None:
    broken = False

    def before(statement: str) -> None:
        if broken and statement == "commit":
            raise Unplugged

    plane = Plane(backend, FLOWS, wrap=lambda real: Faulty(real, before))
    execution_id = plane.start("one")
    worker = plane.attach()
    broken = True
    with pytest.raises(Unplugged):
        plane.step()
    broken = False
    plane.step()
    assert [assign.token.execution_id for assign in worker.inbox] == [execution_id]
    plane.close()


def test_a_commit_whose_answer_is_lost_is_not_repeated(backend: str) -> None:
    lost = False

    def after(statement: str) -> None:
        if lost and statement == "commit":
            raise Unplugged

    plane = Plane(backend, FLOWS, wrap=lambda real: Faulty(real, after=after))
    worker = plane.attach()
    items = [plane.creation("two"), plane.creation("one")]
    lost = True
    with pytest.raises(Unplugged):
        plane.step(*items)
    lost = False
    for item in items:
        item.tries += 1
    assert plane.step(*items) == ["applied", "applied"]
    assert plane.count("execution") == 2
    assert plane.count("task_run") == 2
    # What was leased by that commit never reached the worker; its lease runs out.
    plane.dispatcher.detach(worker.channel)
    plane.expire_leases()
    again = plane.attach()
    plane.step(*expired_leases(plane.connection))
    plane.run_out(again)
    assert [plane.state(item.key[1]) for item in items] == ["SUCCESS", "SUCCESS"]
    plane.close()


# -- planted bugs -----------------------------------------------------------------------------------------------------


def test_planted_a_step_that_trusts_its_cache_is_caught(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unversioned(dict[Any, Any]):
        def pop(self, key: Any, default: Any = None) -> Any:
            found = super().pop(key, default)
            if found is not None:
                found.version = AnyVersion(found.version)
            return found

    class AnyVersion(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    original = Plane.__init__

    def careless(self: Plane, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        self.advance._cache = Unversioned()  # type: ignore[assignment]

    monkeypatch.setattr(Plane, "__init__", careless)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever an old state leads to
        test_two_engines_that_take_turns_never_act_on_an_old_state(backend)


def test_planted_a_sweep_that_ignores_the_clock_is_caught(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs.Proofs, "_expired", lambda self, token, now: True)
    with pytest.raises(Exception):  # noqa: B017, PT011 - the table refuses a second hand-out of the task run
        test_a_lease_renewed_in_the_last_instant_is_not_swept(plane, plane.attach())


@pytest.mark.parametrize("column", ["attempt", "lease_id", "execution_id"])
def test_planted_a_proof_without_a_column_is_caught(plane: Plane, column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = tuple(pair for pair in store.HAND_OUT_TOKEN if pair[0] != column)
    whole = proofs.token_row
    kept = [index for index, pair in enumerate(store.HAND_OUT_TOKEN) if pair[0] != column]
    monkeypatch.setattr(store, "HAND_OUT_TOKEN", columns)
    monkeypatch.setattr(proofs, "token_row", lambda token: tuple(whole(token)[index] for index in kept))
    with pytest.raises(AssertionError):
        test_a_token_that_differs_in_any_part_proves_nothing(plane, plane.attach(), column)


def test_planted_slots_kept_by_a_failed_commit_are_caught(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch.Batch, "undo", lambda self: None)
    with pytest.raises(AssertionError):
        test_a_commit_that_fails_leaves_slots_and_cache_right_and_the_items_can_be_tried_again(backend)
