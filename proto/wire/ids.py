"""Identifiers: 22 characters, base 62, ordered by time of creation (friendly to index pages and to people's eyes)."""

from __future__ import annotations

import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_LENGTH = 22
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A fresh identifier: 48 bits of milliseconds, 80 random bits. Strictly growing within a process.

    The alphabet is in code-point order, so comparing texts compares times.
    """
    global _last
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    with _lock:
        if number <= _last:
            number = _last + 1 + (number & 0xFFFF_FFFF)
        _last = number
    return encode(number)


def encode(number: int) -> str:
    """A number of up to 128 bits as 22 characters, two digits a step."""
    digits = []
    for _ in range(_LENGTH // 2):
        number, rest = divmod(number, 3844)
        digits.append(_PAIRS[rest])
    digits.reverse()
    return "".join(digits)
