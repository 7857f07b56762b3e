"""What a flow is once it has been read: frozen values, expressions still unrendered.

Source of the rules: Kestra's flow language in its 1.x and 2.0 spelling (project spec, flow-language §1, §4, §9, §11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

TaskKind = Literal["light", "process", "flowable"]


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed attempt is tried again (flow-language §11). `attempts_max` counts the first one; None = no bound."""

    type: Literal["constant", "exponential", "random"] = "constant"
    interval: timedelta = timedelta(0)
    interval_max: timedelta | None = None
    interval_min: timedelta | None = None
    delay_factor: float = 2.0
    attempts_max: int | None = None
    duration_max: timedelta | None = None
    warning_on_retry: bool = False
    behavior: Literal["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"] = "RETRY_FAILED_TASK"


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One task as written. `properties` is the whole mapping of the source, `id` and `type` included, unrendered.

    `kind`: `light` runs inside the worker's agent, `process` gets a process, `flowable` is decided by the machine.
    `branches`: child lists of a flowable by property name (`tasks`, `errors`, `finally`, `then`, `else`), disabled tasks
    left out.
    """

    id: str
    type: str
    kind: TaskKind
    properties: Mapping[str, Any]
    branches: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    parent: str | None = None
    run_if: str | bool | None = None
    timeout: str | None = None
    retry: Retry | None = None
    allow_failure: bool = False
    allow_warning: bool = False
    worker_group: str | None = None

    def walk(self) -> Iterator[Task]:
        """This task and all below it, in order of the source."""
        yield self
        for branch in self.branches.values():
            for child in branch:
                yield from child.walk()


@dataclass(frozen=True, slots=True)
class Input:
    """A declared input (flow-language §4). `extra` holds what only some types know: values, min, max, validator …"""

    id: str
    type: str
    required: bool = True
    defaults: Any = None
    has_defaults: bool = False
    description: str | None = None
    display_name: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Output:
    """A declared flow output, rendered once when the execution ends (flow-language §7)."""

    id: str
    value: Any
    type: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """One flow revision, ready to run. Immutable and shared between threads."""

    id: str
    namespace: str
    tasks: tuple[Task, ...]
    errors: tuple[Task, ...] = ()
    finally_: tuple[Task, ...] = ()
    description: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    retry: Retry | None = None
    disabled: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)
    index: Mapping[str, Task] = field(default_factory=dict)

    def task(self, task_id: str) -> Task:
        """The task of that id, wherever it is nested. Raises KeyError."""
        return self.index[task_id]

    def walk(self) -> Iterator[Task]:
        """All tasks, nested ones included, in order of the source."""
        for branch in (self.tasks, self.errors, self.finally_):
            for task in branch:
                yield from task.walk()
