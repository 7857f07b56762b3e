"""States of executions and task runs, and which may follow which. Data, read by machine, tests and documentation alike.

Source: Kestra's State (project spec, execution-semantics §2). The set is closed: clients of the API know these names only.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an execution, a task run or an attempt stands."""

    CREATED = "CREATED"
    SUBMITTED = "SUBMITTED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    RESTARTED = "RESTARTED"
    RETRYING = "RETRYING"
    RETRIED = "RETRIED"
    KILLING = "KILLING"
    KILLED = "KILLED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"
    BREAKPOINT = "BREAKPOINT"
    RESUBMITTED = "RESUBMITTED"
    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    FAILED = "FAILED"

    @property
    def terminated(self) -> bool:
        """No further change follows by itself."""
        return self in TERMINATED


TERMINATED = frozenset(
    {State.SUCCESS, State.WARNING, State.FAILED, State.KILLED, State.CANCELLED, State.RETRIED, State.SKIPPED, State.RESUBMITTED}
)

S = State
EXECUTION_TRANSITIONS: dict[State, frozenset[State]] = {
    # Any open state → FAILED: the execution was parked, because it could not be stored or its flow is gone.
    S.CREATED: frozenset({S.RUNNING, S.KILLING, S.FAILED, S.SUCCESS}),
    S.RUNNING: frozenset({S.RETRYING, S.KILLING, S.SUCCESS, S.WARNING, S.FAILED, S.KILLED}),
    S.RETRYING: frozenset({S.RUNNING, S.KILLING, S.FAILED}),
    S.KILLING: frozenset({S.KILLED}),
}
"""Execution: state → states that may follow. A state without an entry is the last one."""

TASK_RUN_TRANSITIONS: dict[State, frozenset[State]] = {
    # CREATED → an end without RUNNING: runIf, or a property that could not be evaluated. A hand-out that a worker holds but has
    # not begun is still CREATED. RUNNING → CREATED: the attempt was lost and is handed out again.
    S.CREATED: frozenset({S.RUNNING, S.SKIPPED, S.FAILED, S.WARNING, S.SUCCESS, S.KILLED}),
    S.RUNNING: frozenset({S.SUCCESS, S.WARNING, S.FAILED, S.KILLED, S.RETRYING, S.CREATED}),
    S.RETRYING: frozenset({S.CREATED, S.KILLED}),
}
"""Task run: state → states that may follow."""
