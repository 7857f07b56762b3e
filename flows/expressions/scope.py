"""What a template is rendered in: variables, the functions of the caller, and what it may spend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flows.expressions.budget import Budget

if TYPE_CHECKING:
    from flows.expressions.template import Template


class Scope:
    """The context of a rendering.

    `variables`: the roots (`flow`, `inputs`, `outputs`, …), plain data.
    `functions`: what needs I/O, a clock or randomness (`secret`, `kv`, `read`, `now`, …). They are called with the
    evaluated arguments, named ones as keywords in the template's spelling, and raise ExpressionError for what a user
    can mend. Names of the core register cannot be replaced.
    `budget`: shared by all renderings in this scope; without it every rendering has a fresh one.
    """

    __slots__ = ("budget", "functions", "variables")

    def __init__(
        self,
        variables: Mapping[str, Any],
        functions: Mapping[str, Callable[..., Any]] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.variables = variables
        self.functions: Mapping[str, Callable[..., Any]] = functions if functions is not None else {}
        self.budget = budget


class Frame:
    """One running template: the scope, the names it has set itself, and the budget. Internal; never outlives a rendering."""

    __slots__ = ("budget", "captured", "functions", "guarded", "locals", "template", "variables")

    def __init__(
        self,
        variables: Mapping[str, Any],
        functions: Mapping[str, Callable[..., Any]],
        budget: Budget,
        template: Template,
    ) -> None:
        self.variables = variables
        self.functions = functions
        self.budget = budget
        self.template = template
        self.locals: list[dict[str, Any]] = [{}]
        self.captured: list[str] = []
        """Texts of the `{% filter %}` blocks under way, innermost last."""
        self.guarded = False
        """Whether a raw block was met, so that protected braces must be put back at the end."""

    def assign(self, name: str, value: Any) -> None:
        """`{% set %}`: the nearest scope that has the name, else the innermost one."""
        for names in reversed(self.locals):
            if name in names:
                names[name] = value
                return
        if name in self.variables:
            self.locals[0][name] = value
        else:
            self.locals[-1][name] = value

    def visible(self) -> Mapping[str, Any]:
        """All names a nested rendering sees: the roots and, over them, what this template has set."""
        if len(self.locals) == 1 and not self.locals[0]:
            return self.variables
        merged = dict(self.variables)
        for names in self.locals:
            merged.update(names)
        return merged
