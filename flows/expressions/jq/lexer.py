"""jq program text → tokens, texts with their interpolations as one token each."""

from __future__ import annotations

import re
from dataclasses import dataclass

PROGRAM_CHARACTERS_MAX = 20_000
"""Length of a program."""

NESTING_MAX = 60
"""Nesting of a program's parentheses, brackets, definitions and texts."""


class JqSyntax(Exception):
    """The program cannot be read; the text says why and where."""


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: number, text, format, field, name, variable, symbol, end. A text's `value` is what stands between its quotes."""

    kind: str
    value: str
    position: int


_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r\n]+|\#[^\n]*)+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<format>@[A-Za-z0-9]+)"
    r"|(?P<variable>\$(?:[A-Za-z_][A-Za-z0-9_]*::)*[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<name>(?:[A-Za-z_][A-Za-z0-9_]*::)*[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<symbol>\?//=|\?//|//=|\|=|\+=|-=|\*=|/=|%=|==|!=|<=|>=|//|\.\.|[.\[\](){}|,:;=<>+\-*/%?$])"
)

KEYWORDS = frozenset(
    [
        *["def", "if", "then", "elif", "else", "end", "as", "reduce", "foreach", "try", "catch", "label", "import"],
        *["include", "and", "or", "not", "__loc__"],
    ]
)
RESERVED = KEYWORDS - {"not"}

ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

UPDATES = frozenset(["=", "|=", "+=", "-=", "*=", "/=", "%=", "//="])
COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])


def tokens(text: str) -> list[Token]:
    """The tokens of a program. Raises JqSyntax."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        if text[position] == '"':
            end = text_end(text, position + 1)
            found.append(Token("text", text[position + 1 : end - 1], position))
            position = end
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise JqSyntax(f"unexpected character `{text[position]}` at {position}")
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(Token(kind, match.group(), position))
        position = match.end()
    found.append(Token("end", "", len(text)))
    return found


def text_end(text: str, position: int, depth: int = 0) -> int:
    """Behind the quote that closes a text; `\\(…)` inside may hold texts of its own."""
    while position < len(text):
        character = text[position]
        if character == '"':
            return position + 1
        if character == "\\" and text[position + 1 : position + 2] == "(":
            position = interpolation_end(text, position + 2, depth + 1) + 1
        else:
            position += 2 if character == "\\" else 1
    raise JqSyntax("a text is never closed")


def interpolation_end(text: str, position: int, depth: int = 0) -> int:
    """Where the `)` stands that closes an interpolation."""
    if depth > NESTING_MAX:
        raise JqSyntax(f"it nests deeper than {NESTING_MAX} levels")
    opened = 0
    while position < len(text):
        character = text[position]
        if character == '"':
            position = text_end(text, position + 1, depth)
            continue
        if character == "(":
            opened += 1
        elif character == ")":
            if opened == 0:
                return position
            opened -= 1
        position += 1
    raise JqSyntax("an interpolation `\\(` is never closed")


def number(text: str) -> int | float:
    if text.isdigit() and len(text) <= 16:
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 1e15 and "." not in text else number


def unicode_escape(text: str, position: int) -> tuple[str, int]:
    match = re.compile(r"\\u([0-9a-fA-F]{4})(?:\\u([0-9a-fA-F]{4}))?").match(text, position)
    if match is None:
        raise JqSyntax("`\\u` in a text needs four hexadecimal digits")
    high, low = int(match[1], 16), int(match[2], 16) if match[2] else 0
    if 0xD800 <= high < 0xDC00 and 0xDC00 <= low < 0xE000:
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), match.end()
    return (chr(high) if not 0xD800 <= high < 0xE000 else "\ufffd"), position + 6
