"""The whole control plane in one process: engine, recorder, workers' door, periodic jobs, web, management.

`headrace up` starts this. In a distributed installation the same parts run in processes of their own; nothing else changes.
Start-up is recovery: what an earlier process left open is found in the database, whatever ended it.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
"""Python's thread switch interval: with the default 5 ms a busy thread would delay the engine by more than a whole step costs."""

GC_THRESHOLD = 5_000
"""New objects between two runs of the cycle collector: over this many a run takes a few ms, over ten times as many ninety."""


@dataclass(frozen=True, slots=True)
class PlaneOptions:
    """Where to listen. Port 0 = any free one. Everything else comes from the settings (`controlplane.settings`)."""

    host: str = "127.0.0.1"
    port: int = 8080
    management_port: int = 8081
    grpc_port: int = 50051


class Plane:
    """Start it once a process. `port`, `management_port` and `grpc_port` say where it really listens."""

    def __init__(self, options: PlaneOptions) -> None:
        self._options = options
        self.port = options.port
        self.management_port = options.management_port
        self.grpc_port = options.grpc_port
        self._stops: list[Any] = []
        self._ready = False

    def start(self) -> None:
        """Brings everything up, in order. Raises OSError when a port cannot be used."""
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
        sys.setswitchinterval(SWITCH_SECONDS)
        self.management_port = self._serve_management()

        import django

        django.setup(set_prefix=False)
        from django.conf import settings

        from controlplane.catalog.engine_flows import flow_of, newest_of
        from controlplane.engine.service import Engine, install
        from controlplane.gateway.recorder import Recorder
        from controlplane.gateway.server import GatewayServer
        from controlplane.platform import database
        from controlplane.platform.wakeups import hub
        from controlplane.vault.resolver import environment_warnings

        for warning in environment_warnings():
            log.warning("%s", warning)
        migrate()
        url = database.url_of_settings(settings.DATABASES["default"])
        engine = Engine(url, flow_of, hub, load_newest=newest_of)
        engine.start()
        install(engine)
        self._stops.append(engine.stop)
        recorder = Recorder(url, hub)
        recorder.start()
        self._stops.append(recorder.stop)
        gateway = GatewayServer(engine, recorder, flow_of, f"{self._options.host}:{self._options.grpc_port}")
        gateway.start()
        self.grpc_port = gateway.port
        self._stops.append(gateway.stop)
        self.port = self._serve_web()
        self._ready = True
        # What is loaded by now stays for ever: the collector need not look at it again, nor run every 700 new objects.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        # Nothing waits for the jobs: they are a net, and importing Celery is a quarter of the start.
        threading.Thread(target=self._start_jobs, name="jobs-start", daemon=True).start()

    def stop(self) -> None:
        """Takes everything down in the opposite order: first no new requests, last the engine."""
        self._ready = False
        for stop in reversed(self._stops):
            try:
                stop()
            except Exception:
                log.exception("a part did not stop cleanly")
        self._stops.clear()

    def health(self) -> dict[str, Any]:
        """The parts as `controlplane.management` shows them; `/health` answers 200 when each is ready."""
        from controlplane.engine.service import EngineUnavailable, installed

        try:
            engine = installed().running
        except EngineUnavailable:
            engine = False
        return {"engine": {"ready": engine}, "web": {"ready": self._ready}}

    def join_token(self, tenant: str = "main", worker_group: str = "default") -> str:
        """A token for one worker, good for ten minutes."""
        from controlplane.fleet.enrolment import create_join_token

        return create_join_token(tenant, worker_group, uses=1, seconds=600)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _start_jobs(self) -> None:
        from controlplane.jobs.app import EmbeddedBeat
        from controlplane.jobs.ticks import stop_scheduler

        beat = EmbeddedBeat()
        beat.start()
        self._stops.extend((stop_scheduler, beat.stop))

    def _serve_web(self) -> int:
        from controlplane.router import build

        return self._uvicorn(build(), self._options.port, "web")

    def _serve_management(self) -> int:
        from controlplane.management import app

        return self._uvicorn(app(self.health), self._options.management_port, "management")

    def _uvicorn(self, application: Any, port: int, name: str) -> int:
        import uvicorn

        listening = socket.socket(socket.AF_INET6 if ":" in self._options.host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self._options.host, port))
        config = uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            log_config=None,
            server_header=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name=name, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise OSError(f"the {name} server did not start on {self._options.host}:{port}")
            time.sleep(0.005)

        def stop() -> None:
            server.should_exit = True
            thread.join(timeout=10)

        self._stops.append(stop)
        return int(listening.getsockname()[1])


def migrate() -> None:
    """Brings the database to the schema of this version; quick when it is there already."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)
