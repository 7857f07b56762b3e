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
    ("extra", "text"),
)
EXECUTION_FIXED = (
    ("namespace", "text"),
    ("flow_id", "text"),
    ("flow_revision", "int"),
    ("inputs", "text"),
    ("trigger", "text"),
    ("parent_id", "text"),
    ("original_id", "text"),
    ("created_at_us", "bigint"),
    ("kind", "text"),
    ("parent_execution_id", "text"),
    ("parent_task_run_id", "text"),
    ("child_index", "int"),
    ("schedule_at_us", "bigint"),
    ("cause", "text"),
)
EXECUTION_EDITED = (("labels", "json"), ("variables", "text"))
"""What few flows change while they run: written only when it differs from what is stored."""

EXECUTION_ALL = (*EXECUTION_KEYS, *EXECUTION_FIXED, *EXECUTION_EDITED, *EXECUTION_CHANGING)

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
    ("iteration", "int"),
)
RUN_FIXED = (
    ("seq", "int"),
    ("task_id", "text"),
    ("parent_id", "text"),
    ("value", "text"),
    ("path", "text"),
    ("place", "text"),
    ("items", "text"),
    ("created_at_us", "bigint"),
    ("dynamic", "bool"),
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
    ("fallback", "text"),
)
TIMER_KEYS = (("tenant_id", "text"), ("execution_id", "text"), ("task_run_id", "text"))
TIMER_ALL = (
    *TIMER_KEYS,
    ("attempt", "int"),
    ("kind", "text"),
    ("due_at_us", "bigint"),
)
OUTBOX_KEYS = (("tenant_id", "text"), ("id", "text"))
OUTBOX_ALL = (
    *OUTBOX_KEYS,
    ("execution_id", "text"),
    ("kind", "text"),
    ("payload", "text"),
    ("created_at_us", "bigint"),
    ("seq", "bigint"),
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

RUNS_PAGE = 5_000
"""Task runs read, or written, at once."""

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


def load(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def names(columns: Iterable[tuple[str, str]]) -> list[str]:
    """Column names only."""
    return [name for name, _ in columns]


def place_key(values: tuple[str, ...]) -> str:
    """The values of a task run and its ancestors as a key: what lies below begins with it and a comma.

    A JSON list without its last bracket; whatever a value holds, two different places never read the same.
    """
    return "[" if not values else dump_bytes(values).decode()[:-1]


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
        dump(execution.dump_extra() or None),
    )


def execution_edited_row(execution: Execution) -> Row:
    """Values of EXECUTION_EDITED."""
    return (dump(execution.labels), dump(execution.variables))


def execution_row(execution: Execution) -> Row:
    """Values of EXECUTION_ALL."""
    return (
        execution.tenant,
        execution.id,
        execution.namespace,
        execution.flow_id,
        execution.revision,
        dump(execution.inputs),
        dump(execution.trigger),
        execution.parent_id,
        execution.original_id,
        execution.created_at,
        execution.kind,
        execution.started_by,
        None if execution.waiter is None else execution.waiter[1],
        None if execution.waiter is None else execution.waiter[2],
        execution.schedule_at,
        dump(execution.cause),
        *execution_edited_row(execution),
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
        run.iteration,
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
        dump(run.path) if run.path else None,
        place_key(run.path if run.value is None else (*run.path, run.value)),
        dump(run.items),
        run.created_at,
        run.dynamic,
        *run_changing_row(run),
    )


def load_executions(database: Database, keys: list[Key]) -> dict[Key, Execution]:
    """The executions with their open task runs. Absent ones are left out."""
    found: dict[Key, Execution] = {}
    for row in database.select("execution", names(EXECUTION_ALL), EXECUTION_KEYS, keys)():
        execution = execution_of(dict(zip(names(EXECUTION_ALL), row, strict=True)))
        found[(execution.tenant, execution.id)] = execution
    keys_of_runs = (("tenant_id", "text"), ("execution_id", "text"))
    for row in database.select("task_run", names(RUN_ALL), keys_of_runs, list(found), f"AND t.{_OPEN} ORDER BY t.seq")():
        data = dict(zip(names(RUN_ALL), row, strict=True))
        run = run_of(data)
        found[(data["tenant_id"], data["execution_id"])].runs[run.id] = run
    for execution in found.values():
        execution.count()
    return found


def execution_of(data: dict[str, Any]) -> Execution:
    """The execution of a row, by column, without task runs."""
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
        inputs=load(data["inputs"]) or {},
        labels=(orjson.loads(labels) if isinstance(labels, str) else labels) or [],
        variables=load(data["variables"]) or {},
        trigger=load(data["trigger"]),
        cursor=Cursor.load(orjson.loads(data["cursor"])),
        version=data["version"],
        task_run_count=data["task_run_count"],
        outputs=load(data["outputs"]),
        error=load(data["error"]),
        parent_id=data["parent_id"],
        original_id=data["original_id"],
        started_at=data["started_at_us"],
        ended_at=data["ended_at_us"],
        kind=data["kind"],
        schedule_at=data["schedule_at_us"],
        cause=load(data["cause"]),
        started_by=data["parent_execution_id"],
        known_outputs=None,
    )
    if data["extra"] is not None:
        execution.load_extra(orjson.loads(data["extra"]))
    return execution


def load_runs(database: Database, key: Key) -> list[TaskRun]:
    """All task runs of an execution, those that are over included, in order of creation."""
    found: list[TaskRun] = []
    at = ""
    sql = (
        f"SELECT {', '.join(names(RUN_ALL))} FROM task_run WHERE tenant_id = ? AND execution_id = ? AND id > ?"  # noqa: S608
        " ORDER BY id LIMIT ?"  # the order of the key: each page begins where the last one ended, nothing is sorted
    )
    while True:
        page = database.execute(sql, (*key, at, RUNS_PAGE))
        found.extend(run_of(dict(zip(names(RUN_ALL), row, strict=True))) for row in page)
        if len(page) < RUNS_PAGE:
            found.sort(key=lambda run: run.seq)
            return found
        at = found[-1].id


def run_of(data: dict[str, Any]) -> TaskRun:
    return TaskRun(
        id=data["id"],
        seq=data["seq"],
        task_id=data["task_id"],
        parent_id=data["parent_id"],
        value=data["value"],
        iteration=data["iteration"],
        path=tuple(load(data["path"]) or ()),
        state=State(data["state"]),
        history=[(state, at) for state, at in orjson.loads(data["history"])],
        created_at=data["created_at_us"],
        attempts=[Attempt.load(attempt) for attempt in orjson.loads(data["attempts"])],
        outputs=load(data["outputs"]),
        cursor=None if data["cursor"] is None else Cursor.load(orjson.loads(data["cursor"])),
        items=load(data["items"]),
        started_at=data["started_at_us"],
        ended_at=data["ended_at_us"],
        dynamic=bool(data["dynamic"]),
    )
