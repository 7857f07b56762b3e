"""The types of inputs and outputs: what is accepted, how it is kept, what is refused (flow-language §4.3).

Values are kept as plain data that survives JSON: dates, times and durations as ISO text in one canonical form. FLOAT is kept in
double precision: the single precision of older versions only loses digits, and what is printed is the same where it fits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flows.errors import ExpressionError, InputInvalid
from flows.expressions import regexes
from flows.expressions.budget import Budget
from flows.expressions.printing import datetime_text, duration_text, to_text
from flows.spec.durations import parse_duration
from flows.spec.model import Input
from flows.spec.source import read_source

INT_MAX = 2**31 - 1
INT_MIN = -(2**31)
TEXT_CHARACTERS_MAX = 4_000_000
"""Length of one input given as text."""


class _Unfit(Exception):
    """A value does not fit; the text is the reason."""


Encrypt = Callable[[str], str]
"""Encrypts a clear text for storage. Who supplies it holds the key; the language never sees one."""

ENCRYPTED = "io.kestra.datatype:aes_encrypted"
"""The `type` of a value that is stored encrypted, `{type: …, value: …}` (flow-language §5)."""

HIDDEN = "******"


def is_encrypted(value: Any) -> bool:
    """Whether a value is in the stored form of a secret."""
    return isinstance(value, Mapping) and value.get("type") == ENCRYPTED and isinstance(value.get("value"), str)


def stored(declared: Input, value: Any, encrypt: Encrypt | None) -> Any:
    """A parsed value as it is stored: secrets encrypted, everything else as it is. Raises InputInvalid without a key."""
    kind = declared.extra.get("itemType") if declared.type in ("ARRAY", "MULTISELECT") else declared.type
    if kind != "SECRET" or value is None or is_encrypted(value):
        return value
    if encrypt is None:
        raise InputInvalid(declared.id, "it is a SECRET and no encryption key is configured", HIDDEN)
    if isinstance(value, list):
        return [one if is_encrypted(one) else {"type": ENCRYPTED, "value": encrypt(one)} for one in value]
    return {"type": ENCRYPTED, "value": encrypt(value)}


def bound(kind: str, written: Any) -> Any:
    """A bound (`min`, `after` …) as something that can be compared. Raises InputInvalid when it is no value of the type."""
    try:
        return BOUND_READERS[kind](written)
    except _Unfit as unfit:
        raise InputInvalid("bound", str(unfit), shown(written)) from None


def parse(declared: Input, raw: Any) -> Any:
    """The value as it is kept, secrets in clear. Raises InputInvalid with the reason; a secret is never part of it."""
    if declared.type == "SECRET":
        if is_encrypted(raw):
            return dict(raw)
        try:
            return _parsed(declared, raw)
        except InputInvalid as fault:
            raise InputInvalid(declared.id, fault.reason, HIDDEN) from None
    return _parsed(declared, raw)


def _parsed(declared: Input, raw: Any) -> Any:
    reader = READERS.get(declared.type)
    try:
        if reader is None:
            raise _Unfit(f"the type {declared.type} cannot be given a value here")
        if isinstance(raw, str) and len(raw) > TEXT_CHARACTERS_MAX:
            raise _Unfit(f"a text has at most {TEXT_CHARACTERS_MAX} characters")
        return reader(declared, raw)
    except _Unfit as unfit:
        raise InputInvalid(declared.id, str(unfit), shown(raw)) from None
    except ExpressionError as error:
        raise InputInvalid(declared.id, str(error), shown(raw)) from None


def shown(value: Any) -> str:
    """A value in an error message, cut short."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else text[:100] + "…"


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else to_text(raw, Budget())


def _string(declared: Input, raw: Any) -> str:
    text = _text(raw)
    validator = declared.extra.get("validator")
    if isinstance(validator, str) and not regexes.full_match(text, validator, Budget()):
        raise _Unfit(f"it must match the pattern `{validator}`")
    return text


def _bounds(declared: Input, value: Any, low: str, high: str, read: Callable[[Any], Any]) -> None:
    least, most = declared.extra.get(low), declared.extra.get(high)
    words = ("more than", "less than") if low == "min" else ("after", "before")
    if least is not None and value < read(least):
        raise _Unfit(f"it must be {words[0]} `{least}`")
    if most is not None and value > read(most):
        raise _Unfit(f"it must be {words[1]} `{most}`")


def _int(declared: Input, raw: Any) -> int:
    if isinstance(raw, bool):
        raise _Unfit("it must be a whole number")
    if isinstance(raw, float):
        if not raw.is_integer() or abs(raw) > INT_MAX:
            raise _Unfit("it must be a whole number")
        raw = int(raw)
    if not isinstance(raw, int):
        text = _text(raw).strip()
        if not re.fullmatch(r"[-+]?[0-9]{1,20}", text):
            raise _Unfit("it must be a whole number")
        raw = int(text)
    if not INT_MIN <= raw <= INT_MAX:
        raise _Unfit("it must be a 32-bit integer")
    _bounds(declared, raw, "min", "max", lambda bound: bound)
    return int(raw)


def _float(declared: Input, raw: Any) -> float:
    try:
        value = float(raw) if not isinstance(raw, (bool, dict, list)) else math.nan
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise _Unfit("it must be a number")
    _bounds(declared, value, "min", "max", lambda bound: bound)
    return value


def _bool(declared: Input, raw: Any) -> bool:
    return raw if isinstance(raw, bool) else _text(raw).strip().lower() == "true"


def _instant(raw: Any) -> datetime:
    if isinstance(raw, datetime):
        value = raw
    else:
        try:
            value = datetime.fromisoformat(_text(raw).strip())
        except ValueError:
            raise _Unfit("it must be an instant such as 2024-01-31T10:00:00Z") from None
    if value.tzinfo is None:
        raise _Unfit("it must name its time zone, such as 2024-01-31T10:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise _Unfit("it is outside the years 1 to 9999") from None


def _datetime(declared: Input, raw: Any) -> str:
    value = _instant(raw)
    _bounds(declared, value, "after", "before", _instant)
    return datetime_text(value)


def _day(raw: Any) -> date:
    if isinstance(raw, date) and not isinstance(raw, datetime):
        return raw
    text = _text(raw).strip()
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _Unfit("it must be a date such as 2024-01-31")


def _date(declared: Input, raw: Any) -> str:
    value = _day(raw)
    _bounds(declared, value, "after", "before", _day)
    return value.isoformat()


def _clock(raw: Any) -> time:
    if isinstance(raw, time):
        return raw
    text = _text(raw).strip()
    try:
        if re.fullmatch(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?", text):
            return time.fromisoformat(text)
    except ValueError:
        pass
    raise _Unfit("it must be a time such as 10:00:00")


def _time(declared: Input, raw: Any) -> str:
    value = _clock(raw)
    _bounds(declared, value, "after", "before", _clock)
    return value.isoformat()


def _length(raw: Any) -> timedelta:
    if isinstance(raw, timedelta):
        return raw
    if isinstance(raw, (int, float)) and not isinstance(raw, bool) and abs(raw) < 1e11:
        return timedelta(seconds=raw)
    try:
        return parse_duration(_text(raw))
    except ValueError as error:
        raise _Unfit(str(error)) from None


def _duration(declared: Input, raw: Any) -> str:
    value = _length(raw)
    _bounds(declared, value, "min", "max", _length)
    return duration_text(value)


def _json(declared: Input, raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _Unfit(f"it must be JSON: {error}") from None


def _yaml(declared: Input, raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    document = read_source(raw, allow_scalar=True)
    if document.problems:
        raise _Unfit(f"it must be YAML: {document.problems[0]}")
    return document.root.plain() if document.root is not None else None


_HOST = re.compile(r"[A-Za-z]{2,20}://[^\s/?#]{1,253}(?:[/?#]\S*)?")
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


def _uri(declared: Input, raw: Any) -> str:
    text = _text(raw).strip()
    if not _HOST.fullmatch(text):
        raise _Unfit("it must be a URI such as https://example.com/path")
    return text


def _email(declared: Input, raw: Any) -> str:
    text = _text(raw).strip()
    if text and not _EMAIL.fullmatch(text):
        raise _Unfit("it must be an e-mail address")
    return text


def _file(declared: Input, raw: Any) -> str:
    text = _text(raw)
    if not text.startswith(("kestra://", "nsfile://", "file://")):
        raise _Unfit("it must be an uploaded file or a kestra:// URI")
    return text


def _choices(declared: Input) -> list[str]:
    values = declared.extra.get("values") or declared.extra.get("options") or []
    return [_text(value) for value in values]


def _select(declared: Input, raw: Any) -> str:
    text = _text(raw)
    choices = _choices(declared)
    if declared.required and not declared.extra.get("allowCustomValue") and choices and text not in choices:
        raise _Unfit(f"it must match the values `[{', '.join(choices)[:500]}]`")
    return text


def _items(declared: Input, raw: Any) -> list[Any]:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raise _Unfit("it must be a list, or a JSON array as text") from None
    if not isinstance(raw, (list, tuple)):
        raise _Unfit("it must be a list, or a JSON array as text")
    kind = str(declared.extra.get("itemType") or "STRING")
    if kind == "ARRAY" or kind not in READERS:
        raise _Unfit(f"its items cannot be of the type {kind}")
    item = replace(declared, type=kind, required=False, extra={})
    found = []
    for one in raw:
        try:
            found.append(dict(one) if is_encrypted(one) else READERS[kind](item, one))
        except _Unfit as unfit:
            element = HIDDEN if kind == "SECRET" else shown(one)
            raise _Unfit(f"Unable to parse array element as `{kind}` on `{element}`: {unfit}") from None
    return found


def _multiselect(declared: Input, raw: Any) -> list[Any]:
    found = _items(declared, raw)
    choices = _choices(declared)
    if choices and not declared.extra.get("allowCustomValue"):
        for one in found:
            if _text(one) not in choices:
                raise _Unfit(f"it must match the values `[{', '.join(choices)[:500]}]`")
    return found


READERS: Mapping[str, Callable[[Input, Any], Any]] = {
    "STRING": _string,
    "SECRET": _string,
    "INT": _int,
    "FLOAT": _float,
    "BOOLEAN": _bool,
    "BOOL": _bool,
    "DATETIME": _datetime,
    "DATE": _date,
    "TIME": _time,
    "DURATION": _duration,
    "JSON": _json,
    "YAML": _yaml,
    "URI": _uri,
    "EMAIL": _email,
    "FILE": _file,
    "SELECT": _select,
    "ENUM": _select,
    "MULTISELECT": _multiselect,
    "ARRAY": _items,
}


def _number(raw: Any) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise _Unfit("it must be a number")
    return raw


BOUND_READERS: Mapping[str, Callable[[Any], Any]] = {
    "INT": _number,
    "FLOAT": _number,
    "DURATION": _length,
    "DATETIME": _instant,
    "DATE": _day,
    "TIME": _clock,
}
