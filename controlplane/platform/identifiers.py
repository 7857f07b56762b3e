"""What ids look like, and a check that says so."""

from __future__ import annotations

import re

from controlplane.platform.errors import Invalid

TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
NAMESPACE = re.compile(r"[a-z0-9][a-z0-9._-]{0,149}")
FLOW = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}")

_INSTANCE_WORDS = """
    users service-accounts tenants me plugins pebble configs license-info setup auths banners kill-switches notifications
    invitation instance auditlogs executions flows logs namespaces triggers login logout metrics outputs kv
"""
RESERVED_TENANTS = frozenset(_INSTANCE_WORDS.split())
"""First words of addresses that have no tenant: as tenant ids they would be ambiguous."""


def require_namespace(name: str) -> str:
    """The namespace when it is well-formed. Raises Invalid."""
    if NAMESPACE.fullmatch(name) is None or ".." in name:
        raise Invalid(
            f"{name!r} is no namespace: lower-case letters, digits, dots, `_` and `-`, first a letter or digit",
            code="namespace.invalid",
        )
    return name


def require_tenant(name: str) -> str:
    """The tenant id when it is well-formed and free. Raises Invalid."""
    if TENANT.fullmatch(name) is None or name in RESERVED_TENANTS:
        raise Invalid(
            f"{name!r} cannot be a tenant: lower-case letters, digits, `_` and `-`, no word of our addresses",
            code="tenant.invalid",
        )
    return name
