"""The registers of built-in filters, functions and tests, and how their arguments are bound.

A built-in is a Python function `(frame, value, …)` (functions: `(frame, …)`) registered under its Pebble name:

    @filter_("dateAdd", "amount unit format timeZone")
    def date_add(frame, value, amount, unit, format="iso", time_zone=None): ...

The second text names the arguments as templates write them, in order; `regex|pattern` is one argument with two spellings.
`frame.budget` must be charged before anything is allocated whose size a template decides.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Builtin:
    """One entry. `parameters`: argument names by Pebble's spelling; `required`: how many of them must be given."""

    name: str
    call: Callable[..., Any]
    parameters: tuple[str, ...]
    python_names: tuple[str, ...]
    required: int
    variadic: bool = False
    null_passes: bool = False
    """Filters only: null in, null out, without a call."""
    spellings: tuple[tuple[str, int], ...] = ()
    """Other spellings of arguments, with the place of the argument."""

    def place(self, argument: str) -> int | None:
        """The place of a named argument, None when there is none of that name."""
        if argument in self.parameters:
            return self.parameters.index(argument)
        return dict(self.spellings).get(argument)


FILTERS: dict[str, Builtin] = {}
FUNCTIONS: dict[str, Builtin] = {}
TESTS: dict[str, Builtin] = {}


def _builtin(name: str, call: Callable[..., Any], parameters: str, skip: int, null_passes: bool) -> Builtin:
    signature = list(inspect.signature(call).parameters.values())[skip:]
    variadic = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in signature)
    named = [one for one in signature if one.kind is not inspect.Parameter.VAR_POSITIONAL]
    spelled = [one.split("|") for one in parameters.split()]
    names = tuple(one[0] for one in spelled)
    others = tuple((other, index) for index, one in enumerate(spelled) for other in one[1:])
    if len(names) != len(named):
        raise ValueError(f"{name}: {len(names)} argument names for {len(named)} parameters")
    required = sum(one.default is inspect.Parameter.empty for one in named)
    return Builtin(name, call, names, tuple(one.name for one in named), required, variadic, null_passes, others)


def filter_(names: str, parameters: str = "", *, null_passes: bool = True) -> Callable[[F], F]:
    """Registers a filter under one or several names, separated by blanks."""

    def register(call: F) -> F:
        for name in names.split():
            FILTERS[name] = _builtin(name, call, parameters, 2, null_passes)
        return call

    return register


def function(names: str, parameters: str = "") -> Callable[[F], F]:
    """Registers a function under one or several names."""

    def register(call: F) -> F:
        for name in names.split():
            FUNCTIONS[name] = _builtin(name, call, parameters, 1, False)
        return call

    return register


def test(names: str) -> Callable[[F], F]:
    """Registers a test (`is …`) under one or several names."""

    def register(call: F) -> F:
        for name in names.split():
            TESTS[name] = _builtin(name, call, "", 2, False)
        return call

    return register
