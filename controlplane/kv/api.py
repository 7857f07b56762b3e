"""REST of the key-value store. Values are never in lists."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.access import Need, access_namespace
from controlplane.accounts.views import TenantView, plain
from controlplane.kv import store, values
from controlplane.kv.models import KeyValue
from controlplane.openapi.components import FLAG, TEXT
from controlplane.openapi.describe import PAGE, answer, answers, body, query
from controlplane.platform.clock import iso, parse_span
from controlplane.platform.errors import BadRequest, Invalid
from controlplane.platform.filters import parse_filters, query_items
from controlplane.platform.paging import read_page
from controlplane.platform.rendering import json_response

_TAGS = ["KV"]


def entry(row: KeyValue) -> dict[str, Any]:
    """A key as lists show it."""
    found: dict[str, Any] = {
        "namespace": row.namespace,
        "key": row.key,
        "revision": row.version,
        "creationDate": iso(row.created_at_us),
        "updateDate": iso(row.updated_at_us),
    }
    if row.description:
        found["description"] = row.description
    if row.expires_at_us is not None:
        found["expirationDate"] = iso(row.expires_at_us)
    return found


class _NamespaceView(TenantView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        need = Need.READ if request.method in ("GET", "HEAD", "OPTIONS") else Need.UPDATE
        access_namespace(self.actor, kwargs["tenant"], kwargs["namespace"], need)


class KeyView(_NamespaceView):
    """One key."""

    @extend_schema(operation_id="getKeyValue", tags=_TAGS, responses=answer("KeyValue"))
    def get(self, request: Request, tenant: str, namespace: str, key: str) -> HttpResponse:
        """Its value with its kind. 404 when there is none, 410 when its time is over."""
        found = store.get(tenant, namespace, key)
        return json_response(
            {"type": found.kind, "value": found.value, "revision": found.version, "updated": iso(found.updated_at_us)}
        )

    @extend_schema(
        operation_id="setKeyValue",
        tags=_TAGS,
        parameters=[query("overwrite", OpenApiTypes.BOOL)],
        request={"text/plain": TEXT},
        responses={200: None},
    )
    def put(self, request: Request, tenant: str, namespace: str, key: str) -> HttpResponse:
        """Sets it from a literal. Headers: `ttl` (a duration), `description`."""
        http = plain(request)
        try:
            text = http.body.decode()
        except UnicodeDecodeError:
            raise values.ValueUnreadable("the literal must be UTF-8 text") from None
        ttl = http.headers.get("ttl")
        try:
            ttl_us = parse_span(ttl) if ttl else None
        except ValueError as error:
            raise Invalid(f"the header ttl: {error}", code="kv.ttl") from None
        overwrite = http.GET.get("overwrite", "true").lower() != "false"
        description = http.headers.get("description")
        store.put(tenant, namespace, key, values.literal(text), ttl_us=ttl_us, description=description, overwrite=overwrite)
        return HttpResponse(status=200, content_type="application/json")

    @extend_schema(operation_id="deleteKeyValue", tags=_TAGS, responses={(200, "application/json"): FLAG})
    def delete(self, request: Request, tenant: str, namespace: str, key: str) -> HttpResponse:
        """Removes it. The body says whether it was there."""
        return json_response(store.delete(tenant, namespace, key))


class NamespaceKeysView(_NamespaceView):
    """Keys of a namespace."""

    @extend_schema(operation_id="listNamespaceKeysLegacy", tags=_TAGS, responses=answers("KeyEntry"))
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """All of them, in order."""
        rows = store.present(tenant).filter(namespace=namespace).order_by("key")
        return json_response([entry(row) for row in rows])

    @extend_schema(operation_id="deleteKeyValues", tags=_TAGS, request=body("KeyNames"), responses=answer("KeyNames"))
    def delete(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Removes several; answers those that were there."""
        try:
            wanted = orjson.loads(plain(request).body)["keys"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise BadRequest('the body must be {"keys": [names]}') from None
        if not isinstance(wanted, list):
            raise BadRequest('the body must be {"keys": [names]}')
        return json_response({"keys": store.delete_many(tenant, namespace, list(map(str, wanted)))})


class InheritedKeysView(_NamespaceView):
    """Keys that a flow of a namespace can read."""

    @extend_schema(operation_id="listKeysWithInheritence", tags=_TAGS, responses=answers("KeyEntry"))
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Its own and those of its parents; of equal keys the nearest one."""
        spaces = store.lineage(namespace)
        nearest: dict[str, KeyValue] = {}
        rows = store.present(tenant).filter(namespace__in=spaces)
        for row in sorted(rows, key=lambda row: spaces.index(row.namespace)):
            nearest.setdefault(row.key, row)
        return json_response([entry(nearest[key]) for key in sorted(nearest)])


class AllKeysView(TenantView):
    """Keys of a tenant."""

    @extend_schema(operation_id="listAllKeys", tags=_TAGS, parameters=PAGE, responses=answer("PagedKeyEntries"))
    def get(self, request: Request, tenant: str) -> HttpResponse:
        """One page. Filters: `namespace`, `key`, `q` (a part of the key)."""
        http = plain(request)
        page = read_page(http)
        rows = store.present(tenant).order_by("namespace", "key")
        for condition in parse_filters(query_items(http)).conditions():
            match condition.field:
                case "namespace":
                    rows = rows.filter(namespace=condition.text)
                case "key":
                    rows = rows.filter(key=condition.text)
                case "q" | "query":
                    rows = rows.filter(key__icontains=condition.text)
                case other:
                    raise BadRequest(f"keys cannot be filtered by {other!r}", code="filter.field")
        return json_response(
            {"results": [entry(row) for row in rows[page.offset : page.offset + page.size]], "total": rows.count()}
        )
