"""The base of our DRF views: parse → access → one action or query → serialise."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.views import APIView

from controlplane.accounts.access import access_tenant
from controlplane.accounts.actor import Actor


def plain(request: Request) -> HttpRequest:
    """Django's own request: our parsers read bodies themselves."""
    return request._request


class ApiView(APIView):
    """What all share. `legacy`: an address kept for older clients; it is left out of our OpenAPI document."""

    legacy: bool = False


class PublicView(ApiView):
    """Answers anyone."""

    authentication_classes: ClassVar[list[Any]] = []  # type: ignore[misc]
    permission_classes: ClassVar[list[Any]] = []  # type: ignore[misc]


class InstanceView(ApiView):
    """What concerns no tenant."""

    actor: Actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticates and checks permissions."""
        super().initial(request, *args, **kwargs)
        self.actor = request.user  # type: ignore[assignment]


class TenantView(InstanceView):
    """What lives under /api/v1/{tenant}: the tenant exists and the caller belongs to it before a handler runs."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticates, then looks at the tenant."""
        super().initial(request, *args, **kwargs)
        access_tenant(self.actor, kwargs["tenant"])
