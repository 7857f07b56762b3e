"""Macros of a template: their own little world with nothing but their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.output import Emit, Evaluate, capture
from flows.expressions.scope import Frame


class Macro:
    """A macro of the template: its own little world with nothing but its arguments."""

    __slots__ = ("body", "cost", "defaults", "name", "parameters")

    def __init__(self, name: str, parameters: Sequence[str]) -> None:
        self.name = name
        self.parameters = tuple(parameters)
        self.defaults: dict[str, Evaluate] = {}
        self.body: tuple[Emit, ...] = ()
        self.cost = 1


def call_macro(macro: Macro, frame: Frame, values: list[Any], keywords: dict[str, Any]) -> str:
    if len(values) > len(macro.parameters):
        raise ExpressionError(
            f"Macro `{macro.name}` takes at most {len(macro.parameters)} arguments, found {len(values)}",
            code="expression.arguments",
        )
    arguments = dict(zip(macro.parameters, values, strict=False))
    for key, value in keywords.items():
        if key not in macro.parameters:
            raise ExpressionError(f"Macro `{macro.name}` has no argument `{key}`", code="expression.arguments")
        arguments[key] = value
    budget = frame.budget
    budget.spend(macro.cost)
    budget.enter()
    for parameter, default in macro.defaults.items():
        if parameter not in arguments:
            arguments[parameter] = default(frame)
    inner = Frame({}, frame.functions, budget, frame.template)
    inner.locals = [arguments]
    try:
        text = capture(macro.body, inner)
    finally:
        budget.leave()
    frame.guarded = frame.guarded or inner.guarded
    return text
