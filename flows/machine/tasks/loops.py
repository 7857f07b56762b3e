"""Repetition inside an execution: ForEach and its older relatives, LoopUntil."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from flows.machine.tasks.blocks import CORE, OLD, Flowable
from flows.plugins import Dynamic, Properties


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


class EachSequential(Flowable):
    """The deprecated ForEach that runs one value after the other."""

    types = (CORE + "EachSequential", OLD + "EachSequential")
    title = "Run tasks for each value in turn (deprecated; use ForEach)"
    examples = (
        """\
id: each
type: io.kestra.plugin.core.flow.EachSequential
value: ["a", "b"]
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ taskrun.value }}"}
""",
    )
    value: Any
    tasks: list[Any] = Field(min_length=1)


class EachParallel(Flowable):
    """The deprecated ForEach that launches every task of every value, at most `concurrent` at a time; 0 = no bound."""

    types = (CORE + "EachParallel", OLD + "EachParallel")
    title = "Run tasks for all values together (deprecated; use ForEach)"
    examples = (
        """\
id: each
type: io.kestra.plugin.core.flow.EachParallel
value: ["a", "b"]
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ taskrun.value }}"}
""",
    )
    value: Any
    concurrent: int = Field(default=0, ge=0)
    tasks: list[Any] = Field(min_length=1)


class CheckFrequency(Properties):
    """How often a LoopUntil looks, and when it gives up. Absent bounds = none."""

    interval: Dynamic[str] = "PT1M"
    max_iterations: Dynamic[int] | None = None
    max_duration: Dynamic[str] | None = None


class LoopUntilOutputs(Properties):
    """`iterationCount`: the number of the round, from 1; after the last round, one more."""

    iteration_count: int


class LoopUntil(Flowable):
    """Runs its tasks again and again until the condition holds (execution-semantics §6.7)."""

    types = (CORE + "LoopUntil", CORE + "WaitFor", OLD + "WaitFor")
    title = "Run tasks until a condition holds"
    outputs = LoopUntilOutputs
    examples = (
        """\
id: poll
type: io.kestra.plugin.core.flow.LoopUntil
condition: "{{ outputs.count.values.n > 2 }}"
checkFrequency: {interval: PT5S, maxIterations: 10}
tasks:
  - id: count
    type: io.kestra.plugin.core.output.OutputValues
    values: {n: "{{ outputs.poll.iterationCount }}"}
""",
    )
    condition: Dynamic[str | bool | int | float]
    fail_on_max_reached: Dynamic[bool] = False
    check_frequency: CheckFrequency = CheckFrequency()
    tasks: list[Any] = Field(min_length=1)


TASKS = (ForEach, EachSequential, EachParallel, LoopUntil)
