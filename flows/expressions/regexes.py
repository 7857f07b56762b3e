"""Java regular expressions inside templates, bounded (guarantee T7).

Python's engine backtracks and cannot be interrupted. So a pattern is examined before it runs: repeats inside repeats are
refused, as are look-around and back-references, and the remaining cost, which grows with the subject's length to the power
of the number of open repeats that follow each other, is held below a fixed number of steps.
"""

from __future__ import annotations

import re
from functools import lru_cache
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.budget import Budget

PATTERN_CHARACTERS_MAX = 1_000
"""Length of a pattern."""

REGEX_STEPS_MAX = 40_000_000
"""Worst-case steps of one matching, about 0.4 s; ordinary data stays far below."""


def _refuse(reason: str) -> ExpressionError:
    return ExpressionError(f"The regular expression is refused: {reason}", code="expression.regex")


class _Examined:
    """A compiled pattern and the power of the subject's length that bounds its cost."""

    __slots__ = ("compiled", "power")

    def __init__(self, compiled: re.Pattern[str], power: int) -> None:
        self.compiled = compiled
        self.power = power


def _open_repeats(tree: Any, inside: bool) -> int:
    """How many unbounded repeats follow one another on the worst path. Raises for shapes that may explode."""
    count = 0
    for operation, argument in tree:
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            least, most, body = argument
            variable = most is sre.MAXREPEAT or most - least > 10
            if variable and inside:
                raise _refuse("a repeat inside a repeat, such as (a+)+, can take for ever")
            if most is not sre.MAXREPEAT and most > 1000:
                raise _refuse("counted repeats go up to 1000")
            nested = _open_repeats(body, inside or variable or most > 1)
            count += nested + (1 if variable else 0)
            if variable and len(body) == 1 and body[0][0] is sre.BRANCH and len(body[0][1][1]) > 1 and nested:
                raise _refuse("a repeat inside a repeated alternative can take for ever")
        elif operation is sre.SUBPATTERN:
            count += _open_repeats(argument[3], inside)
        elif operation is sre.BRANCH:
            if inside:
                raise _refuse("an alternative inside a repeat can take for ever; use a character class")
            count += max(_open_repeats(branch, inside) for branch in argument[1])
        elif operation is sre.ATOMIC_GROUP:
            count += _open_repeats(argument, inside)
        elif operation in (sre.ASSERT, sre.ASSERT_NOT):
            if _open_repeats(argument[1], True):
                raise _refuse("look-around must be of bounded length")
        elif operation in (sre.GROUPREF, sre.GROUPREF_EXISTS):
            raise _refuse("back-references are not available")
    return count


@lru_cache(maxsize=512)
def _examine(pattern: str) -> _Examined:
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise _refuse(f"it is longer than {PATTERN_CHARACTERS_MAX} characters")
    translated = _from_java(pattern)
    try:
        tree = sre_parser.parse(translated)
        power = _open_repeats(tree, False)
        compiled = re.compile(translated)
    except (re.error, OverflowError) as error:
        raise ExpressionError(f"`{pattern[:80]}` is no valid regular expression: {error}", code="expression.regex") from None
    except RecursionError:
        raise _refuse("it nests too deep") from None
    return _Examined(compiled, power)


_JAVA_CLASSES = {
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "Space": r"\s",
    "Punct": r"!-/:-@\[-`{-~",
    "XDigit": "0-9a-fA-F",
    "L": "a-zA-Z",
    "Lu": "A-Z",
    "Ll": "a-z",
    "N": "0-9",
    "Nd": "0-9",
}


def _from_java(pattern: str) -> str:
    """Java spellings Python does not know: `(?<name>…)`, `\\p{Alpha}`, `\\h`, `\\R`, `\\z`, `\\Q…\\E`."""
    if "\\" not in pattern and "(?<" not in pattern:
        return pattern

    def quoted(match: re.Match[str]) -> str:
        return re.escape(match.group(1))

    pattern = re.sub(r"\\Q(.*?)(?:\\E|$)", quoted, pattern, flags=re.DOTALL)
    pattern = re.sub(r"\(\?<([A-Za-z]\w*)>", r"(?P<\1>", pattern)

    def escape(match: re.Match[str]) -> str:
        text = match.group(0)
        if text == "\\h":
            return r"[ \t]"
        if text == "\\R":
            return r"(?:\r\n|[\n\r])"
        if text in ("\\z", "\\Z"):
            return r"\Z"
        if text[:2] in ("\\p", "\\P") and len(text) > 2:
            known = _JAVA_CLASSES.get(match.group(1).removeprefix("Is"))
            if known is None:
                raise _refuse(f"the class {text} is not known")
            return f"[{'^' if text[1] == 'P' else ''}{known}]"
        return text

    return re.sub(r"\\[pP]\{(\w+)\}|\\.", escape, pattern, flags=re.DOTALL)


def compiled(pattern: str, subject_length: int, budget: Budget) -> re.Pattern[str]:
    """The pattern, once it is certain that it ends in time on a subject of that length.

    Raises ExpressionError (`expression.regex`) for what is no pattern, may explode, or would take too long.
    """
    examined = _examine(pattern)
    cost = max(subject_length, 1) ** (examined.power + 1) if examined.power else subject_length
    if cost > REGEX_STEPS_MAX:
        longest = int(REGEX_STEPS_MAX ** (1 / (examined.power + 1)))
        raise _refuse(f"with {examined.power} open repeats it takes texts of up to {longest} characters, found {subject_length}")
    budget.spend(cost // 5000 + 1)
    return examined.compiled


def split(text: str, delimiter: str, limit: int, budget: Budget) -> list[str]:
    """As Java's String.split: trailing empty texts are dropped when there is no limit."""
    budget.produce(len(text))
    if delimiter and re.fullmatch(r"[^\\.\[{()*+?^$|]+", delimiter):
        budget.elements(text.count(delimiter) + 1)
        parts = text.split(delimiter, limit - 1) if limit > 0 else text.split(delimiter)
    else:
        pattern = compiled(delimiter, len(text), budget)
        parts = []
        position = 0
        for match in pattern.finditer(text):
            if limit > 0 and len(parts) == limit - 1:
                break
            if match.end() == match.start() and match.start() in (0, len(text)):
                continue
            if match.end() == 0:
                continue
            budget.elements(1)
            parts.append(text[position : match.start()])
            position = match.end()
        parts.append(text[position:])
    if limit == 0:
        while len(parts) > 1 and not parts[-1]:
            parts.pop()
    return parts


_GROUP = re.compile(r"\\(.)|\$\{([A-Za-z]\w*)\}|\$(\d)")


def replace(text: str, pattern: str, replacement: str, budget: Budget) -> str:
    """As Java's replaceAll: `$1` and `${name}` are groups, a backslash takes the next character as it is."""
    expression = compiled(pattern, len(text), budget)

    def expand(match: re.Match[str]) -> str:
        def part(reference: re.Match[str]) -> str:
            literal, name, number = reference.groups()
            if literal is not None:
                return str(literal)
            try:
                return match.group(name or int(number)) or ""
            except (IndexError, re.error):
                raise _refuse(f"it has no group {name or number}") from None

        piece = _GROUP.sub(part, replacement) if "$" in replacement or "\\" in replacement else replacement
        budget.produce(len(piece) + 1)
        return piece

    budget.produce(len(text))
    return expression.sub(expand, text)


def full_match(text: str, pattern: str, budget: Budget) -> bool:
    """Whether the whole text fits the pattern."""
    return compiled(pattern, len(text), budget).fullmatch(text) is not None


def search(text: str, pattern: str, budget: Budget) -> re.Match[str] | None:
    """The first place that fits the pattern."""
    return compiled(pattern, len(text), budget).search(text)


def check(pattern: str) -> None:
    """Raises ExpressionError when the pattern is not acceptable at all."""
    _examine(pattern)
