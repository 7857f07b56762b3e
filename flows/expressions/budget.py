"""What one rendering may cost. Everything is charged before it is done, so a bomb is refused, not survived."""

from __future__ import annotations

from flows.errors import ExpressionError
from flows.limits import EXPRESSION_DEPTH_MAX, EXPRESSION_OUTPUT_BYTES_MAX, EXPRESSION_STEPS_MAX

BYTES_PER_REFERENCE = 8
"""What one element of a list costs in memory beside the value itself."""


class Budget:
    """Steps, nesting and bytes left. One object per rendering; `render()` inside a template spends from the same one.

    `steps`: nodes evaluated and elements touched. `bytes`: text and lists produced, intermediate ones included.
    Every method raises ExpressionError with a code `expression.too_…` when the budget is spent.
    """

    __slots__ = ("bytes", "depth", "steps")

    def __init__(
        self,
        steps: int = EXPRESSION_STEPS_MAX,
        output_bytes: int = EXPRESSION_OUTPUT_BYTES_MAX,
        depth: int = EXPRESSION_DEPTH_MAX,
    ) -> None:
        self.steps = steps
        self.bytes = output_bytes
        self.depth = depth

    def spend(self, steps: int) -> None:
        """Charges evaluation steps."""
        self.steps -= steps
        if self.steps < 0:
            raise ExpressionError(
                f"The expression takes more than {EXPRESSION_STEPS_MAX} steps; shorten its loops or move the work to a task",
                code="expression.too_many_steps",
            )

    def produce(self, size: int) -> None:
        """Charges bytes that are about to be allocated."""
        self.bytes -= size
        if self.bytes < 0:
            raise ExpressionError(
                f"The expression produces more than {EXPRESSION_OUTPUT_BYTES_MAX} bytes; pass large data as files",
                code="expression.too_large",
            )

    def elements(self, count: int) -> None:
        """Charges a list or map of that many elements: time to fill it and memory to hold it."""
        self.spend(count // 8 + 1)
        self.produce(count * BYTES_PER_REFERENCE)

    def text(self, value: str) -> str:
        """Charges a text and hands it back."""
        self.produce(len(value))
        return value

    def enter(self) -> None:
        """One level deeper: a macro, a block, a `render()`."""
        self.depth -= 1
        if self.depth < 0:
            raise ExpressionError(
                f"Too many rendering attempts: macros and render() nest at most {EXPRESSION_DEPTH_MAX} deep",
                code="expression.too_deep",
            )

    def leave(self) -> None:
        """Back from one level."""
        self.depth += 1
