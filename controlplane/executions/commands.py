"""What may be done to an execution that exists: kill, pause, resume, restart, replay … (execution-semantics §11).

Each command is one item for the engine. It carries the states it is allowed in, which are compared under the execution's lock:
a command that comes too late is refused there, not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from controlplane.accounts.actor import Actor
from controlplane.catalog.queries import load_flow, newest_revision
from controlplane.engine import get_engine, rewinding
from controlplane.engine.items import Answer, Item
from controlplane.engine.store import Key
from controlplane.executions.inputs import Given, Place, looked_at_inputs, place_of, typed_inputs
from controlplane.executions.queries import ExecutionMissing, Row, open_task_runs, stored_execution
from controlplane.platform.clock import now_us
from controlplane.platform.errors import BadRequest, Conflict, Invalid, Missing
from flows.machine.children import rerun_of
from flows.machine.events import (
    ChangeState,
    Created,
    ForceRun,
    Kill,
    Pause,
    Resume,
    ResumeBreakpoint,
    SetLabels,
    Unqueue,
)
from flows.machine.execution import Execution
from flows.machine.states import TERMINATED, State
from flows.spec.input_shapes import inputs_of
from flows.spec.model import Input
from wire.ids import new_id

ENDS = frozenset({State.SUCCESS, State.WARNING, State.FAILED, State.KILLED, State.CANCELLED})
"""States a person may give an execution that is over."""

TASK_RUN_ENDS = ENDS | {State.SKIPPED}
OVER = frozenset(TERMINATED)
OPEN = frozenset(State) - OVER
PAUSABLE = frozenset({State.RUNNING, State.RETRYING, State.BREAKPOINT})


# -- items ------------------------------------------------------------------------------------------------------------


def kill(key: Key, *, cascade: bool = True) -> Item:
    """Ends it now; `cascade`: and the executions it started."""
    return Item(key=key, event=Kill(cascade=cascade), states=OPEN)


def pause(key: Key) -> Item:
    """Nothing new starts."""
    return Item(key=key, event=Pause(), states=PAUSABLE)


def resume(key: Key, by: str, inputs: dict[str, Any] | None = None, task_run_id: str | None = None) -> Item:
    """It goes on: the first paused task run, or the execution when it was paused by hand."""
    return Item(key=key, event=Resume(inputs or {}, task_run_id, by), states=frozenset({State.PAUSED}))


def resume_from_breakpoint(key: Key, breakpoints: Sequence[str] | None) -> Item:
    """It goes on past its breakpoint."""
    event = ResumeBreakpoint(None if breakpoints is None else tuple(breakpoints))
    return Item(key=key, event=event, states=frozenset({State.BREAKPOINT}))


def force_run(key: Key) -> Item:
    """It runs whatever it waits for."""
    return Item(key=key, event=ForceRun(), states=OPEN - {State.KILLING})


def unqueue(key: Key, state: State = State.RUNNING) -> Item:
    """Out of the line: to run, or straight to an end. Raises Invalid."""
    if state is not State.RUNNING and state not in ENDS:
        raise Invalid(f"a queued execution can become RUNNING or {_list(ENDS)}, not {state}", code="execution.state")
    return Item(key=key, event=Unqueue(state), states=frozenset({State.QUEUED}))


def change_status(key: Key, state: State) -> Item:
    """Another end for what is over. Raises Invalid."""
    if state not in ENDS:
        raise Invalid(f"an execution that is over can become {_list(ENDS)}, not {state}", code="execution.state")
    return Item(key=key, event=ChangeState(state), states=OVER)


def set_labels(key: Key, labels: tuple[tuple[str, str], ...]) -> Item:
    """Labels added or overwritten, once it is over."""
    return Item(key=key, event=SetLabels(labels), states=OVER)


# -- carrying out -----------------------------------------------------------------------------------------------------


def carry_out(item: Item) -> None:
    """Has one command done. Raises ExecutionMissing, Conflict, EngineUnavailable."""
    check(item, get_engine().call(item))


def check(item: Item, answer: Answer) -> None:
    """What the engine answered, as an error if it is one."""
    execution_id = item.key[1]
    if answer == "absent":
        raise ExecutionMissing(f"Execution '{execution_id[:100]}' not found")
    if answer == "refused":
        raise Conflict(refusal(item), code=item.refusal_code)
    if answer == "parked":
        raise Conflict(f"Execution '{execution_id}' could not be changed and was ended; see its error", code="execution.parked")


def refusal(item: Item) -> str:
    """Why the engine refused a command, and what would be needed."""
    allowed = (
        "" if item.states is None or not item.refusal_code.startswith("execution.") else f"; this needs {_list(item.states)}"
    )
    return f"Execution '{item.key[1]}': {item.refusal}{allowed}"


def _list(states: Iterable[State]) -> str:
    return ", ".join(sorted(states))


# -- commands that need more than an event ----------------------------------------------------------------------------


def resume_with_inputs(actor: Actor, row: Row, given: Given) -> None:
    """Resumes with the values its Pause asks for. Raises InputInvalid, Conflict."""
    run_id, declared = asked_for(row)
    key = (row["tenant_id"], row["id"])
    inputs = typed_inputs(declared, given, _place(row))
    carry_out(resume(key, actor.username, inputs, run_id))


def asked_for(row: Row) -> tuple[str | None, tuple[Input, ...]]:
    """The task run that a resume would let go on, and the inputs it asks for. Raises Conflict when it is not paused."""
    if row["state"] != State.PAUSED:
        raise Conflict(f"Execution '{row['id']}': it is {row['state']}; this needs PAUSED", code="execution.state")
    flow = load_flow(row["tenant_id"], row["namespace"], row["flow_id"], row["flow_revision"]).flow
    for run in open_task_runs(row["tenant_id"], row["id"]):
        if run["state"] == State.PAUSED:
            task = flow.index.get(run["task_id"])
            written = task.properties.get("onResume") if task is not None else None
            return run["id"], inputs_of(written) if isinstance(written, list) else ()
    return None, ()


def _place(row: Row) -> Place:
    loaded = load_flow(row["tenant_id"], row["namespace"], row["flow_id"], row["flow_revision"])
    return place_of(row["tenant_id"], loaded.flow, loaded.revision, row["id"])


def looked_at_resume(row: Row, given: Given) -> list[dict[str, Any]]:
    """What would become of the values of a resume. Nothing is stored. Raises Conflict."""
    _, declared = asked_for(row)
    return looked_at_inputs(declared, given, _place(row))


def restart(actor: Actor, row: Row, revision: int | None) -> str:
    """Runs again what failed, in place; with another revision in a new execution. Returns the id of the one that runs.

    Raises Conflict when it is neither over nor paused, or nothing of it failed; FlowMissing.
    """
    key = (row["tenant_id"], row["id"])
    if revision is None or revision == row["flow_revision"]:
        carry_out(rewinding.restart(key))
        return str(row["id"])
    flow = load_flow(row["tenant_id"], row["namespace"], row["flow_id"], revision).flow
    execution_id = new_id()
    carry_out(rewinding.restart_as_new(key, execution_id, flow, revision, by=actor.username))
    return execution_id


def replay(
    actor: Actor,
    row: Row,
    *,
    task_run_id: str | None = None,
    revision: int | None = None,
    breakpoints: Sequence[str] = (),
    given: Given | None = None,
) -> str:
    """A new execution like this one: from the beginning, or from a task run on. Returns its id.

    `given`: inputs in place of the old ones; those not given keep their value. Raises Conflict when it is not over, FlowMissing,
    InputInvalid, Missing for a task run it does not have.
    """
    execution_id = new_id()
    item = replay_item(actor, row, execution_id, task_run_id=task_run_id, revision=revision, breakpoints=breakpoints, given=given)
    answer = get_engine().call(item)
    if answer == "refused" and item.refusal_code == "task_run.unknown":
        raise Missing(refusal(item), code="task_run.missing")
    check(item, answer)
    return execution_id


def replay_item(
    actor: Actor,
    row: Row,
    execution_id: str,
    *,
    task_run_id: str | None = None,
    revision: int | None = None,
    breakpoints: Sequence[str] = (),
    given: Given | None = None,
) -> Item:
    """The item of a replay. Raises Conflict, FlowMissing, InputInvalid."""
    tenant, namespace, flow_id = row["tenant_id"], row["namespace"], row["flow_id"]
    if State(row["state"]) not in OVER:
        raise Conflict(f"Execution '{row['id']}': it is {row['state']}; a replay needs it to be over", code="execution.state")
    loaded = load_flow(tenant, namespace, flow_id, revision or row["flow_revision"])
    inputs: dict[str, Any] | None = None
    if given is not None:
        before = stored_execution(row["tenant_id"], row["id"]).inputs
        place = place_of(tenant, loaded.flow, loaded.revision, execution_id)
        inputs = typed_inputs(loaded.flow.inputs, {**before, **dict(given)}, place)

    def prepare(execution: Execution) -> None:
        if inputs is not None:
            execution.inputs = inputs
        execution.breakpoints = list(breakpoints)
        execution.labels = [
            *(label for label in execution.labels if label["key"] != "system.replay"),
            {"key": "system.replay", "value": "true"},
        ]

    key = (tenant, row["id"])
    if task_run_id:
        return rewinding.replay(key, task_run_id, execution_id, loaded.flow, loaded.revision, by=actor.username, prepare=prepare)
    execution = rerun_of(stored_execution(row["tenant_id"], row["id"]), execution_id, now_us(), cause="replay", by=actor.username)
    execution.revision = loaded.revision
    prepare(execution)
    pinned = loaded.revision != newest_revision(tenant, namespace, flow_id)
    return Item(key=(tenant, execution_id), event=Created(), new=execution, pinned=pinned)


def change_task_run_state(row: Row, task_run_id: str, state: State) -> None:
    """Another end for a task run; the execution goes on from there. Raises Invalid, Missing, Conflict."""
    if state not in TASK_RUN_ENDS:
        raise Invalid(f"a task run can become {_list(TASK_RUN_ENDS)}, not {state}", code="task_run.state")
    item = rewinding.change_state((row["tenant_id"], row["id"]), task_run_id, state)
    answer = get_engine().call(item)
    if answer == "refused" and item.refusal_code == "task_run.unknown":
        raise Missing(refusal(item), code="task_run.missing")
    check(item, answer)


def checked_labels(rows: Any, present: Sequence[dict[str, str]] = ()) -> tuple[tuple[str, str], ...]:
    """Labels of a request body, `[{key, value}]`. Raises BadRequest for twice the same key, Invalid.

    A `system.*` label can be repeated as it is, not added or changed.
    """
    if not isinstance(rows, list):
        raise Invalid("the body must be a list of {key, value}", code="label.invalid")
    system = {(label["key"], label["value"]) for label in present}
    found: dict[str, str] = {}
    for row in rows:
        key, value = (row.get("key"), row.get("value")) if isinstance(row, dict) else (None, None)
        if not isinstance(key, str) or not key or value is None or value == "":
            raise Invalid("a label needs a key and a value, both not empty", code="label.invalid")
        text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        if key in found:
            raise BadRequest(f"label {key!r} is given twice", code="label.twice")
        if key.startswith("system.") and (key, text) not in system:
            raise Invalid(f"label {key!r} cannot be set: labels that begin with system. are the system's", code="label.system")
        found[key] = text
    return tuple(found.items())
