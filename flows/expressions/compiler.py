"""Statements → closures: the tags of a template, on top of `calls` and `expression_compiler`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

from jinja2 import nodes

from flows.errors import ExpressionError
from flows.expressions import operators
from flows.expressions.calls import CallCompiler
from flows.expressions.lexer import RAW_BRACE
from flows.expressions.macros import Macro
from flows.expressions.output import Emit, Evaluate, Literal, capture
from flows.expressions.printing import is_sequence
from flows.expressions.scope import Frame


class Compiler(CallCompiler):
    """Turns the nodes of one template into closures and notes what it names."""

    def __init__(self, source: str, assigned: frozenset[str]) -> None:
        super().__init__(source, assigned)
        self.blocks: dict[str, tuple[Emit, ...]] = {}

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
            apply = self.filter_over(one, apply)

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
