"""What a Toggle task asks for: a trigger is switched on or off, in the transaction that takes the engine's notice."""

from __future__ import annotations

import logging

from controlplane.engine.outbox import Notice
from controlplane.platform.database import Database
from controlplane.triggers.actions import switched
from controlplane.triggers.rows import COLUMNS, state_row
from controlplane.triggers.settling import STATE_KEYS, Settlement, settle

log = logging.getLogger(__name__)

TOGGLE = "trigger.toggle"
"""Kind of the notice: {executionId, namespace, flowId, trigger, enabled}."""


def on_notice(database: Database, notice: Notice) -> None:
    """Consumes a Toggle task's wish. A trigger that does not exist is left alone, with a word in the log."""
    data = notice.data
    key = (notice.tenant, str(data["namespace"]), str(data["flowId"]), str(data["trigger"]))
    rows = database.select("trigger_state", COLUMNS, STATE_KEYS, [key], lock=True)()
    if not rows:
        log.warning("a Toggle task of execution %s names trigger %s, which does not exist", data.get("executionId"), key[1:])
        return
    by = {"kind": "toggle", "executionId": data.get("executionId")}
    changes = switched(state_row(rows[0]), disabled=not data["enabled"], by=by)
    if changes:
        settle(database, [Settlement(key, None, changes=changes)], database.now_us())
