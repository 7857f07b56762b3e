"""Tasks that edit their own execution, decided by the machine: Labels, SetVariables, UnsetVariables, Exit, Resume, Toggle."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from flows.plugins import Dynamic, TaskKind, TaskType

EXECUTION = "io.kestra.plugin.core.execution."


class Updating(TaskType):
    """Base of the types that change the execution they belong to, or tell another one (execution-semantics §8)."""

    kind: ClassVar[TaskKind] = "updating"


class Labels(Updating):
    """Adds labels to the execution, or overwrites them. A map, a list of {key, value}, or JSON text of either."""

    types = (EXECUTION + "Labels", "io.kestra.core.tasks.executions.Labels")
    title = "Label the execution"
    examples = ("id: mark\ntype: io.kestra.plugin.core.execution.Labels\nlabels: {stage: loaded}\n",)
    labels: Any


class SetVariables(Updating):
    """Sets variables of the execution; they stand before those of the flow."""

    types = (EXECUTION + "SetVariables",)
    title = "Set variables of the execution"
    examples = ("id: remember\ntype: io.kestra.plugin.core.execution.SetVariables\nvariables: {count: 3}\n",)
    variables: dict[str, Any]
    overwrite: Dynamic[bool] = True


class UnsetVariables(Updating):
    """Removes variables of the execution."""

    types = (EXECUTION + "UnsetVariables",)
    title = "Remove variables of the execution"
    examples = ("id: forget\ntype: io.kestra.plugin.core.execution.UnsetVariables\nvariables: [count]\n",)
    variables: Dynamic[list[str]]
    ignore_missing: Dynamic[bool] = False


class Exit(Updating):
    """Ends the execution now, in the given state; nothing further starts and what runs is killed."""

    types = (EXECUTION + "Exit",)
    title = "End the execution"
    examples = ("id: done\ntype: io.kestra.plugin.core.execution.Exit\nstate: SUCCESS\n",)
    state: Dynamic[Literal["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELED", "CANCELLED"]] = "SUCCESS"


class Resume(Updating):
    """Resumes a paused execution, its own when none is named."""

    types = (EXECUTION + "Resume", "io.kestra.core.tasks.executions.Resume")
    title = "Resume an execution"
    examples = ("id: go_on\ntype: io.kestra.plugin.core.execution.Resume\nexecutionId: '{{ trigger.executionId }}'\n",)
    execution_id: Dynamic[str] | None = None
    namespace: Dynamic[str] | None = None
    flow_id: Dynamic[str] | None = None
    inputs: Dynamic[dict[str, Any]] | None = None


class Toggle(Updating):
    """Enables or disables a trigger, of its own flow when none is named."""

    types = ("io.kestra.plugin.core.trigger.Toggle", "io.kestra.core.tasks.trigger.Toggle")
    title = "Enable or disable a trigger"
    examples = ("id: off\ntype: io.kestra.plugin.core.trigger.Toggle\ntrigger: nightly\nenabled: false\n",)
    trigger: Dynamic[str]
    namespace: Dynamic[str] | None = None
    flow_id: Dynamic[str] | None = None
    enabled: Dynamic[bool] = False


TASKS = (Labels, SetVariables, UnsetVariables, Exit, Resume, Toggle)
