"""Log lines as REST shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from controlplane.executions.models import Execution
from controlplane.logs.models import LogChunk
from controlplane.logs.store import LEVELS, LogLine, read_lines
from controlplane.platform.clock import iso
from controlplane.platform.errors import BadRequest
from controlplane.platform.filters import parse_filters, query_items
from controlplane.platform.parsers import number

SEARCH_CHUNKS_MAX = 500
"""Chunks one search unpacks: some hundred thousand lines. `total` counts within them."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines of an execution. `attempt` counts from 1, as rows do."""

    min_level: int = 0
    task_id: str | None = None
    task_run_id: str | None = None
    attempt: int | None = None


def level_number(name: str) -> int:
    """0 TRACE … 4 ERROR. Raises BadRequest."""
    try:
        return LEVELS.index(name.upper())
    except ValueError:
        raise BadRequest(f"{name!r} is no level; levels are {', '.join(LEVELS)}", code="log.level") from None


def read_filter(request: HttpRequest) -> LogFilter:
    """`minLevel, taskId, taskRunId, attempt` or the same as filters. Raises BadRequest."""
    get = request.GET
    attempt = number(request, "attempt")
    found = LogFilter(
        min_level=level_number(get["minLevel"]) if get.get("minLevel") else 0,
        task_id=get.get("taskId") or None,
        task_run_id=get.get("taskRunId") or None,
        attempt=None if attempt is None else attempt + 1,
    )
    for condition in parse_filters(query_items(request)).conditions():
        match condition.field:
            case "level":
                found = replace(found, min_level=level_number(condition.text))
            case "taskid":
                found = replace(found, task_id=condition.text)
            case "taskrunid":
                found = replace(found, task_run_id=condition.text)
            case "attemptnumber":
                found = replace(found, attempt=int(condition.text) + 1 if condition.text.isdigit() else None)
            case other:
                raise BadRequest(f"logs of an execution cannot be filtered by {other!r}", code="filter.field")
    return found


def lines_of(tenant: str, execution_id: str, wanted: LogFilter, after_chunk: int = 0) -> Iterator[LogLine]:
    """Stored lines in order of arrival."""
    return read_lines(
        tenant,
        execution_id,
        task_run_id=wanted.task_run_id,
        task_id=wanted.task_id,
        attempt=wanted.attempt,
        min_level=wanted.min_level,
        after_chunk=after_chunk,
    )


def by_time(lines: Iterable[LogLine]) -> list[LogLine]:
    """In order of time; lines of one attempt never change places."""
    return sorted(lines, key=lambda line: (line.at_us, line.chunk_id, line.seq))


def entry(line: LogLine, execution: Mapping[str, Any]) -> dict[str, Any]:
    """A line as clients know it. `execution` has id, namespace, flow_id."""
    return {
        "namespace": execution["namespace"],
        "flowId": execution["flow_id"],
        "taskId": line.task_id,
        "executionId": execution["id"],
        "taskRunId": line.task_run_id,
        "attemptNumber": max(0, line.attempt - 1),
        "seq": line.seq,  # number within the attempt: what a follower that reconnects recognises a line by
        "timestamp": iso(line.at_us),
        "level": line.level,
        "message": line.text,
        "deleted": False,
    }


def text_line(line: LogLine) -> str:
    """A line of a download."""
    return f"{iso(line.at_us)} {line.level} {line.text}\n"


def delete_lines(tenant: str, execution_id: str, wanted: LogFilter) -> None:
    """Removes chunks of an execution: all, or those of a task, task run or attempt. Levels share chunks and cannot go alone."""
    rows = LogChunk.objects.filter(tenant_id=tenant, execution_id=execution_id)
    for column in ("task_id", "task_run_id", "attempt"):
        value = getattr(wanted, column)
        if value is not None:
            rows = rows.filter(**{column: value})
    rows.delete()


@dataclass(frozen=True, slots=True)
class LogSearch:
    """A search over a tenant's logs. `executions`: conditions on their rows; `words`: all must occur in the text."""

    executions: Q
    words: tuple[str, ...]
    min_level: int
    since_us: int | None
    until_us: int | None
    ascending: bool


def search(tenant: str, wanted: LogSearch, offset: int, size: int) -> tuple[list[dict[str, Any]], int]:
    """One page of lines and their count, newest (or oldest) chunks first and never more than SEARCH_CHUNKS_MAX of them."""
    chunks = LogChunk.objects.filter(tenant_id=tenant).order_by("id" if wanted.ascending else "-id")
    if wanted.since_us is not None:
        chunks = chunks.filter(max_at_us__gte=wanted.since_us)
    if wanted.until_us is not None:
        chunks = chunks.filter(min_at_us__lte=wanted.until_us)
    if wanted.executions:
        chunks = chunks.filter(execution_id__in=Execution.objects.filter(wanted.executions, tenant_id=tenant).values("id"))
    found: list[LogLine] = []
    owner: dict[int, str] = dict(chunks.values_list("id", "execution_id")[:SEARCH_CHUNKS_MAX])
    for execution_id in dict.fromkeys(owner.values()):
        found.extend(
            line
            for line in read_lines(tenant, execution_id, min_level=wanted.min_level)
            if line.chunk_id in owner and _meets(line, wanted)
        )
    found.sort(key=lambda line: (line.at_us, line.chunk_id, line.seq), reverse=not wanted.ascending)
    page = found[offset : offset + size]
    ids = {owner[line.chunk_id] for line in page}
    rows = Execution.objects.filter(tenant_id=tenant, id__in=ids).values("id", "namespace", "flow_id")
    executions = {row["id"]: row for row in rows}
    return [entry(line, executions[owner[line.chunk_id]]) for line in page if owner[line.chunk_id] in executions], len(found)


def _meets(line: LogLine, wanted: LogSearch) -> bool:
    if wanted.since_us is not None and line.at_us < wanted.since_us:
        return False
    if wanted.until_us is not None and line.at_us > wanted.until_us:
        return False
    text = line.text.lower()
    return all(word in text for word in wanted.words)
