"""Hand-outs and leases: what may start is leased to a worker with a free slot, in the transaction that makes it startable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache

from controlplane.engine import store
from controlplane.engine.dispatch import Channel, Dispatcher, GroupKey
from controlplane.engine.items import Item
from controlplane.engine.store import Key
from controlplane.platform.database import Database, Row
from flows.errors import HeadraceError
from flows.machine.effects import Effects, HandOut
from flows.machine.events import Finished
from flows.machine.execution import Execution
from flows.machine.states import State
from flows.spec.model import Flow, Task
from wire import gateway
from wire.ids import new_id

log = logging.getLogger(__name__)

LEASE_SECONDS = 30
"""Life of a lease without renewal. Workers renew every third of it."""

CLAIM_MAX = 1_000
"""Waiting hand-outs leased in one transaction."""

FlowLoader = Callable[[str, str, str, int], Flow]
"""(tenant, namespace, flow id, revision) → flow. Cached; raises HeadraceError when it is gone or no longer valid."""


class Leases:
    """What one transaction leases. `undo` gives the slots back when it fails."""

    def __init__(self, database: Database, dispatcher: Dispatcher, load_flow: FlowLoader) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._load_flow = load_flow
        self._released: list[tuple[Channel, bool]] = []
        self._reserved: list[tuple[Channel, bool]] = []
        self._leases: dict[tuple[Key, str], tuple[Channel, str]] = {}
        self._looked_at: set[GroupKey] = set()
        self.assigned: dict[Channel, list[gateway.Assign]] = {}
        self.waiting: set[GroupKey] = set()
        """Groups for which a hand-out now waits."""
        self.refused: list[Item] = []
        """What the engine must tell itself: hand-outs that can be given to nobody."""

    def free_slot(self, item: Item) -> None:
        """The attempt an item tells the end of no longer holds its worker's slot."""
        if item.token is not None and item.channel is not None:
            self._dispatcher.release(item.channel, item.light)
            self._released.append((item.channel, item.light))

    def lease(self, executions: Mapping[Key, Execution], effects: Mapping[Key, Effects]) -> None:
        """Gives new hand-outs to free slots at once, unless older ones wait for the same group; then those go first."""
        wanted: dict[GroupKey, list[tuple[Key, HandOut]]] = {}
        for key, found in effects.items():
            for hand_out in found.hand_outs.values():
                group = (key[0], hand_out.worker_group, hand_out.task.kind == "light")
                wanted.setdefault(group, []).append((key, hand_out))
        for group, hand_outs in wanted.items():
            if group in self._dispatcher.backlog:
                continue
            channels = self._dispatcher.reserve(group, len(hand_outs))
            self._reserved.extend((channel, group[2]) for channel in channels)
            for channel, (key, hand_out) in zip(channels, hand_outs, strict=False):
                lease_id = new_id()
                self._leases[(key, hand_out.run.id)] = (channel, lease_id)
                execution = executions[key]
                message = assign_message(
                    execution.id,
                    execution.namespace,
                    execution.flow_id,
                    execution.revision,
                    hand_out.task,
                    hand_out.run.id,
                    hand_out.attempt,
                    lease_id,
                    store.dump_bytes(hand_out.context),
                )
                self.assigned.setdefault(channel, []).append(message)
            if len(channels) < len(hand_outs):
                self.waiting.add(group)

    def row(self, execution: Execution, flow: Flow, hand_out: HandOut, seq: int, until: int) -> Row:
        """Values of HAND_OUT_ALL, leased or waiting."""
        key = (execution.tenant, execution.id)
        lease = self._leases.get((key, hand_out.run.id))
        if lease is None:
            self.waiting.add((key[0], hand_out.worker_group, hand_out.task.kind == "light"))
        selector = hand_out.task.worker_selector or flow.worker_selector
        return (
            key[0],
            hand_out.run.id,
            key[1],
            hand_out.attempt,
            execution.namespace,
            execution.flow_id,
            execution.revision,
            hand_out.task.id,
            hand_out.worker_group,
            hand_out.task.kind == "light",
            store.dump(hand_out.context),
            seq,
            lease[1] if lease else None,
            lease[0].worker_id if lease else None,
            until if lease else None,
            False,
            selector.fallback if selector is not None and selector.fallback in ("FAIL", "CANCEL") else None,
        )

    def claim(self, until: int) -> None:
        """Leases what waits in the table to the slots that are still free, oldest first."""
        self._dispatcher.backlog.update(self.waiting)
        for group, room in self._dispatcher.groups_with_room():
            tenant, name, light = group
            wanted = min(room, CLAIM_MAX)
            skip = "FOR UPDATE SKIP LOCKED" if self._database.postgres else ""
            rows = self._database.execute(
                "SELECT task_run_id, attempt, execution_id, namespace, flow_id, flow_revision, task_id, context FROM hand_out"  # noqa: S608
                " WHERE tenant_id = ? AND worker_group = ? AND light = ? AND lease_id IS NULL ORDER BY seq LIMIT ? " + skip,
                (tenant, name, light, wanted),
            )
            self._looked_at.add(group)
            if len(rows) < wanted:
                self._dispatcher.backlog.discard(group)
                self.waiting.discard(group)
            channels = self._dispatcher.reserve(group, len(rows))
            self._reserved.extend((channel, light) for channel in channels)
            if len(channels) < len(rows):
                self._dispatcher.backlog.add(group)
            leased: list[Row] = []
            for channel, row in zip(channels, rows, strict=False):
                run_id, attempt, execution_id, namespace, flow_id, revision, task_id, found = row
                lease_id = new_id()
                try:
                    task = self._load_flow(tenant, namespace, flow_id, revision).task(task_id)
                    message = assign_message(
                        execution_id, namespace, flow_id, revision, task, run_id, attempt, lease_id, found.encode()
                    )
                except Exception as error:  # whatever is wrong with one hand-out must not hold up those behind it
                    log.exception("task run %s cannot be handed out", run_id)
                    self._dispatcher.release(channel, light)
                    self._reserved.remove((channel, light))
                    self.refused.append(_refusal((tenant, execution_id), run_id, attempt, error))
                    continue
                leased.append((tenant, run_id, lease_id, channel.worker_id, until))
                self.assigned.setdefault(channel, []).append(message)
            columns = (("lease_id", "text"), ("worker_id", "text"), ("lease_until_us", "bigint"))
            self._database.update("hand_out", store.HAND_OUT_KEYS, columns, leased)

    def undo(self) -> None:
        """Gives back what was taken in memory; the database does its part."""
        for channel, light in self._reserved:
            self._dispatcher.release(channel, light)
        for channel, light in self._released:
            self._dispatcher.release(channel, light, -1)
        self._dispatcher.backlog.update(self.waiting, self._looked_at)


def stops(
    database: Database, executions: Mapping[Key, Execution], effects: Mapping[Key, Effects]
) -> list[tuple[str, str, gateway.AttemptToken]]:
    """Attempts that must end: their workers are told after the commit, and the row remembers it for another gateway."""
    rows: list[Row] = []
    for key, found in effects.items():
        ended = found.stopped | (found.withdrawn if executions[key].state is State.KILLED else set())
        rows.extend((key[0], run_id) for run_id in ended if run_id not in found.created)
    if not rows:
        return []
    told = []
    columns = ("tenant_id", "task_run_id", "execution_id", "attempt", "lease_id", "worker_id")
    for tenant, run_id, execution_id, attempt, lease_id, worker_id in database.select(
        "hand_out", columns, store.HAND_OUT_KEYS, rows, "AND t.lease_id IS NOT NULL"
    )():
        token = gateway.AttemptToken(execution_id=execution_id, task_run_id=run_id, attempt=attempt, lease_id=lease_id)
        told.append((tenant, worker_id, token))
    database.update("hand_out", store.HAND_OUT_KEYS, (("stop", "bool"),), [(*row, True) for row in rows])
    return told


def _refusal(key: Key, run_id: str, attempt: int, error: Exception) -> Item:
    """Fails an attempt that could not be handed out. When not even its flow can be loaded, this parks the execution."""
    code = error.code if isinstance(error, HeadraceError) else "machine.hand_out"
    text = str(error) if isinstance(error, HeadraceError) else "see the control plane's log"
    failure = {"code": code, "message": f"the task could not be handed to a worker: {text}"}
    return Item(key, Finished(run_id, attempt, "", State.FAILED, error=failure))


@lru_cache(maxsize=4096)
def task_json(task: Task) -> bytes:
    """The task as written, for a hand-out. Cached: the same for every task run of a revision."""
    return store.dump_bytes(dict(task.properties))


def assign_message(
    execution_id: str,
    namespace: str,
    flow_id: str,
    revision: int,
    task: Task,
    run_id: str,
    attempt: int,
    lease_id: str,
    found: bytes,
) -> gateway.Assign:
    """The message that hands an attempt to a worker."""
    return gateway.Assign(
        token=gateway.AttemptToken(execution_id=execution_id, task_run_id=run_id, attempt=attempt, lease_id=lease_id),
        task_type=task.type,
        task_json=task_json(task),
        context_json=found,
        namespace=namespace,
        flow_id=flow_id,
        flow_revision=revision,
        task_id=task.id,
        light=task.kind == "light",
    )
