"""Starting executions. What is done to those that exist is in `commands`, their deletion in `deletion`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.accounts.actor import Actor
from controlplane.catalog.queries import label_list, load_flow, newest_revision
from controlplane.engine import NewExecution, start_execution
from controlplane.executions.inputs import Given, Place, looked_at_inputs, place_of, typed_inputs
from controlplane.executions.serialise import created_execution
from controlplane.platform.clock import now_us
from controlplane.platform.errors import Conflict, Invalid
from flows.expressions import Scope
from flows.machine.context import labels_map
from flows.spec.checks import FailedCheck, failing_checks
from flows.spec.model import Flow
from wire.ids import new_id

KINDS = frozenset({"NORMAL", "TEST", "PLAYGROUND"})
"""Kinds a caller may give; LOOP is the machine's own."""


class FlowDisabled(Conflict):
    """The flow is switched off."""

    code = "flow.disabled"


class CheckBlocked(Invalid):
    """A check of the flow does not hold, and says that nothing may be created then."""

    code = "flow.check"


@dataclass(frozen=True, slots=True)
class Started:
    """A new execution: its id and the body that answers its creation."""

    execution_id: str
    body: dict[str, Any]


def create_execution(
    actor: Actor,
    tenant: str,
    namespace: str,
    flow_id: str,
    *,
    given: Given = (),
    labels: Sequence[dict[str, str]] = (),
    revision: int | None = None,
    schedule_at_us: int | None = None,
    breakpoints: Sequence[str] = (),
    kind: str | None = None,
) -> Started:
    """Starts an execution; it is stored when this returns. Raises FlowMissing, FlowDisabled, InputInvalid, CheckBlocked,
    EngineUnavailable.

    `given`: parts of a form (texts and uploads), or values by input id. `schedule_at_us`: it stays CREATED until then.
    """
    newest = newest_revision(tenant, namespace, flow_id)
    loaded = load_flow(tenant, namespace, flow_id, revision or newest)
    flow = loaded.flow
    if flow.disabled:
        raise FlowDisabled(f"Flow '{namespace}.{flow_id}' is disabled; enable it to run it")
    execution_id = new_id()
    place = place_of(tenant, flow, loaded.revision, execution_id)
    inputs = typed_inputs(flow.inputs, given, place)
    all_labels = labels_of(flow, labels, execution_id, actor)
    failed = _failed_checks(flow, inputs, all_labels, place)
    blocked = next((one for one in failed if one.check.behavior == "BLOCK_EXECUTION"), None)
    if blocked is not None:
        raise CheckBlocked(str(blocked), errors=[_check_row(one) for one in failed])
    refused = next((one for one in failed if one.check.behavior == "FAIL_EXECUTION"), None)
    at_us = now_us()
    new = NewExecution(
        tenant=tenant,
        namespace=namespace,
        flow_id=flow_id,
        revision=loaded.revision,
        inputs=inputs,
        labels=all_labels,
        execution_id=execution_id,
        kind=known_kind(kind),
        schedule_at_us=schedule_at_us,
        breakpoints=tuple(breakpoints),
        cause={"kind": "api", "by": actor.username},
        pinned=loaded.revision != newest,
        fails={"code": "flow.check", "message": str(refused)} if refused is not None else None,
    )
    start_execution(new)
    body = created_execution(tenant, namespace, flow_id, loaded.revision, execution_id, at_us, inputs, all_labels, None, new)
    if failed:
        body["checks"] = [_check_row(one) for one in failed]
    return Started(execution_id, body)


def known_kind(kind: str | None) -> str:
    """The kind of a new execution. Raises Invalid."""
    found = (kind or "NORMAL").upper()
    if found not in KINDS:
        raise Invalid(f"kind must be one of {', '.join(sorted(KINDS))}, not {found[:40]!r}", code="execution.kind")
    return found


def validate_inputs(
    actor: Actor,
    tenant: str,
    namespace: str,
    flow_id: str,
    given: Given,
    labels: Sequence[dict[str, str]] = (),
    revision: int | None = None,
) -> dict[str, Any]:
    """What a start with these values would make of inputs and checks. Nothing is stored. Raises FlowMissing."""
    loaded = load_flow(tenant, namespace, flow_id, revision or newest_revision(tenant, namespace, flow_id))
    flow = loaded.flow
    place = place_of(tenant, flow, loaded.revision, new_id())
    rows = looked_at_inputs(flow.inputs, given, place)
    checks: list[dict[str, Any]] = []
    if not any(row["errors"] for row in rows):
        inputs = {row["input"]["id"]: row.get("value") for row in rows if row["enabled"]}
        checks = [_check_row(one) for one in _failed_checks(flow, inputs, labels_of(flow, labels, "", actor), place)]
    return {"id": flow_id, "namespace": namespace, "inputs": rows, "checks": checks}


def _failed_checks(flow: Flow, inputs: Mapping[str, Any], labels: list[dict[str, str]], place: Place) -> tuple[FailedCheck, ...]:
    if not flow.checks:
        return ()
    found = place.scope(inputs)
    return failing_checks(flow.checks, Scope({**found.variables, "labels": labels_map(labels)}, found.functions))


def _check_row(one: FailedCheck) -> dict[str, Any]:
    return {"message": one.check.message, "style": one.check.style, "behavior": one.check.behavior}


def labels_of(flow: Flow, given: Sequence[dict[str, str]], execution_id: str, actor: Actor) -> list[dict[str, str]]:
    """Labels of the flow, over them the caller's, and the system's own."""
    found = {label["key"]: label["value"] for label in (*label_list(flow.labels), *given)}
    found.setdefault("system.correlationId", execution_id)
    found["system.username"] = actor.username
    return [{"key": key, "value": value} for key, value in found.items()]
