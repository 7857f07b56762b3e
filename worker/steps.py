"""Steps a task tells of while it runs: what makes them task runs of their own, and how they leave a forked process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from flows.machine.events import SubRun
from flows.machine.states import State
from wire.ids import new_id
from worker.errors import TaskFailed

ENDS = (State.SUCCESS, State.WARNING, State.FAILED, State.KILLED, State.SKIPPED)
"""How a step may have ended: it is told of when it is over."""

TOLD_MAX = 200
"""Steps of one message."""


def dynamic(run: SubRun) -> SubRun:
    """A step as a task tells it: marked dynamic, with an id. Raises TaskFailed (`task.step_state`) for a state that is no end."""
    if run.state not in ENDS:
        known = ", ".join(ENDS)
        raise TaskFailed(
            f"The step {run.task_id} cannot be told of in state {run.state}; expected one of {known}.", code="task.step_state"
        )
    return replace(run, dynamic=True, id=run.id or new_id())


def as_told(run: SubRun) -> dict[str, Any]:
    """Plain data of a step, for the way out of a forked process."""
    return asdict(run)


def step_of(told: Mapping[str, Any]) -> SubRun:
    """The step that `as_told` wrote."""
    return SubRun(**{**told, "state": State(told["state"])})
