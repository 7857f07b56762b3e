"""What entitles those who tell the engine something: tokens, timers and messages are taken in the step itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from controlplane.engine import store
from controlplane.engine.items import Item, Token
from controlplane.platform.database import Database

Take = Callable[[Database, Sequence[Any], int], Sequence[bool]]


class Proofs:
    """The proofs of a batch: tokens and timers taken, holders found. Asked for at once, read when the lock is there."""

    def __init__(self, database: Database, items: list[Item]) -> None:
        self._database = database
        self._items = items
        self.ended: set[str] = set()
        """Task runs whose hand-out was deleted with the token that proved it."""
        self._ending = {id(item): token_row(item.token) for item in items if item.token is not None and not item.expired}
        self._holding = {id(item): token_row(item.holder) for item in items if item.holder is not None}
        timers = [(item.timer,) for item in items if item.timer is not None]
        messages = [(item.key[0], item.message) for item in items if item.message is not None]
        # Looked for before anything is taken: what an attempt tells and its end may come in one batch.
        self._held = database.select(
            "hand_out", store.names(store.HAND_OUT_TOKEN), store.HAND_OUT_TOKEN, list(dict.fromkeys(self._holding.values()))
        )
        self._taken = database.take("hand_out", store.HAND_OUT_TOKEN, list(dict.fromkeys(self._ending.values())))
        self._fired = database.take("timer", (("id", "bigint"),), list(dict.fromkeys(timers)))
        self._arrived = database.take("outbox", store.OUTBOX_KEYS, list(dict.fromkeys(messages)))

    def refused(self, now: int) -> set[int]:
        """Ids of the items that prove nothing: the attempt is no longer the teller's, the timer or message was already taken."""
        taken = {tuple(row) for row in self._taken()}
        held = {tuple(row) for row in self._held()}
        fired = {row[0] for row in self._fired()}
        arrived = {(row[0], row[1]) for row in self._arrived()}
        self.ended.update(row[1] for row in taken)
        refused: set[int] = set()
        for item in self._items:
            key = id(item)
            if key in self._ending:
                if self._ending[key] not in taken:
                    refused.add(key)
                taken.discard(self._ending[key])  # the same result twice in one batch: the second proves nothing
            elif key in self._holding:
                if self._holding[key] not in held:
                    refused.add(key)
            elif item.timer is not None:
                if item.timer not in fired:
                    refused.add(key)
                fired.discard(item.timer)
            elif item.message is not None:
                if (item.key[0], item.message) not in arrived:
                    refused.add(key)
                arrived.discard((item.key[0], item.message))
            elif (item.expired and item.token is not None and not self._expired(item.token, now)) or (
                item.unleased is not None and not self._unleased(item.key[0], *item.unleased)
            ):
                refused.add(key)
        return refused | self._unclaimed(refused, now)

    def _unclaimed(self, refused: set[int], now: int) -> set[int]:
        """Ids of the items whose claim was not taken; those that prove nothing anyway claim nothing."""
        groups: dict[Take, list[Item]] = {}
        for item in self._items:
            if item.claim is not None and id(item) not in refused:
                groups.setdefault(item.claim.take, []).append(item)
        found: set[int] = set()
        for take, items in groups.items():
            taken = take(self._database, [item.claim.value for item in items if item.claim is not None], now)
            found.update(id(item) for item, granted in zip(items, taken, strict=True) if not granted)
        return found

    def _expired(self, token: Token, now: int) -> bool:
        """Deletes the hand-out if its lease has run out by the database's clock; a lease renewed in the last instant wins."""
        return bool(
            self._database.execute(
                "DELETE FROM hand_out WHERE tenant_id = ? AND task_run_id = ? AND execution_id = ? AND attempt = ?"
                " AND lease_id = ? AND lease_until_us < ? RETURNING task_run_id",
                (*token_row(token), now),
            )
        )

    def _unleased(self, tenant: str, run_id: str, attempt: int) -> bool:
        """Deletes the hand-out if it still waits; a worker that came in the last instant wins."""
        return bool(
            self._database.execute(
                "DELETE FROM hand_out WHERE tenant_id = ? AND task_run_id = ? AND attempt = ? AND lease_id IS NULL"
                " RETURNING task_run_id",
                (tenant, run_id, attempt),
            )
        )


def token_row(token: Token) -> tuple[str, str, str, int, str]:
    """Values of HAND_OUT_TOKEN."""
    return (token.tenant, token.task_run_id, token.execution_id, token.attempt, token.lease_id)
