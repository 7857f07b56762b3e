"""Java regular expressions on values of a template: spelling translated, run in linear time (guarantee T7)."""

from __future__ import annotations

import re
from functools import lru_cache

from flows.errors import ExpressionError
from flows.expressions.budget import Budget
from flows.expressions.linear_regex import LinearPattern, Refused, compile_linear

PATTERN_CHARACTERS_MAX = 1_000
"""Length of a pattern."""


def _refused(reason: str) -> ExpressionError:
    return ExpressionError(f"The regular expression is refused: {reason}", code="expression.regex")


@lru_cache(maxsize=128)
def compile_java(pattern: str) -> LinearPattern:
    """The pattern, from the cache when it was seen before. Raises ExpressionError (`expression.regex`)."""
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise _refused(f"it is longer than {PATTERN_CHARACTERS_MAX} characters")
    try:
        return compile_linear(_from_java(pattern))
    except (re.error, OverflowError) as error:
        raise ExpressionError(f"`{pattern[:80]}` is no valid regular expression: {error}", code="expression.regex") from None
    except Refused as error:
        raise _refused(str(error)) from None


_JAVA_CLASSES = {
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "Space": r"\s",
    "Blank": r" \t",
    "Punct": r"!-/:-@\[-`{-~",
    "XDigit": "0-9a-fA-F",
    "ASCII": r"\x00-\x7f",
}

_JAVA_ESCAPE = re.compile(r"\\[pP]\{(\w+)\}|\\.|\[:(\w+):\]|\[\^?|\]|&&|--|~~|\|\|", re.DOTALL)


def _from_java(pattern: str) -> str:
    r"""Spellings Python does not know: `(?<name>…)`, `\p{Alpha}`, `[[:alpha:]]`, `\h`, `\R`, `\z`, `\Q…\E`."""
    if "\\" not in pattern and "(?<" not in pattern and "[" not in pattern:
        return pattern
    pattern = re.sub(r"\\Q(.*?)(?:\\E|$)", lambda match: re.escape(match.group(1)), pattern, flags=re.DOTALL)
    pattern = re.sub(r"\(\?<([A-Za-z]\w*)>", r"(?P<\1>", pattern)
    inside = False

    def escape(match: re.Match[str]) -> str:
        nonlocal inside
        text = match.group(0)
        if match.group(2) is not None and inside:
            named = _JAVA_CLASSES.get(match.group(2).capitalize().replace("Xdigit", "XDigit"))
            if named is None:
                raise _refused(f"the class {text} is not available")
            return named
        if text in ("&&", "--", "~~", "||"):
            if inside and text == "&&":
                raise _refused("the intersection of character classes is not available")
            return "".join("\\" + one for one in text) if inside else text
        if text[0] == "[":
            if inside:
                raise _refused("a character class inside another is not available")
            inside = True
            return text
        if text == "]":
            inside = False
            return text
        if text == "\\h":
            return r" \t" if inside else r"[ \t]"
        if text == "\\R":
            return r"(?:\r\n|[\n\r])"
        if text == "\\z":
            return r"\Z"
        if text == "\\Z":
            return "$"
        if match.group(1) is not None:
            known = _JAVA_CLASSES.get(match.group(1))
            if known is None or (inside and text[1] == "P"):
                raise _refused(f"the class {text} is not available")
            return known if inside else f"[{'^' if text[1] == 'P' else ''}{known}]"
        return text

    return _JAVA_ESCAPE.sub(escape, pattern)


_PLAIN_DELIMITER = re.compile(r"[^\\.\[{()*+?^$|]+")


def split(text: str, delimiter: str, limit: int, budget: Budget) -> list[str]:
    """As Java's String.split: trailing empty texts are dropped when there is no limit."""
    budget.produce(len(text))
    if _PLAIN_DELIMITER.fullmatch(delimiter):
        budget.elements(text.count(delimiter) + 1)
        parts = text.split(delimiter, limit - 1) if limit > 0 else text.split(delimiter)
    else:
        parts = []
        position = 0
        for start, end in compile_java(delimiter).spans(text, budget):
            if limit > 0 and len(parts) == limit - 1:
                break
            if end == 0 or start == end == len(text):
                continue
            budget.elements(1)
            parts.append(text[position:start])
            position = end
        parts.append(text[position:])
    if limit == 0:
        while len(parts) > 1 and not parts[-1]:
            parts.pop()
    return parts


_REFERENCE = re.compile(r"\\(.)|\$\{([A-Za-z]\w*)\}|\$(\d)", re.DOTALL)


def replace(text: str, pattern: str, replacement: str, budget: Budget) -> str:
    """As Java's replaceAll: `$1` and `${name}` are groups, a backslash takes the next character as it is."""
    expression = compile_java(pattern)
    refers = _REFERENCE.search(replacement) is not None
    pieces: list[str] = []
    position = 0
    budget.produce(len(text))
    for start, end in expression.spans(text, budget):
        piece = replacement
        if refers:
            groups = expression.captured(text, start, end, budget)
            piece = _REFERENCE.sub(lambda reference: _group(reference, groups, expression), replacement)  # noqa: B023
        budget.spend(3)
        budget.produce(len(piece) + 16)
        pieces.append(text[position:start])
        pieces.append(piece)
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _group(reference: re.Match[str], groups: list[str | None], expression: LinearPattern) -> str:
    literal, name, number = reference.groups()
    if literal is not None:
        return str(literal)
    index = expression.names.get(name, -1) if name is not None else int(number)
    if not 0 <= index < len(groups):
        raise _refused(f"it has no group {name or number}")
    return groups[index] or ""


def full_match(text: str, pattern: str, budget: Budget) -> bool:
    """Whether the whole text fits the pattern."""
    return compile_java(pattern).fits(text, budget)


def extract(text: str, pattern: str, group: int | str, budget: Budget) -> str | None:
    """The first match, or one of its groups; None without a match. Raises ExpressionError for a group it does not have."""
    expression = compile_java(pattern)
    index = expression.names.get(group, -1) if isinstance(group, str) else group
    if not 0 <= index <= expression.groups:
        raise _refused(f"it has no group {group}")
    span = expression.search(text, 0, budget)
    return None if span is None else expression.captured(text, *span, budget)[index]


def check(pattern: str) -> None:
    """Raises ExpressionError when the pattern is not acceptable."""
    compile_java(pattern)
