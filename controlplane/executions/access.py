"""Executions a caller may see or touch."""

from __future__ import annotations

from typing import Any

from controlplane.accounts.access import Need, access_namespace
from controlplane.accounts.actor import Actor
from controlplane.executions.queries import find_execution


def access_execution(actor: Actor, tenant: str, execution_id: str, need: Need = Need.READ) -> dict[str, Any]:
    """The row of the execution. Raises ExecutionMissing, Forbidden."""
    row = find_execution(tenant, execution_id)
    access_namespace(actor, tenant, row["namespace"], need)
    return row
