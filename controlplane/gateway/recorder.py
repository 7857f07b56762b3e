"""Writes what does not concern the state of executions: log chunks and lease renewals, in transactions of their own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import orjson

from controlplane.engine.advance import LEASE_SECONDS
from controlplane.logs.store import CHUNK_LINES_MAX, Chunk, write_chunks
from controlplane.platform import database
from controlplane.platform.wakeups import Hub

log = logging.getLogger(__name__)

BATCH_MAX = 200
"""Records of one transaction."""

ATTEMPTS_REMEMBERED_MAX = 10_000
"""Attempts whose next line number is held in memory; for others the table is asked once."""


@dataclass(slots=True)
class Record:
    """Log chunks to store, or leases to extend; `done` hears of the commit on the recorder's thread.

    A chunk without a task id is of an attempt that is over: it is stored when that attempt was this worker's.
    """

    tenant: str
    worker_id: str
    chunks: list[Chunk] = field(default_factory=list)
    lease_ids: list[str] = field(default_factory=list)
    done: Callable[[], None] | None = None


class Recorder:
    """A thread with a connection of its own. What arrives during one transaction makes the next."""

    def __init__(self, url: str, hub: Hub) -> None:
        self._url = url
        self._hub = hub
        self._queue: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="recorder", daemon=True)
        self._next_lines: OrderedDict[tuple[str, int], int] = OrderedDict()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Writes what is queued, then ends the thread."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def submit(self, record: Record) -> None:
        """Queues a record."""
        self._queue.put(record)

    def _loop(self) -> None:
        connection: database.Database | None = None
        pending: list[Record] = []
        stopping = False
        while True:
            if not pending:
                first = self._queue.get()
                stopping = stopping or first is None
                if first is not None:
                    pending.append(first)
                while len(pending) < BATCH_MAX and not self._queue.empty():
                    record = self._queue.get()
                    stopping = stopping or record is None
                    if record is not None:
                        pending.append(record)
            try:
                if connection is None:
                    connection = database.connect(self._url)
                self._write(connection, pending)
                pending = []
                if stopping:
                    connection.close()
                    return
            except Exception:
                log.exception("storing logs or renewing leases failed; it is tried again")
                if stopping:
                    return
                connection = None
                time.sleep(0.5)

    def _write(self, connection: database.Database, records: list[Record]) -> None:
        chunks = [chunk for record in records for chunk in self._known(connection, record)]
        try:
            fresh = [chunk for chunk in (self._unseen(connection, chunk) for chunk in chunks) if chunk is not None]
            if fresh:
                write_chunks(connection, _joined(fresh))
        except BaseException:
            # What was noted as seen is not stored: the next try must not take it for a repetition.
            self._next_lines.clear()
            raise
        leases = [(record.tenant, record.worker_id, lease) for record in records for lease in record.lease_ids]
        if leases:
            until = connection.now_us() + LEASE_SECONDS * 1_000_000
            keys = (("tenant_id", "text"), ("worker_id", "text"), ("lease_id", "text"))
            with connection.transaction():
                connection.update("hand_out", keys, (("lease_until_us", "bigint"),), [(*lease, until) for lease in leases])
        for record in records:
            if record.done is not None:
                record.done()
        self._hub.publish_many({(chunk.tenant, chunk.execution_id) for chunk in chunks})

    def _known(self, connection: database.Database, record: Record) -> list[Chunk]:
        """The record's chunks, with the task ids of ended attempts looked up; those of other workers are dropped."""
        found = []
        for chunk in record.chunks:
            if chunk.task_id:
                found.append(chunk)
                continue
            task_id = self._ended_here(connection, chunk, record.worker_id)
            if task_id is not None:
                found.append(replace(chunk, task_id=task_id))
        return found

    def _ended_here(self, connection: database.Database, chunk: Chunk, worker_id: str) -> str | None:
        """The task of an ended attempt when it was this worker's, or when it ran below one of its attempts; else None."""
        own = "SELECT task_id, attempts, parent_id FROM task_run WHERE tenant_id = ? AND execution_id = ? AND id = ?"
        rows = connection.execute(own, (chunk.tenant, chunk.execution_id, chunk.task_run_id))
        for task_id, attempts, parent_id in rows:
            tried = orjson.loads(attempts)
            if 0 < chunk.attempt <= len(tried) and tried[chunk.attempt - 1]["workerId"] == worker_id:
                return str(task_id)
            for _, above, _ in connection.execute(own, (chunk.tenant, chunk.execution_id, parent_id)) if parent_id else ():
                if any(attempt["workerId"] == worker_id for attempt in orjson.loads(above)):
                    return str(task_id)
        return None

    def _unseen(self, connection: database.Database, chunk: Chunk) -> Chunk | None:
        """The lines of a batch that are not stored yet: after a cut a worker sends again what was not acknowledged."""
        key = (chunk.task_run_id, chunk.attempt)
        following = self._next_lines.pop(key, None)
        if following is None:
            rows = connection.execute(
                "SELECT max(first + count) FROM log_chunk"
                " WHERE tenant_id = ? AND execution_id = ? AND task_run_id = ? AND attempt = ?",
                (chunk.tenant, chunk.execution_id, chunk.task_run_id, chunk.attempt),
            )
            following = rows[0][0] or 0
        known = min(max(0, following - chunk.first), len(chunk.lines))
        self._next_lines[key] = max(following, chunk.first + len(chunk.lines))
        if len(self._next_lines) > ATTEMPTS_REMEMBERED_MAX:
            self._next_lines.popitem(last=False)
        if known == len(chunk.lines):
            return None
        first = chunk.first + known
        return Chunk(
            chunk.tenant, chunk.execution_id, chunk.task_run_id, chunk.task_id, chunk.attempt, first, chunk.lines[known:]
        )


def _joined(chunks: list[Chunk]) -> list[Chunk]:
    """Neighbouring small batches of one attempt become one chunk: fewer rows, better compression."""
    joined: list[Chunk] = []
    for chunk in chunks:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.task_run_id == chunk.task_run_id
            and last.attempt == chunk.attempt
            and last.first + len(last.lines) == chunk.first
            and len(last.lines) + len(chunk.lines) <= CHUNK_LINES_MAX
        ):
            joined[-1] = Chunk(
                last.tenant, last.execution_id, last.task_run_id, last.task_id, last.attempt, last.first, last.lines + chunk.lines
            )
        else:
            joined.append(chunk)
    return joined
