"""Several SQL statements in one text: split by DuckDB's own parser, with `:name` parameters, told apart by what they return."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.errors import TaskFailed

_WORD = re.compile(r"[A-Za-z_]\w*")
_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_RETURNING = re.compile(r"\breturning\b", re.IGNORECASE)
_ROWS = frozenset({"SELECT", "CALL", "EXPLAIN", "RELATION", "LOGICAL_PLAN"})
_OUTSIDE_TRANSACTIONS = frozenset({"LOAD", "SET", "VARIABLE_SET", "ATTACH", "DETACH", "PRAGMA"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its text without leading comments, DuckDB's kind (SELECT, CREATE …), the values it is given."""

    text: str
    kind: str
    parsed: Any
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def returns_rows(self) -> bool:
        """Whether it has a result set; the count of changed rows is none."""
        return self.kind in _ROWS or (
            self.kind in ("INSERT", "UPDATE", "DELETE", "MERGE_INTO") and bool(_RETURNING.search(self.text))
        )

    @property
    def prepares(self) -> bool:
        """Whether it sets up the session (LOAD, SET, ATTACH …) and has no place inside a transaction."""
        return self.kind in _OUTSIDE_TRANSACTIONS


def split(sql: str, parameters: Mapping[str, Any] | None) -> list[Statement]:
    """The statements of a text, in order, each with its share of `parameters`. Raises TaskFailed (`duckdb.syntax`)."""
    import duckdb

    if parameters is not None:
        sql = _named(sql, parameters)
    try:
        found = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise TaskFailed(f"The SQL is not valid: {error}", code="duckdb.syntax") from error
    statements = []
    for parsed in found:
        values = {name: (parameters or {}).get(name) for name in parsed.named_parameters}
        statements.append(Statement(_COMMENTS.sub("", parsed.query, count=1).strip(), parsed.type.name, parsed, values))
    return statements


def single_result(statements: Sequence[Statement]) -> None:
    """Refuses a text with more than one statement that returns rows. Raises TaskFailed (`duckdb.single_statement`)."""
    before = [statement for statement in statements[:-1] if statement.returns_rows]
    if before:
        first = " ".join(before[0].text.split())[:80]
        raise TaskFailed(
            "Query takes one statement with a result, at the end; before it only statements without a result (INSTALL, LOAD, "
            f"SET, ATTACH, CREATE …) may stand. Found before the last: `{first}`. Use the Queries task for several results.",
            code="duckdb.single_statement",
        )


def _named(sql: str, parameters: Mapping[str, Any]) -> str:
    """The text with `:name` as DuckDB writes it, `$name`. Strings, comments, `::casts`, slices and struct keys are left alone."""
    import duckdb

    pieces = []
    done = 0
    for start, _ in duckdb.tokenize(sql):
        if start < done or sql[start] != ":":
            continue
        word = _WORD.match(sql, start + 1)
        before = sql[start - 1] if start else " "
        if word is None or before == ":" or ((before.isalnum() or before in "_\"'])}") and word.group() not in parameters):
            continue
        pieces.append(f"{sql[done:start]}${word.group()}")
        done = word.end()
    pieces.append(sql[done:])
    return "".join(pieces)
