"""The log of one attempt: numbers lines without gaps, gathers them into batches, declares what had to be dropped."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from wire import gateway
from worker import limits
from worker.lines import pieces
from worker.masking import Masker

LEVELS = {"TRACE": 0, "DEBUG": 1, "INFO": 2, "WARN": 3, "WARNING": 3, "ERROR": 4, "CRITICAL": 4}
TRACE, DEBUG, INFO, WARN, ERROR = range(5)
NAMES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")

_BATCH_CHARACTERS_MAX = 400_000
"""Characters of one batch, so that it fits into a message even when each takes four bytes."""


class AttemptLog:
    """Takes lines, hands batches to `ship` (the session's `log_batch`). Not for several threads at once.

    `ship(batch, reserve)` says whether the batch was taken; lines that were not taken get no number, and a later line says how
    many they were. `level_min`: lines below are not kept (a task's `logLevel`).
    """

    def __init__(
        self,
        token: gateway.AttemptToken,
        ship: Callable[[gateway.LogBatch, bool], bool],
        masker: Masker,
        *,
        sub_task_id: str = "",
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._token = token
        self._sub_task_id = sub_task_id
        self._ship = ship
        self._masker = masker
        self._clock = clock
        self._pending: list[tuple[int, int, str]] = []
        self._characters = 0
        self._next = 0
        self._dropped = 0
        self.level_min = TRACE
        self.file: Path | None = None
        """Where lines go instead of the plane (a task's `logToFile`)."""
        self.on_pending: Callable[[], None] | None = None
        """Called when a first line begins to wait for company."""

    @property
    def lines_count(self) -> int:
        """Lines numbered so far: after `flush(last=True)` the end marker of the log."""
        return self._next

    @property
    def pending(self) -> bool:
        """Whether lines wait for company."""
        return bool(self._pending)

    def line(self, level: int, text: str) -> None:
        """One record of a task or of the agent. Overlong texts are split; masked here."""
        if level < self.level_min:
            return
        text = self._masker.mask(text).replace("\0", "\N{REPLACEMENT CHARACTER}")
        self.lines(level, pieces(text))

    def lines(self, level: int, texts: list[str]) -> None:
        """Lines that are masked and in bounds already, all of this moment."""
        if level < self.level_min or not texts:
            return
        now = self._clock()
        if self.file is not None:
            self._write(self.file, now, level, texts)
            return
        if not self._pending and self.on_pending is not None:
            self.on_pending()
        for start in range(0, len(texts), limits.LOG_BATCH_LINES_MAX):
            part = texts[start : start + limits.LOG_BATCH_LINES_MAX]
            size = sum(map(len, part))
            if self._pending and (
                len(self._pending) + len(part) > limits.LOG_BATCH_LINES_MAX or self._characters + size > _BATCH_CHARACTERS_MAX
            ):
                self.flush()
            if size <= _BATCH_CHARACTERS_MAX:
                self._pending += [(now, level, text) for text in part]
                self._characters += size
                continue
            for text in part:
                if self._characters + len(text) > _BATCH_CHARACTERS_MAX:
                    self.flush()
                self._pending.append((now, level, text))
                self._characters += len(text)
        if len(self._pending) >= limits.LOG_BATCH_LINES_MAX:
            self.flush()

    def to_file(self, path: Path) -> None:
        """From now on lines are appended to a file, which the agent stores when the attempt is over."""
        self.file = path

    @staticmethod
    def _write(path: Path, at_us: int, level: int, texts: list[str]) -> None:
        moment = datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(f"{moment} {NAMES[level]} {text}\n" for text in texts)

    def flush(self, *, last: bool = False) -> None:
        """Ships what waits. `last`: the attempt is over, so a gap has to be declared now."""
        if self._dropped and (self._pending or last):
            # The declaration is small and goes even over the ceiling when there will be no other chance.
            text = f"{self._dropped} log lines were dropped here: the worker's store for logs on their way was full."
            if self._send([(self._clock(), WARN, text)], reserve=last):
                self._dropped = 0
        if not self._pending:
            return
        lines, self._pending, self._characters = self._pending, [], 0
        if self._dropped or not self._send(lines, reserve=False):
            self._dropped += len(lines)
            if last:
                self.flush(last=True)

    def _send(self, lines: list[tuple[int, int, str]], *, reserve: bool) -> bool:
        make = gateway.LogLine
        try:
            made = [make(at_us=at_us, level=level, text=text) for at_us, level, text in lines]
        except ValueError:  # a lone surrogate, from a task that decoded carelessly
            made = [make(at_us=at, level=level, text=text.encode("utf-8", "replace").decode()) for at, level, text in lines]
        batch = gateway.LogBatch(token=self._token, first=self._next, lines=made, sub_task_id=self._sub_task_id)
        if not self._ship(batch, reserve):
            return False
        self._next += len(lines)
        return True
