"""From a request to an actor: Bearer, Basic, login cookie, in this order.

Bearer tokens are looked up by digest and remembered for seconds; Basic verifies a slow hash, so a verified pair is
remembered too. Both memories are per process and short: a revoked credential works at most that much longer elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from threading import Lock

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.http import HttpRequest

from controlplane.accounts import sessions
from controlplane.accounts.actor import Actor
from controlplane.accounts.models import ApiToken, User
from controlplane.platform.clock import SECOND_US, now_us
from controlplane.platform.errors import Forbidden, Unauthenticated

TOKEN_MEMORY_SECONDS = 2.0
"""How long a token that was deleted on another replica may still work here."""

BASIC_MEMORY_SECONDS = 15.0
"""How long a verified pair of name and password is not hashed again."""

USED_AT_STEP_US = 60 * SECOND_US
"""`lastUsed` of a token is as fine as this; a write per request would cost more than it tells."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_pepper = secrets.token_bytes(32)


class Memory:
    """Actors by key for a bounded time and number. Thread-safe."""

    def __init__(self, seconds: float, entries_max: int = 2000) -> None:
        self._seconds = seconds
        self._entries_max = entries_max
        self._entries: OrderedDict[str, tuple[Actor, float]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Actor | None:
        """The actor, while fresh."""
        entry = self._entries.get(key)
        return entry[0] if entry is not None and entry[1] > time.monotonic() else None

    def put(self, key: str, actor: Actor) -> None:
        """Remembers; the oldest goes when it is full."""
        with self._lock:
            self._entries[key] = (actor, time.monotonic() + self._seconds)
            while len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything: after any change of tokens or passwords."""
        with self._lock:
            self._entries.clear()


_tokens = Memory(TOKEN_MEMORY_SECONDS)
_basic = Memory(BASIC_MEMORY_SECONDS)


def forget_credentials() -> None:
    """Call after a token is deleted or a password changed."""
    _tokens.clear()
    _basic.clear()


def identify(request: HttpRequest) -> Actor | None:
    """The caller, or None when no credential was shown. Raises Unauthenticated for a wrong one, Forbidden for CSRF."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, credential = header.partition(" ")
    scheme = scheme.lower()
    if scheme == "bearer":
        return _by_token(credential.strip())
    if scheme == "basic":
        actor = _by_basic(credential.strip())
        if actor is not None:
            return actor
    cookie = request.COOKIES.get(sessions.COOKIE)
    if cookie:
        actor = _by_cookie(cookie)
        if actor is not None:
            _check_csrf(request)
            return actor
    legacy = request.COOKIES.get("BASIC_AUTH")
    if legacy:
        actor = _by_basic(legacy)
        if actor is not None:
            _check_csrf(request)
            return Actor(actor.user_id, actor.username, actor.instance_owner, "cookie")
    return None


def token_digest(token: str) -> str:
    """What is kept of a token. It has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def _by_token(token: str) -> Actor:
    digest = token_digest(token)
    actor = _tokens.get(digest)
    if actor is not None:
        return actor
    now = now_us()
    row = ApiToken.objects.select_related("user").filter(digest=digest).first()
    if row is None or (row.expires_at_us is not None and row.expires_at_us <= now):
        raise Unauthenticated("the API token is unknown, expired or deleted", code="auth.token")
    if row.used_at_us is None or row.used_at_us < now - USED_AT_STEP_US:
        changes = {"used_at_us": now}
        if row.extended and row.lifetime_us is not None:
            changes["expires_at_us"] = now + row.lifetime_us
        ApiToken.objects.filter(id=row.id).update(**changes)
    actor = _actor(row.user, "token")
    _tokens.put(digest, actor)
    return actor


def _by_basic(credential: str) -> Actor | None:
    """None for the empty pair, which some clients send next to nothing at all."""
    try:
        username, _, password = base64.b64decode(credential, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthenticated("the Basic credentials cannot be decoded", code="auth.basic") from None
    if not username:
        return None
    if not settings.HEADRACE_BASIC_AUTH:
        raise Unauthenticated("Basic authentication is switched off here; use an API token", code="auth.basic_off")
    key = hmac.new(_pepper, f"{username}\0{password}".encode(), hashlib.sha256).hexdigest()
    actor = _basic.get(key)
    if actor is None:
        user = verify_password(username, password)
        if user is None:
            raise Unauthenticated("user name or password is wrong", code="auth.password")
        actor = _actor(user, "basic")
        _basic.put(key, actor)
    return actor


def _by_cookie(cookie: str) -> Actor | None:
    """None for a stale cookie: it counts as absent, the login page follows."""
    claims = sessions.read_session(cookie)
    if claims is None:
        return None
    user = User.objects.filter(id=claims[0], session_epoch=claims[1]).first()
    return None if user is None else _actor(user, "cookie")


def _check_csrf(request: HttpRequest) -> None:
    if request.method in _SAFE or not request.path.startswith("/api/"):
        return
    sent = request.headers.get(sessions.CSRF_HEADER, "")
    kept = request.COOKIES.get(sessions.CSRF_COOKIE, "")
    if not kept or not hmac.compare_digest(sent.encode(), kept.encode()):
        raise Forbidden(
            f"header {sessions.CSRF_HEADER} must repeat the cookie {sessions.CSRF_COOKIE}; /ui/ hands both out", code="auth.csrf"
        )


def verify_password(username: str, password: str) -> User | None:
    """The user when name and password fit. An unknown name costs the same time as a wrong password."""
    user = User.objects.filter(username__iexact=username).first()
    if user is None:
        make_password(password)
        return None
    return user if check_password(password, user.password) else None


def _actor(user: User, source: str) -> Actor:
    return Actor(user.id, user.username, user.instance_owner, source)  # type: ignore[arg-type]
