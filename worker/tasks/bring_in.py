"""What tasks find in their working directory: namespace files first, input files over them (tasks spec §1, §23.30)."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties
from worker.errors import TaskFailed


class NamespaceFiles(Properties):
    """Which files of the namespace stand in the working directory before the task starts."""

    enabled: Dynamic[bool] = True
    include: Dynamic[list[str]] = Field(default=[], description="Globs; empty: all files.")
    exclude: Dynamic[list[str]] = []
    namespaces: Dynamic[list[str]] | None = Field(
        default=None, description="Namespaces to take from, later ones win; empty: the flow's own."
    )
    if_exists: Dynamic[Literal["OVERWRITE", "ERROR", "WARN", "IGNORE"]] = "OVERWRITE"
    folder_per_namespace: Dynamic[bool] = False


def require_library(name: str) -> None:
    """Raises TaskFailed (`worker.library_missing`) when the worker was installed without a library the task needs."""
    if importlib.util.find_spec(name) is None:
        raise TaskFailed(
            f"This worker has no {name}. Install it beside the worker: pip install 'headrace[worker,data]'.",
            code="worker.library_missing",
        )


def bring_in(context: Any, namespace_files: NamespaceFiles | None, input_files: Any) -> None:
    """Fills the working directory. A null content leaves the file out; other values than texts are written as JSON."""
    copy_namespace_files(context, namespace_files)
    for name, content in as_map(input_files or {}, "inputFiles").items():
        if content is not None:
            context.input_file(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), str(name))


def copy_namespace_files(context: Any, wanted: NamespaceFiles | None) -> None:
    """Copies the wanted files of the namespace, of several namespaces when they are named."""
    if wanted is None or not wanted.enabled:
        return
    include: Any = wanted.include
    exclude: Any = wanted.exclude
    namespaces: Any = wanted.namespaces or []
    context.namespace_files(
        include, exclude, namespaces, if_exists=str(wanted.if_exists), folder_per_namespace=bool(wanted.folder_per_namespace)
    )


def as_map(value: Any, name: str) -> dict[str, Any]:
    """A map property; JSON text of a map is one too. Raises TaskFailed (`task.property_invalid`)."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise TaskFailed(
                f"{name}: expected a map, or an expression that renders to a JSON map.", code="task.property_invalid"
            ) from None
    if not isinstance(value, Mapping):
        raise TaskFailed(f"{name}: expected a map, found {type(value).__name__}.", code="task.property_invalid")
    return dict(value)
