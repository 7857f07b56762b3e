"""Python scripts and commands, each in a private environment in front of the worker's own packages."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.plugins import Dynamic
from worker.agent_context import AgentContext
from worker.names import write_file
from worker.tasks.core import as_text
from worker.tasks.scripts.script import ScriptTask


class PythonTask(ScriptTask):
    """What Python tasks share: the private environment, `dependencies`, insight into dlt."""

    dependencies: Dynamic[list[str]] = Field(default_factory=list)
    python_version: Dynamic[str] | None = None
    dependency_cache_enabled: Dynamic[bool] = True
    package_manager: Dynamic[Literal["UV", "PIP"]] = "UV"

    def language_environment(self, context: AgentContext) -> dict[str, str]:
        """Variables of the private environment."""
        from worker.python_env import prepare

        return prepare(context.env_dir, state_dir=context.state_dir)

    def before(self, context: AgentContext) -> list[str]:
        """Installs `dependencies` into the private environment."""
        wanted: Any = self.dependencies
        if not wanted:
            return []
        installer = "uv pip install --quiet" if self.package_manager == "UV" else "pip install --quiet"
        return [f"{installer} {shlex.join(map(str, wanted))}"]

    def language_outputs(self, context: AgentContext) -> dict[str, Any]:
        """What dlt did in the script, if it was used: as `dlt`, and as metrics."""
        from worker.python_env import metrics, reports

        found = reports(context.env_dir)
        if not found:
            return {}
        for name, value, kind, tags in metrics(found):
            context.metric(name, value, kind, tags)  # type: ignore[arg-type]
        return {"dlt": found}

    def latest_progress(self, context: AgentContext) -> dict[str, Any] | None:
        """What a dlt pipeline in the script does now."""
        from worker.python_env import latest_progress

        found = latest_progress(context.env_dir)
        return None if found is None else {key: value for key, value in found.items() if key != "at"}


class PythonScript(PythonTask):
    """A Python script, as one text."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.scripts.python.Script",)
    title: ClassVar[str] = "Run a Python script"
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: python\ntype: io.kestra.plugin.scripts.python.Script\n"
            "taskRunner:\n  type: io.kestra.plugin.core.runner.Process\n"
            "script: |\n  from kestra import Kestra\n  Kestra.outputs({'answer': 42})\n"
        ),
    )

    script: Dynamic[str]

    def own_files(self, context: AgentContext) -> frozenset[str]:
        """The script's own file."""
        return frozenset({_script_name(context)})

    def lines(self, context: AgentContext) -> list[str]:
        """Writes the script into the working directory, where it finds its neighbours, and runs it."""
        text = context.files.localise(str(self.script))
        # Beside the files the task brings, so that `import neighbour` works; the name cannot meet theirs.
        file = write_file(context.workdir, _script_name(context), text.encode("utf-8", "surrogatepass"))
        return [f"python {shlex.quote(str(Path(file.name)))}"]


class PythonCommands(PythonTask):
    """Commands that run Python, one after the other in one shell."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.scripts.python.Commands", "io.kestra.core.tasks.scripts.Python")
    title: ClassVar[str] = "Run Python files and commands"
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: run-script\ntype: io.kestra.plugin.scripts.python.Commands\nnamespaceFiles:\n  enabled: true\n"
            "taskRunner:\n  type: io.kestra.plugin.core.runner.Process\n"
            "commands:\n  - python scripts/data-processor.py\n"
        ),
    )

    commands: Dynamic[list[Any]]

    def lines(self, context: AgentContext) -> list[str]:
        """The commands, as texts."""
        commands: Any = self.commands
        return [as_text(command) for command in commands]


def _script_name(context: AgentContext) -> str:
    return f"script_{context.task_run_id[-8:]}_{context.attempt}.py"
