"""Finds the task types installed here: entry points of the group `headrace.plugins`."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points

from flows.plugins import Catalogue

GROUP = "headrace.plugins"


@lru_cache(maxsize=1)
def discover() -> Catalogue:
    """The catalogue of everything installed, read once a process.

    Each entry point names a module with a tuple `TASKS`. Modules import heavy libraries only inside `run`, so this is cheap.
    """
    catalogue = Catalogue()
    for entry in sorted(entry_points(group=GROUP), key=lambda item: item.name):
        for task_type in entry.load().TASKS:
            catalogue.register(task_type)
    return catalogue
