"""From a hand-out to a task with rendered, typed properties. What depends on the task's text alone is worked out once."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from flows.expressions import Names, Scope, names_in, render_value
from flows.plugins import Catalogue, TaskType, TriggerType
from flows.spec.durations import parse_duration
from wire import gateway
from worker.errors import TaskFailed
from worker.functions import WAITING_FUNCTIONS

_MACHINE_ONLY = frozenset(
    [
        "description",
        "retry",
        "timeout",
        "runIf",
        "when",
        "disabled",
        "allowFailure",
        "allowWarning",
        "logLevel",
        "logToFile",
        "workerGroup",
        "workerSelector",
        "taskCache",
        "assets",
        "version",
    ]
)
"""Properties that the machine or the agent reads; the task itself has no use for them and they are not rendered for it."""

_LATE_FUNCTIONS = WAITING_FUNCTIONS | {"render", "renderOnce"}
"""Functions that wait for the plane, or may turn out to: what names them is rendered in a thread, never on the loop."""

T = TypeVar("T", TaskType, TriggerType)
_PLANS = 1_000
_RENDERED = {"rendered": True}


@dataclass(slots=True)
class Plan:
    """What is known about a task before any of its runs. `whole`: the task itself, when it has no expression at all."""

    task_type: type[TaskType]
    fixed: dict[str, Any]
    """Properties as they are: id, type and those a task renders itself."""
    templated: dict[str, Any]
    names: Names
    waits: bool
    timeout: str | None
    log_level: str | None
    cache_ttl_ms: int | None = None
    """How old an earlier result may be that stands for this run; 0 = any age, None = the task runs in any case."""
    log_to_file: bool = False
    whole: TaskType | None = None
    children: tuple[Mapping[str, Any], ...] = ()
    """Tasks to run one after the other in the attempt's working directory, as written."""
    holds_tasks: bool = False
    """Whether the attempt is a WorkingDirectory: it runs its children instead of something of its own."""

    @property
    def inline(self) -> bool:
        """Whether the task may run on the agent's loop: it takes microseconds and waits for nothing."""
        quick = self.task_type.kind == "light" and not self.waits and getattr(self.task_type, "inline", False)
        return bool(quick and self.cache_ttl_ms is None and not self.log_to_file)

    def names_root(self, name: str) -> bool:
        """Whether some template may read that variable."""
        return self.names.roots is None or name in self.names.roots

    def task(self, scope: Scope) -> TaskType:
        """The task with its properties rendered. Raises ExpressionError, TaskFailed (`task.property_invalid`)."""
        if self.whole is not None:
            return self.whole
        return validate(self.task_type, {**self.fixed, **render_value(self.templated, scope)})


class Plans:
    """Plans of the tasks seen lately, by their text."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._plans: OrderedDict[bytes, Plan] = OrderedDict()

    def of(self, assign: gateway.Assign) -> Plan:
        """The plan of a hand-out. Raises TaskFailed (`task.type_unknown`), ExpressionError when a template cannot be read."""
        source = assign.task_json
        plan = self._plans.get(source)
        if plan is None:
            plan = self._plans[source] = self._make(assign)
            if len(self._plans) > _PLANS:
                self._plans.popitem(last=False)
        return plan

    def _make(self, assign: gateway.Assign) -> Plan:
        task_type = self._catalogue.get(assign.task_type)
        if task_type is None or task_type.kind not in ("light", "process"):
            raise TaskFailed(
                f"This worker has no task type {assign.task_type}. Install the package that provides it on the worker.",
                code="task.type_unknown",
            )
        written: dict[str, Any] = orjson.loads(assign.task_json)
        timeout, log_level = written.get("timeout"), written.get("logLevel")
        fixed = {"id": assign.task_id, "type": assign.task_type}
        templated: dict[str, Any] = {}
        holds_tasks = "tasks" in task_type.branches
        for name, value in written.items():
            if name in fixed or name in _MACHINE_ONLY or name in task_type.branches:
                continue
            (fixed if name in task_type.unrendered else templated)[name] = value
        names = names_in([*templated.items(), timeout, log_level])
        waits = names.roots is None or bool(names.functions & _LATE_FUNCTIONS) or holds_tasks
        plan = Plan(task_type, fixed, templated, names, waits, timeout, log_level)
        plan.cache_ttl_ms = _cache_ttl_ms(written.get("taskCache"))
        plan.log_to_file = written.get("logToFile") is True
        if holds_tasks:
            plan.holds_tasks = True
            plan.children = tuple(written.get("tasks") or ())
        elif names == Names() and not _has_braces(templated):
            plan.whole = validate(task_type, {**fixed, **templated})
        return plan


def _cache_ttl_ms(written: Any) -> int | None:
    if not isinstance(written, Mapping) or written.get("enabled") is not True:
        return None
    return int(parse_duration(str(written["ttl"])).total_seconds() * 1000) if written.get("ttl") else 0


def _has_braces(value: Any) -> bool:
    """Whether a text in it could change when rendered, were it only by `{% raw %}`."""
    if isinstance(value, str):
        return "{" in value
    if isinstance(value, dict):
        return any(map(_has_braces, value)) or any(map(_has_braces, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_braces, value))


def validate(task_type: type[T], properties: Mapping[str, Any]) -> T:
    """The typed task, or trigger. Raises TaskFailed naming each property that does not fit."""
    try:
        return task_type.model_validate(properties, context=_RENDERED)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or task_type.types[0]}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise TaskFailed(f"The rendered properties do not fit: {found}", code="task.property_invalid") from None


def variables_of(
    assign: gateway.Assign, plan: Plan, environment: Mapping[str, str], places: Mapping[str, Callable[[], str]]
) -> dict[str, Any]:
    """The expression context: what the plane sent, `envs`, and `workingDir`, `outputDir` when they are named."""
    found: dict[str, Any] = orjson.loads(assign.context_json) if assign.context_json else {}
    if plan.names_root("envs"):
        found["envs"] = dict(environment)
    for name, place in places.items():
        if plan.names_root(name):
            found[name] = place()
    return found


def environment_variables(data_dir: str) -> dict[str, str]:
    """`envs` of expressions: variables of the worker's environment that begin with ENV_, lower-cased, and `data_dir`."""
    found = {name[4:].lower(): value for name, value in os.environ.items() if name.startswith("ENV_") and len(name) > 4}
    return {**found, "data_dir": data_dir}


def timeout_seconds(text: str) -> float:
    """A task's timeout. Raises TaskFailed when it is no positive duration."""
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise TaskFailed(f"timeout: {error}", code="task.property_invalid") from None
    if length <= timedelta(0):
        raise TaskFailed(f"timeout: expected a duration above zero, found {text!r}", code="task.property_invalid")
    return length.total_seconds()
