"""jq's functions that are written in Python: what must be fast, iterative, or know about paths. The rest is in `prelude`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from flows.expressions.budget import Budget
from flows.expressions.jq import mathematics, texts, times, values
from flows.expressions.jq.runtime import (
    NO_PATH,
    Closure,
    Environment,
    Native,
    Result,
    Results,
    descend,
    extend,
    keep,
    paths_of,
)
from flows.expressions.jq.values import JqError, Path
from flows.expressions.serial import parse_json

NATIVES: dict[str, Native] = {}


def _plain(name: str, call: Callable[..., Any], arguments: int = 0) -> None:
    """Registers `call(budget, value, *arguments)`: every combination of the arguments' values, the last one outermost."""

    def run(environment: Environment, value: Any, path: Path | None, *closures: Closure) -> Results:
        def combine(index: int, chosen: tuple[Any, ...]) -> Iterator[Any]:
            if index < 0:
                yield call(environment.budget, value, *chosen)
                return
            for one, _ in _run(closures[index], value):
                yield from combine(index - 1, (one, *chosen))

        for result in combine(len(closures) - 1, ()):
            yield result, keep(path)

    NATIVES[f"{name}/{arguments}"] = Native(run)


def _of(name: str, call: Callable[[Any], Any]) -> None:
    """Registers a function of the value alone."""
    _plain(name, lambda _, value: call(value))


def _native(name: str) -> Callable[[Callable[..., Results]], Callable[..., Results]]:
    def register(run: Callable[..., Results]) -> Callable[..., Results]:
        NATIVES[name] = Native(run)
        return run

    return register


def _run(closure: Closure, value: Any, path: Path | None = None) -> Results:
    return closure.body(closure.environment, value, path)


# Streams -----------------------------------------------------------------------------------------------------------


@_native("empty/0")
def _empty(environment: Environment, value: Any, path: Path | None) -> Results:
    return iter(())


def _raised(value: Any) -> Results:
    raise JqError(value)


@_native("error/0")
def _error(environment: Environment, value: Any, path: Path | None) -> Results:
    yield from _raised(value)


@_native("error/1")
def _error_with(environment: Environment, value: Any, path: Path | None, message: Closure) -> Results:
    for one, _ in _run(message, value):
        yield from _raised(one)


@_native("select/1")
def _select(environment: Environment, value: Any, path: Path | None, condition: Closure) -> Results:
    for one, _ in _run(condition, value):
        if values.truth(one):
            yield value, path


@_native("recurse/0")
def _recurse_all(environment: Environment, value: Any, path: Path | None) -> Results:
    return descend(environment, value, path)


@_native("recurse/1")
def _recurse(environment: Environment, value: Any, path: Path | None, step: Closure) -> Results:
    stack: list[Results] = [iter([(value, path)])]
    while stack:
        environment.budget.spend(1)
        result = next(stack[-1], None)
        if result is None:
            stack.pop()
            continue
        yield result
        environment.budget.elements(8)
        stack.append(_run(step, *result))


@_native("while/2")
def _while(environment: Environment, value: Any, path: Path | None, condition: Closure, step: Closure) -> Results:
    stack: list[Results] = [iter([(value, path)])]
    while stack:
        environment.budget.spend(1)
        result = next(stack[-1], None)
        if result is None:
            stack.pop()
            continue
        if any(values.truth(one) for one, _ in _run(condition, result[0])):
            yield result
            environment.budget.elements(8)
            stack.append(_run(step, *result))


@_native("repeat/1")
def _repeat(environment: Environment, value: Any, path: Path | None, step: Closure) -> Results:
    return _recurse(environment, value, path, step)


@_native("until/2")
def _until(environment: Environment, value: Any, path: Path | None, condition: Closure, step: Closure) -> Results:
    stack: list[Results] = [iter([(value, path)])]
    while stack:
        environment.budget.spend(1)
        result = next(stack[-1], None)
        if result is None:
            stack.pop()
            continue
        if any(values.truth(one) for one, _ in _run(condition, result[0])):
            yield result
        else:
            environment.budget.elements(8)
            stack.append(_run(step, *result))


@_native("limit/2")
def _limit(environment: Environment, value: Any, path: Path | None, count: Closure, body: Closure) -> Results:
    for wanted, _ in _run(count, value):
        if values.kind(wanted) != "number":
            raise JqError("limit expects a number")
        left = values.whole(wanted)
        if left <= 0:
            continue
        for result in _run(body, value, path):
            yield result
            left -= 1
            if left == 0:
                break


@_native("skip/2")
def _skip(environment: Environment, value: Any, path: Path | None, count: Closure, body: Closure) -> Results:
    for wanted, _ in _run(count, value):
        left = values.whole(wanted) if values.kind(wanted) == "number" else 0
        for result in _run(body, value, path):
            if left > 0:
                left -= 1
            else:
                yield result


@_native("first/1")
def _first(environment: Environment, value: Any, path: Path | None, body: Closure) -> Results:
    for result in _run(body, value, path):
        yield result
        return


@_native("last/1")
def _last(environment: Environment, value: Any, path: Path | None, body: Closure) -> Results:
    result: Result | None = None
    for result in _run(body, value, path):  # noqa: B007 - the last one counts
        pass
    if result is not None:
        yield result


@_native("isempty/1")
def _is_empty(environment: Environment, value: Any, path: Path | None, body: Closure) -> Results:
    yield next(_run(body, value), None) is None, keep(path)


def _numbers(*found: Any) -> None:
    if any(values.kind(one) != "number" for one in found):
        raise JqError("Range bounds must be numeric")


def _range(environment: Environment, path: Path | None, start: Any, end: Any, step: Any) -> Results:
    _numbers(start, end, step)
    if step == 0 and start < end:
        while True:
            environment.budget.spend(1)
            yield start, keep(path)
    while start < end if step > 0 else (start > end if step < 0 else False):
        environment.budget.spend(1)
        yield values.number(start), keep(path)
        start += step


@_native("range/1")
def _range_to(environment: Environment, value: Any, path: Path | None, end: Closure) -> Results:
    for last, _ in _run(end, value):
        yield from _range(environment, path, 0, last, 1)


@_native("range/2")
def _range_from(environment: Environment, value: Any, path: Path | None, start: Closure, end: Closure) -> Results:
    for first, _ in _run(start, value):
        for last, _ in _run(end, value):
            yield from _range(environment, path, first, last, 1)


@_native("range/3")
def _range_by(environment: Environment, value: Any, path: Path | None, start: Closure, end: Closure, step: Closure) -> Results:
    for first, _ in _run(start, value):
        for last, _ in _run(end, value):
            for width, _ in _run(step, value):
                yield from _range(environment, path, first, last, width)


# Paths -------------------------------------------------------------------------------------------------------------


@_native("path/1")
def _path(environment: Environment, value: Any, path: Path | None, body: Closure) -> Results:
    for place in paths_of(body.environment, value, body.body):
        yield list(place), keep(path)


@_native("getpath/1")
def _get_path(environment: Environment, value: Any, path: Path | None, place: Closure) -> Results:
    for one, _ in _run(place, value):
        if not isinstance(one, list):
            raise JqError("Path must be specified as an array")
        if path is NO_PATH and one:
            extend(path, one[0], value)
        environment.budget.elements(len(one))
        yield values.get_path(value, tuple(one), environment.budget), None if path is None else (*path, *one)


def _array_path(path: Any) -> Path:
    if not isinstance(path, list):
        raise JqError("Path must be specified as an array")
    return tuple(path)


_plain("setpath", lambda budget, value, path, new: values.put_path(value, _array_path(path), new, budget), 2)
_plain("delpaths", lambda budget, value, paths: values.remove_paths(value, _list(paths, "Paths"), budget), 1)


@_native("del/1")
def _delete(environment: Environment, value: Any, path: Path | None, body: Closure) -> Results:
    places = [list(place) for place in paths_of(body.environment, value, body.body)]
    yield values.remove_paths(value, places, environment.budget), keep(path)


@_native("pick/1")
def _pick(environment: Environment, value: Any, path: Path | None, body: Closure) -> Results:
    result = None
    for place in paths_of(body.environment, value, body.body):
        found = values.get_path(value, place, environment.budget)
        result = values.put_path(result, place, found, environment.budget)
    yield result, keep(path)


# Values ------------------------------------------------------------------------------------------------------------


def _list(value: Any, what: str = "Input") -> list[Any]:
    if not isinstance(value, list):
        raise JqError(f"{what} must be an array, found {values.kind(value)}")
    return value


def _items(value: Any) -> list[Any]:
    return _list(list(value.values()) if isinstance(value, dict) else value)


def _keys(budget: Budget, value: Any) -> list[Any]:
    if isinstance(value, dict):
        budget.elements(len(value))
        return sorted(value)
    if isinstance(value, list):
        budget.elements(len(value))
        return list(range(len(value)))
    raise JqError(f"{values.shown(value, budget)} has no keys")


def _keys_unsorted(budget: Budget, value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else _keys(budget, value)


def _has(budget: Budget, value: Any, key: Any) -> bool:
    if isinstance(value, dict) and isinstance(key, str):
        return key in value
    if isinstance(value, list) and values.kind(key) == "number":
        return bool(0 <= key < len(value))
    raise JqError(f"Cannot check whether {values.kind(value)} has a {values.kind(key)} key")


def _add(budget: Budget, value: Any) -> Any:
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise JqError(f"Cannot iterate over {values.shown(value, budget)}")
    if items and all(isinstance(one, str) for one in items):
        budget.produce(sum(map(len, items)))
        return "".join(items)
    if items and all(isinstance(one, list) for one in items):
        budget.elements(sum(map(len, items)))
        return [inner for one in items for inner in one]
    result = None
    for one in items:
        budget.spend(1)
        result = values.arithmetic("+", result, one, budget)
    return result


def _join(budget: Budget, value: Any, separator: Any) -> Any:
    pieces: list[str] = []
    for one in _list(value, "Input of join"):
        if isinstance(one, (list, dict)):
            raise JqError(f"Cannot join with {values.kind(one)}")
        pieces.append("" if one is None else one if isinstance(one, str) else values.dump(one, budget))
    if not isinstance(separator, str):
        raise JqError(f"join expects a string, found {values.kind(separator)}")
    budget.produce(sum(map(len, pieces)) + len(separator) * len(pieces))
    return separator.join(pieces)


def _flatten(budget: Budget, value: Any, depth: Any) -> list[Any]:
    if values.kind(depth) != "number" or depth < 0:
        raise JqError("flatten depth must not be negative")
    flat: list[Any] = []
    for one in _items(value):
        budget.spend(1)
        inner = _flatten(budget, one, depth - 1) if isinstance(one, list) and depth > 0 else [one]
        budget.elements(len(inner))
        flat.extend(inner)
    return flat


def _to_number(budget: Budget, value: Any) -> Any:
    if values.kind(value) == "number":
        return value
    if isinstance(value, str) and len(value) <= 400:
        text = value.strip()
        try:
            if text and all(character in "0123456789+-.eE" for character in text):
                return int(text) if text.lstrip("+-").isdigit() and len(text) < 17 else values.number(float(text))
        except ValueError:
            pass
    raise JqError(f"{values.shown(value, budget)} cannot be parsed as a number")


def _to_string(budget: Budget, value: Any) -> str:
    return value if isinstance(value, str) else values.dump(value, budget)


def _from_json(budget: Budget, value: Any) -> Any:
    from flows.errors import ExpressionError

    if not isinstance(value, str):
        raise JqError(f"{values.shown(value, budget)} only strings can be parsed")
    try:
        return parse_json(value, budget)
    except ExpressionError as error:
        if error.code != "expression.invalid_json":
            raise
        raise JqError(str(error)) from None


def _from_entries(budget: Budget, value: Any) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for one in _items(value):
        if not isinstance(one, dict):
            raise JqError(f"Cannot index {values.kind(one)} with string")
        budget.elements(2)
        key = next((one[name] for name in ("key", "k", "name", "Name", "K", "Key") if one.get(name) not in (None, False)), None)
        if key is None:
            key = next((one[name] for name in ("key", "k", "name", "Name", "K", "Key") if name in one), None)
        item = next((one[name] for name in ("value", "v", "Value", "V") if name in one), None)
        if isinstance(key, (list, dict)):
            raise JqError(f"Cannot use {values.shown(key, budget)} as object key")
        built[key if isinstance(key, str) else values.dump(key, budget)] = item
    return built


def _grouped(budget: Budget, value: Any, keys: list[Any]) -> list[tuple[Any, list[Any]]]:
    pairs = [[key, item] for key, item in zip(keys, _list(value), strict=True)]
    groups: list[tuple[Any, list[Any]]] = []
    for key, item in values.ordered(pairs, budget, [key for key, _ in pairs]):
        if groups and values.compare(groups[-1][0], key, budget) == 0:
            groups[-1][1].append(item)
        else:
            groups.append((key, [item]))
    return groups


def _by(name: str, choose: Callable[[Budget, Any, list[Any]], Any]) -> None:
    """Registers `name_by(f)` and, with the elements as their own keys, `name`."""

    def run(environment: Environment, value: Any, path: Path | None, body: Closure) -> Results:
        keys = []
        for one in _list(value):
            key = [found for found, _ in _run(body, one)]
            environment.budget.elements(len(key) + 1)
            keys.append(key)
        yield choose(environment.budget, value, keys), keep(path)

    NATIVES[f"{name}_by/1"] = Native(run)


def _extreme(sign: int) -> Callable[[Budget, Any, list[Any]], Any]:
    def choose(budget: Budget, value: Any, keys: list[Any]) -> Any:
        best: int | None = None
        for index, key in enumerate(keys):
            found = 1 if best is None else sign * values.compare(key, keys[best], budget)
            if found > 0 or (found == 0 and sign > 0):
                best = index
        return None if best is None else value[best]

    return choose


_by("sort", lambda budget, value, keys: values.ordered(value, budget, keys))
_by("group", lambda budget, value, keys: [items for _, items in _grouped(budget, value, keys)])
_by("unique", lambda budget, value, keys: [items[0] for _, items in _grouped(budget, value, keys)])
_by("min", _extreme(-1))
_by("max", _extreme(1))


def _search(budget: Budget, value: Any, wanted: Any) -> int:
    items, low = _list(value), 0
    high = len(items)
    while low < high:
        middle = (low + high) // 2
        found = values.compare(items[middle], wanted, budget)
        if found == 0:
            return middle
        low, high = (middle + 1, high) if found < 0 else (low, middle)
    return -1 - low


def _transposed(budget: Budget, value: Any) -> list[Any]:
    rows = [_list(row) for row in _list(value)]
    width = max(map(len, rows), default=0)
    budget.elements(width * len(rows))
    return [[row[index] if index < len(row) else None for row in rows] for index in range(width)]


def _to_stream(budget: Budget, value: Any) -> list[Any]:
    found: list[Any] = []

    def walk(value: Any, path: list[Any], top: bool) -> None:
        budget.elements(len(path) + 2)
        if not isinstance(value, (list, dict)) or not value:
            found.append([path, value])
        else:
            last: Any = None
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                last = key
                walk(item, [*path, key], False)
            found.append([[*path, last]])

    walk(value, [], True)
    return found


_of("not", lambda value: not values.truth(value))
_of("length", values.length)
_of("utf8bytelength", lambda value: len(texts.text(value, "utf8bytelength").encode("utf-8", "replace")))
_plain("keys", _keys)
_plain("keys_unsorted", _keys_unsorted)
_plain("has", _has, 1)
_plain("contains", lambda budget, value, part: values.contains(value, part, budget), 1)
_plain("inside", lambda budget, value, part: values.contains(part, value, budget), 1)
_of("type", values.kind)
_plain("add", _add)
_plain("join", _join, 1)
_plain("flatten", lambda budget, value: _flatten(budget, value, 1000))
_plain("flatten", _flatten, 1)
_plain("tonumber", _to_number)
_plain("tostring", _to_string)
_plain("tojson", lambda budget, value: values.dump(value, budget))
_plain("fromjson", _from_json)
_plain("from_entries", _from_entries)
_plain("sort", lambda budget, value: values.ordered(_list(value), budget))
_plain("unique", lambda budget, value: [items[0] for _, items in _grouped(budget, value, _list(value))])
_plain("min", lambda budget, value: _extreme(-1)(budget, value, _list(value)))
_plain("max", lambda budget, value: _extreme(1)(budget, value, _list(value)))
_plain("reverse", lambda budget, value: value[::-1] if isinstance(value, str) else _reversed(budget, value))
_plain("bsearch", _search, 1)
_plain("transpose", _transposed)
_plain("_indices", lambda budget, value, part: values.indices(value, part, budget), 1)
_plain("_stream", _to_stream)
_of("toarray", lambda value: value if isinstance(value, list) else [value])
_of("infinite", lambda _: math.inf)
_of("nan", lambda _: math.nan)


def _reversed(budget: Budget, value: Any) -> list[Any]:
    items = [] if value is None else _list(value)
    budget.elements(len(items))
    return items[::-1]


for _name, _call, _count in (*texts.FUNCTIONS, *times.FUNCTIONS, *mathematics.FUNCTIONS):
    _plain(_name, _call, _count)
