"""Plugin defaults: values merged into tasks, triggers and plug-in objects before they are examined (flow-language §8).

Three levels, innermost first: the flow's `pluginDefaults`, the namespaces' (nearest first), the installation's. The written
source is never changed: the merge happens on nodes, and what a task's properties hold afterwards is what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.plugins import Catalogue, ConditionType, TaskType, TriggerType
from flows.spec import dialects, parts
from flows.spec.faults import Findings, Path, checked_names, found_text, nearest, property_names
from flows.spec.source import Entry, ListNode, MapNode, Node, ScalarNode, located

PluginClass = type[TaskType] | type[TriggerType] | type[ConditionType]

OuterDefaults = Sequence[Sequence[Mapping[str, Any]]]
"""Defaults from outside the flow, as plain data `{type, values, forced}`: one list a level, the nearest namespace first."""

_NAMES = ("type", "values", "forced")


@dataclass(slots=True)
class _Default:
    """`node`: the values where a source holds them; `plain`: the values of an outer level, which has no place in the source."""

    types: tuple[str, ...]
    forced: bool
    level: int
    node: MapNode | None = None
    plain: Mapping[str, Any] | None = None

    def covers(self, names: Iterable[str]) -> bool:
        """Whether a plug-in with one of these names gets the values: equal, or the default's type is a prefix."""
        return any(name.startswith(self.types) for name in names)

    def values(self, at: MapNode) -> MapNode:
        """The values as nodes, those from outside placed where they are merged in."""
        if self.node is not None:
            return self.node
        node = located(self.plain or {}, at.line, at.column)
        assert isinstance(node, MapNode)
        return node


@dataclass(slots=True)
class PluginDefaults:
    """The defaults that hold for one flow. `weak`: the first wins; `forced`: in order of application, the last wins."""

    weak: list[_Default] = field(default_factory=list)
    forced: list[_Default] = field(default_factory=list)

    @classmethod
    def read(cls, node: Node | None, catalogue: Catalogue, findings: Findings, outer: OuterDefaults = ()) -> PluginDefaults:
        """The defaults at a node, and those from outside. Unknown names are refused when the type is a known one, no prefix."""
        found: list[_Default] = []
        path: Path = ("pluginDefaults",)
        for entry, where in parts.entries(node, path, findings, "A plugin default"):
            default = _read(entry, where, catalogue, findings)
            if default is not None:
                found.append(default)
        for level, entries in enumerate(outer, start=1):
            for one in entries:
                written, values = one.get("type"), one.get("values")
                if isinstance(written, str) and written and isinstance(values, Mapping):
                    types = dialects.present_types(written)
                    found.append(_Default(types, bool(one.get("forced")), level, plain=values))
        weak = [one for one in found if not one.forced]
        forced = sorted((one for one in reversed(found) if one.forced), key=lambda one: one.level)
        return cls(weak, forced)

    def over(self, node: MapNode, name: str, plugin: PluginClass) -> MapNode:
        """A plug-in's node with the defaults of its type, and of the plug-in objects inside it, merged in."""
        if not self.weak and not self.forced:
            return node
        branches: tuple[str, ...] = plugin.branches if issubclass(plugin, TaskType) else ()
        known: set[str] | None = {*property_names(plugin), *branches}
        if plugin.model_config.get("extra") == "allow":
            known = None
        # Conditions and child tasks are merged when they are read themselves.
        apart = {*branches, "conditions"} if not issubclass(plugin, TaskType) else set(branches)
        merged = self._typed(node, {name, *plugin.types}, known)
        entries = {
            key: entry if key in apart else Entry(entry.line, entry.column, self._inside(entry.value), entry.implied)
            for key, entry in merged.entries.items()
        }
        return MapNode(merged.line, merged.column, entries)

    def _inside(self, node: Node) -> Node:
        if isinstance(node, ListNode):
            return ListNode(node.line, node.column, [self._inside(item) for item in node.items])
        if isinstance(node, MapNode):
            written = node.get("type")
            if isinstance(written, ScalarNode) and isinstance(written.value, str) and "." in written.text:
                node = self._typed(node, dialects.present_types(written.text), None)
            entries = {
                key: Entry(entry.line, entry.column, self._inside(entry.value), entry.implied)
                for key, entry in node.entries.items()
            }
            return MapNode(node.line, node.column, entries)
        return node

    def _typed(self, node: MapNode, names: Iterable[str], known: set[str] | None) -> MapNode:
        names = tuple(names)
        for default in self.weak:
            if default.covers(names):
                node = _merged(node, _values(default, node, known), own_wins=True)
        for default in self.forced:
            if default.covers(names):
                node = _merged(node, _values(default, node, known), own_wins=False)
        return node


def _read(entry: MapNode, path: Path, catalogue: Catalogue, findings: Findings) -> _Default | None:
    checked_names(entry, _NAMES, path, findings)
    written, values, forced = (entry.get(name) for name in _NAMES)
    complaint = "Invalid Plugin Default: "
    if not isinstance(written, ScalarNode) or not isinstance(written.value, str):
        findings.error("flow.plugin_default", f"{complaint}No 'type' provided", written or entry, (*path, "type"))
        return None
    if parts.absent(values) or not isinstance(values, MapNode):
        message = (
            f"{complaint}No 'values' provided"
            if parts.absent(values)
            else f"`values` must be a map, found {found_text(values or entry)}"
        )
        findings.error("flow.plugin_default", message, values or entry, (*path, "values"))
        return None
    if forced is not None and not (isinstance(forced, ScalarNode) and isinstance(forced.value, (bool, type(None)))):
        message = f"`forced` must be true or false, found {found_text(forced)}"
        findings.error("flow.wrong_type", message, forced, (*path, "forced"))
    known = None
    for register in (catalogue.entries, catalogue.triggers, catalogue.conditions):
        found = dialects.known_type(register, written.text)
        known = known or (found[1] if found is not None else None)
    names = None if known is None or known.model_config.get("extra") == "allow" else _all_names(known)
    for key, place in values.entries.items():
        if parts.absent(place.value):
            message = f"{complaint}No value provided for key '{key[:100]}'"
            findings.error("flow.plugin_default", message, place, (*path, "values", key))
        elif names is not None and key not in names:
            message = f"Unknown property `{key[:100]}` of {written.text}"
            findings.error("flow.unknown_property", message, place, (*path, "values", key), nearest(key, names))
    return _Default(dialects.present_types(written.text), bool(forced and forced.plain()), 0, node=values)


def _all_names(plugin: Any) -> set[str]:
    old = {**dialects.TASK_NAMES, **dialects.TRIGGER_NAMES}
    return {*property_names(plugin), *(plugin.branches if issubclass(plugin, TaskType) else ()), *old}


def _values(default: _Default, node: MapNode, known: set[str] | None) -> MapNode:
    values = dialects.renamed(default.values(node), dialects.TASK_NAMES)
    entries = {key: _implied(entry) for key, entry in values.entries.items() if known is None or key in known}
    return MapNode(values.line, values.column, entries)


def _implied(entry: Entry) -> Entry:
    """An entry marked as not written in the plug-in itself: unknown ones are dropped there, not refused."""
    value = entry.value
    if isinstance(value, MapNode):
        value = MapNode(value.line, value.column, {key: _implied(one) for key, one in value.entries.items()})
    return Entry(entry.line, entry.column, value, implied=True)


def _merged(own: MapNode, default: MapNode, *, own_wins: bool) -> MapNode:
    """Both maps: maps are merged, lists are joined (default first), of two scalars the stronger stays."""
    entries = dict(own.entries)
    for key, entry in default.entries.items():
        present = entries.get(key)
        if present is None:
            entries[key] = entry
        elif isinstance(present.value, MapNode) and isinstance(entry.value, MapNode):
            inner = _merged(present.value, entry.value, own_wins=own_wins)
            entries[key] = Entry(present.line, present.column, inner, present.implied)
        elif isinstance(present.value, ListNode) and isinstance(entry.value, ListNode):
            joined = ListNode(present.value.line, present.value.column, [*entry.value.items, *present.value.items])
            entries[key] = Entry(present.line, present.column, joined, present.implied)
        elif not own_wins:
            entries[key] = entry
    return MapNode(own.line, own.column, entries)
