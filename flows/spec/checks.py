"""The `checks` of a flow: conditions on its inputs that must be true before an execution is created (flow-language §13)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flows.errors import ExpressionError
from flows.expressions import Scope, compile_template, truthy
from flows.spec.model import Check

_SEVERITY = ("BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION")


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check whose condition is not true. `reason`: set when the condition could not even be evaluated."""

    check: Check
    reason: str | None = None

    def __str__(self) -> str:
        why = f"its condition could not be evaluated: {self.reason}" if self.reason else f"`{self.check.condition}` is not true"
        return f"{self.check.message} ({why})"


def failing_checks(checks: Iterable[Check], scope: Scope) -> tuple[FailedCheck, ...]:
    """The checks that do not pass, most severe behaviour first: the first one decides what becomes of the start.

    `scope`: `inputs` resolved, `flow`, `vars`, `labels`. A condition that cannot be evaluated does not hold: a broken guard
    lets nobody through.
    """
    failed = []
    for check in checks:
        try:
            condition = check.condition
            holds = truthy(compile_template(condition).evaluate(scope)) if isinstance(condition, str) else condition
        except ExpressionError as error:
            failed.append(FailedCheck(check, str(error)))
            continue
        if not holds:
            failed.append(FailedCheck(check))
    return tuple(sorted(failed, key=lambda one: _SEVERITY.index(one.check.behavior)))
