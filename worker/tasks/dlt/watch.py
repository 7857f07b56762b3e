"""Watches the pipelines of an unchanged script: a report after every run, also a failed one, and live progress.

Loaded by place into the script's interpreter once it imports dlt. Nothing here may reach the script: not an error, not a
line of output, not another result.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_METHODS = ("run", "extract", "normalize", "load")


def watch(pipeline_class: Any, folder: str) -> None:
    """Wraps the working methods of `dlt.Pipeline`; reports go to `folder` as `run-<process>-<transaction>.json`."""
    watcher = _Watcher(Path(folder))
    for name in _METHODS:
        setattr(pipeline_class, name, watcher.around(getattr(pipeline_class, name)))


class _Watcher:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.since = dt.datetime.now(dt.timezone.utc)  # noqa: UP017 - also runs on Python 3.10
        self.inside = threading.local()

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """The method, followed by a report when it is the outermost (`run` calls the others itself)."""

        @functools.wraps(method)
        def watched(pipeline: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(self.inside, "depth", 0):
                return method(pipeline, *args, **kwargs)
            self.inside.depth = 1
            self._listen(pipeline)
            try:
                result = method(pipeline, *args, **kwargs)
            except BaseException as error:
                self._report(pipeline, error)
                raise
            finally:
                self.inside.depth = 0
            self._report(pipeline, None)
            return result

        return watched

    def _listen(self, pipeline: Any) -> None:
        try:
            from .collector import ProgressCollector

            if not isinstance(pipeline.collector, ProgressCollector):
                told = functools.partial(self._tell, pipeline.pipeline_name)
                pipeline.collector = ProgressCollector(told, pipeline.collector)
        except Exception:
            _excuse()

    def _tell(self, name: str, said: dict[str, Any]) -> None:
        self._write(f"progress-{os.getpid()}.json", {**said, "pipeline": name, "at": time.time()})

    def _report(self, pipeline: Any, error: BaseException | None) -> None:
        try:
            from .insight import observe

            report = observe(pipeline, since=self.since, error=error)
            self._write(f"run-{os.getpid()}-{report['transactionId'] or pipeline.pipeline_name}.json", report)
        except Exception:
            _excuse()

    def _write(self, name: str, value: dict[str, Any]) -> None:
        # Readers look at any time: a file is there whole or not at all.
        written = self.folder / f".{name}.{threading.get_ident()}"
        written.write_text(json.dumps(value, default=str), encoding="utf-8")
        os.replace(written, self.folder / name)


def _excuse() -> None:
    """Called while an error of ours is handled: silent, unless we look for faults of ours."""
    if os.environ.get("HEADRACE_DEBUG_HOOKS"):
        raise  # noqa: PLE0704 - re-raises what the caller handles
