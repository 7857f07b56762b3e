"""Polling and realtime triggers: lent to workers like attempts, and what their findings lead to (triggers-and-conditions §4).

An evaluation belongs to one worker until its lease runs out: `evaluation_id` is the lease. A finding counts only while the row
still carries it, so a worker that was given up, or whose flow changed meanwhile, starts nothing. A polling trigger's row carries
the next look in the transaction that creates the execution; an event of a realtime trigger is known by the id its source gave it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import F, Q

from controlplane.engine.items import Item
from controlplane.fleet.enrolment import Identity
from controlplane.platform.clock import now_us
from controlplane.triggers.dates import moment
from controlplane.triggers.firing import Wanted, all_labels, due_key, execution_item, flow_for
from controlplane.triggers.models import Firing, TriggerState
from controlplane.triggers.queries import rows_of
from controlplane.triggers.rows import StateRow, dump
from controlplane.triggers.rules import Rule, rule_of
from controlplane.triggers.settling import Settlement
from controlplane.vault.functions import plane_functions
from flows.errors import HeadraceError
from flows.expressions import Scope, render_value
from flows.schedule.facts import iso
from flows.spec.durations import parse_duration
from wire import gateway
from wire.ids import new_id
from wire.plugins import discover

log = logging.getLogger(__name__)

LEASE_US = 30_000_000
RENEW_SECONDS = 10
"""A worker says every ten seconds what it holds; half a minute of silence gives its evaluations to others."""

INTERVAL_US = 60_000_000
INTERVAL_US_MIN = 1_000_000
"""Between two looks of a polling trigger: by default, and at least."""

LISTEN_AGAIN_US = 10_000_000
"""How long after a subscription broke off it is begun again."""

TEXT_MAX = 10_000
"""Characters of an error message that are kept."""

NO_EVALUATION: Mapping[str, Any] = {
    "worker_id": None,
    "evaluation_id": None,
    "evaluation_since_us": None,
    "evaluation_until_us": None,
}


@dataclass(frozen=True, slots=True)
class Lent:
    """What is handed to a worker, and items for the engine that came up on the way (conditions that raised)."""

    evaluations: list[gateway.Evaluate]
    items: list[Item]


def lend(identity: Identity, types: Collection[str], limit: int) -> Lent:
    """Lends due evaluations of the worker's group to this worker, oldest first. One transaction."""
    now = now_us()
    lent = Lent([], [])
    with transaction.atomic():
        skip = connection.features.has_select_for_update_skip_locked
        due = TriggerState.objects.select_for_update(skip_locked=skip).filter(
            Q(evaluation_id__isnull=True) | Q(evaluation_until_us__lt=now),
            tenant_id=identity.tenant,
            worker_group=identity.worker_group,
            kind__in=("polling", "realtime"),
            type__in=list(types),
            live=True,
            disabled=False,
            next_at_us__lte=now,
            execution_id__isnull=True,
        )
        for row in rows_of(due.order_by("next_at_us")[:limit]):
            _lend(row, identity, now, lent)
    return lent


def _lend(row: StateRow, identity: Identity, now: int, lent: Lent) -> None:
    try:
        rule = rule_of(row)
        variables = {"date": iso(moment(row.next_at_us or now))}
        holds = rule.holds(variables)
    except HeadraceError as error:
        # Visible to its people as a FAILED execution, and looked at again after the interval (trap 7).
        changes = {"evaluated_at_us": now, "next_at_us": now + _interval_of(row), "reason": _reason(error.code, str(error), now)}
        lent.items.append(_failed_item(row, rule_of(row), f"condition@{row.next_at_us}", error.code, str(error), changes, now))
        return
    if not holds:
        reason = _reason("condition.false", "its conditions did not hold", now)
        _write(row, {"evaluated_at_us": now, "next_at_us": now + _interval_us(rule), "reason": reason})
        return
    evaluation_id = new_id()
    _write(
        row,
        {
            "worker_id": identity.worker_id,
            "evaluation_id": evaluation_id,
            "evaluation_since_us": now,
            "evaluation_until_us": now + LEASE_US,
            "evaluated_at_us": now,
        },
    )
    lent.evaluations.append(
        gateway.Evaluate(
            evaluation_id=evaluation_id,
            trigger_id=row.trigger_id,
            trigger_type=row.type,
            trigger_json=orjson.dumps(dict(rule.trigger.properties), default=str, option=orjson.OPT_NON_STR_KEYS),
            context_json=orjson.dumps({**rule.facts.roots(), "trigger": variables}, default=str),
            namespace=row.namespace,
            flow_id=row.flow_id,
            flow_revision=row.flow_revision,
            listens=row.kind == "realtime",
        )
    )


def _write(row: StateRow, columns: Mapping[str, Any]) -> None:
    TriggerState.objects.filter(
        tenant_id=row.tenant_id, namespace=row.namespace, flow_id=row.flow_id, trigger_id=row.trigger_id
    ).update(**columns, version=F("version") + 1, updated_at_us=now_us())


def held_by(identity: Identity, evaluation_ids: Collection[str], *, renew: bool) -> set[str]:
    """Which of these evaluations are still the worker's; with `renew` their leases are extended."""
    if not evaluation_ids:
        return set()
    mine = TriggerState.objects.filter(
        tenant_id=identity.tenant, worker_id=identity.worker_id, evaluation_id__in=list(evaluation_ids), live=True, disabled=False
    )
    if renew:
        mine.update(evaluation_until_us=now_us() + LEASE_US)
    return {str(found) for found in mine.values_list("evaluation_id", flat=True)}


def give_up(identity: Identity, evaluation_ids: Collection[str]) -> None:
    """The worker ends: what it held is free for others at once."""
    TriggerState.objects.filter(
        tenant_id=identity.tenant, worker_id=identity.worker_id, evaluation_id__in=list(evaluation_ids)
    ).update(**NO_EVALUATION, version=F("version") + 1, updated_at_us=now_us())


# -- findings -------------------------------------------------------------------------------------------------------------


def finding(identity: Identity, said: gateway.Evaluated) -> Item | Settlement | None:
    """What a finding leads to: an execution, a change of the row, or nothing because the evaluation is not the worker's.

    The execution of a polling trigger has the evaluation's id: the worker has stored its files there already.
    """
    rows = rows_of(
        TriggerState.objects.filter(
            tenant_id=identity.tenant, worker_id=identity.worker_id, evaluation_id=said.evaluation_id, live=True
        )
    )
    if not rows:
        return None
    row = rows[0]
    now = now_us()
    try:
        rule = rule_of(row)
    except HeadraceError:
        return None
    if row.kind == "realtime":
        return _event(row, rule, said, now)
    moved: dict[str, Any] = {**NO_EVALUATION, "evaluated_at_us": now, "next_at_us": now + _interval_us(rule)}
    if said.finding == gateway.Evaluated.FIRES:
        return _polled(row, rule, said, moved, now)
    if said.finding == gateway.Evaluated.FAILED:
        message = said.error_message[:TEXT_MAX]
        moved["reason"] = _reason(said.error_code or "trigger.failed", message, now)
        if rule.trigger.fail_on_trigger_error:
            key = f"evaluation:{said.evaluation_id}"
            return _failed_item(row, rule, key, said.error_code or "trigger.failed", message, moved, now, said.evaluation_id)
        log.warning("trigger %s of %s.%s: %s", row.trigger_id, row.namespace, row.flow_id, message)
        return Settlement(row.key, None, changes=moved, evaluation_id=said.evaluation_id)
    moved["reason"] = _reason("polling.nothing", "the last look found nothing to start", now)
    return Settlement(row.key, None, changes=moved, evaluation_id=said.evaluation_id)


def _polled(row: StateRow, rule: Rule, said: gateway.Evaluated, moved: dict[str, Any], now: int) -> Item:
    item = _item(row, rule, said, said.evaluation_id, now)
    moved |= {"last_triggered_at_us": now, "reason": None}
    if not rule.trigger.allow_concurrent and item.new is not None and not item.new.state.terminated:
        moved |= {"execution_id": item.key[1], "locked_at_us": now}
    key = due_key(f"evaluation:{said.evaluation_id}")
    item.claim = Settlement(row.key, None, key, item.key[1], moved, said.evaluation_id).claim()
    return item


def _event(row: StateRow, rule: Rule, said: gateway.Evaluated, now: int) -> Item | Settlement:
    """A realtime trigger's word: an event, or the end of its subscription, which is begun anew."""
    if said.finding == gateway.Evaluated.FIRES:
        item = _item(row, rule, said, new_id(), now)
        changes = {"last_triggered_at_us": now, "reason": None}
        item.claim = Settlement(
            row.key, None, due_key(f"event:{said.report_id}"), item.key[1], changes, said.evaluation_id
        ).claim()
        return item
    moved: dict[str, Any] = {**NO_EVALUATION, "next_at_us": now + LISTEN_AGAIN_US}
    if said.finding == gateway.Evaluated.FAILED:
        message = said.error_message[:TEXT_MAX] or "the subscription broke off"
        code = said.error_code or "trigger.failed"
        moved["reason"] = _reason(code, message, now)
        return _failed_item(row, rule, f"evaluation:{said.evaluation_id}", code, message, moved, now, said.evaluation_id)
    return Settlement(row.key, None, changes=moved, evaluation_id=said.evaluation_id)


def _item(row: StateRow, rule: Rule, said: gateway.Evaluated, execution_id: str, now: int) -> Item:
    variables = _variables(said)
    failure: dict[str, str] | None = None
    inputs: dict[str, Any] = {}
    try:
        scope = Scope({**rule.facts.roots(), "trigger": variables}, plane_functions(row.tenant_id, row.namespace))
        inputs = render_value(dict(rule.trigger.inputs), scope)
    except HeadraceError as error:
        failure = {"code": error.code, "message": str(error)}
    cause = {"kind": "trigger", "workerId": row.worker_id, "evaluationId": said.evaluation_id}
    if row.kind == "realtime":
        cause["eventId"] = said.report_id
    labels = all_labels(rule.facts, rule.trigger, None, execution_id)
    wanted = Wanted(execution_id, variables, labels, inputs, failure, cause)
    return execution_item(rule.facts, rule.trigger, flow_for(row, rule), wanted, now)


def _variables(said: gateway.Evaluated) -> dict[str, Any]:
    try:
        found = orjson.loads(said.variables_json) if said.variables_json else {}
    except orjson.JSONDecodeError:
        found = {}
    return found if isinstance(found, dict) else {"value": found}


def _failed_item(
    row: StateRow,
    rule: Rule,
    key: str,
    code: str,
    message: str,
    changes: Mapping[str, Any],
    now: int,
    evaluation_id: str | None = None,
) -> Item:
    execution_id = new_id()
    labels = all_labels(rule.facts, rule.trigger, None, execution_id)
    failure = {"code": code, "message": message}
    wanted = Wanted(execution_id, {}, labels, failure=failure, cause={"kind": "trigger"})
    item = execution_item(rule.facts, rule.trigger, None, wanted, now)
    version = None if evaluation_id is not None else row.version
    item.claim = Settlement(row.key, version, due_key(key), execution_id, changes, evaluation_id).claim()
    return item


def _reason(code: str, message: str, now: int) -> str | None:
    return dump({"code": code, "message": message, "at": now})


def _interval_of(row: StateRow) -> int:
    try:
        return _interval_us(rule_of(row))
    except HeadraceError:
        return INTERVAL_US


def _interval_us(rule: Rule) -> int:
    """The `interval` as written, else the type's own, else a minute."""
    text = rule.trigger.properties.get("interval")
    if text is None:
        kind = discover().triggers.get(rule.trigger.type)
        field = None if kind is None else kind.model_fields.get("interval")
        text = None if field is None else field.default
    try:
        length = parse_duration(str(text)) if isinstance(text, str) else text
        found = INTERVAL_US if length is None else int(length.total_seconds() * 1_000_000)
    except (ValueError, AttributeError):
        found = INTERVAL_US
    return max(INTERVAL_US_MIN, found)


def stored_before(identity: Identity, said: gateway.Evaluated) -> bool:
    """Whether a report that is repeated was stored: its answer got lost."""
    keys = [due_key(f"event:{said.report_id}"), due_key(f"evaluation:{said.evaluation_id}")]
    mine = Firing.objects.filter(
        tenant_id=identity.tenant, namespace=said.namespace, flow_id=said.flow_id, trigger_id=said.trigger_id
    )
    return mine.filter(due_key__in=keys).exists()
