"""Shell scripts and commands."""

from __future__ import annotations

from typing import Any, ClassVar

from flows.plugins import Dynamic
from worker.agent_context import AgentContext
from worker.tasks.core import as_text
from worker.tasks.scripts.script import ScriptTask


class ShellScript(ScriptTask):
    """A shell script, as one text."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.scripts.shell.Script",)
    title: ClassVar[str] = "Run a shell script"
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: script\ntype: io.kestra.plugin.scripts.shell.Script\n"
            "taskRunner:\n  type: io.kestra.plugin.core.runner.Process\n"
            "outputFiles:\n  - hello.txt\nscript: |\n  echo hello > hello.txt\n"
        ),
    )

    script: Dynamic[str]

    def lines(self, context: AgentContext) -> list[str]:
        """The script is the command."""
        return [str(self.script)]


class ShellCommands(ScriptTask):
    """Shell commands, one after the other in one shell."""

    types: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.scripts.shell.Commands",
        "io.kestra.core.tasks.scripts.Bash",
    )
    title: ClassVar[str] = "Run shell commands"
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: commands\ntype: io.kestra.plugin.scripts.shell.Commands\n"
            "taskRunner:\n  type: io.kestra.plugin.core.runner.Process\n"
            'commands:\n  - echo "::{\\"outputs\\":{\\"answer\\":42}}::"\n'
        ),
    )

    commands: Dynamic[list[Any]]

    def lines(self, context: AgentContext) -> list[str]:
        """The commands, as texts."""
        commands: Any = self.commands
        return [as_text(command) for command in commands]
