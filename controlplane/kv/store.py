"""The key-value store of namespaces: look up, set, delete, list. A look-up may go on to the parents of a namespace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from controlplane.kv import values
from controlplane.kv.models import KeyValue
from controlplane.platform.clock import now_us
from controlplane.platform.errors import ApiError, Conflict, Invalid, Missing
from controlplane.platform.identifiers import require_namespace

KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,249}")


class KeyMissing(Missing):
    """No such key."""

    code = "kv.missing"


class KeyExpired(ApiError):
    """The key's time is over; whoever found out removed it (410)."""

    status = 410
    code = "kv.expired"


class KeyPresent(Conflict):
    """The key is there already and must not be overwritten."""

    code = "kv.exists"


@dataclass(frozen=True, slots=True)
class Found:
    """A key's value. `namespace`: where it was found; times in microseconds."""

    namespace: str
    key: str
    kind: str
    value: Any
    version: int
    updated_at_us: int


def lineage(namespace: str) -> list[str]:
    """A namespace and its parents, nearest first."""
    names = namespace.split(".")
    return [".".join(names[:length]) for length in range(len(names), 0, -1)]


def require_key(key: str) -> str:
    """The key when it is well-formed. Raises Invalid (`kv.key`)."""
    if KEY.fullmatch(key) is None:
        shown = key[:80]
        raise Invalid(f"{shown!r} is no key: letters, digits, dots, `_` and `-`, first a letter or digit", code="kv.key")
    return key


def get(tenant: str, namespace: str, key: str, *, inherit: bool = False) -> Found:
    """The value of a key. Raises KeyMissing; KeyExpired, and removes it. `inherit`: the nearest parent may answer."""
    spaces = lineage(namespace) if inherit else [namespace]
    rows = {row.namespace: row for row in KeyValue.objects.filter(tenant_id=tenant, namespace__in=spaces, key=key)}
    now = now_us()
    expired = False
    for space in spaces:
        row = rows.get(space)
        if row is None:
            continue
        if row.expires_at_us is not None and row.expires_at_us <= now:
            # Only this version of it: somebody may be setting it again.
            KeyValue.objects.filter(tenant_id=tenant, namespace=space, key=key, version=row.version).delete()
            expired = True
            continue
        return Found(space, key, row.kind, orjson.loads(row.value), row.version, row.updated_at_us)
    if expired:
        raise KeyExpired(f"the key '{key}' of namespace '{namespace}' has expired")
    raise KeyMissing(f"no key '{key}' in namespace '{namespace}'")


def put(
    tenant: str,
    namespace: str,
    key: str,
    value: values.Typed,
    *,
    ttl_us: int | None = None,
    description: str | None = None,
    overwrite: bool = True,
) -> int:
    """Sets a key and returns its version. `ttl_us` None: for ever; `description` None: the present one stays.

    Raises KeyPresent without `overwrite` when the key is there and has not expired; Invalid for a key that is none.
    """
    require_namespace(namespace)
    require_key(key)
    kind, content = value
    text = orjson.dumps(content).decode()
    if len(text) > values.VALUE_BYTES_MAX:
        raise Invalid(
            f"the value of '{key}' is larger than {values.VALUE_BYTES_MAX} bytes; keep it as a file", code="kv.too_large"
        )
    now = now_us()
    fields: dict[str, Any] = {
        "kind": kind,
        "value": text,
        "expires_at_us": None if ttl_us is None else now + ttl_us,
        "updated_at_us": now,
    }
    mine = {"tenant_id": tenant, "namespace": namespace, "key": key}
    for _ in range(2):
        with transaction.atomic():
            row = KeyValue.objects.select_for_update().filter(**mine).first()
            if row is not None:
                over = row.expires_at_us is not None and row.expires_at_us <= now
                if not overwrite and not over:
                    raise KeyPresent(f"the key '{key}' of namespace '{namespace}' is there already and overwrite is false")
                if description is not None:
                    fields["description"] = description
                KeyValue.objects.filter(**mine).update(version=row.version + 1, **fields)
                return int(row.version) + 1
        try:
            with transaction.atomic():
                KeyValue(**mine, **{**fields, "description": description or ""}, created_at_us=now).save(force_insert=True)
        except IntegrityError:
            continue  # somebody set it in between: it is theirs to be overwritten
        return 1
    raise KeyPresent(f"the key '{key}' of namespace '{namespace}' is being set by others; try again")


def delete(tenant: str, namespace: str, key: str) -> bool:
    """Removes a key. Says whether it was there."""
    return KeyValue.objects.filter(tenant_id=tenant, namespace=namespace, key=key).delete()[0] > 0


def delete_many(tenant: str, namespace: str, keys: Sequence[str]) -> list[str]:
    """Removes several keys; returns those that were there."""
    with transaction.atomic():
        rows = KeyValue.objects.select_for_update().filter(tenant_id=tenant, namespace=namespace, key__in=keys)
        found = sorted(row.key for row in rows)
        rows.delete()
    return found


def keys(tenant: str, namespace: str, prefix: str = "") -> list[str]:
    """Keys of a namespace that begin so and have not expired, in order."""
    rows = present(tenant).filter(namespace=namespace, key__startswith=prefix).order_by("key")
    return list(rows.values_list("key", flat=True))


def present(tenant: str) -> QuerySet[KeyValue]:
    """All keys of a tenant that have not expired."""
    return KeyValue.objects.filter(Q(expires_at_us__isnull=True) | Q(expires_at_us__gt=now_us()), tenant_id=tenant)
