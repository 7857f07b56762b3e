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
_ENDS = frozenset({S.SUCCESS, S.WARNING, S.FAILED, S.KILLED, S.CANCELLED})

EXECUTION_TRANSITIONS: dict[State, frozenset[State]] = {
    # Any open state → FAILED: the execution was parked, because it could not be stored or its flow is gone.
    S.CREATED: frozenset({S.RUNNING, S.QUEUED, S.RESTARTED, S.KILLING, *_ENDS}),
    S.QUEUED: frozenset({S.RUNNING, S.KILLING, *_ENDS}),
    S.RUNNING: frozenset({S.RETRYING, S.RETRIED, S.PAUSED, S.BREAKPOINT, S.KILLING, *_ENDS}),
    S.RETRYING: frozenset({S.RUNNING, S.PAUSED, S.BREAKPOINT, S.KILLING, S.RETRIED, *_ENDS}),
    S.PAUSED: frozenset({S.RESTARTED, S.RUNNING, S.RETRYING, S.KILLING, *_ENDS}),
    S.BREAKPOINT: frozenset({S.RUNNING, S.PAUSED, S.RETRYING, S.KILLING, *_ENDS}),
    S.RESTARTED: frozenset({S.RUNNING, S.RETRYING, S.PAUSED, S.BREAKPOINT, S.KILLING, *_ENDS}),
    S.KILLING: frozenset({S.KILLED}),
    # What is over may be restarted, or given another end by hand.
    **{state: frozenset({S.RESTARTED, *_ENDS} - {state}) for state in (*_ENDS, S.RETRIED)},
}
"""Execution: state → states that may follow."""

TASK_RUN_TRANSITIONS: dict[State, frozenset[State]] = {
    # CREATED → an end without RUNNING: runIf, or a property that could not be evaluated. A hand-out that a worker holds but has
    # not begun is still CREATED. RUNNING → CREATED: the attempt was lost and is handed out again, or a loop's next round.
    S.CREATED: frozenset({S.RUNNING, S.SKIPPED, S.BREAKPOINT, S.RETRIED, *_ENDS}),
    S.RUNNING: frozenset({S.PAUSED, S.CREATED, S.RETRIED, *_ENDS}),
    S.PAUSED: frozenset({S.RUNNING, S.RESTARTED, S.CREATED, S.RETRIED, *_ENDS}),
    S.BREAKPOINT: frozenset({S.CREATED, S.RETRIED, *_ENDS}),
    S.RETRYING: frozenset({S.CREATED, S.RETRIED, *_ENDS}),
    S.RESTARTED: frozenset({S.RUNNING, S.SKIPPED, S.BREAKPOINT, S.RETRIED, *_ENDS}),
    # An end is undone by a restart (leaves RESTARTED, blocks RUNNING), a retry, or by hand.
    S.FAILED: frozenset({S.RETRYING, S.RETRIED, S.RESTARTED, S.RUNNING, *_ENDS} - {S.FAILED}),
    **{state: frozenset({S.RESTARTED, S.RUNNING, *_ENDS} - {state}) for state in (*(_ENDS - {S.FAILED}), S.SKIPPED)},
}
"""Task run: state → states that may follow."""

FROZEN = frozenset({S.CREATED, S.QUEUED, S.PAUSED, S.BREAKPOINT})
"""Execution: nothing new starts; what runs goes on and is recorded."""
