"""What the machine asks about what it does not hold: stored rows, with what this batch changed laid over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from controlplane.engine import store
from controlplane.engine.store import Key
from controlplane.files import storage
from controlplane.platform.database import Database, Row
from flows.errors import HeadraceError
from flows.machine.context import nest_outputs
from flows.machine.effects import Effects
from flows.machine.execution import Execution, TaskRun
from flows.machine.states import State
from flows.machine.world import Iteration

ITERATIONS_PAGE = 2_000
"""Child executions read at once: a loop of a hundred thousand is never in memory as a whole."""

LINES_BYTES_MAX = 256 * 1024 * 1024
"""Size of a file whose lines become executions."""

_OUTPUTS = ("id", "seq", "task_id", "path", "value", "outputs")


class StoredLookups:
    """Look-ups of one batch. `flush` is called first: it takes away the rows of task runs that no longer are."""

    def __init__(
        self,
        database: Database,
        executions: Mapping[Key, Execution],
        effects: Mapping[Key, Effects],
        flush: Callable[[Execution], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._executions = executions
        self._effects = effects
        self._flush = flush

    def outputs(self, execution: Execution, task_ids: frozenset[str] | None) -> dict[str, Any]:
        """Nested outputs of these tasks; None = all."""
        self._flush(execution)
        keys: tuple[tuple[str, str], ...] = (("tenant_id", "text"), ("execution_id", "text"))
        rows: list[Row] = [(execution.tenant, execution.id)]
        if task_ids is not None:
            keys = (*keys, ("task_id", "text"))
            rows = [(execution.tenant, execution.id, task_id) for task_id in sorted(task_ids)]
        found = self._database.select("task_run", _OUTPUTS, keys, rows, "AND t.outputs IS NOT NULL")()
        return self._nested(execution, found, lambda run: task_ids is None or run.task_id in task_ids)

    def outputs_here(self, execution: Execution, task_ids: frozenset[str], path: tuple[str, ...]) -> dict[str, Any]:
        """The same, of the task runs above, at and below one position of the loops: its cost does not grow with the loop."""
        self._flush(execution)
        keys = (("tenant_id", "text"), ("execution_id", "text"), ("task_id", "text"), ("place", "text"))
        above = [store.place_key(path[:length]) for length in range(len(path) + 1)]
        rows = [(execution.tenant, execution.id, task_id, place) for task_id in sorted(task_ids) for place in above]
        later = self._database.select("task_run", _OUTPUTS, keys, rows, "AND t.outputs IS NOT NULL")
        found = list(later())
        begin = store.place_key(path) + ("," if path else "")
        # Byte by byte, as the index is ordered: nothing else begins with this place and a comma.
        at_least, less = ("~>=~", "~<~") if self._database.postgres else (">=", "<")
        for task_id in sorted(task_ids):
            found.extend(
                self._database.execute(
                    f"SELECT {', '.join(_OUTPUTS)} FROM task_run WHERE tenant_id = ? AND execution_id = ? AND task_id = ?"  # noqa: S608
                    f" AND outputs IS NOT NULL AND place {at_least} ? AND place {less} ?",
                    (execution.tenant, execution.id, task_id, begin, begin[:-1] + chr(ord(begin[-1]) + 1)),
                )
            )

        def here(run: TaskRun) -> bool:
            if run.task_id not in task_ids:
                return False
            values = run.path if run.value is None else (*run.path, run.value)
            common = min(len(values), len(path))
            return values[:common] == path[:common]

        return self._nested(execution, found, here)

    def _nested(self, execution: Execution, rows: Iterable[Row], wanted: Callable[[TaskRun], bool]) -> dict[str, Any]:
        found: dict[str, tuple[Any, ...]] = {
            row[0]: (row[1], row[2], tuple(store.load(row[3]) or ()), row[4], orjson.loads(row[5])) for row in rows
        }
        for run in self._fresh(execution):
            if run.outputs and wanted(run):
                found[run.id] = (run.seq, run.task_id, run.path, run.value, run.outputs)
            else:
                found.pop(run.id, None)  # its outputs were taken back, e.g. by a retry
        tree: dict[str, Any] = {}
        for _, task_id, path, value, outputs in sorted(found.values(), key=lambda item: item[0]):
            nest_outputs(tree, task_id, path, value, outputs)
        return tree

    def states(self, execution: Execution) -> dict[str, Any]:
        """`tasks.<id>.state`, nested by value."""
        self._flush(execution)
        keys = (("tenant_id", "text"), ("execution_id", "text"))
        rows = self._database.select(
            "task_run", ("id", "seq", "task_id", "value", "state"), keys, [(execution.tenant, execution.id)]
        )()
        found = {row[0]: tuple(row[1:]) for row in rows}
        for run in self._fresh(execution):
            found[run.id] = (run.seq, run.task_id, run.value, run.state.value)
        tree: dict[str, Any] = {}
        for _, task_id, value, state in sorted(found.values(), key=lambda item: item[0]):
            node = tree.setdefault(task_id, {})
            if value is not None:
                node = node.setdefault(value, {})
            node["state"] = state
        return tree

    def _fresh(self, execution: Execution) -> Iterable[TaskRun]:
        effects = self._effects.get((execution.tenant, execution.id))
        if effects is None:
            return ()
        return (*effects.created.values(), *effects.changed.values())

    # -- children -----------------------------------------------------------------------------------------------------

    def iterations(self, execution: Execution, run: TaskRun) -> Iterator[Iteration]:
        """Child executions of a task run that are over, by index; of several for one index (tried again) the last."""
        mine: dict[int, Execution] = {}
        for child in self._batch_children(execution):
            if child.waiter is not None and child.waiter[1] == run.id and child.state.terminated:
                mine[child.waiter[2] or 0] = child
        for stored in self._stored_iterations(execution, run):
            yield from _taken(mine, stored.index)
            here = mine.pop(stored.index, None)
            yield stored if here is None else _iteration(stored.index, here)
        yield from _taken(mine, None)

    def _stored_iterations(self, execution: Execution, run: TaskRun) -> Iterator[Iteration]:
        last: Iteration | None = None
        for index, child_id, state, outputs in self._stored_children(execution, run):
            if last is not None and last.index != index:
                yield last
                last = None
            here = self._executions.get((execution.tenant, child_id))
            if State(state).terminated and (here is None or here.state.terminated):
                last = Iteration(index, child_id, State(state), store.load(outputs))
        if last is not None:
            yield last

    def _stored_children(self, execution: Execution, run: TaskRun) -> Iterator[tuple[int, str, str, str | None]]:
        at: tuple[int, int, str] = (-1, 0, "")
        while True:
            rows = self._database.execute(
                "SELECT child_index, created_at_us, id, state, outputs FROM execution WHERE tenant_id = ?"
                " AND parent_execution_id = ? AND parent_task_run_id = ? AND (child_index, created_at_us, id) > (?, ?, ?)"
                " ORDER BY child_index, created_at_us, id LIMIT ?",
                (execution.tenant, execution.id, run.id, *at, ITERATIONS_PAGE),
            )
            for index, created_at, child_id, state, outputs in rows:
                at = (index, created_at, child_id)
                yield index, child_id, state, outputs
            if len(rows) < ITERATIONS_PAGE:
                return

    def open_children(self, execution: Execution) -> list[str]:
        """Ids of the executions that this one started and that are not over."""
        rows = self._database.execute(
            "SELECT id FROM execution WHERE tenant_id = ? AND parent_execution_id = ? AND ended_at_us IS NULL"
            " ORDER BY created_at_us, id",
            (execution.tenant, execution.id),
        )
        mine = {child.id: child for child in self._batch_children(execution)}
        found = [row[0] for row in rows if row[0] not in mine]
        return [*found, *(child.id for child in mine.values() if not child.state.terminated)]

    def _batch_children(self, execution: Execution) -> Iterator[Execution]:
        for child in self._executions.values():
            if child.waiter is not None and child.waiter[0] == execution.id and child.tenant == execution.tenant:
                yield child

    # -- files --------------------------------------------------------------------------------------------------------

    def lines(self, execution: Execution, uri: str) -> list[str]:
        """Lines of a text file in the tenant's storage, without line ends. Raises HeadraceError."""
        size = storage.file_size(execution.tenant, uri)
        if size > LINES_BYTES_MAX:
            raise HeadraceError(f"{uri} has {size} bytes; at most {LINES_BYTES_MAX} can be iterated over", code="file.too_large")
        try:
            return storage.read_file(execution.tenant, uri).decode().splitlines()
        except UnicodeDecodeError as error:
            raise HeadraceError(
                f"{uri} is no UTF-8 text (byte {error.start}); its lines cannot be read", code="file.text"
            ) from None

    def store_lines(self, execution: Execution, run: TaskRun, name: str, lines: Iterable[str]) -> str:
        """Writes a text file among the task run's files; gives its URI. A step that is tried again writes the same again."""
        stored = storage.put_task_file(
            execution.tenant,
            execution.namespace,
            execution.flow_id,
            execution.id,
            run.task_id,
            run.id,
            name,
            (line.encode() + b"\n" for line in lines),
        )
        return stored.uri


def _taken(mine: dict[int, Execution], until: int | None) -> Iterator[Iteration]:
    """Ends that only this batch knows of, those before an index or all, in order; taken out of `mine`."""
    for index in sorted(index for index in mine if until is None or index < until):
        yield _iteration(index, mine.pop(index))


def _iteration(index: int, child: Execution) -> Iteration:
    return Iteration(index, child.id, child.state, child.outputs)
