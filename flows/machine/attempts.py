"""Attempts at workers: begun, ended, lost, tried again (execution-semantics §9), and the task runs a worker reports below one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows import limits
from flows.machine import blocks
from flows.machine.events import Finished, Lost, NoWorker, Reported, Started, SubRun
from flows.machine.execution import RANK, Attempt, Cursor, Execution, TaskRun
from flows.machine.retries import policy_of, retry_at
from flows.machine.states import State
from flows.spec.model import Retry

if TYPE_CHECKING:
    from flows.machine.step import Step

TIMEOUT_GRACE_US = 30_000_000
"""How long after an attempt's timeout the machine waits for the worker's own word before it ends the attempt itself."""

_WAITING = (State.CREATED, State.RESTARTED)


def waiting(execution: Execution, run_id: str, attempt: int) -> TaskRun | None:
    """The task run if this attempt is the one it waits for."""
    run = execution.runs.get(run_id)
    return run if run is not None and run.state in _WAITING and run.attempt + 1 == attempt else None


def running(execution: Execution, run_id: str, attempt: int) -> TaskRun | None:
    """The task run if this attempt is the one that runs."""
    run = execution.runs.get(run_id)
    return run if run is not None and run.state is State.RUNNING and run.attempt == attempt and run.cursor is None else None


def started(step: Step, event: Started) -> None:
    """A worker began."""
    run = waiting(step.execution, event.task_run_id, event.attempt)
    if run is None:
        return
    step.begin(run, event.worker_id, step.now)
    timeout = step.place(run).timeout_us
    if timeout is not None:
        step.timer(run, "timeout", step.now + timeout + TIMEOUT_GRACE_US)


def finished(step: Step, event: Finished) -> None:
    """A worker ended."""
    run = waiting(step.execution, event.task_run_id, event.attempt)
    if run is not None:
        # Start and end travelled in one message; the worker's clock only says how long it took.
        step.begin(run, event.worker_id, step.now - event.took_us)
    else:
        run = running(step.execution, event.task_run_id, event.attempt)
        if run is None:
            return
    step.end_attempt(run, event.state, event.error, event.log_lines)
    if event.outputs is not None:
        run.outputs = event.outputs
    after_attempt(step, run, event.state)


def lost(step: Step, event: Lost) -> None:
    """The infrastructure lost it: handed out again, a bounded number of times."""
    run = waiting(step.execution, event.task_run_id, event.attempt)
    if run is not None:
        step.begin(run, event.worker_id, step.now)
    else:
        run = running(step.execution, event.task_run_id, event.attempt)
        if run is None:
            return
    error = {"code": "attempt.lost", "message": event.reason}
    losses = 1 + sum(attempt.state is State.RESUBMITTED for attempt in run.attempts)
    step.effects.timers_void.add(run.id)
    if step.execution.state.terminated and not step.place(run).after:
        step.end_attempt(run, State.KILLED, error)
        step.end_run(run, State.KILLED)
    elif losses > limits.RETRY_ATTEMPTS_LOST_MAX:
        message = f"{event.reason}; lost {losses} times, more than the {limits.RETRY_ATTEMPTS_LOST_MAX} allowed"
        step.end_attempt(run, State.FAILED, {"code": "attempt.lost_too_often", "message": message})
        _over(step, run, State.FAILED)
    else:
        step.end_attempt(run, State.RESUBMITTED, error)
        if step.place(run).task.branches:
            step.effects.removed_below.add(run.id)
        run.move(State.CREATED, step.now)
        step.hand_out(run)


def no_worker(step: Step, event: NoWorker) -> None:
    """Nobody of the wanted group is there, and the task does not want to wait."""
    run = waiting(step.execution, event.task_run_id, event.attempt)
    if run is None:
        return
    step.begin(run, None, step.now)
    state = State.CANCELLED if event.fallback == "CANCEL" else State.FAILED
    message = "no worker of the wanted group is connected, and the task's fallback is not to wait"
    step.end_attempt(run, state, {"code": "worker.none", "message": message}, 0)
    if state is State.CANCELLED:
        step.end_run(run, state)
    else:
        after_attempt(step, run, state)


def timed_out(step: Step, run: TaskRun) -> None:
    """The attempt outlived its timeout and its worker did not say so."""
    if run.state is not State.RUNNING:
        return
    error = {"code": "task.timeout", "message": "the attempt outlived its timeout and its worker did not end it"}
    step.effects.stopped.add(run.id)
    step.end_attempt(run, State.FAILED, error)
    after_attempt(step, run, State.FAILED)


def after_attempt(step: Step, run: TaskRun, state: State) -> None:
    """The attempt ended in `state`: try again, or end the task run."""
    if state is State.FAILED and (not step.execution.state.terminated or step.place(run).after):
        retry = policy_of(step.world.flow, step.task(run))
        due = None if retry is None else retry_at(retry, run, step.execution, step.now, step.world.random)
        if retry is not None and due is not None:
            run.move(State.FAILED, step.now)
            if retry.behavior == "CREATE_NEW_EXECUTION":
                _anew(step, run, retry, due)
                return
            run.outputs = None  # only the last attempt's are the task run's
            step.wait_as(run, State.RETRYING)
            step.timer(run, "retry", due)
            return
    _over(step, run, state)


def _over(step: Step, run: TaskRun, state: State) -> None:
    """No further attempt. A task that carries tasks to its worker has errors and finally of its own, which the machine runs."""
    children = step.task(run).branches
    handlers = ["errors", "finally"] if state is State.FAILED else ["finally"]
    alive = not step.execution.state.terminated and state is not State.KILLED and step.task(run).kind != "executable"
    if alive and any(children.get(phase) for phase in handlers):
        run.cursor = Cursor(failed=state is State.FAILED, worst=RANK[state])
        run.cursor.next = len(children.get("tasks", ()))
        step.know_outputs(run)
        step.effects.touch(run)
        blocks.next_phase(step, run)
        return
    step.end_run(run, step.softened(run, state))


def _anew(step: Step, run: TaskRun, retry: Retry, due: int) -> None:
    """Retry as a new execution: this one, the task run and the blocks above it are RETRIED; everything else is stopped."""
    from flows.machine import ending

    step.timer(None, "rerun", due)
    ending.cut(step, State.RETRIED, run)


def again(step: Step, run: TaskRun) -> None:
    """A retry is due. An execution in which nothing may start keeps it until it goes on."""
    if run.state is not State.RETRYING:
        return
    step.wait_as(run, State.CREATED)
    if step.frozen:
        step.execution.held.append(run.id)
        step.effects.execution_changed = True
    else:
        blocks.dispatch_again(step, run)


def reported(step: Step, event: Reported) -> None:
    """A worker tells of task runs below its attempt. Told twice they are stored once, for their ids are the worker's."""
    run = waiting(step.execution, event.task_run_id, event.attempt)
    if run is not None:
        step.begin(run, None, step.now)
    else:
        run = running(step.execution, event.task_run_id, event.attempt)
    if run is None:
        return
    for sub in event.runs:
        step.effects.reported[sub.id] = _sub_run(step, run, sub)


def _sub_run(step: Step, run: TaskRun, sub: SubRun) -> TaskRun:
    execution = step.execution
    begun = max(run.history[-1][1], step.now - sub.took_us)
    history = [(State.CREATED.value, begun), (State.RUNNING.value, begun), (sub.state.value, step.now)]
    skipped = sub.state is State.SKIPPED
    if skipped:
        del history[1]
    attempts = [Attempt(State.FAILED, list(history), None, 0, sub.error) for _ in range(sub.attempts - 1)]
    if not skipped:
        last = State.FAILED if sub.error is not None else sub.state
        attempts.append(Attempt(last, list(history), run.attempts[-1].worker_id, sub.log_lines, sub.error))
    found = TaskRun(
        id=sub.id,
        seq=execution.task_run_count,
        task_id=sub.task_id,
        parent_id=run.id,
        value=sub.value,
        iteration=None,
        # A child inherits the value of its WorkingDirectory, which is then its own and no level above it.
        path=run.path if run.value is None or sub.value is not None else (*run.path, run.value),
        state=sub.state,
        history=history,
        created_at=begun,
        attempts=attempts,
        outputs=sub.outputs,
        started_at=None if skipped else begun,
        ended_at=step.now,
        dynamic=sub.dynamic,
    )
    execution.task_run_count += 1
    step.effects.execution_changed = True
    step.know_outputs(found)
    return found
