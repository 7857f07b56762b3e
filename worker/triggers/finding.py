"""What a trigger type gives back: a finding of one look, or events for as long as it listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from flows.errors import HeadraceError
from flows.plugins import TriggerKind, TriggerType


@dataclass(frozen=True, slots=True)
class Finding:
    """Start an execution with these variables. `after` is called once the plane has stored it: whatever must not happen for an
    execution that never came to be (a file deleted, a mark moved). A worker that dies before finds the same again: at least once.
    """

    variables: Any
    after: Callable[[], None] | None = None


class SubscriptionOver(HeadraceError):
    """The subscription is not this worker's any more: the event was not taken, and nothing more will be."""

    code = "trigger.over"


class Emit(Protocol):
    """Hands an event on and waits until it is stored; then it may be taken from its source. Raises SubscriptionOver.

    `event_id`: given by the source, the same at every repetition: an event that comes twice starts one execution.
    """

    def __call__(self, event_id: str, variables: Mapping[str, Any]) -> None:
        """One event."""


class RealtimeTrigger(TriggerType):
    """Base of trigger types that listen: one execution an event, at once, none skipped (triggers-and-conditions §4.3)."""

    kind: ClassVar[TriggerKind] = "realtime"

    def listen(self, context: Any, emit: Emit, stopped: threading.Event) -> None:
        """Runs in a thread of its own until `stopped`, emitting events one after the other.

        Raises when the source breaks off: a FAILED execution says so, and the subscription is begun anew.
        """
        raise NotImplementedError(f"{self.type} does not listen")
