"""A task context for tests: runs a task type without an agent, keeps what it said, stores files in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from flows.plugins import TaskType

T = TypeVar("T", bound=TaskType)


@dataclass
class LocalContext:
    """What a task's `run` sees. `root` holds everything; `fresh()` is the next execution on the same worker."""

    root: Path
    run_number: int = 1
    variables: Mapping[str, Any] = field(default_factory=dict)
    logged: list[tuple[str, str]] = field(default_factory=list)
    metrics: list[tuple[str, float, str, dict[str, str]]] = field(default_factory=list)
    progressed: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    namespace: str = "company.team"
    flow_id: str = "flow"
    execution_id: str = "0000000000000000000001"
    task_id: str = "task"
    task_run_id: str = "0000000000000000000002"
    attempt: int = 1

    def __post_init__(self) -> None:
        for folder in (self.workdir, self.state_dir, self.data_dir, self.storage):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def workdir(self) -> Path:
        return self.root / f"work-{self.run_number}-{self.attempt}"

    @property
    def state_dir(self) -> Path:
        return self.root / f"state-{self.run_number}"

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def storage(self) -> Path:
        return self.root / "storage"

    def fresh(self) -> LocalContext:
        """The same worker, another execution: new working and state folders, the data folder stays."""
        return LocalContext(self.root, self.run_number + 1)

    def again(self) -> LocalContext:
        """The next attempt of the same task run: new working folder, same state folder."""
        return LocalContext(self.root, self.run_number, attempt=self.attempt + 1)

    def render(self, value: Any) -> Any:
        return value

    def log(self, level: str, text: str) -> None:
        self.logged.append((level, text))

    def metric(self, name: str, value: float, kind: str = "counter", tags: Mapping[str, str] | None = None) -> None:
        self.metrics.append((name, value, kind, dict(tags or {})))

    def progress(self, **what: Any) -> None:
        self.progressed.append(what)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def output_file(self, path: Path, name: str | None = None) -> str:
        shutil.copyfile(path, self.storage / (name or path.name))
        return f"kestra:///company/team/flow/executions/{self.execution_id}/tasks/task/{self.task_run_id}/{name or path.name}"

    def stored(self, uri: str) -> Path:
        """The local copy of a file that a task stored."""
        return self.storage / uri.rsplit("/", 1)[-1]

    def input_file(self, source: str, name: str) -> Path:
        target = self.workdir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.startswith("kestra://"):
            shutil.copyfile(self.stored(source), target)
        else:
            target.write_text(source, encoding="utf-8")
        return target

    def namespace_files(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        namespaces: Sequence[str] = (),
        *,
        if_exists: str = "OVERWRITE",
        folder_per_namespace: bool = False,
    ) -> list[str]:
        """Copies everything below `root/namespace`; choosing among the files is the agent's business and tested there."""
        source = self.root / "namespace"
        shutil.copytree(source, self.workdir, dirs_exist_ok=True)
        return sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())


def task(kind: type[T], **properties: Any) -> T:
    """The task as a worker gets it: properties rendered, typed."""
    return kind.model_validate({"id": "task", "type": kind.types[0], **properties}, context={"rendered": True})
