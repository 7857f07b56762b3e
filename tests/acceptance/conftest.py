"""Whole platforms for the stories: SQLite always, PostgreSQL where it answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.platform import Platform


@pytest.fixture(params=["sqlite", "postgresql"])
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platform]:
    """A started platform with one worker."""
    with ExitStack() as stack:
        database = ""
        if request.param == "postgresql":
            if reason := postgres.unavailable():
                pytest.skip(reason)
            database = stack.enter_context(postgres.fresh_database())
        running = Platform(tmp_path / "data", database)
        stack.callback(running.close)
        yield running.start()
