"""Answers: JSON whatever `Accept` says, nulls left out of what is ours, user data untouched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


def dump(value: Any) -> bytes:
    """JSON text of a value. Read-only mappings are objects; dates, decimals and the like become their text."""
    return orjson.dumps(value, default=_foreign, option=_OPTIONS)


def _foreign(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def json_response(value: Any, status: int = 200) -> HttpResponse:
    """An answer with that value as its body."""
    return HttpResponse(dump(value), status=status, content_type="application/json")


def json_bytes(body: bytes, status: int = 200) -> HttpResponse:
    """An answer whose body is JSON already."""
    return HttpResponse(body, status=status, content_type="application/json")


def no_content() -> HttpResponse:
    """204: no body and no type."""
    response = HttpResponse(status=204)
    del response.headers["Content-Type"]
    return response


def present(**fields: Any) -> dict[str, Any]:
    """An object of ours: keys whose value is None do not exist. Values are not looked into."""
    return {name: value for name, value in fields.items() if value is not None}


def without_nulls(value: Any) -> Any:
    """The same through all levels, for objects that are ours to the leaves."""
    if isinstance(value, Mapping):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


class JsonRenderer(BaseRenderer):
    """DRF's renderer for the few answers that are DRF responses."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """The body; nothing for None."""
        return b"" if data is None else dump(data)


class NeverRefuse(BaseContentNegotiation):
    """Any `Accept` is answered; nobody gets 406."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser:
        """The first one reads everything."""
        return parsers[0]  # type: ignore[no-any-return]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> tuple[BaseRenderer, str]:
        """The first one, under its own type."""
        return renderers[0], renderers[0].media_type
