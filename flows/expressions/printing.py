"""How values look as text: Java's rules for numbers and times, compact JSON for maps and lists (expressions §1.1)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from flows.errors import ExpressionError
from flows.expressions.budget import Budget

JSON_DEPTH_MAX = 200
"""Nesting of a value printed as JSON."""

SCALAR_BYTES = 8
"""What a single value costs at least, in JSON and in memory."""

CONTAINER_BYTES = 32
"""What a list or map costs beside its entries."""


def to_text(value: Any, budget: Budget) -> str:
    """The text a template prints for a value; null is empty. Raises ExpressionError when it outgrows the budget."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return int_text(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (Mapping, list, tuple, AbstractSet)):
        return to_json(value, budget)
    return scalar_text(value)


def int_text(value: int) -> str:
    """Decimal digits. Values beyond any integer type of the language are refused before the conversion, which is quadratic."""
    if value.bit_length() > 4096:
        raise ExpressionError("The number is too large to be printed", code="expression.too_large")
    return int.__repr__(value)


def float_text(value: float) -> str:
    """As Java's Double.toString: `1.0`, `1.0E10`, `1.0E-5`; plain digits from 10⁻³ up to 10⁷."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    magnitude = abs(value)
    if magnitude == 0 or 1e-3 <= magnitude < 1e7:
        return float.__repr__(value)
    sign, digits, exponent = Decimal(float.__repr__(value)).as_tuple()
    figures = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) - 1 + int(exponent)
    return f"{'-' if sign else ''}{figures[0]}.{figures[1:] or '0'}E{power}"


def scalar_text(value: Any) -> str:
    """Text of a value that is neither plain nor a container. Objects that are no data of the language are refused."""
    if isinstance(value, datetime):
        return datetime_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return _time_text(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, Decimal):
        return format(value, "f") if -1000 < value.adjusted() < 1000 else str(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    raise ExpressionError(f"A value of type {type(value).__name__} has no text", code="expression.type")


def _time_text(value: time) -> str:
    text = f"{value.hour:02d}:{value.minute:02d}"
    if value.second or value.microsecond:
        text += f":{value.second:02d}"
    if value.microsecond:
        text += f".{value.microsecond:06d}" if value.microsecond % 1000 else f".{value.microsecond // 1000:03d}"
    return text


def datetime_text(value: datetime) -> str:
    """UTC as an instant (`2024-01-31T10:00:00Z`), others as Java's zoned text, seconds left out when zero."""
    if value.tzinfo is UTC:
        text = value.strftime("%Y-%m-%dT%H:%M:%S") if value.year >= 1000 else value.isoformat()[:19]
        if value.microsecond:
            text += f".{value.microsecond:06d}" if value.microsecond % 1000 else f".{value.microsecond // 1000:03d}"
        return text + "Z"
    text = f"{value.date().isoformat()}T{_time_text(value.time())}"
    offset = value.utcoffset()
    if offset is None:
        return text
    if not offset:
        return text + "Z"
    minutes = int(offset.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return f"{text}{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def duration_text(value: timedelta) -> str:
    """ISO-8601 as Java writes it: hours, minutes, seconds (`PT36H`, `PT1M30.5S`, `PT0S`)."""
    micros = value // timedelta(microseconds=1)
    if not micros:
        return "PT0S"
    sign = -1 if micros < 0 else 1
    seconds, fraction = divmod(abs(micros), 1_000_000)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    text = "PT"
    if hours:
        text += f"{sign * hours}H"
    if minutes:
        text += f"{sign * minutes}M"
    if seconds or fraction:
        tail = f".{fraction:06d}".rstrip("0") if fraction else ""
        text += f"{'-' if sign < 0 else ''}{seconds}{tail}S"
    return text


def to_json(value: Any, budget: Budget, drop_nulls: bool = True) -> str:
    """Compact JSON, non-ASCII kept, times as ISO text; null entries of maps are left out unless `drop_nulls` is false."""
    size, plain = _measured(value, drop_nulls, {}, 0)
    budget.produce(size)
    try:
        ready = value if plain else _json_ready(value, drop_nulls)
        return json.dumps(ready, ensure_ascii=False, separators=(",", ":"), check_circular=False)
    except (RecursionError, ValueError) as error:
        raise ExpressionError("The value cannot be written as JSON", code="expression.type") from error


def plain_value(value: Any, budget: Budget) -> Any:
    """The same tree in types of JSON (times as ISO text), the value itself when it has no others. Charged as `to_json`."""
    size, plain = _measured(value, False, {}, 0)
    budget.produce(size)
    return value if plain and isinstance(value, (dict, list, str, int, float, type(None))) else _json_ready(value, False)


def measure(value: Any, budget: Budget) -> None:
    """Charges the whole tree below a value. Shared parts are looked at once and counted as often as they are reached."""
    budget.produce(_measured(value, False, {}, 0)[0])


def _measured(value: Any, drop_nulls: bool, known: dict[int, tuple[int, bool]], depth: int) -> tuple[int, bool]:
    """Bytes of a tree as JSON, and whether the JSON writer can take it as it is."""
    kind = type(value)
    if kind is str:
        return _text_bytes(value), True
    if value is None or kind is bool or kind is int:
        return SCALAR_BYTES, kind is not int or value.bit_length() < 4096
    if kind is float:
        return SCALAR_BYTES, math.isfinite(value)
    is_map = isinstance(value, Mapping)
    if not is_map and not isinstance(value, (list, tuple, AbstractSet)):
        return (_text_bytes(value) if isinstance(value, str) else 4 * SCALAR_BYTES), False
    seen = known.get(id(value))
    if seen is not None:
        return seen
    if depth > JSON_DEPTH_MAX:
        raise ExpressionError(f"The value nests deeper than {JSON_DEPTH_MAX} levels", code="expression.too_deep")
    size = CONTAINER_BYTES
    if is_map:
        plain = kind is dict
        for key, item in value.items():
            below, fits = _measured(item, drop_nulls, known, depth + 1)
            plain = plain and fits and type(key) is str and not (item is None and drop_nulls)
            size += below + (len(key) if isinstance(key, str) else SCALAR_BYTES)
    else:
        plain = kind is list or kind is tuple
        for item in value:
            below, fits = _measured(item, drop_nulls, known, depth + 1)
            plain = plain and fits
            size += below
    known[id(value)] = size, plain
    return size, plain


def _text_bytes(value: str) -> int:
    return SCALAR_BYTES + (len(value) if value.isprintable() else 2 * len(value))


def _json_ready(value: Any, drop_nulls: bool) -> Any:
    """The same tree in types the JSON writer knows."""
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if isinstance(value, Mapping):
        return {
            key if type(key) is str else to_text(key, Budget()): _json_ready(item, drop_nulls)
            for key, item in value.items()
            if not (item is None and drop_nulls)
        }
    if isinstance(value, (list, tuple, AbstractSet)):
        return [_json_ready(item, drop_nulls) for item in value]
    if isinstance(value, int):
        int_text(value)
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else float_text(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return float(value) if value.as_tuple().exponent else int_value(value)
    return scalar_text(value)


def int_value(value: Decimal) -> int:
    """A whole decimal as an integer. Raises ExpressionError beyond 1,000 digits."""
    if value.adjusted() > 1000:
        raise ExpressionError("The number is too large", code="expression.too_large")
    return int(value)


def is_sequence(value: Any) -> bool:
    """Whether a value is a list of the language."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
