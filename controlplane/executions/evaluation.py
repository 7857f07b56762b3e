"""A template in the context of an execution, or of one of its task runs, for a person who looks for what an expression gives."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from django.db import connection

from controlplane.catalog.queries import load_flow
from controlplane.engine import store
from controlplane.engine.lookups import StoredLookups
from controlplane.executions.models import TaskRun as TaskRunRow
from controlplane.executions.queries import stored_execution
from controlplane.platform import database
from controlplane.platform.clock import now_us
from controlplane.platform.errors import Missing
from flows.errors import HeadraceError
from flows.expressions import Scope, names_in, render_value
from flows.expressions.ambient import make_ambient
from flows.machine import context
from flows.machine.execution import Execution, TaskRun
from flows.machine.world import World
from wire.ids import new_id


def evaluate(tenant: str, execution_id: str, template: str, task_run_id: str | None = None) -> dict[str, Any]:
    """`{result}`, or `{error}` when it cannot be rendered. Secrets are not there: nobody reads them through an expression.

    Raises ExecutionMissing, Missing for an unknown task run.
    """
    execution = stored_execution(tenant, execution_id)
    run = _with_ancestors(execution, task_run_id) if task_run_id is not None else None
    look = database.connect(database.url_of_settings(connection.settings_dict))
    try:
        flow = load_flow(tenant, execution.namespace, execution.flow_id, execution.revision).flow
        moment = datetime.now(UTC)
        functions = dict(make_ambient(lambda: moment, Random()))
        lookups = StoredLookups(look, {}, {})
        world = World(flow, now_us(), new_id, Random().random, lookups, functions)
        task = flow.index.get(run.task_id) if run is not None else None
        found = context.variables(names_in(template), world, execution, task, run if task is not None else None)
        return {"result": render_value(template, Scope(found, functions))}
    except HeadraceError as error:
        return {"error": str(error)}
    finally:
        look.close()


def _with_ancestors(execution: Execution, task_run_id: str) -> TaskRun:
    """The task run; it and those above it are put into `execution.runs`, where expressions look for parents."""
    wanted: str | None = task_run_id
    found: TaskRun | None = None
    columns = store.names(store.RUN_ALL)
    while wanted is not None:
        row = TaskRunRow.objects.filter(tenant_id=execution.tenant, execution_id=execution.id, id=wanted).values(*columns).first()
        if row is None:
            break
        run = store.run_of(row)
        execution.runs[run.id] = run
        found = found or run
        wanted = run.parent_id
    if found is None:
        raise Missing(f"Task run '{task_run_id[:100]}' not found in execution '{execution.id}'", code="task_run.missing")
    return found
