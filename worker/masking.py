"""Keeps known secrets out of what people read: logs, errors, outputs.

A secret is masked in the forms it usually takes: itself, each of its lines, JSON-escaped, URL-encoded, base64 at each of the
three alignments, hexadecimal. This protects from accident, not from intent. Texts are whole lines, or pieces of one line cut
by `LineSplitter`, which keeps enough back that no form is ever cut in two.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from worker import limits

MASK = "******"


class Masker:
    """The secrets of one attempt. Grows while it runs: names computed by the task are resolved late."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.longest = 0
        """Characters of the longest form: how much of an unfinished line has to be held back."""
        for secret in secrets:
            self.add(secret)

    def __bool__(self) -> bool:
        return self._pattern is not None

    def add(self, secret: str) -> None:
        """Masks this value from now on."""
        forms = set(forms_of(secret)) - self._forms
        if not forms:
            return
        self._forms |= forms
        # Longest first, so that a form that holds another one is replaced as a whole.
        ordered = sorted(self._forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, ordered)))
        self.longest = len(ordered[0])

    def mask(self, text: str) -> str:
        """The text with every known form replaced."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def mask_value(self, value: Any) -> Any:
        """A JSON-like value with every text in it masked, keys included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self.mask(key) if isinstance(key, str) else key: self.mask_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask_value(item) for item in value]
        return value


def forms_of(secret: str) -> list[str]:
    """The texts in which a secret may show up, those too short to be told from ordinary words left out."""
    pieces = [secret, *secret.splitlines(), secret.strip()]
    forms: list[str] = []
    for piece in pieces:
        if len(piece) < limits.MASK_CHARACTERS_MIN:
            continue
        data = piece.encode("utf-8", "surrogatepass")
        forms += [piece, json.dumps(piece)[1:-1], json.dumps(piece, ensure_ascii=False)[1:-1], repr(piece)[1:-1]]
        forms += [quote(piece, safe="", errors="replace"), quote(piece, errors="replace"), quote_plus(piece, errors="replace")]
        forms += [data.hex(), data.hex().upper(), *_base64_forms(data)]
    return [form for form in forms if len(form) >= limits.MASK_CHARACTERS_MIN and "\n" not in form and "\r" not in form]


def _base64_forms(data: bytes) -> list[str]:
    """Base64 of the bytes as they look inside a longer encoded text: what depends on neighbours is cut off."""
    forms = []
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data).decode()
        start = (0, 2, 3)[shift]
        spoiled = (len(data) + shift) % 3
        end = len(text) - (0, 3, 2)[spoiled]
        inner = text[start:end]
        # A few characters of base64 would be found everywhere.
        if len(inner) >= 6:
            forms += [inner, inner.replace("+", "-").replace("/", "_")]
    if len(data) >= 4:
        forms.append(base64.b64encode(data).decode())
        forms.append(base64.urlsafe_b64encode(data).decode())
    return forms
