"""Flows as the engine asks for them: one revision, parsed, from the cache of `queries`."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError, connection

from controlplane.catalog.queries import load_flow
from flows.spec.model import Flow


def flow_of(tenant: str, namespace: str, flow_id: str, revision: int) -> Flow:
    """The parsed flow. Raises FlowMissing, FlowInvalid.

    The engine's thread lives outside requests, so a connection that broke is replaced here, once.
    """
    try:
        return load_flow(tenant, namespace, flow_id, revision).flow
    except (OperationalError, InterfaceError):
        connection.close()
        return load_flow(tenant, namespace, flow_id, revision).flow
