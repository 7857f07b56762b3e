"""A trigger's row as a value: what the scheduler, the workers' door, REST and the explanations read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson

from controlplane.triggers.settling import StateKey


@dataclass(frozen=True, slots=True)
class StateRow:
    """The columns of `TriggerState`, with what is JSON there unpacked."""

    tenant_id: str
    namespace: str
    flow_id: str
    trigger_id: str
    kind: str
    type: str
    flow_revision: int
    digest: str
    live: bool
    declared_disabled: bool
    disabled: bool
    disabled_by: Mapping[str, Any] | None
    worker_group: str
    evaluated_at_us: int | None
    next_at_us: int | None
    last_triggered_at_us: int | None
    execution_id: str | None
    locked_at_us: int | None
    worker_id: str | None
    evaluation_id: str | None
    evaluation_since_us: int | None
    evaluation_until_us: int | None
    backfill: Mapping[str, Any] | None
    stop_after: tuple[str, ...]
    memory: Mapping[str, Any] | None
    reason: Mapping[str, Any] | None
    version: int
    began_at_us: int | None
    created_at_us: int
    updated_at_us: int

    @property
    def key(self) -> StateKey:
        """Names the trigger."""
        return (self.tenant_id, self.namespace, self.flow_id, self.trigger_id)


COLUMNS = tuple(column.name for column in fields(StateRow))
_JSON = frozenset(("disabled_by", "backfill", "stop_after", "memory", "reason"))
_FLAGS = frozenset(("live", "declared_disabled", "disabled"))


def state_row(values: Sequence[Any]) -> StateRow:
    """From a row with the columns COLUMNS, in that order; SQLite gives flags as numbers."""
    found: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    for name in _JSON:
        found[name] = None if found[name] is None else orjson.loads(found[name])
    for name in _FLAGS:
        found[name] = bool(found[name])
    found["stop_after"] = tuple(found["stop_after"] or ())
    return StateRow(**found)


def dump(value: Any) -> str | None:
    """JSON text for a column, None for None."""
    return None if value is None else orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
