"""Changes of flows: each is one transaction and one revision."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import IntegrityError, transaction

from controlplane.accounts.actor import Actor
from controlplane.catalog.known import TenantKnown
from controlplane.catalog.models import Flow as FlowRow
from controlplane.catalog.models import FlowRevision
from controlplane.catalog.queries import current_flows, find_flow, flow_json, flow_missing, label_list, problem_json
from controlplane.catalog.sources import mentioned
from controlplane.platform.clock import now_us
from controlplane.platform.errors import Conflict, Invalid
from controlplane.platform.filters import prefix
from controlplane.platform.identifiers import FLOW, require_namespace
from controlplane.platform.rendering import dump
from controlplane.triggers.sync import flow_deleted, flow_saved
from flows.spec.check import check_reading
from flows.spec.model import Flow
from flows.spec.parse import Reading, parse_flow, read_flow
from wire.plugins import discover


@dataclass(frozen=True, slots=True)
class Draft:
    """A source that parsed (or, with `draft`, one that need not), ready to be stored. `flow` None: a draft that did not."""

    namespace: str
    flow_id: str
    source: str
    definition: str
    draft: bool
    flow: Flow | None = None

    @property
    def digest(self) -> str:
        """sha256 hex of the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()


def read_source(source: str, *, draft: bool = False) -> Draft:
    """Parses and checks a source. Raises FlowInvalid with every problem; a draft only needs its id and namespace."""
    parsed = parse_flow(source, discover())
    flow = parsed.flow
    if flow is not None and parsed.valid:
        return Draft(flow.namespace, flow.id, source, dump(flow.raw).decode(), draft=draft, flow=flow)
    namespace, flow_id = mentioned(source, "namespace"), mentioned(source, "id")
    if not draft or namespace is None or flow_id is None:
        parsed.require()
        raise AssertionError("a source with problems was accepted")
    require_namespace(namespace)
    if FLOW.fullmatch(flow_id) is None:
        raise Invalid(f"{flow_id!r} is no flow id", code="flow.id")
    definition = dump({"id": flow_id, "namespace": namespace, "tasks": []}).decode()
    return Draft(namespace, flow_id, source, definition, draft=True)


def create_flow(actor: Actor, tenant: str, source: str, *, draft: bool = False) -> dict[str, Any]:
    """A new flow. Raises FlowInvalid; Invalid when it exists. A deleted one comes back with its numbers continued."""
    text = read_source(source, draft=draft)
    try:
        with transaction.atomic():
            row = _locked(tenant, text.namespace, text.flow_id)
            if row is not None and not row.deleted:
                raise _exists(text)
            return _store(actor, tenant, row, text)
    except IntegrityError:  # somebody created it in the same moment
        raise _exists(text) from None


def update_flow(actor: Actor, tenant: str, namespace: str, flow_id: str, source: str, *, draft: bool = False) -> dict[str, Any]:
    """A new revision; the same text makes none. Raises FlowMissing, FlowInvalid, Invalid when the ids differ."""
    find_flow(tenant, namespace, flow_id)
    text = read_source(source, draft=draft)
    if (text.namespace, text.flow_id) != (namespace, flow_id):
        raise Invalid(
            f"the source says {text.namespace}.{text.flow_id}, the address {namespace}.{flow_id}; neither can be changed",
            code="flow.identity",
        )
    with transaction.atomic():
        row = _locked(tenant, namespace, flow_id)
        if row is None or row.deleted:
            raise flow_missing(namespace, flow_id)
        return _store(actor, tenant, row, text)


def delete_flow(actor: Actor, tenant: str, namespace: str, flow_id: str) -> None:
    """A last revision that says `deleted`. Executions of earlier ones go on. Raises FlowMissing."""
    with transaction.atomic():
        row = _locked(tenant, namespace, flow_id)
        if row is None or row.deleted:
            raise flow_missing(namespace, flow_id)
        _bury(actor, row)


def put_flows(
    actor: Actor,
    tenant: str,
    sources: Sequence[str],
    *,
    namespace: str | None,
    override: bool,
    delete: bool,
    children: bool = False,
) -> list[dict[str, Any]]:
    """Creates or updates all, or nothing. `namespace`: where `delete` removes what is absent, and (unless `override` rewrites
    it or `children` allows below) the only one allowed. Raises FlowInvalid, Invalid.
    """
    texts = [read_source(_moved(source, namespace) if override and namespace else source) for source in sources]
    for text in texts:
        inside = namespace is None or text.namespace == namespace or (children and text.namespace.startswith(f"{namespace}."))
        if not inside:
            raise Invalid(f"flow {text.namespace}.{text.flow_id} is not in namespace {namespace}", code="flow.namespace")
    if len({(text.namespace, text.flow_id) for text in texts}) < len(texts):
        raise Invalid("the same flow occurs twice", code="flow.duplicate")
    with transaction.atomic():
        answers = [_store(actor, tenant, _locked(tenant, text.namespace, text.flow_id), text) for text in texts]
        if delete and namespace is not None:
            kept = {(text.namespace, text.flow_id) for text in texts}
            scope = prefix("namespace", namespace)
            rows = current_flows(tenant).filter(scope) if children else current_flows(tenant).filter(namespace=namespace)
            for row in rows.select_for_update():
                if (row.namespace, row.id) not in kept:
                    _bury(actor, row)
    return answers


def _moved(source: str, namespace: str) -> str:
    present = mentioned(source, "namespace")
    if present is None or present == namespace:
        return source
    lines = source.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line.startswith("namespace:"):
            lines[index] = line.replace(present, namespace, 1)
            break
    return "".join(lines)


def _locked(tenant: str, namespace: str, flow_id: str) -> FlowRow | None:
    return FlowRow.objects.select_for_update().filter(tenant_id=tenant, namespace=namespace, id=flow_id).first()


def _exists(text: Draft) -> Invalid:
    return Invalid(f"Flow '{text.namespace}.{text.flow_id}' already exists; update it instead", code="flow.exists")


def _store(actor: Actor, tenant: str, row: FlowRow | None, text: Draft) -> dict[str, Any]:
    now = now_us()
    definition = orjson.loads(text.definition)
    if row is not None and not row.deleted and row.digest == text.digest and row.draft == text.draft:
        body = flow_json(definition, row.revision, deleted=False, draft=row.draft, updated_at_us=row.updated_at_us)
        return {**body, "source": text.source}
    revision = 1 if row is None else row.revision + 1
    values: dict[str, Any] = {
        "revision": revision,
        "digest": text.digest,
        "deleted": False,
        "disabled": bool(definition.get("disabled", False)),
        "draft": text.draft,
        "labels": label_list(definition.get("labels")),
        "words": f"{text.flow_id} {text.namespace} {definition.get('description') or ''}"[:5000],
        "definition": text.definition,
        "updated_at_us": now,
    }
    if row is None:
        FlowRow(tenant_id=tenant, namespace=text.namespace, id=text.flow_id, **values).save(force_insert=True)
    else:
        FlowRow.objects.filter(tenant_id=tenant, namespace=text.namespace, id=text.flow_id).update(**values)
    FlowRevision(
        tenant_id=tenant,
        namespace=text.namespace,
        flow_id=text.flow_id,
        revision=revision,
        source=text.source,
        definition=text.definition,
        digest=text.digest,
        draft=text.draft,
        created_at_us=now,
        created_by=actor.username,
    ).save(force_insert=True)
    flow_saved(tenant, text.namespace, text.flow_id, revision, text.flow, draft=text.draft)
    return {**flow_json(definition, revision, deleted=False, draft=text.draft, updated_at_us=now), "source": text.source}


def _bury(actor: Actor, row: FlowRow) -> None:
    now = now_us()
    last = FlowRevision.objects.get(tenant_id=row.tenant_id, namespace=row.namespace, flow_id=row.id, revision=row.revision)
    FlowRevision(
        tenant_id=row.tenant_id,
        namespace=row.namespace,
        flow_id=row.id,
        revision=row.revision + 1,
        source=last.source,
        definition=last.definition,
        digest=last.digest,
        deleted=True,
        draft=last.draft,
        created_at_us=now,
        created_by=actor.username,
    ).save(force_insert=True)
    FlowRow.objects.filter(tenant_id=row.tenant_id, namespace=row.namespace, id=row.id).update(
        revision=row.revision + 1, deleted=True, updated_at_us=now
    )
    flow_deleted(row.tenant_id, row.namespace, row.id)


def delete_revisions(tenant: str, namespace: str, flow_id: str, numbers: Sequence[int]) -> None:
    """Forgets old revisions. Raises FlowMissing, Conflict for the current one."""
    row = find_flow(tenant, namespace, flow_id, allow_deleted=True)
    if row.revision in numbers:
        raise Conflict(f"revision {row.revision} is the current one and stays", code="flow.revision_current")
    FlowRevision.objects.filter(tenant_id=tenant, namespace=namespace, flow_id=flow_id, revision__in=numbers).delete()


def validate_sources(tenant: str, sources: Sequence[str]) -> list[dict[str, Any]]:
    """One row per document, in order. `constraints` exists only when there is an error."""
    readings = [read_flow(source, discover()) for source in sources]
    known = TenantKnown(tenant, [reading.parsed.flow for reading in readings if reading.parsed.flow is not None])
    return [
        _validated(tenant, index, source, reading, known)
        for index, (source, reading) in enumerate(zip(sources, readings, strict=True))
    ]


def _validated(tenant: str, index: int, source: str, reading: Reading, known: TenantKnown) -> dict[str, Any]:
    parsed, problems = reading.parsed, check_reading(reading, known)
    # What would refuse the source when it is stored; the rest of the check advises.
    errors = [problem for problem in parsed.problems if problem.severity == "error"]
    flow_id = parsed.flow.id if parsed.flow is not None else mentioned(source, "id")
    namespace = parsed.flow.namespace if parsed.flow is not None else mentioned(source, "namespace")
    row: dict[str, Any] = {"index": index}
    if flow_id is not None:
        row["flow"] = flow_id
    if namespace is not None:
        row["namespace"] = namespace
    if errors:
        # Clients look for `Invalid type: …` at the very beginning.
        lines = sorted((_constraint(problem) for problem in errors), key=lambda line: not line.startswith("Invalid type"))
        row["constraints"] = "\n".join(lines)
    raw = parsed.flow.raw if parsed.flow is not None else {}
    row["outdated"] = _outdated(tenant, namespace, flow_id, raw.get("revision"))
    row["deprecationPaths"] = [problem.path for problem in problems if problem.code.endswith(".deprecated")]
    row["warnings"] = [str(problem) for problem in problems if problem not in errors]
    row["infos"] = []
    row["problems"] = [problem_json(problem) for problem in problems]
    return row


def _constraint(problem: Any) -> str:
    if problem.message.startswith("Invalid type"):
        return str(problem.message)
    return f"{problem.path}: {problem.message}" if problem.path else str(problem)


def _outdated(tenant: str, namespace: str | None, flow_id: str | None, written: Any) -> bool:
    if not isinstance(written, int) or namespace is None or flow_id is None:
        return False
    stored = FlowRow.objects.filter(tenant_id=tenant, namespace=namespace, id=flow_id).values_list("revision", flat=True).first()
    return written != (stored or 0) + 1
