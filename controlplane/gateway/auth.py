"""Who calls: the bearer credential in the call's metadata, looked up and kept for a few seconds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

import grpc
from django.db import close_old_connections

from controlplane.fleet.enrolment import Identity, identify

T = TypeVar("T")

KNOWN_SECONDS = 5.0
"""How long a look-up is trusted: a withdrawn credential is refused after at most this long."""

_lock = threading.Lock()
_known: dict[str, tuple[float, Identity]] = {}


async def caller(context: grpc.aio.ServicerContext[Any, Any], executor: Executor) -> Identity:
    """The worker that calls. Aborts the call with UNAUTHENTICATED when the credential is missing or not valid."""
    metadata = dict(context.invocation_metadata() or ())
    value = metadata.get("authorization", "")
    text = value.decode() if isinstance(value, bytes) else value
    if not text.startswith("Bearer "):
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "expected metadata `authorization: Bearer <worker credential>`")
    credential = text.removeprefix("Bearer ")
    with _lock:
        known = _known.get(credential)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    found = await in_thread(executor, identify, credential)
    if found is None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the worker credential is unknown or was withdrawn; enrol again")
    assert found is not None
    with _lock:
        if len(_known) > 10_000:
            _known.clear()
        _known[credential] = (time.monotonic() + KNOWN_SECONDS, found)
    return found


async def in_thread(executor: Executor, function: Callable[..., T], *arguments: Any) -> T:
    """Runs a function that uses Django's database in the gateway's thread pool; broken connections are dropped first."""

    def call() -> T:
        close_old_connections()
        return function(*arguments)

    return await asyncio.get_running_loop().run_in_executor(executor, partial(call))
