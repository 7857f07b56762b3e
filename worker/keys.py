"""Keys of namespaces, for one attempt: the store behind `kv()` and the tasks that set, get and list keys."""

from __future__ import annotations

from typing import Any

import orjson

from wire import gateway
from worker.door import Bridge, Door
from worker.errors import TaskFailed

_WHAT, _CODE = "asking for keys", "kv.unavailable"


class Keys:
    """Its methods wait for the plane: call them from a thread, not from the loop. An empty namespace is the flow's own."""

    def __init__(self, token: gateway.AttemptToken, door: Door, bridge: Bridge, namespace: str) -> None:
        self._token = token
        self._door = door
        self._bridge = bridge
        self._namespace = namespace

    def find(self, key: str, namespace: str | None = None, *, per_value: bool = False) -> gateway.KvEntry:
        """The entry of a key: present, missing or expired. Without a namespace (or with the flow's) its parents are asked too.

        `per_value`, here and below: each value of a loop has a key of its own.
        """
        inherit = (not namespace or namespace == self._namespace) and not per_value
        request = gateway.KvGetRequest(
            token=self._token, namespace=namespace or "", key=key, inherit=inherit, per_value=per_value
        )
        return self._bridge.wait(self._door.ask("KvGet", request, gateway.KvEntry, _WHAT, _CODE))

    def get(self, key: str, namespace: str | None = None, *, error_on_missing: bool = True, per_value: bool = False) -> Any:
        """The value of a key, null when it is missing and that is no error.

        Raises TaskFailed (`kv.missing`, `kv.expired`).
        """
        found = self.find(key, namespace, per_value=per_value)
        if found.presence == gateway.KvEntry.PRESENT:
            return orjson.loads(found.value_json)
        if not error_on_missing:
            return None
        where = namespace or self._namespace
        if found.presence == gateway.KvEntry.EXPIRED:
            raise TaskFailed(f"The key {key!r} of namespace {where} has expired.", code="kv.expired")
        raise TaskFailed(f"No value found for the key {key!r} in namespace {where}.", code="kv.missing")

    def function(self, key: Any, namespace: Any = None, errorOnMissing: Any = True) -> Any:  # noqa: N803 - as templates spell it
        """The expression function `kv(key, namespace, errorOnMissing)`; a missing key raises, as since 0.22."""
        return self.get(str(key), None if namespace is None else str(namespace), error_on_missing=errorOnMissing is not False)

    def set(
        self,
        key: str,
        value: Any,
        *,
        namespace: str = "",
        kind: str = "",
        ttl_ms: int = 0,
        overwrite: bool = True,
        description: str = "",
        per_value: bool = False,
    ) -> None:
        """Sets a key. Raises TaskFailed (`kv.exists`, `kv.value_invalid`, …)."""
        request = gateway.KvSetRequest(
            token=self._token,
            namespace=namespace,
            key=key,
            type=kind,
            value_json=orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS),
            overwrite=overwrite,
            ttl_ms=ttl_ms,
            description=description,
            per_value=per_value,
        )
        self._bridge.wait(self._door.ask("KvSet", request, gateway.KvSetResult, "setting a key", _CODE))

    def delete(self, key: str, namespace: str = "", *, per_value: bool = False) -> bool:
        """Removes a key. Says whether it was there."""
        request = gateway.KvDeleteRequest(token=self._token, namespace=namespace, key=key, per_value=per_value)
        answer = self._bridge.wait(self._door.ask("KvDelete", request, gateway.KvDeleteResult, "deleting a key", _CODE))
        return answer.deleted

    def names(self, prefix: str = "", namespace: str = "") -> list[str]:
        """Keys that begin so."""
        request = gateway.KvKeysRequest(token=self._token, namespace=namespace, prefix=prefix)
        return list(self._bridge.wait(self._door.ask("KvKeys", request, gateway.KvKeysResult, _WHAT, _CODE)).keys)
