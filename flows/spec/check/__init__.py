"""The static check: everything about a flow that can be told before it runs. One function for API, command line and editor.

    for problem in check_flow(source, catalogue, known):
        show(problem)

It finds what `parse_flow` finds, and beyond: names that do not exist where they are read, outputs a task does not have, calls
that cannot work, branches that never run. Errors surely refuse or fail an execution; everything else is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.errors import ExpressionError
from flows.plugins import Catalogue, NoOutputs
from flows.spec.calls import starts_executions
from flows.spec.check.calls import check_calls, check_given
from flows.spec.check.known import Known, KnownFlow, KnownFlows, NothingKnown
from flows.spec.check.mentions import mentions
from flows.spec.check.outside import NAMESPACE_FILE, check_file, check_outside
from flows.spec.check.places import Place, Places
from flows.spec.check.reach import check_reach
from flows.spec.check.references import LOOP_ROOTS, ROOTS, TASK_ROOTS, TRIGGER_ROOTS, Reader, References
from flows.spec.defaults import OuterDefaults
from flows.spec.faults import Findings, Path
from flows.spec.parse import Reading, read_flow
from flows.spec.problems import Problem, in_order
from flows.spec.source import ListNode, MapNode, Node, ScalarNode
from flows.spec.tasks import child_nodes
from flows.spec.templates import input_parts, task_properties, templates, texts, trigger_properties

__all__ = ["Known", "KnownFlow", "KnownFlows", "NothingKnown", "check_flow", "check_reading"]

_SUBFLOW_TRIGGER = frozenset({"executionId", "namespace", "flowId", "flowRevision", "_context"})
"""What `trigger` holds in an execution that a Subflow started."""


def check_flow(source: str, catalogue: Catalogue, known: Known | None = None, defaults: OuterDefaults = ()) -> list[Problem]:
    """All problems of a source, in order of their place. Never raises on what a user wrote. `known`: the world around it."""
    return check_reading(read_flow(source, catalogue, defaults), known)


def check_reading(reading: Reading, known: Known | None = None) -> list[Problem]:
    """The same for a source that has been read already."""
    if reading.root is None or reading.tasks is None or reading.triggers is None:
        return list(reading.parsed.problems)
    findings = Findings(reading.findings.problems)
    _Check(reading, known if known is not None else NothingKnown(), findings).run()
    return list(in_order(findings.problems))


class _Check:
    def __init__(self, reading: Reading, known: Known, findings: Findings) -> None:
        assert reading.root is not None
        assert reading.tasks is not None
        assert reading.triggers is not None
        self.root: MapNode = reading.root
        self.tasks = reading.tasks
        self.triggers = reading.triggers
        self.inputs = reading.inputs
        self.known = known
        self.findings = findings
        self.namespace = _text(self.root, "namespace")
        self.own = (self.namespace, _text(self.root, "id"))
        self.places = Places.of(self.tasks.found)

    def run(self) -> None:
        """Looks at everything, and notes what it finds."""
        generated = {place.found.path for place in self.places.all if place.generated}
        written = [one for one in self.tasks.found if one.path not in generated]
        subflow_outputs = check_calls(self.own, written, self.known, self.findings)
        self.references = References(
            self.places,
            self.inputs,
            self._input_names(),
            self._variables(),
            self._trigger_fields(),
            self.findings,
            complete=not any(one.type is None and child_nodes(one.node, None) for one in self.tasks.found),
            subflow_outputs=subflow_outputs,
        )
        for place in self.places.all:
            if not place.generated:
                self._task(place)
        for index, item in enumerate(_items(self.root.get("outputs"))):
            optional = isinstance(item, MapNode) and _plain(item, "required") is False
            self._value(item, ("outputs", index), Reader(ROOTS, sure=not optional))
        self._value(self.root.get("sla"), ("sla",), Reader(ROOTS, sure=False))
        self._value(self.root.get("checks"), ("checks",), Reader(ROOTS - {"outputs", "tasks"}))
        self._declared_inputs()
        self._starts()
        check_reach(self.places, self.inputs, self.findings)

    def _task(self, place: Place) -> None:
        loop = place.iteration() is not None or place.name == "Loop"
        roots = TASK_ROOTS | LOOP_ROOTS if loop else TASK_ROOTS
        for key, node, path in task_properties(place.found):
            if key == "outputs" and starts_executions(place.found):
                reader = Reader(roots, place, outputs=False, inputs=False)
            elif key == "onResume":
                reader = Reader(roots, place, inputs=False)
            else:
                reader = Reader(roots, place)
            self._value(node, path, reader)

    def _value(self, node: Node | None, path: Path, reader: Reader) -> None:
        if node is None:
            return
        for scalar, where in templates(node, path):
            try:
                found = mentions(scalar.text)
            except ExpressionError:
                continue  # Noted when the flow was read.
            for mention in found.paths:
                self.references.mention(mention, reader, scalar, where)
            for call in found.calls:
                self.references.call(call, reader, scalar, where)
                check_outside(call, self.namespace, self.known, scalar, where, self.findings)
        for scalar, where in texts(node, path):
            if scalar.text.startswith(NAMESPACE_FILE) and "{" not in scalar.text:
                check_file(scalar.text, self.namespace, self.known, scalar, 1, where, self.findings)

    def _declared_inputs(self) -> None:
        """Templates of inputs see the inputs before them and those they depend on."""
        order = {one.id: index for index, one in enumerate(self.inputs)}
        for entry, _, node, path in input_parts(self.root.get("inputs"), ("inputs",)):
            self._value(node, path, Reader(ROOTS - {"outputs", "tasks", "trigger", "schedule"}))
            own = _text(entry, "id") or _text(entry, "name")
            needs = entry.get("dependsOn")
            listed = needs.get("inputs") if isinstance(needs, MapNode) else None
            given = {str(one) for one in listed.plain()} if isinstance(listed, ListNode) else set()
            for scalar, where in templates(node, path):
                for name in self._later_inputs(scalar, own, order, given):
                    message = f"`inputs.{name}` is read by the input `{own}` before it has a value"
                    self.findings.error("flow.never_ran", message, scalar, where, f"name `{name}` in `dependsOn.inputs`")

    def _later_inputs(self, scalar: ScalarNode, own: str, order: Mapping[str, int], given: set[str]) -> list[str]:
        if own not in order:
            return []
        try:
            paths = mentions(scalar.text).paths
        except ExpressionError:
            return []
        names = [str(path.keys[1]) for path in paths if path.keys[0] == "inputs" and len(path.keys) > 1 and not path.guarded]
        return [name for name in dict.fromkeys(names) if order.get(name, -1) >= order[own] and name not in given]

    def _starts(self) -> None:
        """Triggers: what their templates name, and whether the inputs they give are those of the flow."""
        for node, path, trigger_type in self.triggers.found:
            for _, part, where in trigger_properties(node, path, trigger_type):
                self._value(part, where, Reader(TRIGGER_ROOTS, outputs=False, inputs=False, sure=False))
            if trigger_type is None:
                continue
            given = node.get("inputs")
            if trigger_type.kind == "schedule" and (given is None or isinstance(given, MapNode)):
                check_given(given, self.inputs, node, path, ".".join(self.own), self.findings)
            if trigger_type.kind == "flow" and not {"conditions", "preconditions", "dependsOn", "when"} & node.entries.keys():
                message = "This trigger fires for every execution of every other flow"
                self.findings.warn("flow.unconditional_trigger", message, node, path, "give it `preconditions`, or `dependsOn`")

    def _input_names(self) -> frozenset[str]:
        names = {one.id for one in self.inputs}
        for item in _items(self.root.get("inputs")):
            if isinstance(item, MapNode):
                name = _text(item, "id") or _text(item, "name")
                inside = item.get("inputs")
                if name and inside is None:
                    names.add(name)
        return frozenset(names)

    def _variables(self) -> Mapping[str, Any] | None:
        written = self.root.get("variables")
        found: dict[str, Any] = dict(written.plain()) if isinstance(written, MapNode) else {}
        for place in self.places.all:
            if place.name == "SetVariables":
                added = place.found.node.get("variables")
                if not isinstance(added, MapNode) or any("{" in key for key in added.entries):
                    return None
                # What they hold is known only at run time.
                found |= dict.fromkeys(added.entries)
        return found

    def _trigger_fields(self) -> frozenset[str] | None:
        fields: set[str] = set()
        if not self.triggers.found:
            return None
        for _, _, trigger_type in self.triggers.found:
            if (
                trigger_type is None
                or trigger_type.outputs is NoOutputs
                or trigger_type.outputs.model_config.get("extra") == "allow"
            ):
                return None
            fields |= {field.alias or name for name, field in trigger_type.outputs.model_fields.items()}
        return frozenset(fields | _SUBFLOW_TRIGGER)


def _items(node: Node | None) -> list[Node]:
    return node.items if isinstance(node, ListNode) else []


def _plain(node: MapNode, key: str) -> Any:
    found = node.get(key)
    return found.plain() if found is not None else None


def _text(node: MapNode, key: str) -> str:
    found = node.get(key)
    return found.text if isinstance(found, ScalarNode) and found.value is not None else ""
