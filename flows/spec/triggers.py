"""Triggers and the conditions inside them: types, and properties against their classes (triggers-and-conditions §2, §9)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from flows.plugins import Catalogue, ConditionType, Properties, TriggerType
from flows.spec import dialects, parts
from flows.spec.defaults import PluginDefaults
from flows.spec.faults import Findings, Path, as_map, checked, found_text, nearest, suggestion
from flows.spec.labels import read_labels
from flows.spec.model import Trigger
from flows.spec.source import ListNode, MapNode, Node, ScalarNode

P = TypeVar("P", bound=type[Properties])

STATES = (
    "CREATED",
    "RUNNING",
    "PAUSED",
    "RESTARTED",
    "KILLING",
    "SUCCESS",
    "WARNING",
    "FAILED",
    "KILLED",
    "CANCELLED",
    "QUEUED",
    "RETRYING",
    "RETRIED",
    "SKIPPED",
    "BREAKPOINT",
)
"""States of an execution as flows spell them."""


class TriggerReader:
    """Reads the triggers of one flow. `found` keeps every trigger and condition node with its class."""

    def __init__(self, catalogue: Catalogue, findings: Findings, defaults: PluginDefaults) -> None:
        self.catalogue = catalogue
        self.findings = findings
        self.defaults = defaults
        self.found: list[tuple[MapNode, Path, type[TriggerType] | None]] = []
        self.conditions: list[tuple[MapNode, Path, type[ConditionType] | None]] = []

    def read(self, node: Node | None, path: Path) -> tuple[Trigger, ...]:
        """The triggers of a list, disabled ones included: the flow still has them."""
        seen: dict[str, int] = {}
        triggers = []
        for entry, where in parts.entries(node, path, self.findings, "A trigger"):
            trigger = self._trigger(entry, where, seen)
            if trigger is not None:
                triggers.append(trigger)
        return tuple(triggers)

    def _trigger(self, node: MapNode, path: Path, seen: dict[str, int]) -> Trigger | None:
        findings = self.findings
        node = dialects.renamed(node, dialects.TRIGGER_NAMES)
        name, trigger_type = self._type(self.catalogue.triggers, node, path, "trigger")
        if trigger_type is not None:
            node = self.defaults.over(node, name, trigger_type)
        self.found.append((node, path, trigger_type))
        written = node.get("id")
        if isinstance(written, ScalarNode) and written.value is not None:
            parts.check_unique(written.text, seen, node, path, findings, "trigger id")
        conditions = self.read_conditions(node.get("conditions"), (*path, "conditions"))
        labels = read_labels(node.get("labels"), (*path, "labels"), findings)
        selector = parts.read_worker_selector(node, path, findings)
        shape, data = checked(trigger_type or _UnknownTrigger, node, path, findings, templates=True)
        self._states(node.get("stopAfter"), (*path, "stopAfter"))
        if trigger_type is None or shape is None:
            return None
        data["type"] = name
        return Trigger(
            id=shape.id,
            type=name,
            kind=trigger_type.kind,
            properties=data,
            disabled=shape.disabled,
            conditions=conditions,
            when=shape.when,
            labels=labels,
            inputs=shape.inputs or {},
            stop_after=tuple(shape.stop_after or ()),
            allow_concurrent=shape.allow_concurrent,
            fail_on_trigger_error=shape.fail_on_trigger_error,
            log_level=shape.log_level,
            worker_group=selector.group if selector is not None else None,
            digest=digest_of(data),
        )

    def _states(self, node: Node | None, path: Path) -> None:
        for index, item in enumerate(node.items if isinstance(node, ListNode) else []):
            if isinstance(item, ScalarNode) and item.text not in STATES:
                message = f"`{path[-1]}` takes states of executions, found {found_text(item)}"
                self.findings.error("flow.wrong_value", message, item, (*path, index), nearest(item.text, STATES))

    def read_conditions(self, node: Node | None, path: Path) -> tuple[Mapping[str, Any], ...]:
        """The conditions of a trigger, of a listener, or inside another condition; faulty ones left out with problems."""
        found = []
        for entry, where in parts.entries(node, path, self.findings, "A condition"):
            condition = self._condition(entry, where)
            if condition is not None:
                found.append(condition)
        return tuple(found)

    def _condition(self, node: MapNode, path: Path) -> Mapping[str, Any] | None:
        name, condition_type = self._type(self.catalogue.conditions, node, path, "condition")
        if condition_type is None:
            return None
        node = self.defaults.over(node, name, condition_type)
        self.conditions.append((node, path, condition_type))
        below: Any = None
        before = len(self.findings.problems)
        inner = node.get("conditions")
        if isinstance(inner, MapNode):
            # A MultipleCondition names its conditions.
            below = {}
            for key, entry in inner.entries.items():
                one = as_map(entry.value, (*path, "conditions", key), self.findings, "A condition")
                below[key] = self._condition(one, (*path, "conditions", key)) if one is not None else None
        elif isinstance(inner, ListNode):
            below = list(self.read_conditions(inner, (*path, "conditions")))
        if len(self.findings.problems) > before:
            return None
        shape, data = checked(condition_type, node, path, self.findings, templates=True)
        if shape is None:
            return None
        data["type"] = name
        if below is not None:
            data["conditions"] = below
        return data

    def _type(self, known: Mapping[str, P], node: MapNode, path: Path, what: str) -> tuple[str, P | None]:
        written = node.get("type")
        if not isinstance(written, ScalarNode) or written.value is None:
            if written is None or isinstance(written, ScalarNode):
                self.findings.error("flow.missing_property", "The property `type` is required", node, (*path, "type"))
            else:
                message = f"`type` must be a text, found {found_text(written)}"
                self.findings.error("flow.wrong_type", message, written, (*path, "type"))
            return "", None
        found = dialects.known_type(known, written.text)
        if found is not None:
            return found
        message = f"Invalid type: {written.text[:200]}; there is no such {what} type"
        self.findings.error("flow.unknown_type", message, written, (*path, "type"), suggestion(written.text, known))
        return written.text, None


class _UnknownTrigger(TriggerType):
    """Only the common properties are examined: the type is not known."""

    model_config = {"extra": "allow"}
    type: str = ""


def digest_of(properties: Mapping[str, Any]) -> str:
    """A stable fingerprint of a trigger: another one means that its state starts anew (triggers-and-conditions §3)."""
    text = json.dumps(properties, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
