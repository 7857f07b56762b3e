"""What happens next: `decide(execution, event, world)`. The heart of the product, pure.

The execution and every flowable task run are *blocks*. An event changes one task run; if that ends it, its block advances, which
may start children or end the block, and so on upwards (`blocks`). What each kind of task adds is in a module of its own:
`branching`, `loops`, `pausing`, `executables`, `updating`; attempts at workers in `attempts`, ends in `ending`.
Rules: project spec, execution-semantics §3 to §13.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flows.machine import (
    attempts,
    branching,  # noqa: F401 - registers If and Switch
    ending,
    executables,
    pausing,
    service_levels,
    updating,
)
from flows.machine.blocks import settle
from flows.machine.effects import Effects
from flows.machine.events import (
    Admitted,
    ChangeState,
    ChildCreated,
    ChildEnded,
    ChildRefused,
    Created,
    Event,
    Finished,
    ForceRun,
    Kill,
    Lost,
    NoWorker,
    Pause,
    Reported,
    Resume,
    ResumeBreakpoint,
    SetLabels,
    Started,
    TimerFired,
    Unqueue,
)
from flows.machine.execution import Execution
from flows.machine.outputs import KnownOutputs
from flows.machine.states import State
from flows.machine.step import Step
from flows.machine.world import World


def decide(execution: Execution, event: Event, world: World, effects: Effects | None = None) -> Effects:
    """Applies one event. Changes `execution` in place and returns (or extends) what must be stored.

    An event that names an attempt which is not the current one, or a task run that is over, changes nothing: applying a message
    twice is applying it once. Raises MachineError when an invariant is broken; the execution is then void.
    """
    step = Step(execution, world, effects if effects is not None else Effects())
    ANSWERS[type(event)](step, event)
    settle(step)
    if world.flow.sla and event.__class__ is not SetLabels:
        service_levels.assertions(step)
        settle(step)
    return step.effects


def _created(step: Step, event: Created) -> None:
    execution = step.execution
    if execution.state is not State.CREATED:
        return
    execution.known_outputs = KnownOutputs()
    if execution.schedule_at is not None and execution.schedule_at > step.now:
        step.timer(None, "start", execution.schedule_at)
        step.effects.execution_changed = True
        return
    _admit(step, event)


def _admit(step: Step, event: Created) -> None:
    """A place under the concurrency limit, or what the flow wants for one too many (execution-semantics §12)."""
    execution = step.execution
    if event.verdict == "QUEUE":
        step.move_execution(State.QUEUED)
    elif event.verdict in ("CANCEL", "FAIL"):
        if event.verdict == "FAIL":
            message = "Flow is FAILED due to concurrency limit exceeded"
            execution.error = {"code": "flow.concurrency_limit", "message": message}
        ending.terminate(step, State.CANCELLED if event.verdict == "CANCEL" else State.FAILED)
    else:
        _run(step)


def _run(step: Step) -> None:
    step.move_execution(State.RUNNING)
    if step.plan.root is None:
        service_levels.watch(step)
    step.agenda.append(None)


def _admitted(step: Step, event: Admitted) -> None:
    if step.execution.state is State.QUEUED:
        _run(step)


def _unqueue(step: Step, event: Unqueue) -> None:
    if step.execution.state is not State.QUEUED:
        return
    if event.state is State.RUNNING:
        _run(step)
    else:
        ending.terminate(step, event.state)


def _force_run(step: Step, event: ForceRun) -> None:
    """It runs whatever it waits for; a running one is left as it is."""
    execution = step.execution
    if execution.state in (State.CREATED, State.QUEUED):
        step.effects.timers_void.add("")
        execution.schedule_at = None
        _run(step)
    elif execution.state is State.PAUSED:
        pausing.resume(step, Resume())
    elif execution.state is State.BREAKPOINT:
        pausing.resume_breakpoint(step, ResumeBreakpoint())


def _timer(step: Step, event: TimerFired) -> None:
    execution = step.execution
    if not event.task_run_id:
        if event.kind == "start" and execution.state is State.CREATED:
            execution.schedule_at = None
            _run(step)
        elif event.kind == "rerun" and execution.state is State.RETRIED:
            step.effects.reruns = True
            step.effects.execution_changed = True
        elif event.kind.startswith(service_levels.PREFIX):
            service_levels.deadline(step, event.kind)
        return
    run = execution.runs.get(event.task_run_id)
    if run is None:
        return
    number = run.cursor.rounds if event.kind == "round" and run.cursor is not None else run.attempt
    if number != event.attempt:
        return
    if event.kind == "retry":
        attempts.again(step, run)
    elif event.kind == "timeout":
        attempts.timed_out(step, run)
    elif not execution.state.terminated:
        pausing.timer(step, run, event.kind)


def _change_state(step: Step, event: ChangeState) -> None:
    if step.execution.state.terminated and event.state.terminated:
        step.move_execution(event.state)


ANSWERS: dict[type[Any], Callable[[Step, Any], None]] = {
    Created: _created,
    Admitted: _admitted,
    Started: attempts.started,
    Reported: attempts.reported,
    Finished: attempts.finished,
    Lost: attempts.lost,
    NoWorker: attempts.no_worker,
    TimerFired: _timer,
    ChildCreated: executables.created,
    ChildRefused: executables.refused,
    ChildEnded: executables.ended,
    Kill: ending.kill,
    Pause: pausing.pause,
    Resume: pausing.resume,
    ResumeBreakpoint: pausing.resume_breakpoint,
    ForceRun: _force_run,
    Unqueue: _unqueue,
    ChangeState: _change_state,
    SetLabels: lambda step, event: updating.set_labels(step, event.labels),
}
"""What answers each kind of event."""
