"""jq's functions on texts: formats such as `@csv`, code points, prefixes, and regular expressions on the linear engine."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from flows.errors import ExpressionError
from flows.expressions import regexes
from flows.expressions.budget import Budget
from flows.expressions.jq import values
from flows.expressions.jq.values import JqError


def text(value: Any, name: str) -> str:
    """The value as a text. Raises JqError."""
    if not isinstance(value, str):
        raise JqError(f"{name} expects a string, found {values.kind(value)}")
    return value


def _plain(value: Any, budget: Budget) -> str:
    return value if isinstance(value, str) else values.dump(value, budget)


_HTML = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&#39;", '"': "&quot;"})


def styled(style: str, value: Any, budget: Budget) -> str:
    """The value in a format: `@text`, `@json`, `@csv`, `@tsv`, `@html`, `@uri`, `@sh`, `@base64`, … Raises JqError."""
    if style in ("@csv", "@tsv"):
        return _row(style, value, budget)
    if style == "@sh":
        items = value if isinstance(value, list) else [value]
        found = " ".join(_shell(one, budget) for one in items)
    elif style == "@json":
        return values.dump(value, budget)
    else:
        whole = _plain(value, budget)
        budget.produce(4 * len(whole))
        found = _encoded(style, whole)
    budget.produce(len(found))
    return found


def _encoded(style: str, whole: str) -> str:
    octets = whole.encode("utf-8", "replace")
    if style == "@text":
        return whole
    if style == "@html":
        return whole.translate(_HTML)
    if style == "@uri":
        return quote(octets, safe="-_.~")
    if style == "@urid":
        return unquote(whole)
    if style == "@base64":
        return base64.b64encode(octets).decode("ascii")
    if style == "@base32":
        return base64.b32encode(octets).decode("ascii")
    try:
        if style == "@base64d":
            return base64.b64decode(whole.rstrip("=") + "=" * (-len(whole.rstrip("=")) % 4)).decode("utf-8", "replace")
        if style == "@base32d":
            return base64.b32decode(octets).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise JqError(f"string ({whole[:40]}) is not valid {style[1:-1]} data") from None
    raise JqError(f"{style[1:]} is not a valid format")


def _row(style: str, value: Any, budget: Budget) -> str:
    if not isinstance(value, list):
        raise JqError(f"{values.shown(value, budget)} cannot be {style[1:]}-formatted, only an array can be")
    cells = []
    for one in value:
        if isinstance(one, (list, dict)):
            raise JqError(f"{values.shown(one, budget)} is not valid in a {style[1:]} row")
        if isinstance(one, str):
            budget.produce(2 * len(one))
            cells.append(f'"{one.replace(chr(34), chr(34) * 2)}"' if style == "@csv" else _tabbed(one))
        else:
            cells.append("" if one is None else values.dump(one, budget))
    found = ("," if style == "@csv" else "\t").join(cells)
    budget.produce(len(found))
    return found


def _tabbed(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _shell(value: Any, budget: Budget) -> str:
    if isinstance(value, (list, dict)):
        raise JqError(f"{values.shown(value, budget)} can not be escaped for shell")
    if not isinstance(value, str):
        return values.dump(value, budget)
    budget.produce(len(value) + 3 * value.count("'"))
    return "'" + value.replace("'", "'\\''") + "'"


# Regular expressions -----------------------------------------------------------------------------------------------


def matches(budget: Budget, value: Any, pattern: Any, flags: Any, everywhere: Any) -> list[dict[str, Any]]:
    """The matches as jq describes them: offset, length, string, captures. Flags: g, i, x, s, n, l, p. Raises JqError."""
    subject = text(value, "match")
    if not isinstance(value, str):
        raise JqError(f"{values.shown(value, budget)} cannot be matched, as it is not a string")
    if not isinstance(pattern, str):
        raise JqError(f"{values.shown(pattern, budget)} cannot be matched, as it is not a string")
    letters = "" if flags is None else text(flags, "flags of match")
    if set(letters) - set("gimnpslx"):
        raise JqError(f"{letters[:40]} is not a valid modifier string")
    inline = ("i" if "i" in letters else "") + ("s" if set(letters) & set("sp") else "") + ("x" if "x" in letters else "")
    try:
        expression = regexes.compile_java(f"(?{inline}){pattern}" if inline else pattern)
    except ExpressionError as error:
        raise JqError(f"{pattern[:60]} (at offset 0) is not a valid regex: {error}") from None
    names = {index: name for name, index in expression.names.items()}
    found: list[dict[str, Any]] = []
    for start, end in expression.spans(subject, budget):
        if "n" in letters and start == end:
            continue
        budget.elements(8 + 8 * expression.groups)
        captures = [
            {
                "offset": -1 if span is None else span[0],
                "length": 0 if span is None else span[1] - span[0],
                "string": None if span is None else subject[span[0] : span[1]],
                "name": names.get(index),
            }
            for index, span in enumerate(expression.captured_spans(subject, start, end, budget))
            if index
        ]
        budget.produce(end - start)
        found.append({"offset": start, "length": end - start, "string": subject[start:end], "captures": captures})
        if not (everywhere or "g" in letters):
            break
    return found


# The rest ----------------------------------------------------------------------------------------------------------


def _cut_start(budget: Budget, value: Any, prefix: Any) -> Any:
    return value.removeprefix(prefix) if isinstance(value, str) and isinstance(prefix, str) else value


def _cut_end(budget: Budget, value: Any, suffix: Any) -> Any:
    return value.removesuffix(suffix) if isinstance(value, str) and isinstance(suffix, str) else value


def _starts(budget: Budget, value: Any, prefix: Any) -> bool:
    if not isinstance(value, str) or not isinstance(prefix, str):
        raise JqError("startswith() requires string inputs")
    return value.startswith(prefix)


def _ends(budget: Budget, value: Any, suffix: Any) -> bool:
    if not isinstance(value, str) or not isinstance(suffix, str):
        raise JqError("endswith() requires string inputs")
    return value.endswith(suffix)


def _explode(budget: Budget, value: Any) -> list[int]:
    characters = text(value, "explode")
    budget.elements(len(characters))
    return [ord(character) for character in characters]


def _implode(budget: Budget, value: Any) -> str:
    if not isinstance(value, list):
        raise JqError(f"{values.shown(value, budget)} can't be imploded, it must be an array")
    budget.produce(len(value))
    found = []
    for one in value:
        if values.kind(one) != "number":
            raise JqError("Unicode codepoint must be numeric")
        code = values.whole(one)
        found.append(chr(code) if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd")
    return "".join(found)


def _split(budget: Budget, value: Any, separator: Any) -> list[str]:
    if not isinstance(value, str) or not isinstance(separator, str):
        raise JqError("split input and separator must be strings")
    return values.split(value, separator, budget)


def _ascii_case(value: Any, name: str, low: str, move: int) -> str:
    table = {code: code + move for code in range(ord(low), ord(low) + 26)}
    return text(value, name).translate(table)


def _formatted(budget: Budget, value: Any, name: Any) -> str:
    return styled("@" + text(name, "format"), value, budget)


FUNCTIONS: tuple[tuple[str, Callable[..., Any], int], ...] = (
    ("_match", matches, 3),
    ("ltrimstr", _cut_start, 1),
    ("rtrimstr", _cut_end, 1),
    ("startswith", _starts, 1),
    ("endswith", _ends, 1),
    ("explode", _explode, 0),
    ("implode", _implode, 0),
    ("split", _split, 1),
    ("ascii_downcase", lambda budget, value: budget.text(_ascii_case(value, "ascii_downcase", "A", 32)), 0),
    ("ascii_upcase", lambda budget, value: budget.text(_ascii_case(value, "ascii_upcase", "a", -32)), 0),
    ("trim", lambda budget, value: budget.text(text(value, "trim")).strip(), 0),
    ("ltrim", lambda budget, value: budget.text(text(value, "ltrim")).lstrip(), 0),
    ("rtrim", lambda budget, value: budget.text(text(value, "rtrim")).rstrip(), 0),
    ("format", _formatted, 1),
)
"""Name, function `(budget, value, *arguments)`, number of arguments."""
