"""Filters that turn values into other notations (expressions §5.4)."""

from __future__ import annotations

import hashlib
from typing import Any

from flows.expressions import serial
from flows.expressions.filters.text import text_of
from flows.expressions.printing import to_json
from flows.expressions.registry import filter_
from flows.expressions.scope import Frame


@filter_("toJson json", null_passes=False)
def json(frame: Frame, value: Any) -> str:
    """Compact JSON; null is `null`."""
    return to_json(value, frame.budget)


@filter_("toIon", null_passes=False)
def to_ion(frame: Frame, value: Any) -> str:
    """Ion text; null is `null`. Numbers with a point are written with an exponent: `1.5e0`."""
    from flows.expressions.ion import write_text

    return write_text(value, frame.budget)


@filter_("yaml", null_passes=False)
def yaml(frame: Frame, value: Any) -> str:
    """YAML text ending with a line break; null is `null`."""
    return "null\n" if value is None else serial.dump_yaml(value, frame.budget)


def _digest(frame: Frame, value: Any, name: str) -> str:
    text = text_of(value, name)
    frame.budget.produce(len(text))
    return hashlib.new(name, text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


@filter_("md5")
def md5(frame: Frame, value: Any) -> str:
    """Lower-case hexadecimal MD5 of a text."""
    return _digest(frame, value, "md5")


@filter_("sha1")
def sha1(frame: Frame, value: Any) -> str:
    """Lower-case hexadecimal SHA-1 of a text."""
    return _digest(frame, value, "sha1")


@filter_("sha256")
def sha256(frame: Frame, value: Any) -> str:
    """Lower-case hexadecimal SHA-256 of a text."""
    return _digest(frame, value, "sha256")


@filter_("sha512")
def sha512(frame: Frame, value: Any) -> str:
    """Lower-case hexadecimal SHA-512 of a text."""
    return _digest(frame, value, "sha512")
