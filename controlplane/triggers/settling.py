"""The one way a trigger's state moves when something was due: its row and the memory of the firing, in one transaction.

`settle` is called by the engine for the batch that creates the executions (as a `Claim`), and by the scheduler for what starts
nothing. Whoever decided on an outdated row, or on an instant that was dealt with already, is refused and nothing is written: any
number of schedulers may decide the same thing at the same time, and one of them is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controlplane.engine.items import Claim
from controlplane.platform.database import Columns, Database, Row

StateKey = tuple[str, str, str, str]
"""(tenant, namespace, flow id, trigger id)."""

STATE_KEYS: Columns = (("tenant_id", "text"), ("namespace", "text"), ("flow_id", "text"), ("trigger_id", "text"))
STATE_CHANGING: Mapping[str, str] = {
    "disabled": "bool",
    "disabled_by": "text",
    "evaluated_at_us": "bigint",
    "next_at_us": "bigint",
    "last_triggered_at_us": "bigint",
    "execution_id": "text",
    "locked_at_us": "bigint",
    "worker_id": "text",
    "evaluation_id": "text",
    "evaluation_since_us": "bigint",
    "evaluation_until_us": "bigint",
    "backfill": "text",
    "memory": "text",
    "reason": "text",
}
"""Columns that a look at the trigger may change, with their kinds."""

FIRING_KEYS: Columns = (*STATE_KEYS, ("due_key", "text"))
FIRING_ALL: Columns = (*FIRING_KEYS, ("execution_id", "text"), ("created_at_us", "bigint"))


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one look at a trigger came to.

    `version`: of the row it was decided on; None = whatever the row says by now (events that are independent of each other).
    `due_key`: what is remembered for ever; None = nothing is. `execution_id`: what it starts, if anything. `changes`: columns of
    STATE_CHANGING. `evaluation_id`: the evaluation that must still be the row's.
    """

    key: StateKey
    version: int | None
    due_key: str | None = None
    execution_id: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    evaluation_id: str | None = None

    def claim(self) -> Claim:
        """As the condition of an engine's item."""
        return Claim(settle, self)


def settle(database: Database, settlements: Sequence[Settlement], now: int) -> list[bool]:
    """Writes those that hold and says which did. To be called inside a transaction.

    On PostgreSQL a row that someone else is settling in this moment is not waited for when the decision hangs on its version: he
    will have moved it.
    """
    rows, seen = _locked(database, settlements)
    fired = {tuple(row) for row in seen}
    granted: list[bool] = []
    changed: dict[tuple[str, ...], dict[StateKey, Row]] = {}
    versions: dict[StateKey, tuple[int, str | None]] = {(row[0], row[1], row[2], row[3]): (row[4], row[5]) for row in rows}
    firings: list[Row] = []
    for one in settlements:
        present = versions.get(one.key)
        stale = present is None or (one.version is not None and one.version != present[0])
        stale = stale or (one.evaluation_id is not None and present is not None and one.evaluation_id != present[1])
        again = one.due_key is not None and (*one.key, one.due_key) in fired
        granted.append(not stale and not again)
        if present is None or stale:
            continue
        if one.due_key is not None and not again:
            fired.add((*one.key, one.due_key))
            firings.append((*one.key, one.due_key, one.execution_id, now))
        changes = dict(one.changes)
        if again:
            # Dealt with already (a restored row, say): the trigger moves on, and nothing of this execution is kept.
            changes = {name: value for name, value in changes.items() if name not in ("execution_id", "locked_at_us")}
        version = present[0] + 1
        versions[one.key] = (version, changes.get("evaluation_id", present[1]))
        names = tuple(sorted(changes))
        changed.setdefault(names, {})[one.key] = (*one.key, *(changes[name] for name in names), version, now)
    database.insert("trigger_firing", FIRING_ALL, firings)
    for names, values in changed.items():
        columns = (*((name, STATE_CHANGING[name]) for name in names), ("version", "bigint"), ("updated_at_us", "bigint"))
        database.update("trigger_state", STATE_KEYS, columns, list(values.values()))
    return granted


def _locked(database: Database, settlements: Sequence[Settlement]) -> tuple[list[Row], list[Row]]:
    """The rows of the triggers, locked, and which of the due keys are in the table. One round trip for both."""
    columns = ("tenant_id", "namespace", "flow_id", "trigger_id", "version", "evaluation_id")
    waited = sorted({one.key for one in settlements if one.version is None})
    skipped = sorted({one.key for one in settlements if one.version is not None} - set(waited))
    asked = [
        database.select("trigger_state", columns, STATE_KEYS, waited, lock=True),
        database.select("trigger_state", columns, STATE_KEYS, skipped, lock=True, skip=True),
    ]
    keys = sorted({(*one.key, one.due_key) for one in settlements if one.due_key is not None})
    seen = database.select("trigger_firing", [name for name, _ in FIRING_KEYS], FIRING_KEYS, keys)
    return [row for later in asked for row in later()], list(seen())
