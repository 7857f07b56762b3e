"""SLAs: deadlines and assertions on a running execution, what a violation does (flow-language §12, execution-semantics §13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.errors import ExpressionError
from flows.machine import ending, updating
from flows.machine.states import State
from flows.spec.model import Sla

if TYPE_CHECKING:
    from flows.machine.step import Step

PREFIX = "sla:"


def watch(step: Step) -> None:
    """The execution begins: its deadlines count from its creation."""
    for sla in step.world.flow.sla:
        if sla.type == "MAX_DURATION" and sla.duration is not None:
            due = step.execution.created_at + int(sla.duration.total_seconds() * 1_000_000)
            step.timer(None, PREFIX + sla.id, max(due, step.now))


def deadline(step: Step, name: str) -> None:
    """The time of MAX_DURATION is over and the execution is not."""
    sla = next((sla for sla in step.world.flow.sla if sla.id == name.removeprefix(PREFIX)), None)
    if sla is not None and not step.execution.state.terminated:
        violated(step, sla, f"it runs longer than {sla.duration}")


def assertions(step: Step) -> None:
    """Looks at the assertions; the first violated one is applied. One that cannot be evaluated is none."""
    if step.execution.state.terminated or step.plan.root is not None:
        return
    for sla in step.world.flow.sla:
        if sla.type != "EXECUTION_ASSERTION" or sla.assertion is None:
            continue
        try:
            holds = step.holds(sla.assertion)
        except ExpressionError:
            continue
        if not holds:
            violated(step, sla, f"`{sla.assertion}` is false")
            return


def violated(step: Step, sla: Sla, why: str) -> None:
    """Labels are added unless all are there; FAIL and CANCEL end the execution at once, without its error handlers."""
    present = {(label["key"], label["value"]) for label in step.execution.labels}
    if not set(sla.labels.items()) <= present:
        updating.set_labels(step, tuple(sla.labels.items()))
    if sla.behavior == "NONE":
        return
    error = {"code": "sla.violated", "message": f"SLA {sla.id}: {why}"}
    ending.cut(step, State.FAILED if sla.behavior == "FAIL" else State.CANCELLED, error=error)
