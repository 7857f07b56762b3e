"""The beginning of a file as rows or text, for a person to look at."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson

from controlplane.files import storage

PREVIEW_ROWS_DEFAULT = 100
PREVIEW_ROWS_MAX = 5_000
PREVIEW_BYTES_MAX = 2_000_000
"""What is read of a file at most, whatever the rows asked for."""

_LINES_OF_JSON = frozenset({"jsonl", "ndjson", "ion", "jl"})


def preview(tenant: str, uri: str, rows_max: int | None = None) -> dict[str, Any]:
    """`{extension, type LIST|TEXT, content, truncated}`. Raises FileMissing."""
    rows_max = max(1, min(rows_max or PREVIEW_ROWS_DEFAULT, PREVIEW_ROWS_MAX))
    data = storage.read_file(tenant, uri, PREVIEW_BYTES_MAX)
    cut = storage.file_size(tenant, uri) > len(data)
    extension = uri.rpartition("/")[2].rpartition(".")[2].lower()
    text = data.decode("utf-8", "replace")
    lines = text.splitlines()
    if cut and lines:
        lines.pop()  # most likely half a line
    rows: list[Any] | None = None
    if extension == "csv":
        rows = list(csv.DictReader(io.StringIO("\n".join(lines[: rows_max + 2]))))
    elif extension in _LINES_OF_JSON:
        rows = _json_lines(lines[: rows_max + 1])
    if rows is not None:
        shown = rows[:rows_max]
        return {"extension": extension, "type": "LIST", "content": shown, "truncated": cut or len(rows) > len(shown)}
    text = "\n".join(lines[:rows_max])
    return {"extension": extension, "type": "TEXT", "content": text, "truncated": cut or len(lines) > rows_max}


def _json_lines(lines: list[str]) -> list[Any] | None:
    """Values of the lines, or None when they are no JSON (Ion has richer forms)."""
    try:
        return [orjson.loads(line) for line in lines if line.strip()]
    except orjson.JSONDecodeError:
        return None
