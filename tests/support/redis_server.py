"""Redis for tests: the one on loopback, when it answers."""

from __future__ import annotations

import os
from functools import cache

import redis

SERVER = os.environ.get("HEADRACE_TEST_REDIS", "redis://127.0.0.1:6379/15")
"""Address and database number; what tests leave there is worthless."""


@cache
def unavailable() -> str | None:
    """Why there is no Redis here; None when there is one."""
    try:
        with redis.Redis.from_url(SERVER, socket_connect_timeout=2) as client:
            client.ping()
    except redis.RedisError as error:
        return f"no Redis at {SERVER} ({type(error).__name__}); set HEADRACE_TEST_REDIS"
    return None
