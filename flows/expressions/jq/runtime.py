"""What a running jq program is made of: environments, closures, and the walks that give values together with their paths.

A filter is a function `(environment, value, path)` that gives its results one by one, so that `first(f)` does no more work
than needed. `path` is where the value came from while paths are wanted (`path(f)`, `f |= g`, `del(f)`), else None;
`NO_PATH` marks values that were computed and have no place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.budget import Budget
from flows.expressions.jq import values
from flows.expressions.jq.values import JqError, Path

CALLS_MAX = 120
"""Nesting of a program's own functions while it runs."""

NO_PATH: Path = ("no path",)

Result = tuple[Any, Path | None]
Results = Iterator[Result]
Filter = Callable[["Environment", Any, Path | None], Results]


class Break(Exception):
    """`break $name` on its way to its label."""

    def __init__(self, label: object) -> None:
        super().__init__("break")
        self.label = label


@dataclass(slots=True)
class Function:
    """A function as it is known where it is used. Parameters without `$` are filters of the caller."""

    parameters: tuple[str, ...]
    body: Filter
    environment: Environment


@dataclass(slots=True)
class Closure:
    """An argument: a filter and the environment it was written in."""

    body: Filter
    environment: Environment


@dataclass(frozen=True, slots=True)
class Native:
    """A function written in Python: gets the environment, the value, the path and its arguments as closures."""

    run: Callable[..., Results]


class Environment:
    """One binding and those around it. `calls` counts the functions under way."""

    __slots__ = ("around", "budget", "calls", "key", "value")

    def __init__(self, around: Environment | None, key: str, value: Any, budget: Budget, calls: int) -> None:
        self.around = around
        self.key = key
        self.value = value
        self.budget = budget
        self.calls = calls

    def bound(self, key: str, value: Any) -> Environment:
        """The environment with one more binding."""
        return Environment(self, key, value, self.budget, self.calls)

    def find(self, key: str) -> Any:
        """The nearest binding. Names were checked when the program was compiled."""
        at: Environment | None = self
        while at is not None:
            if at.key == key:
                return at.value
            at = at.around
        raise KeyError(key)


def keep(path: Path | None) -> Path | None:
    """The path of a computed value."""
    return None if path is None else NO_PATH


def extend(path: Path | None, key: Any, value: Any) -> Path | None:
    """The path of a part of `value`, whose own path is `path`. Raises JqError when that one has no place."""
    if path is None:
        return None
    if path is NO_PATH:
        raise JqError(f"Invalid path expression with result {values.kind(value)}")
    return (*path, key)


# Walking -----------------------------------------------------------------------------------------------------------


def each(environment: Environment, value: Any, path: Path | None) -> Results:
    """The elements of an array, the values of an object. Raises JqError."""
    budget = environment.budget
    if isinstance(value, list):
        for index, item in enumerate(value):
            budget.spend(1)
            yield item, extend(path, index, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            budget.spend(1)
            yield item, extend(path, key, value)
    else:
        raise JqError(f"Cannot iterate over {values.shown(value, budget) if value is not None else 'null'}")


def descend(environment: Environment, value: Any, path: Path | None) -> Results:
    """The value and everything below it, a parent before its children; without recursion, however deep it is."""
    stack: list[Results] = [iter([(value, path)])]
    while stack:
        result = next(stack[-1], None)
        if result is None:
            stack.pop()
            continue
        yield result
        if isinstance(result[0], (list, dict)):
            environment.budget.spend(1)
            stack.append(each(environment, *result))


def operation(symbol: str, left: Any, right: Any, budget: Budget) -> Any:
    """Arithmetic and comparison."""
    if symbol in ("+", "-", "*", "/", "%"):
        return values.arithmetic(symbol, left, right, budget)
    found = values.compare(left, right, budget)
    if symbol == "==":
        return found == 0
    if symbol == "!=":
        return found != 0
    if symbol == "<":
        return found < 0
    if symbol == "<=":
        return found <= 0
    return found > 0 if symbol == ">" else found >= 0


# Paths -------------------------------------------------------------------------------------------------------------


def paths_of(environment: Environment, value: Any, body: Filter) -> Iterator[Path]:
    """The places inside `value` that a filter gives. Raises JqError for what has none."""
    for one, path in body(environment, value, ()):
        if path is None or path is NO_PATH:
            raise JqError(f"Invalid path expression with result {values.shown(one, environment.budget)}")
        environment.budget.elements(len(path))
        yield path


def updated(environment: Environment, value: Any, target: Filter, change: Filter) -> Any:
    """`target |= change`: each place with the first result of `change`; places without one are removed at the end."""
    budget = environment.budget
    gone: list[Any] = []
    for place in list(paths_of(environment, value, target)):
        new = next(change(environment, values.get_path(value, place, budget), None), None)
        if new is None:
            gone.append(list(place))
        else:
            value = values.put_path(value, place, new[0], budget)
    return values.remove_paths(value, gone, budget) if gone else value


# Functions ---------------------------------------------------------------------------------------------------------


def define(environment: Environment, name: str, parameters: tuple[str, ...], body: Filter) -> Environment:
    """The environment with a function that knows itself."""
    inner = environment.bound(name, None)
    inner.value = Function(parameters, body, inner)
    return inner


def called(function: Function, arguments: list[Closure], caller: Environment, value: Any, path: Path | None) -> Results:
    """Calls a function; a parameter with `$` takes each value of its argument in turn."""
    calls = caller.calls + 1
    if calls > CALLS_MAX:
        raise ExpressionError(f"`jq`: functions call each other more than {CALLS_MAX} deep", code="expression.too_deep")
    start = Environment(function.environment, "", None, caller.budget, calls)
    return _with_arguments(function, arguments, start, value, path, 0)


def _with_arguments(
    function: Function, arguments: list[Closure], inner: Environment, value: Any, path: Path | None, index: int
) -> Results:
    while index < len(arguments):
        name, argument = function.parameters[index], arguments[index]
        index += 1
        if not name.startswith("$"):
            inner = inner.bound(f"{name}/0", argument)
            continue
        for one, _ in argument.body(argument.environment, value, None):
            bound = inner.bound(name, one).bound(f"{name[1:]}/0", _fixed(one, inner))
            yield from _with_arguments(function, arguments, bound, value, path, index)
        return
    yield from function.body(inner, value, path)


def _fixed(constant: Any, environment: Environment) -> Closure:
    def run(environment: Environment, value: Any, path: Path | None) -> Results:
        yield constant, keep(path)

    return Closure(run, environment)
