"""PostgreSQL for tests: the server on loopback when it answers, a fresh database in it for each use."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import psycopg

SERVER = os.environ.get("HEADRACE_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
"""Address of a server where databases may be created and dropped."""


@cache
def unavailable() -> str | None:
    """Why there is no PostgreSQL here; None when there is one."""
    try:
        psycopg.connect(SERVER, connect_timeout=2).close()
    except psycopg.Error as error:
        place = f"{urlsplit(SERVER).hostname}:{urlsplit(SERVER).port or 5432}"
        return f"no PostgreSQL at {place} ({type(error).__name__}); set HEADRACE_TEST_POSTGRESQL"
    return None


@contextmanager
def fresh_database(prefix: str = "headrace_test") -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    name = f"{prefix}_{secrets.token_hex(6)}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(SERVER, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
