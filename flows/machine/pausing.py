"""What stands still and goes on: Pause, a pause by hand, breakpoints, and the resume of each (execution-semantics §6.8, §11).

While an execution is PAUSED, at a BREAKPOINT, QUEUED or CREATED nothing new starts: results are recorded, cursors count, and
what would have followed is found again when every open block is woken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.machine import blocks, ending, loops
from flows.machine.context import iso
from flows.machine.events import Pause, Resume, ResumeBreakpoint
from flows.machine.execution import RANK, Cursor, TaskRun
from flows.machine.orders import ORDERS, Next, Order
from flows.machine.states import State
from flows.spec.model import Task

if TYPE_CHECKING:
    from flows.machine.step import Step


class Waiting(Order):
    """Pause: it waits for a resume or for time; its `tasks` (deprecated) run after the resume."""

    def open(self, step: Step, run: TaskRun, task: Task) -> None:
        """Task run and execution become PAUSED once everything else of this step has started."""
        properties = task.properties
        written = properties.get("pauseDuration", properties.get("delay"))
        lasts = step.duration_us(written, run, "pauseDuration")
        timeout = step.duration_us(properties.get("timeout"), run, "timeout") if lasts is None else None
        for child in task.branches.get("onPause", ()):
            blocks.start(step, run, Next(child))
        if lasts is not None:
            step.timer(run, "pause", step.now + lasts)
        elif timeout is not None:
            step.timer(run, "pause_timeout", step.now + timeout)
        step.pauses.append(run)

    def next(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> Next | None:
        # `rounds` 0: nobody has resumed it yet.
        return super().next(step, run, cursor, children) if cursor.rounds else None

    def left(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> bool:
        return not cursor.rounds or super().left(step, run, cursor, children)


def timer(step: Step, run: TaskRun, kind: str) -> None:
    """A paused task run's time is over."""
    if run.state is not State.PAUSED:
        return
    if kind == "round":
        loops.next_round(step, run)
        go_on(step)
        step.wake(run)
        return
    behavior = step.rendered(step.task(run).properties.get("behavior"), run) or "RESUME"
    if kind == "pause_timeout":
        _close(step, run, State.FAILED)
    elif behavior == "RESUME":
        _resume_run(step, run, {}, None)
    elif behavior == "CANCEL":
        ending.cut(step, State.CANCELLED, run)
    else:
        _close(step, run, State.WARNING if behavior == "WARN" else State.FAILED)


def _close(step: Step, run: TaskRun, state: State) -> None:
    """The pause ends in a state of its own; a failure goes through the block's `errors` and `finally`."""
    cursor = step.cursor(run)
    step.effects.timers_void.add(run.id)
    step.change_waiting(run, State.RUNNING)
    cursor.rounds = 1
    cursor.worst = max(cursor.worst, RANK[state])
    cursor.failed = state is State.FAILED
    cursor.next = len(step.plan.children(step.task(run), "tasks"))
    go_on(step)
    step.wake(run)


def resume(step: Step, event: Resume) -> None:
    """Somebody lets it go on: a paused task run, or the whole execution when it was paused by hand."""
    execution = step.execution
    if execution.state is not State.PAUSED:
        return
    if event.task_run_id is not None:
        run = execution.runs.get(event.task_run_id)
    else:
        paused = (one for one in execution.runs.values() if one.state is State.PAUSED)
        run = None if execution.paused else min(paused, key=_by_seq, default=None)
    if run is None:
        execution.paused = False
        step.effects.execution_changed = True
        go_on(step, by_hand=True)
    elif run.state is State.PAUSED:
        step.effects.timers_void.add(run.id)
        if ORDERS.get(step.task(run).type.rsplit(".", 1)[-1]) is ORDERS["LoopUntil"]:
            timer(step, run, "round")
        else:
            _resume_run(step, run, event.inputs, event.by)


def _by_seq(run: TaskRun) -> int:
    return run.seq


def _resume_run(step: Step, run: TaskRun, inputs: dict[str, Any], by: str | None) -> None:
    resumed = {"by": by, "on": iso(step.now), "to": State.RUNNING.value}
    run.outputs = {**(run.outputs or {}), "onResume": inputs, "resumed": resumed}
    step.know_outputs(run)
    step.cursor(run).rounds = 1
    step.change_waiting(run, State.RUNNING)
    go_on(step)
    step.wake(run)


def go_on(step: Step, *, by_hand: bool = False) -> None:
    """Lets an execution go on unless something else still holds it: what was held is handed out, every block looks again."""
    execution = step.execution
    if execution.paused or execution.pausing:
        step.move_execution(State.PAUSED)
        return
    if execution.history[-1][0] == State.PAUSED and not by_hand:
        step.move_execution(State.RESTARTED)
    step.rest()
    if not step.frozen:
        release(step)


def release(step: Step) -> None:
    """Hands out what was held back, and wakes every block."""
    execution = step.execution
    held, execution.held = execution.held, []
    for run_id in held:
        run = execution.runs.get(run_id)
        if run is not None and run.state in (State.CREATED, State.RESTARTED):
            blocks.dispatch(step, run, past_breakpoint=True)
    step.wake_all()


def pause(step: Step, event: Pause) -> None:
    """Somebody wants nothing new to start. Running jobs go on."""
    execution = step.execution
    if execution.state in (State.RUNNING, State.RETRYING, State.BREAKPOINT):
        execution.paused = True
        step.rest()


def resume_breakpoint(step: Step, event: ResumeBreakpoint) -> None:
    """What stopped at a breakpoint goes on past it."""
    execution = step.execution
    if execution.state is not State.BREAKPOINT:
        return
    if event.breakpoints is not None:
        execution.breakpoints = list(event.breakpoints)
    step.effects.execution_changed = True
    for run in sorted((one for one in execution.runs.values() if one.state is State.BREAKPOINT), key=_by_seq):
        execution.stopped -= 1
        run.move(State.CREATED, step.now)
        step.effects.touch(run)
        execution.held.append(run.id)
    go_on(step, by_hand=True)


ORDERS["Pause"] = Waiting()
