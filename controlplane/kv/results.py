"""Results of tasks with `taskCache`: kept by the digest of their rendered properties, given back while young enough."""

from __future__ import annotations

from controlplane.kv.models import CachedResult
from controlplane.platform.clock import now_us

KEPT_US = 90 * 24 * 3600 * 1_000_000
"""How long a result is kept for tasks that set no `ttl`."""


def find(
    tenant: str, namespace: str, flow_id: str, task_id: str, digest: str, ttl_us: int | None
) -> tuple[str, str | None] | None:
    """State and outputs (JSON text) of an earlier run that is younger than `ttl_us`, or None."""
    row = CachedResult.objects.filter(
        tenant_id=tenant,
        namespace=namespace,
        flow_id=flow_id,
        task_id=task_id,
        digest=digest,
        stored_at_us__gt=now_us() - (KEPT_US if ttl_us is None else ttl_us),
    ).first()
    return None if row is None else (row.state, row.outputs)


def keep(tenant: str, namespace: str, flow_id: str, task_id: str, digest: str, state: str, outputs: str | None) -> None:
    """Keeps a result; those of the same task that are older than anybody asks for go."""
    mine = {"tenant_id": tenant, "namespace": namespace, "flow_id": flow_id, "task_id": task_id}
    now = now_us()
    CachedResult.objects.filter(**mine, stored_at_us__lt=now - KEPT_US).delete()
    CachedResult.objects.bulk_create(
        [CachedResult(**mine, digest=digest, state=state, outputs=outputs, stored_at_us=now)],
        update_conflicts=True,
        unique_fields=["tenant_id", "namespace", "flow_id", "task_id", "digest"],
        update_fields=["state", "outputs", "stored_at_us"],
    )
