"""The worker's data folder: who keeps what where, and when it goes.

    <data>/credential.json      the worker's own credential
    <data>/spool.db             what the plane has not acknowledged
    <data>/runs/<task run>/<attempt>/work      working directory of an attempt, removed with it
    <data>/runs/<task run>/<attempt>/files     local copies of internal storage
    <data>/runs/<task run>/state               kept until the task run has succeeded, else a day
    <data>/cache/files          namespace files by SHA-256
    <data>/data                 what tasks keep: databases, for one

One worker, one data folder: two agents must not share it.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from worker import limits


class RunFolders:
    """The folders of one attempt, made when first asked for."""

    __slots__ = ("_number", "_root", "_shared", "_task_run_id", "made")

    def __init__(self, root: Path, task_run_id: str, attempt: int, work: RunFolders | None = None) -> None:
        # No path is built here: most light tasks never ask for one.
        self._root = root
        self._task_run_id = task_run_id
        self._number = attempt
        self._shared = work
        self.made = False
        """Whether this attempt made any folder: else there is nothing to remove."""

    @property
    def data(self) -> Path:
        """Folder that stays; made at the worker's start."""
        return self._root / "data"

    @property
    def _run(self) -> Path:
        return self._root / "runs" / self._task_run_id

    @property
    def _attempt(self) -> Path:
        return self._run / str(self._number)

    def folder(self, name: str) -> Path:
        """`work`, `files`, `env` or `output` of the attempt."""
        self.made = True
        path = self._attempt / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def work(self) -> Path:
        """The working directory: the attempt's own, or that of the attempt it runs below."""
        return self.folder("work") if self._shared is None else self._shared.work

    @property
    def state(self) -> Path:
        """Folder of the task run, across attempts on this worker."""
        self.made = True
        path = self._run / "state"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self, *, succeeded: bool) -> None:
        """Removes the attempt's folder, and the task run's when it has succeeded."""
        _remove(self._attempt)
        if succeeded:
            _remove(self._run)
            return
        with contextlib.suppress(OSError):  # goes only when no state is kept
            self._run.rmdir()


class Folders:
    """The worker's folders as a whole."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.data = self.root / "data"
        self.cache = self.root / "cache" / "files"
        self.runs = self.root / "runs"

    def prepare(self) -> None:
        """Makes the folders, for this user alone. Leftovers of attempts of an earlier agent are removed, state is kept."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for folder in (self.data, self.cache, self.runs):
            folder.mkdir(parents=True, exist_ok=True)
        for run in self.runs.iterdir():
            for attempt in list(run.iterdir()) if run.is_dir() else []:
                if attempt.name != "state":
                    _remove(attempt)
        self.sweep()

    def of(self, task_run_id: str, attempt: int, work: RunFolders | None = None) -> RunFolders:
        """The folders of one attempt. `work`: it shares the working directory of these."""
        return RunFolders(self.root, task_run_id, attempt, work)

    def sweep(self, now: float | None = None) -> int:
        """Removes state that nobody came back for. Returns how many task runs' folders went."""
        before = (time.time() if now is None else now) - limits.STATE_DIR_SECONDS
        gone = 0
        for run in self.runs.iterdir():
            attempts = [entry for entry in run.iterdir() if entry.name != "state"]
            if not attempts and _touched(run) < before:
                _remove(run)
                gone += 1
        return gone


def _touched(run: Path) -> float:
    try:
        return max(entry.stat().st_mtime for entry in (run, run / "state") if entry.exists())
    except (OSError, ValueError):
        return 0.0


def _remove(path: Path) -> None:
    def allow(function: object, name: str, error: object) -> None:
        # A task may have taken rights away from its own folders.
        try:
            Path(name).parent.chmod(0o700)
            Path(name).chmod(0o700)
            Path(name).unlink()
        except OSError:
            pass

    shutil.rmtree(path, onerror=allow)
