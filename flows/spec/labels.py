"""Labels: a map, or a list of `{key, value}`; values become texts (flow-language §3)."""

from __future__ import annotations

from flows.spec.faults import Findings, Path, as_map, found_text
from flows.spec.source import ListNode, MapNode, Node, ScalarNode

SYSTEM_PREFIX = "system."
WRITABLE_SYSTEM_LABELS = frozenset({"system.readOnly"})


def read_labels(node: Node | None, path: Path, findings: Findings) -> dict[str, str]:
    """The labels as texts. Empty keys and null values are dropped; of two equal keys the later one wins."""
    labels: dict[str, str] = {}
    if node is None or (isinstance(node, ScalarNode) and node.value is None):
        return labels
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            _label(key, entry.value, (*path, key), labels, findings)
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            entry_map = as_map(item, (*path, index), findings, "A label")
            if entry_map is None:
                continue
            for unknown in entry_map.entries.keys() - {"key", "value"}:
                place = entry_map.entries[unknown]
                findings.error(
                    "flow.unknown_property",
                    f"Unknown property `{unknown}` of a label",
                    place,
                    (*path, index, unknown),
                    "labels have key and value",
                )
            key_node, value = entry_map.get("key"), entry_map.get("value")
            if isinstance(key_node, ScalarNode) and value is not None:
                _label(key_node.text, value, (*path, index), labels, findings)
            else:
                findings.error("flow.missing_property", "A label needs `key` and `value`", entry_map, (*path, index))
    else:
        findings.error(
            "flow.wrong_type", f"`labels` must be a map or a list of key and value, found {found_text(node)}", node, path
        )
    return labels


def _label(key: str, node: Node, path: Path, labels: dict[str, str], findings: Findings) -> None:
    if not isinstance(node, ScalarNode):
        findings.error(
            "flow.wrong_type", f"The label `{key}` must be a text, a number or a boolean, found {found_text(node)}", node, path
        )
        return
    if not key or node.value is None:
        return
    if key.startswith(SYSTEM_PREFIX) and key not in WRITABLE_SYSTEM_LABELS:
        message = f"System labels can only be set by the platform itself, offending label: {key}={node.text}"
        findings.error("flow.system_label", message, node, path)
        return
    labels[key] = ("true" if node.value else "false") if isinstance(node.value, bool) else node.text
