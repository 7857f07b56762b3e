"""Changes of triggers by people and tasks: switch off and on, unlock, restart, backfills. Each is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from controlplane.platform.clock import now_us, parse_instant
from controlplane.platform.errors import Conflict, Invalid
from controlplane.triggers import dates
from controlplane.triggers.models import TriggerState
from controlplane.triggers.queries import TriggerMissing, find_trigger, locked, rows_of, states_of, world_of
from controlplane.triggers.rows import StateRow, dump
from controlplane.triggers.settling import StateKey
from flows.schedule.state import Backfill
from wire.ids import new_id

Changes = dict[str, Any]

RECOVER = ("ALL", "LAST", "NONE")

NO_EVALUATION: Mapping[str, Any] = {
    "worker_id": None,
    "evaluation_id": None,
    "evaluation_since_us": None,
    "evaluation_until_us": None,
}
"""Columns of a trigger that no worker has. A worker that still does is told at its next word."""


class NotLocked(Conflict):
    """Nothing holds the trigger."""

    code = "trigger.not_locked"


class NoSchedule(Conflict):
    """Only schedules have dates that can be filled in."""

    code = "trigger.no_schedule"


class BackfillExists(Conflict):
    """One backfill at a time."""

    code = "backfill.exists"


class NoBackfill(Conflict):
    """There is no backfill to act on."""

    code = "backfill.missing"


class StillDeclared(Conflict):
    """The state of a trigger goes with the trigger."""

    code = "trigger.declared"


def set_disabled(key: StateKey, disabled: bool, by: Mapping[str, Any], recover: str | None = None) -> StateRow:
    """Switches a trigger off or on at run time. `recover`: what becomes of dates missed meanwhile (the trigger's own choice when
    None). `by`: {"kind": "user" | "toggle" | "stopAfter", …}, shown in explanations. Raises TriggerMissing, Invalid.
    """
    wanted = _recover(recover)
    return _changed(key, lambda row: switched(row, disabled=disabled, by=by, recover=wanted))


def toggle(
    tenant: str, namespace: str, flow_id: str, trigger_id: str, enabled: bool, execution_id: str | None = None
) -> StateRow:
    """What the Toggle task does. Raises TriggerMissing."""
    by = {"kind": "toggle", "executionId": execution_id}
    return set_disabled((tenant, namespace, flow_id, trigger_id), not enabled, by)


def _recover(recover: str | None) -> str | None:
    if recover is not None and recover not in RECOVER:
        raise Invalid(f"recoverMissedSchedules is one of {', '.join(RECOVER)}, not {recover!r}", code="trigger.recover")
    return recover


def switched(row: StateRow, *, disabled: bool, by: Mapping[str, Any], recover: str | None = None) -> Changes:
    """Columns for a trigger that is switched; none when nothing changes."""
    if row.disabled == disabled:
        return {}
    now = now_us()
    if disabled:
        kept = {name: value for name, value in by.items() if value is not None}
        return {"disabled": True, "disabled_by": dump({**kept, "at": now}), "next_at_us": None, **NO_EVALUATION}
    return {"disabled": False, "disabled_by": None, "reason": None, **dates.resumed(row, now, recover)}


def unlock(key: StateKey) -> StateRow:
    """Frees a trigger from its execution and its evaluation; both go on. Raises TriggerMissing, NotLocked."""
    row = find_trigger(key)
    if not locked(row, world_of([row])):
        raise NotLocked(f"trigger {row.trigger_id} of {row.namespace}.{row.flow_id} is not locked")
    return _changed(key, lambda _: {"execution_id": None, "locked_at_us": None, **NO_EVALUATION})


def restart(key: StateKey) -> StateRow:
    """Ends a running evaluation (or subscription) and has it begun anew. Raises TriggerMissing."""
    return _changed(key, _restarted)


def _restarted(row: StateRow) -> Changes:
    changes: Changes = {**NO_EVALUATION, "reason": None}
    if row.kind in ("polling", "realtime") and not row.disabled:
        changes["next_at_us"] = now_us()
    elif row.kind == "schedule" and row.next_at_us is None and not row.disabled:
        changes["next_at_us"] = dates.first_at(row, now_us())
    return changes


def delete_state(key: StateKey) -> None:
    """Forgets a trigger that no flow declares any more. Raises TriggerMissing, StillDeclared."""
    row = find_trigger(key)
    raise StillDeclared(
        f"the state of trigger {row.trigger_id} cannot be deleted because the flow still declares it; "
        "remove the trigger from the flow, or restart it"
    )


# -- backfills ------------------------------------------------------------------------------------------------------------


def create_backfill(key: StateKey, wanted: Mapping[str, Any]) -> StateRow:
    """Fills in the dates between `start` and `end` (both inclusive; `end` now by default), one execution at a time.

    `wanted`: {start, end?, inputs?, labels?, paused?}, instants as ISO texts. Raises TriggerMissing, NoSchedule, BackfillExists,
    Invalid.
    """
    now = now_us()
    start = _instant(wanted, "start")
    if start is None:
        raise Invalid("backfill.start is missing: an ISO 8601 date with offset", code="backfill.start")
    end = _instant(wanted, "end") or now
    if start >= end:
        raise Invalid("backfill.start must be before backfill.end (now, when it is absent)", code="backfill.range")
    inputs, labels = wanted.get("inputs"), _labels(wanted.get("labels"))
    if inputs is not None and not isinstance(inputs, Mapping):
        raise Invalid("backfill.inputs must be an object", code="backfill.inputs")

    def begin(row: StateRow) -> Changes:
        if row.kind != "schedule":
            raise NoSchedule(f"trigger {row.trigger_id} is a {row.kind} trigger; only schedules can be backfilled")
        if row.backfill is not None:
            raise BackfillExists(f"trigger {row.trigger_id} has a backfill already; delete it, or wait for its end")
        backfill = Backfill(
            id=new_id(),
            start=dates.moment(start),
            end=dates.moment(end),
            paused=bool(wanted.get("paused", False)),
            inputs=inputs or {},
            labels=labels,
        )
        return dates.backfill_began(row, backfill, now)

    return _changed(key, begin)


def pause_backfill(key: StateKey, paused: bool) -> StateRow:
    """Stops or continues a backfill. Raises TriggerMissing, NoBackfill."""

    def change(row: StateRow) -> Changes:
        _require_backfill(row)
        return dates.backfill_paused(row, paused)

    return _changed(key, change)


def delete_backfill(key: StateKey) -> StateRow:
    """Ends a backfill; regular dates go on where they were left. Raises TriggerMissing, NoBackfill."""

    def change(row: StateRow) -> Changes:
        _require_backfill(row)
        return dates.backfill_deleted(row)

    return _changed(key, change)


def _require_backfill(row: StateRow) -> None:
    if row.backfill is None:
        raise NoBackfill(f"trigger {row.trigger_id} of {row.namespace}.{row.flow_id} has no backfill")


def _instant(wanted: Mapping[str, Any], name: str) -> int | None:
    text = wanted.get(name)
    if text in (None, ""):
        return None
    try:
        return parse_instant(str(text))
    except ValueError:
        raise Invalid(f"backfill.{name} must be an ISO 8601 date, not {text!r}", code=f"backfill.{name}") from None


def _labels(labels: Any) -> dict[str, str]:
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        found = {str(key): str(value) for key, value in labels.items()}
    elif isinstance(labels, list) and all(isinstance(label, Mapping) and "key" in label for label in labels):
        found = {str(label["key"]): str(label.get("value", "")) for label in labels}
    else:
        raise Invalid("backfill.labels must be a list of {key, value}, or an object", code="backfill.labels")
    system = next((key for key in found if key.startswith("system.")), None)
    if system is not None:
        raise Invalid(f"label {system!r} cannot be set: labels that begin with system. are the system's", code="label.system")
    return found


# -- several at once ------------------------------------------------------------------------------------------------------


def chosen(tenant: str, wanted: Q) -> list[StateKey]:
    """Keys of the triggers that meet a condition."""
    return [row.key for row in rows_of(states_of(tenant).filter(wanted))]


def each(keys: Iterable[StateKey], act: Callable[[StateKey], Any]) -> int:
    """Acts on each; unknown ones and those in another state are passed over. Returns how many were changed."""
    count = 0
    for key in keys:
        try:
            act(key)
        except (TriggerMissing, Conflict):
            continue
        count += 1
    return count


def _changed(key: StateKey, decide: Callable[[StateRow], Changes]) -> StateRow:
    """Locks the row, lets `decide` say what changes, writes it."""
    tenant, namespace, flow_id, trigger_id = key
    with transaction.atomic():
        held = TriggerState.objects.select_for_update().filter(
            tenant_id=tenant, namespace=namespace, flow_id=flow_id, trigger_id=trigger_id
        )
        rows = rows_of(held)
        if not rows:
            return find_trigger(key)  # raises
        changes = decide(rows[0])
        if changes:
            TriggerState.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id, trigger_id=trigger_id).update(
                **changes, version=F("version") + 1, updated_at_us=now_us()
            )
    return find_trigger(key)
