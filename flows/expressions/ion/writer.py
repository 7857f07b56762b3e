"""Values → Ion text, compact: `{a:1,'b c':["x",1.5e0]}`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.budget import Budget
from flows.expressions.printing import int_text, is_sequence, measure, scalar_text, to_text

_PLAIN_SYMBOL = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_RESERVED = frozenset({"null", "true", "false", "nan"})


def write_text(value: Any, budget: Budget) -> str:
    """One value as Ion text. Raises ExpressionError when it outgrows the budget or is no data."""
    measure(value, budget)
    pieces: list[str] = []
    try:
        _write(value, pieces, budget)
    except RecursionError:
        raise ExpressionError("The value nests too deep to be written as Ion", code="expression.too_deep") from None
    budget.produce(sum(map(len, pieces)))
    return "".join(pieces)


def _write(value: Any, pieces: list[str], budget: Budget) -> None:
    budget.spend(1)
    if isinstance(value, Mapping):
        pieces.append("{")
        for index, (key, item) in enumerate(value.items()):
            pieces.append(f"{',' if index else ''}{_symbol(key if isinstance(key, str) else to_text(key, budget))}:")
            _write(item, pieces, budget)
        pieces.append("}")
    elif is_sequence(value) or isinstance(value, AbstractSet):
        pieces.append("[")
        for index, item in enumerate(value):
            if index:
                pieces.append(",")
            _write(item, pieces, budget)
        pieces.append("]")
    else:
        pieces.append(_scalar(value))


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int_text(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, str):
        return _quoted(value, '"')
    if isinstance(value, Decimal) and value.is_finite():
        written = str(value).lower()
        return written.replace("e", "d").replace("d+", "d") if "e" in written or "." in written else written + "."
    if isinstance(value, datetime):
        return _stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    return _quoted(scalar_text(value), '"')


def float_text(value: float) -> str:
    """A float as Ion writes it: always with an exponent, `1.5e0`."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "+inf" if value > 0 else "-inf"
    text = float.__repr__(value)
    return text.replace("e+", "e") if "e" in text else (text.removesuffix(".0") or "0") + "e0"


def _stamp(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat(timespec="microseconds") + "-00:00"
    offset = value.utcoffset() or timedelta(0)
    local = value.replace(tzinfo=None).isoformat(timespec="microseconds" if value.microsecond else "seconds")
    minutes = int(offset.total_seconds() // 60)
    if not minutes:
        return local + "Z"
    return f"{local}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _symbol(name: str) -> str:
    return name if _PLAIN_SYMBOL.fullmatch(name) and name not in _RESERVED else _quoted(name, "'")


def _quoted(text: str, quote: str) -> str:
    body = json.dumps(text, ensure_ascii=False)[1:-1]
    body = re.sub(r"[\x7f-\x9f]", lambda match: f"\\x{ord(match.group()):02x}", body)
    return f'"{body}"' if quote == '"' else "'" + body.replace('\\"', '"').replace("'", "\\'") + "'"
