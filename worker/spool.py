"""What must not be lost before the plane has it: results and log batches, and which attempts are held.

Two implementations pass one suite: memory (tests, simulations) and SQLite (a real worker). Writes gather until `commit`;
`items_after` hands out committed items only, so nothing reaches the wire that a crash could take back.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from wire import gateway
from worker import limits

Kind = Literal["result", "logs", "report"]
Message = gateway.Result | gateway.LogBatch | gateway.Report

_log = logging.getLogger("headrace.worker")


@dataclass(frozen=True, slots=True)
class SpoolItem:
    """One durable item. `seq` counts for ever growing; `bytes_count` is its size on the wire."""

    seq: int
    kind: Kind
    lease_id: str
    message: Message
    bytes_count: int


@dataclass(frozen=True, slots=True)
class HeldToken:
    """An attempt that was accepted and has no result yet; `since_us`: microseconds since 1970; `lines`: of its log, so far."""

    token: gateway.AttemptToken
    since_us: int
    lines: int = 0


class Spool(Protocol):
    """Where the session keeps what is not acknowledged."""

    @property
    def last_seq(self) -> int:
        """Highest number ever given, also after all items have left."""

    def add_result(self, result: gateway.Result) -> int:
        """Keeps a result and lets go of its attempt. Returns its seq. Never refused for lack of room."""

    def add_logs(self, batch: gateway.LogBatch, *, reserve: bool = False) -> int | None:
        """Keeps a log batch; None when the ceiling for logs is reached (`reserve`: keep it all the same)."""

    def add_report(self, report: gateway.Report) -> int:
        """Keeps what an attempt tells of task runs below it. Returns its seq. Never refused for lack of room."""

    def items_after(self, seq: int, bytes_max: int) -> list[SpoolItem]:
        """Items with a higher seq, in order, committed, at least one if there is one, up to about `bytes_max` bytes."""

    def acknowledge(self, seq: int) -> list[str]:
        """Forgets the items up to and with `seq`. Returns the leases of the results among them."""

    def drop(self, lease_ids: Collection[str], *, logs: bool) -> None:
        """Forgets results and reports of attempts that are not ours any more, and that they were held; `logs` only if asked."""

    def hold(self, token: gateway.AttemptToken) -> None:
        """Notes that an attempt is held. It is let go by `add_result` or `drop`."""

    def held(self) -> list[HeldToken]:
        """Attempts noted and not let go, oldest first."""

    def finished(self) -> list[gateway.AttemptToken]:
        """Attempts whose result is kept, in order of their results."""

    def commit(self) -> None:
        """Makes all writes so far durable."""

    def close(self) -> None:
        """Commits and lets go of resources."""


@dataclass
class MemorySpool:
    """A spool that a process takes with it."""

    log_bytes_max: int = limits.SPOOL_LOG_BYTES_MAX
    clock: Callable[[], int] = lambda: time.time_ns() // 1000
    _items: deque[SpoolItem] = field(default_factory=deque)
    _held: dict[str, HeldToken] = field(default_factory=dict)
    _last: int = 0
    _log_bytes: int = 0

    @property
    def last_seq(self) -> int:
        return self._last

    def _append(self, kind: Kind, lease_id: str, message: Message, size: int) -> int:
        self._last += 1
        self._items.append(SpoolItem(self._last, kind, lease_id, message, size))
        return self._last

    def add_result(self, result: gateway.Result) -> int:
        lease_id = result.token.lease_id
        self._held.pop(lease_id, None)
        return self._append("result", lease_id, result, result.ByteSize())

    def add_logs(self, batch: gateway.LogBatch, *, reserve: bool = False) -> int | None:
        size = batch.ByteSize()
        if self._log_bytes + size > self.log_bytes_max and not reserve:
            return None
        self._log_bytes += size
        lease_id = batch.token.lease_id
        if lease_id in self._held and not batch.sub_task_id:
            self._held[lease_id] = replace(self._held[lease_id], lines=batch.first + len(batch.lines))
        return self._append("logs", lease_id, batch, size)

    def add_report(self, report: gateway.Report) -> int:
        return self._append("report", report.token.lease_id, report, report.ByteSize())

    def items_after(self, seq: int, bytes_max: int) -> list[SpoolItem]:
        return _up_to((item for item in self._items if item.seq > seq), bytes_max)

    def acknowledge(self, seq: int) -> list[str]:
        leases = []
        while self._items and self._items[0].seq <= seq:
            item = self._items.popleft()
            self._forget(item)
            if item.kind == "result":
                leases.append(item.lease_id)
        return leases

    def _forget(self, item: SpoolItem) -> None:
        if item.kind == "logs":
            self._log_bytes -= item.bytes_count

    def drop(self, lease_ids: Collection[str], *, logs: bool) -> None:
        gone = frozenset(lease_ids)
        for lease_id in gone:
            self._held.pop(lease_id, None)
        kept: deque[SpoolItem] = deque()
        for item in self._items:
            if _goes(item, gone, logs):
                self._forget(item)
            else:
                kept.append(item)
        self._items = kept

    def hold(self, token: gateway.AttemptToken) -> None:
        self._held.setdefault(token.lease_id, HeldToken(token, self.clock()))

    def held(self) -> list[HeldToken]:
        return list(self._held.values())

    def finished(self) -> list[gateway.AttemptToken]:
        return [item.message.token for item in self._items if item.kind == "result"]

    def commit(self) -> None:
        """Memory has nothing to make durable."""

    def close(self) -> None:
        """Memory has nothing to let go of."""


def _up_to(items: Iterable[SpoolItem], bytes_max: int) -> list[SpoolItem]:
    taken: list[SpoolItem] = []
    total = 0
    for item in items:
        total += item.bytes_count
        if taken and total > bytes_max:
            break
        taken.append(item)
    return taken


_SCHEMA = """
CREATE TABLE IF NOT EXISTS item (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, lease_id TEXT NOT NULL, size INTEGER NOT NULL,
  message BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS held (
  lease_id TEXT PRIMARY KEY, since_us INTEGER NOT NULL, lines INTEGER NOT NULL, token BLOB NOT NULL) WITHOUT ROWID;
"""
_SCHEMA_VERSION = 1
"""Of the tables above, in the file's `user_version`. A file of another version is put aside, never guessed at."""

_RESULT, _LOGS, _REPORT = 0, 1, 2
_NUMBERS: dict[Kind, int] = {"result": _RESULT, "logs": _LOGS, "report": _REPORT}
_KINDS: dict[int, tuple[Kind, type[Message]]] = {
    _RESULT: ("result", gateway.Result),
    _LOGS: ("logs", gateway.LogBatch),
    _REPORT: ("report", gateway.Report),
}


def _open(path: Path) -> sqlite3.Connection:
    """A connection to a spool of this version. One of another version is renamed, with a warning, and a new one begun."""
    connection = sqlite3.connect(path, isolation_level=None)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and version != _SCHEMA_VERSION:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        aside = path.with_name(f"{path.name}.version-{version}")
        path.replace(aside)
        _log.warning(
            "%s is a spool of version %s, this worker writes %s: it was put aside as %s", path, version, _SCHEMA_VERSION, aside
        )
        connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(_SCHEMA)
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    return connection


class SqliteSpool:
    """A spool in one SQLite file (WAL, synchronous=NORMAL: safe against a killed process, and a commit costs no disk flush).

    Recent items also stay in memory, so that the usual way (add, commit, send, acknowledge) never reads. A full disk costs
    log lines, which their attempt declares; results stay in memory until there is room again.
    """

    def __init__(
        self,
        path: Path,
        *,
        log_bytes_max: int = limits.SPOOL_LOG_BYTES_MAX,
        tail_bytes_max: int = limits.SPOOL_TAIL_BYTES_MAX,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _open(path)
        path.chmod(0o600)
        self._log_bytes_max = log_bytes_max
        self._tail_bytes_max = tail_bytes_max
        self._clock = clock
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'item'").fetchone()
        self._last: int = row[0] if row else 0
        self._log_bytes: int = self._one("SELECT coalesce(sum(size), 0) FROM item WHERE kind = 1")
        # The tail holds every item with seq > _tail_after; older ones are only in the file.
        self._tail: deque[SpoolItem] = deque()
        self._tail_after = self._last
        self._tail_bytes = 0
        self._new: list[SpoolItem] = []
        self._new_held: dict[str, HeldToken] = {}
        self._let_go: list[tuple[str]] = []
        self._lines: dict[str, int] = {}
        self._acknowledged = 0
        self._deleted = 0
        self._failing = False
        self._on_disk_held = {row[0] for row in self._connection.execute("SELECT lease_id FROM held")}

    @property
    def last_seq(self) -> int:
        return self._last

    def _one(self, sql: str, *arguments: object) -> int:
        value: int = self._connection.execute(sql, arguments).fetchone()[0]
        return value

    def _append(self, kind: Kind, lease_id: str, message: Message, size: int) -> int:
        self._last += 1
        item = SpoolItem(self._last, kind, lease_id, message, size)
        self._new.append(item)
        self._tail.append(item)
        self._tail_bytes += size
        return self._last

    def add_result(self, result: gateway.Result) -> int:
        lease_id = result.token.lease_id
        self._release(lease_id)
        return self._append("result", lease_id, result, result.ByteSize())

    def add_logs(self, batch: gateway.LogBatch, *, reserve: bool = False) -> int | None:
        size = batch.ByteSize()
        if (self._failing or self._log_bytes + size > self._log_bytes_max) and not reserve:
            return None
        self._log_bytes += size
        if not batch.sub_task_id:
            self._lines[batch.token.lease_id] = batch.first + len(batch.lines)
        return self._append("logs", batch.token.lease_id, batch, size)

    def add_report(self, report: gateway.Report) -> int:
        return self._append("report", report.token.lease_id, report, report.ByteSize())

    def items_after(self, seq: int, bytes_max: int) -> list[SpoolItem]:
        self.commit()
        if seq >= self._tail_after:
            start = bisect_right(self._tail, seq, key=_seq)
            return _up_to((self._tail[index] for index in range(start, len(self._tail))), bytes_max)
        rows = self._connection.execute("SELECT seq, kind, lease_id, size, message FROM item WHERE seq > ? ORDER BY seq", (seq,))
        items = _up_to((_item(row) for row in rows), bytes_max)
        rows.close()
        return items

    def acknowledge(self, seq: int) -> list[str]:
        if seq <= self._acknowledged:
            return []
        leases: list[str] = []
        some_only_on_disk = self._acknowledged < self._tail_after
        if some_only_on_disk:
            up_to = min(seq, self._tail_after)
            rows = self._connection.execute("SELECT lease_id FROM item WHERE kind = 0 AND seq <= ? ORDER BY seq", (up_to,))
            leases += [row[0] for row in rows.fetchall()]
        self._acknowledged = seq
        while self._tail and self._tail[0].seq <= seq:
            item = self._tail.popleft()
            self._tail_bytes -= item.bytes_count
            if item.kind == "logs":
                self._log_bytes -= item.bytes_count
            elif item.kind == "result":
                leases.append(item.lease_id)
        if some_only_on_disk:
            self.commit()
            self._log_bytes = self._one("SELECT coalesce(sum(size), 0) FROM item WHERE kind = 1")
        return leases

    def drop(self, lease_ids: Collection[str], *, logs: bool) -> None:
        gone = frozenset(lease_ids)
        for lease_id in gone:
            self._release(lease_id)
        self.commit()
        self._new = [item for item in self._new if not _goes(item, gone, logs)]
        self._tail = deque(item for item in self._tail if not _goes(item, gone, logs))
        self._tail_bytes = sum(item.bytes_count for item in self._tail)
        one_scan = "DELETE FROM item WHERE (kind <> 1 OR ?) AND lease_id IN (SELECT value FROM json_each(?))"
        self._connection.execute(one_scan, (logs, json.dumps(sorted(gone))))
        self._log_bytes = self._one("SELECT coalesce(sum(size), 0) FROM item WHERE kind = 1")

    def hold(self, token: gateway.AttemptToken) -> None:
        if token.lease_id not in self._on_disk_held:
            self._new_held.setdefault(token.lease_id, HeldToken(token, self._clock()))

    def _release(self, lease_id: str) -> None:
        # An attempt that ends before the next commit never touches the table: most light ones.
        if self._new_held.pop(lease_id, None) is None and lease_id in self._on_disk_held:
            self._on_disk_held.discard(lease_id)
            self._let_go.append((lease_id,))

    def held(self) -> list[HeldToken]:
        self.commit()
        rows = self._connection.execute("SELECT token, since_us, lines FROM held ORDER BY since_us, lease_id").fetchall()
        return [HeldToken(gateway.AttemptToken.FromString(token), since_us, lines) for token, since_us, lines in rows]

    def finished(self) -> list[gateway.AttemptToken]:
        self.commit()
        if self._tail_after <= self._acknowledged:
            return [item.message.token for item in self._tail if item.kind == "result"]
        rows = self._connection.execute("SELECT message FROM item WHERE kind = 0 ORDER BY seq").fetchall()
        return [gateway.Result.FromString(message).token for (message,) in rows]

    def commit(self) -> None:
        if not (self._new or self._new_held or self._let_go or self._acknowledged > self._deleted):
            return
        try:
            self._write(self._new)
        except sqlite3.OperationalError:
            # Full or failing disk. What was taken stays in memory and is tried again at the next commit; no more logs are taken.
            if self._connection.in_transaction:
                self._connection.rollback()
            self._failing = True
            return
        self._failing = False
        self._new.clear()
        self._on_disk_held.update(self._new_held)
        self._new_held.clear()
        self._let_go.clear()
        self._lines.clear()
        self._deleted = self._acknowledged
        while self._tail_bytes > self._tail_bytes_max and self._tail:
            item = self._tail.popleft()
            self._tail_bytes -= item.bytes_count
            self._tail_after = item.seq

    def _write(self, new: list[SpoolItem]) -> None:
        run = self._connection.executemany
        self._connection.execute("BEGIN IMMEDIATE")
        if new:
            run("INSERT INTO item (seq, kind, lease_id, size, message) VALUES (?, ?, ?, ?, ?)", [_row(item) for item in new])
        if self._new_held:
            rows = [(lease_id, held.since_us, held.token.SerializeToString()) for lease_id, held in self._new_held.items()]
            run("INSERT OR IGNORE INTO held (lease_id, since_us, lines, token) VALUES (?, ?, 0, ?)", rows)
        if self._let_go:
            run("DELETE FROM held WHERE lease_id = ?", self._let_go)
        if self._lines:
            run("UPDATE held SET lines = ? WHERE lease_id = ?", [(lines, lease_id) for lease_id, lines in self._lines.items()])
        if self._acknowledged > self._deleted:
            self._connection.execute("DELETE FROM item WHERE seq <= ?", (self._acknowledged,))
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self.commit()
        self._connection.close()


def _goes(item: SpoolItem, gone: frozenset[str], logs: bool) -> bool:
    return item.lease_id in gone and (logs or item.kind != "logs")


def _seq(item: SpoolItem) -> int:
    return item.seq


def _row(item: SpoolItem) -> tuple[int, int, str, int, bytes]:
    return item.seq, _NUMBERS[item.kind], item.lease_id, item.bytes_count, item.message.SerializeToString()


def _item(row: tuple[int, int, str, int, bytes]) -> SpoolItem:
    seq, kind, lease_id, size, message = row
    name, made = _KINDS[kind]
    return SpoolItem(seq, name, lease_id, made.FromString(message), size)
