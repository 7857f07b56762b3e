"""Only the holder may write: ordered pairs of writers on two connections, each held where it hurts most.

The first is held before it reads, or before it commits, while the second does all it can. Whatever comes out must equal what one
of the two serial orders gives. SQLite has one writer at a time, so this is PostgreSQL's alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from controlplane.engine.items import Item
from controlplane.engine.sweeper import expired_leases
from controlplane.platform.database import Database, PostgreSQL, connect
from flows.machine.events import Created, Kill
from flows.machine.states import State
from tests.conformance.engine.conftest import empty
from tests.conformance.engine.faulty import Faulty
from tests.conformance.engine.plane import TENANT, FakeWorker, Plane, key_of
from tests.unit.machine.written import flow
from wire import gateway

FLOWS = {
    "race": flow("""
    tasks:
      - id: par
        type: Parallel
        tasks:
          - {id: a, + timeout: PT1S, retry: {type: constant, interval: PT1H, maxAttempt: 2}}
          - {id: other}
    """),
}

Connections = tuple[Database, Database]
Writer = Callable[[Plane, FakeWorker, gateway.Assign], list[Item]]


def _expire(plane: Plane, worker: FakeWorker, assign: gateway.Assign) -> list[Item]:
    lease_id = assign.token.lease_id
    return [item for item in expired_leases(plane.connection) if item.token is not None and item.token.lease_id == lease_id]


def _timeout(plane: Plane, worker: FakeWorker, assign: gateway.Assign) -> list[Item]:
    return [item for item in plane.timers() if getattr(item.event, "kind", "") == "timeout"]


WRITERS: dict[str, Writer] = {
    "ok": lambda plane, worker, assign: [worker.item(assign, outputs={"n": 1})],
    "failed": lambda plane, worker, assign: [worker.item(assign, State.FAILED)],
    "lost": lambda plane, worker, assign: [worker.lost(assign)],
    "started": lambda plane, worker, assign: [worker.started(assign)],
    "expire": _expire,
    "kill": lambda plane, worker, assign: [Item(key_of(assign), Kill())],
    "timeout": _timeout,
    "sibling": lambda plane, worker, assign: [worker.item(assign)],
    "renew": lambda plane, worker, assign: [],
}


class Scene:
    """One execution with a running attempt whose lease has run out and whose timeout is due, and two connections."""

    def __init__(self, one: Database, two: Database) -> None:
        empty(one)
        self.held_at = ""
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.first = Plane("", FLOWS, wrap=lambda real: Faulty(real, self._at), connection=one)
        self.second = Plane("", FLOWS, connection=two)
        self.worker = self.first.attach()
        self.execution_id = self.first.start("race")
        self.assign, self.sibling = self.worker.take("a"), self.worker.take("other")
        self.first.step(self.worker.started(self.assign))
        # The second engine remembers this state as well as the first one does.
        self.second.step(Item((TENANT, self.execution_id), Created()))
        self.first.expire_leases()

    def _at(self, statement: str) -> None:
        if statement == self.held_at:
            self.held_at = ""
            self.reached.set()
            assert self.go_on.wait(10)

    def prepared(self, name: str, plane: Plane) -> Callable[[], None]:
        """What that writer would do, looked up before anybody moves."""
        if name == "renew":
            return lambda: self._renew(plane)
        items = WRITERS[name](plane, self.worker, self.sibling if name == "sibling" else self.assign)
        assert items, name
        return lambda: self._run(plane, items)

    def _run(self, plane: Plane, items: list[Item]) -> None:
        plane.engine._tell(plane.advance.run(items))

    def _renew(self, plane: Plane) -> None:
        keys = (("tenant_id", "text"), ("worker_id", "text"), ("lease_id", "text"))
        row = (TENANT, self.worker.channel.worker_id, self.assign.token.lease_id, 2**60)
        with plane.database.transaction():
            plane.database.update("hand_out", keys, (("lease_until_us", "bigint"),), [row])

    def result(self) -> tuple[Any, ...]:
        """Everything that is stored of it, without identifiers and times."""
        view = self.second
        runs = view.rows("SELECT id, task_id, state, attempt, outputs FROM task_run ORDER BY seq")
        attempts = view.rows("SELECT attempts FROM task_run WHERE task_id = 'a'")
        states = [part.split('"')[2] for part in str(attempts[0][0]).split('"state":')[1:] for part in ['x"' + part]]
        # Only one of the two engines has a worker: whether a second attempt is leased at once depends on who hands it out.
        hand_outs = view.rows(
            "SELECT task_id, attempt, attempt = 1 AND lease_until_us = ? FROM hand_out ORDER BY task_id", (2**60,)
        )
        timers = view.rows("SELECT kind, attempt FROM timer ORDER BY kind, attempt")
        return (view.state(self.execution_id), [row[1:] for row in runs], states, hand_outs, timers)


def serial(connections: Connections, one: str, two: str) -> tuple[Any, ...]:
    scene = Scene(*connections)
    do_one, do_two = scene.prepared(one, scene.first), scene.prepared(two, scene.second)
    do_one()
    do_two()
    scene.first.audit(slots=False)  # two tellers of one attempt: its slot is counted by the stream, not here
    return scene.result()


def interleaved(connections: Connections, one: str, two: str, held_at: str) -> tuple[Any, ...]:
    scene = Scene(*connections)
    do_one, do_two = scene.prepared(one, scene.first), scene.prepared(two, scene.second)
    scene.held_at = held_at
    failures: list[BaseException] = []

    def guarded(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            failures.append(error)

    first = threading.Thread(target=guarded, args=(do_one,))
    second = threading.Thread(target=guarded, args=(do_two,))
    first.start()
    assert scene.reached.wait(10), f"{one} never came to `{held_at}`"
    second.start()
    second.join(0.02)  # done, or waiting for the lock of the first
    scene.go_on.set()
    first.join(10)
    second.join(10)
    assert not failures, failures
    scene.first.audit(slots=False)  # two tellers of one attempt: its slot is counted by the stream, not here
    return scene.result()


def matrix(url: str, names: list[str]) -> tuple[int, list[str]]:
    """All ordered pairs of these writers, held at both places. Gives the number of interleavings and those that fit no order."""
    wrong = []
    count = 0
    connections = (connect(url), connect(url))
    try:
        orders = {(one, two): serial(connections, one, two) for one in names for two in names if one != two}
        for (one, two), expected in orders.items():
            # A renewal reads nothing: it is held where its transaction begins.
            for held_at in ("begin" if one == "renew" else "lock execution", "commit"):
                count += 1
                found = interleaved(connections, one, two, held_at)
                if found not in (expected, orders[two, one]):
                    wrong.append(f"{one}, {two}, held before {held_at}: {found}\n  {expected}\n  {orders[two, one]}")
    finally:
        for connection in connections:
            connection.close()
    return count, wrong


def test_every_interleaving_of_two_writers_equals_a_serial_order(postgresql: str, capsys: pytest.CaptureFixture[str]) -> None:
    count, wrong = matrix(postgresql, list(WRITERS))
    with capsys.disabled():
        print(f"\n  race matrix of {len(WRITERS)} writers: {count - len(wrong)}/{count} interleavings equal a serial order")
    assert not wrong, "\n".join(wrong)


def test_planted_a_step_that_does_not_lock_is_caught(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    select = PostgreSQL.select

    def unlocked(self: PostgreSQL, *arguments: Any, lock: bool = False, **options: Any) -> Any:
        return select(self, *arguments, **options)

    monkeypatch.setattr(PostgreSQL, "select", unlocked)
    try:
        _, wrong = matrix(postgresql, ["failed", "kill", "sibling"])
    except Exception:  # noqa: BLE001 - a key broken or a rule: caught as well
        return
    assert wrong
