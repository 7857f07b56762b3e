"""Changes of executions: start, kill, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeAlias

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from controlplane.accounts.actor import Actor
from controlplane.catalog.queries import label_list, load_flow, newest_revision
from controlplane.engine import NewExecution, get_engine, start_execution
from controlplane.executions.models import Execution, HandOut, Metric, TaskRun, Timer
from controlplane.executions.queries import ExecutionMissing, find_execution, is_over
from controlplane.executions.serialise import created_execution
from controlplane.files import storage
from controlplane.kv.functions import kv_function
from controlplane.logs.models import LogChunk
from controlplane.platform.clock import now_us
from controlplane.platform.errors import Conflict, Invalid
from controlplane.vault.encryption import encrypt_for
from flows.expressions import Scope
from flows.expressions.ambient import make_ambient
from flows.machine.states import State
from flows.spec.inputs import resolve_inputs
from flows.spec.model import Flow
from wire.ids import new_id

Given: TypeAlias = "Iterable[tuple[str, str | UploadedFile[Any]]]"


class FlowDisabled(Conflict):
    """The flow is switched off."""

    code = "flow.disabled"


@dataclass(frozen=True, slots=True)
class Started:
    """A new execution: its id and the body that answers its creation."""

    execution_id: str
    body: dict[str, Any]


def create_execution(
    actor: Actor,
    tenant: str,
    namespace: str,
    flow_id: str,
    *,
    given: Given | Mapping[str, Any] = (),
    labels: Sequence[dict[str, str]] = (),
    revision: int | None = None,
) -> Started:
    """Starts an execution; it is stored when this returns. Raises FlowMissing, FlowDisabled, InputInvalid, EngineUnavailable.

    `given`: parts of a form (texts and uploads), or values by input id.
    """
    newest = newest_revision(tenant, namespace, flow_id)
    loaded = load_flow(tenant, namespace, flow_id, revision or newest)
    flow = loaded.flow
    if flow.disabled:
        raise FlowDisabled(f"Flow '{namespace}.{flow_id}' is disabled; enable it to run it")
    execution_id = new_id()
    inputs = _inputs(flow, given, _Place(tenant, namespace, flow_id, execution_id, loaded.revision)) if flow.inputs else {}
    all_labels = _labels(flow, labels, execution_id, actor)
    at_us = now_us()
    start_execution(
        NewExecution(
            tenant=tenant,
            namespace=namespace,
            flow_id=flow_id,
            revision=loaded.revision,
            inputs=inputs,
            labels=all_labels,
            execution_id=execution_id,
        )
    )
    body = created_execution(tenant, namespace, flow_id, loaded.revision, execution_id, at_us, inputs, all_labels, None)
    return Started(execution_id, body)


def _labels(flow: Flow, given: Sequence[dict[str, str]], execution_id: str, actor: Actor) -> list[dict[str, str]]:
    """Labels of the flow, over them the caller's, and the system's own."""
    found = {label["key"]: label["value"] for label in (*label_list(flow.labels), *given)}
    found.setdefault("system.correlationId", execution_id)
    found["system.username"] = actor.username
    return [{"key": key, "value": value} for key, value in found.items()]


@dataclass(frozen=True, slots=True)
class _Place:
    tenant: str
    namespace: str
    flow_id: str
    execution_id: str
    revision: int


def _inputs(flow: Flow, given: Given | Mapping[str, Any], place: _Place) -> dict[str, Any]:
    """Typed values of all inputs; uploads are stored first. Raises InputInvalid, Invalid."""
    declared = {declared.id: declared for declared in flow.inputs}
    values: dict[str, Any] = {}
    for name, part in given.items() if isinstance(given, Mapping) else given:
        if isinstance(part, UploadedFile):
            if name not in declared:
                continue
            if declared[name].type.upper() != "FILE":
                values[name] = _text(name, part)
                continue
            stored = storage.put_input_file(
                place.tenant, place.namespace, place.flow_id, place.execution_id, name, part.name or name, part.chunks()
            )
            values[name] = stored.uri
        elif name in values:
            earlier = values[name]
            values[name] = [*earlier, part] if isinstance(earlier, list) else [earlier, part]
        else:
            values[name] = part
    moment = datetime.now(UTC)
    functions = {**make_ambient(lambda: moment, Random()), "kv": kv_function(place.tenant, place.namespace)}
    roots = {
        "flow": {"id": place.flow_id, "namespace": place.namespace, "revision": place.revision, "tenantId": place.tenant},
        "vars": flow.variables,
    }
    return resolve_inputs(
        flow, values, lambda inputs: Scope({**roots, "inputs": inputs}, functions), encrypt=encrypt_for(place.tenant)
    )


def _text(name: str, upload: UploadedFile[Any]) -> str:
    try:
        return bytes(upload.read()).decode()
    except UnicodeDecodeError:
        raise Invalid(f"input `{name}` is no FILE, and the upload is no UTF-8 text", code="input.invalid") from None


def kill_execution(tenant: str, execution_id: str) -> None:
    """Asks for the end of an execution. Raises ExecutionMissing, Conflict when it is over already, EngineUnavailable."""
    if is_over(find_execution(tenant, execution_id)) or not get_engine().kill(tenant, execution_id):
        row = find_execution(tenant, execution_id)
        raise Conflict(f"Execution '{execution_id}' is over ({row['state']}); there is nothing to kill", code="execution.over")


def delete_execution(tenant: str, execution_id: str, *, logs: bool = True, metrics: bool = True, files: bool = True) -> None:
    """Deletes an execution that is over. Raises ExecutionMissing, Conflict."""
    with transaction.atomic():
        row = Execution.objects.select_for_update().filter(tenant_id=tenant, id=execution_id).values().first()
        if row is None:
            raise ExecutionMissing(f"Execution '{execution_id[:100]}' not found")
        if not State(row["state"]).terminated:
            raise Conflict(f"Execution '{execution_id}' is {row['state']}; kill it before deleting it", code="execution.running")
        for model in (HandOut, Timer, TaskRun):
            model.objects.filter(tenant_id=tenant, execution_id=execution_id).delete()
        if metrics:
            Metric.objects.filter(tenant_id=tenant, execution_id=execution_id).delete()
        if logs:
            LogChunk.objects.filter(tenant_id=tenant, execution_id=execution_id).delete()
        Execution.objects.filter(tenant_id=tenant, id=execution_id).delete()
    if files:
        storage.remove_folder(tenant, storage.execution_folder(row["namespace"], row["flow_id"], execution_id))
