"""Functions that compute from their arguments and the context alone (expressions §7). Others come in through `Scope`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from flows.errors import ExpressionError
from flows.expressions import serial
from flows.expressions.attributes import Undefined
from flows.expressions.operators import compare, inclusive_range, is_number, type_error
from flows.expressions.output import capture
from flows.expressions.printing import is_sequence, to_text
from flows.expressions.registry import function
from flows.expressions.scope import Frame
from flows.expressions.template import VALUE_DEPTH_MAX, compile_template
from flows.limits import EXPRESSION_DEPTH_MAX


@function("max")
def maximum(frame: Frame, *values: Any) -> Any:
    """The greatest of its arguments."""
    return _extreme("max", ">", values)


@function("min")
def minimum(frame: Frame, *values: Any) -> Any:
    """The least of its arguments."""
    return _extreme("min", "<", values)


def _extreme(name: str, symbol: str, values: tuple[Any, ...]) -> Any:
    if not values:
        raise ExpressionError(f"Function `{name}` needs at least one argument", code="expression.arguments")
    best = values[0]
    for value in values[1:]:
        if best is None or compare(symbol, value, best):
            best = value
    if best is not None and not is_number(best):
        raise type_error(f"`{name}` expects numbers", best)
    return best


@function("range", "start end increment")
def range_(frame: Frame, start: Any, end: Any, increment: Any = 1) -> list[Any]:
    """The list from start to end, both included."""
    return inclusive_range(start, end, increment, frame.budget)


@function("block", "name")
def block(frame: Frame, name: Any) -> str:
    """What the block of that name prints."""
    body = frame.template.blocks.get(name) if isinstance(name, str) else None
    if body is None:
        raise ExpressionError(f"There is no block `{to_text(name, frame.budget)}`", code="expression.unknown_block")
    frame.budget.spend(10)
    frame.budget.enter()
    try:
        return capture(body, frame)
    finally:
        frame.budget.leave()


@function("parent")
def parent(frame: Frame) -> str:
    """Templates have no parents here, so a parent block is empty."""
    return ""


@function("render", "toRender recursive")
def render(frame: Frame, value: Any, recursive: Any = True) -> Any:
    """Renders a text, list or map with the current context, until nothing changes unless `recursive` is false."""
    return _rendered(frame, value, recursive is not False, 0)


@function("renderOnce", "toRender")
def render_once(frame: Frame, value: Any) -> Any:
    """Renders once: what the result holds in braces stays text."""
    return _rendered(frame, value, False, 0)


def _rendered(frame: Frame, value: Any, recursive: bool, depth: int) -> Any:
    if isinstance(value, str):
        return _rendered_text(frame, value, recursive)
    if depth > VALUE_DEPTH_MAX:
        raise ExpressionError(f"The value nests deeper than {VALUE_DEPTH_MAX} levels", code="expression.too_deep")
    if isinstance(value, Mapping):
        frame.budget.elements(len(value))
        result: dict[Any, Any] = {}
        for key, item in value.items():
            name = _rendered_text(frame, key, recursive) if isinstance(key, str) else key
            result.setdefault(name, _rendered(frame, item, recursive, depth + 1))
        return result
    if is_sequence(value):
        frame.budget.elements(len(value))
        return [_rendered(frame, item, recursive, depth + 1) for item in value]
    return value


def _rendered_text(frame: Frame, text: str, recursive: bool) -> str:
    for _ in range(EXPRESSION_DEPTH_MAX):
        if "{" not in text:
            return text
        frame.budget.spend(1 + len(text) // 20)
        before = text
        frame.budget.enter()
        try:
            template = compile_template(text)
            inner = Frame(frame.visible(), frame.functions, frame.budget, template)
            text = template.text(inner)
            frame.guarded = frame.guarded or inner.guarded
        finally:
            frame.budget.leave()
        if not recursive or text == before:
            return text
    raise ExpressionError(
        f"Too many rendering attempts: the text still changes after {EXPRESSION_DEPTH_MAX} renderings", code="expression.too_deep"
    )


@function("fromJson json", "json")
def from_json(frame: Frame, text: Any) -> Any:
    """The value of a JSON text; null stays null."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise type_error("`fromJson` expects a text", text)
    return serial.parse_json(text, frame.budget)


@function("yaml", "yaml")
def yaml_(frame: Frame, text: Any) -> Any:
    """The value of a YAML text; null stays null."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise type_error("`yaml` expects a text", text)
    return serial.parse_yaml(text, frame.budget)


@function("fromIon", "ion allRows")
def from_ion(frame: Frame, data: Any, all_rows: Any = False) -> Any:
    """The first value of an Ion text or of binary Ion, or all of them as a list; null stays null."""
    from flows.expressions import ion

    if data is None:
        return None
    if isinstance(data, (bytes, bytearray)) and not data.startswith(ion.BINARY_MARK):
        data = bytes(data).decode("utf-8", "replace")
    if isinstance(data, str):
        rows = ion.read_text(data, frame.budget)
    elif isinstance(data, (bytes, bytearray)):
        rows = ion.read_binary(bytes(data), frame.budget)
    else:
        raise type_error("`fromIon` expects a text or bytes", data)
    return list(rows) if all_rows is True else next(rows, None)


@function("decrypt", "key encrypted")
def decrypt(frame: Frame, key: Any, encrypted: Any) -> str:
    """The text behind what `encrypt` made, with the same base64 AES key."""
    from flows.expressions import encryption

    return frame.budget.text(encryption.decrypt(key, encrypted))


@function("env", "name default")
def env(frame: Frame, name: Any, default: Any = None) -> Any:
    """A variable of `envs`; the default when it is not there or empty."""
    if not isinstance(name, str):
        raise type_error("`env` expects a text as `name`", name)
    found = frame.visible().get("envs")
    value = found.get(name) if isinstance(found, Mapping) else None
    return default if value is None or value == "" else value


@function("printContext fetchContext")
def context(frame: Frame) -> Mapping[str, Any]:
    """All variables of the context."""
    return frame.visible()


@function("currentEachOutput", "outputs")
def current_each_output(frame: Frame, outputs: Any) -> Any:
    """Of a task's outputs inside a loop, those of the present iteration: along the values of the parents, then its own."""
    taskrun = frame.variables.get("taskrun")
    value = taskrun.get("value") if isinstance(taskrun, Mapping) else None
    parents = frame.variables.get("parents")
    path: list[Any] = []
    for one in reversed(cast("Sequence[Any]", parents)) if is_sequence(parents) else ():
        parent_run = one.get("taskrun") if isinstance(one, Mapping) else None
        if isinstance(parent_run, Mapping) and parent_run.get("value") is not None:
            path.append(parent_run["value"])
    if value is not None:
        path.append(value)
    found = outputs
    for step in path:
        key = step if isinstance(step, str) else to_text(step, frame.budget)
        if not isinstance(found, Mapping) or key not in found:
            raise Undefined(f"There is no output for the iteration `{key[:60]}`")
        found = found[key]
    return found


@function("iterationOutput", "taskId iteration")
def iteration_output(frame: Frame, task_id: Any = None, iteration: Any = None) -> Any:
    """Inside a loop, the output `value` of a task (the running one) in an iteration (the one before); null when it has none.

    Iterations count from zero, in the order in which their outputs stand. The reference leaves the function open; this is
    what current versions do.
    """
    taskrun, task = frame.variables.get("taskrun"), frame.variables.get("task")
    here = taskrun.get("iteration") if isinstance(taskrun, Mapping) else None
    if not isinstance(here, int):
        raise ExpressionError("`iterationOutput` works inside a loop only", code="expression.arguments")
    wanted = here - 1 if iteration is None else _whole(iteration)
    if wanted < 0:
        raise ExpressionError("`iterationOutput`: there is no iteration before the first", code="expression.range")
    name = task_id if task_id is not None else task.get("id") if isinstance(task, Mapping) else None
    outputs = frame.variables.get("outputs")
    found = outputs.get(name) if isinstance(outputs, Mapping) and isinstance(name, str) else None
    parents = frame.variables.get("parents")
    for one in reversed(cast("Sequence[Any]", parents)) if is_sequence(parents) else ():
        run = one.get("taskrun") if isinstance(one, Mapping) else None
        if isinstance(run, Mapping) and run.get("value") is not None and isinstance(found, Mapping):
            found = found.get(to_text(run["value"], frame.budget))
    if not isinstance(found, Mapping):
        return None
    if wanted >= len(found):
        raise ExpressionError(f"`iterationOutput`: iteration {wanted} has no outputs yet", code="expression.range")
    frame.budget.elements(len(found))
    result = list(found.values())[wanted]
    return result.get("value") if isinstance(result, Mapping) else None


def _whole(value: Any) -> int:
    """A count as integer or digits; -1 for anything else."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() and value.isascii() and len(value) < 10 else -1
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


@function("loopOutputs", "outputs name")
def loop_outputs(frame: Frame, outputs: Any, name: Any) -> list[Any]:
    """One output of each iteration of a Loop, from its list `outputs.<loop>.outputs`; null where an iteration has none."""
    if not is_sequence(outputs):
        raise type_error("`loopOutputs` expects the list `outputs.<loop>.outputs`", outputs)
    if not isinstance(name, str):
        raise type_error("`loopOutputs` expects a text as `name`", name)
    frame.budget.elements(len(outputs))
    found = [one.get("outputs") if isinstance(one, Mapping) else None for one in outputs]
    return [one.get(name) if isinstance(one, Mapping) else None for one in found]


@function("tasksWithState", "state")
def tasks_with_state(frame: Frame, state: Any) -> list[dict[str, Any]]:
    """The task runs in a state, as `{taskId, value, state}`; `value` only inside loops."""
    if not isinstance(state, str):
        raise type_error("`tasksWithState` expects the name of a state", state)
    wanted = state.upper()
    found: list[dict[str, Any]] = []
    tasks = frame.variables.get("tasks")
    for task_id, entry in tasks.items() if isinstance(tasks, Mapping) else ():
        if not isinstance(entry, Mapping):
            continue
        frame.budget.spend(len(entry) + 1)
        if isinstance(entry.get("state"), str):
            if entry["state"] == wanted:
                found.append({"taskId": task_id, "state": wanted})
            continue
        for value, one in entry.items():
            if isinstance(one, Mapping) and one.get("state") == wanted:
                found.append({"taskId": task_id, "value": value, "state": wanted})
    return found
