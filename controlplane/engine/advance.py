"""One step of many executions: lock, decide, save, lease, commit. The database is the engine; this is its one transaction.

All items that arrived while the previous transaction was in flight form a batch. It locks the rows of its executions in id
order, takes each state from a cache when the version matches, folds the events through the pure machine, writes everything with
a handful of set-based statements, leases what may start to workers with free slots, and commits. What it did not commit did not
happen; nobody is told before the commit.
"""

from __future__ import annotations

import logging
import os
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from controlplane.engine import store
from controlplane.engine.dispatch import Channel, Dispatcher, GroupKey
from controlplane.engine.items import Answer, Item, Token
from controlplane.engine.store import Key
from controlplane.platform.database import Database, DatabaseError, Row
from flows.errors import HeadraceError
from flows.expressions.ambient import make_ambient
from flows.machine import invariants
from flows.machine.decide import World, decide
from flows.machine.effects import Effects, HandOut
from flows.machine.events import Created, Finished, Lost
from flows.machine.execution import Cursor, Execution
from flows.machine.states import State
from flows.spec.model import Flow, Task
from wire import gateway
from wire.ids import new_id

log = logging.getLogger(__name__)

LEASE_SECONDS = 30
"""Life of a lease without renewal. Workers renew every third of it."""

CACHE_EXECUTIONS_MAX = 2_000
CACHE_TASK_RUNS_MAX = 100_000
"""Open executions, and their open task runs, held in memory between steps."""

CLAIM_MAX = 1_000
"""Waiting hand-outs leased in one transaction."""

FlowLoader = Callable[[str, str, str, int], Flow]
"""(tenant, namespace, flow id, revision) → flow. Cached; raises HeadraceError when it is gone or no longer valid."""


@dataclass(slots=True)
class Outcome:
    """What a committed batch has to tell."""

    answers: list[tuple[Item, Answer]] = field(default_factory=list)
    changed: list[Key] = field(default_factory=list)
    ended: list[Key] = field(default_factory=list)
    assigned: dict[Channel, list[gateway.Assign]] = field(default_factory=dict)
    stopped: list[tuple[str, str, gateway.AttemptToken]] = field(default_factory=list)
    """(tenant, worker id, token) of attempts that must end."""
    next_due_us: int | None = None
    waiting: set[GroupKey] = field(default_factory=set)
    """Groups for which a hand-out now waits."""
    refused: list[Item] = field(default_factory=list)
    """What the engine must tell itself: hand-outs that can be given to nobody."""


class Advance:
    """Carries out batches on one database connection. Used by one thread."""

    def __init__(self, database: Database, dispatcher: Dispatcher, load_flow: FlowLoader) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._load_flow = load_flow
        self._cache: OrderedDict[Key, Execution] = OrderedDict()
        self._random = random.SystemRandom()
        self._sequence = 0
        self.checked = os.environ.get("HEADRACE_CHECK", "") not in ("", "0")
        """Whether every step is held against the machine's rules: for tests, and for a plane under suspicion."""

    def run(self, items: list[Item]) -> Outcome:
        """Applies a batch in one transaction. On an exception nothing happened, and the items may be tried again."""
        batch = _Batch(self, items)
        try:
            with self._database.transaction():
                batch.fold()
                batch.lease()
                batch.save()
        except BaseException:
            batch.undo()
            raise
        self._remember(batch)
        return batch.outcome

    def park(self, key: Key, items: list[Item], error: Exception) -> Outcome:
        """Ends an execution whose change the database does not take, in a transaction of its own; its items are answered."""
        batch = _Batch(self, [])
        try:
            with self._database.transaction():
                batch.park_stored(key, items, error)
                batch.save()
        except BaseException:
            batch.undo()
            raise
        self._cache.pop(key, None)
        return batch.outcome

    def forget(self) -> None:
        """Drops all cached state, e.g. after the connection was replaced."""
        self._cache.clear()

    def _remember(self, batch: _Batch) -> None:
        for key, execution in batch.executions.items():
            self._cache.pop(key, None)
            if not execution.state.terminated:
                self._cache[key] = execution
        runs = sum(len(execution.runs) for execution in self._cache.values()) if len(self._cache) > 50 else 0
        while len(self._cache) > CACHE_EXECUTIONS_MAX or (runs > CACHE_TASK_RUNS_MAX and len(self._cache) > 1):
            _, execution = self._cache.popitem(last=False)
            runs -= len(execution.runs)


class _Batch:
    """One transaction in the making."""

    def __init__(self, advance: Advance, items: list[Item]) -> None:
        self._advance = advance
        self.database = advance._database
        self.dispatcher = advance._dispatcher
        self.items = items
        self.outcome = Outcome()
        self.executions: dict[Key, Execution] = {}
        self.effects: dict[Key, Effects] = {}
        self.flows: dict[Key, Flow] = {}
        self.now = 0
        self._new: set[Key] = set()
        self._released: list[tuple[Channel, bool]] = []
        self._reserved: list[tuple[Channel, bool]] = []
        self._leases: dict[tuple[Key, str], tuple[Channel, str]] = {}
        self._metrics: list[Row] = []
        self._ended: set[str] = set()
        self._looked_at: set[GroupKey] = set()

    # -- fold ---------------------------------------------------------------------------------------------------------

    def fold(self) -> None:
        """Locks, loads, and applies every item whose proof holds."""
        new = {item.key: _fresh(item.new) for item in self.items if item.new is not None}
        for key in self._created_before():
            del new[key]
        keys = sorted({item.key for item in self.items if item.key not in new})
        # The lock comes first; what else must be known travels behind it in the same round trip.
        locked = self.database.select("execution", ("tenant_id", "id", "version"), store.EXECUTION_KEYS, keys, lock=True)
        clock = self.database.clock()
        proofs = _Proofs(self.database, self.items)
        versions = {(row[0], row[1]): row[2] for row in locked()}
        self.now = int(clock()[0][0])
        missing = []
        for key, version in versions.items():
            held = self._advance._cache.pop(key, None)
            if held is not None and held.version == version:
                self.executions[key] = held
            else:
                missing.append(key)
        self.executions.update(store.load_executions(self.database, missing))
        for key, execution in new.items():
            self.executions[key] = execution
            self._new.add(key)
        gone = proofs.refused(self.now)
        self._ended = proofs.ended
        broken: set[Key] = set()
        for item in self.items:
            target = self.executions.get(item.key)
            if target is None:
                self.outcome.answers.append((item, "absent"))
            elif id(item) in gone:
                self.outcome.answers.append((item, "superseded"))
            elif item.key in broken:
                self.outcome.answers.append((item, "parked"))
            else:
                try:
                    self._apply(item, target)
                    self.outcome.answers.append((item, "applied"))
                    self._tell_off(item)
                except DatabaseError:
                    raise  # says nothing about this execution: the whole transaction is void and tried again
                except Exception as error:  # a fault of one execution parks that one and no other
                    log.exception("execution %s is parked", item.key[1])
                    broken.add(item.key)
                    self._park(item.key, target, error)
                    self.outcome.answers.append((item, "parked"))
            self._free_slot(item)

    def _tell_off(self, item: Item) -> None:
        """A worker whose lease ran out and who is connected all the same must end the attempt; its answer frees the slot."""
        if item.expired and item.token is not None and isinstance(item.event, Lost) and item.event.worker_id is not None:
            token = item.token
            attempt = gateway.AttemptToken(
                execution_id=token.execution_id, task_run_id=token.task_run_id, attempt=token.attempt, lease_id=token.lease_id
            )
            self.outcome.stopped.append((token.tenant, item.event.worker_id, attempt))

    def _free_slot(self, item: Item) -> None:
        if item.token is not None and item.channel is not None:
            self.dispatcher.release(item.channel, item.light)
            self._released.append((item.channel, item.light))

    def _created_before(self) -> list[Key]:
        """Executions that a transaction created whose commit was answered by a broken connection: they are not created again."""
        keys = [item.key for item in self.items if item.new is not None and item.tries]
        if not keys:
            return []
        return [(row[0], row[1]) for row in self.database.select("execution", ("tenant_id", "id"), store.EXECUTION_KEYS, keys)()]

    def _apply(self, item: Item, execution: Execution) -> None:
        flow = self.flows.get(item.key)
        if flow is None:
            flow = self._advance._load_flow(execution.tenant, execution.namespace, execution.flow_id, execution.revision)
            self.flows[item.key] = flow
        effects = self.effects.setdefault(item.key, Effects())
        decide(execution, item.event, self._world(flow), effects)
        if self._advance.checked:
            invariants.check(execution, flow, effects)
        for metric in item.metrics:
            self._metrics.append((item.key[0], item.key[1], *_metric_values(metric), self.now))

    def _world(self, flow: Flow) -> World:
        now = self.now
        return World(
            flow=flow,
            now=now,
            new_id=new_id,
            random=self._advance._random.random,
            lookup=store.StoredOutputs(self.database, self.effects),
            functions=_functions(now // 1_000_000),
        )

    def _park(self, key: Key, execution: Execution, error: Exception) -> None:
        """Ends an execution whose state can no longer be trusted, with a report, from what is stored of it."""
        code = error.code if isinstance(error, HeadraceError) else "machine.fault"
        text = (
            str(error)
            if isinstance(error, HeadraceError)
            else f"internal fault ({type(error).__name__}); see the control plane's log"
        )
        effects = Effects(execution_changed=True, ended=True)
        if key in self._new:
            execution.task_run_count = 0
        else:
            execution = store.load_executions(self.database, [key]).get(key, execution)
            # Whatever it had handed out or was waiting for is void, and what runs is told to end.
            for run in execution.runs.values():
                run.move(State.KILLED, self.now)
                effects.changed[run.id] = run
                effects.stopped.add(run.id)
                effects.withdrawn.add(run.id)
                effects.timers_void.add(run.id)
        execution.runs.clear()
        execution.retrying = 0
        if not execution.state.terminated:
            execution.error = {"code": code, "message": text}
            execution.move(State.FAILED, self.now)
        self.executions[key] = execution
        self.effects[key] = effects

    def park_stored(self, key: Key, items: list[Item], error: Exception) -> None:
        """`_park` for an execution as it is stored; one that is not stored yet is left out, and its items are told so."""
        self.now = self.database.now_us()
        self.database.select("execution", ("id",), store.EXECUTION_KEYS, [key], lock=True)()
        stored = store.load_executions(self.database, [key]).get(key)
        if stored is not None:
            self._park(key, stored, error)
        for item in items:
            self.outcome.answers.append((item, "failed" if stored is None else "parked"))
            self._free_slot(item)

    # -- lease --------------------------------------------------------------------------------------------------------

    def lease(self) -> None:
        """Gives new hand-outs to free slots at once, unless older ones wait for the same group; then those go first."""
        wanted: dict[GroupKey, list[tuple[Key, HandOut]]] = {}
        for key, effects in self.effects.items():
            for hand_out in effects.hand_outs.values():
                group = (key[0], hand_out.worker_group, hand_out.task.kind == "light")
                wanted.setdefault(group, []).append((key, hand_out))
        for group, hand_outs in wanted.items():
            if group in self.dispatcher.backlog:
                continue
            channels = self.dispatcher.reserve(group, len(hand_outs))
            self._reserved.extend((channel, group[2]) for channel in channels)
            for channel, (key, hand_out) in zip(channels, hand_outs, strict=False):
                lease_id = new_id()
                self._leases[(key, hand_out.run.id)] = (channel, lease_id)
                execution = self.executions[key]
                self._assign(
                    channel,
                    execution,
                    hand_out.task,
                    hand_out.run.id,
                    hand_out.attempt,
                    lease_id,
                    store.dump_bytes(hand_out.context),
                )
            if len(channels) < len(hand_outs):
                self.outcome.waiting.add(group)

    def _assign(
        self, channel: Channel, execution: Execution, task: Task, run_id: str, attempt: int, lease_id: str, found: bytes
    ) -> None:
        self.outcome.assigned.setdefault(channel, []).append(
            assign_message(
                execution.id, execution.namespace, execution.flow_id, execution.revision, task, run_id, attempt, lease_id, found
            )
        )

    # -- save ---------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Writes what changed, then leases what waited."""
        database = self.database
        self._stops()
        executions_new: list[Row] = []
        executions_changed: list[Row] = []
        created: list[Row] = []
        changed: list[Row] = []
        hand_outs: list[Row] = []
        withdrawn: list[Row] = []
        timers: list[Row] = []
        timers_void: list[Row] = []
        until = self.now + LEASE_SECONDS * 1_000_000
        for key, effects in self.effects.items():
            execution = self.executions[key]
            execution.version += 1
            if key in self._new:
                executions_new.append(store.execution_row(execution))
            else:
                executions_changed.append((*key, *store.execution_changing_row(execution)))
            created.extend(store.run_row(execution, run) for run in effects.created.values())
            changed.extend((*key, run.id, *store.run_changing_row(run)) for run in effects.changed.values())
            withdrawn.extend(
                (key[0], run_id) for run_id in effects.withdrawn if run_id not in effects.created and run_id not in self._ended
            )
            timers_void.extend((*key, run_id) for run_id in effects.timers_void)
            timers.extend((*key, timer.task_run_id, timer.attempt, timer.kind, timer.due_at) for timer in effects.timers)
            hand_outs.extend(self._hand_out_row(key, execution, hand_out, until) for hand_out in effects.hand_outs.values())
            (self.outcome.ended if effects.ended else self.outcome.changed).append(key)
        database.insert("execution", store.EXECUTION_ALL, executions_new)
        database.update("execution", store.EXECUTION_KEYS, store.EXECUTION_CHANGING, executions_changed)
        database.insert("task_run", store.RUN_ALL, created)
        database.update("task_run", store.RUN_KEYS, store.RUN_CHANGING, changed)
        database.remove("hand_out", store.HAND_OUT_KEYS, withdrawn)
        database.insert("hand_out", store.HAND_OUT_ALL, hand_outs)
        database.remove("timer", store.TIMER_KEYS, timers_void)
        database.insert("timer", store.TIMER_ALL, timers)
        database.insert("metric", store.METRIC_ALL, self._metrics)
        if timers:
            self.outcome.next_due_us = min(row[5] for row in timers)
        self.dispatcher.backlog.update(self.outcome.waiting)
        self._claim(until)

    def _hand_out_row(self, key: Key, execution: Execution, hand_out: HandOut, until: int) -> Row:
        self._advance._sequence += 1
        lease = self._leases.get((key, hand_out.run.id))
        if lease is None:
            self.outcome.waiting.add((key[0], hand_out.worker_group, hand_out.task.kind == "light"))
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
            self.now + self._advance._sequence % 1_000_000,
            lease[1] if lease else None,
            lease[0].worker_id if lease else None,
            until if lease else None,
            False,
        )

    def _stops(self) -> None:
        """Attempts that must end: their workers are told after the commit, and the row remembers it for another gateway."""
        rows: list[Row] = []
        for key, effects in self.effects.items():
            ended = effects.stopped | (effects.withdrawn if self.executions[key].state is State.KILLED else set())
            rows.extend((key[0], run_id) for run_id in ended if run_id not in effects.created)
        if not rows:
            return
        columns = ("tenant_id", "task_run_id", "execution_id", "attempt", "lease_id", "worker_id")
        for tenant, run_id, execution_id, attempt, lease_id, worker_id in self.database.select(
            "hand_out", columns, store.HAND_OUT_KEYS, rows, "AND t.lease_id IS NOT NULL"
        )():
            token = gateway.AttemptToken(execution_id=execution_id, task_run_id=run_id, attempt=attempt, lease_id=lease_id)
            self.outcome.stopped.append((tenant, worker_id, token))
        self.database.update("hand_out", store.HAND_OUT_KEYS, (("stop", "bool"),), [(*row, True) for row in rows])

    def _claim(self, until: int) -> None:
        """Leases what waits in the table to the slots that are still free, oldest first."""
        for group, room in self.dispatcher.groups_with_room():
            tenant, name, light = group
            wanted = min(room, CLAIM_MAX)
            skip = "FOR UPDATE SKIP LOCKED" if self.database.postgres else ""
            rows = self.database.execute(
                "SELECT task_run_id, attempt, execution_id, namespace, flow_id, flow_revision, task_id, context FROM hand_out"  # noqa: S608
                " WHERE tenant_id = ? AND worker_group = ? AND light = ? AND lease_id IS NULL ORDER BY seq LIMIT ? " + skip,
                (tenant, name, light, wanted),
            )
            self._looked_at.add(group)
            if len(rows) < wanted:
                self.dispatcher.backlog.discard(group)
                self.outcome.waiting.discard(group)
            channels = self.dispatcher.reserve(group, len(rows))
            self._reserved.extend((channel, light) for channel in channels)
            if len(channels) < len(rows):
                self.dispatcher.backlog.add(group)
            leased: list[Row] = []
            for channel, row in zip(channels, rows, strict=False):
                run_id, attempt, execution_id, namespace, flow_id, revision, task_id, found = row
                lease_id = new_id()
                try:
                    task = self._advance._load_flow(tenant, namespace, flow_id, revision).task(task_id)
                    message = assign_message(
                        execution_id, namespace, flow_id, revision, task, run_id, attempt, lease_id, found.encode()
                    )
                except Exception as error:  # whatever is wrong with one hand-out must not hold up those behind it
                    log.exception("task run %s cannot be handed out", run_id)
                    self.dispatcher.release(channel, light)
                    self._reserved.remove((channel, light))
                    self.outcome.refused.append(_refusal((tenant, execution_id), run_id, attempt, error))
                    continue
                leased.append((tenant, run_id, lease_id, channel.worker_id, until))
                self.outcome.assigned.setdefault(channel, []).append(message)
            columns = (("lease_id", "text"), ("worker_id", "text"), ("lease_until_us", "bigint"))
            self.database.update("hand_out", store.HAND_OUT_KEYS, columns, leased)

    def undo(self) -> None:
        """Gives back what was taken in memory; the database does its part."""
        for channel, light in self._reserved:
            self.dispatcher.release(channel, light)
        for channel, light in self._released:
            self.dispatcher.release(channel, light, -1)
        for key in self.executions:
            self._advance._cache.pop(key, None)
        self.dispatcher.backlog.update(self.outcome.waiting, self._looked_at)


class _Proofs:
    """What entitles each item: its token is taken from the table, its holder found there, its timer taken. Asked for at once."""

    def __init__(self, database: Database, items: list[Item]) -> None:
        self._database = database
        self._items = items
        self.ended: set[str] = set()
        """Task runs whose hand-out was deleted with the token that proved it."""
        self._ending = {id(item): _token_row(item.token) for item in items if item.token is not None and not item.expired}
        self._holding = {id(item): _token_row(item.holder) for item in items if item.holder is not None}
        timers = [(item.timer,) for item in items if item.timer is not None]
        # Looked for before anything is taken: what an attempt tells and its end may come in one batch.
        self._held = database.select(
            "hand_out", store.names(store.HAND_OUT_TOKEN), store.HAND_OUT_TOKEN, list(dict.fromkeys(self._holding.values()))
        )
        self._taken = database.take("hand_out", store.HAND_OUT_TOKEN, list(dict.fromkeys(self._ending.values())))
        self._fired = database.take("timer", (("id", "bigint"),), timers)

    def refused(self, now: int) -> set[int]:
        """Ids of the items that prove nothing: the attempt is no longer the teller's, or the timer was already taken."""
        taken = {tuple(row) for row in self._taken()}
        held = {tuple(row) for row in self._held()}
        fired = {row[0] for row in self._fired()}
        self.ended.update(row[1] for row in taken)
        refused: set[int] = set()
        for item in self._items:
            key = id(item)
            if key in self._ending:
                if self._ending[key] not in taken:
                    refused.add(key)
                taken.discard(self._ending[key])  # the same result twice in one batch: the second proves nothing
            elif key in self._holding:
                if self._holding[key] not in held:
                    refused.add(key)
            elif item.timer is not None:
                if item.timer not in fired:
                    refused.add(key)
                fired.discard(item.timer)
            elif item.expired and item.token is not None and not self._expired(item.token, now):
                refused.add(key)
        return refused

    def _expired(self, token: Token, now: int) -> bool:
        """Deletes the hand-out if its lease has run out by the database's clock; a lease renewed in the last instant wins."""
        return bool(
            self._database.execute(
                "DELETE FROM hand_out WHERE tenant_id = ? AND task_run_id = ? AND execution_id = ? AND attempt = ?"
                " AND lease_id = ? AND lease_until_us < ? RETURNING task_run_id",
                (*_token_row(token), now),
            )
        )


def _token_row(token: Token) -> tuple[str, str, str, int, str]:
    return (token.tenant, token.task_run_id, token.execution_id, token.attempt, token.lease_id)


def _fresh(execution: Execution) -> Execution:
    """A new execution for one transaction: the machine changes it, and a transaction that fails must leave the item as it was."""
    return replace(execution, history=list(execution.history), cursor=Cursor(), runs={}, variables=dict(execution.variables))


def _refusal(key: Key, run_id: str, attempt: int, error: Exception) -> Item:
    """Fails an attempt that could not be handed out. When not even its flow can be loaded, this parks the execution."""
    code = error.code if isinstance(error, HeadraceError) else "machine.hand_out"
    text = str(error) if isinstance(error, HeadraceError) else "see the control plane's log"
    failure = {"code": code, "message": f"the task could not be handed to a worker: {text}"}
    return Item(key, Finished(run_id, attempt, "", State.FAILED, error=failure))


def _metric_values(metric: Mapping[str, Any]) -> tuple[Any, ...]:
    return (metric["task_run_id"], metric["task_id"], metric["name"], metric["kind"], metric["value"], store.dump(metric["tags"]))


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


@lru_cache(maxsize=4)
def _functions(second: int) -> dict[str, Callable[..., Any]]:
    """Clock and chance for the small expressions the control plane evaluates; the same within a second."""
    return dict(make_ambient(lambda: datetime.fromtimestamp(second, UTC), random.Random()))


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
) -> Item:
    """The item that creates an execution. A correlation id is added when there is none (flow-language §3)."""
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
        trigger=trigger,
        original_id=identity,
    )
    return Item(key=(tenant, identity), event=Created(), new=execution)
