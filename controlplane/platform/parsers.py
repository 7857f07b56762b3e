"""Bodies of any type, or none. A view reads what it needs; nothing is read eagerly and no type is refused beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import orjson
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from controlplane.platform.errors import BadRequest, Invalid

YAML_TYPES = frozenset({"application/x-yaml", "application/yaml", "text/yaml", "text/x-yaml", "text/plain"})
NUMBER_MAX = 2**31 - 1
"""Of whole-number parameters: pages, sizes, revisions, rows."""

FORM_TYPES = frozenset({"multipart/form-data", "application/x-www-form-urlencoded"})


class AnyParser(BaseParser):
    """DRF insists on a parser; ours leaves the stream alone."""

    media_type = "*/*"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        """The raw bytes."""
        return stream.read()


def content_type(request: HttpRequest) -> str:
    """The media type of the body, lower case, without parameters; empty when there is none."""
    return (request.content_type or "").lower()


def text_body(request: HttpRequest) -> str:
    """The body as text. Raises Invalid when it is no UTF-8."""
    try:
        return request.body.decode("utf-8-sig" if request.body[:3] == b"\xef\xbb\xbf" else "utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"the body must be UTF-8 text; byte {error.start} is not", code="request.encoding") from None


def json_body(request: HttpRequest) -> Any:
    """The body as JSON; None when it is empty. Raises Invalid."""
    body = request.body
    if not body.strip():
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body must be JSON: {error}", code="request.json") from None


def json_object(request: HttpRequest) -> dict[str, Any]:
    """The body as a JSON object, `{}` when it is empty. Raises Invalid."""
    value = json_body(request)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"the body must be a JSON object, not {type(value).__name__}", code="request.json")
    return value


def object_or_form(request: HttpRequest) -> dict[str, Any]:
    """A JSON object or a form as a flat mapping."""
    if content_type(request) in FORM_TYPES:
        return {name: request.POST[name] for name in request.POST}
    return json_object(request)


def form_parts(request: HttpRequest) -> Iterator[tuple[str, str | UploadedFile[Any]]]:
    """Parts of a form: texts and uploads, in order within each kind. A body that is absent has none. Raises BadRequest."""
    kind = content_type(request)
    if kind not in FORM_TYPES:
        return
    if kind == "multipart/form-data" and "boundary" not in (request.headers.get("Content-Type") or ""):
        if request.body:
            raise BadRequest("multipart/form-data needs a boundary in its Content-Type", code="request.multipart")
        return
    for name, values in request.POST.lists():
        for value in values:
            yield name, value
    for name, uploads in request.FILES.lists():
        for upload in uploads:
            yield name, upload


def flag(request: HttpRequest, name: str, default: bool = False) -> bool:
    """A boolean query parameter in any of the spellings clients use. Raises BadRequest."""
    text = request.GET.get(name)
    if text is None or text == "":
        return default
    lowered = text.lower()
    if lowered in ("true", "1"):
        return True
    if lowered in ("false", "0"):
        return False
    raise BadRequest(f"{name} must be true or false, not {text!r}")


def number(request: HttpRequest, name: str) -> int | None:
    """A whole-number query parameter, None when absent. Raises BadRequest."""
    text = request.GET.get(name)
    if text is None or text == "":
        return None
    try:
        found = int(text)
    except ValueError:
        raise BadRequest(f"{name} must be a whole number, not {text[:40]!r}") from None
    if abs(found) > NUMBER_MAX:
        raise BadRequest(f"{name} must be at most {NUMBER_MAX}, not {text[:40]!r}")
    return found


def listed(request: HttpRequest, name: str) -> list[str]:
    """A parameter that may be repeated, written as a comma-separated list, or both."""
    return [item for text in request.GET.getlist(name) for item in text.split(",") if item]
