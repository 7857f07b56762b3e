"""Jinja2's lexer taught the words of Pebble: `??`, `???`, `..`, `? :`, `12L`, `verbatim`, texts without escapes.

Three characters stand in for others while a template is inside the engine. They are Unicode noncharacters, which no
text meant for interchange contains:

- `RAW_BRACE` for a `{` of a raw block, so that a later `render()` leaves it alone. `Template` puts the brace back.
- `CARRIAGE` for a carriage return, which Jinja2's lexer would otherwise turn into a line feed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from jinja2 import Environment, TemplateSyntaxError
from jinja2 import lexer as jinja_lexer
from jinja2.lexer import Lexer, OptionalLStrip, Token, TokenStream

from flows.limits import EXPRESSION_TOKENS_MAX

RAW_BRACE = "\ufdd0"
CARRIAGE = "\ufdd1"

OPERATORS = {
    "???": "coalesce_undefined",
    "??": "coalesce",
    "..": "range",
    "==": "eq",
    "!=": "ne",
    "<=": "lteq",
    ">=": "gteq",
    "<": "lt",
    ">": "gt",
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "%": "mod",
    "~": "tilde",
    "|": "pipe",
    "?": "question",
    ":": "colon",
    ",": "comma",
    ".": "dot",
    "=": "assign",
    "(": "lparen",
    ")": "rparen",
    "[": "lbracket",
    "]": "rbracket",
    "{": "lbrace",
    "}": "rbrace",
}

INTEGER_MAX = 2**63 - 1

_SINGLE = r"'(?:[^'\\]|\\.)*+'"
# Inside double quotes `#{…}` holds an expression, which may itself contain quoted texts.
_DOUBLE = r'"(?:[^"\\#]|\\.|#(?!\{)|#\{(?:[^}"\']|"[^"]*+"|\'[^\']*+\')*+\})*+"'

_TAG_RULES: tuple[tuple[str, str], ...] = (
    (rf"[\s{CARRIAGE}]+", "whitespace"),
    (r"[0-9]+\.[0-9]+", "float"),
    (r"[0-9]+L?(?![^\W\d_])", "integer"),
    (r"[^\W\d]\w*+", "name"),
    (f"{_SINGLE}|{_DOUBLE}", "string"),
    ("|".join(re.escape(symbol) for symbol in OPERATORS), "operator"),
)

_ROOT = (
    r"(.*?)(?:"
    r"(?P<raw_begin>\{%(-(?=\s)|)\s*raw\s*(?:-%\}\s*|%\}))"
    r"|(?P<verbatim_begin>\{%(-(?=\s)|)\s*verbatim\s*(?:-%\}\s*|%\}))"
    r"|(?P<comment_begin>\{#(-(?=\s)|))"
    r"|(?P<block_begin>\{%(-(?=\s)|))"
    r"|(?P<variable_begin>\{\{(-(?=\s)|)))"
)


def _stripping(*kinds: str) -> Any:
    """Marks a rule whose text is stripped before a tag with a dash."""
    return OptionalLStrip(*kinds)  # type: ignore[no-untyped-call]


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL | re.MULTILINE)


class PebbleLexer(Lexer):
    """Splits a template into Jinja2 tokens. Raises TemplateSyntaxError."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        rule = jinja_lexer._Rule
        tags = [rule(_pattern(text), kind, None) for text, kind in _TAG_RULES]
        failure = jinja_lexer.Failure

        def protected(word: str) -> list[Any]:
            end = _pattern(rf"(.*?)((?:\{{%(-|))\s*end{word}\s*(?:-%\}}\s*|%\}}))")
            return [
                rule(end, _stripping("data", "raw_end"), "#pop"),
                rule(_pattern("(.)"), (failure(f"`{{% {word} %}}` is never closed by `{{% end{word} %}}`"),), None),
            ]

        self.rules = {
            "root": [
                rule(_pattern(_ROOT), _stripping("data", "#bygroup"), "#bygroup"),
                rule(_pattern(".+"), "data", None),
            ],
            "comment_begin": [
                rule(_pattern(r"(.*?)(-#\}\s*|#\})"), ("comment", "comment_end"), "#pop"),
                rule(_pattern("(.)"), (failure("the comment opened by `{#` is never closed by `#}`"),), None),
            ],
            "block_begin": [rule(_pattern(r"-%\}\s*|%\}"), "block_end", "#pop"), *tags],
            "variable_begin": [rule(_pattern(r"-\}\}\s*|\}\}"), "variable_end", "#pop"), *tags],
            "raw_begin": protected("raw"),
            "verbatim_begin": protected("verbatim"),
        }

    def tokenize(
        self, source: str, name: str | None = None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        """The tokens of a template."""
        if "\r" in source:
            source = source.replace("\r", CARRIAGE)
        return super().tokenize(source, name, filename, state)

    def wrap(
        self, stream: Iterable[tuple[int, str, str]], name: str | None = None, filename: str | None = None
    ) -> Iterator[Token]:
        """Gives every token its value. Texts stay as written: the parser reads them."""
        protected = False
        for count, (lineno, found, text) in enumerate(stream):
            if count > EXPRESSION_TOKENS_MAX:
                raise TemplateSyntaxError(f"a template has at most {EXPRESSION_TOKENS_MAX} tokens", lineno)
            value: Any = text
            kind = OPERATORS[text] if found == "operator" else found
            if kind in ("raw_begin", "verbatim_begin"):
                protected = True
                continue
            if kind == "raw_end":
                protected = False
                continue
            if kind in ("whitespace", "comment_begin", "comment", "comment_end"):
                continue
            if kind == "data":
                if CARRIAGE in text:
                    value = text.replace(CARRIAGE, "\r")
                if protected:
                    value = value.replace("{", RAW_BRACE)
            elif kind == "string":
                value = text.replace(CARRIAGE, "\r")
            elif kind == "integer":
                digits = text.rstrip("L")
                if len(digits) > 19 or int(digits) > INTEGER_MAX:
                    raise TemplateSyntaxError(f"`{digits[:30]}` does not fit a 64-bit integer", lineno)
                value = int(digits)
            elif kind == "float":
                value = float(text)
            yield Token(lineno, kind, value)
