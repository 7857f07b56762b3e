"""What triggers are told about the flow they start and about the execution that may start it. Plain values, no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from flows.machine.context import labels_map
from flows.spec.model import Flow, Trigger

CORRELATION = "system.correlationId"
"""The label a whole chain of executions shares (triggers-and-conditions trap 23)."""


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """The flow a trigger belongs to, at its latest revision. `labels` without the platform's own (`system.*`)."""

    namespace: str
    id: str
    revision: int = 1
    tenant: str = "main"
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    disabled: bool = False

    @classmethod
    def of(cls, flow: Flow, revision: int = 1, tenant: str = "main") -> FlowFacts:
        """The facts of a flow that has been read."""
        own = {key: value for key, value in flow.labels.items() if not key.startswith("system.")}
        return cls(flow.namespace, flow.id, revision, tenant, own, flow.variables, flow.disabled or flow.draft)

    def roots(self) -> dict[str, Any]:
        """The variables `flow`, `labels` and `vars` of a template."""
        flow = {"id": self.id, "namespace": self.namespace, "revision": self.revision, "tenantId": self.tenant}
        return {"flow": flow, "labels": dict(self.labels), "vars": dict(self.variables)}


@dataclass(frozen=True, slots=True)
class UpstreamExecution:
    """An execution that changed its state, as a Flow trigger sees it.

    `labels`: all of them, the platform's own included; a later entry of two equal keys is ignored. `outputs`: of the flow; None
    when it has none yet. `attempts`: for each task run the states of its attempts, oldest first. `kind`: NORMAL, TEST or LOOP.
    """

    id: str
    namespace: str
    flow_id: str
    state: str
    revision: int = 1
    tenant: str = "main"
    labels: Sequence[Mapping[str, str]] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    attempts: Sequence[Sequence[str]] = ()
    started_at: datetime | None = None
    kind: str = "NORMAL"
    change: str = ""
    """Which change of state this is, when a state may be reached again (after a restart), e.g. its number in the history."""

    def label(self, key: str) -> str | None:
        """The value of a label, or None."""
        return next((one["value"] for one in self.labels if one["key"] == key), None)

    @property
    def correlation_id(self) -> str:
        """What the executions it causes carry on: its own correlation, or itself as the root of a chain."""
        return self.label(CORRELATION) or self.id

    @property
    def has_retry_attempt(self) -> bool:
        """Whether some task run took more than one attempt."""
        return any(len(states) > 1 for states in self.attempts)

    def roots(self) -> dict[str, Any]:
        """The variables of the execution for templates; there is no `trigger` and no `taskrun` of it."""
        execution: dict[str, Any] = {"id": self.id, "state": self.state}
        if self.started_at is not None:
            execution["startDate"] = iso(self.started_at)
        flow = {"id": self.flow_id, "namespace": self.namespace, "revision": self.revision, "tenantId": self.tenant}
        roots: dict[str, Any] = {"flow": flow, "execution": execution, "labels": labels_map([dict(one) for one in self.labels])}
        if self.inputs:
            roots["inputs"] = dict(self.inputs)
        if self.outputs is not None:
            roots["outputs"] = dict(self.outputs)
        if self.variables:
            roots["vars"] = dict(self.variables)
        return roots


def iso(at: datetime, zone: tzinfo | None = None) -> str:
    """An instant as templates get it: `2024-01-31T00:00:00+01:00`, in the given zone; `Z` stands for UTC."""
    zoned = at.astimezone(zone) if zone is not None else at
    text = zoned.isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def trigger_key(flow: FlowFacts, trigger: Trigger) -> str:
    """What names a trigger inside a tenant: `namespace/flow/trigger`."""
    return f"{flow.namespace}/{flow.id}/{trigger.id}"


def due_key(key: str, due_at: datetime, backfill: str = "") -> str:
    """The identity of one firing: it exists once, whatever is repeated, so a database makes it unique (with the tenant).

    A backfill runs instants that may have fired before: its own id keeps its firings apart from the regular ones.
    """
    at = due_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{key}@{at}" + (f"#{backfill}" if backfill else "")
