"""TemplatedTask: a task whose whole text is a template."""

from __future__ import annotations

from typing import Any, ClassVar

import yaml

from flows.plugins import Dynamic, TaskType
from worker.errors import TaskFailed


class TemplatedTask(TaskType):
    """Renders `spec`, reads it as a task and runs that task in its place; outputs are those of that task."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.templating.TemplatedTask",)
    title: ClassVar[str] = "Run a task written by a template"
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: chosen\ntype: io.kestra.plugin.core.templating.TemplatedTask\nspec: |\n"
            "  type: io.kestra.plugin.core.log.Log\n  message: '{{ inputs.text }}'\n"
        ),
    )

    spec: Dynamic[str]

    def becomes(self) -> dict[str, Any]:
        """The task to run, as written; it keeps the id of this one. Raises TaskFailed (`task.spec_invalid`)."""
        try:
            written = yaml.safe_load(str(self.spec))
        except yaml.YAMLError as error:
            raise TaskFailed(f"The rendered spec is no YAML: {error}", code="task.spec_invalid") from None
        if not isinstance(written, dict) or not isinstance(written.get("type"), str):
            raise TaskFailed("The rendered spec is no task: expected a map with `type`.", code="task.spec_invalid")
        if written["type"] in self.types:
            raise TaskFailed("A templated task cannot be another templated task.", code="task.spec_invalid")
        return {**written, "id": self.id}


TASKS = (TemplatedTask,)
