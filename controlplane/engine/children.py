"""Executions that executions start. What a child looks like is composed by the language; here its flow is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controlplane.engine.concurrency import FlowKey
from flows.expressions import Scope
from flows.machine.children import child_execution
from flows.machine.effects import ChildWanted
from flows.machine.execution import Execution
from flows.spec.model import Flow

if TYPE_CHECKING:
    from controlplane.engine.batch import Batch


def compose(batch: Batch, parent: Execution, wanted: ChildWanted) -> tuple[Execution, Flow, bool]:
    """The child execution, its flow, and whether its revision is pinned. Raises HeadraceError when it cannot be created."""
    if wanted.kind == "LOOP":
        flow, revision, pinned = batch.flow_of((parent.tenant, parent.id), parent), parent.revision, True
    else:
        key: FlowKey = (parent.tenant, wanted.namespace, wanted.flow_id)
        revision, flow = batch.newest(key)
        pinned = wanted.revision is not None and wanted.revision != revision
        if wanted.revision is not None and pinned:
            revision = wanted.revision
            flow = batch.advance.load_flow(*key, revision)
    world = batch.world(parent.tenant, flow)
    roots = {
        "flow": {"id": wanted.flow_id, "namespace": wanted.namespace, "revision": revision, "tenantId": parent.tenant},
        "vars": flow.variables,
    }

    def scope(inputs: Mapping[str, Any]) -> Scope:
        return Scope({**roots, "inputs": inputs}, world.functions)

    return child_execution(wanted, parent, flow, revision, batch.now, scope, world.encrypt), flow, pinned
