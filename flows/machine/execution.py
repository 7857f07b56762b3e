"""An execution while the machine works on it: the row of the execution and its open task runs.

`decide` changes these values in place and records what it changed; whoever called it owns them and throws them away when
the change could not be stored. Task runs that are over leave `runs`: the size of an execution does not slow its next step.
Times are whole microseconds since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.machine.states import State

if TYPE_CHECKING:
    from flows.machine.outputs import KnownOutputs

History = list[tuple[str, int]]
"""(state, at_us), oldest first."""

RANK = {
    State.SUCCESS: 0,
    State.SKIPPED: 0,
    State.CANCELLED: 0,
    State.RETRIED: 0,
    State.PAUSED: 1,
    State.WARNING: 2,
    State.FAILED: 3,
    State.KILLED: 4,
}
"""How much a child's end weighs in its block's end (execution-semantics §4.5)."""

BY_RANK = (State.SUCCESS, State.PAUSED, State.WARNING, State.FAILED, State.KILLED)


@dataclass(slots=True)
class Cursor:
    """Where a block (the execution itself, or a flowable task run) stands. Its size never grows with the number of children.

    `phase`: the list being run: tasks, errors or finally. `next`: position of the next child, value or pair to start in it.
    `open`: children of this phase that are not over. `worst`: rank of the worst end among the children of `tasks`.
    `failed`: a child of `tasks` failed for good. `branch`: which list stands for `tasks` (If: then or else).
    """

    phase: str = "tasks"
    next: int = 0
    open: int = 0
    worst: int = 0
    failed: bool = False
    branch: str = "tasks"

    def dump(self) -> list[Any]:
        """A JSON-ready list; `load` reads it back."""
        return [self.phase, self.next, self.open, self.worst, self.failed, self.branch]

    @classmethod
    def load(cls, data: list[Any]) -> Cursor:
        """The cursor that `dump` wrote."""
        return cls(*data)


@dataclass(slots=True)
class Attempt:
    """One try at a task run. `state`: RUNNING while it lives; RESUBMITTED = lost and handed out again."""

    state: State
    history: History
    worker_id: str | None = None
    log_lines: int | None = None
    error: dict[str, str] | None = None

    def dump(self) -> dict[str, Any]:
        """JSON-ready; `load` reads it back."""
        return {
            "state": self.state,
            "history": self.history,
            "workerId": self.worker_id,
            "logLines": self.log_lines,
            "error": self.error,
        }

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Attempt:
        """The attempt that `dump` wrote."""
        history = [(state, at) for state, at in data["history"]]
        return cls(State(data["state"]), history, data["workerId"], data["logLines"], data["error"])


@dataclass(slots=True)
class TaskRun:
    """One task inside the execution. `path`: the values of its ancestors that have one, outermost first."""

    id: str
    seq: int
    task_id: str
    parent_id: str | None
    value: str | None
    iteration: int | None
    path: tuple[str, ...]
    state: State
    history: History
    created_at: int
    attempts: list[Attempt] = field(default_factory=list)
    outputs: dict[str, Any] | None = None
    cursor: Cursor | None = None
    items: list[str] | None = None
    started_at: int | None = None
    ended_at: int | None = None

    @property
    def attempt(self) -> int:
        """Number of the current or last attempt, from 1; 0 = none yet."""
        return len(self.attempts)

    def move(self, state: State, at: int) -> None:
        """Takes a state. The same state again is no change."""
        if state is self.state:
            return
        self.state = state
        self.history.append((state.value, at))
        if state is State.RUNNING and self.started_at is None:
            self.started_at = at
        if state.terminated:
            self.ended_at = at
        elif self.ended_at is not None:
            self.ended_at = None


@dataclass(slots=True)
class Execution:
    """One run of a flow revision. `runs` holds the task runs that are not over, by id."""

    tenant: str
    id: str
    namespace: str
    flow_id: str
    revision: int
    state: State
    history: History
    created_at: int
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: list[dict[str, str]] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    trigger: dict[str, Any] | None = None
    cursor: Cursor = field(default_factory=Cursor)
    version: int = 0
    task_run_count: int = 0
    outputs: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    parent_id: str | None = None
    original_id: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    retrying: int = 0
    runs: dict[str, TaskRun] = field(default_factory=dict)
    known_outputs: KnownOutputs | None = None
    """Outputs so far; None = not held here, look them up. A new execution begins with an empty one."""

    def move(self, state: State, at: int) -> None:
        """Takes a state. The same state again is no change."""
        if state is self.state:
            return
        self.state = state
        self.history.append((state.value, at))
        if state is State.RUNNING and self.started_at is None:
            self.started_at = at
        if state.terminated:
            self.ended_at = at
