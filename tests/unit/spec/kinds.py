"""Small task types for the tests of the language, and a catalogue of them with the machine's own."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.machine import tasks as machine
from flows.plugins import Catalogue, Dynamic, Properties, TaskKind, TaskType
from flows.spec.parse import Parsed, parse_flow


class Log(TaskType):
    """Says something."""

    types = ("io.kestra.plugin.core.log.Log",)
    kind: ClassVar[TaskKind] = "light"
    message: Dynamic[str | list[str]]
    level: Dynamic[Literal["INFO", "WARN"]] = "INFO"


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


def catalogue() -> Catalogue:
    """The types above and Sequential, Parallel, If, ForEach."""
    known = Catalogue()
    for task_type in (*machine.TASKS, Log, Script, Subflow, Switch):
        known.register(task_type)
    return known


CATALOGUE = catalogue()

HEAD = "id: f\nnamespace: demo\n"
LOG = "  - {id: a, type: io.kestra.plugin.core.log.Log, message: hi}\n"


def read(source: str) -> Parsed:
    """The flow of a source."""
    return parse_flow(source, CATALOGUE)


def found(source: str) -> list[tuple[str, int | None, int | None, str]]:
    """Code, line, column and path of every finding."""
    return [(problem.code, problem.line, problem.column, problem.path) for problem in read(source).problems]
