"""What the control plane knows of the world around a flow, for the static check: secrets, keys, files and other flows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from controlplane.catalog.queries import FlowMissing, load_flow, newest_revision
from controlplane.files.models import NamespaceFile
from controlplane.kv import store
from controlplane.vault.resolver import resolve_secret
from flows.errors import HeadraceError
from flows.spec.check import KnownFlow
from flows.spec.model import Flow


class TenantKnown:
    """Answers from the tenant's own tables. `beside`: flows that are being checked together and may not be stored yet."""

    def __init__(self, tenant: str, beside: Iterable[Flow] = ()) -> None:
        self._tenant = tenant
        self._beside = {(flow.namespace, flow.id): KnownFlow.of(flow) for flow in beside}

    def secret(self, namespace: str, name: str) -> bool | None:
        """Whether the namespace, its parents, the tenant or the environment have it."""
        return resolve_secret(self._tenant, namespace, name) is not None

    def kv(self, namespace: str, key: str) -> bool | None:
        """Whether the namespace or its parents have the key now."""
        try:
            store.get(self._tenant, namespace, key, inherit=True)
        except (store.KeyMissing, store.KeyExpired):
            return False
        return True

    def file(self, namespace: str, path: str) -> bool | None:
        """Whether the namespace has that file now."""
        rows = NamespaceFile.objects.filter(tenant_id=self._tenant, namespace=namespace, path=path.strip("/"))
        return rows.filter(last=True, deleted=False, folder=False).exists()

    def flow(self, namespace: str, flow_id: str) -> KnownFlow | Literal[False] | None:
        """The newest revision; None when it is stored and can no longer be read."""
        given = self._beside.get((namespace, flow_id))
        if given is not None:
            return given
        try:
            return KnownFlow.of(
                load_flow(self._tenant, namespace, flow_id, newest_revision(self._tenant, namespace, flow_id)).flow
            )
        except FlowMissing:
            return False
        except HeadraceError:
            return None

    def may_call(self, namespace: str, target: str) -> bool | None:
        """Every namespace of the tenant may call every other."""
        return True
