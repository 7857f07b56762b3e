"""In which order a block starts its children: one `Order` for each flowable type, found by the type's last name.

An order is asked again and again for the next child that may start now. What it must remember stands in the block's cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.machine.execution import Cursor, TaskRun
from flows.spec.model import Task

if TYPE_CHECKING:
    from flows.machine.plan import Place
    from flows.machine.step import Step


@dataclass(frozen=True, slots=True)
class Next:
    """A child to start: its task, its value and position in a loop."""

    task: Task
    value: str | None = None
    iteration: int | None = None


class Order:
    """One child after the other, in order of the list: the order of most blocks, and of the flow itself."""

    def open(self, step: Step, run: TaskRun, task: Task) -> None:
        """The block begins: evaluates what is evaluated once. Raises HeadraceError; the block then fails."""

    def next(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> Next | None:
        """The next child that may start now, taken off the cursor; None when it must wait, or none is left."""
        if cursor.open or cursor.next >= len(children):
            return None
        cursor.next += 1
        return Next(children[cursor.next - 1])

    def left(self, step: Step, run: TaskRun | None, cursor: Cursor, children: tuple[Task, ...]) -> bool:
        """Whether children are still to be started."""
        return cursor.next < len(children)

    def ended(self, step: Step, run: TaskRun, child: TaskRun, place: Place) -> None:
        """A child of `tasks` ended; the cursor has counted it."""

    def recover(self, step: Step, run: TaskRun | None, cursor: Cursor, children: list[TaskRun]) -> None:
        """Works out what the cursor must know from the children that exist: for a restart. `open` and `worst` are set already."""
        cursor.next = max((step.place(child).index + 1 for child in children), default=0)

    def follows(self, step: Step, task: Task | None, earlier: TaskRun, later: TaskRun) -> bool:
        """Whether one child of the block comes after another in the flow's graph."""
        return step.place(later).index > step.place(earlier).index

    def finish(self, step: Step, run: TaskRun, task: Task, cursor: Cursor) -> bool:
        """All children ended and none failed. True: the block goes on all the same, and has arranged for it."""
        return False


ORDERS: dict[str, Order] = {}
"""By last name of the type; what is not here goes one after the other."""

_IN_TURN = Order()


def type_name(task: Task | None) -> str:
    """`ForEach` of `io.kestra.plugin.core.flow.ForEach`; empty for the flow itself."""
    return task.type.rsplit(".", 1)[-1] if task is not None else ""


def order_of(task: Task | None) -> Order:
    """The order of a block; None = the root."""
    return ORDERS.get(type_name(task), _IN_TURN)
