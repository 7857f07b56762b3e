"""The tree of errors of a worker.

    HeadraceError
    ├── TaskFailed          a task that failed for a reason a person can act on; ends the attempt FAILED
    │   └── FileRefused     a file name or address that must not be followed
    └── WorkerCannotStart   the agent itself cannot go on: credential refused, folder not writable

Each carries `code`: stable, documented, what programs compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.errors import HeadraceError


class TaskFailed(HeadraceError):
    """Ends the attempt FAILED with this text and `code`. `outputs` are kept on the task run all the same."""

    code = "task.failed"

    def __init__(self, message: str, *, code: str | None = None, outputs: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, code=code)
        self.outputs = dict(outputs) if outputs is not None else None


class FileRefused(TaskFailed):
    """A name leaves its folder, or an address has a scheme that a worker does not follow."""

    code = "file.name_refused"


class WorkerCannotStart(HeadraceError):
    """The agent cannot start or go on; the text says what to do. `headrace worker` ends with a non-zero status."""

    code = "worker.cannot_start"
