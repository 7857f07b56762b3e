"""A database that breaks where a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from controlplane.platform.database import Columns, Database, Later, Row


class Crash(BaseException):
    """The process died here. Nothing of ours may catch it."""


class Faulty(Database):
    """Passes everything on to a real database, and asks `before` and `after` at every statement, by name."""

    def __init__(
        self, real: Database, before: Callable[[str], None] = lambda _: None, after: Callable[[str], None] = lambda _: None
    ) -> None:
        self.real = real
        self.postgres = real.postgres
        self.before = before
        self.after = after

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.before("begin")
        with self.real.transaction():
            yield
            self.before("commit")
        self.after("commit")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        self.before("execute")
        found = self.real.execute(sql, parameters)
        self.after("execute")
        return found

    def insert(self, table: str, columns: Columns, rows: Sequence[Row], *, ignore: bool = False) -> None:
        if rows:
            self.before(f"insert {table}")
            self.real.insert(table, columns, rows, ignore=ignore)
            self.after(f"insert {table}")

    def update(self, table: str, keys: Columns, columns: Columns, rows: Sequence[Row]) -> None:
        if rows:
            self.before(f"update {table}")
            self.real.update(table, keys, columns, rows)
            self.after(f"update {table}")

    def remove(self, table: str, keys: Columns, rows: Sequence[Row]) -> None:
        if rows:
            self.before(f"remove {table}")
            self.real.remove(table, keys, rows)
            self.after(f"remove {table}")

    def take(self, table: str, keys: Columns, rows: Sequence[Row]) -> Later:
        if rows:
            self.before(f"take {table}")
        return self.real.take(table, keys, rows)

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
        if rows:
            self.before(f"lock {table}" if lock else f"select {table}")
        return self.real.select(table, names, keys, rows, suffix, lock=lock, skip=skip)

    def clock(self) -> Later:
        return self.real.clock()

    def close(self) -> None:
        self.real.close()
