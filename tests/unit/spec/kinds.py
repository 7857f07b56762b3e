"""Small task types for the tests of the language, and a catalogue of them with the machine's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.machine import tasks as machine
from flows.plugins import Catalogue, ConditionType, Dynamic, Properties, TaskKind, TaskType, TriggerKind, TriggerType
from flows.spec.check import Known, check_flow
from flows.spec.parse import Parsed, parse_flow
from flows.spec.problems import Problem


class Log(TaskType):
    """Says something."""

    types = ("io.kestra.plugin.core.log.Log",)
    kind: ClassVar[TaskKind] = "light"
    message: Dynamic[str | list[str]]
    level: Dynamic[Literal["INFO", "WARN"]] = "INFO"


class ReturnOutputs(Properties):
    """What was returned."""

    value: str | None = None


class Return(TaskType):
    """Gives a text back."""

    types = ("io.kestra.plugin.core.debug.Return",)
    kind: ClassVar[TaskKind] = "light"
    outputs: ClassVar[type[Properties]] = ReturnOutputs
    format: Any = None


class Runner(Properties):
    """How a script runs."""

    type: str
    image: str | None = None


class Script(TaskType):
    """Runs something."""

    types = ("io.kestra.plugin.scripts.python.Script",)
    unrendered = frozenset({"template"})
    script: str
    env: Dynamic[dict[str, str]] | None = None
    count: Dynamic[int] = 1
    ratio: float | None = None
    warn: bool = False
    limits: dict[str, int] = Field(default_factory=dict)
    task_runner: Runner | None = None
    commands: list[str] = Field(default_factory=list)
    template: str | None = None


class Subflow(TaskType):
    """Starts another flow."""

    types = ("io.kestra.plugin.core.flow.Subflow",)
    namespace: str | None = None
    flow_id: str | None = None
    outputs_: dict[str, Any] | None = Field(default=None, alias="outputs")
    inputs: Dynamic[dict[str, Any]] | None = None


class Switch(TaskType):
    """Chooses among lists."""

    types = ("io.kestra.plugin.core.flow.Switch",)
    kind: ClassVar[TaskKind] = "flowable"
    branches = ("cases", "defaults", "errors", "finally")
    value: Dynamic[str]


class Dag(TaskType):
    """Runs in order of dependencies."""

    types = ("io.kestra.plugin.core.flow.Dag",)
    kind: ClassVar[TaskKind] = "flowable"
    branches = ("tasks", "errors", "finally")
    tasks: list[Any] = Field(min_length=1)
    concurrent: int = 0


class Pause(TaskType):
    """Waits for someone."""

    types = ("io.kestra.plugin.core.flow.Pause",)
    kind: ClassVar[TaskKind] = "flowable"
    branches = ("tasks", "onPause", "errors", "finally")
    on_resume: list[dict[str, Any]] | None = None
    pause_duration: Dynamic[str] | None = None


class WorkingDirectory(TaskType):
    """Runs tasks in one folder."""

    types = ("io.kestra.plugin.core.flow.WorkingDirectory",)
    kind: ClassVar[TaskKind] = "process"
    branches = ("tasks", "errors", "finally")
    tasks: list[Any] = Field(min_length=1)


class Batches(TaskType):
    """Adds three tasks of its own, as ForEachItem does."""

    types = ("test.Batches",)
    kind: ClassVar[TaskKind] = "flowable"
    branches = ("errors",)
    items: str

    @classmethod
    def expand(cls, properties: Mapping[str, Any]) -> Mapping[str, list[dict[str, Any]]]:
        """Split, call, merge."""
        log = "io.kestra.plugin.core.log.Log"
        names = (f"{properties['id']}_{part}" for part in ("split", "items", "merge"))
        return {"tasks": [{"id": name, "type": log, "message": properties["items"]} for name in names]}


class Schedule(TriggerType):
    """Starts by the clock."""

    types = ("io.kestra.plugin.core.trigger.Schedule",)
    kind: ClassVar[TriggerKind] = "schedule"
    cron: str


class DayWeek(ConditionType):
    """Holds on one day of the week."""

    types = ("io.kestra.plugin.core.condition.DayWeek",)
    day_of_week: str
    date: str = "{{ trigger.date }}"


class Not(ConditionType):
    """Holds when none of its conditions does."""

    types = ("io.kestra.plugin.core.condition.Not",)
    conditions: list[dict[str, Any]]


def catalogue() -> Catalogue:
    """The machine's task types, and those above where it has none of that name."""
    known = Catalogue()
    for task_type in (*machine.TASKS, Log, Return, Script, Subflow, Switch, Dag, Pause, WorkingDirectory, Batches):
        if task_type.types[0] not in known.entries:
            known.register(task_type)
    known.register_trigger(Schedule)
    for condition_type in (DayWeek, Not):
        known.register_condition(condition_type)
    return known


CATALOGUE = catalogue()

HEAD = "id: f\nnamespace: demo\n"
LOG = "  - {id: a, type: io.kestra.plugin.core.log.Log, message: hi}\n"


def read(source: str) -> Parsed:
    """The flow of a source."""
    return parse_flow(source, CATALOGUE)


def checked(source: str, known: Known | None = None) -> list[Problem]:
    """All that the static check says of a source."""
    return check_flow(source, CATALOGUE, known)


def found(source: str) -> list[tuple[str, int | None, int | None, str]]:
    """Code, line, column and path of every finding of the static check."""
    return [(problem.code, problem.line, problem.column, problem.path) for problem in checked(source)]
