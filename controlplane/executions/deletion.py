"""Deleting executions, with what they left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from controlplane.engine import get_engine
from controlplane.executions.commands import kill
from controlplane.executions.models import Execution, HandOut, Metric, Outbox, TaskRun, Timer
from controlplane.executions.queries import ExecutionMissing
from controlplane.files import storage
from controlplane.logs.models import LogChunk
from controlplane.platform.errors import Conflict
from flows.machine.states import State

DELETED_MAX = 200
"""Executions deleted in one transaction."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What goes with an execution."""

    logs: bool = True
    metrics: bool = True
    files: bool = True


def delete_execution(tenant: str, execution_id: str, leftovers: Leftovers) -> None:
    """Deletes an execution that is over. Raises ExecutionMissing, Conflict."""
    if not _delete(tenant, [execution_id], leftovers):
        raise ExecutionMissing(f"Execution '{execution_id[:100]}' not found")


def delete_executions(tenant: str, ids: Sequence[str], leftovers: Leftovers, *, open_too: bool = False) -> int:
    """Deletes many; returns how many. `open_too`: those that are not over are killed first, else they raise Conflict."""
    count = 0
    for start in range(0, len(ids), DELETED_MAX):
        some = ids[start : start + DELETED_MAX]
        if open_too:
            get_engine().call_all([kill((tenant, execution_id), cascade=False) for execution_id in some])
        count += _delete(tenant, some, leftovers)
    return count


def _delete(tenant: str, ids: Sequence[str], leftovers: Leftovers) -> int:
    with transaction.atomic():
        rows = list(
            Execution.objects.select_for_update()
            .filter(tenant_id=tenant, id__in=ids)
            .order_by("tenant_id", "id")  # as the engine locks them
            .values("id", "namespace", "flow_id", "state")
        )
        for row in rows:
            if not State(row["state"]).terminated:
                raise Conflict(f"Execution '{row['id']}' is {row['state']}; kill it before deleting it", code="execution.running")
        found = [row["id"] for row in rows]
        for model in (HandOut, Timer, TaskRun, Outbox):
            model.objects.filter(tenant_id=tenant, execution_id__in=found).delete()
        if leftovers.metrics:
            Metric.objects.filter(tenant_id=tenant, execution_id__in=found).delete()
        if leftovers.logs:
            LogChunk.objects.filter(tenant_id=tenant, execution_id__in=found).delete()
        Execution.objects.filter(tenant_id=tenant, id__in=found).delete()
    if leftovers.files:
        for row in rows:
            storage.remove_folder(tenant, storage.execution_folder(row["namespace"], row["flow_id"], row["id"]))
    return len(rows)
