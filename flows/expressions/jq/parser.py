"""jq program text → tree: the grammar of jq 1.6, with what 1.7 added where it is a superset (`if` without `else`, …)."""

from __future__ import annotations

from collections.abc import Iterator

from flows.expressions.jq import syntax as s
from flows.expressions.jq.lexer import (
    COMPARISONS,
    ESCAPES,
    NESTING_MAX,
    PROGRAM_CHARACTERS_MAX,
    RESERVED,
    UPDATES,
    JqSyntax,
    Token,
    interpolation_end,
    number,
    tokens,
    unicode_escape,
)


class Parser:
    """Reads one program."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._depth = depth

    def program(self) -> s.Node:
        """The whole program, or nothing but definitions followed by `.`."""
        if self._now.kind == "end":
            return s.Identity()
        node = self.pipe()
        if self._now.kind != "end":
            self._fail()
        return node

    def definitions(self) -> list[s.Definition]:
        """A library: definitions and nothing else."""
        found = []
        while self._is("name", "def"):
            found.append(self._definition())
        return found

    # Helpers -------------------------------------------------------------------------------------------------------

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _is(self, kind: str, value: str) -> bool:
        now = self._now
        return now.kind == kind and now.value == value

    def _take(self, kind: str, value: str) -> bool:
        if self._is(kind, value):
            self._at += 1
            return True
        return False

    def _symbol(self, value: str) -> bool:
        return self._take("symbol", value)

    def _word(self, value: str) -> bool:
        return self._take("name", value)

    def _expect(self, kind: str, value: str | None = None) -> Token:
        now = self._now
        if now.kind != kind or (value is not None and now.value != value):
            self._fail(value or kind)
        self._at += 1
        return now

    def _fail(self, wanted: str = "") -> None:
        now = self._now
        shown = "the end" if now.kind == "end" else f"`{now.value[:40]}`"
        raise JqSyntax(f"unexpected {shown} at {now.position}" + (f", expected `{wanted}`" if wanted else ""))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise JqSyntax(f"it nests deeper than {NESTING_MAX} levels")

    # Expressions ---------------------------------------------------------------------------------------------------

    def pipe(self) -> s.Node:
        """`def …; a | b`, `label $x | b`: the loosest level. A long pipeline is no deep tree for the parser."""
        self._deeper()
        try:
            stages: list[s.Node] = []
            wrappers: list[tuple[int, s.Definition | str]] = []
            while True:
                if self._is("name", "def"):
                    wrappers.append((len(stages), self._definition()))
                    continue
                if self._word("label"):
                    wrappers.append((len(stages), self._expect("variable").value[1:]))
                    self._expect("symbol", "|")
                    continue
                stages.append(self.comma())
                if not self._symbol("|"):
                    return _assembled(stages, wrappers)
        finally:
            self._depth -= 1

    def comma(self) -> s.Node:
        """`a, b`."""
        node = self.alternative()
        while self._symbol(","):
            node = s.Comma(node, self.alternative())
        return node

    def alternative(self) -> s.Node:
        """`a // b`, leaning to the right."""
        left = self.update()
        if self._symbol("//"):
            self._deeper()
            node = s.Logic("//", left, self.alternative())
            self._depth -= 1
            return node
        return left

    def update(self) -> s.Node:
        """`a |= b` and its kin."""
        left = self.either()
        now = self._now
        if now.kind == "symbol" and now.value in UPDATES:
            self._at += 1
            self._deeper()
            node = s.Update(now.value, left, self.alternative())
            self._depth -= 1
            return node
        return left

    def either(self) -> s.Node:
        """`a or b`."""
        node = self.both()
        while self._word("or"):
            node = s.Logic("or", node, self.both())
        return node

    def both(self) -> s.Node:
        """`a and b`."""
        node = self.comparison()
        while self._word("and"):
            node = s.Logic("and", node, self.comparison())
        return node

    def comparison(self) -> s.Node:
        """`a < b`."""
        left = self.sum()
        now = self._now
        if now.kind == "symbol" and now.value in COMPARISONS:
            self._at += 1
            return s.Binary(now.value, left, self.sum())
        return left

    def sum(self) -> s.Node:
        """`a + b`, `a - b`."""
        node = self.product()
        while self._now.kind == "symbol" and self._now.value in ("+", "-"):
            symbol = self._now.value
            self._at += 1
            node = s.Binary(symbol, node, self.product())
        return node

    def product(self) -> s.Node:
        """`a * b`, `a / b`, `a % b`."""
        node = self.unary()
        while self._now.kind == "symbol" and self._now.value in ("*", "/", "%"):
            symbol = self._now.value
            self._at += 1
            node = s.Binary(symbol, node, self.unary())
        return node

    def unary(self) -> s.Node:
        """`-a`, `try a`, and terms."""
        if self._symbol("-"):
            self._deeper()
            node: s.Node = s.Negate(self.unary())
            self._depth -= 1
            return node
        if self._word("try"):
            self._deeper()
            body = self.unary()
            handler = self.unary() if self._word("catch") else None
            self._depth -= 1
            return s.Attempt(body, handler)
        return self.postfix()

    def postfix(self, *, binds: bool = True) -> s.Node:
        """A term and what follows it: `.a`, `[…]`, `?`, `as $x | …`."""
        node = self.term()
        while True:
            now = self._now
            if now.kind == "field":
                self._at += 1
                node = s.Index(node, s.Constant(now.value[1:]))
            elif self._is("symbol", ".") and self._tokens[self._at + 1].kind == "text":
                self._at += 1
                node = s.Index(node, self._text())
            elif self._is("symbol", ".") and self._tokens[self._at + 1].value == "[":
                self._at += 1
            elif self._symbol("["):
                node = self._subscript(node)
            elif self._symbol("?"):
                node = s.Attempt(node, None)
            elif binds and self._word("as"):
                patterns = self._patterns()
                self._expect("symbol", "|")
                return s.Bind(node, patterns, self.pipe())
            else:
                return node

    def _subscript(self, target: s.Node) -> s.Node:
        if self._symbol("]"):
            return s.Each(target)
        if self._symbol(":"):
            end = self.pipe()
            self._expect("symbol", "]")
            return s.Slice(target, None, end)
        key = self.pipe()
        if self._symbol(":"):
            last = None if self._is("symbol", "]") else self.pipe()
            self._expect("symbol", "]")
            return s.Slice(target, key, last)
        self._expect("symbol", "]")
        return s.Index(target, key)

    def term(self) -> s.Node:
        """One term."""
        now = self._now
        self._at += 1
        if now.kind == "number":
            return s.Constant(number(now.value))
        if now.kind == "text":
            self._at -= 1
            return self._text()
        if now.kind == "format":
            return self._text(now.value) if self._now.kind == "text" else s.Format(now.value)
        if now.kind == "field":
            return s.Index(s.Identity(), s.Constant(now.value[1:]))
        if now.kind == "variable":
            return self._variable(now)
        if now.kind == "name":
            return self._named(now)
        if now.kind == "symbol":
            if now.value == ".":
                return s.Index(s.Identity(), self._text()) if self._now.kind == "text" else s.Identity()
            if now.value == "..":
                return s.Descend()
            if now.value == "(":
                inner = self.pipe()
                self._expect("symbol", ")")
                return inner
            if now.value == "[":
                if self._symbol("]"):
                    return s.List(None)
                inner = self.pipe()
                self._expect("symbol", "]")
                return s.List(inner)
            if now.value == "{":
                return self._map()
        self._at -= 1
        self._fail()
        raise AssertionError

    def _variable(self, token: Token) -> s.Node:
        if token.value == "$__loc__":
            return s.Map(((s.Constant("file"), s.Constant("<top-level>")), (s.Constant("line"), s.Constant(1))))
        return s.Variable(token.value[1:])

    def _named(self, token: Token) -> s.Node:
        name = token.value
        if name == "if":
            return self._if()
        if name in ("reduce", "foreach"):
            source = self.postfix(binds=False)
            self._expect("name", "as")
            pattern = self._pattern()
            self._expect("symbol", "(")
            parts = [self.pipe()]
            while self._symbol(";"):
                parts.append(self.pipe())
            self._expect("symbol", ")")
            if len(parts) == 2 and name == "reduce":
                return s.Reduce(source, pattern, *parts)
            if name == "foreach" and len(parts) in (2, 3):
                return s.Foreach(source, pattern, parts[0], parts[1], parts[2] if len(parts) == 3 else None)
            raise JqSyntax(f"`{name}` has {len(parts)} parts at {token.position}")
        if name == "def":
            self._at -= 1
            definition = self._definition()
            return s.Define(definition, self.pipe())
        if name == "break":
            return s.Break(self._expect("variable").value[1:])
        if name in ("import", "include"):
            raise JqSyntax("modules are not available")
        if name in RESERVED:
            self._at -= 1
            self._fail()
        if name in ("true", "false", "null"):
            return s.Constant({"true": True, "false": False, "null": None}[name])
        arguments: list[s.Node] = []
        if self._symbol("("):
            arguments.append(self.pipe())
            while self._symbol(";"):
                arguments.append(self.pipe())
            self._expect("symbol", ")")
        return s.Call(name, tuple(arguments))

    def _if(self) -> s.Node:
        branches = []
        while True:
            condition = self.pipe()
            self._expect("name", "then")
            branches.append((condition, self.pipe()))
            if not self._word("elif"):
                break
        otherwise = self.pipe() if self._word("else") else None
        self._expect("name", "end")
        return s.If(tuple(branches), otherwise)

    def _definition(self) -> s.Definition:
        self._expect("name", "def")
        name = self._expect("name").value
        parameters: list[str] = []
        if self._symbol("("):
            while True:
                if self._now.kind not in ("name", "variable"):
                    self._fail("parameter")
                parameters.append(self._now.value)
                self._at += 1
                if not self._symbol(";"):
                    break
            self._expect("symbol", ")")
        self._expect("symbol", ":")
        body = self.pipe()
        self._expect("symbol", ";")
        return s.Definition(name, tuple(parameters), body)

    def _map(self) -> s.Node:
        entries: list[tuple[s.Node, s.Node]] = []
        while not self._symbol("}"):
            if entries:
                self._expect("symbol", ",")
            entries.append(self._entry())
        return s.Map(tuple(entries))

    def _entry(self) -> tuple[s.Node, s.Node]:
        now = self._now
        if now.kind == "variable":
            self._at += 1
            value = self._variable(now)
            return s.Constant(now.value[1:]), value
        if self._symbol("("):
            key = self.pipe()
            self._expect("symbol", ")")
            self._expect("symbol", ":")
            return key, self._entry_value()
        if now.kind == "text":
            key = self._text()
        elif now.kind == "format":
            self._at += 1
            key = self._text(now.value) if self._now.kind == "text" else s.Format(now.value)
        elif now.kind in ("name", "number"):
            self._at += 1
            key = s.Constant(now.value if now.kind == "name" else number(now.value))
        else:
            self._fail()
            raise AssertionError
        if self._symbol(":"):
            return key, self._entry_value()
        return key, s.Index(s.Identity(), key)

    def _entry_value(self) -> s.Node:
        self._deeper()
        node = self.either() if not self._is("name", "def") else self.term()
        if self._symbol("//"):
            node = s.Logic("//", node, self.alternative())
        if self._symbol("|"):
            node = s.Pipe(node, self._entry_value())
        self._depth -= 1
        return node

    def _patterns(self) -> tuple[s.PatternNode, ...]:
        found = [self._pattern()]
        while self._symbol("?//"):
            found.append(self._pattern())
        return tuple(found)

    def _pattern(self) -> s.PatternNode:
        self._deeper()
        try:
            if self._now.kind == "variable":
                self._at += 1
                return s.VariablePattern(self._tokens[self._at - 1].value[1:])
            if self._symbol("["):
                items = [self._pattern()]
                while self._symbol(","):
                    items.append(self._pattern())
                self._expect("symbol", "]")
                return s.ListPattern(tuple(items))
            self._expect("symbol", "{")
            entries = [self._pattern_entry()]
            while self._symbol(","):
                entries.append(self._pattern_entry())
            self._expect("symbol", "}")
            return s.MapPattern(tuple(entries))
        finally:
            self._depth -= 1

    def _pattern_entry(self) -> tuple[s.Node, str | None, s.PatternNode | None]:
        now = self._now
        if now.kind == "variable":
            self._at += 1
            name = now.value[1:]
            return s.Constant(name), name, self._pattern() if self._symbol(":") else None
        if self._symbol("("):
            key = self.pipe()
            self._expect("symbol", ")")
        elif now.kind == "text":
            key = self._text()
        else:
            key = s.Constant(self._expect("name").value)
        self._expect("symbol", ":")
        return key, None, self._pattern()

    # Texts ---------------------------------------------------------------------------------------------------------

    def _text(self, style: str | None = None) -> s.Node:
        written = self._expect("text").value
        pieces = list(self._pieces(written))
        if all(isinstance(piece, str) for piece in pieces):
            return s.Constant("".join(str(piece) for piece in pieces))
        return s.Text(tuple(pieces), style)

    def _pieces(self, written: str) -> Iterator[str | s.Node]:
        position = 0
        literal: list[str] = []
        while position < len(written):
            character = written[position]
            if character != "\\":
                literal.append(character)
                position += 1
                continue
            following = written[position + 1 : position + 2]
            if following == "(":
                end = interpolation_end(written, position + 2)
                if literal:
                    yield "".join(literal)
                    literal = []
                self._deeper()
                yield Parser(written[position + 2 : end], self._depth).program()
                self._depth -= 1
                position = end + 1
            elif following == "u":
                code, position = unicode_escape(written, position)
                literal.append(code)
            elif following in ESCAPES and following:
                literal.append(ESCAPES[following])
                position += 2
            else:
                raise JqSyntax(f"unknown escape `\\{following}` in a text")
        if literal:
            yield "".join(literal)


def _assembled(stages: list[s.Node], wrappers: list[tuple[int, s.Definition | str]]) -> s.Node:
    """Stages and what was opened before each of them, as one tree built from its end."""
    node: s.Node | None = None
    for index in range(len(stages) - 1, -1, -1):
        node = stages[index] if node is None else s.Pipe(stages[index], node)
        for place, wrapper in reversed(wrappers):
            if place != index:
                continue
            node = s.Define(wrapper, node) if isinstance(wrapper, s.Definition) else s.Label(wrapper, node)
    assert node is not None
    return node


def parse(text: str) -> s.Node:
    """The tree of a program. Raises JqSyntax."""
    if len(text) > PROGRAM_CHARACTERS_MAX:
        raise JqSyntax(f"it is longer than {PROGRAM_CHARACTERS_MAX} characters")
    try:
        return Parser(text).program()
    except RecursionError:
        raise JqSyntax("it nests too deep") from None
