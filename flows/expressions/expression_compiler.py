"""Expressions → Python closures over a `Frame`: paths, operators and literals. Nothing is ever turned into Python source.

Cost: a template without loops, macros and `render()` can do no more than its own length, so only these (and built-ins
that touch data) charge the budget. `cost` counts the nodes compiled so far: a loop charges those of its body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from jinja2 import nodes

from flows.errors import ExpressionError
from flows.expressions import operators
from flows.expressions.attributes import Undefined, attribute, undefined
from flows.expressions.macros import Macro
from flows.expressions.names import POSITION_ROOTS, Names, levels_spelled
from flows.expressions.output import Evaluate
from flows.expressions.printing import to_text
from flows.expressions.scope import Frame
from flows.limits import EXPRESSION_DEPTH_MAX

_ARITHMETIC: dict[type[nodes.Node], Callable[..., Any]] = {
    nodes.Add: operators.add,
    nodes.Sub: operators.subtract,
    nodes.Mul: operators.multiply,
    nodes.Div: operators.divide,
    nodes.Mod: operators.remainder,
}

_COMPARISONS = {"lt": "<", "gt": ">", "lteq": "<=", "gteq": ">="}

_TRACKED = ("outputs", "inputs")


class ExpressionCompiler:
    """Turns expressions into closures and notes what they name."""

    def __init__(self, source: str, assigned: frozenset[str]) -> None:
        self.source = source
        self.assigned = assigned
        self.macros: dict[str, Macro] = {}
        self.cost = 0
        self.depth = 0
        self._roots: set[str] = set()
        self._any_root = False
        self._entries: dict[str, set[str] | None] = {root: set() for root in _TRACKED}
        self._levels: dict[str, set[int] | None] = {}
        """Of the tasks whose outputs are read: the levels spelled by each read; None when it is read otherwise."""
        self._placed: nodes.Expr | None = None
        """The argument of a function that reads at the reader's own place alone."""
        self._functions: set[str] = set()
        self._filters: set[str] = set()
        self._tests: set[str] = set()

    @property
    def names(self) -> Names:
        """What the compiled template mentions."""

        def entries(root: str) -> frozenset[str] | None:
            found = self._entries[root]
            return None if found is None or self._any_root else frozenset(found)

        outputs = entries("outputs")
        positions = ((task, level) for task, levels in self._levels.items() for level in levels or ())
        return Names(
            None if self._any_root else frozenset(self._roots),
            outputs,
            entries("inputs"),
            frozenset(self._functions - self.macros.keys()),
            frozenset(self._filters),
            frozenset(self._tests),
            frozenset() if outputs is None else frozenset(positions),
        )

    def expression(self, node: nodes.Expr) -> Evaluate:
        """The closure that computes an expression."""
        self.cost += 1
        self.depth += 1
        if self.depth > EXPRESSION_DEPTH_MAX:
            raise ExpressionError(
                f"The expression nests deeper than {EXPRESSION_DEPTH_MAX} levels", code="expression.too_deep", line=node.lineno
            )
        try:
            return self._expression(node)
        finally:
            self.depth -= 1

    def _expression(self, node: nodes.Expr) -> Evaluate:
        if isinstance(node, nodes.Const):
            return _constant(node.value)
        if isinstance(node, (nodes.Name, nodes.Getattr, nodes.Getitem)):
            return self._path(node)
        if isinstance(node, (nodes.Filter, nodes.Test, nodes.Call)):
            return self.applied(node)
        if isinstance(node, nodes.Concat):
            return self._concat(node)
        if isinstance(node, nodes.Compare):
            return self._compare(node)
        if isinstance(node, nodes.CondExpr):
            return self._ternary(node)
        if isinstance(node, (nodes.And, nodes.Or)):
            return self._logic(node)
        if isinstance(node, nodes.BinExpr):
            return self._chain(node)
        if isinstance(node, nodes.UnaryExpr):
            return self._unary(node)
        if isinstance(node, nodes.List):
            return self._list(node)
        if isinstance(node, nodes.Dict):
            return self._dict(node)
        raise ExpressionError(f"unknown expression {type(node).__name__}", code="expression.syntax")  # pragma: no cover

    def _path(self, node: nodes.Expr) -> Evaluate:
        steps: list[tuple[Any, Evaluate | None]] = []
        subscripts: list[nodes.Expr | None] = []
        current = node
        while isinstance(current, (nodes.Getattr, nodes.Getitem)):
            subscripts.append(None)
            if isinstance(current, nodes.Getattr):
                steps.append((current.attr, None))
            elif isinstance(current.arg, nodes.Const) and isinstance(current.arg.value, (str, int)):
                steps.append((current.arg.value, None))
            else:
                steps.append((None, self.expression(current.arg)))
                subscripts[-1] = current.arg
            current = current.node
        steps.reverse()
        self.cost += len(steps)
        source, line = self.source, node.lineno
        if isinstance(current, nodes.Name):
            start = self._root(current, steps)
            if current.name == "outputs" and steps and isinstance(steps[0][0], str):
                placed = node is self._placed and len(steps) == 1
                self._note_levels(steps[0][0], 0 if placed else levels_spelled(subscripts[-2::-1]), placed)
            if current.name not in self.assigned and all(step is None for _, step in steps):
                return _constant_path(current.name, tuple(key for key, _ in steps), source, line)
        else:
            start = self.expression(current)
        if not steps:
            return start
        path = tuple(steps)

        def evaluate(frame: Frame) -> Any:
            value = start(frame)
            for key, computed in path:
                value = attribute(value, key if computed is None else computed(frame), source, line)
            return value

        return evaluate

    def _root(self, node: nodes.Name, steps: Sequence[tuple[Any, Evaluate | None]]) -> Evaluate:
        name, source, line = node.name, self.source, node.lineno
        self._roots.add(name)
        if name in self._entries:
            found = self._entries[name]
            if not steps or steps[0][1] is not None or not isinstance(steps[0][0], str):
                self._entries[name] = None
            elif found is not None:
                found.add(steps[0][0])
        if name not in self.assigned:
            return _constant_path(name, (), source, line)

        def evaluate(frame: Frame) -> Any:
            for names in reversed(frame.locals):
                if name in names:
                    return names[name]
            try:
                return frame.variables[name]
            except KeyError:
                raise undefined(name, source, line, frame.visible()) from None

        return evaluate

    def _note_levels(self, task: str, levels: int, placed: bool) -> None:
        found = self._levels.setdefault(task, set())
        if found is None:
            return
        if placed or (levels and not POSITION_ROOTS & self.assigned):
            found.add(levels)
        else:
            self._levels[task] = None

    def _concat(self, node: nodes.Concat) -> Evaluate:
        parts = [self.expression(one) for one in node.nodes]

        def evaluate(frame: Frame) -> Any:
            budget = frame.budget
            texts = [to_text(part(frame), budget) for part in parts]
            budget.produce(sum(map(len, texts)))
            return "".join(texts)

        return evaluate

    def _compare(self, node: nodes.Compare) -> Evaluate:
        operand = node.ops[0]
        name = operand.op
        if name in ("coalesce", "coalesce_undefined"):
            return self._coalesce(node, name == "coalesce")
        left, right = self.expression(node.expr), self.expression(operand.expr)
        if name == "eq":
            return lambda frame: operators.equal(left(frame), right(frame), frame.budget)
        if name == "ne":
            return lambda frame: not operators.equal(left(frame), right(frame), frame.budget)
        if name == "contains":
            return lambda frame: operators.contains(left(frame), right(frame), frame.budget)
        if name == "isIn":

            def is_in(frame: Frame) -> bool:
                item = left(frame)
                return operators.is_in(item, right(frame), frame.budget)

            return is_in
        if name == "range":
            return lambda frame: operators.inclusive_range(left(frame), right(frame), 1, frame.budget)
        symbol = _COMPARISONS[name]
        return lambda frame: operators.compare(symbol, left(frame), right(frame))

    def _coalesce(self, node: nodes.Compare, absorbs_null: bool) -> Evaluate:
        # `a ?? b ?? c` leans to the left: the chain is unrolled so that a long one is no deep tree.
        choices: list[nodes.Expr] = []
        current: nodes.Expr = node
        while isinstance(current, nodes.Compare) and current.ops[0].op == node.ops[0].op:
            choices.append(current.ops[0].expr)
            current = current.expr
        choices.append(current)
        candidates = [self.expression(choice) for choice in reversed(choices)]
        first, last = candidates[:-1], candidates[-1]

        def evaluate(frame: Frame) -> Any:
            for candidate in first:
                try:
                    value = candidate(frame)
                except Undefined:
                    continue
                if value is not None or not absorbs_null:
                    return value
            return last(frame)

        return evaluate

    def _ternary(self, node: nodes.CondExpr) -> Evaluate:
        test, chosen = self.expression(node.test), self.expression(node.expr1)
        # `a ? b : c ? d : e …` leans to the right; a ladder counts as one level.
        self.depth -= 1
        otherwise = self.expression(cast(nodes.Expr, node.expr2))
        self.depth += 1

        def evaluate(frame: Frame) -> Any:
            value = test(frame)
            if value is not None and operators.truth(value, "`? :`"):
                return chosen(frame)
            return otherwise(frame)

        return evaluate

    def _logic(self, node: nodes.BinExpr) -> Evaluate:
        kind, stops = type(node), isinstance(node, nodes.Or)
        word = "`or`" if stops else "`and`"
        terms: list[nodes.Expr] = []
        current: nodes.Expr = node
        while type(current) is kind:
            terms.append(current.right)
            current = current.left
        terms.append(current)
        operands = [self.expression(term) for term in reversed(terms)]

        def evaluate(frame: Frame) -> bool:
            for operand in operands:
                if operators.truth(operand(frame), word) is stops:
                    return stops
            return not stops

        return evaluate

    def _chain(self, node: nodes.BinExpr) -> Evaluate:
        links: list[tuple[Callable[..., Any], nodes.Expr]] = []
        current: nodes.Expr = node
        while type(current) in _ARITHMETIC:
            binary = cast(nodes.BinExpr, current)
            links.append((_ARITHMETIC[type(binary)], binary.right))
            current = binary.left
        start = self.expression(current)
        rest = [(operation, self.expression(right)) for operation, right in reversed(links)]
        if len(rest) == 1:
            operation, right = rest[0]
            return lambda frame: operation(start(frame), right(frame), frame.budget)

        def evaluate(frame: Frame) -> Any:
            value = start(frame)
            for operation, right in rest:
                value = operation(value, right(frame), frame.budget)
            return value

        return evaluate

    def _unary(self, node: nodes.UnaryExpr) -> Evaluate:
        operand = self.expression(node.node)
        if isinstance(node, nodes.Not):
            return lambda frame: not operators.truth(operand(frame), "`not`")
        if isinstance(node, nodes.Neg):
            return lambda frame: operators.negate(operand(frame), frame.budget)
        return lambda frame: operators.positive(operand(frame), frame.budget)

    def _list(self, node: nodes.List) -> Evaluate:
        items = [self.expression(item) for item in node.items]

        def evaluate(frame: Frame) -> list[Any]:
            frame.budget.elements(len(items))
            return [item(frame) for item in items]

        return evaluate

    def _dict(self, node: nodes.Dict) -> Evaluate:
        pairs = [(self.expression(pair.key), self.expression(pair.value)) for pair in node.items]

        def evaluate(frame: Frame) -> dict[Any, Any]:
            frame.budget.elements(2 * len(pairs))
            built: dict[Any, Any] = {}
            for key, value in pairs:
                name = key(frame)
                built[name if isinstance(name, (str, int)) else to_text(name, frame.budget)] = value(frame)
            return built

        return evaluate

    def applied(self, node: nodes.Filter | nodes.Test | nodes.Call) -> Evaluate:
        """Filters, tests and calls: see `calls`."""
        raise NotImplementedError


def _constant(value: Any) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        return value

    return evaluate


def _constant_path(root: str, keys: tuple[str | int, ...], source: str, line: int) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        try:
            value = frame.variables[root]
        except KeyError:
            raise undefined(root, source, line, frame.variables) from None
        for key in keys:
            value = value[key] if type(value) is dict and key in value else attribute(value, key, source, line)
        return value

    return evaluate
