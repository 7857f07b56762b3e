"""The Celery application and its schedule."""

from __future__ import annotations

import os
import threading
from typing import Any

from celery import Celery
from celery.beat import Scheduler, Service

app = Celery("headrace")
app.conf.update(
    broker_url=os.environ.get("HEADRACE_REDIS") or "memory://",
    task_ignore_result=True,
    timezone="UTC",
    beat_scheduler="celery.beat:Scheduler",  # in memory: schedules of users are triggers, never beat entries
    beat_max_loop_interval=1,
    broker_connection_retry_on_startup=True,
    imports=("controlplane.jobs.ticks",),
    beat_schedule={
        "sweep": {"task": "controlplane.jobs.ticks.sweep", "schedule": 1.0, "options": {"expires": 5}},
        "schedule": {"task": "controlplane.jobs.ticks.schedule", "schedule": 1.0, "options": {"expires": 5}},
    },
)


class EmbeddedBeat:
    """Beat as a thread; its jobs run eagerly in that thread."""

    def __init__(self) -> None:
        app.conf.task_always_eager = True
        app.loader.import_default_modules()
        self._service: Any = Service(app, max_interval=1, scheduler_cls=_QuietScheduler)
        self._thread = threading.Thread(target=self._service.start, kwargs={"embedded_process": False}, name="beat", daemon=True)

    def start(self) -> None:
        """Starts ticking."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the job it is in."""
        self._service.stop(wait=False)
        self._thread.join(timeout=5)


class _QuietScheduler(Scheduler):  # type: ignore[misc]
    """Applies jobs in this process instead of sending them to a broker."""

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        entry = self.reserve(entry) if advance else entry
        return self.app.tasks[entry.task].apply(args=entry.args, kwargs=entry.kwargs)
