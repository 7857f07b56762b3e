"""Conditions on the execution upstream and on the trigger's own flow (§9)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from flows.machine.states import State
from flows.plugins import ConditionType
from flows.schedule.context import ConditionContext
from flows.schedule.date_conditions import names
from flows.schedule.label_match import Labels


def _state(name: str) -> str:
    if name not in State.__members__:
        raise ValueError(f"expected a state, one of {', '.join(State)}, found `{name[:40]}`")
    return name


StateName = Annotated[str, AfterValidator(_state), WithJsonSchema({"type": "string", "enum": [state.value for state in State]})]
"""The name of a state, as YAML writes it."""


class ExecutionFlow(ConditionType):
    """The execution is one of that flow."""

    types: ClassVar = names("ExecutionFlow", "ExecutionFlowCondition")
    title: ClassVar[str] = "The execution is one of a given flow"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.ExecutionFlow\nnamespace: company.team\nflowId: extract\n",)

    namespace: str
    flow_id: str

    def holds(self, context: ConditionContext) -> bool:
        """Namespace and flow are equal."""
        execution = context.upstream("ExecutionFlow")
        return execution.namespace == context.render(self.namespace) and execution.flow_id == context.render(self.flow_id)


class ExecutionLabels(ConditionType):
    """The execution carries all of the labels."""

    types: ClassVar = names("ExecutionLabels", "ExecutionLabelsCondition")
    title: ClassVar[str] = "The execution carries given labels"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.ExecutionLabels\nlabels:\n  env: prod\n",)

    labels: Labels

    def holds(self, context: ConditionContext) -> bool:
        """All of them, with these values."""
        execution = context.upstream("ExecutionLabels")
        return all(execution.label(key) == context.render(value) for key, value in self.labels.items())


class ExecutionNamespace(ConditionType):
    """The execution's namespace is the given one, or begins or ends with it."""

    types: ClassVar = names("ExecutionNamespace", "ExecutionNamespaceCondition")
    title: ClassVar[str] = "The execution belongs to a namespace"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.ExecutionNamespace\nnamespace: company\ncomparison: PREFIX\n",)

    namespace: str
    comparison: Literal["EQUALS", "PREFIX", "SUFFIX"] | None = None
    prefix: bool = False
    """Deprecated: `comparison: PREFIX`."""

    def holds(self, context: ConditionContext) -> bool:
        """By `comparison`; `prefix` counts only without it."""
        found, wanted = context.upstream("ExecutionNamespace").namespace, context.render(self.namespace)
        match self.comparison or ("PREFIX" if self.prefix else "EQUALS"):
            case "PREFIX":
                return found.startswith(wanted)
            case "SUFFIX":
                return found.endswith(wanted)
            case _:
                return found == wanted


class ExecutionOutputs(ConditionType):
    """An expression over `trigger.outputs`, the outputs of the execution's flow, is true. Without outputs it is not."""

    types: ClassVar = names("ExecutionOutputs", "ExecutionOutputsCondition")
    title: ClassVar[str] = "The outputs of the execution satisfy an expression"
    examples: ClassVar = (
        'type: io.kestra.plugin.core.condition.ExecutionOutputs\nexpression: "{{ trigger.outputs.count > 0 }}"\n',
    )

    expression: str

    def holds(self, context: ConditionContext) -> bool:
        """The rendered text is `true`."""
        outputs = context.upstream("ExecutionOutputs").outputs
        if not outputs:
            return False
        return context.with_variables(trigger={"outputs": dict(outputs)}).render(self.expression).strip() == "true"


class ExecutionStatus(ConditionType):
    """The execution's state is one of `in` and none of `notIn`."""

    types: ClassVar = names("ExecutionStatus", "ExecutionStatusCondition")
    title: ClassVar[str] = "The execution is in one of some states"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.ExecutionStatus\nin: [SUCCESS, WARNING]\n",)

    in_: list[StateName] | None = Field(default=None, alias="in")
    not_in: list[StateName] | None = None

    def holds(self, context: ConditionContext) -> bool:
        """Each list that is given decides."""
        return _selected(context.upstream("ExecutionStatus").state, self.in_, self.not_in)


class HasRetryAttempt(ConditionType):
    """Some task run took more than one attempt, and one of its attempts ended in a state of `in` and of none of `notIn`."""

    types: ClassVar = names("HasRetryAttempt", "HasRetryAttemptCondition")
    title: ClassVar[str] = "A task of the execution was retried"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.HasRetryAttempt\nin: [FAILED]\n",)

    in_: list[StateName] | None = Field(default=None, alias="in")
    not_in: list[StateName] | None = None

    def holds(self, context: ConditionContext) -> bool:
        """Without lists, any second attempt."""
        runs = context.upstream("HasRetryAttempt").attempts
        return any(len(states) > 1 and any(_selected(state, self.in_, self.not_in) for state in states) for states in runs)


class FlowCondition(ConditionType):
    """The trigger's own flow is the given one."""

    types: ClassVar = names("FlowCondition")
    title: ClassVar[str] = "The trigger belongs to a given flow"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.FlowCondition\nnamespace: company.team\nflowId: load\n",)

    namespace: str
    flow_id: str

    def holds(self, context: ConditionContext) -> bool:
        """Namespace and flow are equal."""
        return context.flow.namespace == context.render(self.namespace) and context.flow.id == context.render(self.flow_id)


class FlowNamespaceCondition(ConditionType):
    """The trigger's own flow lies in the namespace, or below it with `prefix`."""

    types: ClassVar = names("FlowNamespaceCondition", "FlowNamespace")
    title: ClassVar[str] = "The trigger's flow belongs to a namespace"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.FlowNamespaceCondition\nnamespace: company\nprefix: true\n",)

    namespace: str
    prefix: bool = False

    def holds(self, context: ConditionContext) -> bool:
        """Equal, or with `prefix` the beginning."""
        wanted = context.render(self.namespace)
        return context.flow.namespace.startswith(wanted) if self.prefix else context.flow.namespace == wanted


def _selected(state: str, included: list[StateName] | None, excluded: list[StateName] | None) -> bool:
    return (included is None or state in included) and (excluded is None or state not in excluded)


EXECUTION_CONDITIONS: tuple[Any, ...] = (
    ExecutionFlow,
    ExecutionLabels,
    ExecutionNamespace,
    ExecutionOutputs,
    ExecutionStatus,
    HasRetryAttempt,
    FlowCondition,
    FlowNamespaceCondition,
)
