"""REST of executions. Streams are in `streams`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.access import Need, access_namespace
from controlplane.accounts.views import TenantView, plain
from controlplane.catalog.queries import find_flow, find_revision, revision_json
from controlplane.executions import actions, queries
from controlplane.executions.access import access_execution
from controlplane.executions.deletion import Leftovers, delete_execution
from controlplane.executions.inputs import Given
from controlplane.openapi.components import WHEN, ref
from controlplane.openapi.describe import PAGE, UPLOAD, answer, query
from controlplane.platform.clock import parse_instant
from controlplane.platform.errors import BadRequest, Invalid
from controlplane.platform.filters import free_text, parse_filters, prefix, query_items, to_q
from controlplane.platform.labels import has_label, read_labels, split_label
from controlplane.platform.paging import ordering, paged, read_page, read_sort
from controlplane.platform.parsers import FORM_TYPES, content_type, flag, form_parts, json_object, listed, number
from controlplane.platform.rendering import dump, json_bytes, json_response, no_content
from controlplane.platform.wakeups import hub

_TAGS = ["Executions"]

WAIT_SECONDS = 300.0
"""Longest `wait=true`; then the present state is the answer."""


def public_url(request: HttpRequest, row: dict[str, Any]) -> str:
    """Address of the execution's page, always absolute. `row` is a row, or the body of a creation."""
    base = settings.HEADRACE_URL or f"{request.scheme}://{request.get_host()}"
    tenant, flow_id = row.get("tenant_id") or row["tenantId"], row.get("flow_id") or row["flowId"]
    return f"{base}/ui/{tenant}/executions/{row['namespace']}/{flow_id}/{row['id']}"


def read_given(request: HttpRequest) -> Given:
    """Inputs of a request: parts of a form, or properties of a JSON object."""
    kind = content_type(request)
    if kind in FORM_TYPES:
        return list(form_parts(request))
    return json_object(request) if kind == "application/json" else {}


def start(request: HttpRequest, actor: Any, tenant: str, namespace: str, flow_id: str) -> actions.Started:
    """Reads a creation and starts the execution; shared with the coroutine that waits for its end."""
    access_namespace(actor, tenant, namespace, Need.EXECUTE)
    given = read_given(request)
    revision = number(request, "revision")
    labels = request.GET.getlist("labels")
    return actions.create_execution(
        actor,
        tenant,
        namespace,
        flow_id,
        given=given,
        labels=read_labels(labels) if labels else (),
        revision=revision or None,
        schedule_at_us=_instant(request, "scheduleDate"),
        breakpoints=listed(request, "breakpoints"),
        kind=request.GET.get("kind") or None,
    )


def _instant(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name)
    if not text:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        raise Invalid(f"{name} must be an ISO 8601 date, not {text[:60]!r}", code="execution.schedule_date") from None


def created(request: HttpRequest, started: actions.Started) -> HttpResponse:
    """The answer at once."""
    return json_bytes(dump({**started.body, "url": public_url(request, started.body)}))


class CreateExecutionView(TenantView):
    """Starts executions."""

    @extend_schema(
        operation_id="createExecution",
        tags=_TAGS,
        parameters=[
            query("labels", many=True, about="`key:value`"),
            query("wait", bool, about="Answer when it is over."),
            query("revision", OpenApiTypes.INT),
            query("scheduleDate", WHEN, about="It stays CREATED until then."),
            query("breakpoints", about="Ids of tasks to stop before, comma-separated."),
            query("kind", about="NORMAL, TEST or PLAYGROUND."),
        ],
        request=UPLOAD | {"application/json": {"type": "object", "additionalProperties": True}},
        responses=answer("Execution"),
    )
    def post(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """Starts an execution; inputs are parts of a form, or properties of a JSON object."""
        http = plain(request)
        started = start(http, self.actor, tenant, namespace, flow_id)
        if not flag(http, "wait"):
            return created(http, started)
        # Reached only without the router (plain WSGI): this thread waits.
        with hub.subscribe(tenant, started.execution_id) as changes:
            remaining = WAIT_SECONDS
            while not queries.is_over(queries.find_execution(tenant, started.execution_id)) and remaining > 0:
                changes.wait(1.0)
                remaining -= 1.0
        row = queries.find_execution(tenant, started.execution_id)
        return json_bytes(queries.full_json(row, public_url(http, row)))


class ExecutionView(TenantView):
    """One execution."""

    @extend_schema(operation_id="getExecution", tags=_TAGS, responses=answer("Execution"))
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Everything: task runs, attempts, histories, outputs, and how far running ones are."""
        row = access_execution(self.actor, tenant, execution_id)
        return json_bytes(queries.full_json(row, public_url(plain(request), row)))

    @extend_schema(
        operation_id="deleteExecution",
        tags=_TAGS,
        parameters=[query("deleteLogs", bool), query("deleteMetrics", bool), query("deleteStorage", bool)],
        responses={204: None},
    )
    def delete(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Deletes an execution that is over."""
        access_execution(self.actor, tenant, execution_id, Need.DELETE)
        http = plain(request)
        leftovers = Leftovers(
            logs=flag(http, "deleteLogs", default=True),
            metrics=flag(http, "deleteMetrics", default=True),
            files=flag(http, "deleteStorage", default=True),
        )
        delete_execution(tenant, execution_id, leftovers)
        return no_content()


class ExecutionSearchView(TenantView):
    """Search."""

    @extend_schema(
        operation_id="searchExecutions",
        tags=_TAGS,
        parameters=[
            *PAGE,
            query("q"),
            query("namespace", about="Itself and below."),
            query("flowId"),
            query("state", {"type": "array", "items": ref("StateName")}),
            query("labels", many=True),
            query("startDate", WHEN),
            query("endDate", WHEN),
            query("timeRange", about="ISO duration: begun since."),
            query("scope"),
            query("childFilter"),
            query("triggerExecutionId"),
            query("dateFilter"),
        ],
        responses=answer("ExecutionPage"),
    )
    def get(self, request: Request, tenant: str) -> HttpResponse:
        """Executions without task runs, newest first."""
        return search(plain(request), tenant)


class ExecutionListView(TenantView):
    """The list of older clients."""

    @extend_schema(exclude=True)
    def get(self, request: Request, tenant: str) -> HttpResponse:
        """Executions of one flow."""
        http = plain(request)
        for name in ("namespace", "flowId"):
            if not http.GET.get(name):
                raise BadRequest(f"the query parameter {name} is missing")
        return search(http, tenant, Q(namespace=http.GET["namespace"]))


def search(request: HttpRequest, tenant: str, also: Q | None = None) -> HttpResponse:
    """One page of the executions that meet all filters, new and old spelling."""
    filters = parse_filters(query_items(request))
    found = queries.executions_of(tenant).filter(to_q(filters, queries.EXECUTION_FIELDS)).filter(_flat(request))
    asked = {condition.field for condition in filters.conditions()}
    if not asked & {"kind", "triggerexecutionid", "id"} and not request.GET.get("triggerExecutionId"):
        found = found.filter(kind="NORMAL")  # iterations of a Loop, tests and the like show when they are asked for
    if also is not None:
        found = found.filter(also)
    sort = read_sort(request)
    if any(name == "state.duration" for name, _ in sort):
        found = found.annotate(duration_us=F("ended_at_us") - F("created_at_us"))
    page = read_page(request)
    rows, total = paged(
        queries.summaries(found.order_by(*ordering(sort, queries.EXECUTION_SORT, ["-created_at_us"], "-id"))), page
    )
    return json_response({"results": [queries.summary_json(row) for row in rows], "total": total})


def _flat(request: HttpRequest) -> Q:
    """Parameters of the older generation. Empty = not given."""
    get = request.GET
    found = free_text(get.get("q") or get.get("query") or "", ["id", "namespace", "flow_id"])
    if get.get("namespace"):
        found &= prefix("namespace", get["namespace"])
    if get.get("flowId"):
        found &= Q(flow_id=get["flowId"])
    states = [state.upper() for state in listed(request, "state")]
    if states:
        found &= Q(state__in=states)
    for text in get.getlist("labels"):
        if text:
            found &= has_label("labels", *split_label(text))
    for name, lookup in (("startDate", "created_at_us__gte"), ("endDate", "created_at_us__lte")):
        if get.get(name):
            try:
                found &= Q(**{lookup: parse_instant(get[name])})
            except ValueError:
                raise BadRequest(f"{name} must be an ISO 8601 date, not {get[name]!r}") from None
    if get.get("timeRange"):
        found &= queries.since(get["timeRange"])
    if get.get("triggerExecutionId"):
        found &= Q(parent_execution_id=get["triggerExecutionId"])
    if get.get("childFilter"):
        found &= Q(parent_execution_id__isnull=get["childFilter"].upper() == "MAIN")
    return found


class InputValidationView(TenantView):
    """Inputs of a start, looked at."""

    @extend_schema(
        operation_id="validateNewExecutionInputs",
        tags=_TAGS,
        parameters=[query("labels", many=True), query("revision", OpenApiTypes.INT)],
        request=UPLOAD,
        responses={(200, "application/json"): {"type": "array", "items": ref("ValidatedInputs")}},
    )
    def post(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """What a start with these values would make of inputs and checks. Nothing is stored; 200 even with errors."""
        access_namespace(self.actor, tenant, namespace, Need.EXECUTE)
        http = plain(request)
        labels = read_labels(http.GET.getlist("labels"))
        revision = number(http, "revision") or None
        return json_response(
            [actions.validate_inputs(self.actor, tenant, namespace, flow_id, read_given(http), labels, revision)]
        )


class ExecutionFlowView(TenantView):
    """The flow an execution ran."""

    @extend_schema(operation_id="getFlowOfExecution", tags=_TAGS, responses=answer("Flow"))
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """In the revision that ran, without source."""
        row = access_execution(self.actor, tenant, execution_id)
        found = find_revision(tenant, row["namespace"], row["flow_id"], row["flow_revision"])
        return json_response(revision_json(found, with_source=False))


class FlowForExecutionView(TenantView):
    """What a caller who may run a flow may know of it."""

    @extend_schema(
        operation_id="getFlowForExecution", tags=_TAGS, parameters=[query("revision", OpenApiTypes.INT)], responses=answer("Flow")
    )
    def get(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """The flow without source."""
        access_namespace(self.actor, tenant, namespace, Need.EXECUTE)
        revision = number(plain(request), "revision") or find_flow(tenant, namespace, flow_id).revision
        return json_response(revision_json(find_revision(tenant, namespace, flow_id, revision), with_source=False))
