"""Rows of task runs that no longer are: a LoopUntil's last round, the error handlers of an execution that is restarted."""

from __future__ import annotations

from controlplane.engine import store
from controlplane.platform.database import Database
from flows.machine.effects import Effects
from flows.machine.execution import Execution

_OF_EXECUTION = (("tenant_id", "text"), ("execution_id", "text"))


def flush(database: Database, execution: Execution, effects: Effects, older: int) -> None:
    """Deletes what `removed` and `removed_below` name, and forgets it in `effects`.

    `older`: how many task runs of `effects.created` are from earlier decisions; those of the one under way stay, whatever their
    parent: they are the next round.
    """
    before = {run_id: effects.created[run_id] for run_id in list(effects.created)[:older]}
    gone = set(effects.removed)
    if effects.removed_below:
        # The tree of one execution, read once: a recursion in SQL would look through its rows for each of them.
        rows = database.select(
            "task_run", ("id", "parent_id"), _OF_EXECUTION, [(execution.tenant, execution.id)], "AND t.parent_id IS NOT NULL"
        )()
        below: dict[str, list[str]] = {}
        for run_id, parent_id in (*rows, *((run.id, run.parent_id) for run in before.values() if run.parent_id is not None)):
            below.setdefault(parent_id, []).append(run_id)
        open_ = [run_id for parent in effects.removed_below for run_id in below.get(parent, ())]
        while open_:
            run_id = open_.pop()
            if run_id not in gone:
                gone.add(run_id)
                open_.extend(below.get(run_id, ()))
    stored = []
    for run_id in gone:
        if run_id in before:
            del effects.created[run_id]
        else:
            stored.append((execution.tenant, execution.id, run_id))
        effects.changed.pop(run_id, None)
        effects.hand_outs.pop(run_id, None)
    database.remove("task_run", store.RUN_KEYS, stored)
    effects.removed.clear()
    effects.removed_below.clear()
