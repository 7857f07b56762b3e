"""jq's functions on numbers: the C library's, with infinity and not-a-number where C gives them instead of an error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from flows.expressions.budget import Budget
from flows.expressions.jq import values
from flows.expressions.jq.values import JqError


def _number(value: Any) -> Any:
    if values.kind(value) != "number":
        raise JqError(f"{values.kind(value)} number required")
    return value


def _safe(call: Callable[..., Any]) -> Callable[..., Any]:
    """The function on the value, or on its arguments when it has some."""

    def run(budget: Budget, value: Any, *given: Any) -> Any:
        operands = [_number(one) for one in (given or (value,))]
        try:
            result = call(*operands)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan
        return result if isinstance(result, (bool, list)) else values.number(result)

    return run


def _rounded(how: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: how(value) if math.isfinite(value) else value


def _logarithm(base: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: -math.inf if value == 0 else base(value)


_SMALLEST_NORMAL = 2.2250738585072014e-308

_ONE: dict[str, Callable[[Any], Any]] = {
    **{name: getattr(math, name) for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")},
    **{name: getattr(math, name) for name in ("asinh", "acosh", "atanh", "exp", "expm1", "sqrt", "lgamma")},
    "floor": _rounded(math.floor),
    "ceil": _rounded(math.ceil),
    "round": _rounded(lambda value: math.copysign(math.floor(abs(value) + 0.5), value)),
    "trunc": _rounded(math.trunc),
    "rint": _rounded(round),
    "nearbyint": _rounded(round),
    "cbrt": lambda value: math.copysign(abs(value) ** (1 / 3), value),
    "fabs": abs,
    "abs": abs,
    "log": _logarithm(math.log),
    "log2": _logarithm(math.log2),
    "log10": _logarithm(math.log10),
    "log1p": lambda value: -math.inf if value == -1 else math.log1p(value),
    "exp2": lambda value: math.pow(2, value),
    "exp10": lambda value: math.pow(10, value),
    "gamma": math.lgamma,
    "tgamma": math.gamma,
    "significand": lambda value: math.frexp(value)[0] * 2,
    "logb": lambda value: -math.inf if value == 0 else math.frexp(value)[1] - 1,
    "frexp": lambda value: list(math.frexp(value)),
    "modf": lambda value: [values.number(part) for part in math.modf(value)],
    "isinfinite": math.isinf,
    "isnan": math.isnan,
    "isnormal": lambda value: math.isfinite(value) and abs(value) >= _SMALLEST_NORMAL,
}

_TWO: dict[str, Callable[[Any, Any], Any]] = {
    "pow": math.pow,
    "atan2": math.atan2,
    "fmod": math.fmod,
    "fmin": min,
    "fmax": max,
    "hypot": math.hypot,
    "copysign": math.copysign,
    "ldexp": lambda value, power: math.ldexp(value, values.whole(power)),
}

FUNCTIONS: tuple[tuple[str, Callable[..., Any], int], ...] = (
    *((name, _safe(call), 0) for name, call in _ONE.items()),
    *((name, _safe(call), 2) for name, call in _TWO.items()),
    ("fma", _safe(lambda one, two, three: one * two + three), 3),
)
"""Name, function `(budget, value, *arguments)`, number of arguments."""
