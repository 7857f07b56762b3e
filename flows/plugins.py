"""What a task type is to the rest: one class with typed properties, a kind, and (on a worker) how it runs.

A family of task types is a module with such classes; the module is announced as an entry point of the group
`headrace.plugins`, so third parties add theirs by installing a package. This module only keeps the register: reading
entry points is I/O and lives in `wire.plugins`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.alias_generators import to_camel

T = TypeVar("T")

TaskKind = Literal["light", "process", "flowable", "executable", "updating"]
TriggerKind = Literal["schedule", "polling", "realtime", "webhook", "flow"]
Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]


def is_template(value: object) -> bool:
    """Whether a text holds an expression or a tag, so that its type is known only once it is rendered."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _dynamic(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    rendered = bool(info.context and info.context.get("rendered"))
    if is_template(value) and not rendered:
        return value
    if rendered and isinstance(value, str) and value[:1] in ("[", "{"):
        # A list or map property written as one expression renders to JSON text (flow-language §9.1).
        try:
            return handler(value)
        except ValueError:
            return handler(json.loads(value))
    return handler(value)


Dynamic = Annotated[T, WrapValidator(_dynamic)]
"""A property that may be written as an expression: `count: Dynamic[int]`. On the worker, after rendering, it is a T."""


class Properties(BaseModel):
    """Base of typed properties and outputs: camelCase in YAML and JSON, snake_case here, unknown names refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class TaskProperties(Properties):
    """What every task type accepts (flow-language §9). Subclasses add their own properties."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", max_length=256)
    type: str
    version: str | None = None
    description: str | None = None
    retry: dict[str, Any] | None = None
    timeout: str | None = None
    run_if: Dynamic[str | bool] | None = None
    when: Dynamic[str | bool] | None = None
    disabled: bool = False
    allow_failure: bool = False
    allow_warning: bool = False
    log_level: Dynamic[Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]] | None = None
    log_to_file: bool = False
    worker_group: dict[str, Any] | None = None
    worker_selector: dict[str, Any] | None = None
    task_cache: dict[str, Any] | None = None
    assets: dict[str, Any] | None = None
    policy_refs: list[str] | None = None


class NoOutputs(Properties):
    """Outputs of a task that has none."""


class TaskType(TaskProperties):
    """A task type. One class in one file: properties, outputs, examples and, for runnable kinds, `run(context)`.

    `types`: the identifiers it answers to, the first is the one shown. `kind`: see `flows.spec.model.Task`.
    `branches`: names of the properties that hold child tasks (flowables only).
    """

    types: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[TaskKind] = "process"
    title: ClassVar[str] = ""
    outputs: ClassVar[type[Properties]] = NoOutputs
    examples: ClassVar[tuple[str, ...]] = ()
    branches: ClassVar[tuple[str, ...]] = ()
    unrendered: ClassVar[frozenset[str]] = frozenset()
    """Names (as in YAML) of properties that keep their `{{ }}`; the task renders them itself or not at all."""

    @classmethod
    def expand(cls, properties: Mapping[str, Any]) -> Mapping[str, list[dict[str, Any]]]:
        """Child tasks the type adds by itself, by branch; `properties` as written. They are read like written ones."""
        return {}

    def run(self, context: Any) -> Any:
        """Runs on a worker with rendered properties. See `worker.context.TaskContext`. Flowables have none."""
        raise NotImplementedError(f"{self.type} is decided by the machine and never runs on a worker")


class ConditionType(Properties):
    """A condition of a trigger. `holds(context)` gets the variables of the moment; see `flows.schedule.conditions`."""

    types: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str] = ""
    examples: ClassVar[tuple[str, ...]] = ()

    type: str

    def holds(self, context: Any) -> bool:
        """Whether the condition is met. Raises HeadraceError when it cannot be told."""
        raise NotImplementedError(f"{self.type} does not say when it holds")


class TriggerType(Properties):
    """A trigger type: what every trigger accepts (triggers-and-conditions §2); subclasses add their own properties.

    `kind` says who evaluates it: schedule = the scheduler, polling and realtime = a worker, webhook = the API, flow = the
    engine's notices. Polling types have `evaluate(context)`, which gives the variables of the execution to start, or None.
    """

    types: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[TriggerKind] = "polling"
    title: ClassVar[str] = ""
    outputs: ClassVar[type[Properties]] = NoOutputs
    examples: ClassVar[tuple[str, ...]] = ()
    unrendered: ClassVar[frozenset[str]] = frozenset()

    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", max_length=256)
    type: str
    version: str | None = None
    description: str | None = None
    disabled: bool = False
    conditions: list[dict[str, Any]] | None = None
    when: Dynamic[str | bool] | None = None
    labels: Any = None
    stop_after: list[str] | None = None
    log_level: Dynamic[Level] | None = None
    log_to_file: bool = False
    worker_group: dict[str, Any] | None = None
    worker_selector: dict[str, Any] | None = None
    inputs: dict[str, Any] | None = None
    allow_concurrent: bool = False
    fail_on_trigger_error: bool = False
    assets: dict[str, Any] | None = None
    policy_refs: list[str] | None = None

    def evaluate(self, context: Any) -> Any:
        """Looks once, on a worker, with rendered properties. Gives variables (a `Properties` or a mapping), or None."""
        raise NotImplementedError(f"{self.type} is never evaluated on a worker")


class Plugin(Protocol):
    """A module (or object) announced under `headrace.plugins`: it lists its types. Each list may be absent."""

    TASKS: Iterable[type[TaskType]]
    TRIGGERS: Iterable[type[TriggerType]]
    CONDITIONS: Iterable[type[ConditionType]]


P = TypeVar("P", type[TaskType], type[TriggerType], type[ConditionType])


def _claim(entries: dict[str, P], found: P) -> None:
    for name in found.types:
        present = entries.setdefault(name, found)
        if present is not found:
            raise ValueError(f"{name} is claimed by {present.__module__} and {found.__module__}")


@dataclass(slots=True)
class Catalogue:
    """The task, trigger and condition types known here, by every identifier they answer to."""

    entries: dict[str, type[TaskType]] = field(default_factory=dict)
    triggers: dict[str, type[TriggerType]] = field(default_factory=dict)
    conditions: dict[str, type[ConditionType]] = field(default_factory=dict)

    def register(self, task_type: type[TaskType]) -> None:
        """Adds a type under all its identifiers. Raises ValueError when another class holds one of them."""
        _claim(self.entries, task_type)

    def register_trigger(self, trigger_type: type[TriggerType]) -> None:
        """The same for a trigger type."""
        _claim(self.triggers, trigger_type)

    def register_condition(self, condition_type: type[ConditionType]) -> None:
        """The same for a condition type."""
        _claim(self.conditions, condition_type)

    def get(self, name: str) -> type[TaskType] | None:
        """The task class answering to that identifier, or None."""
        return self.entries.get(name)

    def __iter__(self) -> Iterator[type[TaskType]]:
        return iter(dict.fromkeys(self.entries.values()))

    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of every type's properties, by its shown identifier."""
        return {entry.types[0]: entry.model_json_schema(by_alias=True) for entry in self}
