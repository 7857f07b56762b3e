"""What a script tells the platform: outputs, metrics, log records, as lines `::{json}::` of its standard output.

Importable in every Python task without installing anything. A package `kestra` that the task installs wins over this one.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Kestra"]

_LEVELS = ((logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"), (logging.DEBUG, "DEBUG"))


class Kestra:
    """All methods may be called on the class; nothing has to be created."""

    @staticmethod
    def outputs(values: Mapping[str, Any]) -> None:
        """Publishes outputs of the task: a mapping of names to anything JSON can hold. Later calls win, name by name."""
        _say({"outputs": values})

    @staticmethod
    def counter(name: str, value: float, tags: Mapping[str, Any] | None = None) -> None:
        """Adds a counter metric: a number, with an optional mapping of tags."""
        _say({"metrics": [_metric(name, "counter", value, tags)]})

    @staticmethod
    def timer(name: str, duration: float | Callable[[], Any], tags: Mapping[str, Any] | None = None) -> None:
        """Adds a timer metric: seconds, or a function that is called and timed."""
        if callable(duration):
            started = time.perf_counter()
            duration()
            duration = time.perf_counter() - started
        _say({"metrics": [_metric(name, "timer", duration, tags)]})

    @staticmethod
    def gauge(name: str, value: float, tags: Mapping[str, Any] | None = None) -> None:
        """Adds a gauge metric: a number that stands for itself."""
        _say({"metrics": [_metric(name, "gauge", value, tags)]})

    @staticmethod
    def logger() -> logging.Logger:
        """A `logging.Logger` whose records keep their level in the log of the task."""
        logger = logging.getLogger("kestra")
        if not any(isinstance(handler, _Handler) for handler in logger.handlers):
            logger.addHandler(_Handler())
            logger.setLevel(logging.DEBUG)
            logger.propagate = False
        return logger


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = next((name for least, name in _LEVELS if record.levelno >= least), "TRACE")
            _say({"logs": [{"level": level, "message": self.format(record)}]})
        except Exception:
            self.handleError(record)


def _metric(name: str, kind: str, value: Any, tags: Mapping[str, Any] | None) -> dict[str, Any]:
    metric: dict[str, Any] = {"name": name, "type": kind, "value": value}
    if tags:
        metric["tags"] = {str(key): str(tag) for key, tag in tags.items()}
    return metric


def _say(message: Mapping[str, Any]) -> None:
    # One write, so that lines of several threads do not mix: a line counts only when it holds nothing else.
    sys.stdout.write("::" + json.dumps(message, default=_plain) + "::\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    """Dates, decimals, numpy scalars, sets and paths as JSON can hold them."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if type(value).__name__ == "Decimal":
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"the built-in package kestra has no {name!r}: it offers Kestra.outputs, counter, timer, gauge and logger. "
        "For more, install the package: pip install kestra"
    )
