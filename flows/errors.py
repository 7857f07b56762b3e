"""The tree of errors of the language.

    HeadraceError
    ├── FlowInvalid            a source that is no flow; carries every problem found
    ├── InputInvalid           inputs of an execution that do not fit the flow
    ├── OutputInvalid          outputs of an execution that do not fit the flow
    ├── ExpressionError        a template that cannot be parsed or evaluated
    └── MachineError           a broken invariant: a fault of ours, never of the user

Each carries `code`: stable, documented, what programs compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.spec.problems import Problem


class HeadraceError(Exception):
    """Base of all errors a user may see. `code` is stable; the text says what to do."""

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class FlowInvalid(HeadraceError):
    """The source is no valid flow. `problems` holds all of them, in order of their place in the source."""

    code = "flow.invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("Invalid flow: " + "; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class InputInvalid(HeadraceError):
    """A value given at the start of an execution does not fit the flow's input of that id."""

    code = "input.invalid"

    def __init__(self, input_id: str, reason: str, received: object) -> None:
        super().__init__(f"Invalid input for `{input_id}`, {reason}, but received `{received}`")
        self.input_id = input_id
        self.reason = reason


class OutputInvalid(HeadraceError):
    """A value of a flow output does not fit its declaration; the execution fails (flow-language §7)."""

    code = "output.invalid"

    def __init__(self, output_id: str, reason: str, received: object) -> None:
        super().__init__(f"Invalid output for `{output_id}`, {reason}, but received `{received}`")
        self.output_id = output_id
        self.reason = reason


class ExpressionError(HeadraceError):
    """A template that cannot be parsed or evaluated. `line` counts from 1 within the template."""

    code = "expression.invalid"

    def __init__(self, message: str, *, code: str | None = None, line: int | None = None) -> None:
        super().__init__(message, code=code)
        self.line = line


class MachineError(HeadraceError):
    """An invariant of the machine is broken. The execution is parked with this report; the process goes on."""

    code = "machine.invariant"
