"""Repetition: ForEach, EachSequential, EachParallel (execution-semantics §6.6, §4.4) and LoopUntil (§6.7)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flows import limits
from flows.errors import ExpressionError
from flows.machine.effects import TimerWanted
from flows.machine.execution import RANK, Attempt, Cursor, TaskRun
from flows.machine.orders import ORDERS, Next, Order
from flows.machine.states import State
from flows.spec.model import Task

if TYPE_CHECKING:
    from flows.machine.plan import Place
    from flows.machine.step import Step

WINDOW = 2_000
"""Task runs of one loop that are open at a time, whatever limit is written: what bounds the memory of a loop of 100,000.

Workers have no more slots than this in any case; what runs when, and every end, is the same as without."""


class Each(Order):
    """ForEach: values one after the other (`concurrencyLimit` 1), or several, each going through the tasks by itself."""

    values = "values"

    def open(self, step: Step, run: TaskRun, task: Task) -> None:
        run.items = texts(task, step.evaluated(task.properties.get(self.values), run), self.values)

    def next(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> Next | None:
        assert run is not None
        values = run.items or []
        if not children:
            return None
        limit = self.limit(step.task(run))
        if limit == 1:
            if cursor.open or cursor.next >= len(values) * len(children):
                return None
            position, child = divmod(cursor.next, len(children))
            cursor.next += 1
            return Next(children[child], values[position], position)
        if cursor.open >= (min(limit, WINDOW) if limit else WINDOW):
            return None
        if cursor.ready:
            child, position = cursor.ready.pop(0)
            return Next(children[child], values[position], position)
        if cursor.next >= len(values):
            return None
        cursor.next += 1
        return Next(children[0], values[cursor.next - 1], cursor.next - 1)

    def left(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> bool:
        assert run is not None
        values = len(run.items or ())
        # With one value at a time `next` counts pairs of value and task, else values.
        total = values * len(children) if self.limit(step.task(run)) == 1 else values
        return bool(children) and (bool(cursor.ready) or cursor.next < total)

    def ended(self, step: Step, run: TaskRun, child: TaskRun, place: Place) -> None:
        """In a concurrent loop a value's next task may start; the earliest value goes first."""
        task = step.task(run)
        if self.limit(task) == 1 or child.iteration is None or place.index + 1 >= len(task.branches.get("tasks", ())):
            return
        ready = step.cursor(run).ready
        ready.append([place.index + 1, child.iteration])
        if len(ready) > 1 and ready[-2][1] > child.iteration:
            ready.sort(key=_by_value)

    def recover(self, step: Step, run: TaskRun | None, cursor: Cursor, children: list[TaskRun]) -> None:
        assert run is not None
        task = step.task(run)
        width = max(1, len(task.branches.get("tasks", ())))
        if self.limit(task) == 1:
            cursor.next = _after_last(step, children, width)
            return
        last: dict[int, TaskRun] = {}
        for child in children:
            if child.iteration is not None:
                last[child.iteration] = child
        cursor.next = max(last, default=-1) + 1
        cursor.ready = [
            [step.place(child).index + 1, position]
            for position, child in sorted(last.items())
            if child.state.terminated and child.state is not State.FAILED and step.place(child).index + 1 < width
        ]

    def follows(self, step: Step, task: Task | None, earlier: TaskRun, later: TaskRun) -> bool:
        """In the same value the later tasks; with one value at a time also the values behind."""
        mine, other = earlier.iteration or 0, later.iteration or 0
        if mine == other:
            return step.place(later).index > step.place(earlier).index
        return task is not None and self.limit(task) == 1 and other > mine

    def limit(self, task: Task) -> int:
        """Task runs that may be live; 0 = no bound."""
        written = task.properties.get("concurrencyLimit")
        return 1 if written is None else int(written)


def _after_last(step: Step, children: list[TaskRun], width: int) -> int:
    """Position behind the last pair of value and task that exists."""
    return max(((child.iteration or 0) * width + step.place(child).index + 1 for child in children), default=0)


def _by_value(pair: list[int]) -> int:
    return pair[1]


class EachInTurn(Each):
    """EachSequential."""

    values = "value"

    def limit(self, task: Task) -> int:
        return 1


class EachTogether(Each):
    """EachParallel: every task of every value, at most `concurrent` at a time; the tasks of one value do not wait either."""

    values = "value"

    def next(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> Next | None:
        assert run is not None
        values = run.items or []
        limit = int(step.task(run).properties.get("concurrent") or 0)
        if cursor.next >= len(values) * len(children) or cursor.open >= (min(limit, WINDOW) if limit else WINDOW):
            return None
        position, child = divmod(cursor.next, len(children))
        cursor.next += 1
        return Next(children[child], values[position], position)

    def left(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> bool:
        return run is not None and cursor.next < len(run.items or ()) * len(children)

    def ended(self, step: Step, run: TaskRun, child: TaskRun, place: Place) -> None:
        """Nothing hangs on a single child."""

    def recover(self, step: Step, run: TaskRun | None, cursor: Cursor, children: list[TaskRun]) -> None:
        assert run is not None
        cursor.next = _after_last(step, children, max(1, len(step.task(run).branches.get("tasks", ()))))

    def follows(self, step: Step, task: Task | None, earlier: TaskRun, later: TaskRun) -> bool:
        return False


def texts(task: Task, found: Any, name: str = "values") -> list[str]:
    """The values of a loop: texts, duplicates removed, first one kept (execution-semantics §6.6). Raises ExpressionError."""
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError as error:
            raise ExpressionError(
                f"{name} of {task.id}: expected a JSON array, found {found[:80]!r}", code="loop.values"
            ) from error
    if not isinstance(found, list):
        raise ExpressionError(f"{name} of {task.id}: expected a list, found {type(found).__name__}", code="loop.values")
    if len(found) > limits.LOOP_VALUES_MAX:
        raise ExpressionError(f"{name} of {task.id}: {len(found)} values, at most {limits.LOOP_VALUES_MAX}", code="loop.values")
    kept: dict[str, None] = {}
    for position, item in enumerate(found):
        if item is None:
            raise ExpressionError(f"{name} of {task.id}: value {position} is null", code="loop.values")
        kept[text(item)] = None
    return list(kept)


def text(item: Any) -> str:
    """A value as `taskrun.value` has it: texts as they are, everything else as JSON."""
    return item if isinstance(item, str) else json.dumps(item, separators=(",", ":"), ensure_ascii=False)


class Rounds(Order):
    """LoopUntil: its tasks in turn, again and again until the condition holds.

    `iterationCount` is 1 in the first round and grows by one at each round's end, before the condition is looked at. A round in
    which nothing failed counts (0.21 asks for SUCCESS alone and stops silently at a warning; later versions do not).
    """

    def open(self, step: Step, run: TaskRun, task: Task) -> None:
        step.cursor(run).rounds = 1
        run.outputs = {"iterationCount": 1}
        step.know_outputs(run)

    def next(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> Next | None:
        found = super().next(step, run, cursor, children)
        return None if found is None else Next(found.task, None, cursor.rounds)

    def finish(self, step: Step, run: TaskRun, task: Task, cursor: Cursor) -> bool:
        """The round is over. Errors of the condition fail the loop."""
        cursor.rounds += 1
        run.outputs = {"iterationCount": cursor.rounds}
        step.know_outputs(run)
        step.effects.touch(run)
        try:
            if step.holds(task.properties.get("condition"), run):
                return False
            frequency = task.properties.get("checkFrequency") or {}
            most = step.rendered(frequency.get("maxIterations"), run)
            longest = step.duration_us(frequency.get("maxDuration"), run, "checkFrequency.maxDuration")
            wait = step.duration_us(frequency.get("interval", "PT1M"), run, "checkFrequency.interval") or 0
            # creation, not the last round's start: what `maxDuration` is measured from
            begun = run.history[0][1]
            if (most not in (None, "") and cursor.rounds > int(most)) or (longest is not None and step.now >= begun + longest):
                if step.flag(run, "failOnMaxReached", default=False):
                    self._fail(cursor)
                return False
        except ExpressionError as error:
            error_of = {"code": error.code, "message": str(error)}
            run.attempts.append(Attempt(State.FAILED, [(State.FAILED.value, step.now)], None, 0, error_of))
            self._fail(cursor)
            return False
        step.wait_as(run, State.PAUSED)
        # The number of the round, not of an attempt: what is said about an earlier round is old.
        step.effects.timers.append(TimerWanted(run.id, cursor.rounds, "round", step.now + wait))
        return True

    def _fail(self, cursor: Cursor) -> None:
        cursor.failed = True
        cursor.worst = max(cursor.worst, RANK[State.FAILED])


def next_round(step: Step, run: TaskRun) -> None:
    """The interval is over: the last round's task runs go, the loop begins anew, and its children with it."""
    execution = step.execution
    cursor = step.cursor(run)
    step.effects.removed_below.add(run.id)
    if execution.known_outputs is not None:
        prefix = run.path if run.value is None else (*run.path, run.value)
        execution.known_outputs.forget(step.place(run).inner, prefix)
    execution.pausing -= 1
    run.state = State.CREATED
    del run.history[1:]
    run.move(State.RUNNING, step.now)
    run.attempts.clear()
    cursor.next, cursor.open, cursor.worst, cursor.failed = 0, 0, 0, False
    step.effects.touch(run)


ORDERS["ForEach"] = Each()
ORDERS["EachSequential"] = EachInTurn()
ORDERS["EachParallel"] = EachTogether()
ORDERS["LoopUntil"] = ORDERS["WaitFor"] = Rounds()
