"""One suite, two databases. Each test gets the address of a database with the current schema and no rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402

from controlplane.engine import outbox  # noqa: E402
from controlplane.platform import database  # noqa: E402
from controlplane.settings.databases import database_from_url  # noqa: E402

ALIAS = "conformance"
TABLES = ("execution", "task_run", "hand_out", "timer", "metric", "outbox", "worker", "log_chunk")


def _migrated(url: str) -> None:
    """Under an alias of its own: the default connection belongs to other tests of this process."""
    configured = connections.configure_settings({"default": database_from_url(url, Path())})["default"]
    configured["OPTIONS"] = {name: value for name, value in configured.get("OPTIONS", {}).items() if name != "pool"}
    connections.settings[ALIAS] = configured
    try:
        call_command("migrate", database=ALIAS, verbosity=0, skip_checks=True)
        connections[ALIAS].close()
    finally:
        del connections[ALIAS]
        del connections.settings[ALIAS]


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite file with the schema."""
    url = f"sqlite:///{tmp_path_factory.mktemp('conformance') / 'headrace.db'}"
    _migrated(url)
    return url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL database with the schema, dropped at the end."""
    reason = postgres.unavailable()
    if reason:
        pytest.skip(reason)
    with postgres.fresh_database("headrace_conformance") as url:
        _migrated(url)
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """The address of an empty database of each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    emptied(url)
    return url


@pytest.fixture
def postgresql(postgres_url: str) -> str:
    """An empty PostgreSQL database, for what only several connections can show."""
    emptied(postgres_url)
    return postgres_url


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consumers of notices are those a test registers: the ones of the product ask a database of their own."""
    monkeypatch.setattr(outbox, "_consumers", {})
    monkeypatch.setattr(outbox, "_wanted", {})


def emptied(url: str) -> None:
    """Takes all rows out."""
    connection = database.connect(url)
    try:
        empty(connection)
    finally:
        connection.close()


def empty(connection: database.Database) -> None:
    """Takes all rows out, over a connection that is open already."""
    for table in TABLES:
        connection.execute(f"DELETE FROM {table}")
