"""Tasks that edit their own execution or tell another one: done here, at once, without a worker (execution-semantics §8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flows.errors import HeadraceError
from flows.machine import ending, pausing
from flows.machine.effects import Notice, Tell
from flows.machine.events import Resume
from flows.machine.execution import TaskRun
from flows.machine.orders import type_name
from flows.machine.states import State
from flows.spec.model import Task

if TYPE_CHECKING:
    from flows.machine.step import Step


class UpdateRefused(HeadraceError):
    """An execution-updating task asks for something that cannot be."""

    code = "task.update_refused"


def carry_out(step: Step, run: TaskRun, task: Task) -> None:
    """Runs the task as an attempt without a worker. Raises HeadraceError before anything is changed; the task then fails."""
    act = ACTS[type_name(task)](step, run, task)
    step.begin(run, None, step.now)
    if act is None:
        step.end_attempt(run, State.SUCCESS, None, 0)
        step.end_run(run, step.softened(run, State.SUCCESS))
        return
    act()


After = Callable[[], None] | None
"""What an act leaves to do once the attempt has begun; None: the task is simply over."""


def _labels(step: Step, run: TaskRun, task: Task) -> After:
    written = step.rendered(task.properties.get("labels"), run)
    set_labels(step, labels_of(written, task.id))
    return None


def labels_of(written: Any, where: str) -> tuple[tuple[str, str], ...]:
    """Labels as a map, a list of {key, value}, or JSON text of either; null values are left out. Raises UpdateRefused."""
    found = written
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            raise UpdateRefused(f"labels of {where}: expected a map, a list or JSON text, found {found[:80]!r}") from None
    if isinstance(found, Mapping):
        pairs = list(found.items())
    elif isinstance(found, list) and all(isinstance(one, Mapping) and {"key", "value"} <= one.keys() for one in found):
        pairs = [(one["key"], one["value"]) for one in found]
    elif found is None:
        pairs = []
    else:
        raise UpdateRefused(f"labels of {where}: expected a map or a list of key and value, found {type(found).__name__}")
    result = []
    for key, value in pairs:
        if value is None or key is None:
            continue
        if str(key).startswith("system."):
            raise UpdateRefused(f"labels of {where}: system labels can only be set by the server, offending label: {key}={value}")
        result.append((str(key), _text(value)))
    return tuple(result)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else json.dumps(value)


def set_labels(step: Step, labels: tuple[tuple[str, str], ...]) -> None:
    """Adds labels to the execution, or overwrites them."""
    if not labels:
        return
    kept = {label["key"]: label["value"] for label in step.execution.labels}
    kept.update(labels)
    step.execution.labels = [{"key": key, "value": value} for key, value in kept.items()]
    step.effects.execution_changed = True


def _set_variables(step: Step, run: TaskRun, task: Task) -> After:
    wanted = step.evaluated(task.properties.get("variables"), run)
    if not isinstance(wanted, Mapping):
        raise UpdateRefused(f"variables of {task.id}: expected a map, found {type(wanted).__name__}")
    present = step.execution.variables
    if not step.flag(run, "overwrite", default=True):
        twice = sorted(key for key in wanted if key in present)
        if twice:
            raise UpdateRefused(f"variables of {task.id}: {', '.join(twice)} exist already and overwrite is false")
    step.execution.variables = {**present, **wanted}
    step.effects.execution_changed = True
    return None


def _unset_variables(step: Step, run: TaskRun, task: Task) -> After:
    names = step.evaluated(task.properties.get("variables"), run)
    names = json.loads(names) if isinstance(names, str) else names
    present = step.execution.variables
    missing = [str(name) for name in names if name not in present]
    if missing and not step.flag(run, "ignoreMissing", default=False):
        raise UpdateRefused(f"variables of {task.id}: {', '.join(missing)} are not set and ignoreMissing is false")
    step.execution.variables = {key: value for key, value in present.items() if key not in names}
    step.effects.execution_changed = True
    return None


def _exit(step: Step, run: TaskRun, task: Task) -> After:
    written = str(step.rendered(task.properties.get("state"), run) or "SUCCESS").upper()
    state = {"CANCELED": State.CANCELLED}.get(written) or State.__members__.get(written)
    if state not in (State.SUCCESS, State.WARNING, State.FAILED, State.KILLED, State.CANCELLED):
        raise UpdateRefused(f"state of {task.id}: expected SUCCESS, WARNING, FAILED, KILLED or CANCELLED, found {written[:40]}")
    return lambda: ending.cut(step, state, run)


def _resume(step: Step, run: TaskRun, task: Task) -> After:
    properties = task.properties
    target = step.rendered(properties.get("executionId"), run) or step.execution.id
    inputs = step.evaluated(properties.get("inputs"), run) or {}
    event = Resume(dict(inputs), by=f"task {task.id} of execution {step.execution.id}")
    if target != step.execution.id:
        step.effects.tells.append(Tell(str(target), event))
        return None

    def own() -> None:
        step.end_attempt(run, State.SUCCESS, None, 0)
        step.end_run(run, step.softened(run, State.SUCCESS))
        pausing.resume(step, event)

    return own


def _toggle(step: Step, run: TaskRun, task: Task) -> After:
    properties = task.properties
    data = {
        "namespace": step.rendered(properties.get("namespace"), run) or step.execution.namespace,
        "flowId": step.rendered(properties.get("flowId"), run) or step.execution.flow_id,
        "trigger": step.rendered(properties.get("trigger"), run),
        "enabled": step.flag(run, "enabled", default=False),
    }
    step.effects.notices.append(Notice("trigger.toggle", data))
    return None


ACTS: dict[str, Callable[[Step, TaskRun, Task], After]] = {
    "Labels": _labels,
    "SetVariables": _set_variables,
    "UnsetVariables": _unset_variables,
    "Exit": _exit,
    "Resume": _resume,
    "Toggle": _toggle,
}
