"""The template language of flows: Pebble's syntax and semantics, evaluated within a budget, without I/O.

template = compile_template("{{ outputs.count.value + 1 }}")
template.names.outputs                      # frozenset({"count"})
template.render(Scope({"outputs": {"count": {"value": 41}}}))    # "42"
"""

from __future__ import annotations

from flows.expressions import calendar as calendar
from flows.expressions import filters as filters
from flows.expressions import functions as functions
from flows.expressions import tests as tests
from flows.expressions.attributes import Undefined
from flows.expressions.budget import Budget
from flows.expressions.names import Names
from flows.expressions.scope import Scope
from flows.expressions.template import (
    Template,
    compile_template,
    evaluate_value,
    names_in,
    render_value,
    truthy,
)

__all__ = [
    "Budget",
    "Names",
    "Scope",
    "Template",
    "Undefined",
    "compile_template",
    "evaluate_value",
    "names_in",
    "render_value",
    "truthy",
]
