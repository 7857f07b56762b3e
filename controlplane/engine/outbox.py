"""Messages between executions, and notices to parts of the control plane: stored with the step, delivered after it.

A message for an execution is consumed in the step it causes: its row is taken under that execution's lock, as a timer's is. A
notice has no execution; whoever registered for its kind is called in a transaction that takes the row. Both are delivered at once
by the process that wrote them, and by any sweeper after a crash: at least once delivered, applied once.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from controlplane.engine import rewinding, store
from controlplane.engine.items import Item
from controlplane.platform import database as databases
from controlplane.platform.database import Database, Row
from flows.machine import events
from flows.machine.events import Created, Event

log = logging.getLogger(__name__)

EVENT = "event"
"""Kind of a message that carries an event for an execution."""

BEGIN = "begin"
"""Kind of a message to an execution whose first step was left for later: {pinned}."""

RESTART = "restart"
"""Kind of a message to an execution that its parent wants restarted: {parent, taskRunId}."""

STATES = "execution.state"
"""Kind of the notice that an execution took states: {executionId, namespace, flowId, revision, kind, states}."""

STALE_US = 2_000_000
"""Age at which a message counts as forgotten by the process that wrote it."""

MESSAGES_MAX = 1_000
"""Messages delivered in one go."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as its consumer gets it. `id`: of the row, the same at every delivery."""

    tenant: str
    id: str
    kind: str
    data: Mapping[str, Any]
    at_us: int


Consumer = Callable[[Database, Notice], Callable[[], None] | None]
"""Gets a notice inside a transaction on `Database` that takes it. What it writes there is written exactly once; what it does
elsewhere must bear repetition. An exception leaves the notice to be delivered again. What it returns is called after the
commit."""

_consumers: dict[str, Consumer] = {}
_wanted: dict[str, Callable[[Database, str], bool]] = {}


def consume(kind: str, consumer: Consumer, wanted: Callable[[Database, str], bool] | None = None) -> None:
    """Registers who gets the notices of a kind. `wanted(database, tenant)` says, cheaply, whether they need be written at all."""
    _consumers[kind] = consumer
    if wanted is not None:
        _wanted[kind] = wanted


def is_consumed(database: Database, kind: str, tenant: str) -> bool:
    """Whether somebody wants the notices of this kind."""
    if kind not in _consumers:
        return False
    wanted = _wanted.get(kind)
    return wanted is None or wanted(database, tenant)


def event_payload(event: Event) -> dict[str, Any]:
    """What a message of kind EVENT carries."""
    return events.dump(event)


def delivery(row: Row) -> Item:
    """The item that a stored message causes."""
    tenant, message_id, execution_id, kind, text = row[:5]
    key, payload = (tenant, execution_id), orjson.loads(text)
    if kind == BEGIN:
        return Item(key=key, event=Created(), message=message_id, pinned=payload["pinned"])
    if kind == RESTART:
        return rewinding.restart_item(key, message_id, payload)
    return Item(key=key, event=events.load(payload), message=message_id)


def stale(database: Database, *, age_us: int = STALE_US) -> tuple[list[Item], list[Notice]]:
    """Messages and notices nobody has consumed for a while: their process is gone, or busy, which does no harm."""
    rows = database.execute(
        f"SELECT {', '.join(store.names(store.OUTBOX_ALL))} FROM outbox WHERE created_at_us <= ?"  # noqa: S608 - constants
        " ORDER BY created_at_us, seq LIMIT ?",
        (database.now_us() - age_us, MESSAGES_MAX),
    )
    return [delivery(row) for row in rows if row[2] is not None], [notice(row) for row in rows if row[2] is None]


def notice(row: Row) -> Notice:
    """The notice of a stored row."""
    return Notice(row[0], row[1], row[3], orjson.loads(row[4]), row[5])


class Courier:
    """Brings notices to their consumers, on a thread and a connection of its own: a consumer never holds up a step.

    The thread starts with the first notice.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._queue: queue.SimpleQueue[Notice | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def bring(self, notices: list[Notice]) -> None:
        """Takes notices on; returns at once."""
        if not notices:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="outbox", daemon=True)
            self._thread.start()
        for one in notices:
            self._queue.put(one)

    def stop(self) -> None:
        """Brings what was taken on, then ends the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=30)

    def _loop(self) -> None:
        connection: Database | None = None
        while (one := self._queue.get()) is not None:
            try:
                if connection is None:
                    connection = databases.connect(self._url)
                deliver(connection, one)
            except Exception:
                log.exception("notice %s (%s) was not consumed; it is brought again", one.id, one.kind)
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()


def deliver(database: Database, one: Notice) -> bool:
    """Has a notice consumed, once. False when it was before, or when nobody consumes its kind (then it is dropped)."""
    consumer = _consumers.get(one.kind)
    after: Callable[[], None] | None = None
    with database.transaction():
        if not database.take("outbox", store.OUTBOX_KEYS, [(one.tenant, one.id)])():
            return False
        if consumer is not None:
            after = consumer(database, one)
    if after is not None:
        after()
    if consumer is None:
        log.warning("nobody consumes notices of kind %s; one was dropped", one.kind)
    return consumer is not None
