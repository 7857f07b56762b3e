"""Core tasks that run inside the agent: Log, Return, OutputValues, Sleep, Fail."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, ClassVar

from pydantic import field_validator

from flows.expressions import truthy
from flows.plugins import Dynamic, NoOutputs, Properties, TaskKind, TaskType, is_template
from flows.spec.durations import parse_duration
from worker.context import LevelName, TaskContext
from worker.errors import TaskFailed


class Inline(TaskType):
    """A task of microseconds that waits for nothing: it may run on the agent's loop."""

    kind: ClassVar[TaskKind] = "light"
    inline: ClassVar[bool] = True


def as_text(value: Any) -> str:
    """A rendered value as people read it: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


class Log(Inline):
    """Writes one record, or one for each element of a list."""

    types: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.log.Log",
        "io.kestra.core.tasks.log.Log",
    )
    title: ClassVar[str] = "Log a message"
    examples: ClassVar[tuple[str, ...]] = (
        "id: hello\ntype: io.kestra.plugin.core.log.Log\nmessage: Hello, {{ inputs.name }}!\n",
        "id: several\ntype: io.kestra.plugin.core.log.Log\nlevel: WARN\nmessage:\n  - first\n  - second\n",
    )

    message: Dynamic[str | list[Any]]
    level: Dynamic[LevelName] = "INFO"

    def run(self, context: TaskContext) -> None:
        """Logs. A text that looks like a JSON list stays one record."""
        level: Any = self.level
        for message in self.message if isinstance(self.message, list) else [self.message]:
            context.log(level, as_text(message))


class Echo(Inline):
    """The deprecated way to log: `format` instead of `message`."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.debug.Echo", "io.kestra.core.tasks.debugs.Echo")
    title: ClassVar[str] = "Log a message (deprecated; use Log)"
    examples: ClassVar[tuple[str, ...]] = ("id: hello\ntype: io.kestra.plugin.core.debug.Echo\nformat: Hello\n",)

    format: Any
    level: Dynamic[LevelName] = "INFO"

    def run(self, context: TaskContext) -> None:
        """Logs the text."""
        level: Any = self.level
        context.log(level, as_text(self.format))


class ReturnOutputs(Properties):
    """`value`: the rendered text, null when there was none."""

    value: str | None = None


class Return(Inline):
    """Gives a rendered text as its output."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.debug.Return", "io.kestra.core.tasks.debugs.Return")
    title: ClassVar[str] = "Return a value"
    outputs: ClassVar[type[Properties]] = ReturnOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: when\ntype: io.kestra.plugin.core.debug.Return\nformat: '{{ execution.startDate }}'\n",
    )

    format: Any = None

    def run(self, context: TaskContext) -> ReturnOutputs:
        """The text, and how long it is."""
        began = time.perf_counter()
        if self.format is None:
            return ReturnOutputs(value=None)
        value = as_text(self.format)
        context.metric("length", len(value))
        context.metric("duration", time.perf_counter() - began, "timer")
        return ReturnOutputs(value=value)


class OutputValuesOutputs(Properties):
    """`values`: the map, rendered."""

    values: dict[str, Any]


class OutputValues(Inline):
    """Gives a map of values as outputs. Templates become texts; other literals keep their type."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.output.OutputValues",)
    title: ClassVar[str] = "Output several values"
    outputs: ClassVar[type[Properties]] = OutputValuesOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: facts\ntype: io.kestra.plugin.core.output.OutputValues\nvalues:\n  day: '{{ now() }}'\n  count: 3\n",
    )

    values: Dynamic[dict[str, Any]]

    def run(self, context: TaskContext) -> OutputValuesOutputs:
        """The values."""
        values: Any = self.values
        return OutputValuesOutputs(values=values)


class Fail(Inline):
    """Fails on purpose, always or under a condition."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.execution.Fail", "io.kestra.core.tasks.executions.Fail")
    title: ClassVar[str] = "Fail the execution"
    outputs: ClassVar[type[Properties]] = NoOutputs
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: guard\ntype: io.kestra.plugin.core.execution.Fail\ncondition: '{{ outputs.count.row.n == 0 }}'\n"
            "errorMessage: The table is empty\n"
        ),
    )

    condition: Any = None
    error_message: Dynamic[str] = "Task failure"

    def run(self, context: TaskContext) -> None:
        """Raises TaskFailed (`task.fail`) unless the condition is false."""
        if self.condition is None or truthy(self.condition):
            raise TaskFailed(str(self.error_message), code="task.fail")


class Sleep(TaskType):
    """Waits. Holds a light slot, no thread."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.flow.Sleep", "io.kestra.core.tasks.flows.Sleep")
    kind: ClassVar[TaskKind] = "light"
    title: ClassVar[str] = "Wait for a while"
    examples: ClassVar[tuple[str, ...]] = ("id: wait\ntype: io.kestra.plugin.core.flow.Sleep\nduration: PT5S\n",)

    duration: str

    @field_validator("duration")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        if not is_template(value):
            parse_duration(value)
        return value

    async def run_async(self, context: TaskContext) -> None:
        """Waits without a thread."""
        await asyncio.sleep(max(0.0, parse_duration(self.duration).total_seconds()))


TASKS = (Log, Echo, Return, OutputValues, Fail, Sleep)
