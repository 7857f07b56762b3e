"""Lists of tasks: Sequential, Parallel, Dag, AllowFailure, WorkingDirectory."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from flows.plugins import Dynamic, Properties, TaskKind, TaskType

CORE = "io.kestra.plugin.core.flow."
OLD = "io.kestra.core.tasks.flows."


class Flowable(TaskType):
    """Base of the types that are decided by the machine: they only start child tasks and take a state from them.

    How they move is in `flows.machine`: `blocks`, `branching`, `loops`, `pausing`.
    """

    kind: ClassVar[TaskKind] = "flowable"
    branches: ClassVar[tuple[str, ...]] = ("tasks", "errors", "finally")

    errors: list[Any] = Field(default_factory=list)
    finally_: list[Any] = Field(default_factory=list, alias="finally")


class Sequential(Flowable):
    """Runs its tasks one after the other; the first failure ends it (execution-semantics §6.1)."""

    types = (CORE + "Sequential", OLD + "Sequential")
    title = "Run tasks one after the other"
    examples = (
        """\
id: steps
type: io.kestra.plugin.core.flow.Sequential
tasks:
  - {id: first, type: io.kestra.plugin.core.log.Log, message: one}
  - {id: second, type: io.kestra.plugin.core.log.Log, message: two}
""",
    )
    tasks: list[Any] = Field(min_length=1)


class Parallel(Flowable):
    """Runs its tasks side by side, at most `concurrent` at a time; 0 = no bound (execution-semantics §6.2)."""

    types = (CORE + "Parallel", OLD + "Parallel")
    title = "Run tasks side by side"
    examples = (
        """\
id: both
type: io.kestra.plugin.core.flow.Parallel
concurrent: 2
tasks:
  - {id: left, type: io.kestra.plugin.core.log.Log, message: left}
  - {id: right, type: io.kestra.plugin.core.log.Log, message: right}
""",
    )
    tasks: list[Any] = Field(min_length=1)
    concurrent: int = Field(default=0, ge=0)


class DagTask(Properties):
    """A task of a Dag, and which tasks of the same Dag must have ended first."""

    task: dict[str, Any]
    depends_on: list[str] = Field(default_factory=list)


class Dag(Flowable):
    """Runs each task as soon as those it depends on have ended, at most `concurrent` at a time (execution-semantics §6.3)."""

    types = (CORE + "Dag", OLD + "Dag")
    title = "Run tasks by their dependencies"
    examples = (
        """\
id: graph
type: io.kestra.plugin.core.flow.Dag
tasks:
  - task: {id: extract, type: io.kestra.plugin.core.log.Log, message: one}
  - task: {id: load, type: io.kestra.plugin.core.log.Log, message: two}
    dependsOn: [extract]
""",
    )
    tasks: list[Any] = Field(min_length=1)
    concurrent: int = Field(default=0, ge=0)


class AllowFailure(Flowable):
    """Runs its tasks one after the other; a failure among them makes it a warning (execution-semantics §6.9)."""

    types = (CORE + "AllowFailure", OLD + "AllowFailure")
    title = "Let tasks fail"
    examples = (
        """\
id: best_effort
type: io.kestra.plugin.core.flow.AllowFailure
tasks:
  - {id: risky, type: io.kestra.plugin.core.execution.Fail}
""",
    )
    tasks: list[Any] = Field(min_length=1)


class WorkingDirectoryOutputs(Properties):
    """`outputFiles`: URI of each captured file by its name."""

    output_files: dict[str, str] = Field(default_factory=dict)


class WorkingDirectory(TaskType):
    """Runs its tasks on one worker, one after the other, in one directory (execution-semantics §6.10).

    It is handed to a worker as a whole; the worker reports its tasks as they end. `errors` and `finally` are run by the machine.
    """

    kind: ClassVar[TaskKind] = "process"
    types = (CORE + "WorkingDirectory", OLD + "WorkingDirectory", OLD + "Worker")
    title = "Share a directory between tasks"
    branches = ("tasks", "errors", "finally")
    outputs = WorkingDirectoryOutputs
    unrendered = frozenset({"tasks", "errors", "finally"})
    examples = (
        """\
id: together
type: io.kestra.plugin.core.flow.WorkingDirectory
outputFiles: ["*.txt"]
tasks:
  - {id: hello, type: io.kestra.plugin.core.log.Log, message: in one directory}
""",
    )
    tasks: list[Any] = Field(min_length=1)
    errors: list[Any] = Field(default_factory=list)
    finally_: list[Any] = Field(default_factory=list, alias="finally")
    input_files: Dynamic[dict[str, Any]] | None = None
    output_files: Dynamic[list[str]] | None = None
    namespace_files: dict[str, Any] | None = None
    cache: dict[str, Any] | None = None


TASKS = (Sequential, Parallel, Dag, AllowFailure, WorkingDirectory)
