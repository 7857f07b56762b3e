"""Executions between rows and the machine's values: load the open frontier, save what a decision changed.

Every statement is for a whole batch of executions. A task run that is over is written once and never read again here, unless an
expression names its outputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

from controlplane.platform.database import Database, Row
from flows.machine.context import nest_outputs
from flows.machine.effects import Effects
from flows.machine.execution import Attempt, Cursor, Execution, TaskRun
from flows.machine.states import TERMINATED, State

Key = tuple[str, str]
"""(tenant, execution id)."""

EXECUTION_KEYS = (("tenant_id", "text"), ("id", "text"))
EXECUTION_CHANGING = (
    ("state", "text"),
    ("history", "text"),
    ("cursor", "text"),
    ("outputs", "text"),
    ("error", "text"),
    ("version", "bigint"),
    ("task_run_count", "int"),
    ("started_at_us", "bigint"),
    ("ended_at_us", "bigint"),
)
EXECUTION_FIXED = (
    ("namespace", "text"),
    ("flow_id", "text"),
    ("flow_revision", "int"),
    ("labels", "json"),
    ("inputs", "text"),
    ("variables", "text"),
    ("trigger", "text"),
    ("parent_id", "text"),
    ("original_id", "text"),
    ("created_at_us", "bigint"),
)
EXECUTION_ALL = (*EXECUTION_KEYS, *EXECUTION_FIXED, *EXECUTION_CHANGING)

RUN_KEYS = (("tenant_id", "text"), ("execution_id", "text"), ("id", "text"))
RUN_CHANGING = (
    ("state", "text"),
    ("history", "text"),
    ("attempt", "int"),
    ("attempts", "text"),
    ("outputs", "text"),
    ("cursor", "text"),
    ("started_at_us", "bigint"),
    ("ended_at_us", "bigint"),
)
RUN_FIXED = (
    ("seq", "int"),
    ("task_id", "text"),
    ("parent_id", "text"),
    ("value", "text"),
    ("iteration", "int"),
    ("path", "text"),
    ("items", "text"),
    ("created_at_us", "bigint"),
)
RUN_ALL = (*RUN_KEYS, *RUN_FIXED, *RUN_CHANGING)

HAND_OUT_KEYS = (("tenant_id", "text"), ("task_run_id", "text"))
HAND_OUT_TOKEN = (*HAND_OUT_KEYS, ("execution_id", "text"), ("attempt", "int"), ("lease_id", "text"))
HAND_OUT_ALL = (
    *HAND_OUT_KEYS,
    ("execution_id", "text"),
    ("attempt", "int"),
    ("namespace", "text"),
    ("flow_id", "text"),
    ("flow_revision", "int"),
    ("task_id", "text"),
    ("worker_group", "text"),
    ("light", "bool"),
    ("context", "text"),
    ("seq", "bigint"),
    ("lease_id", "text"),
    ("worker_id", "text"),
    ("lease_until_us", "bigint"),
    ("stop", "bool"),
)
TIMER_KEYS = (("tenant_id", "text"), ("execution_id", "text"), ("task_run_id", "text"))
TIMER_ALL = (
    *TIMER_KEYS,
    ("attempt", "int"),
    ("kind", "text"),
    ("due_at_us", "bigint"),
)
METRIC_ALL = (
    ("tenant_id", "text"),
    ("execution_id", "text"),
    ("task_run_id", "text"),
    ("task_id", "text"),
    ("name", "text"),
    ("kind", "text"),
    ("value", "float"),
    ("tags", "text"),
    ("at_us", "bigint"),
)

_OPEN = "state NOT IN (" + ", ".join(f"'{state}'" for state in sorted(TERMINATED - {State.RESUBMITTED})) + ")"


def dump(value: Any) -> str | None:
    """JSON text, None for None."""
    return None if value is None else dump_bytes(value).decode()


def dump_bytes(value: Any) -> bytes:
    """JSON. NaN becomes null; what the fast writer refuses (integers beyond 64 bits, exact decimals) goes the slow way."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
        return text.encode("utf-8", "replace")


def _load(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def names(columns: Iterable[tuple[str, str]]) -> list[str]:
    """Column names only."""
    return [name for name, _ in columns]


def execution_changing_row(execution: Execution) -> Row:
    """Values of EXECUTION_CHANGING."""
    return (
        execution.state.value,
        dump(execution.history),
        dump(execution.cursor.dump()),
        dump(execution.outputs),
        dump(execution.error),
        execution.version,
        execution.task_run_count,
        execution.started_at,
        execution.ended_at,
    )


def execution_row(execution: Execution) -> Row:
    """Values of EXECUTION_ALL."""
    return (
        execution.tenant,
        execution.id,
        execution.namespace,
        execution.flow_id,
        execution.revision,
        dump(execution.labels),
        dump(execution.inputs),
        dump(execution.variables),
        dump(execution.trigger),
        execution.parent_id,
        execution.original_id,
        execution.created_at,
        *execution_changing_row(execution),
    )


def run_changing_row(run: TaskRun) -> Row:
    """Values of RUN_CHANGING."""
    return (
        run.state.value,
        dump(run.history),
        len(run.attempts),
        dump([attempt.dump() for attempt in run.attempts]) if run.attempts else "[]",
        dump(run.outputs),
        dump(run.cursor.dump()) if run.cursor is not None else None,
        run.started_at,
        run.ended_at,
    )


def run_row(execution: Execution, run: TaskRun) -> Row:
    """Values of RUN_ALL."""
    return (
        execution.tenant,
        execution.id,
        run.id,
        run.seq,
        run.task_id,
        run.parent_id,
        run.value,
        run.iteration,
        dump(run.path) if run.path else None,
        dump(run.items),
        run.created_at,
        *run_changing_row(run),
    )


def load_executions(database: Database, keys: list[Key]) -> dict[Key, Execution]:
    """The executions with their open task runs. Absent ones are left out."""
    found: dict[Key, Execution] = {}
    for row in database.select("execution", names(EXECUTION_ALL), EXECUTION_KEYS, keys)():
        data = dict(zip(names(EXECUTION_ALL), row, strict=True))
        labels = data["labels"]
        execution = Execution(
            tenant=data["tenant_id"],
            id=data["id"],
            namespace=data["namespace"],
            flow_id=data["flow_id"],
            revision=data["flow_revision"],
            state=State(data["state"]),
            history=[(state, at) for state, at in orjson.loads(data["history"])],
            created_at=data["created_at_us"],
            inputs=_load(data["inputs"]) or {},
            labels=(orjson.loads(labels) if isinstance(labels, str) else labels) or [],
            variables=_load(data["variables"]) or {},
            trigger=_load(data["trigger"]),
            cursor=Cursor.load(orjson.loads(data["cursor"])),
            version=data["version"],
            task_run_count=data["task_run_count"],
            outputs=_load(data["outputs"]),
            error=_load(data["error"]),
            parent_id=data["parent_id"],
            original_id=data["original_id"],
            started_at=data["started_at_us"],
            ended_at=data["ended_at_us"],
            known_outputs=None,
        )
        found[(execution.tenant, execution.id)] = execution
    keys_of_runs = (("tenant_id", "text"), ("execution_id", "text"))
    for row in database.select("task_run", names(RUN_ALL), keys_of_runs, list(found), f"AND t.{_OPEN} ORDER BY t.seq")():
        data = dict(zip(names(RUN_ALL), row, strict=True))
        run = _run(data)
        found[(data["tenant_id"], data["execution_id"])].runs[run.id] = run
    for execution in found.values():
        execution.count()
    return found


def _run(data: dict[str, Any]) -> TaskRun:
    return TaskRun(
        id=data["id"],
        seq=data["seq"],
        task_id=data["task_id"],
        parent_id=data["parent_id"],
        value=data["value"],
        iteration=data["iteration"],
        path=tuple(_load(data["path"]) or ()),
        state=State(data["state"]),
        history=[(state, at) for state, at in orjson.loads(data["history"])],
        created_at=data["created_at_us"],
        attempts=[Attempt.load(attempt) for attempt in orjson.loads(data["attempts"])],
        outputs=_load(data["outputs"]),
        cursor=None if data["cursor"] is None else Cursor.load(orjson.loads(data["cursor"])),
        items=_load(data["items"]),
        started_at=data["started_at_us"],
        ended_at=data["ended_at_us"],
    )


class StoredOutputs:
    """Look-ups of ended task runs for the machine: stored rows, with what this batch changed laid over them."""

    def __init__(self, database: Database, effects: dict[Key, Effects]) -> None:
        self._database = database
        self._effects = effects

    def outputs(self, execution: Execution, task_ids: frozenset[str] | None) -> dict[str, Any]:
        """Nested outputs of these tasks; None = all."""
        columns = ("id", "seq", "task_id", "path", "value", "outputs")
        keys: tuple[tuple[str, str], ...] = (("tenant_id", "text"), ("execution_id", "text"))
        rows: list[Row] = [(execution.tenant, execution.id)]
        if task_ids is not None:
            keys = (*keys, ("task_id", "text"))
            rows = [(execution.tenant, execution.id, task_id) for task_id in sorted(task_ids)]
        found = {
            row[0]: (row[1], row[2], tuple(_load(row[3]) or ()), row[4], orjson.loads(row[5]))
            for row in self._database.select("task_run", columns, keys, rows, "AND t.outputs IS NOT NULL")()
        }
        for run in self._fresh(execution):
            if run.outputs and (task_ids is None or run.task_id in task_ids):
                found[run.id] = (run.seq, run.task_id, run.path, run.value, run.outputs)
        tree: dict[str, Any] = {}
        for _, task_id, path, value, outputs in sorted(found.values(), key=lambda item: item[0]):
            nest_outputs(tree, task_id, path, value, outputs)
        return tree

    def states(self, execution: Execution) -> dict[str, Any]:
        """`tasks.<id>.state`, nested by value."""
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
