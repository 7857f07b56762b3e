"""The API over a real database: every test here runs on SQLite and, where a server answers, on PostgreSQL."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest

os.environ["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
django.setup()

from django.apps import apps  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402

from controlplane.platform.threads import close_threads  # noqa: E402
from controlplane.settings.databases import database_from_url  # noqa: E402
from tests.integration.api.client import Api  # noqa: E402
from tests.support import postgres  # noqa: E402

PASSWORD = "Root!1234"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Points Django at a fresh database of this kind and gives its URL."""
    if request.param == "postgresql":
        reason = postgres.unavailable()
        if reason:
            pytest.skip(reason)
        with postgres.fresh_database() as url:
            yield from _use(url)
    else:
        yield from _use(f"sqlite:///{tmp_path_factory.mktemp('database') / 'headrace.db'}")


def _use(url: str) -> Iterator[str]:
    connections["default"].close()
    configured = connections.configure_settings({"default": database_from_url(url, Path())})
    connections.settings["default"] = configured["default"]
    del connections["default"]
    call_command("migrate", verbosity=0, skip_checks=True)
    yield url
    connection.close()
    if hasattr(connection, "close_pool"):
        connection.close_pool()


@pytest.fixture(autouse=True)
def empty(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test starts with empty tables and an empty data folder."""
    from controlplane.accounts.access import forget_tenants
    from controlplane.accounts.authentication import forget_credentials
    from controlplane.catalog import queries
    from controlplane.triggers.flow_triggers import _drop
    from controlplane.triggers.rules import forget_rules

    monkeypatch.setattr(settings, "HEADRACE_DATA", tmp_path / "data")
    tables = ", ".join(f'"{model._meta.db_table}"' for model in apps.get_models())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {tables} CASCADE")
        else:
            for model in reversed(list(apps.get_models())):
                cursor.execute(f'DELETE FROM "{model._meta.db_table}"')
    forget_tenants()
    forget_credentials()
    queries._loaded.clear()
    forget_rules()
    _drop("main")
    yield
    connection.close()


@pytest.fixture
def anonymous(empty: None) -> Api:
    """A client without credentials, before setup."""
    return Api()


@pytest.fixture
def api(anonymous: Api) -> Api:
    """A client of the instance owner with a Bearer token; tenant `main` exists."""
    from controlplane.accounts.actions import create_api_token, create_first_user

    user = create_first_user("root@example.com", PASSWORD)
    return Api(token=create_api_token(user.id, "tests").text)


@pytest.fixture
def engine(backend: str) -> Iterator[Any]:
    """The real engine on the same database. No worker is there: runnable tasks wait, flowables and skipped tasks end."""
    from controlplane.catalog.engine_flows import flow_of, newest_of
    from controlplane.engine.service import Engine, install
    from controlplane.platform.wakeups import hub

    running = Engine(backend, flow_of, hub, load_newest=newest_of)
    running.start()
    install(running)
    yield running
    running.stop()
    install(None)


@pytest.fixture
def server(api: Api, engine: Any) -> Iterator[str]:
    """The whole web side on a real socket: router, WSGI threads, ASGI streams. Gives its address."""
    import uvicorn

    from controlplane.router import build

    config = uvicorn.Config(build(), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    running = uvicorn.Server(config)
    sockets = [config.bind_socket()]
    thread = threading.Thread(target=running.run, args=(sockets,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join(10)
    close_threads()
