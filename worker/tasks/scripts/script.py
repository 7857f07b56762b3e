"""What all script tasks share (tasks spec §8): files in, one shell, files and values out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties, TaskKind, TaskType
from worker.agent_context import AgentContext
from worker.errors import TaskFailed
from worker.names import files_below, matches, safe_name
from worker.runners.command import Command, Ended
from worker.tasks.bring_in import NamespaceFiles, as_map, bring_in
from worker.tasks.core import as_text
from worker.tasks.scripts.runners import require_process

_ARGUMENT_BYTES_MAX = 120_000
"""Linux takes at most 128 KiB for one argument of a process; longer commands go through a file."""


class ScriptOutputs(Properties):
    """`vars`: said by `::{"outputs": …}::` lines; `outputFiles`: URI by relative path; `dlt`: what dlt loaded, if it ran."""

    vars: dict[str, Any] = Field(default_factory=dict)
    exit_code: int = 0
    output_files: dict[str, str] = Field(default_factory=dict)
    std_out_line_count: int = 0
    std_err_line_count: int = 0
    dlt: dict[str, Any] | None = None


class ScriptTask(TaskType):
    """Base of all script tasks: a command for a runner."""

    kind: ClassVar[TaskKind] = "process"
    outputs: ClassVar[type[Properties]] = ScriptOutputs

    task_runner: dict[str, Any] | None = None
    container_image: Dynamic[str] | None = None
    before_commands: Dynamic[list[Any]] = Field(default_factory=list)
    interpreter: list[str] = Field(default_factory=lambda: ["/bin/sh", "-c"])
    fail_fast: Dynamic[bool] = True
    env: Dynamic[dict[str, Any]] = Field(default_factory=dict)
    input_files: Dynamic[dict[str, Any]] = Field(default_factory=dict)
    output_files: Dynamic[list[str]] = Field(default_factory=list)
    namespace_files: Dynamic[NamespaceFiles] | None = None
    output_directory: Dynamic[bool] = False
    output_dir: Dynamic[bool] = False
    target_os: Dynamic[Literal["AUTO", "LINUX", "WINDOWS"]] = Field(default="AUTO", alias="targetOS")
    warning_on_std_err: Dynamic[bool] = True
    runner: Literal["PROCESS", "DOCKER"] | None = None
    docker: dict[str, Any] | None = None

    def lines(self, context: AgentContext) -> list[str]:
        """The task's own commands, after the common ones."""
        raise NotImplementedError

    def language_environment(self, context: AgentContext) -> dict[str, str]:
        """Variables the language needs."""
        return {}

    def language_outputs(self, context: AgentContext) -> dict[str, Any]:
        """More outputs that the language knows of."""
        return {}

    def before(self, context: AgentContext) -> list[str]:
        """Commands of the language that run before all others."""
        return []

    def own_files(self, context: AgentContext) -> frozenset[str]:
        """Names of files that the task itself put into the working directory; they are no outputs."""
        return frozenset()

    def command(self, context: AgentContext) -> Command:
        """Fills the working directory and joins all commands into one shell (tasks spec §23.2)."""
        remark = require_process(self.task_runner, self.runner, context.default_runner)
        if remark is not None:
            context.log("DEBUG", remark)
        bring_in(context, self.namespace_files, self.input_files)
        before: Any = self.before_commands
        written = [context.files.localise(as_text(line)) for line in [*before, *self.lines(context)]]
        parts = [*(["set -e"] if self.fail_fast else []), *self.before(context), *written]
        text = "\n".join(parts)
        env = {**self.language_environment(context), **self._directories(context)}
        env |= {str(name): as_text(value) for name, value in as_map(self.env, "env").items() if value is not None}
        return Command(self._arguments(context, text), env, context.workdir)

    def _arguments(self, context: AgentContext, text: str) -> tuple[str, ...]:
        if len(text.encode("utf-8", "surrogatepass")) <= _ARGUMENT_BYTES_MAX:
            return (*self.interpreter, text)
        file = context.env_dir.parent / "commands.sh"
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        if self.interpreter[-1:] != ["-c"]:
            message = (
                f"The commands are longer than {_ARGUMENT_BYTES_MAX} bytes and the interpreter takes no -c; put them into a file."
            )
            raise TaskFailed(message, code="task.command_too_long")
        return (*self.interpreter[:-1], str(file))

    def _directories(self, context: AgentContext) -> dict[str, str]:
        return {"WORKING_DIR": str(context.workdir), **({"OUTPUT_DIR": str(context.output_dir)} if self._wants_directory else {})}

    @property
    def _wants_directory(self) -> bool:
        return bool(self.output_directory or self.output_dir)

    def collect(self, context: AgentContext, ended: Ended) -> Mapping[str, Any]:
        """Stores output files and builds the outputs. Raises TaskFailed (`task.exit_code`) with them for a bad exit code."""
        patterns: Any = self.output_files
        work = files_below(context.workdir) if patterns else {}
        ours = self.own_files(context)
        found = {
            name: path for name, path in work.items() if name not in ours and any(matches(pattern, name) for pattern in patterns)
        }
        if self._wants_directory:
            found |= files_below(context.output_dir)
        outputs: dict[str, Any] = {
            "vars": dict(ended.said),
            "exitCode": ended.exit_code,
            "outputFiles": context.files.output_files({safe_name(name): path for name, path in found.items()}),
            "stdOutLineCount": ended.stdout_lines,
            "stdErrLineCount": ended.stderr_lines,
            **self.language_outputs(context),
        }
        if ended.exit_code != 0:
            raise TaskFailed(f"Command failed with exit code {ended.exit_code}", code="task.exit_code", outputs=outputs)
        return outputs
