"""What a template reads and calls, and whether it does so in any case: found from its nodes, without running it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

from jinja2 import nodes

from flows.expressions.parser import parse_template

UNKNOWN = object()
"""An argument that is computed."""

Key = str | int | None
"""One step of a path; None = computed."""

_ABSORBING_TESTS = frozenset({"defined", "null", "empty"})


@dataclass(frozen=True, slots=True)
class Mention:
    """A path such as `outputs.a['b'].c`. `guarded`: it may be absent without harm, or may not be evaluated at all."""

    keys: tuple[Key, ...]
    line: int
    guarded: bool

    @property
    def root(self) -> str:
        """The first name."""
        return str(self.keys[0])


@dataclass(frozen=True, slots=True)
class Called:
    """A function, filter or test that is applied; `arguments` hold literals or UNKNOWN."""

    kind: Literal["function", "filter", "test"]
    name: str
    line: int
    guarded: bool
    arguments: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()

    def argument(self, name: str, position: int | None = None) -> Any:
        """The literal given by name or position; None = not given, UNKNOWN = computed."""
        for key, value in self.named:
            if key == name:
                return value
        return self.arguments[position] if position is not None and position < len(self.arguments) else None


@dataclass(frozen=True, slots=True)
class Mentions:
    """Everything one template mentions, names that it binds itself left out."""

    paths: tuple[Mention, ...] = ()
    calls: tuple[Called, ...] = ()


@lru_cache(maxsize=1024)
def mentions(source: str) -> Mentions:
    """The mentions of a template. Raises ExpressionError when it cannot be read."""
    tree, assigned = parse_template(source)
    walk = _Walk(assigned)
    walk.run(tree)
    return Mentions(tuple(walk.paths), tuple(one for one in walk.calls if one.name not in walk.macros))


class _Walk:
    """A stack instead of recursion: chains of operators may be long."""

    def __init__(self, assigned: frozenset[str]) -> None:
        self.assigned = assigned
        self.paths: list[Mention] = []
        self.calls: list[Called] = []
        self.macros: set[str] = set()

    def run(self, tree: nodes.Node) -> None:
        """Visits everything below a node."""
        waiting: list[tuple[nodes.Node, bool]] = [(tree, False)]
        while waiting:
            node, guarded = waiting.pop()
            waiting.extend(self._below(node, guarded))

    def _below(self, node: nodes.Node, guarded: bool) -> Iterator[tuple[nodes.Node, bool]]:
        if isinstance(node, (nodes.Name, nodes.Getattr, nodes.Getitem)):
            yield from self._path(node, guarded)
        elif isinstance(node, nodes.Filter):
            self._call("filter", node.name, node, guarded)
            if node.node is not None:
                yield node.node, guarded or node.name == "default"
            yield from self._arguments(node, guarded)
        elif isinstance(node, nodes.Test):
            self._call("test", node.name, node, guarded)
            yield node.node, guarded or node.name in _ABSORBING_TESTS
            yield from self._arguments(node, guarded)
        elif isinstance(node, nodes.Call):
            target = node.node
            if isinstance(target, nodes.Name):
                self._call("function", target.name, node, guarded)
            elif isinstance(target, nodes.Getattr):
                yield target.node, guarded
            yield from self._arguments(node, guarded)
        elif isinstance(node, nodes.Compare):
            either = node.ops[0].op in ("coalesce", "coalesce_undefined")
            yield node.expr, guarded or either
            yield node.ops[0].expr, guarded or either
        elif isinstance(node, (nodes.And, nodes.Or)):
            yield node.left, guarded
            yield node.right, True
        elif isinstance(node, nodes.CondExpr):
            yield node.test, guarded
            yield node.expr1, True
            if node.expr2 is not None:
                yield node.expr2, True
        elif isinstance(node, nodes.If):
            yield cast(nodes.Expr, node.test), guarded
            for one in (*node.body, *node.elif_, *node.else_):
                yield one, True
        elif isinstance(node, nodes.For):
            yield cast(nodes.Expr, node.iter), guarded
            for one in (*node.body, *node.else_):
                yield one, True
        elif isinstance(node, nodes.Macro):
            self.macros.add(node.name)
            for one in (*node.defaults, *node.body):
                yield one, True
        elif isinstance(node, nodes.Assign):
            yield node.node, guarded
        else:
            for child in node.iter_child_nodes():
                yield child, guarded

    def _path(self, node: nodes.Expr, guarded: bool) -> Iterator[tuple[nodes.Node, bool]]:
        keys: list[Key] = []
        current = node
        while isinstance(current, (nodes.Getattr, nodes.Getitem)):
            if isinstance(current, nodes.Getattr):
                keys.append(current.attr)
            elif isinstance(current.arg, nodes.Const) and isinstance(current.arg.value, (str, int)):
                keys.append(current.arg.value)
            else:
                keys.append(None)
                yield current.arg, guarded
            current = current.node
        if not isinstance(current, nodes.Name):
            yield current, guarded
        elif current.name not in self.assigned:
            self.paths.append(Mention((current.name, *reversed(keys)), node.lineno, guarded))

    def _call(self, kind: Literal["function", "filter", "test"], name: str, node: Any, guarded: bool) -> None:
        arguments = tuple(_literal(one) for one in node.args)
        named = tuple((str(one.key), _literal(one.value)) for one in node.kwargs)
        self.calls.append(Called(kind, name, node.lineno, guarded, arguments, named))

    def _arguments(self, node: Any, guarded: bool) -> Iterator[tuple[nodes.Node, bool]]:
        for one in node.args:
            yield one, guarded
        for keyword in node.kwargs:
            yield keyword.value, guarded


def _literal(node: nodes.Node) -> Any:
    return node.value if isinstance(node, nodes.Const) else UNKNOWN
