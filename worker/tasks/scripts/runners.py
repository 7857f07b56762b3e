"""Which runner a script task asks for, and whether this worker has it. Nothing is replaced silently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.errors import TaskFailed

PROCESS = frozenset(
    {"io.kestra.plugin.core.runner.Process", "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner", "PROCESS"}
)
DOCKER = frozenset(
    {
        "io.kestra.plugin.scripts.runner.docker.Docker",
        "io.kestra.plugin.scripts.runner.docker.DockerTaskRunner",
        "DOCKER",
    }
)


def require_process(task_runner: Mapping[str, Any] | None, deprecated: str | None, default: str) -> str | None:
    """Checks that the task can run as a process here.

    Returns a remark for the log when the worker's default decided, None when the task itself names the process runner.
    Raises TaskFailed (`task.runner_unavailable`, `task.runner_unknown`).
    """
    named = str((task_runner or {}).get("type") or deprecated or "")
    if named in PROCESS:
        return None
    if not named and default == "process":
        return "No taskRunner is given: this worker runs script tasks as processes, as its --default-runner says."
    if named in DOCKER or not named:
        asked = f"asks for {named}" if named else "names no taskRunner, and this worker's default is Docker"
        raise TaskFailed(
            f"The task {asked}, but this worker has no container engine. Set "
            "`taskRunner: {type: io.kestra.plugin.core.runner.Process}` on the task, or start the worker "
            "with --default-runner process.",
            code="task.runner_unavailable",
        )
    raise TaskFailed(
        f"This worker does not know the task runner {named}. It has io.kestra.plugin.core.runner.Process.",
        code="task.runner_unknown",
    )
