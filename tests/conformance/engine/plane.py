"""A control plane without doors: the engine's step on a real database, workers played by lists, no thread unless asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from controlplane.engine import outbox, store
from controlplane.engine.advance import Advance, Outcome, new_execution
from controlplane.engine.concurrency import queued_flows
from controlplane.engine.dispatch import Channel, Dispatcher
from controlplane.engine.items import Answer, Item, Token
from controlplane.engine.service import Engine
from controlplane.platform import database
from controlplane.platform.database import Database
from controlplane.platform.wakeups import Hub
from flows.errors import HeadraceError
from flows.machine import invariants
from flows.machine.events import Finished, Kill, Lost, Started, TimerFired
from flows.machine.states import State
from flows.spec.model import Flow
from wire import gateway
from wire.ids import new_id

TENANT = "main"


class FlowGone(HeadraceError):
    """What the loader raises for a flow that cannot be loaded."""

    code = "flow.missing"


@dataclass(eq=False)
class FakeWorker:
    """A worker's end of its channel: what it was handed and told. It answers only when a test says so."""

    plane: Plane
    channel: Channel
    light: int
    inbox: list[gateway.Assign] = field(default_factory=list)
    stops: list[gateway.AttemptToken] = field(default_factory=list)

    def deliver(self, assigns: list[gateway.Assign], stops: list[gateway.AttemptToken]) -> None:
        self.inbox.extend(assigns)
        self.stops.extend(stops)

    def take(self, task_id: str | None = None) -> gateway.Assign:
        """The oldest hand-out in the inbox (of that task)."""
        found = next(assign for assign in self.inbox if task_id in (None, assign.task_id))
        self.inbox.remove(found)
        return found

    def item(self, assign: gateway.Assign, state: State = State.SUCCESS, outputs: dict[str, Any] | None = None) -> Item:
        """The result of an attempt, as a stream makes it."""
        token = token_of(assign)
        event = Finished(token.task_run_id, token.attempt, self.channel.worker_id, state, 1_000, outputs)
        return Item(key_of(assign), event, token=token, channel=self.channel, light=assign.light)

    def started(self, assign: gateway.Assign) -> Item:
        token = token_of(assign)
        return Item(key_of(assign), Started(token.task_run_id, token.attempt, self.channel.worker_id), holder=token)

    def lost(self, assign: gateway.Assign) -> Item:
        token = token_of(assign)
        event = Lost(token.task_run_id, token.attempt, self.channel.worker_id, "the worker was restarted")
        return Item(key_of(assign), event, token=token, channel=self.channel, light=assign.light)


class Plane:
    """`wrap` may put a faulty database around the real one."""

    def __init__(
        self,
        url: str,
        flows: dict[str, Flow],
        wrap: Callable[[Database], Database] = lambda connection: connection,
        dispatcher: Dispatcher | None = None,
        connection: Database | None = None,
    ) -> None:
        self.url = url
        self.flows = flows
        self.gone: set[str] = set()
        self.connection = connection or database.connect(url)
        self.database = wrap(self.connection)
        self.dispatcher = dispatcher or Dispatcher()
        self.advance = Advance(self.database, self.dispatcher, self.load, self.newest)
        self.advance.checked = True
        self.engine = Engine(url, self.load, Hub(), self.dispatcher, self.newest)
        self.answers: list[tuple[Item, Answer]] = []
        self.workers: list[FakeWorker] = []

    def load(self, tenant: str, namespace: str, flow_id: str, revision: int) -> Flow:
        if flow_id in self.gone:
            raise FlowGone(f"flow {flow_id} is gone")
        return self.flow(flow_id, revision)

    def flow(self, flow_id: str, revision: int) -> Flow:
        """A revision, gone or not."""
        return self.flows[flow_id if revision == 1 else f"{flow_id}#{revision}"]

    def newest(self, tenant: str, namespace: str, flow_id: str) -> tuple[int, Flow]:
        """Revisions of a flow are called `flow`, `flow#2`, …"""
        if flow_id in self.gone or flow_id not in self.flows:
            raise FlowGone(f"flow {flow_id} is gone")
        revision = 1
        while f"{flow_id}#{revision + 1}" in self.flows:
            revision += 1
        return revision, self.load(tenant, namespace, flow_id, revision)

    def attach(self, light: int = 10, process: int = 10, worker_id: str | None = None, group: str = "default") -> FakeWorker:
        channel = Channel(TENANT, group, worker_id or new_id(), 1, deliver=lambda assigns, stops: None)
        worker = FakeWorker(self, channel, light)
        channel.deliver = worker.deliver
        channel.free = {True: light, False: process}
        self.workers.append(worker)
        self.dispatcher.attach(channel)
        return worker

    # -- steps --------------------------------------------------------------------------------------------------------

    def step(self, *items: Item) -> list[Answer]:
        """One transaction, and what follows its commit."""
        outcome: Outcome = self.advance.run(list(items))
        self.engine._tell(outcome)
        self.answers.extend(outcome.answers)
        given = {id(item): answer for item, answer in outcome.answers}
        return [given[id(item)] for item in items]

    def start(self, flow_id: str, **options: Any) -> str:
        item = self.creation(flow_id, **options)
        assert self.step(item) == ["applied"]
        return item.key[1]

    def creation(self, flow_id: str, **options: Any) -> Item:
        return new_execution(TENANT, "tests", flow_id, 1, time.time_ns() // 1000, **options)

    def kill(self, execution_id: str) -> Answer:
        return self.step(Item((TENANT, execution_id), Kill()))[0]

    def follow(self, steps: int = 500) -> None:
        """What the engine's thread would do after the commits: messages, places that were given up, notices."""
        for _ in range(steps):
            items = self.engine.admissions(self.connection)
            while not self.engine._queue.empty():
                item = self.engine._queue.get()
                if item is not None:
                    items.append(item)
            if not items:
                return
            self.step(*items)
        raise AssertionError("there is always something more to tell")

    def sweep(self) -> None:
        """As after a crash: what memory knew is lost, the tables are looked at."""
        while not self.engine._queue.empty():
            self.engine._queue.get()
        self.engine._freed.clear()
        messages, notices = outbox.stale(self.connection, age_us=-1)
        for notice in notices:
            outbox.deliver(self.connection, notice)
        self.step(*messages)
        for key in queued_flows(self.connection):
            self.engine._freed.add(key)

    def timers(self) -> list[Item]:
        """Items of all timers, due or not: time is up to the test."""
        rows = self.rows("SELECT id, tenant_id, execution_id, task_run_id, attempt, kind FROM timer ORDER BY id")
        return [Item((row[1], row[2]), TimerFired(row[3], row[4], row[5]), timer=row[0]) for row in rows]

    def expire_leases(self) -> None:
        """All leases ran out a second ago."""
        self.connection.execute(
            "UPDATE hand_out SET lease_until_us = ? WHERE lease_id IS NOT NULL", (self.connection.now_us() - 1_000_000,)
        )

    def run_out(self, worker: FakeWorker, answer: Callable[[gateway.Assign], Item] | None = None, steps: int = 500) -> None:
        """The worker answers everything, timers fire, until nothing is left to do."""
        for _ in range(steps):
            self.follow()
            if worker.inbox:
                assign = worker.take()
                self.step(answer(assign) if answer is not None else worker.item(assign))
            elif timers := self.timers():
                self.step(timers[0])
            else:
                return
        raise AssertionError("there is always something more to do")

    # -- what is stored -----------------------------------------------------------------------------------------------

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.connection.execute(sql, parameters)]

    def count(self, table: str, where: str = "1 = 1") -> int:
        return int(self.rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])

    def state(self, execution_id: str) -> str:
        return str(self.rows("SELECT state FROM execution WHERE id = ?", (execution_id,))[0][0])

    def outline(self, execution_id: str) -> str:
        """As `Simulation.outline`: the two can be compared."""
        rows = self.rows(
            "SELECT id, parent_id, task_id, value, state FROM task_run WHERE execution_id = ? ORDER BY seq", (execution_id,)
        )
        lines = [self.state(execution_id)]

        def below(parent: str | None, depth: int) -> None:
            for run_id, parent_id, task_id, value, state in rows:
                if parent_id == parent:
                    lines.append("  " * depth + f"{task_id}{'' if value is None else f'[{value}]'} {state}")
                    below(run_id, depth + 1)

        below(None, 1)
        return "\n".join(lines)

    def states(self, execution_id: str, task_id: str) -> list[str]:
        sql = "SELECT state FROM task_run WHERE execution_id = ? AND task_id = ? ORDER BY seq"
        return [str(row[0]) for row in self.rows(sql, (execution_id, task_id))]

    def reattach(self, worker: FakeWorker) -> FakeWorker:
        """The same worker on this plane, with what it knows. Its free slots: what it has, less what the table says it holds."""
        found = self.attach(light=worker.light, worker_id=worker.channel.worker_id)
        found.channel.free[True] -= self.held(found)
        found.inbox = worker.inbox
        return found

    def held(self, worker: FakeWorker) -> int:
        """Light attempts leased to a worker."""
        return self.count("hand_out", f"worker_id = '{worker.channel.worker_id}' AND light")

    def audit(self, *, slots: bool = True) -> None:
        """What the tables must say between two steps, whatever happened: nobody waits for nobody, no slot leaks."""
        keys = [(row[0], row[1]) for row in self.rows("SELECT tenant_id, id FROM execution")]
        hand_outs = {row[0] for row in self.rows("SELECT task_run_id FROM hand_out")}
        retries = {row[0] for row in self.rows("SELECT task_run_id FROM timer WHERE kind = 'retry'")}
        open_runs: set[str] = set()
        for execution in store.load_executions(self.connection, keys).values():
            waits = invariants.Waits(hand_outs, retries)
            if execution.flow_id not in self.gone:  # of a flow that is gone nothing is known
                invariants.check(execution, self.load(TENANT, "tests", execution.flow_id, execution.revision), None, waits)
            open_runs.update(execution.runs)
        assert hand_outs <= open_runs, "a hand-out is left of a task run that is over"
        for worker in self.workers:
            if slots and worker.channel.open:
                free, held = worker.channel.free[True], self.held(worker)
                assert free + held == worker.light, f"{free} slots free, {held} attempts held, {worker.light} slots in all"

    def close(self) -> None:
        self.engine.courier.stop()
        with contextlib.suppress(Exception):  # a test may have broken it on purpose
            self.connection.close()


def token_of(assign: gateway.Assign) -> Token:
    token = assign.token
    return Token(TENANT, token.execution_id, token.task_run_id, token.attempt, token.lease_id)


def key_of(assign: gateway.Assign) -> tuple[str, str]:
    return (TENANT, assign.token.execution_id)
