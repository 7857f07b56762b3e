"""The end of an execution: outputs, final state, who is told, `afterExecution` (execution-semantics §5.3), and ends by force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.errors import HeadraceError
from flows.expressions import Scope, evaluate_value, names_in
from flows.machine import context
from flows.machine.effects import Tell
from flows.machine.events import ChildEnded, Kill
from flows.machine.execution import TaskRun
from flows.machine.states import State
from flows.spec.outputs import evaluated_outputs, typed_outputs

if TYPE_CHECKING:
    from flows.machine.step import Step


def end(step: Step, state: State) -> None:
    """All blocks are over: the outputs are rendered, whatever the state; a failure of theirs is the execution's."""
    execution = step.execution
    if step.plan.outputs:
        try:
            execution.outputs = _outputs(step)
        except HeadraceError as error:
            execution.error = {"code": error.code, "message": f"outputs of the flow: {error}"}
            state = State.FAILED
    close_strays(step)
    terminate(step, state)


def _outputs(step: Step) -> dict[str, Any]:
    written = {output.id: output.value for output in step.plan.outputs}
    scope = Scope(context.variables(names_in(written), step.world, step.execution), step.world.functions)
    values = evaluated_outputs(step.plan.outputs, lambda value: evaluate_value(value, scope))
    return typed_outputs(step.plan.outputs, values, encrypt=step.world.encrypt)


def terminate(step: Step, state: State) -> None:
    """The execution takes its final state; whoever waits for it is told; `afterExecution` begins."""
    execution = step.execution
    execution.retrying = execution.pausing = execution.stopped = 0
    execution.held = []
    execution.paused = False
    step.move_execution(state)
    step.effects.ended = True
    step.effects.timers_void.add("")
    tell_waiter(step)
    if step.plan.root is None and step.world.flow.after_execution and execution.task_run_count:
        cursor = execution.cursor
        cursor.phase, cursor.next, cursor.open, cursor.ready = "afterExecution", 0, 0, []
        step.agenda.append(None)


def tell_waiter(step: Step) -> None:
    """The task run that started this execution hears of its end; not of a RETRIED one, whose successor will tell."""
    execution = step.execution
    if execution.waiter is None or execution.state is State.RETRIED:
        return
    parent, run_id, index = execution.waiter
    child = execution.original_id or execution.id
    step.effects.tells.append(Tell(parent, ChildEnded(run_id, child, execution.state, execution.outputs, index)))


def close_strays(step: Step) -> None:
    """What a failed block left behind: attempts at workers and child executions go on and are recorded; the rest is closed."""
    for run in list(step.execution.runs.values()):
        kind = step.task(run).kind
        block = kind == "flowable" or (run.cursor is not None and kind != "executable")
        if block or run.state is not State.RUNNING:
            if run.state in (State.CREATED, State.RESTARTED) and run.id not in step.execution.held and run.cursor is None:
                continue  # handed out already: a worker may take it
            _close(step, run, State.KILLED)


def _close(step: Step, run: TaskRun, state: State) -> None:
    step.effects.timers_void.add(run.id)
    run.move(state, step.now)
    step.forget(run)


def cut(step: Step, state: State, last: TaskRun | None = None, error: dict[str, str] | None = None) -> None:
    """Ends the execution now, by force: `last` (else the newest open leaf) and the blocks above it take the state, everything
    else is stopped. No error handlers, no finally (SLA, Exit, a Pause that cancels; execution-semantics §13, §8)."""
    execution = step.execution
    if last is None:
        leaves = [run for run in execution.runs.values() if run.cursor is None]
        last = max(leaves, key=lambda run: run.seq, default=None)
    marked = set()
    above = last
    while above is not None:
        marked.add(above.id)
        above = step.parent(above)
    for run in list(execution.runs.values()):
        if run.id in marked:
            if run.attempts and not run.attempts[-1].state.terminated:
                step.effects.stopped.add(run.id)
                step.end_attempt(run, state, error)
            elif run.state in (State.CREATED, State.RESTARTED, State.RETRYING):
                _withdraw(step, run)
            _close(step, run, state)
            step.know_outputs(run)
        else:
            stop_run(step, run)
    if error is not None:
        execution.error = error
    terminate(step, state)


def stop_run(step: Step, run: TaskRun, *, children: bool = False) -> None:
    """Asks for the end of one open task run: at its worker, through its child executions, or at once.

    `children`: its child executions are being killed, so their end will be its own.
    """
    if run.state is State.RUNNING and step.task(run).kind == "executable":
        if not children:
            step.end_attempt(run, State.KILLED)
            _close(step, run, State.KILLED)
        return
    attempt = run.attempts[-1] if run.attempts else None
    if run.state is State.RUNNING and attempt is not None and attempt.state is State.RUNNING:
        # Its worker is asked to end it; the result is recorded when it comes.
        step.effects.stopped.add(run.id)
        return
    if run.state in (State.CREATED, State.RESTARTED, State.RETRYING, State.BREAKPOINT):
        _withdraw(step, run)
    _close(step, run, State.KILLED)


def _withdraw(step: Step, run: TaskRun) -> None:
    if step.effects.hand_outs.pop(run.id, None) is None:
        step.effects.withdrawn.add(run.id)


def kill(step: Step, event: Kill) -> None:
    """Somebody wants it to end now: KILLING, then KILLED at once; running attempts end when their workers say so."""
    execution = step.execution
    if execution.state.terminated:
        return
    step.move_execution(State.KILLING)
    children = list(step.world.lookup.open_children(execution)) if event.cascade and execution.task_run_count else []
    for run in list(execution.runs.values()):
        stop_run(step, run, children=bool(children))
    step.effects.tells.extend(Tell(child, Kill(event.reason)) for child in children)
    terminate(step, State.KILLED)
