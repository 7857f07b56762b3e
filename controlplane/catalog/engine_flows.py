"""Flows for the engine: a revision, parsed, from the cache of `queries`; and which revision is the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from controlplane.catalog.queries import load_flow
from flows.spec.model import Flow

T = TypeVar("T")


def flow_of(tenant: str, namespace: str, flow_id: str, revision: int) -> Flow:
    """The parsed flow. Raises FlowMissing, FlowInvalid."""
    return _again(lambda: load_flow(tenant, namespace, flow_id, revision).flow)


def newest_of(tenant: str, namespace: str, flow_id: str) -> tuple[int, Flow]:
    """Number of the newest revision, and the flow. Raises FlowMissing, FlowDraft, FlowInvalid."""
    loaded = _again(lambda: load_flow(tenant, namespace, flow_id, None))
    return loaded.revision, loaded.flow


def _again(look: Callable[[], T]) -> T:
    """The engine's thread lives outside requests, so a connection that broke is replaced here, once."""
    try:
        return look()
    except (OperationalError, InterfaceError):
        connection.close()
        return look()
