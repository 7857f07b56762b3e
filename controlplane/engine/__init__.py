"""The engine: executions advance here, one transaction a step. `advance` is the step, `service` the thread that takes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from controlplane.engine.advance import new_execution
from controlplane.engine.service import Engine, EngineUnavailable, install, installed

__all__ = ["Engine", "EngineUnavailable", "NewExecution", "get_engine", "install", "start_execution"]


@dataclass(frozen=True, slots=True)
class NewExecution:
    """What is needed to start an execution. `revision` is resolved and `inputs` are valid already."""

    tenant: str
    namespace: str
    flow_id: str
    revision: int
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: list[dict[str, str]] = field(default_factory=list)
    trigger: dict[str, Any] | None = None
    execution_id: str | None = None


def get_engine() -> Engine:
    """The engine of this process. Raises EngineUnavailable when none was started."""
    return installed()


def start_execution(new: NewExecution) -> str:
    """Creates an execution and returns its id after the commit. Raises EngineUnavailable."""
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
    )
    get_engine().call(item)
    return item.key[1]
