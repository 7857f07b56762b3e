"""Commands that look at every task run an execution ever had: restart, replay from a task run, a task run's state by hand.

What they do is the machine's (`flows.machine.rewind`). Here all rows are read under the execution's lock, with what the batch
changed laid over them, and a new execution that comes of it joins the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controlplane.engine import store
from controlplane.engine.items import Item
from flows.errors import HeadraceError
from flows.machine import rewind
from flows.machine.children import rerun_of
from flows.machine.effects import Effects
from flows.machine.events import Resume
from flows.machine.execution import Cursor, Execution, TaskRun
from flows.machine.states import TERMINATED, State
from flows.machine.world import World
from flows.spec.model import Flow

if TYPE_CHECKING:
    from controlplane.engine.batch import Batch
    from controlplane.engine.store import Key

Prepare = Callable[[Execution], None]
"""Changes a new execution before it moves: inputs, labels, breakpoints."""

RESTARTABLE = frozenset(TERMINATED | {State.PAUSED})
"""States of an execution that a restart is allowed in."""


class Refused(HeadraceError):
    """There is nothing to do the command to; nothing was changed."""


def carry_out(batch: Batch, item: Item, execution: Execution, effects: Effects, world: World) -> None:
    """Does what `item.rewinds` wants. Raises Refused."""
    assert item.rewinds is not None
    runs = store.load_runs(batch.database, item.key)
    fresh = {**effects.created, **effects.changed}
    runs = [fresh.pop(run.id, run) for run in runs if run.id not in effects.removed]
    runs.extend(fresh.values())
    runs.sort(key=lambda run: run.seq)
    try:
        made = item.rewinds(execution, runs, world, effects)
    except HeadraceError as error:
        raise Refused(str(error), code=error.code) from error
    if made is not None:
        batch.adopt(*made)


# -- commands ---------------------------------------------------------------------------------------------------------


def restart(key: Key) -> Item:
    """Runs again, in place, what failed or is paused."""

    def act(execution: Execution, runs: list[TaskRun], world: World, effects: Effects) -> None:
        rewind.restart(execution, runs, world, effects)

    return Item(key=key, event=Resume(), states=RESTARTABLE, rewinds=act)


def change_state(key: Key, task_run_id: str, state: State) -> Item:
    """Gives a task run another end; the execution goes on from there."""

    def act(execution: Execution, runs: list[TaskRun], world: World, effects: Effects) -> None:
        rewind.change_state(execution, runs, task_run_id, state, world, effects)

    return Item(key=key, event=Resume(), rewinds=act)


def restart_as_new(key: Key, new_id: str, flow: Flow, revision: int, *, by: str | None = None) -> Item:
    """A new execution in another revision that goes on where this one failed; this one stays as it is (§11.1)."""

    def act(source: Execution, runs: list[TaskRun], world: World, _: Effects) -> tuple[Execution, Effects]:
        execution = rerun_of(source, new_id, world.now, cause="restart", by=by)
        execution.revision = revision
        execution.variables = dict(source.variables)
        copies = _copies(runs, world)
        execution.task_run_count = max((run.seq for run in copies), default=-1) + 1
        execution.runs = {run.id: run for run in copies if not run.state.terminated}
        made = Effects()
        rewind.restart(execution, copies, replace(world, flow=flow), made)
        kept = {run.id: run for run in copies if run.id not in made.removed}
        made.created = {**kept, **made.created}
        for unstored in (made.changed, made.removed, made.withdrawn, made.timers_void, made.stopped):
            unstored.clear()
        return execution, made

    return Item(key=key, event=Resume(), states=RESTARTABLE, rewinds=act)


def replay(
    key: Key,
    task_run_id: str,
    new_id: str,
    flow: Flow,
    revision: int,
    *,
    by: str | None = None,
    prepare: Prepare | None = None,
) -> Item:
    """A new execution that goes on from one task run of this one (§11.2)."""

    def act(source: Execution, runs: list[TaskRun], world: World, _: Effects) -> tuple[Execution, Effects]:
        return rewind.replay(
            source, runs, task_run_id, new_id, replace(world, flow=flow), revision=revision, by=by, prepare=prepare
        )

    return Item(key=key, event=Resume(), states=TERMINATED, rewinds=act)


def _copies(runs: list[TaskRun], world: World) -> list[TaskRun]:
    """The same task runs with ids of their own, for another execution."""
    ids = {run.id: world.new_id() for run in runs}
    return [
        replace(
            run,
            id=ids[run.id],
            parent_id=ids.get(run.parent_id) if run.parent_id is not None else None,
            history=list(run.history),
            attempts=[replace(attempt, history=list(attempt.history)) for attempt in run.attempts],
            cursor=None if run.cursor is None else Cursor.load(run.cursor.dump()),
        )
        for run in runs
    ]


def restart_item(key: Key, message_id: str, payload: Mapping[str, Any]) -> Item:
    """The item of a parent's wish that this execution be restarted. When it cannot be, the parent is told how it ended."""
    item = restart(key)
    item.message = message_id
    item.asked_by = (payload["parent"], payload["taskRunId"], payload["index"])
    return item
