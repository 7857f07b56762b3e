"""Secrets by name: namespace, then its parents, then the tenant, then the environment of the control plane.

Each place is a `Source`; the chain asks them in order and the first that knows the name wins. Today only the environment is
there (`SECRET_<NAME>`, base64); the built-in vault and external ones join the same chain.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

PREFIX = "SECRET_"

GNU_WRAP_CHARACTERS = 76
"""`base64` of GNU wraps here; an env file keeps only the first line, so a value of exactly this length is most likely cut off."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a secret is looked for. `namespace` None = the tenant as a whole."""

    tenant: str
    namespace: str | None


class Source(Protocol):
    """A place that holds secrets."""

    def find(self, scope: Scope, name: str) -> str | None:
        """The value of exactly that scope, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables `SECRET_<NAME>` of the process, base64. They belong to every tenant, so they answer at the tenant's level.

    Names are compared without case, as the flow language does.
    """

    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def find(self, scope: Scope, name: str) -> str | None:
        """The decoded value; None for an unknown name, a namespace's scope, or a value that is no base64."""
        if scope.namespace is not None:
            return None
        wanted = (PREFIX + name).upper()
        for variable, value in self.variables.items():
            if variable.upper() == wanted:
                return decode(value)
        return None


def decode(value: str) -> str | None:
    """Base64 (either alphabet, padding optional) of UTF-8 text, or None."""
    compact = "".join(value.split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def scopes(tenant: str, namespace: str) -> Iterator[Scope]:
    """From the namespace outwards: `a.b.c`, `a.b`, `a`, the tenant."""
    names = namespace.split(".")
    for length in range(len(names), 0, -1):
        yield Scope(tenant, ".".join(names[:length]))
    yield Scope(tenant, None)


SOURCES: Sequence[Source] = (Environment(),)


def resolve_secret(tenant: str, namespace: str, name: str, sources: Sequence[Source] = SOURCES) -> str | None:
    """The value of a secret as a flow of that namespace sees it, or None."""
    for scope in scopes(tenant, namespace):
        for source in sources:
            value = source.find(scope, name)
            if value is not None:
                return value
    return None


def environment_warnings(variables: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with `SECRET_*` variables, one sentence each with the cure; values are never quoted. For start-up."""
    warnings = []
    seen: dict[str, str] = {}
    for variable, value in sorted((os.environ if variables is None else variables).items()):
        if not variable.upper().startswith(PREFIX):
            continue
        other = seen.setdefault(variable.upper(), variable)
        if other != variable:
            warnings.append(f"{other} and {variable} differ only in case; names of secrets do not: keep one of them")
        if not value:
            warnings.append(f"{variable} is empty; set it to the base64 of the secret, or remove it")
        elif decode(value) is None:
            warnings.append(
                f"{variable} is not base64 of UTF-8 text, so secret('{variable[len(PREFIX) :]}') will not find it; "
                'encode it with `headrace secrets encode`, or `printf %s "$VALUE" | base64 -w0`'
            )
        elif len(value) == GNU_WRAP_CHARACTERS:
            warnings.append(
                f"{variable} has exactly {GNU_WRAP_CHARACTERS} characters: probably wrapped by `base64`, its rest lost; "
                "encode it with `base64 -w0` or `headrace secrets encode`"
            )
    return warnings
