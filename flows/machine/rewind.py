"""Back to an earlier point: restart, replay from a task run, another state for a task run (execution-semantics §11).

These look at every task run an execution ever had, which no other step does: the host loads them all. What goes again is found,
handlers that had run are taken away, and the cursors of the blocks above are worked out anew from the children that stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from flows.errors import HeadraceError
from flows.machine import blocks
from flows.machine.children import rerun_of
from flows.machine.effects import Effects
from flows.machine.execution import RANK, Attempt, Cursor, Execution, TaskRun
from flows.machine.orders import order_of
from flows.machine.states import State
from flows.machine.step import Step
from flows.machine.updating import set_labels
from flows.machine.world import World


class NothingToRestart(HeadraceError):
    """The execution has no task run that a restart could begin from."""

    code = "execution.nothing_to_restart"


class TaskRunUnknown(HeadraceError):
    """No task run of that id, or its task is not in the flow revision that is to run."""

    code = "task_run.unknown"


def restart(execution: Execution, runs: Sequence[TaskRun], world: World, effects: Effects | None = None) -> Effects:
    """Runs again what failed or was paused, in place. `runs`: all of the execution, in order of creation.

    Raises NothingToRestart. Afterwards `execution.runs` holds the open ones and the machine goes on with it.
    """
    back = _Rewind(execution, runs, world, effects)
    wanted = {State.FAILED, State.PAUSED}
    if execution.state is not State.KILLED:
        wanted.add(State.KILLED)  # what a failure elsewhere left behind
    targets = [run for run in back.kept if run.state in wanted and not back.handler(run)]
    if not any(run.state in (State.FAILED, State.PAUSED) for run in targets):
        raise NothingToRestart("No task found to restart execution from! Nothing of it failed or is paused.")
    back.remove_handlers()
    back.reopen(targets)
    execution.attempt_number += 1
    set_labels(back.step, (("system.restarted", "true"),))
    back.go_on()
    return back.step.effects


def change_state(
    execution: Execution, runs: Sequence[TaskRun], task_run_id: str, state: State, world: World, effects: Effects | None = None
) -> Effects:
    """Gives a task run, and its last attempt, an end by hand; the execution goes on from there. Raises TaskRunUnknown."""
    back = _Rewind(execution, runs, world, effects)
    run = back.by_id.get(task_run_id)
    if run is None:
        raise TaskRunUnknown(f"execution {execution.id} has no task run {task_run_id}")
    if not run.state.terminated:
        back.step.effects.stopped.add(run.id)
        back.step.effects.withdrawn.add(run.id)
        back.step.effects.timers_void.add(run.id)
    if run.attempts:
        run.attempts[-1] = replace(run.attempts[-1], state=state)
    elif back.step.task(run).kind != "flowable":
        run.attempts.append(Attempt(state, [(state.value, back.step.now)], None, 0))
    run.move(state, back.step.now)
    execution.runs.pop(run.id, None)
    back.step.effects.touch(run)
    if not back.handler(run):
        back.remove_handlers()
    back.reopen([], above=[run])
    back.go_on()
    return back.step.effects


def replay(
    source: Execution,
    runs: Sequence[TaskRun],
    task_run_id: str,
    new_id: str,
    world: World,
    *,
    revision: int | None = None,
    by: str | None = None,
    prepare: Callable[[Execution], None] | None = None,
) -> tuple[Execution, Effects]:
    """A new execution that goes on from one task run of another: what came before is copied, what comes after runs again.

    `world.flow`: the flow in the revision to run. `prepare`: changes the new execution before it moves (inputs, labels,
    breakpoints). Raises TaskRunUnknown. A replay from the beginning needs none of this: see `children.rerun_of`.
    """
    execution = rerun_of(source, new_id, world.now, cause="replay", by=by)
    if revision is not None:
        execution.revision = revision
    if prepare is not None:
        prepare(execution)
    ids = {run.id: world.new_id() for run in runs}
    copies = [
        replace(
            run,
            id=ids[run.id],
            parent_id=ids.get(run.parent_id) if run.parent_id is not None else None,
            history=list(run.history),
            attempts=[replace(attempt, history=list(attempt.history)) for attempt in run.attempts],
            cursor=None if run.cursor is None else Cursor.load(run.cursor.dump()),
        )
        for run in runs
    ]
    back = _Rewind(execution, copies, world, None)
    target = back.by_id.get(ids.get(task_run_id, ""))
    if target is None or target.dynamic or target.task_id not in back.step.plan.places:
        raise TaskRunUnknown(f"execution {source.id} has no task run {task_run_id} that this flow revision could go on from")
    execution.task_run_count = max((run.seq for run in copies), default=-1) + 1
    for run in copies:
        if not run.state.terminated:
            run.move(State.KILLED, world.now)  # it still runs, but over there
    back.drop(back.below(target))
    back.drop_successors(target)
    back.reopen([target])
    effects = back.step.effects
    effects.changed.clear()
    effects.removed.clear()
    effects.created.update((run.id, run) for run in back.kept)
    back.go_on()
    return execution, effects


class _Rewind:
    """The task runs of one execution as a tree, and what a step back does to it."""

    def __init__(self, execution: Execution, runs: Iterable[TaskRun], world: World, effects: Effects | None) -> None:
        self.step = Step(execution, world, effects if effects is not None else Effects())
        places = self.step.plan.places
        self.kept = [execution.runs.get(run.id, run) for run in sorted(runs, key=_by_seq)]
        unknown = [run for run in self.kept if run.task_id not in places and not run.dynamic]
        self.by_id = {run.id: run for run in self.kept}
        self.children: dict[str | None, list[TaskRun]] = {}
        for run in self.kept:
            self.children.setdefault(run.parent_id, []).append(run)
        self.leaves: list[TaskRun] = []
        execution.known_outputs = None
        for run in unknown:  # the new revision no longer has the task
            self.drop([run, *self.below(run)])

    def handler(self, run: TaskRun) -> bool:
        """At or below `errors`, `finally` or `afterExecution`."""
        step: TaskRun | None = run
        while step is not None:
            place = self.step.plan.places.get(step.task_id)
            if place is not None and place.phase in ("errors", "finally", "afterExecution"):
                return True
            step = self.by_id.get(step.parent_id) if step.parent_id is not None else None
        return False

    def below(self, run: TaskRun) -> list[TaskRun]:
        """All task runs below one."""
        found: list[TaskRun] = []
        waiting = [run.id]
        while waiting:
            for child in self.children.get(waiting.pop(), []):
                found.append(child)
                waiting.append(child.id)
        return found

    def drop(self, runs: Iterable[TaskRun]) -> None:
        """These task runs are gone."""
        gone = {run.id for run in runs}
        if not gone:
            return
        effects = self.step.effects
        effects.removed.update(gone)
        for run_id in gone:
            effects.changed.pop(run_id, None)
            effects.withdrawn.add(run_id)
            effects.timers_void.add(run_id)
            self.step.execution.runs.pop(run_id, None)
        for parent in {run.parent_id for run in self.kept if run.id in gone}:
            self.children[parent] = [child for child in self.children[parent] if child.id not in gone]
        self.kept = [run for run in self.kept if run.id not in gone]

    def remove_handlers(self) -> None:
        """Error handlers, finally and afterExecution of every level run again when their time comes."""
        self.drop([run for run in self.kept if self.handler(run)])

    def drop_successors(self, target: TaskRun) -> None:
        """What comes after a task run in the flow's graph, at its level and at every level above it (§11.2)."""
        step: TaskRun | None = target
        gone: list[TaskRun] = []
        while step is not None:
            block = self.by_id.get(step.parent_id) if step.parent_id is not None else None
            task = self.step.task(block) if block is not None else None
            siblings = self.children.get(step.parent_id, [])
            order = order_of(task)
            for sibling in siblings:
                if sibling is not step and (self._is_handler(sibling) or order.follows(self.step, task, step, sibling)):
                    gone += [sibling, *self.below(sibling)]
            step = block
        self.drop(gone)

    def _is_handler(self, run: TaskRun) -> bool:
        place = self.step.plan.places.get(run.task_id)
        return place is not None and place.phase in ("errors", "finally", "afterExecution")

    def reopen(self, targets: Iterable[TaskRun], above: Iterable[TaskRun] = ()) -> None:
        """`targets` go again, and so do the blocks above them and above `above`."""
        step = self.step
        execution = step.execution
        open_blocks: dict[str, TaskRun] = {}
        wanted = {run.id for run in targets}
        for run in (*(self.by_id[run_id] for run_id in wanted), *above):
            parent = self.by_id.get(run.parent_id) if run.parent_id is not None else None
            while parent is not None and parent.id not in open_blocks:
                open_blocks[parent.id] = parent
                parent = self.by_id.get(parent.parent_id) if parent.parent_id is not None else None
        # A WorkingDirectory or a dynamic task runs its sub-runs again itself.
        carriers = [run for run in open_blocks.values() if step.task(run).kind != "flowable"]
        for run in carriers:
            del open_blocks[run.id]
        leaves = {run_id: self.by_id[run_id] for run_id in wanted if run_id not in open_blocks}
        leaves.update((run.id, run) for run in carriers)
        for run in list(leaves.values()):
            if any(above_it.id in leaves for above_it in self._ancestors(run)):
                del leaves[run.id]
        for run in leaves.values():
            self.drop(self.below(run))
            run.cursor = None
            run.move(State.RESTARTED, step.now)
            self._open(run)
        for run in open_blocks.values():
            run.move(State.RUNNING, step.now)
            self._open(run)
        self.leaves = sorted(leaves.values(), key=_by_seq)
        for run in open_blocks.values():
            self._recover(run)
        self._recover(None)
        execution.count()

    def _ancestors(self, run: TaskRun) -> Iterable[TaskRun]:
        parent = self.by_id.get(run.parent_id) if run.parent_id is not None else None
        while parent is not None:
            yield parent
            parent = self.by_id.get(parent.parent_id) if parent.parent_id is not None else None

    def _open(self, run: TaskRun) -> None:
        self.step.execution.runs[run.id] = run
        self.step.effects.touch(run)

    def _recover(self, run: TaskRun | None) -> None:
        """The cursor of an open block, worked out from its children."""
        step = self.step
        task = step.task(run) if run is not None else None
        old = step.execution.cursor if run is None else run.cursor
        cursor = Cursor(branch=old.branch if old is not None else "tasks", rounds=old.rounds if old is not None else 0)
        children = [
            child
            for child in self.children.get(run.id if run is not None else None, [])
            if not child.dynamic and step.place(child).phase == "tasks"
        ]
        for child in children:
            if child.state.terminated:
                cursor.worst = max(cursor.worst, RANK[child.state])
                cursor.failed = cursor.failed or child.state is State.FAILED
            else:
                cursor.open += 1
        order_of(task).recover(step, run, cursor, children)
        if run is None:
            step.execution.cursor = cursor
        else:
            run.cursor = cursor

    def go_on(self) -> None:
        """The execution is RESTARTED and runs."""
        step = self.step
        execution = step.execution
        execution.outputs = execution.error = execution.failure = None
        execution.paused, execution.held = False, []
        if execution.state not in (State.RUNNING, State.RESTARTED):
            step.move_execution(State.RESTARTED)
        execution.count()
        step.rest()
        step.effects.execution_changed = True
        step.effects.ended = False
        for run in self.leaves:
            blocks.dispatch(step, run, past_breakpoint=True)
        step.wake_all()
        blocks.settle(step)


def _by_seq(run: TaskRun) -> int:
    return run.seq
