"""The trigger type `io.kestra.plugin.fs.local.Trigger`: fires for files in a folder of the worker's own machine.

Only folders that the worker's owner opened (`HEADRACE_LOCAL_PATHS`) can be looked into. The files are stored for the execution
first; moving or deleting them, or remembering them as seen, comes after the plane has stored the execution. So a worker that
dies between the two fires for the same files again: at least once, never lost.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties, TriggerKind, TriggerType
from flows.spec.shapes import Duration
from worker.errors import TaskFailed
from worker.triggers.finding import Finding

SEEN_MAX = 100_000
"""Files remembered as seen; the oldest are forgotten first."""


class LocalFile(Properties):
    """One file. `uri`: its copy in internal storage."""

    uri: str
    local_path: str
    name: str
    parent: str
    size: int
    modified_date: str


class LocalFiles(Properties):
    """The files that fired."""

    files: list[LocalFile]
    count: int


class Trigger(TriggerType):
    """Looks into a folder now and then. With `action: NONE` a file fires once, and again when it changes (see `on`)."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.fs.local.Trigger",)
    kind: ClassVar[TriggerKind] = "polling"
    title: ClassVar[str] = "Start for files in a folder of the worker"
    outputs: ClassVar[type[Properties]] = LocalFiles
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: arrived
type: io.kestra.plugin.fs.local.Trigger
from: /data/inbox
regExp: ".*[.]csv"
action: MOVE
moveDirectory: /data/done
interval: PT10S
""",
    )

    from_: Dynamic[str] = Field(alias="from", description="A folder that the worker's owner opened to flows.")
    reg_exp: Dynamic[str] | None = Field(default=None, description="The whole path has to match.")
    recursive: Dynamic[bool] = False
    action: Dynamic[Literal["NONE", "MOVE", "DELETE"]] = "NONE"
    move_directory: Dynamic[str] | None = None
    max_files: Dynamic[int] = Field(default=25, description="Files of one execution; the others follow with the next look.")
    on: Dynamic[Literal["CREATE", "UPDATE", "CREATE_OR_UPDATE"]] = "CREATE_OR_UPDATE"
    state_key: Dynamic[str] | None = Field(default=None, description="Triggers of one worker with the same key share a memory.")
    state_ttl: Duration | None = Field(default=None, description="After this time a file that was seen counts as new.")
    interval: Duration = timedelta(seconds=60)

    def evaluate(self, context: Any) -> Finding | None:
        """One look. Raises TaskFailed: `file.not_allowed`, `file.missing`, `task.property_invalid`."""
        folder = opened(str(self.from_), context.local_paths)
        target = None
        if self.action == "MOVE":
            if not self.move_directory:
                raise TaskFailed("moveDirectory is needed with action: MOVE", code="task.property_invalid")
            target = opened(str(self.move_directory), context.local_paths, must_exist=False)
        memory = _Memory(self._memory_file(context), self.state_ttl)
        found = [path for path in self._candidates(folder) if self.action != "NONE" or memory.wants(path, str(self.on))]
        chosen = found[: int(self.max_files)]
        if self.action == "NONE":
            memory.note_unwanted(self._candidates(folder), found, str(self.on))
        if not chosen:
            return None
        files = [_stored(path, context) for path in chosen]
        match self.action:
            case "MOVE":
                assert target is not None
                after = partial(_move, chosen, target)
            case "DELETE":
                after = partial(_delete, chosen)
            case _:
                after = partial(memory.remember, chosen)
        return Finding(LocalFiles(files=files, count=len(files)), after)

    def _candidates(self, folder: Path) -> list[Path]:
        """Files that match, oldest first."""
        try:
            pattern = re.compile(str(self.reg_exp)) if self.reg_exp else None
        except re.error as error:
            raise TaskFailed(f"regExp: {error}", code="task.property_invalid") from None
        entries = folder.rglob("*") if self.recursive else folder.iterdir()
        files = [path for path in entries if path.is_file() and not path.is_symlink()]
        matching = [path for path in files if pattern is None or pattern.fullmatch(str(path))]
        return sorted(matching, key=lambda path: (_modified(path), str(path)))

    def _memory_file(self, context: Any) -> Path:
        if self.state_key:
            name = hashlib.sha256(str(self.state_key).encode()).hexdigest()[:32]
            return Path(context.memory_dir).parent / f"shared-{name}.json"
        return Path(context.memory_dir) / "seen.json"


def opened(text: str, allowed: tuple[Path, ...], *, must_exist: bool = True) -> Path:
    """The folder, when it lies in one that is open to flows. Raises TaskFailed (`file.not_allowed`, `file.missing`)."""
    path = Path(text.removeprefix("file://")).resolve()
    if not any(path == folder.resolve() or folder.resolve() in path.parents for folder in allowed):
        raise TaskFailed(
            f"{text[:300]} is not open to flows on this worker; its owner opens folders with HEADRACE_LOCAL_PATHS",
            code="file.not_allowed",
        )
    if must_exist and not path.is_dir():
        raise TaskFailed(f"there is no folder {text[:300]} on this worker", code="file.missing")
    return path


class _Memory:
    """Which files were seen, with the time of their last change. One small JSON file."""

    def __init__(self, path: Path, ttl: timedelta | None) -> None:
        self._path = path
        self._ttl = ttl
        self._seen: dict[str, list[float]] = {}
        if path.exists():
            self._seen = json.loads(path.read_text(encoding="utf-8"))

    def wants(self, path: Path, on: str) -> bool:
        """Whether the file fires: new, or changed since it was seen."""
        known = self._seen.get(str(path))
        if known is not None and self._ttl is not None and known[1] + self._ttl.total_seconds() < _now():
            known = None
        if known is None:
            return on != "UPDATE"
        return on != "CREATE" and _modified(path) > known[0]

    def note_unwanted(self, present: list[Path], wanted: list[Path], on: str) -> None:
        """With UPDATE a file must be known before it can change; with CREATE a change is taken note of."""
        new = [path for path in present if path not in wanted and (on == "CREATE" or str(path) not in self._seen)]
        if new:
            self.remember(new)

    def remember(self, paths: list[Path]) -> None:
        """Takes note of files, durably."""
        for path in paths:
            if path.exists():
                self._seen.pop(str(path), None)
                self._seen[str(path)] = [_modified(path), _now()]
        while len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        beside = self._path.with_suffix(".part")
        beside.write_text(json.dumps(self._seen), encoding="utf-8")
        beside.replace(self._path)


def _stored(path: Path, context: Any) -> LocalFile:
    about = path.stat()
    return LocalFile(
        uri=context.output_file(path, path.name),
        local_path=str(path),
        name=path.name,
        parent=str(path.parent),
        size=about.st_size,
        modified_date=datetime.fromtimestamp(about.st_mtime, UTC).isoformat(),
    )


def _move(paths: list[Path], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in paths:
        if path.exists():
            shutil.move(str(path), str(target / path.name))


def _delete(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _now() -> float:
    return datetime.now(UTC).timestamp()


TRIGGERS: tuple[type[TriggerType], ...] = (Trigger,)
