"""Encrypts what is stored in executions and must not be read there: SECRET inputs, encrypted outputs (flow-language §5).

`v1`: a keystream of HMAC-SHA-256 over (nonce, counter), and an HMAC-SHA-256 tag over tenant, nonce and text (encrypt, then
authenticate). Both are standard constructions from what Python itself brings; the prefix leaves room for AES-GCM beside it. Keys
are derived per tenant from the control plane's encryption key, so that a value copied to another tenant does not decrypt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable

from django.conf import settings

from controlplane.platform.errors import Invalid

_PREFIX = "v1."
_NONCE_BYTES = 16
_TAG_BYTES = 32


class Undecryptable(Invalid):
    """The value was encrypted with another key or for another tenant, or it is damaged."""

    code = "secret.undecryptable"


def encrypt_for(tenant: str) -> Callable[[str], str]:
    """What encrypts texts of that tenant; for whoever resolves inputs."""
    return lambda text: encrypt(tenant, text)


def encrypt(tenant: str, text: str) -> str:
    """The encrypted form of a text, another one each time."""
    secret, seal = _keys(tenant)
    nonce = os.urandom(_NONCE_BYTES)
    body = _mixed(secret, nonce, text.encode("utf-8", "surrogatepass"))
    tag = hmac.digest(seal, nonce + body, "sha256")
    return _PREFIX + base64.urlsafe_b64encode(nonce + body + tag).decode()


def decrypt(tenant: str, value: str) -> str:
    """The text of an encrypted value. Raises Undecryptable."""
    try:
        data = base64.urlsafe_b64decode(value.removeprefix(_PREFIX))
    except (binascii.Error, ValueError):
        data = b""
    if not value.startswith(_PREFIX) or len(data) < _NONCE_BYTES + _TAG_BYTES:
        raise Undecryptable("the value is no encrypted one of this platform")
    secret, seal = _keys(tenant)
    nonce, body, tag = data[:_NONCE_BYTES], data[_NONCE_BYTES:-_TAG_BYTES], data[-_TAG_BYTES:]
    if not hmac.compare_digest(tag, hmac.digest(seal, nonce + body, "sha256")):
        raise Undecryptable("the value was encrypted with another key (HEADRACE_ENCRYPTION_KEY), or it is damaged")
    return _mixed(secret, nonce, body).decode("utf-8", "surrogatepass")


def _keys(tenant: str) -> tuple[bytes, bytes]:
    """The tenant's keys for the keystream and for the tag."""
    root = hashlib.sha256(settings.HEADRACE_ENCRYPTION_KEY.encode()).digest()
    made = [hmac.digest(root, f"headrace/{purpose}/{tenant}".encode(), "sha256") for purpose in ("keystream", "tag")]
    return made[0], made[1]


def _mixed(key: bytes, nonce: bytes, data: bytes) -> bytes:
    blocks = range(-(-len(data) // 32))
    stream = b"".join(hmac.digest(key, nonce + number.to_bytes(8), "sha256") for number in blocks)
    return bytes(one ^ other for one, other in zip(data, stream, strict=False))
