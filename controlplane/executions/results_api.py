"""REST of what executions leave behind: files, outputs, metrics."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.views import TenantView, plain
from controlplane.executions import queries
from controlplane.executions.access import access_execution
from controlplane.executions.preview import preview
from controlplane.files import storage
from controlplane.openapi.describe import PAGE, answer, answers, data, query
from controlplane.platform.errors import BadRequest, Missing
from controlplane.platform.paging import ordering, paged, read_page, read_sort
from controlplane.platform.parsers import number
from controlplane.platform.rendering import json_bytes, json_response


class _FileView(TenantView):
    def uri(self, request: Request, tenant: str, execution_id: str) -> str:
        """The address asked for, when it belongs to this execution. Raises Missing, BadRequest."""
        row = access_execution(self.actor, tenant, execution_id)
        path = plain(request).GET.get("path")
        if not path:
            raise BadRequest("the query parameter path is missing")
        if not storage.belongs_to(path, row["namespace"], row["flow_id"], execution_id):
            raise Missing(f"file '{path}' does not belong to execution '{execution_id}'", code="file.missing")
        return path


_FILE = [query("path", required=True, about="kestra:///…")]


class ExecutionFileView(_FileView):
    """Files an execution produced or was given."""

    @extend_schema(operation_id="downloadExecutionFile", tags=["Executions"], parameters=_FILE, responses=data())
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponseBase:
        """The bytes."""
        uri = self.uri(request, tenant, execution_id)
        size = storage.file_size(tenant, uri)
        response = StreamingHttpResponse(storage.open_file(tenant, uri), content_type="application/octet-stream")
        response["Content-Length"] = str(size)
        name = storage.path_of(uri).rpartition("/")[2].replace('"', "'")
        response["Content-Disposition"] = f'attachment; filename="{name}"' if name.isascii() else "attachment"
        return response


class ExecutionFileMetasView(_FileView):
    """Size."""

    @extend_schema(operation_id="getExecutionFileMetas", tags=["Executions"], parameters=_FILE, responses=answer("FileMetas"))
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Of a file of the execution."""
        return json_response({"size": storage.file_size(tenant, self.uri(request, tenant, execution_id))})


class ExecutionFilePreviewView(_FileView):
    """The beginning of a file."""

    @extend_schema(
        operation_id="previewExecutionFile",
        tags=["Executions"],
        parameters=[*_FILE, query("maxRows", OpenApiTypes.INT), query("encoding")],
        responses=answer("FilePreview"),
    )
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Rows of a table, or text."""
        uri = self.uri(request, tenant, execution_id)
        return json_response(preview(tenant, uri, number(plain(request), "maxRows")))


class OutputsView(TenantView):
    """Outputs."""

    @extend_schema(
        operation_id="getExecutionOutputs",
        tags=["Outputs"],
        responses={(200, "application/json"): {"type": "object", "additionalProperties": True}},
    )
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Of the flow."""
        access_execution(self.actor, tenant, execution_id)
        return json_bytes(queries.outputs_of(tenant, execution_id))


class TaskOutputsListView(TenantView):
    """Which task runs have outputs."""

    @extend_schema(operation_id="listTaskOutputs", tags=["Outputs"], responses=answers("TaskOutputInformation"))
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Without the values."""
        access_execution(self.actor, tenant, execution_id)
        return json_response(queries.outputs_information(tenant, execution_id))


class TaskOutputsView(TenantView):
    """Outputs of one task run."""

    @extend_schema(
        operation_id="getTaskOutputs",
        tags=["Outputs"],
        responses={(200, "application/json"): {"type": "object", "additionalProperties": True}},
    )
    def get(self, request: Request, tenant: str, execution_id: str, task_run_id: str) -> HttpResponse:
        """As an object."""
        access_execution(self.actor, tenant, execution_id)
        return json_bytes(queries.task_run_outputs(tenant, execution_id, task_run_id))


class MetricsView(TenantView):
    """Metrics of an execution."""

    @extend_schema(
        operation_id="searchMetrics",
        tags=["Metrics"],
        parameters=[*PAGE, query("taskRunId"), query("taskId")],
        responses=answer("MetricPage"),
    )
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Oldest first."""
        execution = access_execution(self.actor, tenant, execution_id)
        http = plain(request)
        found = queries.metrics_of(tenant, execution_id, http.GET.get("taskRunId"), http.GET.get("taskId"))
        order = ordering(read_sort(http), queries.METRIC_SORT, ["at_us"], "id")
        rows, total = paged(found.order_by(*order), read_page(http))
        body = [queries.metric_json(row, execution["namespace"], execution["flow_id"]) for row in rows]
        return json_response({"results": body, "total": total})
