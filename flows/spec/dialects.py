"""Old spellings → the present ones. Both are accepted for ever (flow-language §15); nothing else knows the old names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from flows.plugins import Catalogue, Properties, TaskType
from flows.spec.source import Entry, MapNode

FLOW_NAMES = {"taskDefaults": "pluginDefaults"}
INPUT_NAMES = {"name": "id"}
RETRY_NAMES = {"maxAttempt": "maxAttempts"}
TASK_NAMES = {"minLogLevel": "logLevel"}
TRIGGER_NAMES = {"minLogLevel": "logLevel", "scheduleConditions": "conditions"}
CHECK_NAMES = {"condition": "when"}

OLD_TYPE_PREFIXES: tuple[tuple[str, str], ...] = (
    ("io.kestra.core.tasks.flows.", "io.kestra.plugin.core.flow."),
    ("io.kestra.core.tasks.debugs.", "io.kestra.plugin.core.debug."),
    ("io.kestra.core.tasks.executions.", "io.kestra.plugin.core.execution."),
    ("io.kestra.core.tasks.log.", "io.kestra.plugin.core.log."),
    ("io.kestra.core.tasks.states.", "io.kestra.plugin.core.state."),
    ("io.kestra.core.tasks.storages.", "io.kestra.plugin.core.storage."),
    ("io.kestra.core.tasks.trigger.", "io.kestra.plugin.core.trigger."),
    ("io.kestra.core.tasks.", "io.kestra.plugin.core."),
    ("io.kestra.core.models.triggers.types.", "io.kestra.plugin.core.trigger."),
    ("io.kestra.core.models.conditions.types.", "io.kestra.plugin.core.condition."),
    ("io.kestra.core.runners.", "io.kestra.plugin.core.runner."),
    ("io.kestra.plugin.fs.http.", "io.kestra.plugin.core.http."),
)

OLD_TYPES = {
    "io.kestra.core.tasks.scripts.Bash": "io.kestra.plugin.scripts.shell.Commands",
    "io.kestra.core.tasks.scripts.Python": "io.kestra.plugin.scripts.python.Commands",
    "io.kestra.core.tasks.flows.EachSequential": "io.kestra.plugin.core.flow.EachSequential",
    "io.kestra.core.tasks.flows.Flow": "io.kestra.plugin.core.flow.Subflow",
    "io.kestra.plugin.core.flow.WaitFor": "io.kestra.plugin.core.flow.LoopUntil",
}


def renamed(node: MapNode, names: dict[str, str]) -> MapNode:
    """The map with old property names replaced; a present name that stands beside its old one wins."""
    if not any(old in node.entries for old in names):
        return node
    entries: dict[str, Entry] = {}
    for key, entry in node.entries.items():
        new = names.get(key, key)
        if new == key or new not in node.entries:
            entries[new] = entry
    return MapNode(node.line, node.column, entries)


def present_types(name: str) -> tuple[str, ...]:
    """The identifiers a type name may stand for, the written one first."""
    found = [name]
    if name in OLD_TYPES:
        found.append(OLD_TYPES[name])
    for old, new in OLD_TYPE_PREFIXES:
        if name.startswith(old):
            found.append(new + name.removeprefix(old))
            break
    found += [OLD_TYPES[one] for one in found[1:] if one in OLD_TYPES]
    # Condition classes lost their suffix when they moved.
    found += [one.removesuffix("Condition") for one in found if ".condition" in one and one.endswith("Condition")]
    return tuple(dict.fromkeys(found))


def old_types(name: str) -> tuple[str, ...]:
    """The older identifiers that stand for a present one: what `present_types` undoes."""
    found = [old for old, new in OLD_TYPES.items() if new == name]
    found += [old + name.removeprefix(new) for old, new in OLD_TYPE_PREFIXES if name.startswith(new)]
    if ".condition." in name:
        found += [f"{one}Condition" for one in (name, *found) if not one.endswith("Condition")]
    return tuple(one for one in dict.fromkeys(found) if name in present_types(one))


P = TypeVar("P", bound=type[Properties])


def known_type(entries: Mapping[str, P], name: str) -> tuple[str, P] | None:
    """The present name and the class that a written type name stands for, old names included."""
    for candidate in present_types(name):
        found = entries.get(candidate)
        if found is not None:
            return candidate, found
    return None


def task_type(catalogue: Catalogue, name: str) -> type[TaskType] | None:
    """The class of a task type name, old names included."""
    found = known_type(catalogue.entries, name)
    return found[1] if found is not None else None
