"""Outputs of ended task runs, held in memory as expressions see them (execution-semantics §14.2)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flows.machine.context import nest_outputs
from flows.machine.execution import TaskRun

Entry = tuple[int, tuple[str, ...], str | None, dict[str, Any]]
"""(seq, values of the ancestors, own value, outputs)."""


@dataclass(slots=True)
class KnownOutputs:
    """What `outputs` says, by task. Keys stand in order of creation whatever the order of the ends, as when looked up."""

    count: int = 0
    _entries: dict[str, list[Entry]] = field(default_factory=dict)
    _trees: dict[str, Any] = field(default_factory=dict)

    def add(self, run: TaskRun) -> None:
        """Adds the outputs of a task run; those of one run are added once."""
        assert run.outputs is not None
        self.count += 1
        entries = self._entries.setdefault(run.task_id, [])
        entry = (run.seq, run.path, run.value, run.outputs)
        if entries and entries[-1][0] > run.seq:
            insort(entries, entry, key=_seq)
            self._trees.pop(run.task_id, None)
            return
        entries.append(entry)
        tree = self._trees.get(run.task_id)
        if tree is not None or len(entries) == 1:
            nest_outputs(self._trees, run.task_id, run.path, run.value, run.outputs)

    def forget(self, task_ids: Iterable[str], prefix: tuple[str, ...]) -> None:
        """Drops the outputs of these tasks below the loop values `prefix`."""
        for task_id in task_ids:
            entries = self._entries.get(task_id, [])
            kept = [entry for entry in entries if entry[1][: len(prefix)] != prefix]
            if len(kept) != len(entries):
                self.count -= len(entries) - len(kept)
                self._trees.pop(task_id, None)
                self._entries[task_id] = kept
                if not kept:
                    del self._entries[task_id]

    def nested(self, task_ids: Iterable[str] | None) -> dict[str, Any]:
        """The outputs of these tasks; None = of all. Tasks without outputs are absent."""
        if task_ids is None:
            task_ids = sorted(self._entries, key=lambda task_id: self._entries[task_id][0][0])
        return {task_id: self._tree(task_id) for task_id in task_ids if task_id in self._entries}

    def _tree(self, task_id: str) -> Any:
        if task_id not in self._trees:
            for _, path, value, outputs in self._entries[task_id]:
                nest_outputs(self._trees, task_id, path, value, outputs)
        return self._trees[task_id]


def _seq(entry: Entry) -> int:
    return entry[0]
