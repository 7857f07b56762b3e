"""REST of flows."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.access import Need, access_namespace
from controlplane.accounts.views import TenantView, plain
from controlplane.catalog import actions, queries
from controlplane.catalog.sources import flow_source, flow_sources
from controlplane.openapi.components import TEXT, listed
from controlplane.openapi.describe import PAGE, YAML, answer, answers, query
from controlplane.platform.errors import BadRequest, Missing
from controlplane.platform.filters import free_text, parse_filters, prefix, query_items, to_q
from controlplane.platform.labels import has_label, split_label
from controlplane.platform.paging import ordering, paged, read_page, read_sort
from controlplane.platform.parsers import flag, number
from controlplane.platform.parsers import listed as listed_parameter
from controlplane.platform.rendering import json_response, no_content

_TAGS = ["Flows"]


class FlowsView(TenantView):
    """All flows of a tenant."""

    @extend_schema(
        operation_id="createFlow", tags=_TAGS, parameters=[query("draft", bool)], request=YAML, responses=answer("Flow")
    )
    def post(self, request: Request, tenant: str) -> HttpResponse:
        """Creates a flow from its source, which is kept byte for byte."""
        http = plain(request)
        return json_response(actions.create_flow(self.actor, tenant, flow_source(http), draft=flag(http, "draft")))


class FlowSearchView(TenantView):
    """Search."""

    @extend_schema(
        operation_id="searchFlows",
        tags=_TAGS,
        parameters=[*PAGE, query("q"), query("namespace", about="Itself and below."), query("labels", many=True)],
        responses=answer("FlowPage"),
    )
    def get(self, request: Request, tenant: str) -> HttpResponse:
        """Current flows, without sources."""
        http = plain(request)
        found = queries.current_flows(tenant).filter(to_q(parse_filters(query_items(http)), queries.FLOW_FIELDS))
        found = found.filter(free_text(http.GET.get("q") or http.GET.get("query") or "", ["words"]))
        if http.GET.get("namespace"):
            found = found.filter(prefix("namespace", http.GET["namespace"]))
        for text in http.GET.getlist("labels"):
            found = found.filter(has_label("labels", *split_label(text)))
        page = read_page(http)
        order = ordering(read_sort(http), queries.FLOW_SORT, ["namespace"], "id")
        rows, total = paged(found.order_by(*order), page)
        return json_response({"results": [queries.current_json(row) for row in rows], "total": total})


class NamespaceNamesView(TenantView):
    """Names."""

    @extend_schema(
        operation_id="listFlowNamespaces",
        tags=_TAGS,
        parameters=[query("q")],
        responses={(200, "application/json"): listed(TEXT)},
    )
    def get(self, request: Request, tenant: str) -> HttpResponse:
        """Namespaces that hold flows."""
        return json_response(queries.namespace_names(tenant, plain(request).GET.get("q") or ""))


class FlowValidationView(TenantView):
    """Checks without storing."""

    @extend_schema(operation_id="validateFlows", tags=_TAGS, request=YAML, responses=answers("FlowValidation"))
    def post(self, request: Request, tenant: str) -> HttpResponse:
        """One row per document. Always 200."""
        return json_response(actions.validate_sources(tenant, flow_sources(plain(request))))


class FlowBulkView(TenantView):
    """Many at once."""

    @extend_schema(
        operation_id="updateFlows",
        tags=_TAGS,
        parameters=[query("delete", bool), query("namespace"), query("allowNamespaceChild", bool)],
        request=YAML,
        responses=answers("Flow"),
    )
    def post(self, request: Request, tenant: str) -> HttpResponse:
        """Creates or updates all documents, or none; `delete` removes what is absent from `namespace`."""
        http = plain(request)
        return json_response(
            actions.put_flows(
                self.actor,
                tenant,
                flow_sources(http),
                namespace=http.GET.get("namespace") or None,
                override=False,
                delete=flag(http, "delete"),
                children=flag(http, "allowNamespaceChild"),
            )
        )


class NamespaceFlowsView(TenantView):
    """Flows of exactly one namespace."""

    @extend_schema(operation_id="listFlowsOfNamespace", tags=_TAGS, responses=answers("Flow"))
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """A plain list, without children."""
        access_namespace(self.actor, tenant, namespace, Need.READ)
        rows = queries.current_flows(tenant).filter(namespace=namespace).order_by("id")
        return json_response([queries.current_json(row) for row in rows])

    @extend_schema(
        operation_id="updateFlowsOfNamespace",
        tags=_TAGS,
        parameters=[query("delete", bool), query("override", bool)],
        request=YAML,
        responses=answers("Flow"),
    )
    def post(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Creates or updates all documents, or none; `delete` (the default) removes flows that are absent."""
        access_namespace(self.actor, tenant, namespace, Need.UPDATE)
        http = plain(request)
        return json_response(
            actions.put_flows(
                self.actor,
                tenant,
                flow_sources(http),
                namespace=namespace,
                override=flag(http, "override"),
                delete=flag(http, "delete", default=True),
            )
        )


class FlowView(TenantView):
    """One flow."""

    @extend_schema(
        operation_id="getFlow",
        tags=_TAGS,
        parameters=[query("source", bool), query("revision", OpenApiTypes.INT), query("allowDeleted", bool)],
        responses=answer("Flow"),
    )
    def get(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """The newest or a given revision."""
        access_namespace(self.actor, tenant, namespace, Need.READ)
        http = plain(request)
        allow_deleted = flag(http, "allowDeleted")
        row = queries.find_flow(tenant, namespace, flow_id, allow_deleted=allow_deleted)
        revision = number(http, "revision") or row.revision
        found = queries.find_revision(tenant, namespace, flow_id, revision)
        return json_response(queries.revision_json(found, with_source=flag(http, "source")))

    @extend_schema(
        operation_id="updateFlow", tags=_TAGS, parameters=[query("draft", bool)], request=YAML, responses=answer("Flow")
    )
    def put(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """A new revision, unless the text is the same."""
        access_namespace(self.actor, tenant, namespace, Need.UPDATE)
        http = plain(request)
        return json_response(
            actions.update_flow(self.actor, tenant, namespace, flow_id, flow_source(http), draft=flag(http, "draft"))
        )

    @extend_schema(operation_id="deleteFlow", tags=_TAGS, responses={204: None})
    def delete(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """Deletes it; its revisions stay readable."""
        access_namespace(self.actor, tenant, namespace, Need.DELETE)
        actions.delete_flow(self.actor, tenant, namespace, flow_id)
        return no_content()


class FlowRevisionsView(TenantView):
    """History of a flow."""

    @extend_schema(
        operation_id="listFlowRevisions", tags=_TAGS, parameters=[query("allowDelete", bool)], responses=answers("Flow")
    )
    def get(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """Oldest first, with sources."""
        access_namespace(self.actor, tenant, namespace, Need.READ)
        return json_response(queries.revisions(tenant, namespace, flow_id, allow_deleted=flag(plain(request), "allowDelete")))

    @extend_schema(
        operation_id="deleteFlowRevisions",
        tags=_TAGS,
        parameters=[query("revisions", many=True, required=True)],
        responses={200: None},
    )
    def delete(self, request: Request, tenant: str, namespace: str, flow_id: str) -> HttpResponse:
        """Forgets old ones."""
        access_namespace(self.actor, tenant, namespace, Need.DELETE)
        texts = listed_parameter(plain(request), "revisions")
        if not texts or not all(text.isdigit() for text in texts):
            raise BadRequest("revisions must list the numbers to forget")
        actions.delete_revisions(tenant, namespace, flow_id, [int(text) for text in texts])
        return json_response({})


class FlowTaskView(TenantView):
    """One task of a flow."""

    @extend_schema(
        operation_id="getFlowTask", tags=_TAGS, parameters=[query("revision", OpenApiTypes.INT)], responses=answer("FlowTask")
    )
    def get(self, request: Request, tenant: str, namespace: str, flow_id: str, task_id: str) -> HttpResponse:
        """As written, wherever it is nested."""
        access_namespace(self.actor, tenant, namespace, Need.READ)
        row = queries.find_flow(tenant, namespace, flow_id)
        revision = number(plain(request), "revision") or row.revision
        body = queries.revision_json(queries.find_revision(tenant, namespace, flow_id, revision), with_source=False)
        found = queries.task_of(
            [body.get(name) for name in ("tasks", "errors", "finally", "afterExecution", "triggers")], task_id
        )
        if found is None:
            raise Missing(
                f"Task '{task_id}' not found in revision {revision} of flow '{namespace}.{flow_id}'", code="task.missing"
            )
        return json_response(found)
