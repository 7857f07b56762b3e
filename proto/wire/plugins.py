"""Finds the task, trigger and condition types installed here: entry points of the group `headrace.plugins`."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points

from flows.plugins import Catalogue

GROUP = "headrace.plugins"


@lru_cache(maxsize=1)
def discover() -> Catalogue:
    """The catalogue of everything installed, read once a process.

    Each entry point names a module with tuples `TASKS`, `TRIGGERS`, `CONDITIONS` (each may be absent).
    Modules import heavy libraries only inside `run`, so this is cheap.
    """
    catalogue = Catalogue()
    for entry in sorted(entry_points(group=GROUP), key=lambda item: item.name):
        module = entry.load()
        for task_type in getattr(module, "TASKS", ()):
            catalogue.register(task_type)
        for trigger_type in getattr(module, "TRIGGERS", ()):
            catalogue.register_trigger(trigger_type)
        for condition_type in getattr(module, "CONDITIONS", ()):
            catalogue.register_condition(condition_type)
    return catalogue
