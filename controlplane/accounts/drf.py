"""How DRF and its OpenAPI generator learn of our authentication. Imports no views: DRF's settings load this module."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from controlplane.accounts import sessions
from controlplane.accounts.actor import Actor
from controlplane.accounts.authentication import identify
from controlplane.platform.errors import Unauthenticated


class ActorAuthentication(BaseAuthentication):
    """DRF's hook: `request.user` is an Actor or None."""

    def authenticate(self, request: Request) -> tuple[Actor, None] | None:
        """See `identify`."""
        actor = identify(request._request)
        return None if actor is None else (actor, None)

    def authenticate_header(self, request: Request) -> str:
        """Challenge of a 401."""
        return "Bearer"


class SignedIn(BasePermission):
    """Everything needs a caller unless a view says otherwise."""

    def has_permission(self, request: Request, view: object) -> bool:
        """True; raises Unauthenticated otherwise, so that the body is ours."""
        if request.user is None:
            raise Unauthenticated("sign in, or send an API token as `Authorization: Bearer …`")
        return True


class ActorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes it."""

    target_class = "controlplane.accounts.drf.ActorAuthentication"
    name = ["bearerAuth", "basicAuth", "cookieAuth"]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        """Three ways in."""
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "http", "scheme": "basic"},
            {"type": "apiKey", "in": "cookie", "name": sessions.COOKIE},
        ]
