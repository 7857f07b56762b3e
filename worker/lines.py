"""From blocks of a pipe to whole lines: decoding, splitting of overlong lines, masking across cuts, the `::{…}::` protocol."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from worker import limits
from worker.masking import Masker

_PROTOCOL = re.compile(r"^::(\{.*\})::$", re.DOTALL)
_PROTOCOL_START = "::{"


class LineSplitter:
    """Turns blocks of bytes into masked lines. Invalid UTF-8 is replaced, `\\r\\n` ends a line like `\\n`, an overlong line
    comes as several. `on_protocol` gets the text between `::` and `::` of protocol lines, which are no log lines.
    """

    def __init__(self, masker: Masker, on_protocol: Callable[[str], None]) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._masker = masker
        self._on_protocol = on_protocol
        self._tail = ""

    def feed(self, block: bytes) -> list[str]:
        """The lines that this block completes."""
        text = self._tail + self._decode(block)
        if "\0" in text:
            text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        lines = text.split("\n")
        self._tail = lines.pop()
        done = self._finish(lines) if lines else []
        if len(self._tail) > limits.LINE_CHARACTERS_MAX:
            done += self._cut_tail()
        return done

    def close(self) -> list[str]:
        """The last line, when the stream ended without a line break."""
        text, self._tail = self._tail + self._decode(b"", final=True), ""
        return self._finish([text]) if text else []

    def _finish(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        if "\r" in text or _PROTOCOL_START in text:
            lines = self._take_protocol([line.rstrip("\r") for line in lines])
            text = "\n".join(lines)
        if self._masker and lines:
            # No form holds a line break, so the count of lines stays.
            lines = self._masker.mask(text).split("\n")
        if len(text) > limits.LINE_CHARACTERS_MAX:
            return [piece for line in lines for piece in pieces(line)]
        return lines

    def _take_protocol(self, lines: list[str]) -> list[str]:
        kept = []
        for line in lines:
            match = _PROTOCOL.match(line) if line.startswith(_PROTOCOL_START) else None
            if match is None:
                kept.append(line)
            else:
                self._on_protocol(match.group(1))
        return kept

    def _cut_tail(self) -> list[str]:
        """Pieces of a line that has no end yet: memory stays bounded, and what may be the start of a secret stays back."""
        if self._tail.startswith(_PROTOCOL_START) and len(self._tail) <= limits.PROTOCOL_LINE_CHARACTERS_MAX:
            return []
        text = self._masker.mask(self._tail)
        end = len(text) - self._masker.longest
        done = []
        start = 0
        while end - start >= limits.LINE_CHARACTERS_MAX:
            done.append(text[start : start + limits.LINE_CHARACTERS_MAX])
            start += limits.LINE_CHARACTERS_MAX
        self._tail = text[start:]
        return done


def pieces(line: str) -> list[str]:
    """A line in pieces of at most `LINE_CHARACTERS_MAX` characters; a line in bounds is its only piece."""
    size = limits.LINE_CHARACTERS_MAX
    if len(line) <= size:
        return [line]
    return [line[start : start + size] for start in range(0, len(line), size)]


class ProtocolReader:
    """Collects what a task says by `::{"outputs": …, "metrics": […], "logs": […]}::` lines; later outputs override."""

    def __init__(self, on_log: Callable[[str, str], None]) -> None:
        self.outputs: dict[str, Any] = {}
        self.metrics: list[dict[str, Any]] = []
        self._on_log = on_log

    def take(self, text: str) -> None:
        """One protocol line, without its colons. What cannot be understood becomes a warning in the log."""
        try:
            said = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            self._on_log("WARN", f"Invalid JSON in a ::{{…}}:: line ({error}): {text[:200]}")
            return
        outputs = said.get("outputs")
        if isinstance(outputs, dict):
            self.outputs.update(outputs)
        for metric in _list_of_maps(said.get("metrics")):
            self.metrics.append(metric)
        for entry in _list_of_maps(said.get("logs")):
            self._on_log(str(entry.get("level", "INFO")).upper(), str(entry.get("message", "")))


def _list_of_maps(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, Mapping):
        return [dict(value)]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
