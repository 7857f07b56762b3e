"""Assert: conditions that have to be true for the execution to go on."""

from __future__ import annotations

from typing import Any, ClassVar

from flows.expressions import truthy
from flows.plugins import Dynamic, Properties
from worker.context import TaskContext
from worker.errors import TaskFailed
from worker.tasks.core.basics import Inline


class AssertOutputs(Properties):
    """How many conditions were false, and how many true."""

    failed: int
    success: int


class Assert(Inline):
    """Fails unless every condition is true; says which ones are not."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.execution.Assert",)
    title: ClassVar[str] = "Check conditions"
    outputs: ClassVar[type[Properties]] = AssertOutputs
    unrendered: ClassVar[frozenset[str]] = frozenset({"conditions"})
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: sane\ntype: io.kestra.plugin.core.execution.Assert\nconditions:\n  - '{{ inputs.count > 0 }}'\n"
            "  - '{{ inputs.day is not empty }}'\nerrorMessage: The inputs make no sense\n"
        ),
    )

    conditions: Dynamic[list[Any]]
    error_message: Dynamic[str] | None = None

    def run(self, context: TaskContext) -> AssertOutputs:
        """Evaluates each. Raises TaskFailed (`task.assertion`) with the counts as outputs."""
        written: Any = self.conditions
        if isinstance(written, str):
            written = context.render(written)
            written = written if isinstance(written, list) else [written]
        false = [condition for condition in written if not truthy(context.render(condition))]
        outputs = AssertOutputs(failed=len(false), success=len(written) - len(false))
        if not false:
            return outputs
        for condition in false:
            context.log("ERROR", f"Assertion failed: {condition}")
        message = self.error_message or f"{len(false)} of {len(written)} conditions are false"
        raise TaskFailed(str(message), code="task.assertion", outputs=outputs.model_dump(by_alias=True))


TASKS = (Assert,)
