"""When a failed attempt is tried again (flow-language §11, execution-semantics §9.2)."""

from __future__ import annotations

from collections.abc import Callable

from flows.machine.execution import Execution, TaskRun
from flows.machine.states import State
from flows.spec.model import Flow, Retry, Task


def policy_of(flow: Flow, task: Task) -> Retry | None:
    """The task's own policy, else the nearest ancestor's, else the flow's."""
    step: Task | None = task
    while step is not None:
        if step.retry is not None:
            return step.retry
        step = flow.index.get(step.parent) if step.parent else None
    return flow.retry


def failures_of(run: TaskRun) -> int:
    """Attempts that the user's code failed; losses by the infrastructure do not count."""
    return sum(attempt.state is State.FAILED for attempt in run.attempts)


def retry_at(retry: Retry, run: TaskRun, execution: Execution, now: int, random: Callable[[], float]) -> int | None:
    """When (microseconds) the next attempt is due, or None when the policy says stop.

    Exponential waits grow as documented, `interval × delayFactor^(n-1)` after the n-th failure, capped by `maxInterval`; Kestra
    0.21's own formula is linear and zero after the first failure, which nobody who writes `exponential` means.
    """
    anew = retry.behavior == "CREATE_NEW_EXECUTION"
    # A chain of executions counts as one (execution-semantics §15, trap 15).
    failures = execution.attempt_number if anew else failures_of(run)
    if retry.attempts_max is not None and failures >= retry.attempts_max:
        return None
    if retry.type == "random":
        low = (retry.interval_min or retry.interval).total_seconds()
        high = (retry.interval_max or retry.interval).total_seconds()
        wait = low + (high - low) * random()
    else:
        wait = retry.interval.total_seconds()
        if retry.type == "exponential":
            # A large n would overflow a float long before anybody waits that long.
            wait *= retry.delay_factor ** min(failures - 1, 64)
            if retry.interval_max is not None:
                wait = min(wait, retry.interval_max.total_seconds())
    due = now + int(wait * 1_000_000)
    if retry.duration_max is not None:
        if anew:
            first = execution.first_created_at or execution.created_at
        else:
            first = run.attempts[0].history[0][1] if run.attempts else execution.created_at
        if due > first + int(retry.duration_max.total_seconds() * 1_000_000):
            return None
    return due
