"""Short words for `extend_schema`: bodies and parameters by name."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from controlplane.openapi.components import listed, ref


def answer(name: str, status: int = 200, kind: str = "application/json") -> dict[Any, Any]:
    """One answer whose body is that schema."""
    return {(status, kind): ref(name)}


def answers(name: str) -> dict[Any, Any]:
    """One answer that is a plain list of that schema."""
    return {(200, "application/json"): listed(ref(name))}


def data(kind: str = "application/octet-stream") -> dict[Any, Any]:
    """An answer that is bytes or text."""
    return {(200, kind): {"type": "string"} if kind.startswith("text/") else {"type": "string", "format": "binary"}}


def body(name: str) -> dict[str, Any]:
    """A JSON request body of that schema."""
    return {"application/json": ref(name)}


YAML = {"application/x-yaml": {"type": "string"}}
UPLOAD = {"multipart/form-data": {"type": "object", "additionalProperties": True}}


def query(
    name: str, kind: Any = OpenApiTypes.STR, *, many: bool = False, required: bool = False, about: str = ""
) -> OpenApiParameter:
    """A query parameter; `kind` is a type or a schema."""
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, many=many, required=required, description=about)


PAGE = [
    query("page", OpenApiTypes.INT, about="From 1."),
    query("size", OpenApiTypes.INT, about="1 to 1000, 10 by default."),
    query("sort", many=True, about="`field:asc` or `field:desc`."),
    query("filters", about="`filters[field][OPERATION]=value`, repeated."),
]
