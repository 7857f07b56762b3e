"""Which Python tasks share a warm interpreter, and what it imports before it forks."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import entry_points

from flows.plugins import TaskType
from wire.plugins import GROUP

HEAVY: Mapping[str, tuple[str, ...]] = {
    # Seconds of imports that the first task of a family pays once; the next ones fork in milliseconds.
    "worker.tasks.duckdb": ("duckdb", "pyarrow"),
    "worker.tasks.dlt": ("dlt", "duckdb", "pyarrow", "sqlalchemy"),
}


def family_of(task_type: type[TaskType]) -> str:
    """The module announced as the entry point, or else the package, that a task type belongs to."""
    parts = task_type.__module__.split(".")
    announced = _announced()
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in announced:
            return name
    return task_type.__module__


@lru_cache(maxsize=1)
def _announced() -> frozenset[str]:
    return frozenset(entry.value.split(":")[0] for entry in entry_points(group=GROUP))


def modules_of(family: str) -> Sequence[str]:
    """What a family's interpreter imports at its start: the task code, its heavy libraries where installed.

    A module may say so itself: `PRELOAD = ("library", …)`.
    """
    base = ["worker.child", family]
    module = importlib.import_module(family)
    wanted: Sequence[str] = getattr(module, "PRELOAD", HEAVY.get(family, ()))
    return [*base, *(name for name in wanted if importlib.util.find_spec(name) is not None)]
