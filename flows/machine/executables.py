"""Tasks that start other executions: Subflow, the middle of a ForEachItem, Loop (execution-semantics §7).

The machine only wants a child execution; the host creates it in the same transaction and answers ChildCreated or ChildRefused.
A child that is over tells so by ChildEnded. Many children: a cursor counts them, and at most `CHILDREN_OPEN_MAX` live at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flows.errors import ExpressionError, HeadraceError
from flows.expressions import Names, Scope, evaluate_value, names_in, render_value, truthy
from flows.machine import attempts, context
from flows.machine.effects import ChildWanted
from flows.machine.events import ChildCreated, ChildEnded, ChildRefused
from flows.machine.execution import BY_RANK, RANK, Cursor, TaskRun
from flows.machine.loops import text
from flows.machine.orders import type_name
from flows.machine.states import State
from flows.machine.updating import labels_of
from flows.machine.world import Iteration
from flows.spec.model import Task

if TYPE_CHECKING:
    from flows.machine.step import Step

CHILDREN_OPEN_MAX = 500
"""Child executions of one task run that live at a time, whatever limit is written."""

_COUNTED = (State.CREATED.value, State.RUNNING.value, State.SUCCESS.value)
"""States that `iterations` always shows."""


def begin(step: Step, run: TaskRun, task: Task) -> None:
    """Starts the child, or the first children. Raises HeadraceError when a property cannot be evaluated; the task then fails."""
    kind = type_name(task)
    if kind == "Subflow":
        previous = (run.outputs or {}).get("executionId") if run.state is State.RESTARTED else None
        wanted = _wanted(step, run, task, "SUBFLOW", step.scope(task.properties, run))
        if previous is not None and task.properties.get("restartBehavior", "RETRY_FAILED") == "RETRY_FAILED":
            wanted = replace(wanted, id=previous, restarts=previous)
        step.begin(run, None, step.now)
        run.outputs = {"executionId": wanted.id}
        step.effects.children.append(wanted)
        return
    done = _done_before(step, run) if run.state is State.RESTARTED else {}
    run.items, branch = _items(step, run, task) if kind == "Loop" else (_batches(step, run), "tasks")
    step.begin(run, None, step.now)
    run.cursor = Cursor(branch=branch)
    if done:
        _keep_done(step, run, done)
    _count(step, run)
    more(step, run, task)


def _done_before(step: Step, run: TaskRun) -> dict[int, Iteration]:
    return {one.index: one for one in step.world.lookup.iterations(step.execution, run)}


def _keep_done(step: Step, run: TaskRun, done: dict[int, Iteration]) -> None:
    """A restart runs only those children again that did not succeed, and those that were never started."""
    cursor = step.cursor(run)
    for index, one in sorted(done.items()):
        told = _transmitted(step, run, one.state)
        if told in (State.FAILED, State.KILLED, State.CANCELLED):
            cursor.ready.append([index, 0])
        else:
            cursor.counts[one.state.value] = cursor.counts.get(one.state.value, 0) + 1
            cursor.worst = max(cursor.worst, RANK.get(told, 0))
    cursor.next = max(done) + 1


def _wanted(step: Step, run: TaskRun, task: Task, kind: Any, scope: Scope, index: int | None = None, **more: Any) -> ChildWanted:
    """A child execution of the flow the task names, its properties rendered in `scope`."""
    properties = task.properties

    def rendered(name: str) -> Any:
        value = properties.get(name)
        return render_value(value, scope) if isinstance(value, str) else value

    def flag(name: str, default: bool) -> bool:
        value = rendered(name)
        return default if value is None else truthy(value)

    revision = rendered("revision")
    inputs = evaluate_value(properties.get("inputs"), scope) or {}
    if isinstance(inputs, str):
        inputs = json.loads(inputs)
    if not isinstance(inputs, Mapping):
        raise ExpressionError(f"inputs of {task.id}: expected a map, found {type(inputs).__name__}", code="task.property_invalid")
    return ChildWanted(
        id=step.world.new_id(),
        kind=kind,
        task_run_id=run.id,
        task_id=task.id,
        task_type=task.type,
        namespace=str(rendered("namespace")),
        flow_id=str(rendered("flowId")),
        revision=int(revision) if revision not in (None, "") else None,
        inputs=dict(inputs),
        labels=labels_of(render_value(properties.get("labels"), scope), task.id),
        inherit_labels=flag("inheritLabels", default=False),
        schedule_at=_instant(rendered("scheduleDate"), task),
        wait=flag("wait", default=True),
        index=index,
        **more,
    )


def _instant(written: Any, task: Task) -> int | None:
    if written in (None, ""):
        return None
    try:
        found = datetime.fromisoformat(str(written))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ExpressionError(
            f"scheduleDate of {task.id}: expected an instant such as 2026-01-31T10:00:00Z, found {str(written)[:60]!r}",
            code="task.property_invalid",
        )
    return int(found.timestamp() * 1_000_000)


# -- many children ----------------------------------------------------------------------------------------------------


def _batches(step: Step, run: TaskRun) -> list[str]:
    """URIs of the batches, from the file that the sibling `<id>_split` wrote."""
    split = run.task_id.removesuffix("_items") + "_split"
    names = Names(roots=frozenset({"outputs"}), outputs=frozenset({split}))
    node: Any = context.outputs_root(names, step.world, step.execution, run).get(split, {})
    for value in run.path:
        node = node.get(value, {})
    uri = node.get("splits")
    if not isinstance(uri, str):
        raise ExpressionError(f"{run.task_id}: {split} gave no `splits`", code="loop.values")
    return [line for line in step.world.lookup.lines(step.execution, uri) if line]


def _items(step: Step, run: TaskRun, task: Task) -> tuple[list[str], str]:
    """The values of a Loop: JSON texts [key or null, value]; and `file` when they come from one (one value a line)."""
    found = step.evaluated(task.properties.get("values"), run)
    if isinstance(found, str) and "://" in found[:20]:
        return [json.dumps([None, line]) for line in step.world.lookup.lines(step.execution, found)], "file"
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError as error:
            raise ExpressionError(
                f"values of {task.id}: expected a list, a map, JSON text or a file's URI, found {found[:80]!r}",
                code="loop.values",
            ) from error
    if isinstance(found, Mapping):
        return [json.dumps([str(key), text(value)]) for key, value in found.items()], "tasks"
    if not isinstance(found, list):
        raise ExpressionError(f"values of {task.id}: expected a list or a map, found {type(found).__name__}", code="loop.values")
    return [json.dumps([None, text(value)]) for value in found], "tasks"


def more(step: Step, run: TaskRun, task: Task) -> None:
    """Starts children while there are places; ends the task run when none is left and none is open."""
    cursor = step.cursor(run)
    items = run.items or []
    kind = type_name(task)
    limit = int(task.properties.get("concurrencyLimit") or 0) if kind == "Loop" else 0
    width = min(limit, CHILDREN_OPEN_MAX) if limit else CHILDREN_OPEN_MAX
    halted = kind == "Loop" and cursor.failed
    start = None
    before: dict[int, Iteration] = {}
    while (cursor.ready or cursor.next < len(items)) and cursor.open < width and not halted:
        if start is None:
            start = _iterations(step, run, task) if kind == "Loop" else _batch_starter(step, run, task)
        if cursor.ready:
            before = before or _done_before(step, run)
            index = cursor.ready.pop(0)[0]
            wanted = start(index)
            if task.properties.get("restartBehavior", "RETRY_FAILED") == "RETRY_FAILED" and index in before:
                wanted = replace(wanted, id=before[index].execution_id, restarts=before[index].execution_id)
        else:
            index = cursor.next
            cursor.next += 1
            wanted = start(index)
        cursor.open += 1
        step.effects.children.append(wanted)
    step.effects.touch(run)
    if not cursor.open and (halted or (not cursor.ready and cursor.next >= len(items))):
        _end_many(step, run, task)


Starter = Callable[[int], ChildWanted]


def _batch_starter(step: Step, run: TaskRun, task: Task) -> Starter:
    names = names_in(task.properties)
    found = context.variables(names, step.world, step.execution, task, run)
    taskrun = found.get("taskrun", {})

    def start(index: int) -> ChildWanted:
        own = {**taskrun, "items": (run.items or [])[index], "iteration": index}
        scope = Scope({**found, "taskrun": own}, step.world.functions)
        return _wanted(step, run, task, "ITEM", scope, index)

    return start


def _iterations(step: Step, run: TaskRun, task: Task) -> Starter:
    """Iterations see the outputs of the parent's tasks that their templates name."""
    place = step.place(run)
    names = place.names
    outer = None if names.outputs is None else names.outputs - place.inner
    outputs: dict[str, Any] = {}
    if outer is None or outer:
        wanted = Names(roots=frozenset({"outputs"}), outputs=outer)
        outputs = context.outputs_root(wanted, step.world, step.execution, run)
    execution = step.execution

    def start(index: int) -> ChildWanted:
        return ChildWanted(
            id=step.world.new_id(),
            kind="LOOP",
            task_run_id=run.id,
            task_id=task.id,
            task_type=task.type,
            namespace=execution.namespace,
            flow_id=execution.flow_id,
            revision=execution.revision,
            inputs=execution.inputs,
            index=index,
            item=item_of(step, run, index),
            outputs=outputs,
        )

    return start


def item_of(step: Step, run: TaskRun, index: int) -> dict[str, Any]:
    """`item` of an iteration: value (text), index, key (of a map), parent and parents (of nested Loops)."""
    key, value = json.loads((run.items or [])[index])
    found: dict[str, Any] = {"value": value, "index": index}
    if key is not None:
        found["key"] = key
    loop = step.execution.loop
    if loop is not None:
        above = {name: one for name, one in loop["item"].items() if name not in ("parent", "parents")}
        found["parent"] = above
        found["parents"] = [above, *loop["item"].get("parents", [])]
    return found


def _count(step: Step, run: TaskRun) -> None:
    """The counters people look at while it runs."""
    cursor = step.cursor(run)
    kept = run.outputs or {}
    if type_name(step.task(run)) == "Loop":
        ended = sum(cursor.counts.values())
        run.outputs = {**kept, "iterationCount": cursor.next, "runningIterations": cursor.open, "terminatedIterations": ended}
    else:
        counts = {**dict.fromkeys(_COUNTED, 0), **cursor.counts, State.RUNNING.value: cursor.open}
        run.outputs = {**kept, "iterations": counts, "numberOfBatches": len(run.items or ())}


def _end_many(step: Step, run: TaskRun, task: Task) -> None:
    cursor = step.cursor(run)
    state = BY_RANK[cursor.worst]
    found = list(step.world.lookup.iterations(step.execution, run))
    _count(step, run)
    try:
        if type_name(task) == "Loop":
            entries = [{"item": item_of(step, run, one.index), "outputs": one.outputs or {}} for one in found]
            fetch = task.properties.get("fetchType", "AUTO")
            if fetch == "STORE" or (fetch == "AUTO" and cursor.branch == "file"):
                lines = (json.dumps(entry, ensure_ascii=False, default=str) for entry in entries)
                uri = step.world.lookup.store_lines(step.execution, run, "outputs.jsonl", lines)
                run.outputs = {**(run.outputs or {}), "uri": uri}
            elif task.properties.get("outputs"):
                run.outputs = {**(run.outputs or {}), "outputs": entries}
        elif run.items:
            lines = (json.dumps(one.outputs or {}, ensure_ascii=False, default=str) for one in found)
            uri = step.world.lookup.store_lines(step.execution, run, "subflowOutputs.jsonl", lines)
            run.outputs = {**(run.outputs or {}), "subflowOutputsBaseUri": uri}
        else:
            run.outputs = None  # an empty file: SUCCESS without outputs
        error = None
    except HeadraceError as failure:
        state, error = State.FAILED, {"code": failure.code, "message": str(failure)}
    run.cursor = None
    step.end_attempt(run, state, error, 0)
    attempts.after_attempt(step, run, state)


# -- what children say ------------------------------------------------------------------------------------------------


def _waits(step: Step, run_id: str) -> TaskRun | None:
    run = step.execution.runs.get(run_id)
    return run if run is not None and run.state is State.RUNNING and step.task(run).kind == "executable" else None


def created(step: Step, event: ChildCreated) -> None:
    """The child exists: whoever does not wait for its end is done."""
    run = _waits(step, event.task_run_id)
    if run is None or step.flag(run, "wait", default=True) or type_name(step.task(run)) == "Loop":
        return
    if run.cursor is None:
        step.end_attempt(run, State.SUCCESS, None, 0)
        attempts.after_attempt(step, run, State.SUCCESS)
        return
    run.cursor.open -= 1
    run.cursor.counts[State.CREATED.value] = run.cursor.counts.get(State.CREATED.value, 0) + 1
    _count(step, run)
    more(step, run, step.task(run))


def refused(step: Step, event: ChildRefused) -> None:
    """The child could not be created: the attempt fails; of many children the others go on."""
    run = _waits(step, event.task_run_id)
    if run is None:
        return
    error = {"code": event.code, "message": event.message}
    if run.cursor is None:
        if (run.outputs or {}).get("executionId") == event.child_id:
            run.outputs = None
        step.end_attempt(run, State.FAILED, error, 0)
        attempts.after_attempt(step, run, State.FAILED)
        return
    step.execution.failure = {"taskId": run.task_id, "message": event.message}
    run.attempts[-1].error = error
    _one_ended(step, run, State.FAILED)


def ended(step: Step, event: ChildEnded) -> None:
    """A child is over: its state becomes the task run's, unless the task says otherwise (`transmitFailed`)."""
    run = _waits(step, event.task_run_id)
    if run is None:
        return
    if run.cursor is not None:
        if type_name(step.task(run)) == "Loop" and event.index is not None and _breaks(step, run, event):
            run.cursor.rounds = 1
        _one_ended(step, run, event.state)
        return
    if (run.outputs or {}).get("executionId") != event.child_id:
        return
    task = step.task(run)
    run.outputs = {"executionId": event.child_id, "state": event.state.value}
    if event.outputs is not None:
        run.outputs["outputs"] = event.outputs
    state, error = _transmitted(step, run, event.state), None
    if state is State.FAILED:
        message = f"execution {event.child_id} of {task.properties.get('namespace')}.{task.properties.get('flowId')} ended FAILED"
        error = {"code": "subflow.failed", "message": message}
    if task.properties.get("outputs") and event.outputs is not None:
        # Deprecated: a map rendered with what the child gave.
        try:
            scope = Scope({"outputs": event.outputs, "execution": {"id": event.child_id}}, step.world.functions)
            run.outputs["outputs"] = evaluate_value(task.properties["outputs"], scope)
        except HeadraceError as failure:
            state, error = State.FAILED, {"code": failure.code, "message": f"outputs of {task.id}: {failure}"}
    step.end_attempt(run, state, error, 0)
    if state is State.KILLED and step.execution.state is not State.KILLING and not step.execution.state.terminated:
        _killed(step, run)
        return
    attempts.after_attempt(step, run, state)


def _transmitted(step: Step, run: TaskRun, state: State) -> State:
    if not step.flag(run, "transmitFailed", default=True):
        return State.SUCCESS
    if state is State.CANCELLED:
        return State.CANCELLED
    return state if state in (State.FAILED, State.KILLED, State.WARNING) else State.SUCCESS


def _killed(step: Step, run: TaskRun) -> None:
    """A killed child takes the task run and the blocks above it along; the flow goes on behind them (§7.1)."""
    above = step.parent(run)
    step.end_run(run, State.KILLED)
    while above is not None:
        upper = step.parent(above)
        step.end_run(above, State.KILLED)
        above = upper


def _one_ended(step: Step, run: TaskRun, state: State) -> None:
    cursor = step.cursor(run)
    cursor.counts[state.value] = cursor.counts.get(state.value, 0) + 1
    cursor.open -= 1
    told = _transmitted(step, run, state)
    cursor.worst = max(cursor.worst, RANK.get(told, 0))
    if told in (State.FAILED, State.KILLED) or cursor.rounds:
        cursor.failed = True  # a Loop launches nothing further; what runs is waited for
    _count(step, run)
    more(step, run, step.task(run))


def _breaks(step: Step, run: TaskRun, event: ChildEnded) -> bool:
    """`breakWhen` of a Loop, over the iteration that ended. A condition that cannot be evaluated breaks nothing."""
    written = step.task(run).properties.get("breakWhen")
    if written is None or event.index is None:
        return False
    iteration = {"executionId": event.child_id, "state": event.state.value, "outputs": event.outputs or {}}
    try:
        found = context.variables(names_in(written), step.world, step.execution, step.task(run), run)
        scope = Scope({**found, "item": item_of(step, run, event.index), "iteration": iteration}, step.world.functions)
        return truthy(render_value(written, scope))
    except ExpressionError:
        return False
