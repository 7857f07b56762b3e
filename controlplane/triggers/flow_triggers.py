"""Flow triggers: an execution that takes a state may start executions of other flows (triggers-and-conditions §8)."""

from __future__ import annotations

from collections.abc import Callable

from controlplane.engine.service import Engine
from controlplane.platform.database import Database
from controlplane.triggers.rules import Rule


def forget(tenant: str) -> None:
    """Stub"""


def first_deadline(rule: Rule, now: int) -> int | None:
    return None


def report_misses(connection: Database, engine: Callable[[], Engine], now: int) -> int:
    return 0
