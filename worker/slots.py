"""How much runs at once: light slots for what runs inside the agent, process slots for what gets a process.

The plane hands out within these numbers; what arrives above them (two planes in a rolling restart, say) waits its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Slots:
    """Counts one kind of slot and starts waiting work in order of arrival."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()

    @property
    def waiting(self) -> int:
        """Work that waits for a slot."""
        return len(self._waiting)

    def take(self, key: str, start: Callable[[], None]) -> None:
        """Calls `start` now, or when a slot is free."""
        if self.used < self.size:
            self.used += 1
            start()
        else:
            self._waiting.append((key, start))

    def withdraw(self, key: str) -> bool:
        """Takes waiting work back; False when it has started already (or never waited)."""
        for entry in self._waiting:
            if entry[0] == key:
                self._waiting.remove(entry)
                return True
        return False

    def free(self) -> None:
        """One of the started has ended; the next one starts."""
        if self._waiting:
            self._waiting.popleft()[1]()
        else:
            self.used -= 1
