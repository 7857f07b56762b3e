"""Encrypted values in an attempt's variables: SECRET inputs, encrypted outputs (flow-language §5).

They travel encrypted with the hand-out and lie so in every table on the way. The worker asks the plane for their texts when it
renders, masks them from then on, and hands templates the text alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wire import gateway
from worker.door import Bridge, Door
from worker.masking import Masker

TYPE = "io.kestra.datatype:aes_encrypted"
MARK = TYPE.encode()
"""In a hand-out's context: it holds encrypted values."""


def decrypted(
    variables: dict[str, Any], token: gateway.AttemptToken, door: Door, bridge: Bridge, masker: Masker
) -> dict[str, Any]:
    """The variables with texts in the place of encrypted values, all asked for in one call. Raises TaskFailed."""
    wanted = list(dict.fromkeys(_values(variables)))
    if not wanted:
        return variables
    request = gateway.DecryptRequest(token=token, values=wanted)
    answer = bridge.wait(door.ask("Decrypt", request, gateway.DecryptResult, "decrypting values", "secret.unavailable"))
    texts = dict(zip(wanted, answer.plaintexts, strict=True))
    for text in texts.values():
        masker.add(text)
    found: dict[str, Any] = _replaced(variables, texts)
    return found


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") == TYPE and isinstance(value.get("value"), str)


def _values(value: Any) -> list[str]:
    if _is_encrypted(value):
        return [value["value"]]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [text for item in items for text in _values(item)]


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:
    if _is_encrypted(value):
        return texts[value["value"]]
    if isinstance(value, Mapping):
        return {key: _replaced(item, texts) for key, item in value.items()}
    return [_replaced(item, texts) for item in value] if isinstance(value, list) else value
