"""A wanted child execution → the execution, composed from its parent and its flow (execution-semantics §7.1, flow-language §3).

Shared by every host: the engine stores what this gives, the simulator keeps it in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.errors import HeadraceError
from flows.machine.effects import ChildWanted
from flows.machine.execution import Execution
from flows.machine.states import State
from flows.spec.input_types import Encrypt
from flows.spec.inputs import ScopeFactory, resolve_inputs
from flows.spec.model import Flow

CORRELATION = "system.correlationId"


class ChildImpossible(HeadraceError):
    """The child's flow cannot be started: it is missing or disabled."""

    code = "subflow.impossible"


def child_execution(
    wanted: ChildWanted,
    parent: Execution,
    flow: Flow,
    revision: int,
    now: int,
    scope_factory: ScopeFactory,
    encrypt: Encrypt | None = None,
) -> Execution:
    """The child in CREATED, its inputs checked and typed. `flow`: the child's, in that revision; of a Loop the parent's own.

    Raises ChildImpossible when the flow is disabled, InputInvalid when an input does not fit.
    """
    if wanted.kind == "LOOP":
        return _iteration(wanted, parent, now)
    if flow.disabled:
        raise ChildImpossible(f"flow {wanted.namespace}.{wanted.flow_id} is disabled; enable it to run it", code="flow.disabled")
    inputs = resolve_inputs(flow, wanted.inputs, scope_factory, encrypt=encrypt) if flow.inputs else {}
    variables = {
        "executionId": parent.id,
        "namespace": parent.namespace,
        "flowId": parent.flow_id,
        "flowRevision": parent.revision,
    }
    return Execution(
        tenant=parent.tenant,
        id=wanted.id,
        namespace=wanted.namespace,
        flow_id=wanted.flow_id,
        revision=revision,
        state=State.CREATED,
        history=[(State.CREATED.value, now)],
        created_at=now,
        inputs=inputs,
        labels=_labels(wanted, parent, flow.labels),
        trigger={"id": wanted.task_id, "type": wanted.task_type, "variables": variables},
        original_id=wanted.id,
        kind=parent.kind if parent.kind == "TEST" else "NORMAL",
        schedule_at=wanted.schedule_at,
        cause=_cause(wanted, parent, "item" if wanted.kind == "ITEM" else "subflow"),
        started_by=parent.id,
        waiter=(parent.id, wanted.task_run_id, wanted.index) if wanted.wait else None,
    )


def _iteration(wanted: ChildWanted, parent: Execution, now: int) -> Execution:
    return Execution(
        tenant=parent.tenant,
        id=wanted.id,
        namespace=parent.namespace,
        flow_id=parent.flow_id,
        revision=parent.revision,
        state=State.CREATED,
        history=[(State.CREATED.value, now)],
        created_at=now,
        inputs=dict(parent.inputs),
        labels=list(parent.labels),
        variables=dict(parent.variables),
        trigger=parent.trigger,
        original_id=wanted.id,
        kind="LOOP",
        cause=_cause(wanted, parent, "loop"),
        started_by=parent.id,
        waiter=(parent.id, wanted.task_run_id, wanted.index),
        loop={"taskId": wanted.task_id, "item": wanted.item or {}, "outputs": wanted.outputs or {}},
    )


def _cause(wanted: ChildWanted, parent: Execution, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": kind,
        "executionId": parent.id,
        "namespace": parent.namespace,
        "flowId": parent.flow_id,
        "taskId": wanted.task_id,
        "taskRunId": wanted.task_run_id,
    }
    if wanted.index is not None:
        found["index"] = wanted.index
    return found


def _labels(wanted: ChildWanted, parent: Execution, own: Mapping[str, str]) -> list[dict[str, str]]:
    """The child flow's own, the parent's (all, or its system ones), those of the task; the later one wins."""
    found = {key: value for key, value in own.items() if not key.startswith("system.")}
    found.update(
        (label["key"], label["value"]) for label in parent.labels if wanted.inherit_labels or label["key"].startswith("system.")
    )
    found.update(wanted.labels)
    found.setdefault(CORRELATION, wanted.id)
    return [{"key": key, "value": value} for key, value in found.items()]


def rerun_of(execution: Execution, new_id: str, now: int, *, cause: str, by: str | None = None) -> Execution:
    """A new execution like this one, from scratch: same flow revision, inputs, labels, trigger (execution-semantics §9.2, §11.2).

    `cause`: "retry" for the retry behaviour CREATE_NEW_EXECUTION (whoever waits for the old one waits for the new one), else
    "replay".
    """
    why: dict[str, Any] = {"kind": cause, "executionId": execution.id}
    if by is not None:
        why["by"] = by
    return Execution(
        tenant=execution.tenant,
        id=new_id,
        namespace=execution.namespace,
        flow_id=execution.flow_id,
        revision=execution.revision,
        state=State.CREATED,
        history=[(State.CREATED.value, now)],
        created_at=now,
        inputs=dict(execution.inputs),
        labels=list(execution.labels),
        trigger=execution.trigger,
        parent_id=execution.id,
        original_id=execution.original_id or execution.id,
        kind=execution.kind,
        cause=why,
        started_by=execution.started_by if cause == "retry" else None,
        waiter=execution.waiter if cause == "retry" else None,
        loop=execution.loop,
        attempt_number=execution.attempt_number + 1,
        first_created_at=execution.first_created_at or execution.created_at,
    )
