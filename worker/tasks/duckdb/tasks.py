"""The task types `io.kestra.plugin.jdbc.duckdb.Query` and `Queries`. They run in the task's own process: a stop kills it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from flows.plugins import Dynamic, Properties, TaskKind, TaskType
from worker.errors import TaskFailed
from worker.tasks.bring_in import NamespaceFiles, bring_in, require_library
from worker.tasks.duckdb import extensions
from worker.tasks.duckdb.database import connect, database_of
from worker.tasks.duckdb.rows import read_rows, store_rows, zone_of
from worker.tasks.duckdb.statements import Statement, single_result, split

FetchType = Literal["NONE", "FETCH", "FETCH_ONE", "STORE"]


class Result(Properties):
    """The result of one statement: what the fetch type asks for."""

    row: dict[str, Any] | None = None
    rows: list[dict[str, Any]] | None = None
    uri: str | None = Field(default=None, description="File of rows in internal storage, one JSON object a line.")
    size: int | None = Field(default=None, description="Number of rows.")


class QueryOutputs(Result):
    """Result of the last statement, and the files it made."""

    output_files: dict[str, str] | None = None
    database_uri: str | None = None


class QueriesOutputs(Properties):
    """One entry per statement that returned a result set."""

    outputs: list[Result] = []
    output_files: dict[str, str] | None = None
    database_uri: str | None = None


class _DuckDb(TaskType):
    """What both task types share."""

    kind: ClassVar[TaskKind] = "process"

    url: Dynamic[str] = Field(
        default="jdbc:duckdb:", description="`jdbc:duckdb:` for a fresh database, or `jdbc:duckdb:/path/of/file`."
    )
    username: Dynamic[str] | None = None
    password: Dynamic[str] | None = None
    sql: Dynamic[str]
    after_sql: Dynamic[str] | None = Field(default=None, alias="afterSQL")
    parameters: Dynamic[dict[str, Any]] | None = Field(default=None, description="Values for `:name` in the SQL.")
    fetch_type: Dynamic[FetchType] = "NONE"
    fetch_size: Dynamic[int] = Field(default=10_000, description="Rows held in memory at once while storing.")
    store: Dynamic[bool] = False
    fetch: Dynamic[bool] = False
    fetch_one: Dynamic[bool] = False
    time_zone_id: Dynamic[str] | None = None
    database_uri: Dynamic[str] | None = Field(
        default=None, description="A DuckDB database in internal storage to work on a copy of."
    )
    output_db_file: Dynamic[bool] = Field(
        default=False, description="Store the database file afterwards; `databaseUri` is its address."
    )
    input_files: Dynamic[dict[str, str | None]] | None = None
    output_files: Dynamic[list[str]] | None = None
    namespace_files: NamespaceFiles | None = None
    community_extensions: Dynamic[list[str]] = []
    lock_timeout: Dynamic[timedelta] = Field(
        default=timedelta(seconds=10), description="How long to wait for a file that is open elsewhere."
    )

    @property
    def wanted(self) -> str:
        """The fetch type; the older switches win over it."""
        return "STORE" if self.store else "FETCH" if self.fetch else "FETCH_ONE" if self.fetch_one else self.fetch_type


class Query(_DuckDb):
    """Runs one SQL statement, after any that only prepare it (INSTALL, LOAD, SET, ATTACH, CREATE …)."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.jdbc.duckdb.Query",)
    title: ClassVar[str] = "Query DuckDB"
    outputs: ClassVar[type[Properties]] = QueryOutputs
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: query
type: io.kestra.plugin.jdbc.duckdb.Query
fetchType: STORE
inputFiles:
  products.json: "{{ outputs.transform.outputFiles['products.json'] }}"
sql: |
  SELECT brand, round(avg(price), 2) AS avg_price
  FROM read_json_auto('{{ workingDir }}/products.json')
  GROUP BY brand
""",
    )

    def run(self, context: Any) -> dict[str, Any]:
        """Returns the result of the last statement. Raises TaskFailed; codes `duckdb.*`."""
        with _Session(self, context) as session:
            statements = split(self.sql, self.parameters)
            after = split(self.after_sql, self.parameters) if self.after_sql else []
            if not statements:
                raise TaskFailed("The SQL holds no statement.", code="duckdb.syntax")
            single_result(statements)
            *before, last = statements
            for number, statement in enumerate(before, 1):
                session.execute(statement, number, len(statements))
            with session.transaction(bool(after)):
                cursor = session.execute(last, len(statements), len(statements))
                outputs = session.fetch(cursor, "rows.ion", one_is_counted=True) if last.returns_rows else {}
                for statement in after:
                    session.execute(statement, 1, len(after))
            return {**outputs, **session.files()}


class Queries(_DuckDb):
    """Runs several SQL statements, in one transaction unless told otherwise."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.jdbc.duckdb.Queries",)
    title: ClassVar[str] = "Run several DuckDB statements"
    outputs: ClassVar[type[Properties]] = QueriesOutputs
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: verify
type: io.kestra.plugin.jdbc.duckdb.Queries
url: "jdbc:duckdb:{{ envs.data_dir }}/warehouse.duckdb"
fetchType: FETCH
sql: |
  SELECT * FROM chess._dlt_loads ORDER BY inserted_at DESC LIMIT 10;
  SELECT count(*) AS games FROM chess.players_games;
""",
    )

    transaction: Dynamic[bool] = Field(default=True, description="All or nothing; false: each statement stands for itself.")

    def run(self, context: Any) -> dict[str, Any]:
        """Returns one entry per statement with a result set. Raises TaskFailed; codes `duckdb.*`."""
        with _Session(self, context) as session:
            statements = split(self.sql, self.parameters)
            if self.after_sql:
                statements += split(self.after_sql, self.parameters)
            results: list[dict[str, Any]] = []
            rest = list(enumerate(statements, 1))
            while rest and rest[0][1].prepares:
                number, statement = rest.pop(0)
                session.execute(statement, number, len(statements))
            own = any(statement.kind == "TRANSACTION" for _, statement in rest)
            with session.transaction(self.transaction and not own):
                for number, statement in rest:
                    cursor = session.execute(statement, number, len(statements))
                    if statement.returns_rows:
                        results.append(session.fetch(cursor, f"rows-{len(results) + 1}.ion", one_is_counted=False))
            return {"outputs": results, **session.files()}


class _Session:
    """The connection of one attempt, in its working directory."""

    def __init__(self, task: _DuckDb, context: Any) -> None:
        self.task = task
        self.context = context
        self.workdir = Path(context.workdir)
        self.zone: tzinfo | None = zone_of(task.time_zone_id)
        self.connection: Any = None
        self._database = ""
        self._here = Path.cwd()

    def __enter__(self) -> Self:
        task = self.task
        require_library("duckdb")
        bring_in(self.context, task.namespace_files, task.input_files)
        database, options = database_of(task.url, self.workdir)
        if task.database_uri:
            database = str(self.context.input_file(task.database_uri, "database.duckdb"))
        elif task.output_db_file and database == ":memory:":
            database = str(self.workdir / "database.duckdb")
        # Relative paths in SQL lie in the working directory, and so does what does not fit into memory.
        os.chdir(self.workdir)
        try:
            self.connection = connect(database, options, task.lock_timeout.total_seconds())
            self.connection.execute("SET temp_directory = $folder", {"folder": str(self.workdir / ".duckdb")})
            for name in task.community_extensions:
                for statement in split(f"INSTALL {name} FROM community; LOAD {name}", None):
                    self.execute(statement, 1, 1)
        except BaseException:
            self.__exit__()
            raise
        self._database = database
        return self

    def __exit__(self, *_: object) -> None:
        if self.connection is not None:
            self.connection.close()
        os.chdir(self._here)

    def execute(self, statement: Statement, number: int, of: int) -> Any:
        """Executes one statement and returns the cursor. Raises TaskFailed with its number when there are several."""
        import duckdb

        try:
            if statement.kind == "LOAD":
                said = extensions.install(self.connection, statement)
                if said is not None:
                    self.context.log("DEBUG", said)
                    return self.connection
            return self.connection.execute(statement.parsed, statement.values or None)
        except duckdb.Error as error:
            if extensions.is_missing(error):
                raise extensions.unavailable(error) from error
            which = f"Statement {number} of {of}" if of > 1 else "The statement"
            raise TaskFailed(f"{which} failed: {error}", code="duckdb.query_failed") from error

    def fetch(self, cursor: Any, file_name: str, *, one_is_counted: bool) -> dict[str, Any]:
        """What the fetch type asks for. `one_is_counted`: FETCH_ONE without a row has size 0, else always 1."""
        import duckdb

        wanted = self.task.wanted
        if wanted == "NONE":
            return {}
        try:
            if wanted == "STORE":
                path = self.workdir / f".{file_name}"
                size = store_rows(cursor, path, self.zone, self.task.fetch_size)
                found: dict[str, Any] = {"uri": self.context.output_file(path, file_name), "size": size}
                path.unlink()
            elif wanted == "FETCH_ONE":
                row = next(read_rows(cursor, self.zone, 1), None)
                found = {"row": row, "size": (0 if row is None else 1) if one_is_counted else 1}
            else:
                rows = list(read_rows(cursor, self.zone, self.task.fetch_size))
                found = {"rows": rows, "size": len(rows)}
        except duckdb.Error as error:
            raise TaskFailed(f"Reading the result failed: {error}", code="duckdb.query_failed") from error
        self.context.metric("fetch.size", found["size"])
        return found

    @contextmanager
    def transaction(self, wanted: bool) -> Iterator[None]:
        """All or nothing for what happens inside, when wanted."""
        if not wanted:
            yield
            return
        self.connection.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        self.connection.execute("COMMIT")

    def _roll_back(self) -> None:
        import duckdb

        # The error that led here may have ended the transaction already.
        with suppress(duckdb.Error):
            self.connection.execute("ROLLBACK")

    def files(self) -> dict[str, Any]:
        """Stores the files the task promised, and the database when asked for. Closes the connection first."""
        self.connection.close()
        self.connection = None
        stored: dict[str, Any] = {}
        if self.task.output_files:
            found = _matching(self.workdir, self.task.output_files)
            stored["outputFiles"] = {name: self.context.output_file(self.workdir / name, name) for name in found}
        if self.task.output_db_file:
            stored["databaseUri"] = self.context.output_file(Path(self._database), "database.duckdb")
        return stored


def _matching(folder: Path, patterns: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for pattern in patterns:
        for path in sorted(folder.glob(pattern.lstrip("/"))):
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                found[str(path.relative_to(folder))] = None
    return list(found)
