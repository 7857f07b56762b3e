"""Log lines: written as compressed chunks in transactions of their own, read back as lines.

Logs never compete with state: a chunk is one row whatever the number of its lines, and its transaction touches nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from controlplane.platform.database import Database, Row

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
CHUNK_LINES_MAX = 2_000
"""Lines of one chunk: large enough that a row costs little a line, small enough to unpack for one page."""

COLUMNS = (
    ("tenant_id", "text"),
    ("execution_id", "text"),
    ("task_run_id", "text"),
    ("task_id", "text"),
    ("attempt", "int"),
    ("first", "bigint"),
    ("count", "int"),
    ("levels", "int"),
    ("min_at_us", "bigint"),
    ("max_at_us", "bigint"),
    ("data", "bytes"),
)

Line = tuple[int, int, str]
"""(at_us, level 0–4, text)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive lines of one attempt, `first` being the number of the first one within the attempt."""

    tenant: str
    execution_id: str
    task_run_id: str
    task_id: str
    attempt: int
    first: int
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One stored line. `seq` is its number within the attempt."""

    chunk_id: int
    task_run_id: str
    task_id: str
    attempt: int
    seq: int
    at_us: int
    level: str
    text: str


def chunk_row(chunk: Chunk) -> Row:
    """Values of COLUMNS."""
    levels = 0
    for _, level, _ in chunk.lines:
        levels |= 1 << level
    times = [line[0] for line in chunk.lines]
    return (
        chunk.tenant,
        chunk.execution_id,
        chunk.task_run_id,
        chunk.task_id,
        chunk.attempt,
        chunk.first,
        len(chunk.lines),
        levels,
        min(times),
        max(times),
        zlib.compress(orjson.dumps(chunk.lines), 1),
    )


def write_chunks(database: Database, chunks: list[Chunk]) -> None:
    """Stores chunks in one transaction. One that is stored already (same attempt, same first line) is left as it is."""
    rows = [
        chunk_row(
            Chunk(c.tenant, c.execution_id, c.task_run_id, c.task_id, c.attempt, c.first + at, c.lines[at : at + CHUNK_LINES_MAX])
        )
        for c in chunks
        for at in range(0, len(c.lines), CHUNK_LINES_MAX)
    ]
    with database.transaction():
        database.insert("log_chunk", COLUMNS, rows, ignore=True)


def read_lines(
    tenant: str,
    execution_id: str,
    *,
    task_run_id: str | None = None,
    task_id: str | None = None,
    attempt: int | None = None,
    min_level: int = 0,
    after_chunk: int = 0,
) -> Iterator[LogLine]:
    """Stored lines, chunk by chunk in order of arrival; within an attempt that is the order of the lines.

    `after_chunk`: only chunks stored later than that one (a follower's resume token is the last `chunk_id` it saw).
    """
    sql = (
        "SELECT id, task_run_id, task_id, attempt, first, levels, data FROM log_chunk"
        " WHERE tenant_id = %s AND execution_id = %s AND id > %s"
    )
    parameters: list[Any] = [tenant, execution_id, after_chunk]
    for column, value in (("task_run_id", task_run_id), ("task_id", task_id), ("attempt", attempt)):
        if value is not None:
            sql += f" AND {column} = %s"
            parameters.append(value)
    with connection.cursor() as cursor:
        cursor.execute(sql + " ORDER BY id", parameters)
        rows = cursor.fetchall()
    for chunk_id, run, task, number, first, levels, data in rows:
        if levels >> min_level == 0:
            continue
        for offset, (at_us, level, text) in enumerate(orjson.loads(zlib.decompress(data))):
            if level >= min_level:
                yield LogLine(chunk_id, run, task, number, first + offset, at_us, LEVELS[level], text)
