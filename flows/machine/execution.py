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
    `rounds`: rounds a LoopUntil has finished. `ready`: what may start before anything new, as [position of the child, position
    of the value]: the next task of a value in a concurrent loop, a task of a Dag; bounded by what is open.
    `counts`: ends of child executions by state.
    """

    phase: str = "tasks"
    next: int = 0
    open: int = 0
    worst: int = 0
    failed: bool = False
    branch: str = "tasks"
    rounds: int = 0
    ready: list[list[int]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def dump(self) -> list[Any]:
        """A JSON-ready list; `load` reads it back."""
        found: list[Any] = [self.phase, self.next, self.open, self.worst, self.failed, self.branch]
        if self.rounds or self.ready or self.counts:
            found += [self.rounds, [list(pair) for pair in self.ready], dict(self.counts)]
        return found

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
    """One task inside the execution. `path`: the values of its ancestors that have one, outermost first.

    `dynamic`: reported by a worker as a step of a task; no task of the flow.
    """

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
    dynamic: bool = False

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
    """One run of a flow revision. `runs` holds the task runs that are not over, by id.

    `parent_id`: the execution it was replayed from; `original_id`: root of that chain. `started_by`: the execution whose task
    started it (Subflow, ForEachItem, Loop); `waiter`: (execution, task run, position) of that task when it waits for the end.
    `loop`: for an iteration of a Loop, {"taskId", "item", "outputs"}. `cause`: why it exists, {"kind": "api" | "trigger" |
    "webhook" | "flow" | "backfill" | "subflow" | "item" | "loop" | "replay" | "retry" | "test", …}. `held`: task runs to hand
    out when it may go on. `paused`: by hand.
    """

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
    pausing: int = 0
    stopped: int = 0
    """Open task runs that are RETRYING, PAUSED, in BREAKPOINT (see `count`)."""
    kind: str = "NORMAL"
    schedule_at: int | None = None
    cause: dict[str, Any] | None = None
    started_by: str | None = None
    waiter: tuple[str, str, int | None] | None = None
    loop: dict[str, Any] | None = None
    attempt_number: int = 1
    first_created_at: int | None = None
    """When the first execution of the chain of replays and retries was created; None: this one is the first."""
    breakpoints: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    paused: bool = False
    failure: dict[str, Any] | None = None
    """The last task run that failed for good, {"taskId", "message"}: what error handlers see as `error`."""
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
        elif self.ended_at is not None:
            self.ended_at = None

    def dump_extra(self) -> dict[str, Any]:
        """What few executions have, JSON-ready; empty for most. `load_extra` reads it back."""
        found: dict[str, Any] = {}
        if self.waiter is not None:
            found["waiter"] = list(self.waiter)
        if self.loop is not None:
            found["loop"] = self.loop
        if self.attempt_number != 1:
            found["attempt"] = self.attempt_number
        if self.first_created_at is not None:
            found["first"] = self.first_created_at
        if self.breakpoints:
            found["breakpoints"] = list(self.breakpoints)
        if self.held:
            found["held"] = list(self.held)
        if self.paused:
            found["paused"] = True
        if self.failure is not None:
            found["failure"] = self.failure
        return found

    def load_extra(self, data: Mapping[str, Any]) -> None:
        """Takes what `dump_extra` wrote."""
        waiter = data.get("waiter")
        self.waiter = None if waiter is None else (waiter[0], waiter[1], waiter[2])
        self.loop = data.get("loop")
        self.attempt_number = data.get("attempt", 1)
        self.first_created_at = data.get("first")
        self.breakpoints = list(data.get("breakpoints", ()))
        self.held = list(data.get("held", ()))
        self.paused = data.get("paused", False)
        self.failure = data.get("failure")

    def count(self) -> None:
        """Counts anew how many open task runs are being retried, paused, or at a breakpoint."""
        states = [run.state for run in self.runs.values()]
        self.retrying = states.count(State.RETRYING)
        self.pausing = states.count(State.PAUSED)
        self.stopped = states.count(State.BREAKPOINT)
