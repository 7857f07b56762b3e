"""Binary Ion 1.0 → values: typed, length-prefixed values and the symbol tables between them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flows.expressions.budget import Budget
from flows.expressions.ion.values import DEPTH_MAX, DIGITS_MAX, VALUE_BYTES, fault, moment, number, too_deep

SYSTEM_SYMBOLS = (
    *("", "$ion", "$ion_1_0", "$ion_symbol_table", "name", "version", "imports", "symbols", "max_id"),
    "$ion_shared_symbol_table",
)
"""The symbols that every table begins with; the first one has no text."""
SYMBOL_TABLE, IMPORTS, SYMBOLS = 3, 6, 7

NULL, BOOL, POSITIVE, NEGATIVE, FLOAT, DECIMAL, TIMESTAMP, SYMBOL, STRING, CLOB, BLOB, LIST, SEXP, STRUCT, ANNOTATED = range(15)


def read_binary(octets: bytes, budget: Budget) -> Iterator[Any]:
    """The values of binary Ion. Raises ExpressionError (`expression.invalid_ion`, `expression.too_…`)."""
    budget.produce(len(octets))
    reader = _Reader(octets, budget)
    end = len(octets)
    while reader.position < end:
        if octets.startswith(b"\xe0\x01\x00\xea", reader.position):
            reader.position += 4
            reader.symbols = list(SYSTEM_SYMBOLS)
            continue
        present, value = reader.top_level(end)
        if present:
            yield value


class _Reader:
    def __init__(self, octets: bytes, budget: Budget) -> None:
        self.octets = octets
        self.budget = budget
        self.position = 0
        self.symbols = list(SYSTEM_SYMBOLS)

    def top_level(self, end: int) -> tuple[bool, Any]:
        """Whether there is a value, and the value; symbol tables and padding are none."""
        kind, length, start = self._head(end)
        if kind == ANNOTATED and length >= 0:
            wrapper_end = start + length
            count_end = self._unsigned(wrapper_end) + self.position
            if self._unsigned(min(count_end, wrapper_end)) == SYMBOL_TABLE:
                self.position = count_end
                self._symbol_table(wrapper_end)
                self.position = wrapper_end
                return False, None
            self.position = start
        if kind == NULL and length >= 0:
            self.position = start + length
            return False, None
        return True, self._content(kind, length, start, 0)

    def _head(self, end: int) -> tuple[int, int, int]:
        """Kind, length in bytes (-1 = null) and start of the content of the value at the position."""
        if self.position >= end:
            raise fault("it ends in the middle of a value")
        kind, low = divmod(self.octets[self.position], 16)
        self.position += 1
        if kind > ANNOTATED:
            raise fault(f"the type {kind} does not exist")
        if low == 15:
            return kind, -1, self.position
        if kind == BOOL:
            if low > 1:
                raise fault("a boolean is neither false nor true")
            return kind, low, self.position
        length = low
        if low == 14 or (kind == STRUCT and low == 1):
            length = self._unsigned(end)
        if self.position + length > end:
            raise fault("a value is longer than what it stands in")
        return kind, length, self.position

    def _unsigned(self, end: int) -> int:
        found = 0
        for count in range(10):
            if self.position >= end:
                raise fault("it ends in the middle of a number")
            octet = self.octets[self.position]
            self.position += 1
            found = found << 7 | (octet & 0x7F)
            if octet & 0x80:
                return found
            if count == 9:
                break
        raise fault("a length is too large")

    def _signed(self, end: int) -> tuple[int, bool]:
        """A number and whether it is negative: minus zero is written too."""
        if self.position >= end:
            raise fault("it ends in the middle of a number")
        first = self.octets[self.position]
        negative = bool(first & 0x40)
        self.position += 1
        found = first & 0x3F
        if not first & 0x80:
            for _ in range(9):
                if self.position >= end:
                    raise fault("it ends in the middle of a number")
                octet = self.octets[self.position]
                self.position += 1
                found = found << 7 | (octet & 0x7F)
                if octet & 0x80:
                    break
            else:
                raise fault("a number is too large")
        return (-found if negative else found), negative

    def _symbol(self, index: int) -> str:
        if not 0 <= index < len(self.symbols):
            raise fault(f"the symbol {index} is not in the table")
        return self.symbols[index]

    def _symbol_table(self, end: int) -> None:
        kind, length, start = self._head(end)
        if kind != STRUCT:
            raise fault("a symbol table is no struct")
        stop = start + max(length, 0)
        keeps, added = False, []
        while self.position < stop:
            name = self._unsigned(stop)
            entry, size, begin = self._head(stop)
            if name == IMPORTS:
                if entry == SYMBOL:
                    keeps = int.from_bytes(self.octets[begin : begin + size], "big") == SYMBOL_TABLE
                elif size > 0:
                    raise fault("shared symbol tables are not available")
            value = self._content(entry, size, begin, 0)
            if name == SYMBOLS and isinstance(value, list):
                added = [one if isinstance(one, str) else "" for one in value]
        self.symbols = [*(self.symbols if keeps else SYSTEM_SYMBOLS), *added]

    def _content(self, kind: int, length: int, start: int, depth: int) -> Any:
        self.budget.spend(1)
        self.budget.produce(VALUE_BYTES)
        if depth > DEPTH_MAX:
            raise too_deep()
        if kind == BOOL:
            return None if length < 0 else bool(length)
        if length < 0:
            return None
        end = start + length
        value = self._typed(kind, start, end, depth)
        self.position = end
        return value

    def _typed(self, kind: int, start: int, end: int, depth: int) -> Any:
        self.position = start
        if kind in (LIST, SEXP):
            return self._items(end, depth)
        if kind == STRUCT:
            return self._fields(end, depth)
        if kind == ANNOTATED:
            marks = self._unsigned(end)
            self.position = min(self.position + marks, end)
            return self._content(*self._head(end), depth + 1)
        if kind == DECIMAL:
            return self._decimal(start, end)
        if kind == TIMESTAMP:
            return self._timestamp(start, end)
        return self._scalar(kind, self.octets[start:end])

    def _scalar(self, kind: int, content: bytes) -> Any:
        if kind in (POSITIVE, NEGATIVE):
            return self._whole(content) * (-1 if kind == NEGATIVE else 1)
        if kind == FLOAT:
            if len(content) not in (0, 4, 8):
                raise fault("a float has four or eight bytes")
            return struct.unpack(">f" if len(content) == 4 else ">d", content)[0] if content else 0.0
        if kind == SYMBOL:
            return self._symbol(self._whole(content))
        if kind in (STRING, CLOB):
            self.budget.produce(len(content))
            return content.decode("utf-8", "replace")
        if kind == BLOB:
            self.budget.produce(2 * len(content))
            return base64.b64encode(content).decode("ascii")
        return None

    def _whole(self, content: bytes) -> int:
        if len(content) > DIGITS_MAX // 3:
            raise fault(f"a number has more than {DIGITS_MAX} digits")
        return int.from_bytes(content, "big")

    def _items(self, end: int, depth: int) -> list[Any]:
        found: list[Any] = []
        while self.position < end:
            kind, length, start = self._head(end)
            if kind == NULL and length >= 0:
                self.position = start + length
                continue
            found.append(self._content(kind, length, start, depth + 1))
        return found

    def _fields(self, end: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.position < end:
            name = self._unsigned(end)
            kind, length, start = self._head(end)
            if kind == NULL and length >= 0:
                self.position = start + length
                continue
            found[self._symbol(name)] = self._content(kind, length, start, depth + 1)
        return found

    def _coefficient(self, end: int) -> int:
        content = self.octets[self.position : end]
        self.position = end
        if not content:
            return 0
        value = self._whole(bytes([content[0] & 0x7F]) + content[1:])
        return -value if content[0] & 0x80 else value

    def _decimal(self, start: int, end: int) -> Any:
        if start == end:
            return 0.0
        self.position = start
        exponent, _ = self._signed(end)
        if abs(exponent) > DIGITS_MAX:
            raise fault("the exponent of a decimal is too large")
        return number(Decimal(self._coefficient(end)).scaleb(exponent))

    def _timestamp(self, start: int, end: int) -> Any:
        self.position = start
        offset, negative = self._signed(end)
        parts: list[int] = []
        while self.position < end and len(parts) < 6:
            parts.append(self._unsigned(end))
        micros = 0
        if self.position < end:
            exponent, _ = self._signed(end)
            fraction = self._coefficient(end)
            if not -DIGITS_MAX < exponent <= 0:
                raise fault("the fraction of a timestamp is out of range")
            micros = int(Decimal(fraction).scaleb(exponent) * 1_000_000) % 1_000_000
        try:
            day = date(parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1)
            if len(parts) < 5:
                return day
            utc = datetime(day.year, day.month, day.day, parts[3], parts[4], parts[5] if len(parts) > 5 else 0, micros, UTC)
            local = utc + timedelta(minutes=offset)
        except (ValueError, OverflowError, IndexError) as error:
            raise fault(f"a timestamp is no date: {error}") from None
        unknown = negative and not offset
        return moment(local.date(), (local.hour, local.minute, local.second, local.microsecond), None if unknown else offset)
