"""Ion text → values, one top-level value after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from flows.expressions.budget import Budget
from flows.expressions.ion.values import DEPTH_MAX, DIGITS_MAX, VALUE_BYTES, fault, moment, number, too_deep

_SPACE = re.compile(r"(?:[ \t\r\n\v\f]+|//[^\n\r]*|/\*.*?\*/)+", re.DOTALL)
_STAMP = re.compile(
    r"([0-9]{4})(?:T|-([0-9]{2})(?:T|-([0-9]{2})(?:T(?:([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2}))?)?))(?![A-Za-z0-9_.:+-])"
)
_NUMBER = re.compile(
    r"-?(?:0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0[bB][01]+(?:_[01]+)*"
    r"|[0-9]+(?:_[0-9]+)*(?P<fraction>\.(?:[0-9]+(?:_[0-9]+)*)?)?(?:(?P<exponent>[eEdD])[+-]?[0-9]+)?)(?![A-Za-z0-9_$])"
)
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_OPERATOR = re.compile(r"[-!#%&*+./;<=>?@^`|~]+")
_SHORT = re.compile(r'"((?:[^"\\\n]|\\.)*)"', re.DOTALL)
_QUOTED = re.compile(r"'((?:[^'\\\n]|\\.)*)'", re.DOTALL)
_LONG = re.compile(r"'''((?:[^'\\]|\\.|'(?!''))*)'''", re.DOTALL)
_BLOB = re.compile(r"\{\{\s*([A-Za-z0-9+/=\s]*)\}\}")
_CLOB = re.compile(r"\{\{\s*(?:\"((?:[^\"\\\n]|\\.)*)\"|'''((?:[^'\\]|\\.|'(?!''))*)''')\s*\}\}", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r\n|.))", re.DOTALL)
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "f": "\f",
    "r": "\r",
    "v": "\v",
    "\n": "",
    "\r\n": "",
    "\r": "",
}
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "nan": float("nan")}
_KINDS = frozenset(
    [
        *["null", "bool", "int", "float", "decimal", "timestamp", "symbol"],
        *["string", "clob", "blob", "list", "sexp", "struct"],
    ]
)


def read_text(text: str, budget: Budget) -> Iterator[Any]:
    """The values of an Ion text. Raises ExpressionError (`expression.invalid_ion`, `expression.too_…`)."""
    budget.produce(len(text))
    reader = _Reader(text, budget)
    while not reader.at_end():
        value, marker = reader.top_level()
        if not marker:
            yield value


class _Reader:
    def __init__(self, text: str, budget: Budget) -> None:
        self.text = text
        self.position = 0
        self.budget = budget

    def at_end(self) -> bool:
        self._skip()
        return self.position >= len(self.text)

    def top_level(self) -> tuple[Any, bool]:
        """The next value, and whether it is a version marker or symbol table instead of data."""
        start = self.position
        value = self._value(0, inside_sexp=False)
        written = self.text[start : start + 24]
        return value, written.startswith("$ion_symbol_table::") or (value == "$ion_1_0" and written.startswith("$ion_1_0"))

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        if match is not None:
            self.position = match.end()

    def _peek(self, text: str) -> bool:
        return self.text.startswith(text, self.position)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def _fail(self) -> Exception:
        found = self.text[self.position : self.position + 20]
        return fault(f"unexpected `{found}` at {self.position}" if found else "it ends in the middle of a value")

    def _value(self, depth: int, *, inside_sexp: bool) -> Any:
        self.budget.spend(1)
        self.budget.produce(VALUE_BYTES)
        if depth > DEPTH_MAX:
            raise too_deep()
        while True:
            self._skip()
            value, annotates = self._one(depth, inside_sexp=inside_sexp)
            if not annotates:
                return value
            self._skip()
            if not self._peek("::"):
                return value
            self.position += 2
            self.budget.spend(1)

    def _one(self, depth: int, *, inside_sexp: bool) -> tuple[Any, bool]:
        """A value, and whether it may turn out to be an annotation of the next one."""
        head = self.text[self.position : self.position + 1]
        if head == "{":
            return (self._octets() if self._peek("{{") else self._struct(depth)), False
        if head in ("[", "("):
            return self._sequence(depth, "]" if head == "[" else ")"), False
        if head == '"':
            return self._unescaped(self._take(_SHORT)), False
        if self._peek("'''"):
            return self._long(), False
        if head == "'":
            return self._unescaped(self._take(_QUOTED)), True
        if head.isdigit() or (head == "-" and self.text[self.position + 1 : self.position + 2].isdigit()):
            return self._scalar(), False
        for word, value in (("+inf", float("inf")), ("-inf", float("-inf"))):
            if self._peek(word):
                self.position += 4
                return value, False
        match = self._take(_NAME)
        if match is None and inside_sexp:
            match = self._take(_OPERATOR)
        if match is None:
            raise self._fail()
        return self._word(match.group())

    def _word(self, name: str) -> tuple[Any, bool]:
        if name not in _WORDS:
            return name, True
        if name == "null" and self._peek("."):
            self.position += 1
            kind = self._take(_NAME)
            if kind is None or kind.group() not in _KINDS:
                raise self._fail()
        return _WORDS[name], False

    def _unescaped(self, match: re.Match[str] | None) -> str:
        if match is None:
            raise self._fail()
        body = match.group(1)
        if "\\" not in body:
            return body
        found = _ESCAPE.sub(_escaped, body)
        return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if "\\u" in body else found

    def _long(self) -> str:
        pieces = []
        while self._peek("'''"):
            match = self._take(_LONG)
            if match is None:
                raise self._fail()
            pieces.append(_ESCAPE.sub(_escaped, match.group(1).replace("\r\n", "\n")))
            self._skip()
        return "".join(pieces)

    def _scalar(self) -> Any:
        stamp = self._take(_STAMP)
        if stamp is not None:
            return _stamp(stamp)
        match = self._take(_NUMBER)
        if match is None:
            raise self._fail()
        written = match.group().replace("_", "")
        if len(written) > DIGITS_MAX:
            raise fault(f"a number has more than {DIGITS_MAX} digits")
        plain = written.lstrip("-")
        if plain[:2].lower() in ("0x", "0b"):
            whole = int(plain[2:], 16 if plain[1] in "xX" else 2)
            return -whole if written[0] == "-" else whole
        exponent = match["exponent"]
        if exponent in ("e", "E"):
            return float(written)
        if exponent or match["fraction"] is not None:
            return number(Decimal(written.lower().replace("d", "e")))
        if len(plain) > 1 and plain[0] == "0":
            raise fault(f"the number {written[:20]} begins with zero")
        return int(written)

    def _sequence(self, depth: int, end: str) -> list[Any]:
        self.position += 1
        found: list[Any] = []
        while True:
            self._skip()
            if self._peek(end):
                self.position += 1
                return found
            found.append(self._value(depth + 1, inside_sexp=end == ")"))
            self._skip()
            if end == "]" and not self._comma("]"):
                raise self._fail()

    def _comma(self, end: str) -> bool:
        """Takes a comma; a closing bracket does as well."""
        if self._peek(","):
            self.position += 1
            return True
        return self._peek(end)

    def _struct(self, depth: int) -> dict[str, Any]:
        self.position += 1
        found: dict[str, Any] = {}
        while True:
            self._skip()
            if self._peek("}"):
                self.position += 1
                return found
            key = self._key()
            self._skip()
            if not self._peek(":"):
                raise self._fail()
            self.position += 1
            found[key] = self._value(depth + 1, inside_sexp=False)
            self._skip()
            if not self._comma("}"):
                raise self._fail()

    def _key(self) -> str:
        if self._peek("'''"):
            return self._long()
        if self._peek('"'):
            return self._unescaped(self._take(_SHORT))
        if self._peek("'"):
            return self._unescaped(self._take(_QUOTED))
        match = self._take(_NAME)
        if match is None:
            raise self._fail()
        return match.group()

    def _octets(self) -> str:
        blob = self._take(_BLOB)
        if blob is not None:
            return "".join(blob.group(1).split())
        clob = self._take(_CLOB)
        if clob is None:
            raise self._fail()
        return _ESCAPE.sub(_escaped, clob.group(1) or clob.group(2) or "")


def _escaped(match: re.Match[str]) -> str:
    code = match.group(1) or match.group(2) or match.group(3)
    if code is not None:
        point = int(code, 16)
        if point > 0x10FFFF:
            raise fault("an escape is beyond Unicode")
        return chr(point)
    return _ESCAPES.get(match.group(4), match.group(4))


def _stamp(match: re.Match[str]) -> Any:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        on = date(int(year), int(month or 1), int(day or 1))
    except ValueError as error:
        raise fault(f"a timestamp is no date: {error}") from None
    if hour is None:
        return on
    micros = int((fraction or "0").ljust(6, "0")[:6])
    offset = None if zone in ("Z", "-00:00") else (int(zone[1:3]) * 60 + int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
    return moment(on, (int(hour), int(minute), int(second or 0), micros), offset)
