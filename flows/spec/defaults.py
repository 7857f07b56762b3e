"""`pluginDefaults`: values merged into tasks before they are examined (flow-language §8).

The written source is never changed: the merge happens on nodes, and what a task's properties hold afterwards is what runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flows.plugins import Catalogue, TaskType
from flows.spec import dialects, shapes
from flows.spec.faults import Findings, as_list, as_map, checked, nearest, property_names
from flows.spec.source import Entry, ListNode, MapNode, Node


@dataclass(slots=True)
class _Default:
    type: str
    values: MapNode
    forced: bool


@dataclass(slots=True)
class PluginDefaults:
    """The defaults of one flow, in order of declaration: the first one wins."""

    entries: list[_Default] = field(default_factory=list)

    @classmethod
    def read(cls, node: Node | None, catalogue: Catalogue, findings: Findings) -> PluginDefaults:
        """The defaults at a node. Unknown property names are refused when the type is a known one, not for a prefix."""
        defaults = cls()
        for index, item in enumerate(as_list(node, ("pluginDefaults",), findings, "`pluginDefaults`")):
            path = ("pluginDefaults", index)
            entry = as_map(item, path, findings, "A plugin default")
            if entry is None:
                continue
            shape, _ = checked(shapes.PluginDefault, entry, path, findings, templates=True)
            values = entry.get("values")
            if shape is None or not isinstance(values, MapNode):
                continue
            known = dialects.task_type(catalogue, shape.type)
            if known is not None:
                names = property_names(known)
                for key, place in values.entries.items():
                    if key not in names and key not in dialects.TASK_NAMES and key not in known.branches:
                        findings.error(
                            "flow.unknown_property",
                            f"Unknown property `{key[:100]}` of {shape.type}",
                            place,
                            (*path, "values", key),
                            nearest(key, names),
                        )
            defaults.entries.append(_Default(shape.type, values, shape.forced))
        return defaults

    def over(self, node: MapNode, name: str, task_type: type[TaskType]) -> MapNode:
        """A task's node with the defaults of its type, and of the plug-in objects inside it, merged in."""
        if not self.entries:
            return node
        merged = self._typed(node, {name, *task_type.types}, set(property_names(task_type)) | set(task_type.branches))
        entries = {
            key: Entry(entry.line, entry.column, entry.value if key in task_type.branches else self._inside(entry.value))
            for key, entry in merged.entries.items()
        }
        return MapNode(merged.line, merged.column, entries)

    def _inside(self, node: Node) -> Node:
        if isinstance(node, ListNode):
            return ListNode(node.line, node.column, [self._inside(item) for item in node.items])
        if isinstance(node, MapNode):
            written = node.get("type")
            if written is not None and isinstance(written.plain(), str):
                node = self._typed(node, {written.plain()}, None)
            entries = {key: Entry(entry.line, entry.column, self._inside(entry.value)) for key, entry in node.entries.items()}
            return MapNode(node.line, node.column, entries)
        return node

    def _typed(self, node: MapNode, types: set[str], known: set[str] | None) -> MapNode:
        for default in self.entries:
            if not any(name.startswith(default.type) for name in types):
                continue
            values = default.values
            if known is not None:
                entries = {key: entry for key, entry in values.entries.items() if key in known}
                values = MapNode(values.line, values.column, entries)
            node = _merged(values, node) if default.forced else _merged(node, values)
        return node


def _merged(strong: MapNode, weak: MapNode) -> MapNode:
    """Both maps; scalars of the strong one win, maps are merged, lists are joined (default first)."""
    entries = dict(strong.entries)
    for key, entry in weak.entries.items():
        present = entries.get(key)
        if present is None:
            entries[key] = entry
        elif isinstance(present.value, MapNode) and isinstance(entry.value, MapNode):
            entries[key] = Entry(present.line, present.column, _merged(present.value, entry.value))
        elif isinstance(present.value, ListNode) and isinstance(entry.value, ListNode):
            joined = ListNode(present.value.line, present.value.column, [*entry.value.items, *present.value.items])
            entries[key] = Entry(present.line, present.column, joined)
    return MapNode(strong.line, strong.column, entries)
