"""Choices: If and Switch."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from flows.machine.tasks.blocks import CORE, OLD, Flowable
from flows.plugins import Dynamic, Properties


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


class SwitchOutputs(Properties):
    """The value that was compared, and whether no case matched it."""

    value: str
    defaults: bool


class Switch(Flowable):
    """Runs the tasks of the case whose key equals `value`, else `defaults` (execution-semantics §6.5)."""

    types = (CORE + "Switch", OLD + "Switch")
    title = "Choose by a value"
    branches = ("cases", "defaults", "errors", "finally")
    outputs = SwitchOutputs
    examples = (
        """\
id: by_stage
type: io.kestra.plugin.core.flow.Switch
value: "{{ flow.namespace }}"
cases:
  demo:
    - {id: demo, type: io.kestra.plugin.core.log.Log, message: a demonstration}
defaults:
  - {id: other, type: io.kestra.plugin.core.log.Log, message: something else}
""",
    )
    value: Dynamic[str | int | float | bool]
    cases: dict[str, list[Any]] = Field(default_factory=dict)
    defaults: list[Any] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_tasks(self) -> Switch:
        if not self.defaults and not any(self.cases.values()):
            raise ValueError("No task defined, neither cases or default have any tasks")
        return self


TASKS = (If, Switch)
