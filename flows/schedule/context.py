"""What a condition looks at, and how its texts are rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, tzinfo
from typing import Any

from flows.errors import ExpressionError, HeadraceError
from flows.expressions import Scope, compile_template, java_time
from flows.schedule.facts import FlowFacts, UpstreamExecution

Functions = Mapping[str, Callable[..., Any]]


class ConditionFailed(HeadraceError):
    """A condition that can be told neither true nor false. Its trigger decides what follows (triggers-and-conditions §9)."""

    code = "condition.failed"


@dataclass(frozen=True, slots=True)
class ConditionContext:
    """The moment a condition is asked in.

    `variables`: the roots of templates (`trigger`, `schedule`, `flow`, `outputs`, …). `flow`: of the trigger. `execution`: the
    one upstream, for Flow triggers. `functions`: what the host supplies (`secret`, `kv`, `now`, …). `zone`: the server's, for
    times written without one. `country`: the server's, for public holidays.
    """

    flow: FlowFacts
    variables: Mapping[str, Any] = field(default_factory=dict)
    execution: UpstreamExecution | None = None
    functions: Functions = field(default_factory=dict)
    zone: tzinfo = UTC
    country: str | None = None

    def render(self, text: str) -> str:
        """The text of a template. Raises ExpressionError."""
        return compile_template(text).render(Scope(self.variables, self.functions)) if "{" in text else text

    def date(self, template: str) -> datetime:
        """The rendered date, in the zone it carries: a schedule's Monday is Monday in its own time zone."""
        return read_date(self.render(template), self.zone)

    def upstream(self, who: str) -> UpstreamExecution:
        """The execution. Raises ConditionFailed where there is none: the condition belongs to a Flow trigger."""
        if self.execution is None:
            raise ConditionFailed(f"`{who}` looks at an execution; it works in Flow triggers only")
        return self.execution

    def with_variables(self, **roots: Any) -> ConditionContext:
        """The same moment with other roots."""
        return replace(self, variables={**self.variables, **roots})


def read_date(text: str, zone: tzinfo) -> datetime:
    """An ISO date or date-time; without an offset it is taken in `zone`. Raises ExpressionError."""
    body, bracket, region = text.strip().partition("[")
    try:
        at = datetime.fromisoformat(body)
        if bracket and not region.endswith("]"):
            raise ValueError("a bracket is not closed")
    except ValueError:
        raise ExpressionError(
            f"expected a date such as 2024-01-31T10:00:00Z, found `{text[:60]}`", code="expression.date"
        ) from None
    if bracket:
        named = java_time.zone(region[:-1])
        return at.astimezone(named) if at.tzinfo is not None else at.replace(tzinfo=named)
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


def read_time(text: str) -> time:
    """A time of day, with or without an offset: `09:00`, `09:00:00+01:00`, `09:00Z`. Raises ValueError with what was found."""
    try:
        return time.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"expected a time such as 09:00:00+01:00, found `{text[:40]}`") from None
