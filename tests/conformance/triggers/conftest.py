"""Triggers on both databases: real flows in real tables, the real engine and scheduler; time is up to the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api.conftest import backend, empty

__all__ = ["backend", "empty"]


@pytest.fixture
def world(backend: str, empty: None) -> Iterator[Any]:
    """A control plane without doors and workers; see `TriggerWorld`."""
    from tests.conformance.triggers.world import TriggerWorld

    running = TriggerWorld(backend)
    yield running
    running.close()
