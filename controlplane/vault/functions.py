"""What the small expressions the control plane evaluates may call: clock and chance, keys, secrets (expressions §7).

Conditions of a flow's own control flow, inputs of triggers and subflows, defaults of inputs. Workers have their own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from controlplane.kv.functions import kv_function
from controlplane.vault.resolver import resolve_secret
from flows.errors import ExpressionError
from flows.expressions.ambient import make_ambient


def plane_functions(tenant: str, namespace: str, moment: datetime | None = None) -> dict[str, Callable[..., Any]]:
    """The functions for an expression of a flow of that namespace. `moment`: what `now()` says; None: the clock, at each call."""

    def clock() -> datetime:
        return moment if moment is not None else datetime.now(UTC)

    return {
        **make_ambient(clock, random.SystemRandom()),
        "kv": kv_function(tenant, namespace),
        "secret": secret_function(tenant, namespace),
    }


def secret_function(tenant: str, namespace: str) -> Callable[..., Any]:
    """`secret(key, namespace)`: a missing secret raises, its name is in the message and its value nowhere."""
    home = namespace

    def secret(key: Any, namespace: Any = None) -> str:
        found = resolve_secret(tenant, home if namespace is None else str(namespace), str(key))
        if found is None:
            raise ExpressionError(f"secret('{str(key)[:100]}'): there is no such secret", code="secret.missing")
        return found

    return secret
