"""The attempt a call is made for: what the table says about it, and what it may read beyond its own.

Tenant and worker come from the credential; flow, namespace and task from the hand-out's row. A message can only name an attempt,
a file, a key or a secret, and each is checked against that row. Namespaces of one tenant may read each other, as the flow
language has it unless an operator forbids it; tenants never.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import grpc
import orjson

from controlplane.executions.models import Execution, HandOut
from controlplane.files import storage
from controlplane.files.storage import FileMissing
from controlplane.fleet.enrolment import Identity
from controlplane.gateway.auth import in_thread
from controlplane.platform.errors import ApiError, Forbidden, Missing
from controlplane.triggers.models import TriggerState
from flows.errors import HeadraceError
from wire import gateway

Context = grpc.aio.ServicerContext[Any, Any]

ANCESTORS_MAX = 10
"""How far back executions that started one another are followed for a file's owner."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the table says about the attempt a call is made for."""

    tenant: str
    namespace: str
    flow_id: str
    revision: int
    execution_id: str
    task_id: str
    task_run_id: str
    of_trigger: bool = False
    """Whether it is the evaluation of a trigger; `task_id` is the trigger's id then."""


class NotYours(HeadraceError):
    """The attempt is not leased to the caller, or it asks for something that is not its own."""

    code = "lease.superseded"


async def attempt_of(executor: Executor, identity: Identity, token: gateway.AttemptToken, context: Context) -> Attempt:
    """The attempt when it is leased to the caller. Aborts the call otherwise."""
    found = await in_thread(executor, _leased, identity, token)
    if found is None:
        await context.abort(
            grpc.StatusCode.FAILED_PRECONDITION, "lease.superseded: this attempt is not leased to this worker any more"
        )
    assert found is not None
    return found


def _leased(identity: Identity, token: gateway.AttemptToken) -> Attempt | None:
    row = (
        HandOut.objects.filter(
            tenant_id=identity.tenant,
            task_run_id=token.task_run_id,
            execution_id=token.execution_id,
            attempt=token.attempt,
            lease_id=token.lease_id,
            worker_id=identity.worker_id,
        )
        .values_list("namespace", "flow_id", "flow_revision", "execution_id", "task_id", "task_run_id")
        .first()
    )
    return Attempt(identity.tenant, *row) if row is not None else _lent(identity, token)


def _lent(identity: Identity, token: gateway.AttemptToken) -> Attempt | None:
    """An evaluation of a trigger stands for an attempt: its id is the lease, and that of the execution it may start."""
    row = (
        TriggerState.objects.filter(
            tenant_id=identity.tenant,
            trigger_id=token.task_run_id,
            evaluation_id=token.lease_id,
            worker_id=identity.worker_id,
        )
        .values_list("namespace", "flow_id", "flow_revision")
        .first()
    )
    if row is None:
        return None
    return Attempt(identity.tenant, *row, token.lease_id, token.task_run_id, task_run_id="trigger", of_trigger=True)


def may_read(attempt: Attempt, uri: str) -> bool:
    """Whether a stored file is one of the attempt's execution, of one that started it or that it repeats, or of its namespace.

    Rule: tasks §1, with the namespace's own executions taken as allowed: addresses travel in keys and kept results.
    """
    if _of_namespace(attempt.namespace, uri):
        return True
    execution_id: str | None = attempt.execution_id
    seen: set[str] = set()
    while execution_id and execution_id not in seen and len(seen) < ANCESTORS_MAX:
        seen.add(execution_id)
        row = (
            Execution.objects.filter(tenant_id=attempt.tenant, id=execution_id)
            .values_list("namespace", "flow_id", "trigger", "parent_id", "original_id")
            .first()
        )
        if row is None:
            return False
        namespace, flow_id, trigger, parent_id, original_id = row
        repeated = (one for one in (execution_id, parent_id, original_id) if one)
        if any(storage.belongs_to(uri, namespace, flow_id, one) for one in repeated):
            return True
        execution_id = _started_by(trigger)
    return False


def _of_namespace(namespace: str, uri: str) -> bool:
    """Whether an address is `<namespace>/<flow>/executions/…`: a namespace below it has longer folders."""
    try:
        path = storage.path_of(uri)
    except HeadraceError:
        return False
    folder = namespace.replace(".", "/") + "/"
    return path.startswith(folder) and path.removeprefix(folder).split("/")[1:2] == ["executions"]


def _started_by(trigger: str | None) -> str | None:
    """The execution that a trigger (of another flow, or of the task that starts flows) names."""
    if not trigger:
        return None
    named = (orjson.loads(trigger).get("variables") or {}).get("executionId")
    return named if isinstance(named, str) else None


async def refuse(context: Context, error: HeadraceError) -> None:
    """Ends the call with the error's code and text, and the status that fits."""
    code = grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, Missing | FileMissing):
        code = grpc.StatusCode.NOT_FOUND
    elif isinstance(error, NotYours | Forbidden):
        code = grpc.StatusCode.PERMISSION_DENIED
    elif isinstance(error, ApiError) and error.status == 409:
        code = grpc.StatusCode.ALREADY_EXISTS
    await context.abort(code, f"{error.code}: {error}")
