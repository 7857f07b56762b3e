"""One step of many executions: lock, decide, save, lease, commit. The database is the engine; this is its one transaction.

All items that arrived while the previous transaction was in flight form a batch. It locks the rows of its executions in id
order, takes each state from a cache when the version matches, folds the events through the pure machine, writes everything with
a handful of set-based statements, leases what may start to workers with free slots, and commits. What it did not commit did not
happen; nobody is told before the commit.
"""

from __future__ import annotations

import os
import random
from collections import OrderedDict
from typing import Any

from controlplane.engine.batch import Batch, Outcome
from controlplane.engine.concurrency import FlowKey, NewestLoader, PlacesBusy
from controlplane.engine.dispatch import Dispatcher
from controlplane.engine.items import Item
from controlplane.engine.leasing import CLAIM_MAX, LEASE_SECONDS, FlowLoader, assign_message, task_json
from controlplane.engine.saving import save
from controlplane.engine.store import Key
from controlplane.platform.database import Database
from flows.errors import HeadraceError
from flows.machine.events import Created
from flows.machine.execution import Execution
from flows.machine.states import State
from flows.spec.model import Flow
from wire.ids import new_id

__all__ = ["CLAIM_MAX", "LEASE_SECONDS", "Advance", "FlowLoader", "Outcome", "assign_message", "new_execution", "task_json"]

CACHE_EXECUTIONS_MAX = 2_000
CACHE_TASK_RUNS_MAX = 100_000
"""Open executions, and their open task runs, held in memory between steps."""


class FlowUnknown(HeadraceError):
    """This engine was started without a way to find the newest revision of a flow."""

    code = "flow.missing"


class Advance:
    """Carries out batches on one database connection. Used by one thread."""

    def __init__(
        self, database: Database, dispatcher: Dispatcher, load_flow: FlowLoader, load_newest: NewestLoader | None = None
    ) -> None:
        self.database = database
        self.dispatcher = dispatcher
        self.load_flow = load_flow
        self.load_newest: NewestLoader = load_newest or _no_flows
        self.random = random.SystemRandom()
        self._cache: OrderedDict[Key, Execution] = OrderedDict()
        self._sequence = 0
        self.checked = os.environ.get("HEADRACE_CHECK", "") not in ("", "0")
        """Whether every step is held against the machine's rules: for tests, and for a plane under suspicion."""

    def run(self, items: list[Item]) -> Outcome:
        """Applies a batch in one transaction. On an exception nothing happened, and the items may be tried again."""
        locks: frozenset[FlowKey] = frozenset()
        while True:
            batch = Batch(self, items)
            try:
                with self.database.transaction():
                    batch.fold(locks)
                    batch.leases.lease(batch.executions, batch.effects)
                    save(batch)
            except PlacesBusy as busy:
                batch.undo()
                locks |= busy.keys
                continue
            except BaseException:
                batch.undo()
                raise
            self._remember(batch)
            return batch.outcome

    def park(self, key: Key, items: list[Item], error: Exception) -> Outcome:
        """Ends an execution whose change the database does not take, in a transaction of its own; its items are answered."""
        batch = Batch(self, [])
        try:
            with self.database.transaction():
                batch.park_stored(key, items, error)
                save(batch)
        except BaseException:
            batch.undo()
            raise
        self._cache.pop(key, None)
        return batch.outcome

    def forget(self) -> None:
        """Drops all cached state, e.g. after the connection was replaced."""
        self._cache.clear()

    def take_cached(self, key: Key) -> Execution | None:
        """The execution as this engine last left it, if it holds it; it is taken out."""
        return self._cache.pop(key, None)

    def next_number(self) -> int:
        """Numbers in order, for what is written at the same instant."""
        self._sequence += 1
        return self._sequence

    def _remember(self, batch: Batch) -> None:
        for key, execution in batch.executions.items():
            self._cache.pop(key, None)
            if not execution.state.terminated:
                self._cache[key] = execution
        runs = sum(len(execution.runs) for execution in self._cache.values()) if len(self._cache) > 50 else 0
        while len(self._cache) > CACHE_EXECUTIONS_MAX or (runs > CACHE_TASK_RUNS_MAX and len(self._cache) > 1):
            _, execution = self._cache.popitem(last=False)
            runs -= len(execution.runs)


def _no_flows(tenant: str, namespace: str, flow_id: str) -> tuple[int, Flow]:
    raise FlowUnknown(f"flow '{namespace}.{flow_id}' cannot be looked up by this engine")


def new_execution(
    tenant: str,
    namespace: str,
    flow_id: str,
    revision: int,
    now: int,
    *,
    execution_id: str | None = None,
    inputs: dict[str, Any] | None = None,
    labels: list[dict[str, str]] | None = None,
    trigger: dict[str, Any] | None = None,
    variables: dict[str, Any] | None = None,
    kind: str = "NORMAL",
    schedule_at: int | None = None,
    breakpoints: tuple[str, ...] = (),
    cause: dict[str, Any] | None = None,
    pinned: bool = False,
    fails: dict[str, str] | None = None,
) -> Item:
    """The item that creates an execution. A correlation id is added when there is none (flow-language §3).

    `schedule_at`: microseconds; it stays CREATED until then. `pinned`: the revision need not be the newest one.
    `fails`: why it is over at once, {code, message}.
    """
    identity = execution_id or new_id()
    found = list(labels or ())
    if not any(label["key"] == "system.correlationId" for label in found):
        found.append({"key": "system.correlationId", "value": identity})
    execution = Execution(
        tenant=tenant,
        id=identity,
        namespace=namespace,
        flow_id=flow_id,
        revision=revision,
        state=State.CREATED,
        history=[(State.CREATED.value, now)],
        created_at=now,
        inputs=inputs or {},
        labels=found,
        variables=variables or {},
        trigger=trigger,
        original_id=identity,
        kind=kind,
        schedule_at=schedule_at,
        breakpoints=list(breakpoints),
        cause=cause,
    )
    if fails is not None:
        execution.error = fails
        execution.move(State.FAILED, now)
    return Item(key=(tenant, identity), event=Created(), new=execution, pinned=pinned)
