"""What tasks with a Python process of their own need before they start: their library, namespace files, input files."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from flows.plugins import Dynamic, Properties
from worker.errors import TaskFailed


class NamespaceFiles(Properties):
    """Which files of the namespace stand in the working directory before the task starts."""

    enabled: Dynamic[bool] = True
    include: Dynamic[list[str]] = Field(default=[], description="Globs; empty: all files.")
    exclude: Dynamic[list[str]] = []
    namespaces: Dynamic[list[str]] = Field(
        default=[], description="Namespaces to take from, later ones win; empty: the flow's own."
    )


def require_library(name: str) -> None:
    """Raises TaskFailed (`worker.library_missing`) when the worker was installed without a library the task needs."""
    if importlib.util.find_spec(name) is None:
        raise TaskFailed(
            f"This worker has no {name}. Install it beside the worker: pip install 'headrace[worker,data]'.",
            code="worker.library_missing",
        )


def bring_in(context: Any, namespace_files: NamespaceFiles | None, input_files: Mapping[str, str | None] | None) -> None:
    """Fills the working directory: namespace files first, input files over them (tasks spec §23.30)."""
    if namespace_files is not None and namespace_files.enabled:
        context.namespace_files(namespace_files.include, namespace_files.exclude, namespace_files.namespaces)
    for name, content in (input_files or {}).items():
        context.input_file(content or "", name)
