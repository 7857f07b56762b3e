"""REST of triggers: their states, switches, locks and backfills, one by one and in bulk."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.access import Need, access_namespace
from controlplane.accounts.actor import Actor
from controlplane.accounts.views import TenantView, plain
from controlplane.catalog.queries import find_flow
from controlplane.openapi.components import WHEN
from controlplane.openapi.describe import PAGE, answer, body, data, query
from controlplane.platform.clock import parse_instant
from controlplane.platform.errors import BadRequest, Invalid
from controlplane.platform.filters import filters_from_json, free_text, parse_filters, prefix, query_items, to_q
from controlplane.platform.paging import ordering, paged, read_page, read_sort
from controlplane.platform.parsers import flag, json_body, json_object
from controlplane.platform.rendering import json_response, no_content
from controlplane.triggers import actions, queries
from controlplane.triggers.rows import COLUMNS, StateRow, state_row
from controlplane.triggers.settling import StateKey
from wire.ids import new_id

_TAGS = ["Triggers"]
_FLAT = ("q", "query", "namespace", "flowId", "triggerId", "workerId", "startDate", "endDate", "timeRange", "state", "labels")
_COLUMNS = {"NEXT_EXECUTION_DATE": "next_at_us", "LAST_TRIGGERED_DATE": "last_triggered_at_us"}
EXPORT_ROWS_MAX = 100_000
"""Rows of a CSV export."""


def _column(request: HttpRequest) -> str:
    """What `startDate`, `endDate` and `timeRange` are about. Raises BadRequest."""
    name = request.GET.get("dateFilter") or "NEXT_EXECUTION_DATE"
    if name not in _COLUMNS:
        raise BadRequest(f"dateFilter is one of {', '.join(_COLUMNS)}, not {name!r}")
    return _COLUMNS[name]


def _wanted(request: HttpRequest) -> Q:
    """All filters of a search, new and old spelling."""
    column = _column(request)
    found = to_q(parse_filters(query_items(request)), queries.fields_of(column))
    get = request.GET
    found &= free_text(get.get("q") or get.get("query") or "", ["trigger_id", "flow_id", "namespace", "type"])
    if get.get("namespace"):
        found &= prefix("namespace", get["namespace"])
    for name, field in (("flowId", "flow_id"), ("triggerId", "trigger_id"), ("workerId", "worker_id")):
        if get.get(name):
            found &= Q(**{field: get[name]})
    for name, lookup in (("startDate", "gte"), ("endDate", "lte")):
        if get.get(name):
            try:
                found &= Q(**{f"{column}__{lookup}": parse_instant(get[name])})
            except ValueError:
                raise BadRequest(f"{name} must be an ISO 8601 date, not {get[name]!r}") from None
    if get.get("timeRange"):
        found &= queries.since(get["timeRange"], column)
    return found


def _by_query(request: HttpRequest) -> Q:
    """Filters of a change. A flat parameter would widen it to everything, so it is refused."""
    for name in _FLAT:
        if request.GET.get(name):
            raise BadRequest(f"{name} is no filter here; write filters[{name}][EQUALS]=…", code="filter.flat")
    return to_q(parse_filters(query_items(request)), queries.fields_of(_column(request)))


def _rows(found: Any) -> list[StateRow]:
    return [state_row(values) for values in found]


def _key(tenant: str, wanted: Mapping[str, Any]) -> StateKey:
    """The key in a body. Raises Invalid."""
    names = ("namespace", "flowId", "triggerId")
    for name in names:
        if not isinstance(wanted.get(name), str) or not wanted[name]:
            raise Invalid(f"{name} is missing: a body names namespace, flowId and triggerId", code="trigger.key")
    return (tenant, wanted["namespace"], wanted["flowId"], wanted["triggerId"])


def _keys(tenant: str, wanted: Any) -> list[StateKey]:
    if not isinstance(wanted, list) or not all(isinstance(item, Mapping) for item in wanted):
        raise Invalid("the body must be a list of {namespace, flowId, triggerId}", code="trigger.keys")
    return [_key(tenant, item) for item in wanted]


def _state(row: StateRow) -> HttpResponse:
    return json_response(queries.state_json(row, queries.world_of([row]), explained=True))


def _bulk(total: int) -> HttpResponse:
    """What all bulk changes answer: they are over when this is said."""
    return json_response({"operationId": new_id(), "totalItems": total, "count": total})


def _by(actor: Actor) -> dict[str, Any]:
    return {"kind": "user", "user": actor.username}


class TriggerSearchView(TenantView):
    """Search."""

    @extend_schema(
        operation_id="searchTriggers",
        tags=_TAGS,
        parameters=[
            *PAGE,
            query("q"),
            query("namespace", about="Itself and below."),
            query("dateFilter", {"type": "string", "enum": list(_COLUMNS)}),
            query("startDate", WHEN),
            query("endDate", WHEN),
        ],
        responses=answer("TriggerPage"),
    )
    def get(self, request: Request, tenant: str) -> HttpResponse:
        """Triggers of all flows: as written, and their state with the reasons why they do not fire just now."""
        http = plain(request)
        found = queries.states_of(tenant).filter(_wanted(http))
        order = ordering(read_sort(http), queries.TRIGGER_SORT, ["namespace", "flow_id"], "trigger_id")
        rows, total = paged(found.order_by(*order).values_list(*COLUMNS), read_page(http))
        return json_response({"results": queries.nested_json(tenant, _rows(rows)), "total": total})


class FlowTriggersView(TenantView):
    """Triggers of one flow."""

    @extend_schema(
        operation_id="searchTriggersForFlow", tags=_TAGS, parameters=[*PAGE, query("q")], responses=answer("TriggerStatePage")
    )
    def get(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """Their states."""
        access_namespace(self.actor, tenant, namespace, Need.READ)
        find_flow(tenant, namespace, flow_id)
        http = plain(request)
        found = queries.states_of(tenant).filter(namespace=namespace, flow_id=flow_id)
        found = found.filter(free_text(http.GET.get("q") or "", ["trigger_id", "type"]))
        order = ordering(read_sort(http), queries.TRIGGER_SORT, [], "trigger_id")
        rows, total = paged(found.order_by(*order).values_list(*COLUMNS), read_page(http))
        return json_response({"results": queries.states_json(_rows(rows)), "total": total})


class TriggerView(TenantView):
    """One trigger."""

    @extend_schema(operation_id="getTrigger", tags=_TAGS, responses=answer("TriggerState"))
    def get(self, request: Request, tenant: str, namespace: str, flow_id: str, trigger_id: str) -> HttpResponse:
        """Its state, and in `explain` why it does not fire just now."""
        access_namespace(self.actor, tenant, namespace, Need.READ)
        return _state(queries.find_trigger((tenant, namespace, flow_id, trigger_id)))

    @extend_schema(operation_id="deleteTrigger", tags=_TAGS, responses={204: None})
    def delete(self, request: Request, tenant: str, namespace: str, flow_id: str, trigger_id: str) -> HttpResponse:
        """Forgets the state of a trigger; 409 while its flow declares it."""
        access_namespace(self.actor, tenant, namespace, Need.DELETE)
        actions.delete_state((tenant, namespace, flow_id, trigger_id))
        return no_content()


class TriggerActionView(TenantView):
    """Unlock, restart."""

    act: Callable[[StateKey], StateRow] | None = None
    operation = ""

    def post(self, request: Request, tenant: str, namespace: str, flow_id: str, trigger_id: str) -> HttpResponse:
        """Carries it out."""
        access_namespace(self.actor, tenant, namespace, Need.UPDATE)
        assert self.act is not None
        return _state(self.act((tenant, namespace, flow_id, trigger_id)))


class UnlockView(TriggerActionView):
    """Unlock."""

    act = staticmethod(actions.unlock)

    @extend_schema(operation_id="unlockTrigger", tags=_TAGS, request=None, responses=answer("TriggerState"))
    def post(self, request: Request, tenant: str, namespace: str, flow_id: str, trigger_id: str) -> HttpResponse:
        """Frees it from the execution or evaluation that holds it; 409 when nothing does."""
        return super().post(request, tenant, namespace, flow_id, trigger_id)


class RestartView(TriggerActionView):
    """Restart."""

    act = staticmethod(actions.restart)

    @extend_schema(operation_id="restartTrigger", tags=_TAGS, request=None, responses=answer("TriggerState"))
    def post(self, request: Request, tenant: str, namespace: str, flow_id: str, trigger_id: str) -> HttpResponse:
        """Ends a running evaluation and begins a new one."""
        return super().post(request, tenant, namespace, flow_id, trigger_id)


class SetDisabledView(TenantView):
    """The switch."""

    @extend_schema(operation_id="disableTriggerById", tags=_TAGS, request=body("TriggerSwitch"), responses=answer("TriggerState"))
    def put(self, request: Request, tenant: str) -> HttpResponse:
        """Switches one trigger off or on."""
        wanted = json_object(plain(request))
        key = _key(tenant, wanted)
        access_namespace(self.actor, tenant, key[1], Need.UPDATE)
        row = actions.set_disabled(key, _flag(wanted), _by(self.actor), wanted.get("recoverMissedSchedules"))
        return _state(row)


def _flag(wanted: Mapping[str, Any]) -> bool:
    value = wanted.get("disabled", True)
    if not isinstance(value, bool):
        raise Invalid(f"disabled must be true or false, not {value!r}", code="trigger.disabled")
    return value


class LegacyTriggerView(TenantView):
    """The update of older clients: the switch and a backfill in one body."""

    @extend_schema(exclude=True)
    def put(self, request: Request, tenant: str) -> HttpResponse:
        """Answers the flat trigger."""
        wanted = json_object(plain(request))
        key = _key(tenant, wanted)
        access_namespace(self.actor, tenant, key[1], Need.UPDATE)
        row = queries.find_trigger(key)
        if isinstance(wanted.get("disabled"), bool):
            row = actions.set_disabled(key, wanted["disabled"], _by(self.actor))
        backfill = wanted.get("backfill")
        if isinstance(backfill, Mapping) and row.backfill is None:
            row = actions.create_backfill(key, backfill)
        elif isinstance(backfill, Mapping) and isinstance(backfill.get("paused"), bool):
            row = actions.pause_backfill(key, backfill["paused"])
        return _state(row)


# -- bulk -----------------------------------------------------------------------------------------------------------------


class BulkView(TenantView):
    """A change of many triggers; those that are unknown or in another state are passed over."""

    need = Need.UPDATE

    def apply(self, keys: Sequence[StateKey], act: Callable[[StateKey], Any]) -> HttpResponse:
        """Carries it out where the caller may."""
        for namespace in {key[1] for key in keys}:
            access_namespace(self.actor, keys[0][0], namespace, self.need)
        return _bulk(actions.each(keys, act))


class SetDisabledByIdsView(BulkView):
    """The switch of several."""

    @extend_schema(
        operation_id="disabledTriggersByIds", tags=_TAGS, request=body("TriggerSwitches"), responses=answer("BulkAnswer")
    )
    def post(self, request: Request, tenant: str) -> HttpResponse:
        """By keys."""
        wanted = json_object(plain(request))
        disabled, recover, by = _flag(wanted), wanted.get("recoverMissedSchedules"), _by(self.actor)
        keys = _keys(tenant, wanted.get("triggers"))
        return self.apply(keys, lambda key: actions.set_disabled(key, disabled, by, recover))


class SetDisabledByQueryView(BulkView):
    """The switch of all that are found."""

    @extend_schema(
        operation_id="disabledTriggersByQuery",
        tags=_TAGS,
        parameters=[query("filters"), query("disabled", bool)],
        request=None,
        responses=answer("BulkAnswer"),
    )
    def post(self, request: Request, tenant: str) -> HttpResponse:
        """By filters; none means all of the tenant."""
        http = plain(request)
        disabled, by = flag(http, "disabled", default=True), _by(self.actor)
        keys = actions.chosen(tenant, _by_query(http) & Q(disabled=not disabled))
        return self.apply(keys, lambda key: actions.set_disabled(key, disabled, by))


def _ids_view(name: str, operation: str, act: Callable[[StateKey], Any], need: Need, about: str) -> type[BulkView]:
    """A bulk change of the triggers whose keys are the body."""

    def post(self: BulkView, request: Request, tenant: str) -> HttpResponse:
        return self.apply(_keys(tenant, json_body(plain(request))), act)

    post.__doc__ = about
    describe = extend_schema(operation_id=operation, tags=_TAGS, request=body("TriggerKeys"), responses=answer("BulkAnswer"))
    verb = "delete" if need is Need.DELETE else "post"
    return type(name, (BulkView,), {"need": need, verb: describe(post), "__doc__": about, "__module__": __name__})


def _query_view(
    name: str, operation: str, act: Callable[[StateKey], Any], need: Need, about: str, also: Q | None = None
) -> type[BulkView]:
    """A bulk change of the triggers that meet the filters: of the query string, or (to delete) of the body."""

    def post(self: BulkView, request: Request, tenant: str) -> HttpResponse:
        http = plain(request)
        wanted = _by_query(http)
        if need is Need.DELETE:
            wanted &= to_q(filters_from_json(json_object(http).get("filters") or []), queries.fields_of("next_at_us"))
        return self.apply(actions.chosen(tenant, wanted & (also or Q())), act)

    post.__doc__ = about
    describe = extend_schema(
        operation_id=operation, tags=_TAGS, parameters=[query("filters")], request=None, responses=answer("BulkAnswer")
    )
    verb = "delete" if need is Need.DELETE else "post"
    return type(name, (BulkView,), {"need": need, verb: describe(post), "__doc__": about, "__module__": __name__})


UnlockByIdsView = _ids_view(
    "UnlockByIdsView", "unlockTriggersByIds", actions.unlock, Need.UPDATE, "Unlocks those that are locked."
)
UnlockByQueryView = _query_view(
    "UnlockByQueryView",
    "unlockTriggersByQuery",
    actions.unlock,
    Need.UPDATE,
    "Unlocks those that are locked.",
    queries.locked_rows(),
)
DeleteByIdsView = _ids_view(
    "DeleteByIdsView", "deleteTriggersByIds", actions.delete_state, Need.DELETE, "Forgets states of triggers that are gone."
)
DeleteByQueryView = _query_view(
    "DeleteByQueryView",
    "deleteTriggersByQuery",
    actions.delete_state,
    Need.DELETE,
    "Forgets states of triggers that are gone.",
)


# -- backfills ------------------------------------------------------------------------------------------------------------


class CreateBackfillView(TenantView):
    """A new backfill."""

    @extend_schema(operation_id="createBackfill", tags=_TAGS, request=body("BackfillWanted"), responses=answer("TriggerState"))
    def put(self, request: Request, tenant: str) -> HttpResponse:
        """Runs a schedule over past dates, one execution at a time."""
        wanted = json_object(plain(request))
        key = _key(tenant, wanted)
        access_namespace(self.actor, tenant, key[1], Need.UPDATE)
        backfill = wanted.get("backfill")
        if not isinstance(backfill, Mapping):
            raise Invalid("backfill is missing: {start, end?, inputs?, labels?}", code="backfill.missing")
        return _state(actions.create_backfill(key, backfill))


def _pause(key: StateKey) -> StateRow:
    return actions.pause_backfill(key, paused=True)


def _unpause(key: StateKey) -> StateRow:
    return actions.pause_backfill(key, paused=False)


def _backfill_view(name: str, operation: str, act: Callable[[StateKey], StateRow], verb: str, about: str) -> type[TenantView]:
    """A change of one backfill, named in the body."""

    def handle(self: TenantView, request: Request, tenant: str) -> HttpResponse:
        key = _key(tenant, json_object(plain(request)))
        access_namespace(self.actor, tenant, key[1], Need.UPDATE)
        return _state(act(key))

    handle.__doc__ = about
    describe = extend_schema(operation_id=operation, tags=_TAGS, request=body("TriggerKey"), responses=answer("TriggerState"))
    return type(name, (TenantView,), {verb: describe(handle), "__doc__": about, "__module__": __name__})


PauseBackfillView = _backfill_view("PauseBackfillView", "pauseBackfill", _pause, "put", "Starts nothing more for now.")
UnpauseBackfillView = _backfill_view("UnpauseBackfillView", "unpauseBackfill", _unpause, "put", "Goes on.")
DeleteBackfillView = _backfill_view(
    "DeleteBackfillView", "deleteBackfill", actions.delete_backfill, "post", "Ends it; regular dates go on where they were left."
)
_WITH_BACKFILL = Q(backfill__isnull=False)
PauseByIdsView = _ids_view("PauseByIdsView", "pauseBackfillByIds", _pause, Need.UPDATE, "Pauses backfills.")
PauseByQueryView = _query_view(
    "PauseByQueryView", "pauseBackfillByQuery", _pause, Need.UPDATE, "Pauses backfills.", _WITH_BACKFILL
)
UnpauseByIdsView = _ids_view("UnpauseByIdsView", "unpauseBackfillByIds", _unpause, Need.UPDATE, "Continues backfills.")
UnpauseByQueryView = _query_view(
    "UnpauseByQueryView", "unpauseBackfillByQuery", _unpause, Need.UPDATE, "Continues backfills.", _WITH_BACKFILL
)
DeleteBackfillByIdsView = _ids_view(
    "DeleteBackfillByIdsView", "deleteBackfillByIds", actions.delete_backfill, Need.UPDATE, "Ends backfills."
)
DeleteBackfillByQueryView = _query_view(
    "DeleteBackfillByQueryView", "deleteBackfillByQuery", actions.delete_backfill, Need.UPDATE, "Ends backfills.", _WITH_BACKFILL
)


class TriggerExportView(TenantView):
    """CSV."""

    @extend_schema(operation_id="exportTriggers", tags=_TAGS, parameters=[query("filters")], responses=data("text/csv"))
    def get(self, request: Request, tenant: str) -> HttpResponse:
        """States as CSV, one line a trigger."""
        found = queries.states_of(tenant).filter(_wanted(plain(request))).order_by("namespace", "flow_id", "trigger_id")
        rows = queries.rows_of(found[:EXPORT_ROWS_MAX])
        world = queries.world_of(rows)
        text = io.StringIO()
        writer = csv.DictWriter(text, queries.CSV_COLUMNS, extrasaction="ignore", lineterminator="\r\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(queries.state_json(row, world))
        response = HttpResponse(text.getvalue(), content_type="text/csv")
        response["Content-Disposition"] = 'attachment; filename="triggers.csv"'
        return response
