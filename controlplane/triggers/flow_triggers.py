"""Flow triggers: an execution that takes a state may start executions of other flows (triggers-and-conditions §8).

The engine writes a notice with every step in which an execution took states, in tenants that have Flow triggers at all. Here each
notice is consumed in one transaction: the windows move, the firing is remembered, and the new executions are stored with a
message that has the engine begin them. So a notice that is delivered twice, or cut off anywhere, starts nothing twice and loses
nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction

from controlplane.engine import outbox, store
from controlplane.engine.outbox import Notice
from controlplane.engine.service import Engine, EngineUnavailable, installed
from controlplane.platform.database import Database, Row
from controlplane.triggers.dates import micros, moment
from controlplane.triggers.firing import execution_item, flow_for, key_of, wanted_of
from controlplane.triggers.rows import COLUMNS, StateRow, dump, state_row
from controlplane.triggers.rules import Rule, rule_of
from controlplane.triggers.settling import FIRING_ALL, FIRING_KEYS, STATE_KEYS, Settlement, StateKey, settle
from flows.errors import HeadraceError
from flows.machine.execution import Execution
from flows.schedule.facts import UpstreamExecution
from flows.schedule.gates import WindowState
from flows.schedule.upstream import Followed
from wire.ids import new_id

log = logging.getLogger(__name__)

KNOWN_SECONDS = 1.0
"""How long the list of a tenant's Flow triggers is trusted. A save in this process is seen at once."""

MISSES_MAX = 500
"""Deadlines looked at in one round."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A Flow trigger of a tenant."""

    key: StateKey
    rule: Rule


_lock = threading.Lock()
_listeners: dict[str, tuple[float, tuple[Listener, ...]]] = {}


def forget(tenant: str) -> None:
    """A flow of the tenant is being saved: its Flow triggers are read again, now and after the commit."""
    _drop(tenant)
    transaction.on_commit(lambda: _drop(tenant))


def _drop(tenant: str) -> None:
    with _lock:
        _listeners.pop(tenant, None)


def wanted(database: Database, tenant: str) -> bool:
    """Whether the tenant has Flow triggers at all. Asked by the engine with every step that changed a state."""
    return bool(listeners_of(database, tenant))


def listeners_of(database: Database, tenant: str) -> tuple[Listener, ...]:
    """The live Flow triggers of a tenant."""
    with _lock:
        known = _listeners.get(tenant)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    found = []
    rows = database.execute(
        f"SELECT {', '.join(COLUMNS)} FROM trigger_state"  # noqa: S608 - constants
        " WHERE tenant_id = ? AND kind = 'flow' AND live AND NOT disabled ORDER BY namespace, flow_id, trigger_id",
        (tenant,),
    )
    for values in rows:
        row = state_row(values)
        try:
            found.append(Listener(row.key, rule_of(row)))
        except HeadraceError as error:
            log.warning("Flow trigger %s of %s.%s is passed over: %s", row.trigger_id, row.namespace, row.flow_id, error)
    listeners = tuple(found)
    with _lock:
        _listeners[tenant] = (time.monotonic() + KNOWN_SECONDS, listeners)
    return listeners


# -- a notice ---------------------------------------------------------------------------------------------------------------


def on_notice(database: Database, notice: Notice) -> Callable[[], None] | None:
    """Consumes a notice of kind `execution.state`: every state the execution took, in order."""
    data = notice.data
    named = (notice.tenant, data["namespace"], data["flowId"])
    others = (one for one in listeners_of(database, notice.tenant) if one.key[:3] != named)
    listeners = [one for one in others if _may_concern(one.rule, data["states"])]
    if not listeners:
        return None
    upstream, history = _upstream(database, notice, attempts=any(_reads_attempts(one.rule) for one in listeners))
    if upstream is None:
        return None
    made: list[Row] = []
    for state in data["states"]:
        count = sum(1 for taken, at in history if taken == state and at <= notice.at_us)
        change = replace(upstream, state=state, change=str(count) if count > 1 else "")
        made.extend(on_state(database, change, moment(notice.at_us), listeners))
    return (lambda: _tell(made)) if made else None


def on_state(
    database: Database, upstream: UpstreamExecution, now: datetime, listeners: Iterable[Listener] | None = None
) -> list[Row]:
    """One change of state, inside a transaction on `database`. Returns the messages that begin what it started."""
    given = listeners_of(database, upstream.tenant) if listeners is None else listeners
    concerned = {one.key: one for one in given if one.rule.follows is not None and one.rule.follows.concerns(upstream)}
    if not concerned:
        return []
    made: list[Row] = []
    # In the order of their keys: two changes that concern the same triggers wait for each other, never across.
    for values in database.select("trigger_state", COLUMNS, STATE_KEYS, sorted(concerned), lock=True)():
        row = state_row(values)
        if row.live and not row.disabled:
            made.extend(_follow(database, row, upstream, now))
    return made


def _follow(database: Database, row: StateRow, upstream: UpstreamExecution, now: datetime) -> list[Row]:
    try:
        rule = rule_of(row)
    except HeadraceError:
        return []
    assert rule.follows is not None
    windows = windows_of(row)
    followed = rule.follows.follow(upstream, windows, now)
    for warning in followed.warnings:
        log.warning("Flow trigger %s of %s.%s: %s", row.trigger_id, row.namespace, row.flow_id, warning)
    at = micros(now)
    changes: dict[str, Any] = {"evaluated_at_us": at}
    if followed.windows:
        changes["memory"] = _memory(windows, followed, rule)
    made: list[Row] = []
    firing = followed.firing
    execution_id: str | None = None
    due: str | None = None
    if firing is not None:
        due = key_of(rule, firing)
        if database.select("trigger_firing", ("due_key",), FIRING_KEYS, [(*row.key, due)])():
            return []  # this change of this execution was dealt with before
        cause = {"kind": "flow", "executionId": upstream.id, "state": upstream.state}
        wanted_execution = wanted_of(firing, {**cause, "namespace": upstream.namespace, "flowId": upstream.flow_id})
        item = execution_item(rule.facts, rule.trigger, flow_for(row, rule), wanted_execution, at)
        assert item.new is not None
        execution_id = item.key[1]
        made = _store(database, item.new, at)
        database.insert("trigger_firing", FIRING_ALL, [(*row.key, due, execution_id, at)])
        changes |= {"last_triggered_at_us": at}
    elif not followed.windows:
        return []
    settle(database, [Settlement(row.key, None, changes=changes)], at)
    return made


def _store(database: Database, execution: Execution, at: int) -> list[Row]:
    """The execution's row and the message that has the engine begin it; for one created FAILED, the notice of its state."""
    database.insert("execution", store.EXECUTION_ALL, [store.execution_row(execution)])
    if not execution.state.terminated:
        message: Row = (execution.tenant, new_id(), execution.id, outbox.BEGIN, dump({"pinned": False}), at, 0)
    elif outbox.is_consumed(database, outbox.STATES, execution.tenant):
        states = [state for state, _ in execution.history]
        data: dict[str, Any] = {"executionId": execution.id, "namespace": execution.namespace, "flowId": execution.flow_id}
        data |= {"revision": execution.revision, "kind": execution.kind, "states": states}
        message = (execution.tenant, new_id(), None, outbox.STATES, dump(data), at, 0)
    else:
        return []
    database.insert("outbox", store.OUTBOX_ALL, [message])
    return [message]


def _tell(made: Sequence[Row]) -> None:
    """After the commit: the engine begins at once what was stored. Without an engine here the sweeper of another one does."""
    try:
        engine = installed()
    except EngineUnavailable:
        return
    for row in made:
        if row[2] is None:
            engine.courier.bring([outbox.notice(row)])
        else:
            engine.submit(outbox.delivery(row))


def _may_concern(rule: Rule, states: Sequence[str]) -> bool:
    """Whether one of the states can matter to the trigger. Cheap: most changes matter to nobody."""
    assert rule.follows is not None
    looked_at = rule.follows.states
    if looked_at is None:
        looked_at = frozenset(state for entry in rule.follows.shape.depends_on or () for state in entry.states)
    return not looked_at.isdisjoint(states)


def _reads_attempts(rule: Rule) -> bool:
    """Whether the trigger's text asks for attempts of task runs, which cost a look of their own."""
    return b"hasretryattempt" in orjson.dumps(dict(rule.trigger.properties), default=str).lower()


def _upstream(database: Database, notice: Notice, *, attempts: bool) -> tuple[UpstreamExecution | None, list[tuple[str, int]]]:
    """The execution as Flow triggers see it, and its history; None when it was deleted meanwhile."""
    columns = ("state", "history", "flow_revision", "labels", "inputs", "outputs", "variables", "started_at_us")
    key = [(notice.tenant, notice.data["executionId"])]
    rows = database.select("execution", columns, store.EXECUTION_KEYS, key)()
    if not rows:
        return None, []
    state, history, revision, labels, inputs, outputs, variables, started = rows[0]
    tried: list[list[str]] = []
    if attempts:
        by_execution = (("tenant_id", "text"), ("execution_id", "text"))
        for (text,) in database.select("task_run", ("attempts",), by_execution, key)():
            tried.append([str(attempt["state"]) for attempt in orjson.loads(text or "[]")])
    found = UpstreamExecution(
        id=notice.data["executionId"],
        namespace=notice.data["namespace"],
        flow_id=notice.data["flowId"],
        state=state,
        revision=revision,
        tenant=notice.tenant,
        labels=orjson.loads(labels) if isinstance(labels, str) else labels or [],
        inputs=orjson.loads(inputs) if inputs else {},
        outputs=orjson.loads(outputs) if outputs else None,
        variables=orjson.loads(variables) if variables else {},
        attempts=tried,
        started_at=None if started is None else moment(started),
        kind=notice.data.get("kind") or "NORMAL",
    )
    return found, [(taken, at) for taken, at in orjson.loads(history)]


# -- windows ----------------------------------------------------------------------------------------------------------------


def windows_of(row: StateRow) -> dict[str, WindowState]:
    """The stored windows of a trigger, by key."""
    stored = (row.memory or {}).get("windows") or {}
    return {key: WindowState.from_json(data) for key, data in stored.items()}


def _memory(windows: Mapping[str, WindowState], followed: Followed, rule: Rule) -> str | None:
    """The column of the windows after a change; with what is waited for, so that explanations need not ask the rule."""
    merged: dict[str, WindowState] = dict(windows)
    for key, window in followed.windows.items():
        if window is None:
            merged.pop(key, None)
        else:
            merged[key] = window
    if not merged:
        return None
    assert rule.follows is not None
    detail = rule.follows.waiting(merged).detail
    stored = {key: window.to_json() for key, window in merged.items()}
    return dump({"windows": stored, "waiting": detail.get("for"), "until": detail.get("until")})


# -- deadlines --------------------------------------------------------------------------------------------------------------


def first_deadline(rule: Rule, now: int) -> int | None:
    """When the first window of a trigger with `onMiss` ends."""
    return _deadline(rule, moment(now))


def _deadline(rule: Rule, after: datetime) -> int | None:
    assert rule.follows is not None
    found = rule.follows.next_deadline(after)
    return None if found is None else micros(found)


def report_misses(database: Database, engine: Callable[[], Engine], now: int) -> int:
    """Windows that ended unsatisfied become FAILED executions, for triggers that say `onMiss`. Returns how many."""
    found = database.execute(
        f"SELECT {', '.join(COLUMNS)} FROM trigger_state WHERE live AND NOT disabled AND next_at_us <= ?"  # noqa: S608 - constants
        " AND kind = 'flow' ORDER BY next_at_us LIMIT ?",
        (now, MISSES_MAX),
    )
    missed = 0
    settlements: list[Settlement] = []
    for values in found:
        row = state_row(values)
        try:
            rule = rule_of(row)
        except HeadraceError:
            continue
        assert rule.follows is not None
        assert row.next_at_us is not None
        deadline = moment(row.next_at_us)
        began = row.began_at_us if row.began_at_us is not None else row.created_at_us
        firing = rule.follows.missed(windows_of(row), deadline, moment(began))
        moved = {"next_at_us": _deadline(rule, deadline)}
        if firing is None:
            settlements.append(Settlement(row.key, row.version, changes=moved))
            continue
        missed += 1
        item = execution_item(rule.facts, rule.trigger, None, wanted_of(firing, {"kind": "flow", "missed": True}), now)
        moved["last_triggered_at_us"] = now
        item.claim = Settlement(row.key, row.version, key_of(rule, firing), item.key[1], moved).claim()
        engine().submit(item)
    if settlements:
        with database.transaction():
            settle(database, settlements, now)
    return missed
