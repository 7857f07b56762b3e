"""Every kind of task and every command, each as a short story (execution-semantics §5 to §13)."""

from __future__ import annotations

import pytest

from tests.unit.machine.scenarios import STORIES, Story


@pytest.mark.parametrize("tell", STORIES.values(), ids=STORIES)
def test_the_story_ends_as_told(tell: Story) -> None:
    tell()
