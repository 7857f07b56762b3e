"""What tasks wrote down outside the system: one line per start and end, in a file that survives whatever is killed."""

from __future__ import annotations

import time
from pathlib import Path


class Witness:
    """Lines `start <task>` and `end <task>`, in the order they happened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def script(self, seconds: float) -> str:
        """YAML properties of a shell task that writes its start, works a while, and writes its end."""
        return (
            "    type: io.kestra.plugin.scripts.shell.Commands\n"
            "    taskRunner: {type: io.kestra.plugin.core.runner.Process}\n"
            "    commands:\n"
            f'      - echo "start {{{{ task.id }}}}" >> "{self.path}"\n'
            f"      - sleep {seconds}\n"
            f'      - echo "end {{{{ task.id }}}}" >> "{self.path}"\n'
        )

    def lines(self) -> list[str]:
        """All lines so far."""
        return self.path.read_text(encoding="utf-8").splitlines()

    def count(self, line: str) -> int:
        """How often that happened."""
        return self.lines().count(line)

    def ended(self) -> list[str]:
        """Tasks that came to their end, in order."""
        return [line.removeprefix("end ") for line in self.lines() if line.startswith("end ")]

    def wait_for(self, line: str, timeout: float = 30) -> None:
        """Returns once the line is there. Raises AssertionError with what is there instead."""
        deadline = time.monotonic() + timeout
        while line not in self.lines():
            assert time.monotonic() < deadline, f"waited for {line!r}, saw {self.lines()}"
            time.sleep(0.02)
