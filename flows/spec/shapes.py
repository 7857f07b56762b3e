"""The parts of a flow document that are no tasks, as typed shapes: what may stand where (flow-language §1, §4, §7–§13).

Old spellings have been renamed by `dialects` before a shape sees them. What this release does not execute yet is accepted
with its documented properties and kept in `Flow.raw`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field

from flows.plugins import Properties
from flows.spec.durations import parse_duration

FLOW_ID = r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$"
NAMESPACE = r"^[a-z0-9][a-z0-9._-]*$"
TASK_ID = r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$"
INPUT_ID = r"^[a-zA-Z0-9][.a-zA-Z0-9_-]*$"

RESERVED_FLOW_IDS = frozenset(
    {
        "pause",
        "resume",
        "force-run",
        "change-status",
        "kill",
        "executions",
        "search",
        "source",
        "disable",
        "enable",
    }
)
"""Ids that would collide with routes of the API."""


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e11:
        return timedelta(seconds=value)
    raise ValueError("expected a duration such as PT30S")


Duration = Annotated[
    timedelta, BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "duration"})])
]
"""A literal ISO-8601 duration; a number counts seconds."""


class Retry(Properties):
    """What all kinds of retry share."""

    max_attempts: int | None = Field(default=None, ge=1)
    max_duration: Duration | None = None
    warning_on_retry: bool = False
    behavior: Literal["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"] = "RETRY_FAILED_TASK"


class ConstantRetry(Retry):
    """The same wait before every attempt."""

    type: Literal["constant"]
    interval: Duration


class ExponentialRetry(Retry):
    """Waits that grow by a factor up to a ceiling."""

    type: Literal["exponential"]
    interval: Duration
    max_interval: Duration
    delay_factor: float = 2.0


class RandomRetry(Retry):
    """Waits between two bounds."""

    type: Literal["random"]
    min_interval: Duration
    max_interval: Duration


RETRIES: dict[str, type[Retry]] = {"constant": ConstantRetry, "exponential": ExponentialRetry, "random": RandomRetry}


class Concurrency(Properties):
    """How many executions of the flow run at once."""

    limit: int = Field(gt=0)
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"


class Sla(Properties):
    """A service level and what happens when it is missed."""

    id: str
    type: Literal["MAX_DURATION", "EXECUTION_ASSERTION"]
    behavior: Literal["FAIL", "CANCEL", "NONE"]
    duration: Duration | None = None
    assert_: str | None = Field(default=None, alias="assert")
    labels: Any = None


class Check(Properties):
    """A condition on the inputs, looked at before an execution exists."""

    when: str | bool
    message: str
    style: Literal["ERROR", "SUCCESS", "WARNING", "INFO"] = "INFO"
    behavior: Literal["BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"] = "BLOCK_EXECUTION"


class PluginDefault(Properties):
    """Values for the properties of a task type, or of all types below a prefix."""

    type: str
    values: dict[str, Any]
    forced: bool = False


class Quota(Properties):
    """How many executions a stretch of time may see."""

    duration: Duration
    limit: int = Field(ge=0)
    behavior: Literal["FAIL", "CANCEL"] = "FAIL"


class Listener(Properties):
    """Tasks after the end when conditions match (deprecated)."""

    description: str | None = None
    conditions: list[dict[str, Any]] | None = None
    tasks: list[dict[str, Any]]


class DagTask(Properties):
    """An entry of a Dag: a task, and the ids of those that must have ended first."""

    task: dict[str, Any]
    depends_on: list[str] = Field(default_factory=list)


class TaskCache(Properties):
    """Whether a task may take the outputs of an earlier run, and for how long."""

    enabled: bool
    ttl: Duration | None = None


DataType = Literal[
    "STRING",
    "INT",
    "FLOAT",
    "BOOLEAN",
    "BOOL",
    "DATETIME",
    "DATE",
    "TIME",
    "DURATION",
    "JSON",
    "YAML",
    "URI",
    "EMAIL",
    "SECRET",
    "FILE",
    "ENUM",
    "SELECT",
    "MULTISELECT",
    "ARRAY",
    "FORM",
    "REUSABLE_INPUTS",
]
DATA_TYPES: tuple[str, ...] = get_args(DataType)


class Output(Properties):
    """A flow output."""

    id: str = Field(pattern=INPUT_ID, max_length=256)
    type: DataType | None = None
    value: Any = None
    description: str | None = None
    display_name: str | None = None
    required: bool = True
    item_type: DataType | None = None


class DependsOn(Properties):
    """Other inputs that are resolved first, and when the input exists at all."""

    inputs: list[str] = Field(default_factory=list)
    condition: str | bool | None = None


class Input(Properties):
    """What every input has. The types add their own."""

    id: str = Field(pattern=INPUT_ID, max_length=256)
    type: DataType
    description: str | None = None
    display_name: str | None = Field(default=None, max_length=64)
    required: bool = True
    defaults: Any = None
    prefill: Any = None
    depends_on: DependsOn | None = None


class TextInput(Input):
    """STRING and SECRET."""

    validator: str | None = None


class NumberInput(Input):
    """INT, FLOAT."""

    min: int | float | None = None
    max: int | float | None = None


class DurationInput(Input):
    """DURATION."""

    min: Duration | None = None
    max: Duration | None = None


class TimeInput(Input):
    """DATETIME, DATE, TIME."""

    after: str | None = None
    before: str | None = None


class SelectInput(Input):
    """SELECT, ENUM."""

    values: list[str] | None = None
    expression: str | None = None
    allow_custom_value: bool = False
    is_radio: bool = False
    auto_select_first: bool = False


class MultiselectInput(Input):
    """MULTISELECT."""

    values: list[str] | None = None
    options: list[str] | None = None
    expression: str | None = None
    item_type: DataType = "STRING"
    allow_custom_value: bool = False
    auto_select_first: bool = False


class ArrayInput(Input):
    """ARRAY."""

    item_type: DataType


class FileInput(Input):
    """FILE."""

    extension: str | None = None
    allowed_file_extensions: list[str] | None = None


class FormInput(Input):
    """FORM: a group of inputs; `db` with `host` inside declares `db.host`."""

    inputs: list[dict[str, Any]] = Field(min_length=1)


class ReusableInputs(Input):
    """REUSABLE_INPUTS: names a group that is kept elsewhere."""

    model_config = ConfigDict(extra="allow")


INPUTS: dict[str, type[Input]] = {
    "STRING": TextInput,
    "SECRET": TextInput,
    "INT": NumberInput,
    "FLOAT": NumberInput,
    "DURATION": DurationInput,
    "DATETIME": TimeInput,
    "DATE": TimeInput,
    "TIME": TimeInput,
    "SELECT": SelectInput,
    "ENUM": SelectInput,
    "MULTISELECT": MultiselectInput,
    "ARRAY": ArrayInput,
    "FILE": FileInput,
    "FORM": FormInput,
    "REUSABLE_INPUTS": ReusableInputs,
}


class WorkerGroup(Properties):
    """Which workers may run a task."""

    key: str | None = None
    fallback: Literal["FAIL", "WAIT", "CANCEL"] = "WAIT"


class WorkerSelector(Properties):
    """Which workers may run a task, by tags."""

    tags: list[str] = Field(default_factory=list)
    match: Literal["ALL", "ANY"] = "ALL"
    fallback: Literal["FAIL", "WAIT", "CANCEL", "IGNORE"] = "FAIL"


class FlowDocument(Properties):
    """The top of a flow document. Lists are examined item by item elsewhere."""

    id: str = Field(pattern=FLOW_ID, min_length=1, max_length=100)
    namespace: str = Field(pattern=NAMESPACE, min_length=1, max_length=150)
    revision: int | None = None
    tenant_id: str | None = None
    description: str | None = None
    labels: Any = None
    inputs: list[Any] | None = None
    variables: dict[str, Any] | None = None
    concurrency: Any = None
    retry: Any = None
    sla: list[Any] | None = None
    checks: list[Any] | None = None
    quotas: list[Any] | None = None
    tasks: list[Any] | None = None
    errors: list[Any] | None = None
    finally_: list[Any] | None = Field(default=None, alias="finally")
    after_execution: list[Any] | None = None
    outputs: list[Any] | None = None
    triggers: list[Any] | None = None
    plugin_defaults: list[Any] | None = None
    listeners: list[Any] | None = None
    disabled: bool = False
    deleted: bool = False
    draft: bool = False
    worker_group: WorkerGroup | None = None
    worker_selector: WorkerSelector | None = None
    policy_refs: list[str] | None = None
