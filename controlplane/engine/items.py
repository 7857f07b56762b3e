"""What the engine is told. One item = one event of one execution, with the proof that whoever tells it may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from controlplane.engine.dispatch import Channel
from controlplane.engine.store import Key
from controlplane.platform.database import Database
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


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows of another part of the control plane that must be taken in the transaction of the step, or the item is superseded.

    `take(database, values, now_us)` gets the values of all items of a batch that share it, and says for each whether it was
    taken. So a due trigger and the execution it starts are one commit, and a thousand of them are a few statements.
    """

    take: Callable[[Database, Sequence[Any], int], Sequence[bool]]
    value: Any


@dataclass(slots=True)
class Item:
    """One event for `key`.

    `token`: the attempt it ends (its hand-out is deleted in the same transaction; when it is gone the item is superseded).
    `holder`: the attempt it is about without ending it (checked, kept). `expired`: the token's lease must also have run out.
    `timer`: the timer it comes from (deleted in the same transaction; when it is gone the item is superseded).
    `claim`: what must be taken elsewhere for the item to count.
    `new`: the execution to create. `channel`, `light`: whose slot the end of the attempt frees. `metrics`: rows to store with it.
    """

    key: Key
    event: Event
    token: Token | None = None
    holder: Token | None = None
    expired: bool = False
    timer: int | None = None
    claim: Claim | None = None
    new: Execution | None = None
    channel: Channel | None = None
    light: bool = False
    metrics: list[dict[str, Any]] = field(default_factory=list)
    done: Callable[[Answer], None] | None = None
    tries: int = 0
