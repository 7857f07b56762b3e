"""What a flow is once it has been read: frozen values, expressions still unrendered.

Source of the rules: Kestra's flow language in its 1.x and 2.0 spelling (project spec, flow-language §1, §4, §9, §11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

TaskKind = Literal["light", "process", "flowable", "executable", "updating"]
"""`light` runs inside the worker's agent, `process` gets a process, `flowable` is decided by the machine, `executable` starts
other executions, `updating` edits its own execution."""

TriggerKind = Literal["schedule", "polling", "realtime", "webhook", "flow"]


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


@dataclass(frozen=True, slots=True)
class WorkerSelector:
    """Which workers may run a task (flow-language §1, §9). `group`: the key of `workerGroup`; `tags`: of `workerSelector`.

    `fallback` says what happens while none of them is connected.
    """

    group: str | None = None
    tags: tuple[str, ...] = ()
    match: Literal["ALL", "ANY"] = "ALL"
    fallback: Literal["FAIL", "WAIT", "CANCEL", "IGNORE"] = "WAIT"


@dataclass(frozen=True, slots=True)
class TaskCache:
    """Whether an earlier run with the same rendered properties may stand for this one, and how old it may be."""

    enabled: bool = False
    ttl: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many executions of a flow run at once, and what becomes of one too many (flow-language §10)."""

    limit: int
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"


@dataclass(frozen=True, slots=True)
class Sla:
    """A service level (flow-language §12). `duration` for MAX_DURATION, `assertion` for EXECUTION_ASSERTION."""

    id: str
    type: Literal["MAX_DURATION", "EXECUTION_ASSERTION"]
    behavior: Literal["FAIL", "CANCEL", "NONE"]
    duration: timedelta | None = None
    assertion: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A condition that must be true before an execution is created (flow-language §13)."""

    condition: str | bool
    message: str
    style: Literal["ERROR", "SUCCESS", "WARNING", "INFO"] = "INFO"
    behavior: Literal["BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"] = "BLOCK_EXECUTION"


@dataclass(frozen=True, slots=True, eq=False)
class Trigger:
    """What starts executions of a flow (triggers-and-conditions §2). `properties`: the whole mapping, unrendered.

    `conditions`: the mappings of the condition list, unrendered. `digest`: of the properties; a trigger whose digest changed is
    a new one to its state.
    """

    id: str
    type: str
    kind: TriggerKind
    properties: Mapping[str, Any]
    disabled: bool = False
    conditions: tuple[Mapping[str, Any], ...] = ()
    when: str | bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    stop_after: tuple[str, ...] = ()
    allow_concurrent: bool = False
    fail_on_trigger_error: bool = False
    log_level: str | None = None
    worker_group: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One task as written. `properties` is the whole mapping of the source, `id` and `type` included, unrendered.

    `branches`: child lists by property name (`tasks`, `errors`, `finally`, `then`, `else`, `defaults`, `cases.<key>`), disabled
    tasks left out. `depends_on`: ids of the tasks of the same Dag that must have ended first, disabled ones left out.
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
    worker_selector: WorkerSelector | None = None
    task_cache: TaskCache | None = None
    depends_on: tuple[str, ...] = ()

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
    required: bool = True
    item_type: str | None = None
    description: str | None = None
    display_name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """One flow revision, ready to run. Immutable and shared between threads."""

    id: str
    namespace: str
    tasks: tuple[Task, ...]
    errors: tuple[Task, ...] = ()
    finally_: tuple[Task, ...] = ()
    after_execution: tuple[Task, ...] = ()
    description: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    retry: Retry | None = None
    concurrency: Concurrency | None = None
    sla: tuple[Sla, ...] = ()
    checks: tuple[Check, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    worker_group: str | None = None
    worker_selector: WorkerSelector | None = None
    disabled: bool = False
    draft: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)
    index: Mapping[str, Task] = field(default_factory=dict)

    def task(self, task_id: str) -> Task:
        """The task of that id, wherever it is nested. Raises KeyError."""
        return self.index[task_id]

    def trigger(self, trigger_id: str) -> Trigger | None:
        """The trigger of that id, or None."""
        return next((trigger for trigger in self.triggers if trigger.id == trigger_id), None)

    def walk(self) -> Iterator[Task]:
        """All tasks, nested ones included, in order of the source."""
        for branch in (self.tasks, self.errors, self.finally_, self.after_execution):
            for task in branch:
                yield from task.walk()
