"""The expression function `kv` for what the control plane evaluates (expressions §7). Workers have their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flows.errors import ExpressionError


def kv_function(tenant: str, namespace: str) -> Callable[..., Any]:
    """`kv(key, namespace, errorOnMissing)` for an expression of a flow of that namespace. It reads the database.

    Without a namespace the parents are asked too. A missing or expired key raises, unless `errorOnMissing` is false.
    """
    home = namespace

    def kv(key: Any, namespace: Any = None, errorOnMissing: Any = True) -> Any:  # noqa: N803 - spelt as in templates
        from controlplane.kv import (
            store,  # its models need a set-up Django; the engine, which is imported without, only makes this
        )

        own = namespace is None or namespace == home
        try:
            return store.get(tenant, home if own else str(namespace), str(key), inherit=own).value
        except (store.KeyMissing, store.KeyExpired) as error:
            if errorOnMissing is False:
                return None
            raise ExpressionError(f"kv(): {error}", code=error.code) from None

    return kv
