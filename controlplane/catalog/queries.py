"""Reading flows: parsed for the engine, as JSON for REST."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import orjson
from django.db import connection
from django.db.models import Q, QuerySet

from controlplane.catalog.models import Flow as FlowRow
from controlplane.catalog.models import FlowRevision
from controlplane.platform.clock import iso
from controlplane.platform.errors import Conflict, Missing
from controlplane.platform.filters import NAMES, TEXTUAL, FilterField, prefix, text_field, words_field
from controlplane.platform.labels import labels_field
from controlplane.platform.rendering import present
from flows.spec.model import Flow
from flows.spec.parse import parse_flow
from wire.plugins import discover

LOADED_FLOWS_MAX = 6_000
"""Parsed revisions kept in memory: more than schedules that are due in one second. A typical one takes some tens of kB."""

SYSTEM_NAMESPACE = "system"


class FlowMissing(Missing):
    """No such flow, or no such revision of it."""

    code = "flow.missing"


class FlowDraft(Conflict):
    """The newest revision is a draft: it need not be valid, so it cannot run."""

    code = "flow.draft"


@dataclass(frozen=True, slots=True)
class LoadedFlow:
    """A parsed revision. `digest` is the sha256 of its source."""

    flow: Flow
    revision: int
    digest: str


_Key = tuple[str, str, str, int]
_loaded: OrderedDict[_Key, LoadedFlow] = OrderedDict()
_lock = Lock()


def load_flow(tenant: str, namespace: str, flow_id: str, revision: int | None) -> LoadedFlow:
    """The parsed flow; `revision` None = the newest, which must not be deleted. Raises FlowMissing.

    Revisions never change, so a known one costs a dictionary look-up; the newest costs one small query more.
    """
    if revision is None:
        revision = newest_revision(tenant, namespace, flow_id)
    key = (tenant, namespace, flow_id, revision)
    found = _loaded.get(key)
    if found is None:
        found = _parse(key)
        with _lock:
            _loaded[key] = found
            while len(_loaded) > LOADED_FLOWS_MAX:
                _loaded.popitem(last=False)
    return found


def newest_revision(tenant: str, namespace: str, flow_id: str) -> int:
    """Number of the newest revision of a flow that is not deleted. Raises FlowMissing, FlowDraft."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT revision, deleted, draft FROM flow WHERE tenant_id = %s AND namespace = %s AND id = %s",
            [tenant, namespace, flow_id],
        )
        row = cursor.fetchone()
    if row is None or row[1]:
        raise flow_missing(namespace, flow_id)
    if row[2]:
        raise FlowDraft(f"Flow '{namespace}.{flow_id}' is a draft; save it without draft to run it")
    return int(row[0])


def flow_missing(namespace: str, flow_id: str, revision: int | None = None) -> FlowMissing:
    """The error for a flow that is not there."""
    which = "" if revision is None else f", revision {revision},"
    return FlowMissing(f"Flow '{namespace}.{flow_id}'{which} not found")


def _parse(key: _Key) -> LoadedFlow:
    tenant, namespace, flow_id, revision = key
    row = (
        FlowRevision.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id, revision=revision)
        .values_list("source", "digest")
        .first()
    )
    if row is None:
        raise flow_missing(namespace, flow_id, revision)
    return LoadedFlow(parse_flow(row[0], discover()).require(), revision, row[1])


def current_flows(tenant: str) -> QuerySet[FlowRow]:
    """Flows of a tenant that are not deleted."""
    return FlowRow.objects.filter(tenant_id=tenant, deleted=False)


def find_flow(tenant: str, namespace: str, flow_id: str, *, allow_deleted: bool = False) -> FlowRow:
    """The newest state of a flow. Raises FlowMissing."""
    row = FlowRow.objects.filter(tenant_id=tenant, namespace=namespace, id=flow_id).first()
    if row is None or (row.deleted and not allow_deleted):
        raise flow_missing(namespace, flow_id)
    return row


def find_revision(tenant: str, namespace: str, flow_id: str, revision: int) -> FlowRevision:
    """One revision, deleted or not. Raises FlowMissing."""
    row = FlowRevision.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id, revision=revision).first()
    if row is None:
        raise flow_missing(namespace, flow_id, revision)
    return row


def revisions(tenant: str, namespace: str, flow_id: str, *, allow_deleted: bool) -> list[dict[str, Any]]:
    """All revisions, oldest first, with their sources. Raises FlowMissing for a flow that never was."""
    rows = list(FlowRevision.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id).order_by("revision"))
    if not rows:
        raise flow_missing(namespace, flow_id)
    return [revision_json(row, with_source=True) for row in rows if allow_deleted or not row.deleted]


def revision_json(row: FlowRevision, *, with_source: bool) -> dict[str, Any]:
    """A revision as clients know flows."""
    body = flow_json(orjson.loads(row.definition), row.revision, row.deleted, row.draft, row.created_at_us)
    if with_source:
        body["source"] = row.source
    return body


def current_json(row: FlowRow) -> dict[str, Any]:
    """The newest revision, without source."""
    return flow_json(orjson.loads(row.definition), row.revision, row.deleted, row.draft, row.updated_at_us)


def flow_json(definition: Mapping[str, Any], revision: int, deleted: bool, draft: bool, updated_at_us: int) -> dict[str, Any]:
    """What was written, all properties kept, with what the server knows beside it. Labels always come out as a list."""
    return {
        **{name: value for name, value in definition.items() if value is not None},
        "revision": revision,
        "disabled": bool(definition.get("disabled", False)),
        "deleted": deleted,
        "draft": draft,
        "labels": label_list(definition.get("labels")),
        "updated": iso(updated_at_us),
    }


def label_list(labels: Any) -> list[dict[str, str]]:
    """Labels of a source, a map or a list, as a list of texts."""
    if isinstance(labels, Mapping):
        return [{"key": str(key), "value": _text(value)} for key, value in labels.items()]
    if isinstance(labels, list):
        return [
            {"key": str(item["key"]), "value": _text(item["value"])}
            for item in labels
            if isinstance(item, Mapping) and "key" in item and "value" in item
        ]
    return []


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def scope_field(column: str) -> FilterField:
    """`scope`: USER = outside the system namespace, SYSTEM = inside it, both = everywhere."""
    inside = prefix(column, SYSTEM_NAMESPACE)

    def build(condition: Any) -> Q:
        scopes = {value.upper() for value in condition.values}
        if scopes == {"USER"}:
            return ~inside
        return inside if scopes == {"SYSTEM"} else Q()

    return FilterField(frozenset({"EQUALS", "NOT_EQUALS", "IN"}), build)


FLOW_FIELDS = {
    "q": words_field("words"),
    "namespace": text_field("namespace", NAMES),
    "flowid": text_field("id", NAMES),
    "id": text_field("id", TEXTUAL | {"IN", "NOT_IN"}),
    "scope": scope_field("namespace"),
    "labels": labels_field("labels"),
}
FLOW_SORT = {"id": "id", "namespace": "namespace", "updated": "updated_at_us"}


def namespace_names(tenant: str, q: str = "") -> list[str]:
    """Names of namespaces that hold flows, and contain `q`."""
    names = current_flows(tenant).order_by().values_list("namespace", flat=True).distinct()
    return sorted(name for name in names if q.lower() in name.lower())


def task_of(definition: Any, task_id: str) -> Any | None:
    """The task with that id anywhere in a definition, triggers included, or None."""
    if isinstance(definition, Mapping):
        if definition.get("id") == task_id and "type" in definition:
            return definition
        children: Any = definition.values()
    elif isinstance(definition, list):
        children = definition
    else:
        return None
    for child in children:
        found = task_of(child, task_id)
        if found is not None:
            return found
    return None


def problem_json(problem: Any) -> dict[str, Any]:
    """A finding with its place."""
    return present(
        code=problem.code,
        message=problem.message,
        path=problem.path or None,
        line=problem.line,
        column=problem.column,
        hint=problem.hint,
        severity=problem.severity,
    )
