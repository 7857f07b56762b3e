"""What a task's `run(context)` sees, wherever it runs: in the agent, in one of its threads, in a forked process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from flows.machine.events import SubRun

LevelName = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
MetricKind = Literal["counter", "timer", "gauge"]


@runtime_checkable
class TaskContext(Protocol):
    """The attempt, as its task sees it. All methods may be called from any thread of the task."""

    @property
    def token(self) -> Mapping[str, Any]:
        """`execution_id`, `task_run_id`, `attempt`, `lease_id`: a key stable across attempts and one unique to this one."""

    @property
    def namespace(self) -> str:
        """Namespace of the flow."""

    @property
    def flow_id(self) -> str:
        """Id of the flow."""

    @property
    def execution_id(self) -> str:
        """Id of the execution."""

    @property
    def task_id(self) -> str:
        """Id of the task, as written in the flow."""

    @property
    def task_run_id(self) -> str:
        """Id of the task run; the same in each attempt."""

    @property
    def attempt(self) -> int:
        """Number of the attempt, from 1."""

    @property
    def workdir(self) -> Path:
        """A fresh folder of this attempt. It is removed afterwards."""

    @property
    def state_dir(self) -> Path:
        """A folder of the task run, kept across its attempts on this worker until it has succeeded."""

    @property
    def data_dir(self) -> Path:
        """The worker's persistent folder for data; `{{ envs.data_dir }}` in expressions."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """The expression context: the roots that the task's templates name."""

    def render(self, value: Any) -> Any:
        """Renders the templates of a value (a text, or lists and maps of them). Raises ExpressionError."""

    def log(self, level: LevelName, text: str) -> None:
        """One record in the task's log; known secrets are masked."""

    def metric(self, name: str, value: float, kind: MetricKind = "counter", tags: Mapping[str, str] | None = None) -> None:
        """A number to keep with the task run. Timers are in seconds."""

    def progress(self, **what: Any) -> None:
        """How far the task is: `step=`, `message=`, `done=`, `total=`, `detail=`. Shown live, at most twice a second."""

    def warning(self, text: str) -> None:
        """The attempt ends WARNING instead of SUCCESS when `run` returns; the text is its message."""

    def output_file(self, path: Path, name: str | None = None) -> str:
        """Stores a file in internal storage under `name` (default: its own) and returns its `kestra:///` URI."""

    def input_file(self, uri_or_text: str, name: str) -> Path:
        """Puts a file of that name into the working directory: the content behind a URI, or else the text itself."""

    def namespace_files(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        namespaces: Sequence[str] = (),
        *,
        if_exists: str = "OVERWRITE",
        folder_per_namespace: bool = False,
    ) -> list[str]:
        """Copies namespace files into the working directory and returns their names.

        `include` empty = all; `namespaces` empty = the flow's own; of several, later ones overwrite earlier ones.
        `if_exists`: OVERWRITE, ERROR, WARN or IGNORE; `folder_per_namespace`: below a folder named after the namespace.
        """

    def report(self, *runs: SubRun) -> None:
        """Adds task runs for steps of this task that are over (execution-semantics §9.1, dynamic task runs).

        An empty `id` gets a fresh one; give ids of your own when the task may tell of the same step twice. Raises TaskFailed
        (`task.step_state`) for a state that is no end.
        """
