"""The condition types of triggers (triggers-and-conditions §9), and how a list of them is read and asked.

conditions = read_conditions(trigger.conditions, catalogue.conditions)
verdict = ask(conditions, ConditionContext(flow, variables))       # a list is AND
if verdict.error: …        # Schedule and polling: a FAILED execution; Flow trigger and webhook: a warning, counts as false
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, model_validator

from flows.errors import HeadraceError
from flows.plugins import ConditionType
from flows.schedule.context import ConditionContext, ConditionFailed
from flows.schedule.date_conditions import DATE_CONDITIONS, names
from flows.schedule.execution_conditions import EXECUTION_CONDITIONS
from flows.schedule.state import Failure
from flows.schedule.windows import DAY, NOTHING, Frame, Length, TimeWindow
from flows.spec.dialects import present_types
from flows.spec.shapes import Duration

Register = Mapping[str, type[ConditionType]]

NESTING_MAX = 20
"""Depth of Not and Or inside one another."""


def _nested(value: Any, info: ValidationInfo) -> Any:
    given: Mapping[str, Any] = info.context or {}
    if "conditions" not in given:
        # The reader of flows examines inner conditions at their own place in the source.
        return value
    return read_condition(value, given["conditions"], given["depth"] + 1)


def _no_window(conditions: list[Any]) -> list[Any]:
    for one in conditions:
        written = one.get("type") if isinstance(one, Mapping) else one.type
        if isinstance(written, str) and not set(present_types(written)).isdisjoint(MultipleCondition.types):
            raise ValueError("a MultipleCondition stands at the top of a Flow trigger's conditions, never inside another one")
    return conditions


Condition = Annotated[Any, BeforeValidator(_nested, json_schema_input_type=dict[str, Any])]
"""A property that holds a condition: as `read_condition` reads it a ConditionType, elsewhere the map as written."""


class Expression(ConditionType):
    """An expression is true: its text is neither blank nor `false`. The text `0` is true, unlike in `runIf` (trap 21)."""

    types: ClassVar = names("Expression", "ExpressionCondition", "VariableCondition")
    title: ClassVar[str] = "An expression is true"
    examples: ClassVar = (
        "type: io.kestra.plugin.core.condition.Expression\nexpression: \"{{ trigger.date | date('dd') == '01' }}\"\n",
    )

    expression: str

    def holds(self, context: ConditionContext) -> bool:
        """Neither blank nor `false`."""
        return context.render(self.expression).strip() not in ("", "false")


class Not(ConditionType):
    """None of the conditions holds."""

    types: ClassVar = names("Not", "NotCondition")
    title: ClassVar[str] = "None of some conditions holds"
    examples: ClassVar = (
        "type: io.kestra.plugin.core.condition.Not\nconditions:\n  - type: io.kestra.plugin.core.condition.Weekend\n",
    )

    conditions: Annotated[list[Condition], AfterValidator(_no_window)] = Field(min_length=1)

    def holds(self, context: ConditionContext) -> bool:
        """Every one is asked until one holds."""
        return not any(condition.holds(context) for condition in self.conditions)


class Or(ConditionType):
    """At least one of the conditions holds."""

    types: ClassVar = names("Or", "OrCondition")
    title: ClassVar[str] = "At least one of some conditions holds"
    examples: ClassVar = (
        """\
type: io.kestra.plugin.core.condition.Or
conditions:
  - {type: io.kestra.plugin.core.condition.DayWeek, dayOfWeek: MONDAY}
  - {type: io.kestra.plugin.core.condition.DayWeek, dayOfWeek: THURSDAY}
""",
    )

    conditions: Annotated[list[Condition], AfterValidator(_no_window)] = Field(min_length=1)

    def holds(self, context: ConditionContext) -> bool:
        """Every one is asked until one holds."""
        return any(condition.holds(context) for condition in self.conditions)


class MultipleCondition(ConditionType):
    """All named conditions have been met by executions inside one window (deprecated: `preconditions`).

    It is never asked by itself: the Flow trigger it stands in keeps its window (`flows.schedule.upstream`).
    """

    types: ClassVar = names("MultipleCondition")
    title: ClassVar[str] = "Several executions meet in a window"
    examples: ClassVar = (
        """\
type: io.kestra.plugin.core.condition.MultipleCondition
id: both
window: P1D
conditions:
  first: {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: company.team, flowId: a}
  second: {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: company.team, flowId: b}
""",
    )

    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", max_length=256)
    description: str | None = None
    time_window: TimeWindow | None = None
    window: Length | None = None
    window_advance: Duration | None = None
    reset_on_success: bool = True
    conditions: dict[str, Condition] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_window(self) -> MultipleCondition:
        if self.time_window is not None and (self.window is not None or self.window_advance is not None):
            raise ValueError("`timeWindow` and `window` exclude one another; `window` is the older spelling")
        _no_window(list(self.conditions.values()))
        return self

    def frame(self) -> Frame:
        """The rule of its windows, in either spelling."""
        if self.time_window is not None:
            return self.time_window.frame()
        return Frame("aligned", self.window or DAY, self.window_advance or NOTHING)

    def holds(self, context: ConditionContext) -> bool:
        """Raises ConditionFailed: one moment cannot tell."""
        raise ConditionFailed("`MultipleCondition` works in the `conditions` of Flow triggers only")


CONDITIONS: tuple[type[ConditionType], ...] = (
    *DATE_CONDITIONS,
    *EXECUTION_CONDITIONS,
    Expression,
    Not,
    Or,
    MultipleCondition,
)

CORE: Register = {name: condition for condition in CONDITIONS for name in condition.types}


def read_condition(value: Any, register: Register | None = None, depth: int = 0) -> ConditionType:
    """The condition of a mapping. Raises ValueError with what is wrong with it. `register`: types by identifier."""
    if isinstance(value, ConditionType):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("expected a condition: a map with `type` and the properties of that type")
    if depth > NESTING_MAX:
        raise ValueError(f"conditions nest deeper than {NESTING_MAX} levels")
    known = CORE if register is None else register
    written = value.get("type")
    if not isinstance(written, str):
        raise ValueError("a condition needs `type`")
    found = next((known[name] for name in present_types(written) if name in known), None)
    if found is None:
        raise ValueError(f"Invalid type: {written[:200]}")
    try:
        return found.model_validate(dict(value), context={"conditions": known, "depth": depth})
    except ValidationError as error:
        raise ValueError(f"{found.types[0].rsplit('.', 1)[-1]}: {_said(error)}") from None


def read_conditions(values: Iterable[Mapping[str, Any]], register: Register | None = None) -> tuple[ConditionType, ...]:
    """The conditions of a list. Raises ValueError."""
    return tuple(read_condition(value, register) for value in values)


def _said(error: ValidationError) -> str:
    parts = []
    for detail in error.errors(include_url=False)[:3]:
        where = ".".join(str(step) for step in detail["loc"])
        what = str(detail.get("ctx", {}).get("error", detail["msg"]))
        parts.append(f"`{where}`: {what}" if where else what)
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a list of conditions says. With an `error` it does not hold; what else follows is the trigger's affair."""

    holds: bool
    error: Failure | None = None


def ask(conditions: Iterable[ConditionType], context: ConditionContext) -> Verdict:
    """Whether all hold. The first that does not ends it; so does the first that cannot tell."""
    for condition in conditions:
        try:
            if not condition.holds(context):
                return Verdict(False)
        except (HeadraceError, ArithmeticError, ValueError) as error:
            name = condition.type.rsplit(".", 1)[-1]
            code = error.code if isinstance(error, HeadraceError) else ConditionFailed.code
            return Verdict(False, Failure(code, f"the condition {name} cannot be evaluated: {error}"))
    return Verdict(True)
