"""One decision in the making: the execution, the world, what is to be stored, and the moves every module of the machine uses.

`agenda`: blocks that must advance. Neither the nesting of a flow nor the length of a list recurses.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import Any

from flows.errors import ExpressionError, HeadraceError, MachineError
from flows.expressions import Scope, evaluate_value, names_in, render_value, truthy
from flows.machine import context
from flows.machine.effects import Effects, HandOut, TimerWanted
from flows.machine.execution import RANK, Attempt, Cursor, Execution, TaskRun
from flows.machine.orders import order_of, type_name
from flows.machine.plan import Place, Plan, plan_of
from flows.machine.retries import failures_of, policy_of
from flows.machine.states import FROZEN, State
from flows.machine.world import World
from flows.spec.durations import parse_duration
from flows.spec.model import Task

KNOWN_OUTPUTS_MAX = 2_000
"""Task runs with outputs an execution holds in memory; beyond, outputs are looked up when an expression names them."""


class Step:
    """What one event sets in motion. Made for one call of `decide`."""

    def __init__(self, execution: Execution, world: World, effects: Effects) -> None:
        self.execution = execution
        self.world = world
        self.now = world.now
        self.effects = effects
        self.plan: Plan = plan_of(world.flow, execution.loop["taskId"] if execution.loop is not None else None)
        self.agenda: deque[str | None] = deque()
        self.pauses: list[TaskRun] = []
        """Pauses that begin in this step, when everything else of it has started."""

    # -- the execution ------------------------------------------------------------------------------------------------

    @property
    def frozen(self) -> bool:
        """Nothing new may start."""
        return self.execution.state in FROZEN

    def move_execution(self, state: State) -> None:
        """The execution takes a state; the same state again is no change."""
        if state is self.execution.state:
            return
        self.execution.move(state, self.now)
        self.effects.states.append(state)
        self.effects.execution_changed = True

    def rest(self) -> None:
        """The state an open execution has by what its task runs wait for."""
        execution = self.execution
        if execution.state.terminated or execution.state in (State.KILLING, State.CREATED, State.QUEUED):
            return
        if execution.paused or execution.pausing:
            self.move_execution(State.PAUSED)
        elif execution.stopped:
            self.move_execution(State.BREAKPOINT)
        elif execution.retrying:
            self.move_execution(State.RETRYING)
        else:
            self.move_execution(State.RUNNING)

    # -- places -------------------------------------------------------------------------------------------------------

    def place(self, run: TaskRun) -> Place:
        """Where a task run's task stands in the flow."""
        return self.plan.places[run.task_id]

    def task(self, run: TaskRun) -> Task:
        """A task run's task."""
        return self.plan.places[run.task_id].task

    def parent(self, run: TaskRun) -> TaskRun | None:
        """The open task run above; None at the root, and when that block is over already."""
        return self.execution.runs.get(run.parent_id) if run.parent_id is not None else None

    def cursor(self, run: TaskRun | None) -> Cursor:
        """The cursor of a block; `run` None = the root."""
        cursor = self.execution.cursor if run is None else run.cursor
        if cursor is None:
            raise MachineError(f"task run {run.id if run else ''} of {self.execution.id} has children but is no block")
        return cursor

    def touch_block(self, run: TaskRun | None) -> None:
        """Notes a changed cursor."""
        if run is None:
            self.effects.execution_changed = True
        else:
            self.effects.touch(run)

    def wake(self, run: TaskRun | None) -> None:
        """The block must look whether something follows."""
        self.agenda.append(run.id if run is not None else None)

    def wake_all(self) -> None:
        """Every open block must look: after a time in which nothing was to start."""
        self.agenda.append(None)
        self.agenda.extend(run.id for run in self.execution.runs.values() if run.cursor is not None)

    # -- expressions --------------------------------------------------------------------------------------------------

    def scope(self, value: Any, run: TaskRun | None = None) -> Scope:
        """What the templates of `value` may read, for a task run or for the execution as a whole."""
        task = None if run is None else self.task(run)
        found = context.variables(names_in(value), self.world, self.execution, task, run)
        return Scope(found, self.world.functions)

    def rendered(self, value: Any, run: TaskRun | None = None) -> Any:
        """Texts of `value` rendered. Raises ExpressionError."""
        return value if value is None or isinstance(value, bool | int | float) else render_value(value, self.scope(value, run))

    def evaluated(self, value: Any, run: TaskRun | None = None) -> Any:
        """The same, an expression alone keeps its type."""
        return value if value is None or isinstance(value, bool | int | float) else evaluate_value(value, self.scope(value, run))

    def holds(self, condition: Any, run: TaskRun | None = None) -> bool:
        """A condition: its text is none of `false`, `0`, `-0` and empty (execution-semantics §6.4, §10)."""
        return truthy(self.rendered(condition, run))

    def flag(self, run: TaskRun, name: str, default: bool) -> bool:
        """A boolean property of a task that may be an expression."""
        written = self.task(run).properties.get(name)
        return default if written is None else self.holds(written, run)

    def duration_us(self, written: Any, run: TaskRun, name: str) -> int | None:
        """A duration property in microseconds; None when absent or rendered empty. Raises ExpressionError."""
        text = self.rendered(written, run)
        if text is None or text == "":
            return None
        if isinstance(text, int | float):
            return int(timedelta(seconds=text).total_seconds() * 1_000_000)
        try:
            return int(parse_duration(str(text)).total_seconds() * 1_000_000)
        except ValueError as error:
            raise ExpressionError(f"{name} of {run.task_id}: {error}", code="task.property_invalid") from None

    # -- task runs ----------------------------------------------------------------------------------------------------

    def new_run(self, parent: TaskRun | None, task: Task, value: str | None = None, iteration: int | None = None) -> TaskRun:
        """A task run in CREATED."""
        execution = self.execution
        path: tuple[str, ...] = ()
        if parent is not None:
            path = parent.path if parent.value is None else (*parent.path, parent.value)
        run = TaskRun(
            id=self.world.new_id(),
            seq=execution.task_run_count,
            task_id=task.id,
            parent_id=parent.id if parent is not None else None,
            value=value,
            iteration=iteration,
            path=path,
            state=State.CREATED,
            history=[(State.CREATED.value, self.now)],
            created_at=self.now,
        )
        execution.task_run_count += 1
        self.effects.execution_changed = True
        execution.runs[run.id] = run
        self.effects.created[run.id] = run
        return run

    def begin(self, run: TaskRun, worker_id: str | None, at: int) -> None:
        """An attempt begins; the machine's own have no worker."""
        handed_out = run.history[-1][1]
        at = max(at, handed_out)
        run.attempts.append(Attempt(State.RUNNING, [(State.CREATED.value, handed_out), (State.RUNNING.value, at)], worker_id))
        run.move(State.RUNNING, at)
        self.effects.touch(run)

    def end_attempt(self, run: TaskRun, state: State, error: dict[str, str] | None = None, log_lines: int | None = None) -> None:
        """The last attempt ends; whatever waited for it is void."""
        attempt = run.attempts[-1]
        attempt.state = state
        attempt.history.append((state.value, self.now))
        attempt.error = error
        attempt.log_lines = log_lines
        self.effects.withdrawn.add(run.id)
        if self.place(run).timeout_us is not None:
            self.effects.timers_void.add(run.id)
        self.effects.touch(run)

    def softened(self, run: TaskRun, state: State) -> State:
        """warningOnRetry, allowFailure, allowWarning, in that order (execution-semantics §9.1)."""
        task = self.task(run)
        if state is State.SUCCESS and failures_of(run):
            retry = policy_of(self.world.flow, task)
            if retry is not None and retry.warning_on_retry:
                state = State.WARNING
        if state is State.FAILED and (task.allow_failure or type_name(task) == "AllowFailure"):
            state = State.WARNING
        if state is State.WARNING and task.allow_warning:
            state = State.SUCCESS
        return state

    def end_run(self, run: TaskRun, state: State) -> None:
        """A task run is over: keep its outputs, tell its block."""
        self._leave_waiting(run)
        run.move(state, self.now)
        self.forget(run)
        execution = self.execution
        if run.cursor is None or self.task(run).kind != "flowable":
            self.know_outputs(run)
        place = self.place(run)
        if execution.state is State.KILLING or (execution.state.terminated and not place.after):
            return
        if state is State.FAILED and not place.after:
            execution.failure = _failure(run)
        parent = self.parent(run)
        if run.parent_id is not None and parent is None:
            return  # its block is already over: the result is recorded, nothing follows (execution-semantics §6.2)
        cursor = self.cursor(parent)
        if place.phase == "tasks":
            cursor.worst = max(cursor.worst, RANK[state])
        self.touch_block(parent)
        if place.phase != cursor.phase:
            return  # the block went on to errors or finally while this one was still running
        cursor.open -= 1
        if place.phase == "tasks":
            if state is State.FAILED:
                cursor.failed = True
            if parent is not None:
                order_of(self.task(parent)).ended(self, parent, run, place)
        self.wake(parent)

    def _leave_waiting(self, run: TaskRun) -> None:
        execution = self.execution
        if run.state is State.RETRYING and not self.place(run).after:
            execution.retrying -= 1
        elif run.state is State.PAUSED:
            execution.pausing -= 1
        elif run.state is State.BREAKPOINT:
            execution.stopped -= 1
        if run.id in execution.held:
            execution.held.remove(run.id)

    def wait_as(self, run: TaskRun, state: State) -> None:
        """A task run takes a state that says what it waits for (RETRYING, PAUSED, BREAKPOINT …); so does the execution."""
        self.change_waiting(run, state)
        self.rest()

    def change_waiting(self, run: TaskRun, state: State) -> None:
        """The same, the execution's state left to the caller."""
        execution = self.execution
        self._leave_waiting(run)
        run.move(state, self.now)
        if state is State.RETRYING and not self.place(run).after:
            execution.retrying += 1
        elif state is State.PAUSED:
            execution.pausing += 1
        elif state is State.BREAKPOINT:
            execution.stopped += 1
        self.effects.touch(run)

    def know_outputs(self, run: TaskRun) -> None:
        """Outputs are from now on there for expressions."""
        known = self.execution.known_outputs
        if run.outputs and known is not None:
            if known.count < KNOWN_OUTPUTS_MAX:
                known.add(run)
            else:
                self.execution.known_outputs = None

    def forget(self, run: TaskRun) -> None:
        """A task run that is over leaves memory."""
        self.execution.runs.pop(run.id, None)
        self.effects.touch(run)

    def refuse(self, run: TaskRun, error: HeadraceError) -> None:
        """Something of the task could not be evaluated: the task run fails without having run."""
        refused = {"code": error.code, "message": str(error)}
        run.cursor = None
        run.attempts.append(Attempt(State.FAILED, [(State.FAILED.value, self.now)], None, 0, refused))
        self.end_run(run, self.softened(run, State.FAILED))

    def hand_out(self, run: TaskRun) -> None:
        """An attempt waits for a worker from now on."""
        place = self.place(run)
        found = context.variables(place.names, self.world, self.execution, place.task, run)
        group = place.task.worker_group or self.world.flow.worker_group or self.world.default_worker_group
        self.effects.withdrawn.discard(run.id)
        self.effects.hand_outs[run.id] = HandOut(run, place.task, run.attempt + 1, group, found)
        self.effects.touch(run)

    def timer(self, run: TaskRun | None, kind: str, due: int) -> None:
        """Tell the machine at `due`."""
        if run is None:
            self.effects.timers.append(TimerWanted("", 0, kind, due))
        else:
            self.effects.timers.append(TimerWanted(run.id, run.attempt, kind, due))


def _failure(run: TaskRun) -> dict[str, Any]:
    errors = [attempt.error for attempt in run.attempts if attempt.error is not None]
    return {"taskId": run.task_id, "message": errors[-1]["message"] if errors else None}
