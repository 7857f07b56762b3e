"""What can happen to an execution. Values; the machine's answer to each is in `decide`.

Whoever stores or sends an event does it through `dump` and `load`: plain data, the class name as `event`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from flows.machine.states import State

Verdict = Literal["run", "QUEUE", "CANCEL", "FAIL"]
"""What the flow's concurrency limit says about an execution: a place is free, or what the flow wants for one too many."""


@dataclass(frozen=True, slots=True)
class Created:
    """The execution exists and may start. `verdict`: see `Verdict`; asked for by the host, under its own lock."""

    verdict: Verdict = "run"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A place under the flow's concurrency limit is given to this queued execution."""


@dataclass(frozen=True, slots=True)
class Started:
    """A worker began an attempt."""

    task_run_id: str
    attempt: int
    worker_id: str


@dataclass(frozen=True, slots=True)
class SubRun:
    """A task run that a worker reports below the one it holds: a child of a WorkingDirectory, a step of a dynamic task.

    `id`: given by the reporter, stable across repeats. `task_id`: of the flow for a WorkingDirectory, free for dynamic ones.
    `attempts`: how each try ended (state, took_us, error), the last one first known. Reported once, when it is over.
    """

    id: str
    task_id: str
    state: State
    took_us: int = 0
    outputs: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    log_lines: int | None = None
    attempts: int = 1
    value: str | None = None
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """A worker tells of task runs below the attempt it runs."""

    task_run_id: str
    attempt: int
    runs: tuple[SubRun, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker ended an attempt. `took_us`: how long it ran by the worker's own clock, in microseconds."""

    task_run_id: str
    attempt: int
    worker_id: str
    state: State
    took_us: int = 0
    outputs: dict[str, Any] | None = None
    log_lines: int | None = None
    error: dict[str, str] | None = None
    log_file: str | None = None
    """Address of the attempt's whole log when its task says `logToFile`."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The infrastructure lost an attempt: its lease ran out, or its worker came back without it."""

    task_run_id: str
    attempt: int
    worker_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class NoWorker:
    """Nobody of the wanted group is connected, and the task does not want to wait: `fallback` FAIL or CANCEL."""

    task_run_id: str
    attempt: int
    fallback: Literal["FAIL", "CANCEL"]


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer is due. `task_run_id` empty: one of the execution itself.

    Kinds of a task run: `retry`, `timeout` (its worker did not end it), `pause` (the duration is over), `pause_timeout`, `round`
    (LoopUntil). Of the execution: `start` (scheduleDate), `sla:<id>`, `rerun` (retry as a new execution).
    """

    task_run_id: str
    attempt: int
    kind: str


@dataclass(frozen=True, slots=True)
class ChildCreated:
    """The wanted child execution exists."""

    task_run_id: str
    child_id: str


@dataclass(frozen=True, slots=True)
class ChildRefused:
    """The wanted child execution could not be created: no such flow, a disabled one, an input that does not fit."""

    task_run_id: str
    child_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A child execution is over. `outputs`: its flow outputs (of a Loop's iteration: those the Loop declares)."""

    task_run_id: str
    child_id: str
    state: State
    outputs: dict[str, Any] | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """Someone wants the execution to end now. `cascade`: the executions it started as well."""

    reason: dict[str, str] = field(default_factory=dict)
    cascade: bool = True


@dataclass(frozen=True, slots=True)
class Pause:
    """Someone wants nothing new to start."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Someone wants a paused execution to go on. `inputs`: checked against the Pause's `onResume` already.

    `task_run_id` None: the first paused task run, or the execution itself when it was paused by hand.
    """

    inputs: dict[str, Any] = field(default_factory=dict)
    task_run_id: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class ResumeBreakpoint:
    """Someone wants an execution that stands at a breakpoint to go on. `breakpoints` None: the remaining ones stay."""

    breakpoints: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ForceRun:
    """Someone wants it to run whatever it waits for: a start date, a place under the limit, a pause."""


@dataclass(frozen=True, slots=True)
class Unqueue:
    """Someone takes a queued execution out of the line: to run, or straight to an end."""

    state: State = State.RUNNING


@dataclass(frozen=True, slots=True)
class ChangeState:
    """Someone gives an execution that is over another end. Nothing runs again."""

    state: State


@dataclass(frozen=True, slots=True)
class SetLabels:
    """Someone adds or overwrites labels of an execution."""

    labels: tuple[tuple[str, str], ...]


Event = (
    Created
    | Admitted
    | Started
    | Reported
    | Finished
    | Lost
    | NoWorker
    | TimerFired
    | ChildCreated
    | ChildRefused
    | ChildEnded
    | Kill
    | Pause
    | Resume
    | ResumeBreakpoint
    | ForceRun
    | Unqueue
    | ChangeState
    | SetLabels
)

_TOLD: dict[str, type[ChildEnded | Kill | Resume | ForceRun]] = {
    "ChildEnded": ChildEnded,
    "Kill": Kill,
    "Resume": Resume,
    "ForceRun": ForceRun,
}


def dump(event: Event) -> dict[str, Any]:
    """Plain data of an event that one execution tells another."""
    return {"event": type(event).__name__, **asdict(event)}


def load(data: Mapping[str, Any]) -> Event:
    """The event that `dump` wrote. Raises KeyError for one that executions do not tell each other."""
    fields = {key: value for key, value in data.items() if key != "event"}
    if "state" in fields:
        fields["state"] = State(fields["state"])
    return _TOLD[data["event"]](**fields)
