"""Filters, tests, functions, macros and methods: built-ins are bound once, others looked up when they are reached."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from jinja2 import nodes

from flows.errors import ExpressionError
from flows.expressions.attributes import METHODS, Undefined, undefined
from flows.expressions.expression_compiler import ExpressionCompiler
from flows.expressions.macros import call_macro
from flows.expressions.names import CONTEXT_READERS, FUNCTION_ROOTS, POSITION_READERS
from flows.expressions.output import Evaluate
from flows.expressions.outside import OUTSIDE
from flows.expressions.registry import FILTERS, FUNCTIONS, TESTS, Builtin
from flows.expressions.scope import Frame

FAULTS = (TypeError, ValueError, KeyError, IndexError, ArithmeticError, AttributeError)
"""What a built-in may raise on data it was not made for. It becomes an ExpressionError: a value in a flow is never a crash."""


class CallCompiler(ExpressionCompiler):
    """Adds what is applied to values."""

    def applied(self, node: nodes.Filter | nodes.Test | nodes.Call) -> Evaluate:
        """The closure of a filter, a test or a call."""
        if isinstance(node, nodes.Filter):
            return self.filter_over(node, self.expression(cast(nodes.Expr, node.node)))
        if isinstance(node, nodes.Test):
            return self._test(node)
        return self._call(node)

    def filter_over(self, node: nodes.Filter, operand: Evaluate) -> Evaluate:
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
        if name in POSITION_READERS and len(node.args) + len(node.kwargs) == 1:
            self._placed = node.args[0] if node.args else node.kwargs[0].value
        if name == "iterationOutput":
            self._reads_iteration(node)
        builtin = FUNCTIONS.get(name)
        if builtin is not None:
            call = self._bound(builtin, node, "Function")
            return lambda frame: call(frame, ())
        arguments = [self.expression(one) for one in node.args]
        named = [(one.key, self.expression(one.value)) for one in node.kwargs]
        signature = OUTSIDE.get(name)
        complaint = None if signature is None else signature.complaint(len(arguments), [key for key, _ in named])

        def evaluate(frame: Frame) -> Any:
            given = frame.functions.get(name)
            if complaint is not None and name not in frame.template.macros:
                raise ExpressionError(f"Function `{name}` {complaint}", code="expression.arguments", line=node.lineno)
            values = [argument(frame) for argument in arguments]
            keywords = {key: value(frame) for key, value in named}
            if given is not None:
                return _call_given(name, given, values, keywords)
            macro = frame.template.macros.get(name)
            if macro is None and signature is not None:
                raise ExpressionError(f"Function `{name}` is not available here", code="expression.unavailable", line=node.lineno)
            if macro is None:
                known = {**FUNCTIONS, **frame.functions, **frame.template.macros}
                raise ExpressionError(_unknown("Function or macro", name, known), code="expression.unknown_function")
            return call_macro(macro, frame, values, keywords)

        return evaluate

    def _reads_iteration(self, node: nodes.Call) -> None:
        """`iterationOutput('task', n)` reads other iterations of the task it names; without a name, of the running task."""
        found = self._entries["outputs"]
        first = node.args[0] if node.args else next((one.value for one in node.kwargs if one.key == "taskId"), None)
        if found is not None and isinstance(first, nodes.Const) and isinstance(first.value, str):
            found.add(first.value)
            self._levels[first.value] = None
        else:
            self._entries["outputs"] = None

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
            place = builtin.place(str(one.key))
            if place is None:
                complaint = _unknown("argument", str(one.key), dict.fromkeys(builtin.parameters))
            elif place < len(positional) or builtin.python_names[place] in keywords:
                complaint = f"was given `{one.key}` twice"
            else:
                keywords[builtin.python_names[place]] = value
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
