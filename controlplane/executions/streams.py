"""Coroutines of executions: the follow stream, and the creation that waits for the end.

Every change of an execution is one frame with the whole execution. Bursts are drawn together: at most ten frames a second,
fewer when one costs more to build, so that following an execution of ten thousand task runs never takes a core.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from controlplane.accounts.access import Need, access_namespace, access_tenant
from controlplane.accounts.actor import Actor
from controlplane.accounts.authentication import identify
from controlplane.executions import queries
from controlplane.executions.api import WAIT_SECONDS, public_url, start
from controlplane.platform.errors import Unauthenticated
from controlplane.platform.rendering import json_bytes
from controlplane.platform.sse import KEEP_ALIVE_SECONDS, event_stream, frame
from controlplane.platform.threads import in_thread
from controlplane.platform.wakeups import Subscription, hub

FRAME_SECONDS_MIN = 0.1
"""Between two frames of one stream."""

BUILD_SHARE = 5
"""A stream rests at least this many times as long as its last frame took to build."""

APPEAR_SECONDS = 10.0
"""How long a follower waits for an execution that is not there yet."""

LOOK_SECONDS = 2.0
"""A follower looks by itself this often: a wake-up may be lost between processes."""


def signed_in(request: HttpRequest, tenant: str) -> Actor:
    """The caller, who belongs to the tenant. Raises Unauthenticated, Missing, Forbidden."""
    actor = identify(request)
    if actor is None:
        raise Unauthenticated("sign in, or send an API token as `Authorization: Bearer …`")
    access_tenant(actor, tenant)
    return actor


async def follow_execution(request: HttpRequest, tenant: str, execution_id: str) -> HttpResponseBase:
    """`GET …/executions/{id}/follow`."""
    actor = await in_thread(signed_in, request, tenant)
    changes = hub.subscribe(tenant, execution_id)
    try:
        row = await _appeared(tenant, execution_id, changes)
        await in_thread(access_namespace, actor, tenant, row["namespace"], Need.READ)
    except BaseException:
        changes.close()
        raise
    return event_stream(_frames(tenant, execution_id, changes, public_url(request, row)))


async def _appeared(tenant: str, execution_id: str, changes: Subscription) -> queries.Row:
    """The row, waiting a little for one that is being created elsewhere. Raises ExecutionMissing."""
    until = time.monotonic() + APPEAR_SECONDS
    while True:
        try:
            return await in_thread(queries.find_execution, tenant, execution_id)
        except queries.ExecutionMissing:
            if time.monotonic() >= until:
                raise
        await changes.changed(0.5)


async def _frames(tenant: str, execution_id: str, changes: Subscription, url: str) -> AsyncIterator[bytes]:
    def look() -> tuple[queries.Row, bytes]:
        row = queries.find_execution(tenant, execution_id)
        return row, queries.full_json(row, url)

    with changes:
        first, quiet_since, version = True, time.monotonic(), -1
        while True:
            begun = time.monotonic()
            try:
                row, body = await in_thread(look)
            except queries.ExecutionMissing:  # deleted while it was followed
                return
            over = queries.is_over(row)
            if not (first and over):
                yield frame("progress", body)
            if over:
                yield frame("end", body)
                return
            first, quiet_since, version = False, time.monotonic(), row["version"]
            await asyncio.sleep(max(FRAME_SECONDS_MIN, (quiet_since - begun) * BUILD_SHARE))
            while not await changes.changed(LOOK_SECONDS):
                if await in_thread(_version, tenant, execution_id) != version:
                    break
                if time.monotonic() - quiet_since > KEEP_ALIVE_SECONDS:
                    quiet_since = time.monotonic()
                    yield b": still here\n\n"


def _version(tenant: str, execution_id: str) -> int | None:
    return queries.executions_of(tenant).filter(id=execution_id).values_list("version", flat=True).first()


async def create_and_wait(request: HttpRequest, tenant: str, namespace: str, flow_id: str) -> HttpResponseBase:
    """`POST …/executions/{namespace}/{flowId}?wait=true`: answers with the whole execution once it is over.

    PAUSED does not release it; after `WAIT_SECONDS` the present state is the answer.
    """

    def begin() -> str:
        return start(request, signed_in(request, tenant), tenant, namespace, flow_id).execution_id

    execution_id = await in_thread(begin)
    until = time.monotonic() + WAIT_SECONDS
    with hub.subscribe(tenant, execution_id) as changes:
        row = await in_thread(queries.find_execution, tenant, execution_id)
        while not queries.is_over(row) and time.monotonic() < until:
            changed = await changes.changed(LOOK_SECONDS)
            if changes.ended or not changed:
                row = await in_thread(queries.find_execution, tenant, execution_id)
    return json_bytes(await in_thread(queries.full_json, row, public_url(request, row)))
