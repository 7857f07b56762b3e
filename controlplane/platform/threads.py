"""Database work of coroutines: a few threads of their own, so that streams never wait for REST and the other way round."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

STREAM_THREADS = 4
"""Threads that load what streams send. Each keeps one connection at most."""

P = ParamSpec("P")
R = TypeVar("R")

_pool: ThreadPoolExecutor | None = None


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs `work` beside the loop and hands its connection back afterwards."""
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(STREAM_THREADS, thread_name_prefix="stream")

    def run() -> R:
        close_old_connections()
        try:
            return work(*args, **kwargs)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_pool, run)


def close_threads() -> None:
    """Ends the threads, and with them their connections. The next `in_thread` starts new ones."""
    global _pool
    if _pool is not None:
        _pool.shutdown(wait=True)
        _pool = None
