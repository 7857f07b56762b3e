"""The flowable task types: what may be written. How they move is in `blocks`, `branching` and `loops` beside this file."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from flows.plugins import Dynamic, Properties, TaskKind, TaskType

CORE = "io.kestra.plugin.core.flow."
OLD = "io.kestra.core.tasks.flows."


class Flowable(TaskType):
    """Base of the types that are decided by the machine: they only start child tasks and take a state from them."""

    kind: ClassVar[TaskKind] = "flowable"
    branches: ClassVar[tuple[str, ...]] = ("tasks", "errors", "finally")

    errors: list[Any] = Field(default_factory=list)
    finally_: list[Any] = Field(default_factory=list, alias="finally")


class Sequential(Flowable):
    """Runs its tasks one after the other; the first failure ends it (execution-semantics §6.1)."""

    types = (CORE + "Sequential", OLD + "Sequential")
    title = "Run tasks one after the other"
    examples = (
        """\
id: steps
type: io.kestra.plugin.core.flow.Sequential
tasks:
  - {id: first, type: io.kestra.plugin.core.log.Log, message: one}
  - {id: second, type: io.kestra.plugin.core.log.Log, message: two}
""",
    )
    tasks: list[Any] = Field(min_length=1)


class Parallel(Flowable):
    """Runs its tasks side by side, at most `concurrent` at a time; 0 = no bound (execution-semantics §6.2)."""

    types = (CORE + "Parallel", OLD + "Parallel")
    title = "Run tasks side by side"
    examples = (
        """\
id: both
type: io.kestra.plugin.core.flow.Parallel
concurrent: 2
tasks:
  - {id: left, type: io.kestra.plugin.core.log.Log, message: left}
  - {id: right, type: io.kestra.plugin.core.log.Log, message: right}
""",
    )
    tasks: list[Any] = Field(min_length=1)
    concurrent: int = Field(default=0, ge=0)


class IfOutputs(Properties):
    """Which way the condition went."""

    evaluation_result: bool


class If(Flowable):
    """Runs `then` or `else` by a condition evaluated once, when its task run is created (execution-semantics §6.4)."""

    types = (CORE + "If", OLD + "If")
    title = "Choose by a condition"
    branches = ("then", "else", "errors", "finally")
    outputs = IfOutputs
    examples = (
        """\
id: choose
type: io.kestra.plugin.core.flow.If
condition: "{{ flow.namespace == 'demo' }}"
then:
  - {id: demo, type: io.kestra.plugin.core.log.Log, message: a demonstration}
else:
  - {id: real, type: io.kestra.plugin.core.log.Log, message: the real thing}
""",
    )
    condition: Dynamic[str | bool | int | float]
    then: list[Any] = Field(min_length=1)
    else_: list[Any] = Field(default_factory=list, alias="else")


class ForEach(Flowable):
    """Runs its tasks once for each value (execution-semantics §6.6). `taskrun.value` is the value, always a text.

    `concurrencyLimit`: 1 = strictly one after the other (default), 0 = all together, n = at most n task runs live.
    """

    types = (CORE + "ForEach",)
    title = "Run tasks for each value"
    examples = (
        """\
id: each
type: io.kestra.plugin.core.flow.ForEach
values: ["a", "b"]
concurrencyLimit: 0
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ taskrun.value }}"}
""",
    )
    values: Any
    concurrency_limit: int = Field(default=1, ge=0)
    tasks: list[Any] = Field(min_length=1)


TASKS = (Sequential, Parallel, If, ForEach)
