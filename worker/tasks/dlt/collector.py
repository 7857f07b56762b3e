"""Live progress of a dlt pipeline: a collector around the user's own that tells a listener, at most twice a second.

Loaded by place into the interpreters of script tasks too; dlt is imported by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dlt.common.runtime.collector_base import Collector

INTERVAL_SECONDS = 0.5
"""Least time between two words to the listener; a new step is told at once."""

_WHOLE = ("Resources", "Files", "Jobs")
"""dlt's counters of whole steps: resources while extracting, files while normalising, jobs while loading."""

_OF_WHOLE = {"Resources": "resources", "Files": "files", "Jobs": "load jobs", "Items": "rows"}


class ProgressCollector(Collector):
    """Counts what dlt reports and passes everything on to the collector it wraps.

    `listener` gets `step`, `message`, `done`, `total` and `detail` (number per table or counter). What it raises is dropped:
    watching never disturbs.
    """

    def __init__(self, listener: Callable[[dict[str, Any]], None], inner: Any = None) -> None:
        self.listener = listener
        self.inner = inner
        self.step = ""
        self._counts: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._told = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> ProgressCollector:
        # dlt copies the collector when a pipeline is dropped and made anew; the listener stays the same.
        return ProgressCollector(self.listener, self.inner)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        if self.inner is not None:
            self.inner.update(name, inc, total, inc_total, message, label)
        if label:
            return
        self._counts[name] = self._counts.get(name, 0) + inc
        if total is not None:
            self._totals[name] = total
        if inc_total:
            self._totals[name] = self._totals.get(name, 0) + inc_total
        if time.monotonic() - self._told >= INTERVAL_SECONDS:
            self._tell()

    def _start(self, step: str) -> None:
        if self.inner is not None:
            self.inner.step = step
            self.inner._start(step)
        # dlt says "Extract chess": the first word is the step.
        self.step = step
        self._counts, self._totals = {}, {}
        self._tell()

    def _stop(self) -> None:
        self._tell()
        if self.inner is not None:
            self.inner._stop()

    def on_start_trace(self, trace: Any, step: Any, pipeline: Any) -> None:
        if self.inner is not None:
            self.inner.on_start_trace(trace, step, pipeline)

    def on_start_trace_step(self, trace: Any, step: Any, pipeline: Any) -> None:
        if self.inner is not None:
            self.inner.on_start_trace_step(trace, step, pipeline)

    def on_end_trace_step(self, trace: Any, step: Any, pipeline: Any, step_info: Any, send_state: bool) -> None:
        if self.inner is not None:
            self.inner.on_end_trace_step(trace, step, pipeline, step_info, send_state)

    def on_end_trace(self, trace: Any, pipeline: Any, send_state: bool) -> None:
        if self.inner is not None:
            self.inner.on_end_trace(trace, pipeline, send_state)

    def _tell(self) -> None:
        self._told = time.monotonic()
        whole = next((name for name in _WHOLE if name in self._counts), None)
        tables = {name: count for name, count in self._counts.items() if name not in _WHOLE and not name.startswith("_dlt_")}
        parts = []
        if whole is not None:
            of = f" of {self._totals[whole]}" if whole in self._totals else ""
            parts.append(f"{self._counts[whole]}{of} {_OF_WHOLE[whole]}")
        parts.extend(f"{_OF_WHOLE.get(name, name)}: {count}" for name, count in list(tables.items())[:5])
        said = {
            "step": self.step.split(" ", 1)[0].lower() or "run",
            "message": ", ".join(parts),
            "done": self._counts.get(whole, 0) if whole else None,
            "total": self._totals.get(whole) if whole else None,
            "detail": tables,
        }
        with suppress(Exception):
            self.listener(said)
