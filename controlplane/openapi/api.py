"""The OpenAPI document over REST."""

from __future__ import annotations

from functools import lru_cache

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.views import PublicView
from controlplane.openapi import document
from controlplane.platform.rendering import dump, json_bytes


@lru_cache(maxsize=1)
def _document() -> bytes:
    return dump(document())


class OpenApiView(PublicView):
    """Our interface, described."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """OpenAPI 3.0."""
        return json_bytes(_document())
