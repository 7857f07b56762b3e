"""The engine's own connection to the database: set-based statements, the same text on PostgreSQL and SQLite.

Django's ORM serves the API. The hot path speaks SQL here: a handful of statements for a whole batch of executions. What the two
databases do not share (arrays against many parameter sets, locks, the clock) is in the two subclasses and nowhere else.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import psycopg

DataError = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    TypeError,
    ValueError,
)
"""The statement itself is refused: trying it again cannot help. Everything else (connection, lock, disk) may pass."""

DatabaseError = (psycopg.Error, sqlite3.Error)
"""Whatever a database says, as opposed to a fault of our own."""

CLOCK_SECONDS = 5
"""How long the database's clock is carried on by the process's own before it is asked again: quartz drifts by microseconds."""

Row = Sequence[Any]
Columns = Sequence[tuple[str, str]]
Later = Callable[[], Sequence[Row]]
"""Rows of a statement that is under way."""

PG_TYPES = {
    "text": "text",
    "bigint": "bigint",
    "int": "int",
    "bool": "boolean",
    "json": "jsonb",
    "bytes": "bytea",
    "float": "double precision",
}


class Database:
    """One connection. Not shared between threads. `columns` are (name, kind) pairs; kinds are keys of PG_TYPES.

    What returns a `Later` is under way when the call returns; calling it gives the rows. Statements whose rows nobody asks for
    yet travel together: a transaction costs as many round trips as it has points where it must know something.
    """

    postgres = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits at the end, rolls back on any exception."""
        raise NotImplementedError

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Runs one statement written with `?` and returns its rows."""
        raise NotImplementedError

    def insert(self, table: str, columns: Columns, rows: Sequence[Row], *, ignore: bool = False) -> None:
        """Inserts all rows; `ignore` skips those that would break a unique key."""
        raise NotImplementedError

    def update(self, table: str, keys: Columns, columns: Columns, rows: Sequence[Row]) -> None:
        """Changes rows by key; each row is (keys…, columns…). Keys that match nothing are passed over."""
        raise NotImplementedError

    def remove(self, table: str, keys: Columns, rows: Sequence[Row]) -> None:
        """Deletes the rows with these keys, without asking which were there."""
        raise NotImplementedError

    def take(self, table: str, keys: Columns, rows: Sequence[Row]) -> Later:
        """Deletes the rows with these keys; gives the keys of those that were there."""
        raise NotImplementedError

    def select(
        self,
        table: str,
        names: Sequence[str],
        keys: Columns,
        rows: Sequence[Row],
        suffix: str = "",
        *,
        lock: bool = False,
        skip: bool = False,
    ) -> Later:
        """Rows of `table` whose key columns equal one of `rows`. `lock`: for update, in order of the keys; with `skip` those
        that someone else has locked are left out instead of waited for.
        """
        raise NotImplementedError

    def clock(self) -> Later:
        """The database's clock in microseconds, as one row: what leases and due times are judged by."""
        raise NotImplementedError

    def now_us(self) -> int:
        """`clock`, waited for."""
        return int(self.clock()()[0][0])

    def close(self) -> None:
        """Ends the connection."""
        raise NotImplementedError


class PostgreSQL(Database):
    """psycopg 3 in pipeline mode with prepared statements; one array parameter per column, plain parameters for a single row."""

    postgres = True

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.prepare_threshold = 2
        self.connection.prepared_max = 500
        self._clock_offset = 0
        self._clock_due = 0
        # Every statement here finds its rows by key. The planner cannot know how long an array parameter is and, on a table it
        # has not counted yet, would read it whole: so it is told to use the indexes, and to plan each statement once.
        for setting in ("enable_seqscan = off", "enable_hashjoin = off", "enable_mergejoin = off", "jit = off"):
            self.connection.execute("SET " + setting)
        self.connection.execute("SET plan_cache_mode = force_generic_plan")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        # psycopg's own transaction block waits for the answers to BEGIN and COMMIT; here they travel with what they enclose.
        try:
            with self.connection.pipeline():
                self.connection.execute("BEGIN", prepare=False)
                yield
                self.connection.execute("COMMIT", prepare=False)
        except BaseException:
            if not self.connection.closed:
                self.connection.execute("ROLLBACK", prepare=False)
            raise

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        # In pipeline mode a cursor knows only after its fetch whether there are rows; so the statement is asked.
        cursor = self.connection.execute(sql.replace("?", "%s"), parameters)
        found: list[Row] = []
        if sql.startswith("SELECT") or "RETURNING" in sql:
            found.extend(cursor.fetchall())
        return found

    def insert(self, table: str, columns: Columns, rows: Sequence[Row], *, ignore: bool = False) -> None:
        if not rows:
            return
        names = ", ".join(name for name, _ in columns)
        conflict = " ON CONFLICT DO NOTHING" if ignore else ""
        if len(rows) == 1:
            marks = ", ".join(["%s"] * len(columns))
            self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks}){conflict}", rows[0])
            return
        sql = f"INSERT INTO {table} ({names}) SELECT {names} FROM {_unnest(columns)}{conflict}"
        self.connection.execute(sql, _turned(columns, rows))

    def update(self, table: str, keys: Columns, columns: Columns, rows: Sequence[Row]) -> None:
        if not rows:
            return
        if len(rows) == 1:
            changes = ", ".join(f"{name} = %s" for name, _ in columns)
            row = rows[0]
            self.connection.execute(f"UPDATE {table} SET {changes} WHERE {_equal(keys)}", (*row[len(keys) :], *row[: len(keys)]))
            return
        changes = ", ".join(f"{name} = r.{name}" for name, _ in columns)
        both = [*keys, *columns]
        self.connection.execute(f"UPDATE {table} t SET {changes} FROM {_unnest(both)} WHERE {_match(keys)}", _turned(both, rows))

    def remove(self, table: str, keys: Columns, rows: Sequence[Row]) -> None:
        if len(rows) == 1:
            self.connection.execute(f"DELETE FROM {table} WHERE {_equal(keys)}", rows[0])
        elif rows:
            self.connection.execute(f"DELETE FROM {table} t USING {_unnest(keys)} WHERE {_match(keys)}", _turned(keys, rows))

    def take(self, table: str, keys: Columns, rows: Sequence[Row]) -> Later:
        if not rows:
            return _nothing
        if len(rows) == 1:
            names = ", ".join(name for name, _ in keys)
            return self.connection.execute(f"DELETE FROM {table} WHERE {_equal(keys)} RETURNING {names}", rows[0]).fetchall
        names = ", ".join(f"t.{name}" for name, _ in keys)
        sql = f"DELETE FROM {table} t USING {_unnest(keys)} WHERE {_match(keys)} RETURNING {names}"
        return self.connection.execute(sql, _turned(keys, rows)).fetchall

    def select(
        self,
        table: str,
        names: Sequence[str],
        keys: Columns,
        rows: Sequence[Row],
        suffix: str = "",
        *,
        lock: bool = False,
        skip: bool = False,
    ) -> Later:
        if not rows:
            return _nothing
        held = " SKIP LOCKED" if skip else ""
        found = ", ".join(f"t.{name}" for name in names)
        if len(rows) == 1:
            sql = f"SELECT {found} FROM {table} t WHERE {_equal(keys)} {suffix}" + (f" FOR UPDATE{held}" if lock else "")
            return self.connection.execute(sql, rows[0]).fetchall
        order = ", ".join(f"t.{name}" for name, _ in keys)
        sql = f"SELECT {found} FROM {table} t JOIN {_unnest(keys)} ON {_match(keys)} {suffix}"
        return self.connection.execute(
            sql + (f" ORDER BY {order} FOR UPDATE OF t{held}" if lock else ""), _turned(keys, rows)
        ).fetchall

    def clock(self) -> Later:
        """Asked of the database every few seconds; in between this process's monotonic clock carries it on."""
        if time.monotonic_ns() > self._clock_due:
            sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
            ask = self.connection.execute(sql).fetchall
            now = int(ask()[0][0])
            self._clock_offset = now - time.monotonic_ns() // 1000
            self._clock_due = time.monotonic_ns() + CLOCK_SECONDS * 1_000_000_000
        else:
            now = self._clock_offset + time.monotonic_ns() // 1000
        return lambda: [(now,)]

    def close(self) -> None:
        self.connection.close()


def _nothing() -> list[Row]:
    return []


def _turned(columns: Columns, rows: Sequence[Row]) -> list[Any]:
    """One array per column. Texts and numbers as array literals: psycopg's own dumper takes each element through a regular
    expression, which was a quarter of the engine's time.
    """
    arrays: list[Any] = []
    for (_, kind), column in zip(columns, zip(*rows, strict=True), strict=True):
        if kind == "bytes":
            arrays.append(list(column))
        elif kind in ("text", "json"):
            arrays.append("{" + ",".join(["NULL" if value is None else _quoted(value) for value in column]) + "}")
        else:
            arrays.append("{" + ",".join(["NULL" if value is None else str(value) for value in column]) + "}")
    return arrays


def _quoted(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def _unnest(columns: Columns) -> str:
    arrays = ", ".join(f"%s::{PG_TYPES[kind]}[]" for _, kind in columns)
    return f"unnest({arrays}) AS r({', '.join(name for name, _ in columns)})"


def _match(keys: Columns) -> str:
    return " AND ".join(f"t.{name} = r.{name}" for name, _ in keys)


def _equal(keys: Columns) -> str:
    return " AND ".join(f"{name} = %s" for name, _ in keys)


_writers: dict[str, threading.Lock] = {}
_writers_lock = threading.Lock()


class SQLite(Database):
    """The embedded database: one file, one writer at a time.

    Threads of this process queue on a lock of their own for their turn to write: SQLite's busy handler sleeps, a lock wakes.
    Commits are synced to the disk (`synchronous=FULL`): what was acknowledged survives a power cut.
    """

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute("PRAGMA busy_timeout=30000")
        self.connection.execute("PRAGMA cache_size=-32000")
        with _writers_lock:
            self._writer = _writers.setdefault(path, threading.Lock())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._writer:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self.connection.execute(sql, parameters).fetchall()

    def insert(self, table: str, columns: Columns, rows: Sequence[Row], *, ignore: bool = False) -> None:
        if rows:
            names = ", ".join(name for name, _ in columns)
            verb = "INSERT OR IGNORE" if ignore else "INSERT"
            self.connection.executemany(f"{verb} INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})", rows)

    def update(self, table: str, keys: Columns, columns: Columns, rows: Sequence[Row]) -> None:
        width = len(keys)
        changes = ", ".join(f"{name} = ?" for name, _ in columns)
        turned = [(*row[width:], *row[:width]) for row in rows]
        self.connection.executemany(f"UPDATE {table} SET {changes} WHERE {_where(keys)}", turned)

    def remove(self, table: str, keys: Columns, rows: Sequence[Row]) -> None:
        if rows:
            self.connection.executemany(f"DELETE FROM {table} WHERE {_where(keys)}", rows)

    def take(self, table: str, keys: Columns, rows: Sequence[Row]) -> Later:
        sql = f"DELETE FROM {table} WHERE {_where(keys)}"
        taken = [row for row in rows if self.connection.execute(sql, row).rowcount]
        return lambda: taken

    def select(
        self,
        table: str,
        names: Sequence[str],
        keys: Columns,
        rows: Sequence[Row],
        suffix: str = "",
        *,
        lock: bool = False,
        skip: bool = False,
    ) -> Later:
        sql = f"SELECT {', '.join(f't.{name}' for name in names)} FROM {table} t WHERE {_where(keys)} {suffix}"
        found: list[Row] = []
        for row in rows:
            found.extend(self.connection.execute(sql, row))
        return lambda: found

    def clock(self) -> Later:
        now = time.time_ns() // 1000
        return lambda: [(now,)]

    def close(self) -> None:
        self.connection.close()


def _where(keys: Columns) -> str:
    return " AND ".join(f"{name} = ?" for name, _ in keys)


def connect(url: str) -> Database:
    """Opens `postgresql://…` or `sqlite:///path`. Raises ValueError for anything else, naming what was expected."""
    scheme = urlsplit(url).scheme
    if scheme in ("postgres", "postgresql"):
        return PostgreSQL(url)
    if scheme == "sqlite":
        return SQLite(url.removeprefix("sqlite:///"))
    raise ValueError(f"database URL: expected postgresql://… or sqlite:///path, found {url!r}")


def url_of_settings(config: Mapping[str, Any]) -> str:
    """The address in Django's settings of a database, as `connect` wants it."""
    if config["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{config['NAME']}"
    user = quote(str(config.get("USER") or ""), safe="")
    password = config.get("PASSWORD")
    login = f"{user}:{quote(str(password), safe='')}" if password else user
    host = config.get("HOST") or ""
    port = f":{config['PORT']}" if config.get("PORT") else ""
    options = {name: value for name, value in (config.get("OPTIONS") or {}).items() if isinstance(value, str)}
    if host.startswith("/"):
        options["host"], host = host, ""
    query = f"?{urlencode(options)}" if options else ""
    return f"postgresql://{login + '@' if login else ''}{host}{port}/{config['NAME']}{query}"
