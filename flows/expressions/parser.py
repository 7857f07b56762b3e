"""Template text → Jinja2 nodes, with Pebble's precedence and tags.

Statements, end tags and data are walked by Jinja2's parser; expressions are read here, because in Pebble filters bind
looser than `~` and `??` but tighter than arithmetic. Operators Jinja2 has no node for (`??`, `???`, `..`, `contains`,
`isIn`) become `nodes.Compare` with one `nodes.Operand` whose `op` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, cast

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import Token, describe_token_expr
from jinja2.parser import Parser

from flows.errors import ExpressionError
from flows.expressions.lexer import PebbleLexer
from flows.limits import EXPRESSION_DEPTH_MAX

UNARY_PRECEDENCE = 500

SYMBOLS: dict[str, int] = {
    "coalesce": 120,
    "coalesce_undefined": 120,
    "range": 120,
    "tilde": 110,
    "pipe": 100,
    "mul": 60,
    "div": 60,
    "mod": 60,
    "add": 40,
    "sub": 40,
    "eq": 30,
    "ne": 30,
    "lt": 30,
    "gt": 30,
    "lteq": 30,
    "gteq": 30,
}

WORDS: dict[str, tuple[str, int]] = {
    "equals": ("eq", 30),
    "is": ("is", 20),
    "contains": ("contains", 20),
    "isIn": ("isIn", 20),
    "and": ("and", 15),
    "or": ("or", 10),
}

CONSTANTS: dict[str, bool | None] = {
    "true": True,
    "TRUE": True,
    "false": False,
    "FALSE": False,
    "null": None,
    "NULL": None,
    "none": None,
    "NONE": None,
}

_BINARY: dict[str, type[nodes.BinExpr]] = {
    "add": nodes.Add,
    "sub": nodes.Sub,
    "mul": nodes.Mul,
    "div": nodes.Div,
    "mod": nodes.Mod,
    "and": nodes.And,
    "or": nodes.Or,
}

_REMOVED_TAGS = frozenset({"autoescape", "extends", "embed", "flush", "include", "import", "from", "parallel", "cache"})


class PebbleEnvironment(Environment):
    """Carries the lexer. Nothing is ever compiled or rendered by Jinja2 itself."""

    def __init__(self) -> None:
        super().__init__(keep_trailing_newline=True)
        self._pebble_lexer = PebbleLexer(self)

    @property
    def lexer(self) -> PebbleLexer:
        """The lexer of this dialect."""
        return self._pebble_lexer


ENVIRONMENT = PebbleEnvironment()


class PebbleParser(Parser):
    """Reads one template. `assigned` collects the names that set, for and macro arguments may bind."""

    def __init__(self, source: str, depth: int = 0) -> None:
        super().__init__(ENVIRONMENT, source)
        self.depth = depth
        self.assigned: set[str] = set()

    # Statements ----------------------------------------------------------------------------------------------------

    def parse_statement(self) -> nodes.Node | list[nodes.Node]:
        """One `{% tag %}`, its body included."""
        token = self.stream.current
        if token.type != "name":
            self.fail("a tag name is expected after `{%`", token.lineno)
        readers: dict[str, Callable[[], nodes.Node]] = {
            "if": self.parse_if,
            "for": self.parse_for,
            "set": self.parse_set,
            "macro": self.parse_macro,
            "filter": self.parse_filter_block,
            "block": self.parse_block,
        }
        reader = readers.get(token.value)
        if reader is None:
            self.fail_unknown_tag(token.value, token.lineno)
        self._deeper()
        self._tag_stack.append(token.value)
        try:
            return reader()
        finally:
            self._tag_stack.pop()
            self.depth -= 1

    def parse_if(self) -> nodes.If:
        """`{% if a %}…{% elseif b %}…{% else %}…{% endif %}`; `elif` is read too."""
        node = result = nodes.If(lineno=self.stream.expect("name:if").lineno)
        ends = ("name:elseif", "name:elif", "name:else", "name:endif")
        while True:
            node.test = self.parse_expression()
            node.body = self.parse_statements(ends)
            node.elif_ = []
            node.else_ = []
            token = next(self.stream)
            if token.value in ("elseif", "elif"):
                node = nodes.If(lineno=token.lineno)
                result.elif_.append(node)
                continue
            if token.value == "else":
                result.else_ = self.parse_statements(("name:endif",), drop_needle=True)
            return result

    def parse_for(self) -> nodes.For:
        """`{% for x in coll %}…{% else %}…{% endfor %}` with exactly one variable."""
        lineno = self.stream.expect("name:for").lineno
        target = self._target()
        self.assigned.add("loop")
        self.stream.expect("name:in")
        items = self.parse_expression()
        body = self.parse_statements(("name:endfor", "name:else"))
        otherwise: list[nodes.Node] = []
        if next(self.stream).value == "else":
            otherwise = self.parse_statements(("name:endfor",), drop_needle=True)
        return nodes.For(target, items, body, otherwise, None, False, lineno=lineno)

    def parse_set(self) -> nodes.Assign:
        """`{% set name = expr %}`."""
        lineno = self.stream.expect("name:set").lineno
        target = self._target()
        self.stream.expect("assign")
        return nodes.Assign(target, self.parse_expression(), lineno=lineno)

    def parse_macro(self) -> nodes.Macro:
        """`{% macro m(a, b='x') %}…{% endmacro %}`."""
        lineno = self.stream.expect("name:macro").lineno
        name = self.stream.expect("name").value
        arguments: list[nodes.Name] = []
        defaults: list[nodes.Expr] = []
        self.stream.expect("lparen")
        while self.stream.current.type != "rparen":
            if arguments:
                self.stream.expect("comma")
            arguments.append(self._target("param"))
            if self.stream.skip_if("assign"):
                defaults.append(self.parse_expression())
            elif defaults:
                defaults.append(nodes.Const(None, lineno=lineno))
        self.stream.expect("rparen")
        body = self.parse_statements(("name:endmacro",))
        next(self.stream)
        self.stream.skip_if(f"name:{name}")
        return nodes.Macro(name, arguments, defaults, body, lineno=lineno)

    def parse_filter_block(self) -> nodes.FilterBlock:
        """`{% filter upper | trim %}…{% endfilter %}`."""
        lineno = self.stream.expect("name:filter").lineno
        chain = self._filter(None)
        while self.stream.skip_if("pipe"):
            chain = self._filter(chain)
        body = self.parse_statements(("name:endfilter",), drop_needle=True)
        return nodes.FilterBlock(body, chain, lineno=lineno)

    def parse_block(self) -> nodes.Block:
        """`{% block "n" %}…{% endblock %}`."""
        lineno = self.stream.expect("name:block").lineno
        token = next(self.stream)
        if token.type not in ("name", "string"):
            self.fail("a block needs a name", token.lineno)
        name = token.value if token.type == "name" else token.value[1:-1]
        body = self.parse_statements(("name:endblock",))
        next(self.stream)
        if self.stream.current.type in ("name", "string"):
            next(self.stream)
        return nodes.Block(name, body, False, False, lineno=lineno)

    def _target(self, context: str = "store") -> nodes.Name:
        token = self.stream.expect("name")
        if token.value in CONSTANTS or token.value in WORDS or token.value == "not":
            self.fail(f"`{token.value}` is a word of the language and cannot name a variable", token.lineno)
        self.assigned.add(token.value)
        return nodes.Name(token.value, context, lineno=token.lineno)

    # Expressions ---------------------------------------------------------------------------------------------------

    def parse_tuple(
        self,
        simplified: bool = False,
        with_condexpr: bool = True,
        extra_end_rules: tuple[str, ...] | None = None,
        explicit_parentheses: bool = False,
        with_namespace: bool = False,
    ) -> nodes.Expr:
        """What stands between `{{` and `}}`: the language has no tuples."""
        return self.parse_expression()

    def parse_expression(self, with_condexpr: bool = True) -> nodes.Expr:
        """A whole expression, ternary included."""
        return self._expression(0)

    def _expression(self, minimum: int) -> nodes.Expr:
        """Precedence climbing: reads operators that bind at least as tightly as `minimum`."""
        self._deeper()
        left = self._unary()
        while (operator := self._operator()) is not None and operator[1] >= minimum:
            name, precedence = operator
            lineno = next(self.stream).lineno
            if name == "pipe":
                left = self._filter(left)
            elif name == "is":
                left = self._test(left)
            else:
                left = self._combine(name, left, self._expression(precedence + 1), lineno)
        if minimum == 0 and self.stream.current.type == "question":
            lineno = next(self.stream).lineno
            chosen = self._expression(0)
            self.stream.expect("colon")
            left = nodes.CondExpr(left, chosen, self._expression(0), lineno=lineno)
        self.depth -= 1
        return left

    def _operator(self) -> tuple[str, int] | None:
        token = self.stream.current
        if token.type == "name":
            return WORDS.get(token.value)
        precedence = SYMBOLS.get(token.type)
        return None if precedence is None else (token.type, precedence)

    @staticmethod
    def _combine(name: str, left: nodes.Expr, right: nodes.Expr, lineno: int) -> nodes.Expr:
        if name == "tilde":
            # A chain of `~` is one node, so that long texts are not deep trees.
            parts = [*left.nodes, right] if isinstance(left, nodes.Concat) else [left, right]
            return nodes.Concat(parts, lineno=lineno)
        binary = _BINARY.get(name)
        if binary is not None:
            return binary(left, right, lineno=lineno)
        return nodes.Compare(left, [nodes.Operand(name, right, lineno=lineno)], lineno=lineno)

    def _unary(self) -> nodes.Expr:
        token = self.stream.current
        if token.type in ("add", "sub"):
            next(self.stream)
            operand = self._expression(UNARY_PRECEDENCE)
            return (nodes.Neg if token.type == "sub" else nodes.Pos)(operand, lineno=token.lineno)
        if token.type == "name" and token.value == "not":
            next(self.stream)
            return nodes.Not(self._expression(UNARY_PRECEDENCE), lineno=token.lineno)
        return self._postfix(self._primary())

    def _primary(self) -> nodes.Expr:
        token = next(self.stream)
        if token.type == "name":
            if token.value in CONSTANTS:
                return nodes.Const(CONSTANTS[token.value], lineno=token.lineno)
            if token.value in WORDS:
                self.fail(f"`{token.value}` needs a value on its left", token.lineno)
            return nodes.Name(token.value, "load", lineno=token.lineno)
        if token.type in ("integer", "float"):
            return nodes.Const(token.value, lineno=token.lineno)
        if token.type == "string":
            return self._text(token.value, token.lineno)
        if token.type == "lparen":
            inner = self._expression(0)
            self.stream.expect("rparen")
            return inner
        if token.type == "lbracket":
            return nodes.List(list(self._separated("rbracket", self.parse_expression)), lineno=token.lineno)
        if token.type == "lbrace":
            return nodes.Dict(list(self._separated("rbrace", self._pair)), lineno=token.lineno)
        return self.fail(f"a value is expected, found `{_shown(token)}`", token.lineno)

    def _pair(self) -> nodes.Pair:
        key = self._expression(0)
        self.stream.expect("colon")
        return nodes.Pair(key, self._expression(0), lineno=key.lineno)

    def _separated(self, end: str, read: Callable[[], Any]) -> list[Any]:
        found: list[Any] = []
        while self.stream.current.type != end:
            if found:
                self.stream.expect("comma")
            found.append(read())
        next(self.stream)
        return found

    def _postfix(self, node: nodes.Expr) -> nodes.Expr:
        while True:
            token = self.stream.current
            if token.type == "dot":
                next(self.stream)
                name = self.stream.current
                if name.type != "name":
                    self.fail(
                        f"a name is expected after `.`, found `{_shown(name)}`; write ['…'] for other keys",
                        name.lineno,
                    )
                next(self.stream)
                node = nodes.Getattr(node, name.value, "load", lineno=name.lineno)
            elif token.type == "lbracket":
                next(self.stream)
                key = self._expression(0)
                self.stream.expect("rbracket")
                node = nodes.Getitem(node, key, "load", lineno=token.lineno)
            elif token.type == "lparen":
                arguments, named = self._arguments()
                node = nodes.Call(node, arguments, named, None, None, lineno=token.lineno)
            else:
                return node

    def _arguments(self) -> tuple[list[nodes.Expr], list[nodes.Keyword]]:
        positional: list[nodes.Expr] = []
        named: list[nodes.Keyword] = []

        def read() -> None:
            token = self.stream.current
            if token.type == "name" and self.stream.look().type == "assign":
                next(self.stream)
                next(self.stream)
                named.append(nodes.Keyword(token.value, self._expression(0), lineno=token.lineno))
                return
            if named:
                self.fail("an argument without a name cannot follow a named one", token.lineno)
            positional.append(self._expression(0))

        self.stream.expect("lparen")
        self._separated("rparen", read)
        return positional, named

    def _filter(self, node: nodes.Expr | None) -> nodes.Filter:
        token = self.stream.expect("name")
        arguments, named = self._arguments() if self.stream.current.type == "lparen" else ([], [])
        return nodes.Filter(cast(nodes.Expr, node), token.value, arguments, named, None, None, lineno=token.lineno)

    def _test(self, node: nodes.Expr) -> nodes.Expr:
        negated = self.stream.skip_if("name:not")
        token = self.stream.expect("name")
        arguments, named = self._arguments() if self.stream.current.type == "lparen" else ([], [])
        test = nodes.Test(node, token.value, arguments, named, None, None, lineno=token.lineno)
        return nodes.Not(test, lineno=token.lineno) if negated else test

    def _text(self, written: str, lineno: int) -> nodes.Expr:
        quote, body = written[0], written[1:-1]
        if quote == "'" or "#{" not in body:
            return nodes.Const(body.replace("\\" + quote, quote), lineno=lineno)
        parts: list[nodes.Expr] = []
        position = 0
        while (start := body.find("#{", position)) >= 0:
            if start > position:
                parts.append(nodes.Const(body[position:start].replace('\\"', '"'), lineno=lineno))
            end = _interpolation_end(body, start + 2)
            parts.append(self._interpolated(body[start + 2 : end], lineno))
            position = end + 1
        if position < len(body):
            parts.append(nodes.Const(body[position:].replace('\\"', '"'), lineno=lineno))
        return nodes.Concat(parts, lineno=lineno)

    def _interpolated(self, text: str, lineno: int) -> nodes.Expr:
        self._deeper()
        try:
            inner = PebbleParser("{{ " + text + " }}", self.depth)
            next(inner.stream)
            node = inner.parse_expression()
            inner.stream.expect("variable_end")
        except TemplateSyntaxError as error:
            self.fail(f"inside `#{{…}}`: {error.message}", lineno)
        self.depth -= 1
        node.set_lineno(lineno, override=True)
        return node

    # Errors --------------------------------------------------------------------------------------------------------

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > EXPRESSION_DEPTH_MAX:
            self.fail(f"expressions and tags nest at most {EXPRESSION_DEPTH_MAX} deep")

    def _fail_ut_eof(self, name: str | None, end_token_stack: list[tuple[str, ...]], lineno: int | None) -> NoReturn:
        wanted = ", ".join(f"`{{% {describe_token_expr(item)} %}}`" for item in end_token_stack[-1]) if end_token_stack else ""
        innermost = f" to close `{{% {self._tag_stack[-1]} %}}`" if self._tag_stack else ""
        if name is None:
            self.fail(f"the template ends where {wanted} is expected{innermost}", lineno)
        if name in _REMOVED_TAGS:
            self.fail(f"the tag `{name}` is not available in flows", lineno)
        self.fail(f"unknown tag `{name}`" + (f"; expected {wanted}{innermost}" if wanted else ""), lineno)


_ENDS = {"variable_end": "}}", "block_end": "%}", "eof": "the end of the template"}


def _shown(token: Token) -> str:
    """A token as it stands in the template."""
    return _ENDS.get(token.type) or str(token.value)[:60]


def _interpolation_end(text: str, position: int) -> int:
    """Where the `}` stands that closes an interpolation. The lexer has made sure that there is one."""
    quote = ""
    for index in range(position, len(text)):
        character = text[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "}":
            return index
    raise TemplateSyntaxError("an interpolation `#{` is never closed", 1)


def parse_template(source: str) -> tuple[nodes.Template, frozenset[str]]:
    """The nodes of a template and the names it binds itself. Raises ExpressionError with the line."""
    try:
        parser = PebbleParser(source)
        return parser.parse(), frozenset(parser.assigned)
    except TemplateSyntaxError as error:
        message = error.message or "cannot be read"
        raise ExpressionError(
            f"Syntax error in the expression: {message} (line {error.lineno})", code="expression.syntax", line=error.lineno
        ) from None
    except RecursionError:
        raise ExpressionError("The expression nests too deep", code="expression.too_deep") from None
