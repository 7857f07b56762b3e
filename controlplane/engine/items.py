"""What the engine is told. One item = one event of one execution, with the proof that whoever tells it may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from controlplane.engine.dispatch import Channel
from controlplane.engine.store import Key
from controlplane.platform.database import Database
from flows.machine.effects import Effects
from flows.machine.events import Event
from flows.machine.execution import Execution, TaskRun
from flows.machine.states import State
from flows.machine.world import World

Answer = Literal["applied", "superseded", "refused", "absent", "parked", "failed"]
"""applied: committed. superseded: the teller no longer holds the attempt. refused: the execution stands in a state that does not
allow it, or the command itself says no (`Item.refusal`). absent: no such execution. parked: the execution could not take the
event and was ended with a report. failed: nothing is stored; say it again later."""


@dataclass(frozen=True, slots=True)
class Token:
    """Names an attempt: whoever writes about it shows all of this. `tenant` comes from the credential, never from a message."""

    tenant: str
    execution_id: str
    task_run_id: str
    attempt: int
    lease_id: str


Rewind = Callable[[Execution, list[TaskRun], World, Effects], tuple[Execution, Effects] | None]
"""(execution, all its task runs in order, world, effects) → a new execution that comes of it, with its effects.

Raises HeadraceError, before it changes anything, when there is nothing to do it to.
"""


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
    `timer`, `message`: the timer or the message it comes from (deleted in the same transaction; when it is gone the item is
    superseded). `unleased`: the hand-out (task run, attempt) that must still wait for a worker; it is deleted.
    `claim`: what must be taken elsewhere for the item to count. `new`: the execution to create; `once`: unless it exists;
    `pinned`: its revision may not be the newest, so the newest one's limit must be looked up.
    `states`: the states it is allowed in; None = any. `rewinds`: a command over all task runs, carried out instead of `event`;
    `asked_by`: the task run (execution, task run, index) that hears of it when it cannot be.
    `channel`, `light`: whose slot the end of the attempt frees. `metrics`: rows to store with it.
    """

    key: Key
    event: Event
    token: Token | None = None
    holder: Token | None = None
    expired: bool = False
    timer: int | None = None
    message: str | None = None
    unleased: tuple[str, int] | None = None
    claim: Claim | None = None
    new: Execution | None = None
    once: bool = False
    pinned: bool = False
    states: frozenset[State] | None = None
    rewinds: Rewind | None = None
    asked_by: tuple[str, str, int | None] | None = None
    channel: Channel | None = None
    light: bool = False
    metrics: list[dict[str, Any]] = field(default_factory=list)
    done: Callable[[Answer], None] | None = None
    tries: int = 0
    refusal: str | None = None
    refusal_code: str = "execution.state"
    """Set with the answer `refused`: why."""
