"""Jinja2 nodes → Python closures over a `Frame`. Nothing is ever turned into Python source.

Cost: a template without loops, macros and `render()` can do no more than its own length, so only these (and built-ins
that touch data) charge the budget. A loop charges its body's nodes before each round.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

from jinja2 import nodes

from flows.errors import ExpressionError
from flows.expressions import operators
from flows.expressions.attributes import METHODS, Undefined, attribute, undefined
from flows.expressions.lexer import RAW_BRACE
from flows.expressions.names import CONTEXT_READERS, FUNCTION_ROOTS, Names
from flows.expressions.printing import is_sequence, to_text
from flows.expressions.registry import FILTERS, FUNCTIONS, TESTS, Builtin
from flows.expressions.scope import Frame
from flows.limits import EXPRESSION_DEPTH_MAX

Evaluate = Callable[[Frame], Any]
Emit = Callable[[Frame, list[Any]], None]

FAULTS = (TypeError, ValueError, KeyError, IndexError, ArithmeticError, AttributeError)
"""What a built-in may raise on data it was not made for. It becomes an ExpressionError: a value in a flow is never a crash."""

_ARITHMETIC: dict[type[nodes.Node], Callable[..., Any]] = {
    nodes.Add: operators.add,
    nodes.Sub: operators.subtract,
    nodes.Mul: operators.multiply,
    nodes.Div: operators.divide,
    nodes.Mod: operators.remainder,
}

_COMPARISONS = {"lt": "<", "gt": ">", "lteq": "<=", "gteq": ">="}

_TRACKED = ("outputs", "inputs")


class Macro:
    """A macro of the template: its own little world with nothing but its arguments."""

    __slots__ = ("body", "cost", "defaults", "name", "parameters")

    def __init__(self, name: str, parameters: Sequence[str]) -> None:
        self.name = name
        self.parameters = tuple(parameters)
        self.defaults: dict[str, Evaluate] = {}
        self.body: tuple[Emit, ...] = ()
        self.cost = 1


class Compiler:
    """Turns the nodes of one template into closures and notes what it names."""

    def __init__(self, source: str, assigned: frozenset[str]) -> None:
        self.source = source
        self.assigned = assigned
        self.macros: dict[str, Macro] = {}
        self.blocks: dict[str, tuple[Emit, ...]] = {}
        self.cost = 0
        self.depth = 0
        self._roots: set[str] = set()
        self._any_root = False
        self._entries: dict[str, set[str] | None] = {root: set() for root in _TRACKED}
        self._functions: set[str] = set()
        self._filters: set[str] = set()
        self._tests: set[str] = set()

    @property
    def names(self) -> Names:
        """What the compiled template mentions."""

        def entries(root: str) -> frozenset[str] | None:
            found = self._entries[root]
            return None if found is None or self._any_root else frozenset(found)

        return Names(
            None if self._any_root else frozenset(self._roots),
            entries("outputs"),
            entries("inputs"),
            frozenset(self._functions - self.macros.keys()),
            frozenset(self._filters),
            frozenset(self._tests),
        )

    # Statements ----------------------------------------------------------------------------------------------------

    def parts(self, template: nodes.Template) -> tuple[str | Evaluate, ...] | None:
        """Texts and expressions in turn, when the template has no tags; None otherwise."""
        found: list[str | Evaluate] = []
        if not all(isinstance(statement, nodes.Output) for statement in template.body):
            return None
        for statement in template.body:
            for node in cast(nodes.Output, statement).nodes:
                part = node.data if isinstance(node, nodes.TemplateData) else self.expression(node)
                found.append(part)
        return tuple(found)

    def body(self, statements: Sequence[nodes.Node]) -> tuple[Emit, ...]:
        """Statements as emitters: each appends what it prints, as values, to a list."""
        emitters: list[Emit] = []
        for statement in statements:
            if isinstance(statement, nodes.Output):
                emitters.extend(self._output(node) for node in statement.nodes)
            elif isinstance(statement, nodes.If):
                emitters.append(self._if(statement))
            elif isinstance(statement, nodes.For):
                emitters.append(self._for(statement))
            elif isinstance(statement, nodes.Assign):
                emitters.append(self._assign(statement))
            elif isinstance(statement, nodes.Macro):
                self._macro(statement)
            elif isinstance(statement, nodes.FilterBlock):
                emitters.append(self._filter_block(statement))
            elif isinstance(statement, nodes.Block):
                emitters.append(self._block(statement))
            else:  # pragma: no cover - the parser makes no other statements
                raise ExpressionError(f"unknown statement {type(statement).__name__}", code="expression.syntax")
        return tuple(emitters)

    def _output(self, node: nodes.Expr) -> Emit:
        if isinstance(node, nodes.TemplateData):
            data = node.data
            guarded = RAW_BRACE in data

            def emit_text(frame: Frame, out: list[Any]) -> None:
                if guarded:
                    frame.guarded = True
                out.append(Literal(data))

            return emit_text
        evaluate = self.expression(node)

        def emit_value(frame: Frame, out: list[Any]) -> None:
            out.append(evaluate(frame))

        return emit_value

    def _if(self, node: nodes.If) -> Emit:
        branches = [(self.expression(cast(nodes.Expr, one.test)), self.body(one.body)) for one in (node, *node.elif_)]
        otherwise = self.body(node.else_)

        def emit(frame: Frame, out: list[Any]) -> None:
            chosen = next((body for test, body in branches if operators.truth(test(frame), "`if`")), otherwise)
            for part in chosen:
                part(frame, out)

        return emit

    def _for(self, node: nodes.For) -> Emit:
        items_of = self.expression(cast(nodes.Expr, node.iter))
        name = cast(nodes.Name, node.target).name
        outer, self.cost = self.cost, 1
        body = self.body(node.body)
        cost, self.cost = self.cost, outer + self.cost
        otherwise = self.body(node.else_)

        def emit(frame: Frame, out: list[Any]) -> None:
            items = items_of(frame)
            if items is None:
                return
            if isinstance(items, Mapping):
                frame.budget.elements(len(items))
                items = [{"key": key, "value": value} for key, value in items.items()]
            elif isinstance(items, AbstractSet):
                items = list(items)
            elif not is_sequence(items):
                raise operators.type_error("`for` expects a list or a map", items)
            length = len(items)
            if not length:
                for part in otherwise:
                    part(frame, out)
                return
            names: dict[str, Any] = {}
            frame.locals.append(names)
            try:
                for index, item in enumerate(items):
                    frame.budget.spend(cost)
                    names[name] = item
                    names["loop"] = {
                        "index": index,
                        "revindex": length - index - 1,
                        "length": length,
                        "first": index == 0,
                        "last": index == length - 1,
                    }
                    for part in body:
                        part(frame, out)
            finally:
                frame.locals.pop()

        return emit

    def _assign(self, node: nodes.Assign) -> Emit:
        name = cast(nodes.Name, node.target).name
        value = self.expression(cast(nodes.Expr, node.node))

        def emit(frame: Frame, out: list[Any]) -> None:
            frame.assign(name, value(frame))

        return emit

    def _macro(self, node: nodes.Macro) -> None:
        parameters = [argument.name for argument in node.args]
        macro = self.macros[node.name] = Macro(node.name, parameters)
        first = len(parameters) - len(node.defaults)
        for parameter, default in zip(parameters[first:], node.defaults, strict=True):
            macro.defaults[parameter] = self.expression(default)
        outer, self.cost = self.cost, 1
        macro.body = self.body(node.body)
        macro.cost, self.cost = self.cost, outer

    def _filter_block(self, node: nodes.FilterBlock) -> Emit:
        body = self.body(node.body)
        chain: list[nodes.Filter] = []
        current: nodes.Expr | None = node.filter
        while isinstance(current, nodes.Filter):
            chain.append(current)
            current = current.node

        def captured(frame: Frame) -> str:
            return frame.captured[-1]

        apply: Evaluate = captured
        for one in reversed(chain):
            apply = self._filter_over(one, apply)

        def emit(frame: Frame, out: list[Any]) -> None:
            frame.captured.append(capture(body, frame))
            try:
                out.append(apply(frame))
            finally:
                frame.captured.pop()

        return emit

    def _block(self, node: nodes.Block) -> Emit:
        body = self.blocks[node.name] = self.body(node.body)

        def emit(frame: Frame, out: list[Any]) -> None:
            for part in body:
                part(frame, out)

        return emit

    # Expressions ---------------------------------------------------------------------------------------------------

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
        if isinstance(node, nodes.Filter):
            return self._filter_over(node, self._filter_input(node))
        if isinstance(node, nodes.Call):
            return self._call(node)
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
        if isinstance(node, nodes.Test):
            return self._test(node)
        if isinstance(node, nodes.List):
            return self._list(node)
        if isinstance(node, nodes.Dict):
            return self._dict(node)
        raise ExpressionError(f"unknown expression {type(node).__name__}", code="expression.syntax")  # pragma: no cover

    def _path(self, node: nodes.Expr) -> Evaluate:
        steps: list[tuple[Any, Evaluate | None]] = []
        current = node
        while isinstance(current, (nodes.Getattr, nodes.Getitem)):
            if isinstance(current, nodes.Getattr):
                steps.append((current.attr, None))
            elif isinstance(current.arg, nodes.Const) and isinstance(current.arg.value, (str, int)):
                steps.append((current.arg.value, None))
            else:
                steps.append((None, self.expression(current.arg)))
            current = current.node
        steps.reverse()
        self.cost += len(steps)
        source, line = self.source, node.lineno
        if isinstance(current, nodes.Name):
            start = self._root(current, steps)
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
                return operators.contains(right(frame), item, frame.budget)

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

    # Filters, tests, calls -----------------------------------------------------------------------------------------

    def _filter_input(self, node: nodes.Filter) -> Evaluate:
        return self.expression(cast(nodes.Expr, node.node))

    def _filter_over(self, node: nodes.Filter, operand: Evaluate) -> Evaluate:
        name = node.name
        self._filters.add(name)
        builtin = FILTERS.get(name)
        if builtin is None:
            self._discard_arguments(node)
            return _refused(_unknown("Filter", name, FILTERS), operand)
        call = self._bound(builtin, node, "Filter")
        if name == "default":

            def with_default(frame: Frame) -> Any:
                try:
                    value = operand(frame)
                except Undefined:
                    value = None
                return call(frame, (value,))

            return with_default
        if builtin.null_passes:

            def over_value(frame: Frame) -> Any:
                value = operand(frame)
                return None if value is None else call(frame, (value,))

            return over_value
        return lambda frame: call(frame, (operand(frame),))

    def _test(self, node: nodes.Test) -> Evaluate:
        operand = self.expression(node.node)
        name = node.name
        if name == "defined":

            def defined(frame: Frame) -> bool:
                try:
                    return operand(frame) is not None
                except Undefined:
                    return False

            return defined
        self._tests.add(name)
        builtin = TESTS.get(name)
        if builtin is None:
            self._discard_arguments(node)
            return _refused(_unknown("Test", name, TESTS), operand)
        call = self._bound(builtin, node, "Test")
        return lambda frame: call(frame, (operand(frame),))

    def _call(self, node: nodes.Call) -> Evaluate:
        target = node.node
        if isinstance(target, nodes.Getattr):
            return self._method(node, target)
        if not isinstance(target, nodes.Name):
            raise ExpressionError("only functions, macros and methods can be called", code="expression.syntax", line=node.lineno)
        name = target.name
        if name in CONTEXT_READERS:
            self._any_root = True
        self._roots.update(FUNCTION_ROOTS.get(name, ()))
        self._functions.add(name)
        builtin = FUNCTIONS.get(name)
        if builtin is not None:
            call = self._bound(builtin, node, "Function")
            return lambda frame: call(frame, ())
        arguments = [self.expression(one) for one in node.args]
        named = [(one.key, self.expression(one.value)) for one in node.kwargs]

        def evaluate(frame: Frame) -> Any:
            given = frame.functions.get(name)
            values = [argument(frame) for argument in arguments]
            keywords = {key: value(frame) for key, value in named}
            if given is not None:
                return _call_given(name, given, values, keywords)
            macro = frame.template.macros.get(name)
            if macro is None:
                known = {**FUNCTIONS, **frame.functions, **frame.template.macros}
                raise ExpressionError(_unknown("Function or macro", name, known), code="expression.unknown_function")
            return _call_macro(macro, frame, values, keywords)

        return evaluate

    def _method(self, node: nodes.Call, target: nodes.Getattr) -> Evaluate:
        operand = self.expression(target.node)
        name = target.attr
        arguments = [self.expression(one) for one in node.args]
        entry = METHODS.get(name.lower())
        if entry is None or node.kwargs:
            known = ", ".join(sorted(METHODS))
            return _refused(f"`.{name}()` is not available; the methods of values are {known}", operand)
        method, least, most = entry
        if not least <= len(arguments) <= most:
            return _refused(f"`.{name}()` takes {least} to {most} arguments, found {len(arguments)}", operand)
        source, line = self.source, node.lineno

        def evaluate(frame: Frame) -> Any:
            value = operand(frame)
            if value is None:
                raise undefined(name, source, line)
            values = [argument(frame) for argument in arguments]
            try:
                return method(value, frame.budget, *values)
            except FAULTS as error:
                raise ExpressionError(f"`.{name}()` failed: {error}", code="expression.type", line=line) from error

        return evaluate

    def _bound(
        self, builtin: Builtin, node: nodes.Filter | nodes.Test | nodes.Call, what: str
    ) -> Callable[[Frame, tuple[Any, ...]], Any]:
        """A call with its arguments in place. A wrong argument is reported when the call is reached, as in Pebble."""
        name, function = builtin.name, builtin.call
        positional = [self.expression(one) for one in node.args]
        keywords: dict[str, Evaluate] = {}
        complaint = ""
        if len(positional) > len(builtin.parameters) and not builtin.variadic:
            complaint = f"takes at most {len(builtin.parameters)} arguments, found {len(positional)}"
        for one in node.kwargs:
            value = self.expression(one.value)
            if one.key not in builtin.parameters:
                complaint = _unknown("argument", str(one.key), dict.fromkeys(builtin.parameters))
            elif builtin.parameters.index(one.key) < len(positional) or one.key in keywords:
                complaint = f"was given `{one.key}` twice"
            else:
                keywords[builtin.python_names[builtin.parameters.index(one.key)]] = value
        missing = [
            parameter
            for index, parameter in enumerate(builtin.parameters[: builtin.required])
            if index >= len(positional) and builtin.python_names[index] not in keywords
        ]
        if missing and not complaint:
            complaint = f"needs the argument `{missing[0]}`"
        line = node.lineno
        if complaint:
            message = f"{what} `{name}` {complaint}"

            def refuse(frame: Frame, given: tuple[Any, ...]) -> Any:
                raise ExpressionError(message, code="expression.arguments", line=line)

            return refuse
        named = list(keywords.items())

        def call(frame: Frame, given: tuple[Any, ...]) -> Any:
            try:
                if named:
                    return function(frame, *given, *[one(frame) for one in positional], **{key: one(frame) for key, one in named})
                return function(frame, *given, *[one(frame) for one in positional])
            except FAULTS as error:
                raise ExpressionError(f"{what} `{name}` failed: {error}", code="expression.type", line=line) from error

        return call

    def _discard_arguments(self, node: nodes.Filter | nodes.Test) -> None:
        for one in node.args:
            self.expression(one)
        for keyword in node.kwargs:
            self.expression(keyword.value)


class Literal(str):
    """Text of the template itself, told apart from values so that typed rendering knows there is text around them."""

    __slots__ = ()


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


def _refused(message: str, operand: Evaluate) -> Evaluate:
    code = "expression.unknown_" + message.split(" ", 1)[0].lower() if message[0] != "`" else "expression.unknown_method"

    def evaluate(frame: Frame) -> Any:
        operand(frame)
        raise ExpressionError(message, code=code)

    return evaluate


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    return f"{what} [{name}] does not exist.{hint}"


def _call_given(name: str, function: Callable[..., Any], values: list[Any], keywords: dict[str, Any]) -> Any:
    try:
        inspect.signature(function).bind(*values, **keywords)
    except TypeError as error:
        raise ExpressionError(f"Function `{name}`: {error}", code="expression.arguments") from None
    except ValueError:
        pass  # A callable without a readable signature is called as it is.
    return function(*values, **keywords)


def _call_macro(macro: Macro, frame: Frame, values: list[Any], keywords: dict[str, Any]) -> str:
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


def capture(body: tuple[Emit, ...], frame: Frame) -> str:
    """What a body prints, as one text."""
    out: list[Any] = []
    for part in body:
        part(frame, out)
    return join(out, frame)


def join(out: Sequence[Any], frame: Frame) -> str:
    """Printed values as one text, charged before it is built."""
    budget = frame.budget
    texts = []
    for value in out:
        text = value if type(value) is str or type(value) is Literal else to_text(value, budget)
        budget.produce(len(text) + 1)
        texts.append(text)
    return "".join(texts)
