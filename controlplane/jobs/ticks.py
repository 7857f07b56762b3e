"""The jobs themselves: thin, each a `run_once` of the service it belongs to."""

from __future__ import annotations

import threading

from django.conf import settings

from controlplane.engine import sweeper
from controlplane.engine.service import Engine, EngineUnavailable, install, installed
from controlplane.jobs.app import app
from controlplane.platform import database
from controlplane.platform.wakeups import hub
from controlplane.triggers.scheduler import Scheduler

_local = threading.local()
_begin = threading.Lock()
_running: Scheduler | None = None


@app.task  # type: ignore[untyped-decorator]
def sweep() -> dict[str, int]:
    """Expired leases and due timers."""
    return sweeper.run_once(_connection(), _engine())


@app.task  # type: ignore[untyped-decorator]
def schedule() -> bool:
    """Due triggers. A process begins with this tick to look by itself, at the very instants; the tick is the net under it."""
    scheduler = _scheduler()
    scheduler.wake()
    return scheduler.running


def _scheduler() -> Scheduler:
    global _running
    with _begin:
        if _running is None or not _running.running:
            _running = Scheduler(database.url_of_settings(settings.DATABASES["default"]), _engine, hub)
            _running.start()
        return _running


def stop_scheduler() -> None:
    """Ends the scheduler of this process, before its engine."""
    global _running
    with _begin:
        running, _running = _running, None
    if running is not None:
        running.stop()


def _connection() -> database.Database:
    found: database.Database | None = getattr(_local, "database", None)
    if found is None:
        found = _local.database = database.connect(database.url_of_settings(settings.DATABASES["default"]))
    return found


def _engine() -> Engine:
    """The engine of this process; a jobs-only process starts one at its first job."""
    try:
        return installed()
    except EngineUnavailable:
        from controlplane.catalog.engine_flows import flow_of, newest_of

        engine = Engine(database.url_of_settings(settings.DATABASES["default"]), flow_of, hub, load_newest=newest_of)
        engine.start()
        install(engine)
        return engine
