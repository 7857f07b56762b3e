"""If and Switch: which list a block runs, decided once when its task run is created (execution-semantics §6.4, §6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.errors import HeadraceError
from flows.machine.execution import TaskRun
from flows.machine.orders import ORDERS, Order
from flows.spec.model import Task

if TYPE_CHECKING:
    from flows.machine.step import Step


class NoCase(HeadraceError):
    """A Switch has no case for its value and no defaults."""

    code = "switch.no_case"


class Choice(Order):
    """`then` when the condition holds, else `else`."""

    def open(self, step: Step, run: TaskRun, task: Task) -> None:
        holds = step.holds(task.properties.get("condition"), run)
        run.outputs = {"evaluationResult": holds}
        step.know_outputs(run)  # its children see it already
        step.cursor(run).branch = "then" if holds else "else"


class Cases(Order):
    """The case whose key equals the rendered value, else `defaults`; neither: it fails."""

    def open(self, step: Step, run: TaskRun, task: Task) -> None:
        value = step.rendered(task.properties.get("value"), run)
        text = value if isinstance(value, str) else "" if value is None else _text(value)
        branch = f"cases.{text}"
        known = branch in task.branches
        run.outputs = {"value": text, "defaults": not known}
        step.know_outputs(run)
        if not known and not task.branches.get("defaults"):
            keys = sorted(name.removeprefix("cases.") for name in task.branches if name.startswith("cases."))
            raise NoCase(f"No task found: {task.id} has no case for `{text[:100]}` and no defaults; its cases are {keys}")
        step.cursor(run).branch = branch if known else "defaults"


def _text(value: bool | float) -> str:
    """A value written bare in YAML, as expressions print it: `true`, `1`, `1.5`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


ORDERS["If"] = Choice()
ORDERS["Switch"] = Cases()
