"""Reading executions."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import connection
from django.db.models import Q, QuerySet

from controlplane.catalog.queries import newest_revision, scope_field
from controlplane.engine import store
from controlplane.executions.models import Execution, Metric, TaskRun
from controlplane.executions.serialise import FULL_COLUMNS, SUMMARY_COLUMNS, TASK_RUN_COLUMNS, execution_full, execution_summary
from controlplane.gateway.progress import progress_of
from controlplane.platform.clock import iso, now_us, parse_instant, parse_span
from controlplane.platform.errors import BadRequest, Missing
from controlplane.platform.filters import (
    EQUALITY,
    MEMBERSHIP,
    NAMES,
    NULLS,
    TEXTUAL,
    Condition,
    FilterField,
    instant_field,
    text_field,
    words_field,
)
from controlplane.platform.labels import labels_field
from controlplane.platform.rendering import dump
from flows.machine.execution import Execution as Stored
from flows.machine.states import State

Row = dict[str, Any]

_ONE_EXECUTION = f"SELECT {', '.join(FULL_COLUMNS)} FROM execution WHERE tenant_id = %s AND id = %s"  # noqa: S608 - constants
_TASK_RUNS = f"SELECT {', '.join(TASK_RUN_COLUMNS)} FROM task_run WHERE tenant_id = %s AND execution_id = %s ORDER BY seq"  # noqa: S608


KINDS = frozenset({"NORMAL", "TEST", "PLAYGROUND", "LOOP"})


class ExecutionMissing(Missing):
    """No such execution in this tenant."""

    code = "execution.missing"


def find_execution(tenant: str, execution_id: str) -> Row:
    """The row of an execution. Raises ExecutionMissing."""
    # Written out: clients poll this, and composing the statement would cost four times as much as running it.
    with connection.cursor() as cursor:
        cursor.execute(_ONE_EXECUTION, [tenant, execution_id])
        row = cursor.fetchone()
    if row is None:
        raise ExecutionMissing(f"Execution '{execution_id[:100]}' not found")
    return dict(zip(FULL_COLUMNS, row, strict=True))


def task_runs(tenant: str, execution_id: str) -> list[Row]:
    """Rows of its task runs in order of creation."""
    with connection.cursor() as cursor:
        cursor.execute(_TASK_RUNS, [tenant, execution_id])
        return [dict(zip(TASK_RUN_COLUMNS, row, strict=True)) for row in cursor.fetchall()]


def open_task_runs(tenant: str, execution_id: str) -> list[Row]:
    """Rows of its task runs that are not over, in order of creation: what waits for something."""
    found: Any = TaskRun.objects.filter(tenant_id=tenant, execution_id=execution_id, ended_at_us__isnull=True).order_by("seq")
    return list(found.values(*TASK_RUN_COLUMNS, "attempt", "cursor"))


def stored_execution(tenant: str, execution_id: str) -> Stored:
    """The execution as the machine knows it, without task runs. Raises ExecutionMissing."""
    columns = store.names(store.EXECUTION_ALL)
    row = Execution.objects.filter(tenant_id=tenant, id=execution_id).values(*columns).first()
    if row is None:
        raise ExecutionMissing(f"Execution '{execution_id[:100]}' not found")
    return store.execution_of(row)


def newest_revision_of(row: Row) -> int:
    """Number of the newest revision of the flow that execution ran. Raises FlowMissing, FlowDraft."""
    return newest_revision(row["tenant_id"], row["namespace"], row["flow_id"])


def full_json(row: Row, url: str | None = None) -> bytes:
    """The whole execution of that row as JSON."""
    tenant, execution_id = row["tenant_id"], row["id"]
    over = State(row["state"]).terminated
    progress = {} if over else progress_of(tenant, execution_id)
    body = execution_full(row, task_runs(tenant, execution_id), progress)
    if url is not None:
        body["url"] = url
    return dump(body)


def is_over(row: Row) -> bool:
    """Whether nothing follows by itself."""
    return State(row["state"]).terminated


def summaries(rows: QuerySet[Execution]) -> QuerySet[Execution, Row]:
    """Only the columns of a search."""
    found: Any = rows.values(*SUMMARY_COLUMNS)
    return found  # type: ignore[no-any-return]


def summary_json(row: Row) -> dict[str, Any]:
    """A row of a search."""
    return execution_summary(row)


def _state_field() -> FilterField:
    def build(condition: Condition) -> Q:
        states = [value.upper() for value in condition.values]
        unknown = [state for state in states if state not in State.__members__]
        if unknown:
            raise BadRequest(f"{unknown[0]!r} is no state; states are {', '.join(State.__members__)}", code="filter.value")
        return Q(state__in=states)

    return FilterField(MEMBERSHIP, build)


def _child_field() -> FilterField:
    def build(condition: Condition) -> Q:
        kind = condition.text.upper()
        if kind not in ("CHILD", "MAIN"):
            raise BadRequest(f"childFilter is CHILD or MAIN, not {condition.text!r}", code="filter.value")
        return Q(parent_execution_id__isnull=kind == "MAIN")

    return FilterField(EQUALITY, build)


def _kind_field() -> FilterField:
    """NORMAL also means kinds nobody knows, e.g. DEFAULT: clients of several generations name it differently."""

    def build(condition: Condition) -> Q:
        if condition.operation == "IS_NULL":
            return Q(kind="NORMAL")
        kinds = {value.upper() for value in condition.values}
        return Q(kind__in={kind if kind in KINDS else "NORMAL" for kind in kinds})

    return FilterField(MEMBERSHIP | NULLS, build)


def _span_field() -> FilterField:
    def build(condition: Condition) -> Q:
        return since(condition.text)

    return FilterField(frozenset({"EQUALS"}), build)


def since(text: str) -> Q:
    """Begun within the last `text` (an ISO duration). Raises BadRequest."""
    try:
        return Q(created_at_us__gte=now_us() - parse_span(text))
    except ValueError as error:
        raise BadRequest(f"timeRange: {error}", code="filter.value") from None


EXECUTION_FIELDS = {
    "q": words_field("id", "namespace", "flow_id"),
    "id": text_field("id", TEXTUAL | {"IN", "NOT_IN"}),
    "namespace": text_field("namespace", NAMES),
    "flowid": text_field("flow_id", NAMES),
    "scope": scope_field("namespace"),
    "kind": _kind_field(),
    "state": _state_field(),
    "labels": labels_field("labels"),
    "startdate": instant_field("created_at_us", parse_instant),
    "enddate": instant_field("ended_at_us", parse_instant),
    "timerange": _span_field(),
    "triggerexecutionid": text_field("parent_execution_id", NAMES),
    "childfilter": _child_field(),
}
EXECUTION_SORT = {
    "state.startDate": "created_at_us",
    "startDate": "created_at_us",
    "state.endDate": "ended_at_us",
    "state.current": "state",
    "state.duration": "duration_us",
    "id": "id",
    "namespace": "namespace",
    "flowId": "flow_id",
}


def executions_of(tenant: str) -> QuerySet[Execution]:
    """All of a tenant."""
    return Execution.objects.filter(tenant_id=tenant)


def outputs_of(tenant: str, execution_id: str) -> bytes:
    """Flow outputs as a JSON object. Raises ExecutionMissing."""
    text = find_execution(tenant, execution_id)["outputs"]
    return b"{}" if text is None else str(text).encode()


def outputs_information(tenant: str, execution_id: str) -> list[dict[str, Any]]:
    """Which task runs have outputs. Raises ExecutionMissing."""
    find_execution(tenant, execution_id)
    rows = TaskRun.objects.filter(tenant_id=tenant, execution_id=execution_id, outputs__isnull=False).order_by("seq")
    found = []
    for row in rows.values("id", "task_id", "value", "iteration", "outputs"):
        if row["outputs"] in ("{}", "null"):
            continue
        entry = {"executionId": execution_id, "taskId": row["task_id"], "taskRunId": row["id"], "size": len(row["outputs"] or "")}
        if row["value"] is not None:
            entry["value"] = row["value"]
        if row["iteration"] is not None:
            entry["iteration"] = row["iteration"]
        found.append(entry)
    return found


def task_run_outputs(tenant: str, execution_id: str, task_run_id: str) -> bytes:
    """Outputs of one task run as a JSON object. Raises Missing."""
    row = TaskRun.objects.filter(tenant_id=tenant, execution_id=execution_id, id=task_run_id).values_list("outputs").first()
    if row is None:
        raise Missing(f"Task run '{task_run_id[:100]}' not found in execution '{execution_id[:100]}'", code="task_run.missing")
    return b"{}" if row[0] is None else str(row[0]).encode()


def metrics_of(tenant: str, execution_id: str, task_run_id: str | None, task_id: str | None) -> QuerySet[Metric]:
    """Metrics of an execution, oldest first."""
    rows = Metric.objects.filter(tenant_id=tenant, execution_id=execution_id)
    if task_run_id:
        rows = rows.filter(task_run_id=task_run_id)
    if task_id:
        rows = rows.filter(task_id=task_id)
    return rows


METRIC_SORT = {"timestamp": "at_us", "name": "name", "value": "value", "taskId": "task_id"}


def metric_json(row: Metric, namespace: str, flow_id: str) -> dict[str, Any]:
    """A metric as clients know it."""
    return {
        "namespace": namespace,
        "flowId": flow_id,
        "executionId": row.execution_id,
        "taskId": row.task_id,
        "taskRunId": row.task_run_id,
        "name": row.name,
        "type": row.kind,
        "value": int(row.value) if row.value.is_integer() else row.value,
        "timestamp": iso(row.at_us),
        "tags": orjson.loads(row.tags),
    }
