"""What can happen to an execution. Values; the machine's answer to each is in `decide`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flows.machine.states import State


@dataclass(frozen=True, slots=True)
class Created:
    """The execution exists and may start."""


@dataclass(frozen=True, slots=True)
class Started:
    """A worker began an attempt."""

    task_run_id: str
    attempt: int
    worker_id: str


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


@dataclass(frozen=True, slots=True)
class Lost:
    """The infrastructure lost an attempt: its lease ran out, or its worker came back without it."""

    task_run_id: str
    attempt: int
    worker_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer is due: `retry` (try again) or `timeout` (the attempt outlived its timeout and its worker did not say so)."""

    task_run_id: str
    attempt: int
    kind: str


@dataclass(frozen=True, slots=True)
class Kill:
    """Someone wants the execution to end now."""

    reason: dict[str, str] = field(default_factory=dict)


Event = Created | Started | Finished | Lost | TimerFired | Kill
