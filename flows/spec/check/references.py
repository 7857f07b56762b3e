"""Names inside templates: do they exist where they are read, and can they have a value by then?

What surely fails is an error; what is absorbed (`??`, `is defined`, a condition) or only likely to fail is a warning.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from flows.expressions.outside import OUTSIDE
from flows.expressions.registry import FILTERS, FUNCTIONS, TESTS
from flows.plugins import NoOutputs, TaskType
from flows.spec.check.mentions import Called, Mention
from flows.spec.check.places import Place, Places, type_name
from flows.spec.faults import Findings, Path, nearest, property_names
from flows.spec.model import Input
from flows.spec.source import ListNode, MapNode, ScalarNode
from flows.spec.templates import spot

FIXED: Mapping[str, frozenset[str]] = {
    "flow": frozenset({"id", "namespace", "revision", "tenantId"}),
    "execution": frozenset(
        {"id", "startDate", "endDate", "originalId", "state", "outputs", "kind", "labels", "parentId", "namespace", "flowId"}
    ),
    "task": frozenset({"id", "type"}),
    "taskrun": frozenset({"id", "startDate", "attemptsCount", "parentId", "value", "iteration", "items"}),
}
"""What these roots hold (execution-semantics §14.1)."""

ROOTS = frozenset(
    [
        "flow",
        "execution",
        "inputs",
        "outputs",
        "tasks",
        "vars",
        "trigger",
        "schedule",
        "labels",
        "envs",
        "globals",
        "kestra",
        "namespace",
    ]
)
TASK_ROOTS = ROOTS | frozenset(
    ["task", "taskrun", "parent", "parents", "error", "workingDir", "outputDir", "outputFiles", "workerTaskrun"]
)
TRIGGER_ROOTS = ROOTS | frozenset({"flowId", "state", "hasRetryAttempt", "taskrun"})
LOOP_ROOTS = frozenset({"item", "iteration"})
OTHER_ROOTS = frozenset(
    ["response", "request", "body", "headers", "row", "rows", "record", "count", "inputFile", "inputFiles", "logs", "loop"]
)
"""Roots that single plug-ins add while they render a property of theirs."""


@dataclass(slots=True)
class Reader:
    """Whose template it is. `task` None: the flow's own, at the end of the execution.

    `roots`: names it may begin with. `outputs`, `inputs`: whether these roots are this execution's own.
    """

    roots: frozenset[str]
    task: Place | None = None
    outputs: bool = True
    inputs: bool = True
    sure: bool = True
    """Whether what fails here fails the execution."""


@dataclass(slots=True)
class References:
    """Checks mentions against one flow. `variables` None: they may be set at run time under any name."""

    places: Places
    inputs: tuple[Input, ...]
    input_names: frozenset[str]
    variables: Mapping[str, Any] | None
    trigger_fields: frozenset[str] | None
    findings: Findings
    complete: bool = True
    """Whether every task of the source is known; below a task of an unknown type there may be others."""
    subflow_outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Flow outputs of the flow that a task calls, by task id, where they are known."""

    def mention(self, mention: Mention, reader: Reader, node: ScalarNode, path: Path) -> None:
        """Checks one path."""
        report = _Report(self.findings, node, path, mention.line, mention.guarded or not reader.sure)
        root = mention.root
        if root not in reader.roots and root not in OTHER_ROOTS:
            self._unknown_root(root, reader, report)
            return
        keys = mention.keys[1:]
        if not keys:
            return
        first = keys[0]
        if root == "outputs" and reader.outputs and isinstance(first, str):
            self._outputs(first, keys[1:], reader, report)
        elif root == "tasks" and isinstance(first, str) and self.complete and first not in self.places.by_id:
            message = f"`tasks.{first[:100]}` is used, but the flow has no task `{first[:100]}`"
            report.fault("flow.unknown_reference", message, nearest(first, self.places.by_id))
        elif root == "inputs" and reader.inputs:
            self._inputs(keys, report)
        elif root == "vars" and self.variables is not None:
            self._variables(keys, report)
        elif root in FIXED and isinstance(first, str) and first not in FIXED[root]:
            message = f"`{root}` has no `{first[:100]}`"
            report.doubt("flow.unknown_reference", message, nearest(first, FIXED[root]))
        elif root == "taskrun" and first == "value":
            self._loop_value(reader, report)
        elif root == "trigger" and isinstance(first, str) and first not in (self.trigger_fields or (first,)):
            message = f"no trigger of this flow gives `trigger.{first[:100]}`"
            report.doubt("flow.unknown_reference", message, nearest(first, self.trigger_fields or ()))

    def call(self, call: Called, reader: Reader, node: ScalarNode, path: Path) -> None:
        """Checks the name of a function, filter or test."""
        known: Iterable[str] = {
            "function": FUNCTIONS.keys() | OUTSIDE.keys(),
            "filter": FILTERS.keys(),
            "test": TESTS.keys() | {"defined"},
        }[call.kind]
        if call.name not in known:
            report = _Report(self.findings, node, path, call.line, call.guarded or not reader.sure)
            report.fault("flow.unknown_function", f"There is no {call.kind} `{call.name[:100]}`", nearest(call.name, known))

    def _unknown_root(self, root: str, reader: Reader, report: _Report) -> None:
        if root in LOOP_ROOTS:
            report.doubt("flow.unknown_reference", f"`{root}` exists only inside a Loop")
            return
        if root in TASK_ROOTS:
            message = f"`{root}` does not exist here"
            report.doubt("flow.unknown_reference", message, "there are: " + ", ".join(sorted(reader.roots)))
            return
        hint = nearest(root, reader.roots)
        message = f"`{root[:100]}` is no variable"
        if hint is not None:
            report.fault("flow.unknown_reference", message, hint)
        else:
            report.doubt("flow.unknown_reference", message)

    def _inputs(self, keys: tuple[Any, ...], report: _Report) -> None:
        name = ""
        for key in keys:
            if not isinstance(key, str):
                return
            name = f"{name}.{key}" if name else key
            if name in self.input_names:
                return
            if not any(one.startswith(name + ".") for one in self.input_names):
                message = f"`inputs.{name[:100]}` is used, but the flow has no input `{name[:100]}`"
                report.fault("flow.unknown_reference", message, nearest(name, self.input_names))
                return

    def _variables(self, keys: tuple[Any, ...], report: _Report) -> None:
        current: Any = self.variables
        name = "vars"
        for key in keys:
            if not isinstance(key, str) or not isinstance(current, Mapping):
                return
            name = f"{name}.{key}"
            if key not in current:
                message = f"`{name[:100]}` is used, but the flow has no such variable"
                report.fault("flow.unknown_reference", message, nearest(key, map(str, current)))
                return
            current = current[key]

    def _loop_value(self, reader: Reader, report: _Report) -> None:
        if reader.task is None:
            return
        line = [reader.task, *reader.task.ancestors]
        names = {one.name for one in line}
        if names & {"ForEach", "EachSequential", "EachParallel", "ForEachItem"}:
            holder = line[1] if len(line) > 1 else line[0]
            if holder.name == "WorkingDirectory" and len(line) > 2:
                holder = line[2]
            if holder.name in ("ForEach", "EachSequential", "EachParallel", "ForEachItem") or line[0].name == "ForEachItem":
                return
            message = "`taskrun.value` belongs to the tasks that stand directly in the loop"
            report.doubt("flow.unknown_reference", message, "write `parent.taskrun.value`")
            return
        if "Loop" in names:
            report.fault("flow.unknown_reference", "`taskrun.value` does not exist in a Loop", "write `item.value`")
            return
        report.fault("flow.unknown_reference", "`taskrun.value` exists only inside a loop")

    def _outputs(self, name: str, rest: tuple[Any, ...], reader: Reader, report: _Report) -> None:
        target = self.places.by_id.get(name)
        if target is None:
            if self.complete:
                message = f"`outputs.{name[:100]}` is used, but the flow has no task `{name[:100]}`"
                report.fault("flow.unknown_reference", message, nearest(name, self.places.by_id))
            return
        if not report.guarded and any(one.disabled for one in (target, *target.ancestors)):
            message = f"`outputs.{name}` is used, but the task `{name}` is disabled"
            report.fault("flow.never_ran", message, "write `?? …` for what holds without it")
            return
        order = self.places.order(reader.task, target)
        if order == "inside":
            loop = target.iteration()
            message = f"the outputs of `{name}` stay inside the iterations of `{loop.id if loop else ''}`"
            hint = f"give them as `outputs` of the Loop and read `outputs.{loop.id if loop else ''}.outputs`"
            report.fault("flow.never_ran", message, hint)
            return
        if order == "never" and not report.guarded:
            message = f"`outputs.{name}` is read before the task `{name}` can have run"
            report.fault("flow.never_ran", message, f"it stands in line {target.found.node.line}")
            return
        if order == "beside" and not report.guarded:
            message = f"`outputs.{name}` is read beside the task `{name}`, which may not have ended yet"
            report.doubt("flow.never_ran", message, "run the tasks in sequence, or let one depend on the other")
        if reader.task is None or target.iteration() in (reader.task, reader.task.iteration()):
            self._property(target, rest, report)

    def _property(self, target: Place, rest: tuple[Any, ...], report: _Report) -> None:
        """The output a task type does not have: the steps after the loop values, against the type's outputs."""
        steps = rest[target.value_levels() :]
        task_type = target.found.type
        if not steps or not isinstance(steps[0], str) or task_type is None or target.name == "TemplatedTask":
            return
        name = f"outputs.{target.id}"
        known = _own_outputs(target, task_type, self.subflow_outputs)
        current: Any = task_type.outputs
        for step in steps:
            if isinstance(current, type) and issubclass(current, BaseModel) and isinstance(step, str):
                names = set(property_names(current))
                if current.model_config.get("extra") == "allow":
                    return
                if step not in names:
                    what = "has no outputs" if current is NoOutputs else f"has no output `{step[:100]}`"
                    message = f"`{name}.{step[:100]}` is used, but {type_name(task_type)} {what}"
                    report.fault("flow.unknown_output", message, nearest(step, names) or _listing(names))
                    return
                field_ = next(one for key, one in current.model_fields.items() if (one.alias or key) == step)
                current = _model(field_.annotation)
            elif name in known and isinstance(step, str):
                if step not in known[name]:
                    message = f"`{name}.{step[:100]}` is used, but there is no `{step[:100]}` in `{name}`"
                    report.fault("flow.unknown_output", message, nearest(step, known[name]) or _listing(known[name]))
                return
            else:
                return
            name = f"{name}.{step}"


def _listing(names: Iterable[str]) -> str | None:
    return f"it has {', '.join(f'`{one}`' for one in sorted(names))}" if names else None


def _model(annotation: Any) -> Any:
    """The model of an annotation, an optional one too; None for lists, maps and plain values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        models = [one for one in typing.get_args(annotation) if one is not type(None)]
        return _model(models[0]) if len(models) == 1 else None
    return None


def _own_outputs(place: Place, task_type: type[TaskType], subflow: Mapping[str, tuple[str, ...]]) -> dict[str, set[str]]:
    """Outputs that are maps whose keys the source tells: `values` of OutputValues, `onResume` of Pause, a Subflow's `outputs`."""
    node = place.found.node
    found: dict[str, set[str]] = {}
    prefix = f"outputs.{place.id}"
    values = node.get("values")
    if place.name == "OutputValues" and isinstance(values, MapNode) and not any("{" in key for key in values.entries):
        found[f"{prefix}.values"] = set(values.entries)
    asked = node.get("onResume")
    if place.name == "Pause" and isinstance(asked, ListNode):
        ids = [one.get("id") or one.get("name") for one in asked.items if isinstance(one, MapNode)]
        found[f"{prefix}.onResume"] = {one.text.split(".")[0] for one in ids if isinstance(one, ScalarNode)}
    if "outputs" in task_type.outputs.model_fields and place.id in subflow and node.get("outputs") is None:
        found[f"{prefix}.outputs"] = set(subflow[place.id])
    return found


@dataclass(slots=True)
class _Report:
    """Where a complaint belongs. `guarded`: nothing fails there, so that everything is a warning."""

    findings: Findings
    node: ScalarNode
    path: Path
    line: int
    guarded: bool

    def fault(self, code: str, message: str, hint: str | None = None) -> None:
        """Something that surely fails."""
        note = self.findings.warn if self.guarded else self.findings.error
        note(code, message, spot(self.node, self.line), self.path, hint)

    def doubt(self, code: str, message: str, hint: str | None = None) -> None:
        """Something that probably fails."""
        self.findings.warn(code, message, spot(self.node, self.line), self.path, hint)
