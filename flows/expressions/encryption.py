"""AES-GCM for `encrypt` and `decrypt` (expressions §7): base64 of twelve bytes of nonce, the encrypted text and its tag."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.operators import type_error

NONCE_BYTES = 12
KEY_BYTES = (16, 24, 32)


def encrypt(key: Any, plaintext: Any, nonce: int) -> str:
    """The text encrypted; `nonce` is a random number of NONCE_BYTES bytes that is never used twice with a key."""
    if not isinstance(plaintext, str):
        raise type_error("`encrypt` expects a text as `plaintext`", plaintext)
    start = nonce.to_bytes(NONCE_BYTES, "big")
    sealed: bytes = _cipher(key, "encrypt").encrypt(start, plaintext.encode("utf-8", "surrogatepass"), None)
    return base64.b64encode(start + sealed).decode("ascii")


def decrypt(key: Any, encrypted: Any) -> str:
    """The text behind what `encrypt` made. Raises ExpressionError (`expression.decryption`) for another key or other data."""
    if not isinstance(encrypted, str):
        raise type_error("`decrypt` expects a text as `encrypted`", encrypted)
    cipher = _cipher(key, "decrypt")
    from cryptography.exceptions import InvalidTag

    try:
        octets = base64.b64decode(encrypted, validate=True)
        opened: bytes = cipher.decrypt(octets[:NONCE_BYTES], octets[NONCE_BYTES:], None)
        return opened.decode("utf-8")
    except (binascii.Error, InvalidTag, ValueError):
        raise ExpressionError("`decrypt`: the text was not encrypted with this key", code="expression.decryption") from None


def _cipher(key: Any, name: str) -> Any:
    if not isinstance(key, str):
        raise type_error(f"`{name}` expects a base64 text as `key`", key)
    try:
        octets = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) not in KEY_BYTES:
        raise ExpressionError(f"`{name}` expects base64 of 16, 24 or 32 bytes as `key`", code="expression.arguments")
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError:
        raise ExpressionError(
            f"`{name}` needs the package `cryptography`; install it where the flow runs", code="expression.unavailable"
        ) from None
    return AESGCM(octets)
