"""Typed values of the key-value store: what kind a value is, and how a literal of REST is read.

Kinds and their JSON: NUMBER a number, BOOLEAN a boolean, STRING a text, JSON a map or list, DATETIME an instant, DATE a day and
DURATION an ISO-8601 duration, each as text. Sources: tasks §5, contract semantics §20.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import orjson

from controlplane.platform.errors import Invalid
from flows.spec.durations import parse_duration

KINDS = ("STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON")
VALUE_BYTES_MAX = 1_000_000
"""Bytes of one value. The store is for marks and settings; data belongs into files."""

_DURATION = re.compile(r'"?([-+]?P(?=[-+\dT]).*?)"?', re.IGNORECASE | re.DOTALL)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[-+]\d{2}:?\d{2})")
_SYMBOL = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")

Typed = tuple[str, Any]
"""Kind and JSON-ready value."""


class ValueUnreadable(Invalid):
    """A value is not of the kind it should be, or a literal cannot be read."""

    code = "kv.value_invalid"


def kind_of(value: Any) -> str:
    """The kind that a rendered value has by itself (tasks §23.17). Raises ValueUnreadable for null."""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int | float):
        return "NUMBER"
    if isinstance(value, str):
        return "STRING"
    if isinstance(value, dict | list):
        return "JSON"
    raise ValueUnreadable("a key needs a value; found null")


def typed(value: Any, kind: str | None = None) -> Typed:
    """A value as one of that kind; texts are converted. Without a kind it keeps its own. Raises ValueUnreadable."""
    if not kind:
        kind = kind_of(value)
    kind = kind.upper()
    if kind not in KINDS:
        raise ValueUnreadable(f"expected a kind of {', '.join(KINDS)}, found {kind[:40]!r}", code="kv.kind")
    if value is None:
        raise ValueUnreadable("a key needs a value; found null")
    try:
        return kind, _as(value, kind)
    except (ValueError, TypeError):
        raise ValueUnreadable(f"expected a value of kind {kind}, found {str(value)[:80]!r}") from None


def _as(value: Any, kind: str) -> Any:
    text = value if isinstance(value, str) else None
    match kind:
        case "STRING":
            return text if text is not None else orjson.dumps(value).decode()
        case "NUMBER":
            number = value if text is None else orjson.loads(text.strip())
            if isinstance(number, bool) or not isinstance(number, int | float):
                return _no()
            return number
        case "BOOLEAN":
            if text is not None:
                return (
                    {"true": True, "false": False}[text.strip().lower()] if text.strip().lower() in ("true", "false") else _no()
                )
            return value if isinstance(value, bool) else _no()
        case "DATETIME":
            return _instant(str(value))
        case "DATE":
            # 0.21 wants a full instant here, later versions a day: both are taken.
            whole = str(value).strip()
            return date.fromisoformat(whole[:10]).isoformat() if _DAY.match(whole) else _no()
        case "DURATION":
            parse_duration(str(value))
            return str(value).strip()
        case _:
            return orjson.loads(text) if text is not None else value


def _no() -> Any:
    raise ValueError


def _instant(text: str) -> str:
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def literal(text: str) -> Typed:
    """The value of a literal as REST takes it (contract semantics §20). Raises ValueUnreadable."""
    text = text.strip()
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        try:
            parse_duration(duration.group(1))
        except ValueError:
            pass
        else:
            return "DURATION", duration.group(1)
    if _INSTANT.fullmatch(text):
        return typed(text, "DATETIME")
    if _DAY.fullmatch(text):
        return typed(text, "DATE")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        if _SYMBOL.fullmatch(text):
            return "STRING", text
        shown = text[:80]
        raise ValueUnreadable(f'expected a literal such as "text", 1, true, 2024-01-01, PT1H or JSON, found {shown!r}') from None
    return typed(value)
