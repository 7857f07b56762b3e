"""Texts of flows before they are parsed: several in one body, JSON instead of YAML, the ids of a broken one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson
import yaml
from django.http import HttpRequest

from controlplane.platform.errors import Invalid
from controlplane.platform.parsers import content_type, form_parts, text_body
from flows.limits import SOURCE_BYTES_MAX

_SEPARATOR = re.compile(r"^---[ \t]*(?:#.*)?(?:\r?\n|\Z)", re.MULTILINE)
_FIELD = r"^{name}:[ \t]*[\"']?([A-Za-z0-9][A-Za-z0-9._-]*)[\"']?[ \t]*(?:#.*)?\r?$"


def split_documents(text: str) -> list[str]:
    """Documents between lines of `---`. Empty ones do not count."""
    return [part for part in _SEPARATOR.split(text) if part.strip()]


def mentioned(source: str, name: str) -> str | None:
    """The value of a plain top-level field of a text that may be broken."""
    match = re.search(_FIELD.format(name=name), source, re.MULTILINE)
    return None if match is None else match[1]


def flow_source(request: HttpRequest) -> str:
    """The source in a request: YAML as sent, or a JSON flow object written as YAML. Raises Invalid."""
    text = text_body(request)
    if content_type(request) == "application/json" and text.lstrip().startswith("{"):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Invalid(f"the body is no JSON: {error}", code="request.json") from None
        return as_yaml(value)
    if not text.strip():
        raise Invalid("the body must be the YAML source of a flow", code="flow.empty")
    return text


def flow_sources(request: HttpRequest) -> list[str]:
    """All documents of a body, or of the parts of a form."""
    texts: Iterable[str]
    if content_type(request) == "multipart/form-data":
        texts = [part if isinstance(part, str) else part.read().decode("utf-8", "replace") for _, part in form_parts(request)]
    else:
        texts = [text_body(request)]
    sources = [source for text in texts for source in split_documents(text)]
    if sum(map(len, sources)) > 20 * SOURCE_BYTES_MAX:
        raise Invalid("that is too much text for one call; send fewer flows", code="flow.too_large")
    return sources


_SERVER_FIELDS = frozenset({"revision", "deleted", "draft", "updated", "source"})


def as_yaml(value: dict[str, Any]) -> str:
    """A JSON flow object as YAML, without what the server itself adds to answers."""
    kept = {name: item for name, item in value.items() if name not in _SERVER_FIELDS and item is not None}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=4096)
