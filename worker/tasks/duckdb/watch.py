"""The trigger type `io.kestra.plugin.jdbc.duckdb.Trigger`: runs a query now and then, fires when it gives rows.

It runs inside the agent, so it changes neither the working directory nor anything else of the process; relative paths in its SQL
are refused by having no file there.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties, TriggerKind, TriggerType
from flows.spec.shapes import Duration
from worker.errors import TaskFailed
from worker.tasks.bring_in import require_library
from worker.tasks.duckdb.database import connect, database_of
from worker.tasks.duckdb.rows import read_rows, store_rows, zone_of
from worker.tasks.duckdb.statements import single_result, split
from worker.tasks.duckdb.tasks import Result


class Trigger(TriggerType):
    """Fires when the last statement gives at least one row (triggers-and-conditions §11)."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.jdbc.duckdb.Trigger",)
    kind: ClassVar[TriggerKind] = "polling"
    title: ClassVar[str] = "Start when a DuckDB query gives rows"
    outputs: ClassVar[type[Properties]] = Result
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: unpaid
type: io.kestra.plugin.jdbc.duckdb.Trigger
url: "jdbc:duckdb:{{ envs.data_dir }}/shop.duckdb"
sql: SELECT id, total FROM orders WHERE NOT paid
interval: PT5M
""",
    )

    url: Dynamic[str] = "jdbc:duckdb:"
    username: Dynamic[str] | None = None
    password: Dynamic[str] | None = None
    sql: Dynamic[str]
    parameters: Dynamic[dict[str, Any]] | None = None
    fetch_type: Dynamic[Literal["FETCH", "FETCH_ONE", "STORE"]] = "FETCH"
    fetch_size: Dynamic[int] = Field(default=10_000, description="Rows held in memory at once while storing.")
    store: Dynamic[bool] = False
    fetch: Dynamic[bool] = False
    fetch_one: Dynamic[bool] = False
    time_zone_id: Dynamic[str] | None = None
    lock_timeout: Dynamic[timedelta] = timedelta(seconds=10)
    interval: Duration = timedelta(seconds=60)

    @property
    def wanted(self) -> str:
        """The fetch type; the older switches win over it."""
        return "STORE" if self.store else "FETCH" if self.fetch else "FETCH_ONE" if self.fetch_one else str(self.fetch_type)

    def evaluate(self, context: Any) -> Result | None:
        """One query. Raises TaskFailed; codes `duckdb.*`."""
        require_library("duckdb")
        import duckdb

        statements = split(self.sql, self.parameters)
        if not statements:
            raise TaskFailed("The SQL holds no statement.", code="duckdb.syntax")
        single_result(statements)
        database, options = database_of(self.url, Path(context.workdir))
        connection = connect(database, options, self.lock_timeout.total_seconds())
        try:
            for statement in statements[:-1]:
                connection.execute(statement.parsed, statement.values or None)
            return self._result(connection.execute(statements[-1].parsed, statements[-1].values or None), context)
        except duckdb.Error as error:
            raise TaskFailed(f"The query failed: {error}", code="duckdb.query_failed") from error
        finally:
            connection.close()

    def _result(self, cursor: Any, context: Any) -> Result | None:
        zone = zone_of(str(self.time_zone_id) if self.time_zone_id else None)
        if self.wanted == "FETCH_ONE":
            row = next(read_rows(cursor, zone, 1), None)
            return None if row is None else Result(row=row, size=1)
        if self.wanted == "STORE":
            path = Path(context.workdir) / "rows.ion"
            size = store_rows(cursor, path, zone, int(self.fetch_size))
            return None if size == 0 else Result(uri=context.output_file(path, "rows.ion"), size=size)
        rows = list(read_rows(cursor, zone, int(self.fetch_size)))
        return None if not rows else Result(rows=rows, size=len(rows))
