"""The secrets of one attempt: fetched under its token, kept in memory, masked from the moment they are known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from wire import gateway
from worker.door import Bridge, Door
from worker.errors import TaskFailed
from worker.masking import Masker

_LITERAL = re.compile(r"""\bsecret\s*\(\s*(?:key\s*=\s*)?(?:'([^'\\]+)'|"([^"\\]+)")""")


def names_found(value: Any) -> frozenset[str]:
    """Names of secrets that stand literally in the templates of a value: they are fetched in one call."""
    if isinstance(value, str):
        return frozenset(single or double for single, double in _LITERAL.findall(value))
    if isinstance(value, dict):
        return names_found([*value.keys(), *value.values()])
    if isinstance(value, list | tuple):
        return frozenset().union(*map(names_found, value)) if value else frozenset()
    return frozenset()


class Secrets:
    """Resolves secrets for one attempt. Its methods wait for the plane: call them from a thread, not from the loop."""

    def __init__(self, token: gateway.AttemptToken, door: Door, bridge: Bridge, masker: Masker) -> None:
        self._token = token
        self._door = door
        self._bridge = bridge
        self._masker = masker
        self._values: dict[str, str | None] = {}

    def fetch(self, names: Iterable[str]) -> None:
        """Resolves these names in one call, those known already left out."""
        wanted = sorted(set(names) - self._values.keys())
        if not wanted:
            return
        found = self._bridge.wait(self._door.resolve_secrets(self._token, wanted))
        for name in wanted:
            value = found.get(name)
            self._values[name] = value
            if value is not None:
                self._mask(value)

    def get(self, key: str, namespace: str | None = None, subkey: str | None = None) -> str:
        """The expression function `secret('NAME')`. Raises TaskFailed when there is none, naming it.

        `namespace`: accepted; the plane looks the name up in the flow's namespace and its parents.
        `subkey`: one value of a secret that is a JSON object.
        """
        name = str(key)
        self.fetch([name])
        value = self._values[name]
        if value is None:
            raise TaskFailed(f"Cannot find the secret {name!r} in the flow's namespace or above it.", code="secret.missing")
        if subkey is None:
            return value
        try:
            part = json.loads(value)[subkey]
        except (ValueError, KeyError, TypeError):
            message = f"The secret {name!r} is no JSON object with the key {subkey!r}."
            raise TaskFailed(message, code="secret.subkey_missing") from None
        text = part if isinstance(part, str) else json.dumps(part)
        self._mask(text)
        return text

    def _mask(self, value: str) -> None:
        self._masker.add(value)
        if value[:1] in ("{", "["):
            # Parts of a JSON secret are secrets too: a key file's fields show up one by one.
            try:
                for part in _texts(json.loads(value)):
                    if len(part) >= 8:
                        self._masker.add(part)
            except ValueError:
                pass


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []
