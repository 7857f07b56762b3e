"""Filters on texts (expressions §5.1)."""

from __future__ import annotations

import base64 as base64_
import binascii
import re
import unicodedata
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from flows.errors import ExpressionError
from flows.expressions import regexes
from flows.expressions.filters.format import java_format
from flows.expressions.operators import type_error
from flows.expressions.printing import is_sequence, to_text
from flows.expressions.registry import filter_
from flows.expressions.scope import Frame


def text_of(value: Any, name: str) -> str:
    """The value as a text. Raises ExpressionError when it is none."""
    if not isinstance(value, str):
        raise type_error(f"`{name}` expects a text", value)
    return value


def integer_of(value: Any, name: str, argument: str) -> int:
    """The argument as an integer. Raises ExpressionError when it is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise type_error(f"`{name}` expects an integer as `{argument}`", value)
    return value


@filter_("abbreviate", "length")
def abbreviate(frame: Frame, value: Any, length: Any) -> str:
    """Shortens to `length` characters, the three dots included; a text of exactly that length is shortened too."""
    text, size = text_of(value, "abbreviate"), integer_of(length, "abbreviate", "length")
    if size < 0:
        raise ExpressionError("`abbreviate` expects a length of zero or more", code="expression.range")
    if len(text) < size or len(text) <= 3:
        return text
    if size <= 3:
        return frame.budget.text(text[:size])
    return frame.budget.text(text[: size - 3] + "...")


@filter_("base64encode")
def base64_encode(frame: Frame, value: Any) -> str:
    """Base64 of the UTF-8 bytes."""
    text = text_of(value, "base64encode")
    frame.budget.produce(2 * len(text))
    return base64_.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")


@filter_("base64decode")
def base64_decode(frame: Frame, value: Any) -> str:
    """The UTF-8 text behind base64."""
    text = text_of(value, "base64decode")
    frame.budget.produce(len(text))
    try:
        return base64_.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise ExpressionError("`base64decode` expects base64 text", code="expression.type") from None


@filter_("capitalize")
def capitalize(frame: Frame, value: Any) -> str:
    """The first letter that is not blank in upper case; the rest stays."""
    text = frame.budget.text(text_of(value, "capitalize"))
    for index, character in enumerate(text):
        if not character.isspace():
            return text[:index] + character.upper() + text[index + 1 :]
    return text


@filter_("title")
def title(frame: Frame, value: Any) -> str:
    """The first letter of every word in upper case; the rest stays."""
    text = frame.budget.text(text_of(value, "title"))
    return re.sub(r"(?<!\S)\S", lambda match: match.group().upper(), text)


@filter_("lower")
def lower(frame: Frame, value: Any) -> str:
    """Lower case of the value's text."""
    return frame.budget.text(to_text(value, frame.budget)).lower()


@filter_("upper")
def upper(frame: Frame, value: Any) -> str:
    """Upper case of the value's text."""
    return frame.budget.text(to_text(value, frame.budget)).upper()


@filter_("trim")
def trim(frame: Frame, value: Any) -> str:
    """Without blanks at both ends."""
    return frame.budget.text(text_of(value, "trim")).strip()


@filter_("default", "default", null_passes=False)
def default(frame: Frame, value: Any, replacement: Any) -> Any:
    """The replacement for what is undefined, null, a blank text or without entries; zero and false stay."""
    if value is None:
        return replacement
    if isinstance(value, str):
        return value if value.strip() else replacement
    if (isinstance(value, (Mapping, AbstractSet)) or is_sequence(value)) and not value:
        return replacement
    return value


@filter_("format", "")
def format_(frame: Frame, value: Any, *arguments: Any) -> str:
    """Java's String.format."""
    return java_format(text_of(value, "format"), arguments, frame.budget)


_ESCAPES: dict[str, tuple[str, str]] = {
    "single": ("'", "\\'"),
    "double": ('"', '\\"'),
    "shell": ("'", "'\\''"),
}


@filter_("escapeChar", "type")
def escape_char(frame: Frame, value: Any, kind: Any) -> Any:
    """Escapes quotes; inside lists and maps every value, numbers becoming text."""
    pair = _ESCAPES.get(kind) if isinstance(kind, str) else None
    if pair is None:
        raise ExpressionError("`escapeChar` expects `single`, `double` or `shell` as `type`", code="expression.arguments")
    old, new = pair

    def escape(text: str) -> str:
        frame.budget.produce(len(text) + text.count(old) * len(new))
        return text.replace(old, new)

    return _each_text(frame, value, escape, 0)


def _each_text(frame: Frame, value: Any, change: Callable[[str], str], depth: int) -> Any:
    frame.budget.spend(1)
    if depth > 100:
        raise ExpressionError("The value nests too deep", code="expression.too_deep")
    if isinstance(value, Mapping):
        frame.budget.elements(len(value))
        return {key: _each_text(frame, item, change, depth + 1) for key, item in value.items()}
    if is_sequence(value):
        frame.budget.elements(len(value))
        return [_each_text(frame, item, change, depth + 1) for item in value]
    return None if value is None else change(to_text(value, frame.budget))


def _indented(frame: Frame, value: Any, amount: Any, prefix: Any, name: str) -> tuple[str, str]:
    text, count = text_of(value, name), integer_of(amount, name, "amount")
    unit = text_of(prefix, name)
    if count < 0:
        raise ExpressionError(f"`{name}` expects an amount of zero or more", code="expression.range")
    frame.budget.produce(len(text) + (text.count("\n") + 1) * count * len(unit))
    return text, unit * count


@filter_("indent", "amount prefix")
def indent(frame: Frame, value: Any, amount: Any, prefix: Any = " ") -> str:
    """Every line but the first moved in."""
    text, pad = _indented(frame, value, amount, prefix, "indent")
    return text.replace("\n", "\n" + pad)


@filter_("nindent", "amount prefix")
def nindent(frame: Frame, value: Any, amount: Any, prefix: Any = " ") -> str:
    """A line break, then every line moved in."""
    text, pad = _indented(frame, value, amount, prefix, "nindent")
    return "\n" + pad + text.replace("\n", "\n" + pad) if text else ""


@filter_("nl2br")
def nl2br(frame: Frame, value: Any) -> str:
    """Line breaks as `<br />`."""
    text = text_of(value, "nl2br")
    frame.budget.produce(len(text) + text.count("\n") * 6)
    return text.replace("\r\n", "\n").replace("\n", "<br />")


@filter_("replace", "replace_pairs regexp")
def replace(frame: Frame, value: Any, pairs: Any, regexp: Any = False) -> Any:
    """All pairs of the map in turn, as plain texts or as Java regular expressions; inside lists and maps every text."""
    if not isinstance(pairs, Mapping):
        raise type_error("`replace` expects a map of texts", pairs)
    budget = frame.budget
    texts = [(to_text(old, budget), "" if new is None else to_text(new, budget)) for old, new in pairs.items()]

    def change(text: str) -> str:
        for old, new in texts:
            if regexp is True:
                text = regexes.replace(text, old, new, budget)
            else:
                budget.produce(len(text) + text.count(old) * len(new))
                text = text.replace(old, new)
        return text

    return _each_text(frame, value, change, 0)


@filter_("slugify")
def slugify(frame: Frame, value: Any) -> str:
    """Lower case, accents removed, everything but letters and digits as single hyphens."""
    text = text_of(value, "slugify")
    frame.budget.produce(4 * len(text))
    plain = "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


@filter_("split", "delimiter limit")
def split(frame: Frame, value: Any, delimiter: Any, limit: Any = 0) -> list[str]:
    """Parts between matches of a Java regular expression."""
    return regexes.split(text_of(value, "split"), text_of(delimiter, "split"), integer_of(limit, "split", "limit"), frame.budget)


@filter_("startsWith", "value", null_passes=False)
def starts_with(frame: Frame, value: Any, start: Any) -> bool:
    """Whether the text starts so."""
    return text_of(value, "startsWith").startswith(text_of(start, "startsWith"))


@filter_("endsWith", "value", null_passes=False)
def ends_with(frame: Frame, value: Any, end: Any) -> bool:
    """Whether the text ends so."""
    return text_of(value, "endsWith").endswith(text_of(end, "endsWith"))


@filter_("substringBefore", "separator")
def substring_before(frame: Frame, value: Any, separator: Any) -> str:
    """What stands before the first separator; the whole text without one."""
    text, mark = text_of(value, "substringBefore"), text_of(separator, "substringBefore")
    return frame.budget.text(text.partition(mark)[0] if mark else "")


@filter_("substringBeforeLast", "separator")
def substring_before_last(frame: Frame, value: Any, separator: Any) -> str:
    """What stands before the last separator; the whole text without one."""
    text, mark = text_of(value, "substringBeforeLast"), text_of(separator, "substringBeforeLast")
    before, found, _ = text.rpartition(mark) if mark else ("", "", "")
    return frame.budget.text(before if found else text)


@filter_("substringAfter", "separator")
def substring_after(frame: Frame, value: Any, separator: Any) -> str:
    """What stands after the first separator; empty without one."""
    text, mark = text_of(value, "substringAfter"), text_of(separator, "substringAfter")
    return frame.budget.text(text.partition(mark)[2] if mark else text)


@filter_("substringAfterLast", "separator")
def substring_after_last(frame: Frame, value: Any, separator: Any) -> str:
    """What stands after the last separator; empty without one."""
    text, mark = text_of(value, "substringAfterLast"), text_of(separator, "substringAfterLast")
    if not mark:
        return ""
    _, found, after = text.rpartition(mark)
    return frame.budget.text(after if found else "")


@filter_("urlencode")
def url_encode(frame: Frame, value: Any) -> str:
    """Form encoding: a blank becomes `+`."""
    text = text_of(value, "urlencode")
    frame.budget.produce(6 * len(text))
    return quote_plus(text, safe="*", encoding="utf-8", errors="replace").replace("~", "%7E")


@filter_("urldecode")
def url_decode(frame: Frame, value: Any) -> str:
    """The text behind form encoding."""
    return unquote_plus(frame.budget.text(text_of(value, "urldecode")))


@filter_("string")
def string(frame: Frame, value: Any) -> str:
    """The value's text."""
    return frame.budget.text(to_text(value, frame.budget))


@filter_("regexMatch", "regex|pattern", null_passes=False)
def regex_match(frame: Frame, value: Any, pattern: Any) -> bool:
    """Whether the Java regular expression is found in the value's text; anchor it (`^…$`) to test the whole. Null: false.

    The reference leaves search or whole match open; current versions of the language search.
    """
    if value is None:
        return False
    return regexes.extract(to_text(value, frame.budget), text_of(pattern, "regexMatch"), 0, frame.budget) is not None


@filter_("regexReplace", "regex|pattern replacement")
def regex_replace(frame: Frame, value: Any, pattern: Any, replacement: Any) -> str:
    """Every match in the value's text replaced; `$1` are groups."""
    text = to_text(value, frame.budget)
    return regexes.replace(text, text_of(pattern, "regexReplace"), text_of(replacement, "regexReplace"), frame.budget)


@filter_("regexExtract", "regex|pattern group")
def regex_extract(frame: Frame, value: Any, pattern: Any, group: Any = 0) -> str | None:
    """The first match in the value's text, or one of its groups; null without a match."""
    which = group if isinstance(group, str) else integer_of(group, "regexExtract", "group")
    return regexes.extract(to_text(value, frame.budget), text_of(pattern, "regexExtract"), which, frame.budget)
