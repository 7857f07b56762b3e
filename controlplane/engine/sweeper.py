"""The net under everything that is normally done at once: safe in any number of copies.

It finds attempts whose lease ran out (their worker is dead, frozen or cut off), timers that are due, messages whose process is
gone, places nobody was given, and hand-outs for a group of which nobody is connected. A candidate is only a hint: the step that
acts on it takes its proof under the execution's lock. A lease renewed in the last instant wins.
"""

from __future__ import annotations

import logging

from controlplane.engine import outbox
from controlplane.engine.concurrency import queued_flows
from controlplane.engine.items import Item, Token
from controlplane.engine.leasing import LEASE_SECONDS
from controlplane.engine.service import Engine, due_timers
from controlplane.platform.database import Database
from flows.machine.events import Lost, NoWorker

log = logging.getLogger(__name__)

EXPIRED_MAX = 500
"""Expired leases handled in one round."""

SEEN_SECONDS = 10
"""A connected worker is noted as seen this often; one not seen for `LEASE_SECONDS` counts as gone."""


def expired_leases(database: Database) -> list[Item]:
    """Items declaring attempts with expired leases lost."""
    rows = database.execute(
        "SELECT tenant_id, execution_id, task_run_id, attempt, lease_id, worker_id FROM hand_out"
        " WHERE lease_id IS NOT NULL AND lease_until_us < ? ORDER BY lease_until_us LIMIT ?",
        (database.now_us(), EXPIRED_MAX),
    )
    return [
        Item(
            key=(tenant, execution_id),
            event=Lost(run_id, attempt, worker_id, f"worker {worker_id} did not renew its lease in time"),
            token=Token(tenant, execution_id, run_id, attempt, lease_id),
            expired=True,
        )
        for tenant, execution_id, run_id, attempt, lease_id, worker_id in rows
    ]


def without_workers(database: Database) -> list[Item]:
    """Items for hand-outs that do not want to wait for a worker (`fallback`) while nobody of their group is connected."""
    rows = database.execute(
        "SELECT h.tenant_id, h.execution_id, h.task_run_id, h.attempt, h.fallback FROM hand_out h"
        " WHERE h.lease_id IS NULL AND h.fallback IS NOT NULL AND NOT EXISTS (SELECT 1 FROM worker w"
        " WHERE w.tenant_id = h.tenant_id AND w.worker_group = h.worker_group AND w.revoked_at_us IS NULL"
        " AND w.seen_at_us > ?) LIMIT ?",
        (database.now_us() - LEASE_SECONDS * 1_000_000, EXPIRED_MAX),
    )
    return [
        Item(key=(tenant, execution_id), event=NoWorker(run_id, attempt, fallback), unleased=(run_id, attempt))
        for tenant, execution_id, run_id, attempt, fallback in rows
    ]


def note_connected(database: Database, engine: Engine) -> None:
    """Says of the workers connected to this process that they are there."""
    now = database.now_us()
    workers = engine.dispatcher.connected()
    if not workers or now - engine.noted_at_us < SEEN_SECONDS * 1_000_000:
        return
    engine.noted_at_us = now
    keys = (("tenant_id", "text"), ("id", "text"))
    with database.transaction():
        database.update("worker", keys, (("seen_at_us", "bigint"),), [(*worker, now) for worker in sorted(workers)])


def run_once(database: Database, engine: Engine) -> dict[str, int]:
    """One round: what was found goes to the engine, which also looks for waiting hand-outs. Returns the counts.

    The look is the net under the wake-ups: what another process created for a worker of this one waits for at most a tick.
    """
    note_connected(database, engine)
    expired = expired_leases(database)
    timers = due_timers(database)
    messages, notices = outbox.stale(database)
    alone = without_workers(database)
    for item in (*expired, *timers, *messages, *alone):
        engine.submit(item)
    engine.courier.bring(notices)
    queued = queued_flows(database)
    for key in queued:
        engine.admit(key)
    if engine.dispatcher.look_again():
        engine.wake()
    if expired:
        log.warning("%d leases ran out", len(expired))
    return {
        "expired": len(expired),
        "timers": len(timers),
        "messages": len(messages) + len(notices),
        "alone": len(alone),
        "queued": len(queued),
    }
