"""How far running attempts are: the latest word of each, in the memory of the process that holds its worker's stream.

Progress is decoration: not durable, at most two words a second from a worker, forgotten when the attempt ends.
"""

from __future__ import annotations

import threading
from typing import Any

import orjson

_lock = threading.Lock()
_latest: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}


def note_progress(tenant: str, execution_id: str, task_run_id: str, progress_json: bytes) -> None:
    """Keeps the latest word. What is no JSON object is passed over: a worker's decoration must not hurt."""
    try:
        progress = orjson.loads(progress_json)
    except orjson.JSONDecodeError:
        return
    if isinstance(progress, dict):
        with _lock:
            _latest.setdefault((tenant, execution_id), {})[task_run_id] = progress


def forget_progress(tenant: str, execution_id: str, task_run_id: str) -> None:
    """The attempt is over."""
    if not _latest:
        return
    with _lock:
        runs = _latest.get((tenant, execution_id))
        if runs is not None:
            runs.pop(task_run_id, None)
            if not runs:
                del _latest[(tenant, execution_id)]


def progress_of(tenant: str, execution_id: str) -> dict[str, dict[str, Any]]:
    """Latest progress by task run id."""
    with _lock:
        return dict(_latest.get((tenant, execution_id), {}))
