"""REST of logs."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.access import Need
from controlplane.accounts.views import TenantView, plain
from controlplane.executions.access import access_execution
from controlplane.executions.queries import EXECUTION_FIELDS, ExecutionMissing
from controlplane.logs import queries
from controlplane.openapi.components import ref
from controlplane.openapi.describe import PAGE, answer, answers, data, query
from controlplane.platform.clock import iso, now_us, parse_instant, parse_span
from controlplane.platform.errors import BadRequest
from controlplane.platform.filters import Condition, parse_filters, prefix, query_items, to_q
from controlplane.platform.paging import ordering, read_page, read_sort
from controlplane.platform.rendering import json_response

_TAGS = ["Logs"]
WHICH = [
    query("minLevel", ref("Level")),
    query("taskId"),
    query("taskRunId"),
    query("attempt", OpenApiTypes.INT, about="From 0."),
]


class ExecutionLogsView(TenantView):
    """Lines of one execution."""

    @extend_schema(operation_id="listLogs", tags=_TAGS, parameters=WHICH, responses=answers("LogEntry"))
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """In order of time. An unknown execution has none."""
        try:
            execution = access_execution(self.actor, tenant, execution_id)
        except ExecutionMissing:
            return json_response([])
        lines = queries.by_time(queries.lines_of(tenant, execution_id, queries.read_filter(plain(request))))
        return json_response([queries.entry(line, execution) for line in lines])

    @extend_schema(operation_id="deleteLogs", tags=_TAGS, parameters=WHICH, responses={200: None})
    def delete(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Removes them."""
        access_execution(self.actor, tenant, execution_id, Need.DELETE)
        queries.delete_lines(tenant, execution_id, queries.read_filter(plain(request)))
        return json_response({})


class LogDownloadView(TenantView):
    """Lines as text."""

    @extend_schema(operation_id="downloadLogs", tags=_TAGS, parameters=WHICH, responses=data("text/plain"))
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponseBase:
        """`<timestamp> <LEVEL> <message>` a line; also while it runs, and when there is none."""
        wanted = queries.read_filter(plain(request))

        def lines() -> Iterator[str]:
            for line in queries.by_time(queries.lines_of(tenant, execution_id, wanted)):
                yield queries.text_line(line)

        try:
            access_execution(self.actor, tenant, execution_id)
        except ExecutionMissing:
            return HttpResponse("", content_type="text/plain; charset=utf-8")
        response = StreamingHttpResponse(lines(), content_type="text/plain; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{execution_id}.log"'
        return response


class LogSearchView(TenantView):
    """Search."""

    @extend_schema(
        operation_id="searchLogs",
        tags=_TAGS,
        parameters=[*PAGE, query("q"), query("namespace"), query("flowId"), query("minLevel", ref("Level"))],
        responses=answer("LogPage"),
    )
    def get(self, request: Request, tenant: str) -> HttpResponse:
        """Lines of all executions, newest first."""
        http = plain(request)
        page = read_page(http)
        rows, total = queries.search(tenant, _search(http), page.offset, page.size)
        return json_response({"results": rows, "total": total, "type": "OFFSET"})


def _search(request: HttpRequest) -> queries.LogSearch:
    get = request.GET
    executions = Q()
    min_level, words = 0, (get.get("q") or "").lower()
    since, until = get.get("startDate") or "", get.get("endDate") or ""
    for condition in parse_filters(query_items(request)).conditions():
        match condition.field:
            case "level":
                min_level = queries.level_number(condition.text)
            case "q":
                words = condition.text.lower()
            case "startdate":
                since = condition.text
            case "enddate":
                until = condition.text
            case "timerange":
                since = _ago(condition.text)
            case "executionid":
                executions &= to_q(Condition("id", condition.operation, condition.value), EXECUTION_FIELDS)
            case "triggerid":
                executions &= Q(pk__isnull=True) if condition.operation == "EQUALS" else Q()  # no triggers yet
            case _:
                executions &= to_q(condition, EXECUTION_FIELDS)
    if get.get("namespace"):
        executions &= prefix("namespace", get["namespace"])
    if get.get("flowId"):
        executions &= Q(flow_id=get["flowId"])
    if get.get("minLevel"):
        min_level = queries.level_number(get["minLevel"])
    sort = read_sort(request)
    ordering(sort, {"timestamp": "at_us"}, [], "id")  # refuses what cannot be sorted by
    return queries.LogSearch(
        executions=executions,
        words=() if words == "*" else tuple(words.split()),
        min_level=min_level,
        since_us=_instant(since),
        until_us=_instant(until),
        ascending=bool(sort) and not sort[0][1],
    )


def _instant(text: str) -> int | None:
    if not text:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        raise BadRequest(f"{text!r} is no ISO 8601 date") from None


def _ago(text: str) -> str:
    try:
        return iso(now_us() - parse_span(text))
    except ValueError as error:
        raise BadRequest(f"timeRange: {error}") from None
