"""May this actor do that here? Look-up is authorisation: views get at anything only through `access_…` functions.

Today there is one kind of user, the instance owner of the setup, who may do everything. Roles bound at tenants and
namespaces arrive behind the same functions.
"""

from __future__ import annotations

import time
from enum import StrEnum

from controlplane.accounts.actor import Actor
from controlplane.platform.errors import Forbidden, Missing
from controlplane.platform.identifiers import TENANT
from controlplane.tenants.models import Tenant

TENANT_MEMORY_SECONDS = 5.0
"""How long the existence of a tenant is remembered. Absence is not."""

_known: dict[str, float] = {}


class Need(StrEnum):
    """What is going to be done."""

    READ = "READ"
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    EXECUTE = "EXECUTE"


def access_tenant(actor: Actor, tenant: str) -> None:
    """The tenant exists and the actor belongs to it. Raises Missing, Forbidden."""
    if _known.get(tenant, 0.0) < time.monotonic():
        if TENANT.fullmatch(tenant) is None or not Tenant.objects.filter(id=tenant).exists():
            raise Missing(f"tenant '{tenant[:100]}' not found", code="tenant.missing")
        _known[tenant] = time.monotonic() + TENANT_MEMORY_SECONDS
    if not actor.instance_owner:
        raise Forbidden(f"no access to tenant '{tenant}'")


def access_namespace(actor: Actor, tenant: str, namespace: str, need: Need) -> None:
    """Things of a namespace. Raises Missing, Forbidden."""
    access_tenant(actor, tenant)


def forget_tenants() -> None:
    """Call after a tenant is deleted."""
    _known.clear()
