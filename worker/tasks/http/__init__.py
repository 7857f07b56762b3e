"""HTTP: tasks that request and download, and a trigger that watches an address."""

from __future__ import annotations

from flows.plugins import TaskType, TriggerType
from worker.tasks.http.tasks import Download, Request
from worker.tasks.http.watch import Trigger

TASKS: tuple[type[TaskType], ...] = (Request, Download)
__all__ = ["TASKS", "TRIGGERS", "Download", "Request", "Trigger"]
TRIGGERS: tuple[type[TriggerType], ...] = (Trigger,)
