"""Encrypts what is stored in executions and must not be read there: SECRET inputs, encrypted outputs (flow-language §5).

AES-256-GCM with a nonce of its own for each value; the tenant is authenticated with it, and each tenant's key is derived (HKDF)
from the control plane's encryption key, so that a value copied to another tenant does not decrypt.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from controlplane.platform.errors import Invalid

_PREFIX = "v1."
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Undecryptable(Invalid):
    """The value was encrypted with another key or for another tenant, or it is damaged."""

    code = "secret.undecryptable"


def encrypt_for(tenant: str) -> Callable[[str], str]:
    """What encrypts texts of that tenant; for whoever resolves inputs."""
    return lambda text: encrypt(tenant, text)


def encrypt(tenant: str, text: str) -> str:
    """The encrypted form of a text, another one each time."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(settings.HEADRACE_ENCRYPTION_KEY, tenant).encrypt(
        nonce, text.encode("utf-8", "surrogatepass"), tenant.encode()
    )
    return _PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()


def decrypt(tenant: str, value: str) -> str:
    """The text of an encrypted value. Raises Undecryptable."""
    try:
        data = base64.urlsafe_b64decode(value.removeprefix(_PREFIX))
    except (binascii.Error, ValueError):
        data = b""
    if not value.startswith(_PREFIX) or len(data) < _NONCE_BYTES + _TAG_BYTES:
        raise Undecryptable("the value is no encrypted one of this platform")
    try:
        plain = _cipher(settings.HEADRACE_ENCRYPTION_KEY, tenant).decrypt(
            data[:_NONCE_BYTES], data[_NONCE_BYTES:], tenant.encode()
        )
    except InvalidTag:
        raise Undecryptable("the value was encrypted with another key (HEADRACE_ENCRYPTION_KEY), or it is damaged") from None
    return plain.decode("utf-8", "surrogatepass")


@lru_cache(maxsize=1_000)
def _cipher(root: str, tenant: str) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"headrace/values/{tenant}".encode()).derive(root.encode())
    return AESGCM(derived)
