"""Functions that need a clock or chance (`now`, `uuid`, `randomInt`, …), built from the caller's clock and generator.

`flows` itself has neither: whoever renders passes them in, so a test renders the same text twice.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows.errors import ExpressionError
from flows.expressions import encryption, moments
from flows.expressions.operators import type_error

if TYPE_CHECKING:
    from random import Random

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
NANO_ID_ALPHABET = "_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NANO_ID_LENGTH_MAX = 10_000
FRIENDLY_ID_LENGTH = 22
KSUID_EPOCH_SECONDS = 1_400_000_000
"""The moment KSUIDs count from."""


def make_ambient(now: Callable[[], datetime], random: Random) -> dict[str, Callable[..., Any]]:
    """The functions, for `Scope(functions=…)`. `now` gives an aware datetime; `random` should be random.SystemRandom():
    what `encrypt` makes can be read by others when its nonces repeat."""
    chance = random

    def now_(format: Any = "iso", timeZone: Any = None, existingFormat: Any = None, locale: Any = None) -> str:  # noqa: N803
        return moments.text(moments.moment(now(), timeZone), format, locale)

    def uuid() -> str:
        return str(UUID(int=chance.getrandbits(128), version=4))

    def friendly_id() -> str:
        return _base62(chance.getrandbits(128), FRIENDLY_ID_LENGTH)

    def ksuid() -> str:
        seconds = int(now().timestamp()) - KSUID_EPOCH_SECONDS
        return _base62((max(seconds, 0) << 128) | chance.getrandbits(128), 27)

    def nano_id(length: Any = 21, alphabet: Any = NANO_ID_ALPHABET) -> str:
        if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= NANO_ID_LENGTH_MAX:
            raise ExpressionError(f"`nanoId` expects a length from 1 to {NANO_ID_LENGTH_MAX}", code="expression.range")
        if not isinstance(alphabet, str) or not alphabet:
            raise type_error("`nanoId` expects a text as `alphabet`", alphabet)
        return "".join(chance.choice(alphabet) for _ in range(length))

    def random_int(lower: Any, upper: Any) -> int:
        for bound in (lower, upper):
            if not isinstance(bound, int) or isinstance(bound, bool):
                raise type_error("`randomInt` expects integers", bound)
        if lower >= upper:
            raise ExpressionError(f"`randomInt` needs lower < upper, found {lower} and {upper}", code="expression.range")
        return chance.randrange(lower, upper)

    def random_port() -> int:
        return chance.randrange(49152, 65536)

    def encrypt(key: Any, plaintext: Any) -> str:
        return encryption.encrypt(key, plaintext, chance.getrandbits(8 * encryption.NONCE_BYTES))

    return {
        "now": now_,
        "uuid": uuid,
        "id": friendly_id,
        "ksuid": ksuid,
        "nanoId": nano_id,
        "randomInt": random_int,
        "randomPort": random_port,
        "encrypt": encrypt,
    }


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits
