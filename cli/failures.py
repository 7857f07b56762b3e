"""How a command ends badly: one message a person can act on, and an exit status."""

from __future__ import annotations

from flows.errors import HeadraceError


class CommandFailed(HeadraceError):
    """The command cannot go on. The message says what was found and what to do; `status` is the exit status."""

    code = "command.failed"

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
