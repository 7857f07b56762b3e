"""When a child of a WorkingDirectory is tried again: its own `retry`, followed by the worker (flow-language §11)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from flows.spec import dialects, shapes


class Retries:
    """The waits of one child. `first_us`: when its first attempt began, microseconds since 1970.

    A retry that cannot be read is none: the plane has refused it when the flow was saved.
    """

    def __init__(self, written: object, first_us: int) -> None:
        self._first_us = first_us
        self._shape: Any = None
        if isinstance(written, Mapping):
            named = {dialects.RETRY_NAMES.get(str(name), str(name)): value for name, value in written.items()}
            model = shapes.RETRIES.get(str(named.get("type")))
            try:
                self._shape = model.model_validate(named) if model is not None else None
            except ValidationError:
                self._shape = None

    @property
    def warning_on_retry(self) -> bool:
        """Whether a success after the first attempt is a WARNING."""
        return bool(self._shape is not None and self._shape.warning_on_retry)

    def wait_seconds(self, failures: int, now_us: int) -> float | None:
        """How long to wait after that many failures, or None when the policy says stop."""
        shape = self._shape
        if shape is None or (shape.max_attempts is not None and failures >= shape.max_attempts):
            return None
        if isinstance(shape, shapes.RandomRetry):
            low, high = shape.min_interval.total_seconds(), shape.max_interval.total_seconds()
            wait = low + (high - low) * random.random()
        elif isinstance(shape, shapes.ExponentialRetry):
            # A large exponent would overflow a float long before anybody waits that long.
            grown = shape.interval.total_seconds() * shape.delay_factor ** min(failures - 1, 64)
            wait = min(grown, shape.max_interval.total_seconds())
        else:
            wait = shape.interval.total_seconds()
        if shape.max_duration is not None:
            due_us = now_us + int(wait * 1_000_000)
            if due_us > self._first_us + int(shape.max_duration.total_seconds() * 1_000_000):
                return None
        return float(wait)
