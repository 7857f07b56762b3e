"""The follow stream of an execution's logs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from controlplane.accounts.access import Need, access_namespace
from controlplane.executions import queries as executions
from controlplane.executions.streams import signed_in
from controlplane.logs import queries
from controlplane.platform.rendering import dump
from controlplane.platform.sse import KEEP_ALIVE_SECONDS, event_stream, frame
from controlplane.platform.threads import in_thread
from controlplane.platform.wakeups import Subscription, hub

ROUND_SECONDS_MIN = 0.1
"""Between two looks at the table."""

LOOK_SECONDS = 1.0
"""A follower looks by itself this often."""

SETTLE_SECONDS = 5.0
"""Chunks become visible in order of commit, not of number: those this young may still be overtaken by a smaller one."""

FRAMES_OF_ONE_WRITE = 500
"""Lines sent in one piece: fewer wake-ups of the loop, still small."""


async def follow_logs(request: HttpRequest, tenant: str, execution_id: str) -> HttpResponseBase:
    """`GET …/logs/{id}/follow`: what is stored, then what comes, until the execution is over and everything was sent."""
    actor = await in_thread(signed_in, request, tenant)
    wanted = queries.read_filter(request)
    row = await in_thread(executions.find_execution, tenant, execution_id)
    await in_thread(access_namespace, actor, tenant, row["namespace"], Need.READ)
    changes = hub.subscribe(tenant, execution_id)
    return event_stream(_frames(tenant, row, wanted, changes))


async def _frames(tenant: str, row: executions.Row, wanted: queries.LogFilter, changes: Subscription) -> AsyncIterator[bytes]:
    reader = _Reader(tenant, row, wanted)
    with changes:
        yield frame("start", b"{}")
        spoke = time.monotonic()
        while True:
            # The state is read before the lines: if it was over then, its lines were stored by then.
            over = await in_thread(reader.is_over)
            lines = await in_thread(reader.fresh)
            for start in range(0, len(lines), FRAMES_OF_ONE_WRITE):
                yield b"".join(lines[start : start + FRAMES_OF_ONE_WRITE])
            if lines:
                spoke = time.monotonic()
            if over:
                yield frame("end", b"{}")
                return
            if time.monotonic() - spoke > KEEP_ALIVE_SECONDS:
                spoke = time.monotonic()
                yield frame("progress", b"{}")
            await asyncio.sleep(ROUND_SECONDS_MIN)
            await changes.changed(LOOK_SECONDS)


class _Reader:
    """What one follower has seen: every chunk once, none missed when a smaller number becomes visible later."""

    def __init__(self, tenant: str, row: executions.Row, wanted: queries.LogFilter) -> None:
        self._tenant = tenant
        self._row = row
        self._wanted = wanted
        self._settled = 0
        self._seen: dict[int, float] = {}

    def is_over(self) -> bool:
        """Whether the execution has ended (or was deleted)."""
        try:
            return executions.is_over(executions.find_execution(self._tenant, self._row["id"]))
        except executions.ExecutionMissing:
            return True

    def fresh(self) -> list[bytes]:
        """Frames of the lines not sent before."""
        now = time.monotonic()
        lines = [
            line
            for line in queries.lines_of(self._tenant, self._row["id"], self._wanted, after_chunk=self._settled)
            if line.chunk_id not in self._seen
        ]
        for line in lines:
            self._seen[line.chunk_id] = now
        for chunk_id in sorted(self._seen):
            if self._seen[chunk_id] > now - SETTLE_SECONDS:
                break
            self._settled = chunk_id
            del self._seen[chunk_id]
        return [frame("progress", dump(queries.entry(line, self._row))) for line in queries.by_time(lines)]
