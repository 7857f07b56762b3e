"""The address of a database as Django's settings want it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SQLITE_BUSY_MS = 30_000
"""How long a writer waits for another one. The engine holds the lock for milliseconds; a backup may hold it longer."""


def database_from_url(url: str, data: Path) -> dict[str, Any]:
    """Django's database settings for `sqlite:///path` or `postgresql://user:password@host:port/name?option=…`.

    Empty means SQLite in the data folder. Raises ValueError for any other scheme.
    """
    if not url:
        return _sqlite(data / "headrace.db")
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return _sqlite(Path(unquote(url.removeprefix("sqlite:///"))))
    if parts.scheme in ("postgresql", "postgres"):
        options: dict[str, Any] = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or options.pop("host", "")),
            "PORT": str(parts.port or ""),
            # Requests are served by a few threads that live as long as the process: each keeps its connection. Taking one from
            # a pool and giving it back cost two milliseconds a request (measured).
            "CONN_MAX_AGE": None,
            "OPTIONS": options,
        }
    raise ValueError(f"HEADRACE_DATABASE must begin with sqlite:/// or postgresql://, not {parts.scheme or url!r}")


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            # IMMEDIATE: a transaction that will write asks for the lock at its beginning, where waiting is possible;
            # FULL: a commit that was answered survives a power cut.
            "transaction_mode": "IMMEDIATE",
            "timeout": SQLITE_BUSY_MS / 1000,
            "init_command": (
                f"PRAGMA busy_timeout={SQLITE_BUSY_MS};PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;"
                "PRAGMA foreign_keys=ON;PRAGMA cache_size=-16000;"
            ),
        },
    }
