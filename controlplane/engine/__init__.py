"""The engine: executions advance here, one transaction a step. `advance` is the step, `service` the thread that takes it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from controlplane.engine.advance import new_execution
from controlplane.engine.items import Item
from controlplane.engine.service import Engine, EngineUnavailable, install, installed

__all__ = [
    "Engine",
    "EngineUnavailable",
    "NewExecution",
    "creation",
    "get_engine",
    "install",
    "start_execution",
    "start_executions",
]


@dataclass(frozen=True, slots=True)
class NewExecution:
    """What is needed to start an execution. `revision` is resolved and `inputs` are valid already.

    `cause`: why it exists, see `flows.machine.execution.Execution`. `pinned`: the revision may not be the newest, whose
    concurrency limit counts. `schedule_at_us`: it stays CREATED until then. `fails`: {code, message}; it is created FAILED.
    `once`: an execution of that id that exists already is the same one; nothing happens then.
    """

    tenant: str
    namespace: str
    flow_id: str
    revision: int
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: list[dict[str, str]] = field(default_factory=list)
    trigger: dict[str, Any] | None = None
    execution_id: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    kind: str = "NORMAL"
    schedule_at_us: int | None = None
    breakpoints: tuple[str, ...] = ()
    cause: dict[str, Any] | None = None
    pinned: bool = False
    fails: dict[str, str] | None = None
    once: bool = False


def get_engine() -> Engine:
    """The engine of this process. Raises EngineUnavailable when none was started."""
    return installed()


def start_execution(new: NewExecution) -> str:
    """Creates an execution and returns its id after the commit. Raises EngineUnavailable."""
    item = creation(new)
    get_engine().call(item)
    return item.key[1]


def start_executions(new: Sequence[NewExecution]) -> list[str]:
    """Creates many, in as few transactions as the engine can; returns their ids after the commits. Raises EngineUnavailable."""
    items = [creation(one) for one in new]
    if "failed" in get_engine().call_all(items):
        raise EngineUnavailable("not all executions could be stored; see the control plane's log")
    return [item.key[1] for item in items]


def creation(new: NewExecution) -> Item:
    """The item that creates an execution."""
    item = new_execution(
        new.tenant,
        new.namespace,
        new.flow_id,
        new.revision,
        time.time_ns() // 1000,
        execution_id=new.execution_id,
        inputs=new.inputs,
        labels=new.labels,
        trigger=new.trigger,
        variables=new.variables,
        kind=new.kind,
        schedule_at=new.schedule_at_us,
        breakpoints=new.breakpoints,
        cause=new.cause,
        pinned=new.pinned,
        fails=new.fails,
    )
    item.once = new.once
    return item
