"""Finds attempts whose lease ran out: their worker is dead, frozen or cut off. Safe in any number of copies.

A candidate is only a hint: the step that declares it lost deletes the hand-out under the execution's lock, comparing token, lease
and database time in that one statement. A lease renewed in the last instant wins.
"""

from __future__ import annotations

import logging

from controlplane.engine.items import Item, Token
from controlplane.engine.service import Engine, due_timers
from controlplane.platform.database import Database
from flows.machine.events import Lost

log = logging.getLogger(__name__)

EXPIRED_MAX = 500
"""Expired leases handled in one round."""


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


def run_once(database: Database, engine: Engine) -> dict[str, int]:
    """One round: expired leases and due timers go to the engine, which also looks for waiting hand-outs. Returns the counts.

    The look is the net under the wake-ups: what another process created for a worker of this one waits for at most a tick.
    """
    expired = expired_leases(database)
    timers = due_timers(database)
    for item in (*expired, *timers):
        engine.submit(item)
    if engine.dispatcher.look_again():
        engine.wake()
    if expired:
        log.warning("%d leases ran out", len(expired))
    return {"expired": len(expired), "timers": len(timers)}
