"""jq trees → filters: every kind of node as a generator over what it is made of. Each step is charged to the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flows.expressions.budget import Budget
from flows.expressions.jq import syntax as s
from flows.expressions.jq import values
from flows.expressions.jq.runtime import (
    Break,
    Closure,
    Environment,
    Filter,
    Native,
    Result,
    Results,
    called,
    define,
    descend,
    each,
    extend,
    keep,
    operation,
    paths_of,
    updated,
)
from flows.expressions.jq.values import JqError, Path


@dataclass(slots=True)
class Known:
    """What a program may name at some point, while it is compiled."""

    functions: dict[str, Native | None] = field(default_factory=dict)
    """Name/arity → its Python function, or None for one found in the environment."""
    variables: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()

    def with_functions(self, *names: str) -> Known:
        """With functions of the program's own."""
        return Known({**self.functions, **dict.fromkeys(names)}, self.variables, self.labels)

    def with_variables(self, *names: str) -> Known:
        """With more variables."""
        return Known(self.functions, self.variables | set(names), self.labels)

    def with_label(self, name: str) -> Known:
        """Inside a label."""
        return Known(self.functions, self.variables, self.labels | {name})


class JqName(Exception):
    """The program names a function, variable or label that is not there."""


class Compiler:
    """Turns trees into filters."""

    def __init__(self, styled: Callable[[str, Any, Budget], str]) -> None:
        self._styled = styled

    def compile(self, node: s.Node, known: Known) -> Filter:
        """The filter of a tree. Raises JqName."""
        method: Callable[[Any, Known], Filter] = getattr(self, "_" + type(node).__name__.lower())
        inner = method(node, known)

        def charged(environment: Environment, value: Any, path: Path | None) -> Results:
            environment.budget.spend(1)
            return inner(environment, value, path)

        return charged

    def _identity(self, node: s.Identity, known: Known) -> Filter:
        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            yield value, path

        return run

    def _descend(self, node: s.Descend, known: Known) -> Filter:
        return descend

    def _constant(self, node: s.Constant, known: Known) -> Filter:
        constant = node.value

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            yield constant, keep(path)

        return run

    def _text(self, node: s.Text, known: Known) -> Filter:
        style = node.style or "@text"
        pieces = [piece if isinstance(piece, str) else self.compile(piece, known) for piece in node.pieces]

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            def build(index: int, built: str) -> Iterator[str]:
                if index < 0:
                    yield built
                    return
                piece = pieces[index]
                for part in [piece] if isinstance(piece, str) else shown(piece):
                    environment.budget.produce(len(built) + len(part))
                    yield from build(index - 1, part + built)

            def shown(piece: Filter) -> Iterator[str]:
                for one, _ in piece(environment, value, None):
                    yield self._styled(style, one, environment.budget)

            for text in build(len(pieces) - 1, ""):
                yield text, keep(path)

        return run

    def _format(self, node: s.Format, known: Known) -> Filter:
        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            yield self._styled(node.style, value, environment.budget), keep(path)

        return run

    def _index(self, node: s.Index, known: Known) -> Filter:
        target = self.compile(node.target, known)
        if isinstance(node.key, s.Constant):
            constant = node.key.value

            def run_constant(environment: Environment, value: Any, path: Path | None) -> Results:
                for one, where in target(environment, value, path):
                    yield values.get(one, constant, environment.budget), extend(where, constant, one)

            return run_constant
        key = self.compile(node.key, known)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for one, where in target(environment, value, path):
                for name, _ in key(environment, value, None):
                    yield values.get(one, name, environment.budget), extend(where, name, one)

        return run

    def _slice(self, node: s.Slice, known: Known) -> Filter:
        target = self.compile(node.target, known)
        start = self.compile(node.start or s.Constant(None), known)
        end = self.compile(node.end or s.Constant(None), known)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for one, where in target(environment, value, path):
                for first, _ in start(environment, value, None):
                    for last, _ in end(environment, value, None):
                        key = {"start": first, "end": last}
                        yield values.get(one, key, environment.budget), extend(where, key, one)

        return run

    def _each(self, node: s.Each, known: Known) -> Filter:
        target = self.compile(node.target, known)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for one, where in target(environment, value, path):
                yield from each(environment, one, where)

        return run

    def _attempt(self, node: s.Attempt, known: Known) -> Filter:
        body = self.compile(node.body, known)
        handler = None if node.handler is None else self.compile(node.handler, known)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            results: Results | None = None
            while True:
                try:
                    results = results or body(environment, value, path)
                    result = next(results)
                except StopIteration:
                    return
                except JqError as error:
                    caught = error.value
                    break
                yield result
            if handler is not None:
                for one, _ in handler(environment, caught, None):
                    yield one, keep(path)

        return run

    def _variable(self, node: s.Variable, known: Known) -> Filter:
        if node.name == "ENV":
            return self._constant(s.Constant({}), known)
        if node.name not in known.variables:
            raise JqName(f"${node.name} is not defined")
        key = "$" + node.name

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            yield environment.find(key), keep(path)

        return run

    def _pipe(self, node: s.Pipe, known: Known) -> Filter:
        left, right = self.compile(node.left, known), self.compile(node.right, known)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for one, where in left(environment, value, path):
                yield from right(environment, one, where)

        return run

    def _comma(self, node: s.Comma, known: Known) -> Filter:
        # `a, b, c` leans to the left: unrolled, so that a long list is no deep tree.
        parts: list[s.Node] = []
        current: s.Node = node
        while isinstance(current, s.Comma):
            parts.append(current.right)
            current = current.left
        filters = [self.compile(part, known) for part in (current, *reversed(parts))]

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for one in filters:
                yield from one(environment, value, path)

        return run

    def _binary(self, node: s.Binary, known: Known) -> Filter:
        links: list[tuple[str, s.Node]] = []
        current: s.Node = node
        while isinstance(current, s.Binary):
            links.append((current.symbol, current.right))
            current = current.left
        result = self.compile(current, known)
        for symbol, right in reversed(links):
            result = self._operation(symbol, result, self.compile(right, known))
        return result

    @staticmethod
    def _operation(symbol: str, left: Filter, right: Filter) -> Filter:
        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            budget = environment.budget
            for second, _ in right(environment, value, None):
                for first, _ in left(environment, value, None):
                    budget.spend(1)
                    yield operation(symbol, first, second, budget), keep(path)

        return run

    def _logic(self, node: s.Logic, known: Known) -> Filter:
        left, right = self.compile(node.left, known), self.compile(node.right, known)
        if node.symbol == "//":
            return _alternative(left, right)
        stops = node.symbol == "or"

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for first, _ in left(environment, value, None):
                if values.truth(first) is stops:
                    yield stops, keep(path)
                    continue
                for second, _ in right(environment, value, None):
                    yield values.truth(second), keep(path)

        return run

    def _update(self, node: s.Update, known: Known) -> Filter:
        target, change = self.compile(node.left, known), self.compile(node.right, known)
        symbol = node.symbol

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            if symbol == "|=":
                yield updated(environment, value, target, change), keep(path)
                return
            budget = environment.budget
            for new, _ in change(environment, value, None):
                result = value
                for place in paths_of(environment, value, target):
                    if symbol == "=":
                        result = values.put_path(result, place, new, budget)
                        continue
                    old = values.get_path(result, place, budget)
                    if symbol == "//=":
                        changed = old if values.truth(old) else new
                    else:
                        changed = values.arithmetic(symbol[0], old, new, budget)
                    result = values.put_path(result, place, changed, budget)
                yield result, keep(path)

        return run

    def _negate(self, node: s.Negate, known: Known) -> Filter:
        body = self.compile(node.body, known)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for one, _ in body(environment, value, None):
                if values.kind(one) != "number":
                    raise JqError(f"{values.shown(one, environment.budget)} cannot be negated")
                yield -one, keep(path)

        return run

    def _list(self, node: s.List, known: Known) -> Filter:
        body = None if node.body is None else self.compile(node.body, known)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            found: list[Any] = []
            if body is not None:
                for one, _ in body(environment, value, None):
                    environment.budget.elements(1)
                    found.append(one)
            yield found, keep(path)

        return run

    def _map(self, node: s.Map, known: Known) -> Filter:
        entries = [(self.compile(key, known), self.compile(value, known)) for key, value in node.entries]

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            def build(index: int, built: dict[str, Any]) -> Iterator[dict[str, Any]]:
                if index == len(entries):
                    yield built
                    return
                key, item = entries[index]
                for name, _ in key(environment, value, None):
                    if not isinstance(name, str):
                        raise JqError(f"Object keys must be strings, found {values.shown(name, environment.budget)}")
                    for one, _ in item(environment, value, None):
                        environment.budget.elements(2 * len(built) + 2)
                        yield from build(index + 1, {**built, name: one})

            for one in build(0, {}):
                yield one, keep(path)

        return run

    def _if(self, node: s.If, known: Known) -> Filter:
        branches = [(self.compile(test, known), self.compile(body, known)) for test, body in node.branches]
        otherwise = self.compile(node.otherwise or s.Identity(), known)

        def run(environment: Environment, value: Any, path: Path | None, start: int = 0) -> Results:
            if start == len(branches):
                yield from otherwise(environment, value, path)
                return
            test, body = branches[start]
            for one, _ in test(environment, value, None):
                if values.truth(one):
                    yield from body(environment, value, path)
                else:
                    yield from run(environment, value, path, start + 1)

        return run

    # Names ---------------------------------------------------------------------------------------------------------

    def _bind(self, node: s.Bind, known: Known) -> Filter:
        source = self.compile(node.source, known)
        named = sorted({name for pattern in node.patterns for name in pattern_names(pattern)})
        body = self.compile(node.body, known.with_variables(*named))
        binders = [self._pattern(pattern, known) for pattern in node.patterns]

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for one, _ in source(environment, value, None):
                inner = environment
                if len(binders) > 1:
                    for name in named:
                        inner = inner.bound("$" + name, None)
                for last, binder in enumerate(binders, 1 - len(binders)):
                    try:
                        for bound in binder(inner, one):
                            yield from body(bound, value, path)
                    except JqError:
                        if not last:
                            raise
                        continue
                    break

        return run

    def _pattern(self, pattern: s.PatternNode, known: Known) -> Callable[[Environment, Any], Iterator[Environment]]:
        if isinstance(pattern, s.VariablePattern):
            key = "$" + pattern.name

            def bind_name(environment: Environment, value: Any) -> Iterator[Environment]:
                yield environment.bound(key, value)

            return bind_name
        if isinstance(pattern, s.ListPattern):
            items = [self._pattern(item, known) for item in pattern.items]

            def bind_items(environment: Environment, value: Any, index: int = 0) -> Iterator[Environment]:
                if index == len(items):
                    yield environment
                    return
                if value is not None and not isinstance(value, list):
                    raise JqError(f"Cannot index {values.kind(value)} with number")
                for inner in items[index](environment, values.get(value, index, environment.budget)):
                    yield from bind_items(inner, value, index + 1)

            return bind_items
        entries = []
        for key_node, name, below in pattern.entries:
            inner_known = known.with_variables(*([name] if name else []))
            known = inner_known
            entries.append((self.compile(key_node, known), name, None if below is None else self._pattern(below, known)))

        def bind_entries(environment: Environment, value: Any, index: int = 0) -> Iterator[Environment]:
            if index == len(entries):
                yield environment
                return
            key, name, below = entries[index]
            for one, _ in key(environment, value, None):
                if not isinstance(one, str):
                    raise JqError(f"Cannot index {values.kind(value)} with {values.kind(one)}")
                found = values.get(value, one, environment.budget)
                inner = environment.bound("$" + name, found) if name else environment
                for bound in (inner,) if below is None else below(inner, found):
                    yield from bind_entries(bound, value, index + 1)

        return bind_entries

    def _reduce(self, node: s.Reduce, known: Known) -> Filter:
        source, start = self.compile(node.source, known), self.compile(node.start, known)
        binder = self._pattern(node.pattern, known)
        step = self.compile(node.step, known.with_variables(*pattern_names(node.pattern)))

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for first, where in start(environment, value, path):
                result: Result | None = (first, where)
                for one, _ in source(environment, value, None):
                    for inner in binder(environment, one):
                        state = (None, keep(path)) if result is None else result
                        result = None
                        for result in step(inner, *state):  # noqa: B007 - the last one counts
                            pass
                yield (None, keep(path)) if result is None else result

        return run

    def _foreach(self, node: s.Foreach, known: Known) -> Filter:
        source, start = self.compile(node.source, known), self.compile(node.start, known)
        binder = self._pattern(node.pattern, known)
        inside = known.with_variables(*pattern_names(node.pattern))
        step, extract = self.compile(node.step, inside), self.compile(node.extract or s.Identity(), inside)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            for state in start(environment, value, path):
                for one, _ in source(environment, value, None):
                    for inner in binder(environment, one):
                        for state in step(inner, *state):  # noqa: B020, PLW2901 - each result is the next state
                            yield from extract(inner, *state)

        return run

    def _label(self, node: s.Label, known: Known) -> Filter:
        body = self.compile(node.body, known.with_label(node.name))
        key = "*" + node.name

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            label = object()
            try:
                yield from body(environment.bound(key, label), value, path)
            except Break as one:
                if one.label is not label:
                    raise

        return run

    def _break(self, node: s.Break, known: Known) -> Filter:
        if node.name not in known.labels:
            raise JqName(f"$*label-{node.name} is not defined")
        key = "*" + node.name

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            yield from _broken(environment.find(key))

        return run

    def _define(self, node: s.Define, known: Known) -> Filter:
        definition = node.definition
        name = f"{definition.name}/{len(definition.parameters)}"
        inside = known.with_functions(name)
        function = self.definition(definition, inside)
        body = self.compile(node.body, inside)

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            yield from body(define(environment, name, definition.parameters, function), value, path)

        return run

    def definition(self, definition: s.Definition, known: Known) -> Filter:
        """The body of a function; `known` holds the function itself."""
        plain = [f"{one}/0" for one in definition.parameters if not one.startswith("$")]
        named = [one[1:] for one in definition.parameters if one.startswith("$")]
        inside = known.with_functions(*plain, *(f"{one}/0" for one in named)).with_variables(*named)
        return self.compile(definition.body, inside)

    def _call(self, node: s.Call, known: Known) -> Filter:
        key = f"{node.name}/{len(node.arguments)}"
        if key not in known.functions:
            raise JqName(f"{key} is not defined")
        arguments = [self.compile(argument, known) for argument in node.arguments]
        native = known.functions[key]
        if native is not None:
            run_native = native.run

            def run_built_in(environment: Environment, value: Any, path: Path | None) -> Results:
                return run_native(environment, value, path, *[Closure(one, environment) for one in arguments])

            return run_built_in

        def run(environment: Environment, value: Any, path: Path | None) -> Results:
            found = environment.find(key)
            if isinstance(found, Closure):
                return found.body(found.environment, value, path)
            return called(found, [Closure(one, environment) for one in arguments], environment, value, path)

        return run


def _broken(label: object) -> Results:
    raise Break(label)


def _alternative(left: Filter, right: Filter) -> Filter:
    def run(environment: Environment, value: Any, path: Path | None) -> Results:
        found = False
        results: Results | None = None
        while True:
            try:
                results = results or left(environment, value, path)
                result = next(results)
            except (StopIteration, JqError):
                break
            if values.truth(result[0]):
                found = True
                yield result
        if not found:
            yield from right(environment, value, path)

    return run


def pattern_names(pattern: s.PatternNode) -> list[str]:
    """The variables that a pattern binds."""
    if isinstance(pattern, s.VariablePattern):
        return [pattern.name]
    if isinstance(pattern, s.ListPattern):
        return [name for item in pattern.items for name in pattern_names(item)]
    found: list[str] = []
    for _, name, below in pattern.entries:
        found += [name] if name else []
        found += [] if below is None else pattern_names(below)
    return found
