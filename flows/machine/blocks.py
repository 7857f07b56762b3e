"""Blocks: a list of children, a phase (tasks, errors, finally) and a cursor. How they advance, and Parallel and Dag.

The cursor's size does not depend on the number of task runs, so a step costs the same in an execution of ten and of a hundred
thousand. Rules: execution-semantics §4 to §6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.errors import HeadraceError, MachineError
from flows.machine import ending, executables, updating
from flows.machine.execution import BY_RANK, Cursor, TaskRun
from flows.machine.orders import ORDERS, Next, Order, order_of
from flows.machine.states import State
from flows.spec.model import Task

if TYPE_CHECKING:
    from flows.machine.plan import Place
    from flows.machine.step import Step


def settle(step: Step) -> None:
    """Advances blocks until nothing more follows."""
    execution = step.execution
    while step.agenda or step.pauses:
        if not step.agenda:
            for pause in step.pauses:
                if pause.state is State.RUNNING and pause.id in execution.runs:
                    step.wait_as(pause, State.PAUSED)
            step.pauses.clear()
            continue
        block = step.agenda.popleft()
        if step.frozen:
            step.agenda.clear()  # whoever lets it go on wakes every block
            return
        if execution.state.terminated and execution.cursor.phase != "afterExecution":
            step.agenda.clear()
            return
        run = None
        if block is not None:
            run = execution.runs.get(block)
            if run is None or run.state is not State.RUNNING:
                continue
        advance(step, run)


def advance(step: Step, run: TaskRun | None) -> None:
    """Starts what may start in a block now; ends the phase or the block when nothing is left."""
    cursor = step.cursor(run)
    task = step.task(run) if run is not None else None
    if cursor.phase == "tasks":
        if not cursor.failed:
            order = order_of(task)
            children = step.plan.children(task, cursor.branch)
            _start_children(step, run, cursor, order, children)
            if not cursor.failed:
                if cursor.open or order.left(step, run, cursor, children):
                    return
                if run is not None and task is not None and order.finish(step, run, task, cursor):
                    return
        next_phase(step, run)
        return
    if cursor.open:
        return
    children = step.plan.children(task, cursor.phase)
    if cursor.next < len(children):
        cursor.next += 1
        cursor.open += 1
        start(step, run, Next(children[cursor.next - 1]))
        step.touch_block(run)
        return
    next_phase(step, run)


def _start_children(step: Step, run: TaskRun | None, cursor: Cursor, order: Order, children: tuple[Task, ...]) -> None:
    while not cursor.failed and (found := order.next(step, run, cursor, children)) is not None:
        cursor.open += 1
        step.touch_block(run)
        start(step, run, found)


def next_phase(step: Step, run: TaskRun | None) -> None:
    """The phase is over: errors when something failed, then finally, then the end of the block."""
    cursor = step.cursor(run)
    task = step.task(run) if run is not None else None
    if cursor.phase == "afterExecution":
        step.touch_block(run)
        return
    order = ["errors", "finally"] if cursor.failed else ["finally"]
    if cursor.phase in order:
        order = order[order.index(cursor.phase) + 1 :]
    elif cursor.phase != "tasks":
        order = []
    for phase in order:
        if step.plan.children(task, phase):
            cursor.phase, cursor.next, cursor.open, cursor.ready = phase, 0, 0, []
            step.touch_block(run)
            step.wake(run)
            return
    state = BY_RANK[cursor.worst]
    if run is None:
        ending.end(step, state)
    else:
        step.end_run(run, step.softened(run, state))


def start(step: Step, parent: TaskRun | None, found: Next) -> None:
    """Creates a task run and sends it on its way."""
    dispatch(step, step.new_run(parent, found.task, found.value, found.iteration))


def dispatch(step: Step, run: TaskRun, *, past_breakpoint: bool = False) -> None:
    """Sends a task run on its way: stopped at a breakpoint, skipped, a block of its own, or handed out."""
    task = step.task(run)
    breakpoints = step.execution.breakpoints
    if breakpoints and not past_breakpoint and (task.id in breakpoints or f"{task.id}.{run.value}" in breakpoints):
        step.wait_as(run, State.BREAKPOINT)
        return
    try:
        if task.run_if is not None and not step.holds(task.run_if, run):
            step.end_run(run, State.SKIPPED)
            return
    except HeadraceError as error:
        step.refuse(run, error)
        return
    dispatch_again(step, run)


def dispatch_again(step: Step, run: TaskRun) -> None:
    """Sends a task run on its way whose `runIf` was looked at already: its first attempt, a retry, a restart."""
    task = step.task(run)
    try:
        if task.kind == "flowable":
            run.cursor = Cursor()
            run.move(State.RUNNING, step.now)
            step.effects.touch(run)
            order_of(task).open(step, run, task)
            step.wake(run)
        elif task.kind == "executable":
            executables.begin(step, run, task)
        elif task.kind == "updating":
            updating.carry_out(step, run, task)
        else:
            step.hand_out(run)
    except MachineError:
        raise
    except HeadraceError as error:
        step.refuse(run, error)


class Together(Order):
    """Parallel: all children side by side, at most `concurrent`; 0 = no bound (execution-semantics §4.3)."""

    def next(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> Next | None:
        width = width_of(run, step)
        if cursor.next >= len(children) or (width and cursor.open >= width):
            return None
        cursor.next += 1
        return Next(children[cursor.next - 1])

    def follows(self, step: Step, task: Task | None, earlier: TaskRun, later: TaskRun) -> bool:
        return False


class Graph(Order):
    """Dag: a child as soon as all it depends on have ended, in whatever state (execution-semantics §6.3).

    `ready` of the cursor holds [position, 1 = started | 2 = ended] for each task of the Dag, as written: no more than it has.
    """

    def next(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> Next | None:
        width = width_of(run, step)
        if width and cursor.open >= width:
            return None
        seen: dict[int, int] = dict(cursor.ready)  # type: ignore[arg-type]
        for position, child in enumerate(children):
            if position not in seen and all(seen.get(need) == 2 for need in step.plan.places[child.id].deps):
                cursor.ready.append([position, 1])
                cursor.next += 1
                return Next(child)
        return None

    def ended(self, step: Step, run: TaskRun, child: TaskRun, place: Place) -> None:
        for entry in step.cursor(run).ready:
            if entry[0] == place.index:
                entry[1] = 2

    def recover(self, step: Step, run: TaskRun | None, cursor: Cursor, children: list[TaskRun]) -> None:
        cursor.ready = [[step.place(child).index, 2 if child.state.terminated else 1] for child in children]
        cursor.next = len(children)

    def follows(self, step: Step, task: Task | None, earlier: TaskRun, later: TaskRun) -> bool:
        wanted, seen = step.place(earlier).index, [step.place(later).index]
        tasks = step.plan.children(task, "tasks")
        for position in seen:
            needs = step.plan.places[tasks[position].id].deps
            if wanted in needs:
                return True
            seen.extend(need for need in needs if need not in seen)
        return False


def width_of(run: TaskRun | None, step: Step) -> int:
    """`concurrent` of a block; 0 = no bound."""
    return 0 if run is None else int(step.task(run).properties.get("concurrent") or 0)


ORDERS["Parallel"] = Together()
ORDERS["Dag"] = Graph()
