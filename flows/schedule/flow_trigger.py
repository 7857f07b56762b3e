"""The trigger type that fires when other flows' executions reach a state: Flow (triggers-and-conditions §8).

Two spellings. 1.x: `states`, `conditions`, `preconditions`. 2.0: `dependsOn` with `mode`, `window` and `onMiss`, and `when` as a
gate before all of it. They do not mix in one trigger, but for `when`, `states` and `conditions`, which stand before either.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from flows.errors import ExpressionError
from flows.expressions import regexes
from flows.plugins import Properties, TriggerKind, TriggerType
from flows.schedule.execution_conditions import StateName
from flows.schedule.label_match import Labels, OwnLabels
from flows.schedule.windows import TimeWindow, Window

WITHOUT_VALUE = ("IS_TRUE", "IS_FALSE", "IS_NULL", "IS_NOT_NULL")
OF_VALUES = ("IN", "NOT_IN")


class UpstreamFlow(Properties):
    """An entry of `preconditions.flows`: each given field must match."""

    namespace: str
    flow_id: str | None = None
    states: list[StateName] | None = None
    labels: Labels | None = None


class Filter(Properties):
    """A filter of `preconditions.where`."""

    field: Literal["FLOW_ID", "NAMESPACE", "STATE", "EXPRESSION"]
    type: Literal[
        "EQUAL_TO",
        "NOT_EQUAL_TO",
        "IN",
        "NOT_IN",
        "IS_TRUE",
        "IS_FALSE",
        "IS_NULL",
        "IS_NOT_NULL",
        "STARTS_WITH",
        "ENDS_WITH",
        "REGEX",
        "CONTAINS",
    ]
    value: str | None = None
    values: list[str] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Filter:
        needs_values, needs_none = self.type in OF_VALUES, self.type in WITHOUT_VALUE
        if needs_values and self.values is None:
            raise ValueError(f"`values` cannot be null for type {self.type}")
        if not needs_values and self.values is not None:
            raise ValueError(f"`values` must be null for type {self.type}")
        if not needs_values and not needs_none and self.value is None:
            raise ValueError(f"`value` cannot be null for type {self.type}")
        if (needs_values or needs_none) and self.field != "EXPRESSION" and self.value is not None:
            raise ValueError(f"`value` must be null for type {self.type}")
        if self.field == "EXPRESSION":
            if self.value is None:
                raise ValueError("`value` cannot be null for the field EXPRESSION: it is the expression")
            if not needs_values and not needs_none:
                known = ", ".join((*WITHOUT_VALUE, *OF_VALUES))
                raise ValueError(f"the field EXPRESSION has no other value to compare with; use one of {known}")
        if self.type == "REGEX" and self.field != "EXPRESSION" and self.value is not None:
            _readable(self.value)
        return self


def _readable(pattern: str) -> None:
    try:
        regexes.check(pattern)
    except ExpressionError as error:
        raise ValueError(f"`value` is no regular expression: {error}") from None


class Where(Properties):
    """A block of `preconditions.where`: one requirement."""

    id: str
    operand: Literal["AND", "OR"] = "AND"
    filters: list[Filter] = Field(min_length=1)


class Preconditions(Properties):
    """What other executions must have done inside a window. Every entry of `flows` and of `where` is one requirement."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", max_length=256)
    description: str | None = None
    time_window: TimeWindow = TimeWindow()
    reset_on_success: bool = True
    flows: list[UpstreamFlow] | None = None
    where: list[Where] | None = None

    @model_validator(mode="after")
    def _something(self) -> Preconditions:
        if not self.flows and not self.where:
            raise ValueError("at least one entry of `flows` or `where` is required")
        ids = [block.id for block in self.where or ()]
        twice = next((one for one in ids if ids.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"two blocks of `where` have the id `{twice}`")
        return self


class Dependency(Properties):
    """An entry of `dependsOn`: an execution of that flow in one of the states, with the labels, for which `when` is true."""

    namespace: str
    flow_id: str
    states: list[StateName] = Field(default_factory=lambda: ["SUCCESS", "WARNING"])
    labels: Labels | None = None
    when: str | bool | None = None


class OnMiss(Properties):
    """What happens when a window ends and the trigger has not fired in it."""

    behavior: Literal["FAIL"] = "FAIL"
    labels: OwnLabels | None = None


class FlowOutputs(Properties):
    """`trigger.*` of an execution that another one caused."""

    execution_id: str
    state: str
    namespace: str
    flow_id: str
    flow_revision: int
    outputs: dict[str, Any] | None = None


class Flow(TriggerType):
    """Starts an execution when executions of other flows reach a state. An execution never triggers its own flow."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.trigger.Flow",)
    kind: ClassVar[TriggerKind] = "flow"
    title: ClassVar[str] = "Start after other flows"
    outputs: ClassVar[type[Properties]] = FlowOutputs
    unrendered: ClassVar[frozenset[str]] = frozenset({"conditions", "preconditions", "dependsOn"})
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: after_extract
type: io.kestra.plugin.core.trigger.Flow
inputs:
  file: "{{ trigger.outputs.file }}"
states: [SUCCESS]
conditions:
  - type: io.kestra.plugin.core.condition.ExecutionFlow
    namespace: company.team
    flowId: extract
""",
        """\
id: after_both
type: io.kestra.plugin.core.trigger.Flow
preconditions:
  id: daily
  timeWindow:
    type: DAILY_TIME_DEADLINE
    deadline: "09:00:00Z"
  flows:
    - {namespace: company.team, flowId: a, states: [SUCCESS]}
    - {namespace: company.team, flowId: b, states: [SUCCESS]}
""",
        """\
id: two_of_three
type: io.kestra.plugin.core.trigger.Flow
mode: AT_LEAST
minSatisfied: 2
dependsOn:
  - {namespace: company.team, flowId: a}
  - {namespace: company.team, flowId: b}
  - {namespace: company.team, flowId: c, when: "{{ outputs.rows > 0 }}"}
window:
  deadline: "09:00:00+01:00"
  fireOnce: true
onMiss:
  behavior: FAIL
  labels: {sla: miss}
""",
    )

    states: list[StateName] | None = None
    preconditions: Preconditions | None = None
    mode: Literal["ALL", "ANY", "AT_LEAST"] | None = None
    min_satisfied: int | None = None
    depends_on: list[Dependency] | None = Field(default=None, min_length=1)
    window: Window | None = None
    on_miss: OnMiss | None = None

    @field_validator("depends_on")
    @classmethod
    def _each_once(cls, entries: list[Dependency] | None) -> list[Dependency] | None:
        names = [f"{entry.namespace}.{entry.flow_id}" for entry in entries or ()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the flow `{twice}` stands in `dependsOn` twice")
        return entries

    @model_validator(mode="after")
    def _one_form(self) -> Flow:
        if self.depends_on is not None and self.preconditions is not None:
            raise ValueError("`preconditions` and `dependsOn` are two spellings of one thing: use one of them")
        for name, value in (("mode", self.mode), ("window", self.window), ("onMiss", self.on_miss)):
            if value is not None and self.depends_on is None:
                raise ValueError(f"`{name}` needs `dependsOn`")
        self._check_minimum()
        if self.on_miss is not None and (self.window is None or self.window.lookback is not None):
            raise ValueError("`onMiss` needs a `window` that ends: `deadline`, `from` with `to`, or `every`")
        return self

    def _check_minimum(self) -> None:
        if self.mode == "AT_LEAST":
            entries = len(self.depends_on or ())
            if self.min_satisfied is None:
                raise ValueError("`mode: AT_LEAST` needs `minSatisfied`")
            if not 1 <= self.min_satisfied <= entries:
                raise ValueError(f"`minSatisfied` must be between 1 and {entries} (entries), found {self.min_satisfied}")
        elif self.min_satisfied is not None:
            raise ValueError("`minSatisfied` needs `mode: AT_LEAST`")

    @property
    def unlimited(self) -> bool:
        """Whether it fires for every execution of every other flow: worth a warning."""
        return not self.conditions and self.preconditions is None and self.depends_on is None
