"""What the engine is told. One item = one event of one execution, with the proof that whoever tells it may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from controlplane.engine.dispatch import Channel
from controlplane.engine.store import Key
from flows.machine.events import Event
from flows.machine.execution import Execution

Answer = Literal["applied", "superseded", "absent", "parked", "failed"]
"""applied: committed. superseded: the teller no longer holds the attempt. absent: no such execution. parked: the execution could
not take the event and was ended with a report. failed: nothing is stored; say it again later."""


@dataclass(frozen=True, slots=True)
class Token:
    """Names an attempt: whoever writes about it shows all of this. `tenant` comes from the credential, never from a message."""

    tenant: str
    execution_id: str
    task_run_id: str
    attempt: int
    lease_id: str


@dataclass(slots=True)
class Item:
    """One event for `key`.

    `token`: the attempt it ends (its hand-out is deleted in the same transaction; when it is gone the item is superseded).
    `holder`: the attempt it is about without ending it (checked, kept). `expired`: the token's lease must also have run out.
    `timer`: the timer it comes from (deleted in the same transaction; when it is gone the item is superseded).
    `new`: the execution to create. `channel`, `light`: whose slot the end of the attempt frees. `metrics`: rows to store with it.
    """

    key: Key
    event: Event
    token: Token | None = None
    holder: Token | None = None
    expired: bool = False
    timer: int | None = None
    new: Execution | None = None
    channel: Channel | None = None
    light: bool = False
    metrics: list[dict[str, Any]] = field(default_factory=list)
    done: Callable[[Answer], None] | None = None
    tries: int = 0
