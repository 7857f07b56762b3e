"""Waiting for a person or for time: Pause."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from flows.machine.tasks.blocks import CORE, OLD, Flowable
from flows.plugins import Dynamic, Properties


class PauseOutputs(Properties):
    """`onResume`: the values given at the resume. `resumed`: by whom, when and into which state."""

    on_resume: dict[str, Any] = Field(default_factory=dict)
    resumed: dict[str, Any] | None = None


class Pause(Flowable):
    """Pauses the execution until somebody resumes it or a time has passed (execution-semantics §6.8).

    `pauseDuration` (older: `delay`): when it has passed, `behavior` says what happens. `timeout`: fails when nobody resumed in
    time. `onResume`: inputs asked for at the resume. `onPause`: one task that runs when the pause begins. `tasks` (deprecated)
    run after the resume.
    """

    types = (CORE + "Pause", OLD + "Pause")
    title = "Pause the execution"
    branches = ("onPause", "tasks", "errors", "finally")
    outputs = PauseOutputs
    unrendered = frozenset({"onResume"})
    examples = (
        """\
id: approve
type: io.kestra.plugin.core.flow.Pause
onResume:
  - {id: reason, type: STRING}
""",
    )
    delay: str | None = None
    pause_duration: str | None = None
    behavior: Dynamic[Literal["RESUME", "WARN", "FAIL", "CANCEL"]] = "RESUME"
    on_resume: list[dict[str, Any]] | None = None
    on_pause: Any = None
    tasks: list[Any] = Field(default_factory=list)


TASKS = (Pause,)
