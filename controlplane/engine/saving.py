"""What a batch changed, written with a handful of set-based statements. Nothing is written for what an execution does not use."""

from __future__ import annotations

from controlplane.engine import outbox, store
from controlplane.engine.batch import Batch
from controlplane.engine.leasing import LEASE_SECONDS, stops
from controlplane.engine.store import Key
from controlplane.platform.database import Row
from flows.machine.effects import Effects
from flows.machine.execution import Execution, TaskRun
from wire.ids import new_id


def save(batch: Batch) -> None:
    """Writes what changed, then leases what waited."""
    database = batch.database
    outcome = batch.outcome
    outcome.stopped.extend(stops(database, batch.executions, batch.effects))
    executions_new: list[Row] = []
    executions_changed: list[Row] = []
    created: list[Row] = []
    reported: list[Row] = []
    changed: list[Row] = []
    items: list[Row] = []
    hand_outs: list[Row] = []
    withdrawn: list[Row] = []
    timers: list[Row] = []
    timers_void: list[Row] = []
    until = batch.now + LEASE_SECONDS * 1_000_000
    for key, effects in batch.effects.items():
        execution = batch.executions[key]
        execution.version += 1
        if key in batch.new:
            executions_new.append(store.execution_row(execution))
        else:
            executions_changed.append((*key, *store.execution_changing_row(execution)))
        created.extend(store.run_row(execution, run) for run in effects.created.values())
        reported.extend(store.run_row(execution, run) for run in effects.reported.values())
        for run in effects.changed.values():
            changed.append((*key, run.id, *store.run_changing_row(run)))
            if run.items is not None and _begun_now(run, batch.now):
                items.append((*key, run.id, store.dump(run.items)))
        withdrawn.extend(
            (key[0], run_id) for run_id in effects.withdrawn if run_id not in effects.created and run_id not in batch.ended_runs
        )
        timers_void.extend((*key, run_id) for run_id in effects.timers_void if run_id or _has_own_timers(batch, key))
        timers.extend((*key, timer.task_run_id, timer.attempt, timer.kind, timer.due_at) for timer in effects.timers)
        for hand_out in effects.hand_outs.values():
            seq = batch.now + batch.advance.next_number() % 1_000_000
            hand_outs.append(batch.leases.row(execution, batch.flows[key], hand_out, seq, until))
        (outcome.ended if effects.ended else outcome.changed).append(key)
    database.insert("execution", store.EXECUTION_ALL, executions_new)
    database.update("execution", store.EXECUTION_KEYS, store.EXECUTION_CHANGING, executions_changed)
    database.update("execution", store.EXECUTION_KEYS, store.EXECUTION_EDITED, _edited(batch))
    for start in range(0, len(created), store.RUNS_PAGE):
        database.insert("task_run", store.RUN_ALL, created[start : start + store.RUNS_PAGE])
    database.insert("task_run", store.RUN_ALL, reported, ignore=True)
    database.update("task_run", store.RUN_KEYS, store.RUN_CHANGING, changed)
    database.update("task_run", store.RUN_KEYS, (("items", "text"),), items)
    database.remove("hand_out", store.HAND_OUT_KEYS, withdrawn)
    database.insert("hand_out", store.HAND_OUT_ALL, hand_outs)
    database.remove("timer", store.TIMER_KEYS, timers_void)
    database.insert("timer", store.TIMER_ALL, timers)
    database.insert("outbox", store.OUTBOX_ALL, _messages(batch))
    database.insert("metric", store.METRIC_ALL, batch.metrics)
    if timers:
        outcome.next_due_us = min(row[5] for row in timers)
    batch.leases.claim(until)
    outcome.assigned = batch.leases.assigned
    outcome.waiting = batch.leases.waiting
    outcome.refused = batch.leases.refused


def _begun_now(run: TaskRun, now: int) -> bool:
    """A loop learns its values when it begins; they are not written again each time it moves on."""
    return any(at >= now for _, at in run.history[-3:])


def _has_own_timers(batch: Batch, key: Key) -> bool:
    """Every end voids the execution's own timers; few executions ever had one."""
    return key in batch.timed or bool(batch.flows[key].sla)


def _edited(batch: Batch) -> list[Row]:
    rows: list[Row] = []
    for key, stored in batch.edited.items():
        found = store.execution_edited_row(batch.executions[key])
        if found != stored:
            rows.append((*key, *found))
    return rows


def _messages(batch: Batch) -> list[Row]:
    """Rows of the outbox; what they cause is told after the commit."""
    rows: list[Row] = []

    def add(tenant: str, execution_id: str | None, kind: str, payload: object) -> None:
        number = batch.advance.next_number()
        row = (tenant, new_id(), execution_id, kind, store.dump(payload), batch.now, number)
        rows.append(row)
        if execution_id is None:
            batch.outcome.notices.append(outbox.notice(row))
        else:
            batch.outcome.messages.append(outbox.delivery(row))

    for tenant, execution_id, kind, payload in batch.letters:
        add(tenant, execution_id, kind, payload)
    for tenant, tell in batch.tells:
        add(tenant, tell.execution_id, outbox.EVENT, outbox.event_payload(tell.event))
    for (tenant, execution_id), pinned in batch.deferred:
        add(tenant, execution_id, outbox.BEGIN, {"pinned": pinned})
    for key, effects in batch.effects.items():
        for notice in effects.notices:
            if outbox.is_consumed(batch.database, notice.kind, key[0]):
                add(key[0], None, notice.kind, {"executionId": key[1], **notice.data})
        if (effects.states or key in batch.new) and outbox.is_consumed(batch.database, outbox.STATES, key[0]):
            add(key[0], None, outbox.STATES, _states(key, batch.executions[key], effects, new=key in batch.new))
    return rows


def _states(key: Key, execution: Execution, effects: Effects, *, new: bool) -> dict[str, object]:
    taken = [*(["CREATED"] if new else []), *(state.value for state in effects.states)]
    if new and execution.state.value not in taken:
        taken.append(execution.state.value)  # created at its end: its trigger could not begin it
    return {
        "executionId": key[1],
        "namespace": execution.namespace,
        "flowId": execution.flow_id,
        "revision": execution.revision,
        "kind": execution.kind,
        "states": taken,
    }
