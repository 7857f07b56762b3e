"""What a caller knows of the world around a flow: the checks ask, whoever cannot tell answers None."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from flows.spec.model import Flow, Input


@dataclass(frozen=True, slots=True)
class KnownFlow:
    """What matters about a flow that others call. `calls`: the flows it starts itself, (namespace, id)."""

    inputs: tuple[Input, ...] = ()
    outputs: tuple[str, ...] = ()
    disabled: bool = False
    calls: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, flow: Flow) -> KnownFlow:
        """The facts of a parsed flow."""
        calls = []
        for task in flow.walk():
            namespace, flow_id = task.properties.get("namespace"), task.properties.get("flowId")
            if task.kind == "executable" and isinstance(namespace, str) and isinstance(flow_id, str):
                calls.append((namespace, flow_id))
        return cls(flow.inputs, tuple(output.id for output in flow.outputs), flow.disabled, tuple(dict.fromkeys(calls)))


class Known(Protocol):
    """Answers about what lies outside a flow. True or facts: it is there; False: it is not; None: cannot tell."""

    def secret(self, namespace: str, name: str) -> bool | None:
        """Whether `secret(name)` finds a value in a flow of that namespace."""

    def kv(self, namespace: str, key: str) -> bool | None:
        """Whether the key exists in the namespace's store."""

    def file(self, namespace: str, path: str) -> bool | None:
        """Whether the namespace has that file."""

    def flow(self, namespace: str, flow_id: str) -> KnownFlow | Literal[False] | None:
        """The flow of that id."""

    def may_call(self, namespace: str, target: str) -> bool | None:
        """Whether a flow of the first namespace may start flows of the second."""


class NothingKnown:
    """Cannot tell anything."""

    def secret(self, namespace: str, name: str) -> bool | None:
        """Cannot tell."""
        return None

    def kv(self, namespace: str, key: str) -> bool | None:
        """Cannot tell."""
        return None

    def file(self, namespace: str, path: str) -> bool | None:
        """Cannot tell."""
        return None

    def flow(self, namespace: str, flow_id: str) -> KnownFlow | Literal[False] | None:
        """Cannot tell."""
        return None

    def may_call(self, namespace: str, target: str) -> bool | None:
        """Cannot tell."""
        return None


class KnownFlows(NothingKnown):
    """Knows the flows it was given and nothing else; of others it cannot tell whether they exist."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._flows = {(flow.namespace, flow.id): KnownFlow.of(flow) for flow in flows}

    def flow(self, namespace: str, flow_id: str) -> KnownFlow | Literal[False] | None:
        """The flow, when it is among those given."""
        return self._flows.get((namespace, flow_id))
