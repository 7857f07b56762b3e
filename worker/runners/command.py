"""What a script task asks a runner for, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from worker.agent_context import AgentContext


@dataclass(frozen=True, slots=True)
class Command:
    """One process: `argv`, its whole environment, its working directory."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: exit code (128 + signal when killed by one), lines counted, outputs said by `::{…}::` lines."""

    exit_code: int
    stdout_lines: int
    stderr_lines: int
    said: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class RunsCommand(Protocol):
    """A task type that is a command: the agent runs it by a runner; nothing of the task runs in Python."""

    def command(self, context: AgentContext) -> Command:
        """Prepares the working directory and says what to run. Called in a thread. Raises TaskFailed."""

    def collect(self, context: AgentContext, ended: Ended) -> Mapping[str, Any]:
        """The outputs, after the process has ended. Called in a thread. Raises TaskFailed (with outputs) for a bad exit."""
