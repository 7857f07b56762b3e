"""Amazon Ion, the notation of row files: written as text by `toIon`, read as text or binary by `fromIon`.

Own readers, because every byte, value and level must be charged to the budget before it is built. What Ion knows and
the language does not becomes its nearest plain value: symbols are texts, S-expressions lists, typed nulls null, blobs
base64 text, annotations are dropped, timestamps are date-times (dates when they have no time of day).
"""

from __future__ import annotations

from flows.expressions.ion.binary import read_binary
from flows.expressions.ion.text import read_text
from flows.expressions.ion.writer import write_text

__all__ = ["read_binary", "read_text", "write_text"]

BINARY_MARK = b"\xe0\x01\x00\xea"
"""What binary Ion begins with."""
