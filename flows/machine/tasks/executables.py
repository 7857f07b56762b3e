"""Tasks that start other executions: Subflow, ForEachItem, Loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.machine.tasks.blocks import CORE, OLD, Flowable
from flows.plugins import Dynamic, Properties, TaskKind, TaskType

SPLIT = CORE + "ForEachItem$ForEachItemSplit"
ITEMS = CORE + "ForEachItem$ForEachItemExecutable"
MERGE = CORE + "ForEachItem$ForEachItemMergeOutputs"
_PASSED = (
    "namespace",
    "flowId",
    "revision",
    "inputs",
    "labels",
    "wait",
    "transmitFailed",
    "inheritLabels",
    "scheduleDate",
    "restartBehavior",
    "retry",
)
"""Properties of a ForEachItem that its `_items` task needs."""


class StartsExecutions(TaskType):
    """What tasks that start executions of another flow have in common (execution-semantics §7)."""

    kind: ClassVar[TaskKind] = "executable"

    namespace: Dynamic[str]
    flow_id: Dynamic[str]
    revision: Dynamic[int] | None = None
    inputs: Dynamic[dict[str, Any]] | None = None
    labels: Any = None
    wait: Dynamic[bool] = True
    transmit_failed: Dynamic[bool] = True
    inherit_labels: Dynamic[bool] = False
    schedule_date: Dynamic[str] | None = None
    restart_behavior: Literal["RETRY_FAILED", "NEW_EXECUTION"] = "RETRY_FAILED"


class SubflowOutputs(Properties):
    """The child execution: its id, its end, its flow outputs."""

    execution_id: str
    state: str | None = None
    outputs: dict[str, Any] | None = None


class Subflow(StartsExecutions):
    """Runs another flow and, with `wait`, takes its end (execution-semantics §7.1).

    `outputs` (deprecated): a map rendered with the child's outputs.
    """

    types = (CORE + "Subflow", OLD + "Subflow", OLD + "Flow")
    title = "Run another flow"
    outputs: ClassVar[type[Properties]] = SubflowOutputs
    examples = (
        """\
id: call
type: io.kestra.plugin.core.flow.Subflow
namespace: company.team
flowId: child
inputs: {day: "{{ execution.startDate | date('yyyy-MM-dd') }}"}
""",
    )


class ForEachItem(Flowable):
    """Starts an execution of another flow for each batch of a file (execution-semantics §7.2).

    It is a sequence of three tasks of its own, `<id>_split`, `<id>_items` and `<id>_merge`.
    """

    types = (CORE + "ForEachItem",)
    title = "Run another flow for each batch of a file"
    branches = ("tasks", "errors", "finally")
    examples = (
        """\
id: each
type: io.kestra.plugin.core.flow.ForEachItem
items: "{{ inputs.file }}"
batch: {rows: 100}
namespace: company.team
flowId: one_batch
inputs: {file: "{{ taskrun.items }}"}
""",
    )
    items: Dynamic[str]
    batch: dict[str, Any] | None = None
    namespace: Dynamic[str]
    flow_id: Dynamic[str]
    revision: Dynamic[int] | None = None
    inputs: dict[str, Any] | None = None
    labels: Any = None
    wait: Dynamic[bool] = True
    transmit_failed: Dynamic[bool] = True
    inherit_labels: Dynamic[bool] = False
    schedule_date: Dynamic[str] | None = None
    restart_behavior: Literal["RETRY_FAILED", "NEW_EXECUTION"] = "RETRY_FAILED"

    @classmethod
    def expand(cls, properties: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """The three tasks, with the properties each of them needs."""
        own = str(properties.get("id"))
        split: dict[str, Any] = {"id": f"{own}_split", "type": SPLIT, "items": properties.get("items")}
        if properties.get("batch") is not None:
            split["batch"] = properties["batch"]
        items = {"id": f"{own}_items", "type": ITEMS, **{name: properties[name] for name in _PASSED if name in properties}}
        merge = {
            "id": f"{own}_merge",
            "type": MERGE,
            "subflowOutputs": f"{{{{ currentEachOutput(outputs['{own}_items']).subflowOutputsBaseUri ?? null }}}}",
        }
        return {"tasks": [split, items, merge]}


class ForEachItemOutputs(Properties):
    """`iterations`: child executions by state. `subflowOutputsBaseUri`: a file with one line per batch."""

    iterations: dict[str, int] = Field(default_factory=dict)
    number_of_batches: int = 0
    subflow_outputs_base_uri: str | None = None


class ForEachItemExecutable(StartsExecutions):
    """The middle of a ForEachItem: one execution for each batch. Written by ForEachItem, not by people."""

    types = (ITEMS,)
    title = "Run another flow for each batch (part of ForEachItem)"
    outputs: ClassVar[type[Properties]] = ForEachItemOutputs
    examples = (
        """\
id: each_items
type: io.kestra.plugin.core.flow.ForEachItem$ForEachItemExecutable
namespace: company.team
flowId: one_batch
inputs: {file: "{{ taskrun.items }}"}
""",
    )


class LoopOutputs(Properties):
    """`outputs`: one entry {item, outputs} per iteration; `uri`: the same as a file, one line each (fetchType STORE)."""

    iteration_count: int = 0
    running_iterations: int = 0
    terminated_iterations: int = 0
    outputs: list[dict[str, Any]] | None = None
    uri: str | None = None


class Loop(TaskType):
    """Runs its tasks for each value, every iteration as an execution of its own (execution-semantics §7.3, the 2.0 loop).

    `values`: a list, a map, a text that renders to one, or the URI of a file with one value a line. `concurrencyLimit`: 0 = no
    bound. `breakWhen`: over `item` and `iteration`; once true, no further iteration is launched.
    """

    kind: ClassVar[TaskKind] = "executable"
    types = (CORE + "Loop",)
    title = "Run tasks for each value, each in an execution of its own"
    branches = ("tasks", "errors", "finally")
    outputs: ClassVar[type[Properties]] = LoopOutputs
    examples = (
        """\
id: loop
type: io.kestra.plugin.core.flow.Loop
values: ["a", "b"]
concurrencyLimit: 1
outputs:
  - {id: up, type: STRING, value: "{{ outputs.t.value }}"}
tasks:
  - {id: t, type: io.kestra.plugin.core.debug.Return, format: "{{ item.value | upper }}"}
""",
    )
    values: Any
    concurrency_limit: int = Field(default=0, ge=0)
    tasks: list[Any] = Field(min_length=1)
    errors: list[Any] = Field(default_factory=list)
    finally_: list[Any] = Field(default_factory=list, alias="finally")
    transmit_failed: Dynamic[bool] = True
    fetch_type: Literal["AUTO", "FETCH", "STORE"] = "AUTO"
    break_when: Dynamic[str | bool] | None = None


TASKS = (Subflow, ForEachItem, ForEachItemExecutable, Loop)
