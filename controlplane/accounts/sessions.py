"""Login cookies: a signed note that names the user and the epoch of their sessions."""

from __future__ import annotations

import secrets
import time

import jwt
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from controlplane.accounts.models import User

COOKIE = "JWT"
CSRF_COOKIE = "csrfToken"
CSRF_HEADER = "X-CSRF-TOKEN"
SESSION_SECONDS = 12 * 3600
_ALGORITHM = "HS256"
_AUDIENCE = "headrace.session"


def session_token(user: User) -> str:
    """A fresh signed token for that user."""
    now = int(time.time())
    claims = {"sub": user.id, "epoch": user.session_epoch, "iat": now, "exp": now + SESSION_SECONDS, "aud": _AUDIENCE}
    return jwt.encode(claims, settings.SECRET_KEY, algorithm=_ALGORITHM)


def read_session(token: str) -> tuple[str, int] | None:
    """(user id, epoch) of a token that is ours and not expired, else None."""
    try:
        claims = jwt.decode(token, settings.SECRET_KEY, algorithms=[_ALGORITHM], audience=_AUDIENCE)
        return str(claims["sub"]), int(claims["epoch"])
    except (jwt.InvalidTokenError, KeyError, ValueError):
        return None


def set_session(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Signs the browser in."""
    response.set_cookie(
        COOKIE, session_token(user), max_age=SESSION_SECONDS, path="/", httponly=True, samesite="Lax", secure=request.is_secure()
    )


def clear_session(response: HttpResponseBase) -> None:
    """Signs the browser out."""
    response.delete_cookie(COOKIE, path="/", samesite="Lax")


def csrf_token(request: HttpRequest) -> str:
    """The token of this browser, a fresh one when it has none yet."""
    present = request.COOKIES.get(CSRF_COOKIE, "")
    if len(present) == 43 and present.replace("-", "").replace("_", "").isalnum():
        return present
    return secrets.token_urlsafe(32)


def set_csrf(request: HttpRequest, response: HttpResponseBase, token: str) -> None:
    """The cookie half of the double submit. Readable by scripts on purpose: the console sends it back as a header."""
    response.set_cookie(CSRF_COOKIE, token, path="/", samesite="Lax", secure=request.is_secure())
