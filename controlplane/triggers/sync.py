"""Trigger states follow the saves of their flows, in the transaction of the save (triggers-and-conditions §3).

A trigger that is new gets a state; one whose text changed begins anew, its backfill dropped and its running evaluation ended; one
that is gone loses its state; everything else stays as it is. What was switched off at run time stays off.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F

from controlplane.platform.clock import now_us
from controlplane.triggers import dates, flow_triggers
from controlplane.triggers.models import TriggerState
from controlplane.triggers.queries import rows_of
from controlplane.triggers.rows import StateRow, dump
from controlplane.triggers.rules import make_rule
from flows.spec.model import Flow, Trigger

DEFAULT_GROUP = "default"


def flow_saved(tenant: str, namespace: str, flow_id: str, revision: int, flow: Flow | None, *, draft: bool = False) -> None:
    """Brings the states in line with a new revision. `flow` None: a draft that cannot be read; its triggers rest."""
    mine = TriggerState.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id)
    present = {row.trigger_id: row for row in rows_of(mine.select_for_update())}
    if flow is None:
        mine.update(live=False, version=F("version") + 1, updated_at_us=now_us())
        flow_triggers.forget(tenant)
        return
    if not present and not flow.triggers:
        return
    runs = not (flow.disabled or draft)
    for trigger in flow.triggers:
        row = present.pop(trigger.id, None)
        written = _written(flow, trigger, revision, runs=runs)
        if row is None:
            _create(tenant, flow, revision, trigger, written)
        elif row.digest != trigger.digest:
            _begin_anew(tenant, flow, revision, row, written)
        else:
            _keep(row, written, tenant, flow, revision)
    if present:
        mine.filter(trigger_id__in=list(present)).delete()
    flow_triggers.forget(tenant)


def flow_deleted(tenant: str, namespace: str, flow_id: str) -> None:
    """Takes the states of a deleted flow away."""
    TriggerState.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id).delete()
    flow_triggers.forget(tenant)


def _written(flow: Flow, trigger: Trigger, revision: int, *, runs: bool) -> dict[str, Any]:
    """Columns that say what the text says."""
    return {
        "kind": trigger.kind,
        "type": trigger.type[:256],
        "flow_revision": revision,
        "digest": trigger.digest[:64],
        "live": runs and not trigger.disabled,
        "declared_disabled": trigger.disabled,
        "worker_group": trigger.worker_group or flow.worker_group or DEFAULT_GROUP,
        "stop_after": dump(list(trigger.stop_after)) if trigger.stop_after else None,
        "updated_at_us": now_us(),
    }


def _begun(tenant: str, flow: Flow, revision: int, trigger_id: str, kind: str, now: int) -> dict[str, Any]:
    """Columns of a trigger that is seen for the first time, or anew."""
    following: int | None = now if kind in ("polling", "realtime") else None
    if kind == "schedule":
        schedule = make_rule(flow, revision, tenant, trigger_id).schedule
        assert schedule is not None
        at = schedule.created(dates.moment(now)).next_at
        following = None if at is None else dates.micros(at)
    elif kind == "flow":
        following = flow_triggers.first_deadline(make_rule(flow, revision, tenant, trigger_id), now)
    return {
        "began_at_us": now,
        "evaluated_at_us": now,
        "next_at_us": following,
        "backfill": None,
        "memory": None,
        "reason": None,
        "worker_id": None,
        "evaluation_id": None,
        "evaluation_since_us": None,
        "evaluation_until_us": None,
    }


def _create(tenant: str, flow: Flow, revision: int, trigger: Trigger, written: dict[str, Any]) -> None:
    now = now_us()
    TriggerState(
        tenant_id=tenant,
        namespace=flow.namespace,
        flow_id=flow.id,
        trigger_id=trigger.id,
        created_at_us=now,
        **{**_begun(tenant, flow, revision, trigger.id, trigger.kind, now), **written},
    ).save(force_insert=True)


def _begin_anew(tenant: str, flow: Flow, revision: int, row: StateRow, written: dict[str, Any]) -> None:
    now = now_us()
    columns = {**_begun(tenant, flow, revision, row.trigger_id, written["kind"], now), **written}
    if row.disabled:
        columns["next_at_us"] = None
    _update(row, columns)


def _keep(row: StateRow, written: dict[str, Any], tenant: str, flow: Flow, revision: int) -> None:
    columns = dict(written)
    if not row.live and written["live"] and not row.disabled:
        # The flow was switched on again: its dates missed meanwhile are treated as those of a trigger switched on again.
        if row.kind == "schedule":
            columns.update(dates.resumed(row, now_us(), None, make_rule(flow, revision, tenant, row.trigger_id)))
        elif row.kind in ("polling", "realtime"):
            columns["next_at_us"] = now_us()
    if row.live and not written["live"]:
        columns.update(worker_id=None, evaluation_id=None, evaluation_since_us=None, evaluation_until_us=None)
    _update(row, columns)


def _update(row: StateRow, columns: dict[str, Any]) -> None:
    TriggerState.objects.filter(
        tenant_id=row.tenant_id, namespace=row.namespace, flow_id=row.flow_id, trigger_id=row.trigger_id
    ).update(**columns, version=F("version") + 1)
