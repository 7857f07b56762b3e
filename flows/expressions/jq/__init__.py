"""The jq language for the filter `jq`: jq 1.6 with the later additions that change no older program, within the budget.

Own parser and evaluator, because a program of the C library cannot be interrupted: `[range(1e9)]`, `repeat(.)`,
`def f: f; f` end here as `expression.too_many_steps`, `…too_large` or `…too_deep`. Differences from jq, all for the same
reason: no clock (`now`), no environment (`$ENV` is empty), no files and modules, no further inputs; regular expressions
have no look-around and no back-references (see `linear_regex`); times are in UTC.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.budget import Budget
from flows.expressions.jq.compiler import Compiler, JqName
from flows.expressions.jq.lexer import JqSyntax
from flows.expressions.jq.parser import parse
from flows.expressions.jq.prelude import known
from flows.expressions.jq.runtime import Break, Environment, Filter
from flows.expressions.jq.texts import styled
from flows.expressions.jq.values import JqError


@lru_cache(maxsize=256)
def _compiled(program: str) -> Filter:
    try:
        return Compiler(styled).compile(parse(program), known())
    except JqSyntax as error:
        raise ExpressionError(f"`jq` cannot read `{program[:80]}`: {error}", code="expression.jq") from None
    except JqName as error:
        raise ExpressionError(f"`jq`: {error} in `{program[:80]}`", code="expression.jq") from None
    except RecursionError:
        raise ExpressionError("`jq`: the program nests too deep", code="expression.too_deep") from None


def check(program: str) -> None:
    """Raises ExpressionError (`expression.jq`) when the program cannot be read or names what is not there."""
    _compiled(program)


def run(program: str, value: Any, budget: Budget) -> list[Any]:
    """All results of a program on a value of plain JSON data.

    Raises ExpressionError: `expression.jq` for faults of the program and its own errors, `expression.too_…` for the budget.
    """
    body = _compiled(program)
    results: list[Any] = []
    try:
        for one, _ in body(Environment(None, "", None, budget, 0), value, None):
            budget.elements(1)
            results.append(one)
    except JqError as error:
        message = error.value if isinstance(error.value, str) else "the program ended with an error that is no text"
        raise ExpressionError(f"`jq`: {message[:300]}", code="expression.jq") from None
    except Break:
        raise ExpressionError("`jq`: break outside its label", code="expression.jq") from None
    except RecursionError:
        raise ExpressionError("`jq`: the program or its data nest too deep", code="expression.too_deep") from None
    return results
