"""One finding about a flow source: what, where, what was expected, how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding. `line` and `column` count from 1; `path` is the place in the flow, e.g. `tasks[0].message`."""

    code: str
    message: str
    path: str = ""
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line is not None else ""
        where = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{where}{self.message}{hint}"


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems in order of their place, each once."""
    return tuple(dict.fromkeys(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))))
