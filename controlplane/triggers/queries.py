"""Reading triggers: rows for whoever acts on them, JSON for REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from django.db.models import Q, QuerySet

from controlplane.catalog.models import Flow
from controlplane.catalog.queries import label_list, scope_field
from controlplane.executions.models import Execution
from controlplane.fleet.models import Worker
from controlplane.platform.clock import iso, now_us, parse_instant, parse_span
from controlplane.platform.errors import BadRequest, Missing
from controlplane.platform.filters import (
    EQUALITY,
    MEMBERSHIP,
    NAMES,
    Condition,
    FilterField,
    instant_field,
    text_field,
    words_field,
)
from controlplane.platform.rendering import present
from controlplane.triggers.explain import World, explain_trigger
from controlplane.triggers.models import TriggerState
from controlplane.triggers.rows import COLUMNS, StateRow, state_row
from controlplane.triggers.settling import StateKey
from flows.machine.states import State

WORKER_SEEN_US = 60_000_000
"""A worker counts as connected when it said something within this time: it renews every ten seconds or so."""


class TriggerMissing(Missing):
    """No such trigger in the newest revision of the flow."""

    code = "trigger.missing"


def states_of(tenant: str) -> QuerySet[TriggerState]:
    """All triggers of a tenant."""
    return TriggerState.objects.filter(tenant_id=tenant)


def rows_of(found: QuerySet[TriggerState]) -> list[StateRow]:
    """Rows as values."""
    return [state_row(values) for values in found.values_list(*COLUMNS)]


def find_trigger(key: StateKey) -> StateRow:
    """The row of a trigger. Raises TriggerMissing."""
    tenant, namespace, flow_id, trigger_id = key
    rows = rows_of(states_of(tenant).filter(namespace=namespace, flow_id=flow_id, trigger_id=trigger_id))
    if not rows:
        raise TriggerMissing(f"Trigger '{trigger_id[:100]}' of flow '{namespace[:150]}.{flow_id[:100]}' not found")
    return rows[0]


def world_of(rows: Sequence[StateRow]) -> World:
    """What the explanations of these rows need beside them, in three queries."""
    if not rows:
        return World(now_us())
    tenant = rows[0].tenant_id
    locks = [row.execution_id for row in rows if row.execution_id is not None]
    executions = dict(Execution.objects.filter(tenant_id=tenant, id__in=locks).values_list("id", "state")) if locks else {}
    now = now_us()
    groups: set[str] = set()
    if any(row.kind in ("polling", "realtime") for row in rows):
        seen = Worker.objects.filter(tenant_id=tenant, revoked_at_us__isnull=True, seen_at_us__gt=now - WORKER_SEEN_US)
        groups = set(seen.values_list("worker_group", flat=True))
    flows: dict[tuple[str, str], str] = {}
    dead = {(row.namespace, row.flow_id) for row in rows if not row.live}
    if dead:
        wanted = Q()
        for namespace, flow_id in dead:
            wanted |= Q(namespace=namespace, id=flow_id)
        for namespace, flow_id, disabled, draft in Flow.objects.filter(wanted, tenant_id=tenant).values_list(
            "namespace", "id", "disabled", "draft"
        ):
            flows[(namespace, flow_id)] = "disabled" if disabled else "draft" if draft else "enabled"
    return World(now, executions, frozenset(groups), flows)


def locked(row: StateRow, world: World) -> bool:
    """Whether something holds the trigger: a worker that evaluates it, or an execution that is not over."""
    if row.evaluation_id is not None and row.kind == "polling":
        return True
    state = world.executions.get(row.execution_id or "")
    return state is not None and not State(state).terminated


def state_json(row: StateRow, world: World, *, explained: bool = False) -> dict[str, Any]:
    """The state as clients know it, in the names of both generations."""
    following = None if row.next_at_us is None else iso(row.next_at_us)
    body = present(
        tenantId=row.tenant_id,
        namespace=row.namespace,
        flowId=row.flow_id,
        triggerId=row.trigger_id,
        kind=row.kind.upper(),
        type=row.type,
        flowRevision=row.flow_revision,
        updatedAt=iso(row.updated_at_us),
        evaluatedAt=_iso(row.evaluated_at_us),
        date=_iso(row.evaluated_at_us),
        nextEvaluationDate=following,
        nextExecutionDate=following,
        lastTriggeredDate=_iso(row.last_triggered_at_us),
        executionId=row.execution_id,
        workerId=row.worker_id,
        evaluateRunningDate=_iso(row.evaluation_since_us),
        backfill=backfill_json(row.backfill),
        stopAfter=list(row.stop_after) or None,
    )
    body["disabled"] = row.disabled or row.declared_disabled
    body["locked"] = locked(row, world)
    if explained:
        body["explain"] = explain_trigger(row, world)
    return body


def backfill_json(backfill: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A backfill without what only we need."""
    if backfill is None:
        return None
    current = backfill.get("current")
    return present(
        start=iso(backfill["start"]),
        end=iso(backfill["end"]),
        currentDate=iso(backfill["start"] if current is None else current),
        paused=bool(backfill.get("paused")),
        inputs=backfill.get("inputs") or None,
        labels=label_list(backfill.get("labels")) or None,
        previousNextExecutionDate=_iso(backfill.get("previousNext")),
    )


def _iso(at_us: int | None) -> str | None:
    return None if at_us is None else iso(at_us)


def states_json(rows: Sequence[StateRow]) -> list[dict[str, Any]]:
    """Flat states, each with its explanation."""
    world = world_of(rows)
    return [state_json(row, world, explained=True) for row in rows]


def nested_json(tenant: str, rows: Sequence[StateRow]) -> list[dict[str, Any]]:
    """`{trigger, state}` as a search shows them; the state's keys stand beside them too, for older clients."""
    world = world_of(rows)
    declared = declarations(tenant, {(row.namespace, row.flow_id) for row in rows})
    found = []
    for row in rows:
        state = state_json(row, world, explained=True)
        trigger = declared.get((row.namespace, row.flow_id), {}).get(row.trigger_id)
        body = {"trigger": trigger or {"id": row.trigger_id, "type": row.type}, "state": state}
        found.append({**{name: value for name, value in state.items() if name != "explain"}, **body})
    return found


def declarations(tenant: str, flows: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Triggers as written, by flow and id."""
    wanted = Q(pk__in=[])
    for namespace, flow_id in flows:
        wanted |= Q(namespace=namespace, id=flow_id)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in Flow.objects.filter(wanted, tenant_id=tenant, deleted=False).values_list("namespace", "id", "definition"):
        triggers = orjson.loads(row[2]).get("triggers") or []
        found[(row[0], row[1])] = {
            str(trigger.get("id")): {name: value for name, value in trigger.items() if value is not None}
            for trigger in triggers
            if isinstance(trigger, dict)
        }
    return found


# -- filters --------------------------------------------------------------------------------------------------------------


def _disabled() -> Q:
    return Q(disabled=True) | Q(declared_disabled=True)


def _state_field() -> FilterField:
    def build(condition: Condition) -> Q:
        wanted = Q(pk__in=[])
        for value in condition.values:
            match value.upper():
                case "ENABLED":
                    wanted |= ~_disabled()
                case "DISABLED":
                    wanted |= _disabled()
                case _:
                    raise BadRequest(f"triggerState is ENABLED or DISABLED, not {value!r}", code="filter.value")
        return wanted

    return FilterField(MEMBERSHIP, build)


def _locked_field() -> FilterField:
    def build(condition: Condition) -> Q:
        value = condition.text.lower()
        if value not in ("true", "false"):
            raise BadRequest(f"locked is true or false, not {condition.text!r}", code="filter.value")
        return locked_rows() if value == "true" else ~locked_rows()

    return FilterField(EQUALITY, build)


def locked_rows() -> Q:
    """Rows that hold a lock. One that an ended execution left is taken away within a second."""
    return Q(execution_id__isnull=False) | Q(evaluation_id__isnull=False, kind="polling")


def since(text: str, column: str = "next_at_us") -> Q:
    """Within the last `text` (an ISO duration). Raises BadRequest."""
    try:
        return Q(**{f"{column}__gte": now_us() - parse_span(text)})
    except ValueError as error:
        raise BadRequest(f"timeRange: {error}", code="filter.value") from None


def fields_of(column: str) -> dict[str, FilterField]:
    """Filters of triggers; `column` is what `startDate`, `endDate` and `timeRange` are about (`dateFilter`)."""
    return {
        "q": words_field("trigger_id", "flow_id", "namespace", "type"),
        "namespace": text_field("namespace", NAMES),
        "flowid": text_field("flow_id", NAMES),
        "scope": scope_field("namespace"),
        "triggerid": text_field("trigger_id", NAMES),
        "triggerstate": _state_field(),
        "workerid": text_field("worker_id", NAMES),
        "startdate": instant_field(column, parse_instant),
        "enddate": instant_field(column, parse_instant),
        "timerange": FilterField(frozenset({"EQUALS"}), lambda condition: since(condition.text, column)),
        "lasttriggereddate": instant_field("last_triggered_at_us", parse_instant),
        "nextexecutiondate": instant_field("next_at_us", parse_instant),
        "locked": _locked_field(),
    }


TRIGGER_SORT = {
    "flowId": "flow_id",
    "namespace": "namespace",
    "triggerId": "trigger_id",
    "nextExecutionDate": "next_at_us",
    "nextEvaluationDate": "next_at_us",
    "lastTriggeredDate": "last_triggered_at_us",
}
CSV_COLUMNS = (
    "tenantId",
    "namespace",
    "flowId",
    "triggerId",
    "kind",
    "type",
    "disabled",
    "locked",
    "nextEvaluationDate",
    "evaluatedAt",
    "lastTriggeredDate",
    "executionId",
    "workerId",
    "updatedAt",
)
