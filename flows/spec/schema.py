"""JSON Schema of a flow, made from the same shapes and plug-in classes that examine one. For editors and the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from flows.plugins import Catalogue, ConditionType, Properties, TaskType, TriggerType
from flows.spec import dialects, shapes

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS = "#/$defs/{model}"

PluginClass = type[TaskType] | type[TriggerType] | type[ConditionType]


def flow_schema(catalogue: Catalogue) -> dict[str, Any]:
    """The schema of a whole flow document; plug-ins are told apart by `type`, every identifier of a class included."""
    small: list[type[Properties]] = [
        shapes.FlowDocument,
        shapes.Output,
        shapes.Concurrency,
        shapes.Sla,
        shapes.Check,
        shapes.PluginDefault,
        shapes.Quota,
        shapes.DagTask,
        shapes.TaskCache,
        shapes.WorkerGroup,
        shapes.WorkerSelector,
        shapes.Listener,
        *shapes.RETRIES.values(),
        shapes.Input,
        *dict.fromkeys(shapes.INPUTS.values()),
    ]
    _, definitions = models_json_schema([(model, "validation") for model in small], by_alias=True, ref_template=DEFINITIONS)
    found: dict[str, Any] = dict(definitions.get("$defs", {}))
    document = found.pop("FlowDocument")
    properties = document["properties"]
    tasks = _list(_reference("Task"))
    for name in ("tasks", "errors", "finally", "afterExecution"):
        properties[name] = {"minItems": 1, **tasks} if name == "tasks" else tasks
    properties["inputs"] = _list(_reference("FlowInput"))
    for name, definition in (
        ("outputs", "Output"),
        ("triggers", "Trigger"),
        ("sla", "Sla"),
        ("checks", "Check"),
        ("quotas", "Quota"),
        ("pluginDefaults", "PluginDefault"),
        ("listeners", "Listener"),
    ):
        properties[name] = _list(_reference(definition))
    properties["concurrency"] = _reference("Concurrency")
    properties["retry"] = _reference("Retry")
    properties["labels"] = found["Sla"]["properties"]["labels"] = _LABELS
    _old_names(document, dialects.FLOW_NAMES)
    _old_names(found["Check"], dialects.CHECK_NAMES)
    for model in shapes.RETRIES.values():
        _old_names(found[model.__name__], dialects.RETRY_NAMES)
    input_models: set[type[Properties]] = {shapes.Input, *shapes.INPUTS.values()}
    for input_model in input_models:
        _old_names(found[input_model.__name__], dialects.INPUT_NAMES)
    found["FormInput"]["properties"]["inputs"] = _list(_reference("FlowInput"))
    found["Listener"]["properties"]["tasks"] = tasks
    found["DagTask"]["properties"]["task"] = _reference("Task")
    found["FlowInput"] = _inputs()
    found["Retry"] = {"oneOf": [_reference(model.__name__) for model in shapes.RETRIES.values()]}
    for title, register in (("Task", catalogue.entries), ("Trigger", catalogue.triggers), ("Condition", catalogue.conditions)):
        classes: list[PluginClass] = list(dict.fromkeys(register.values()))
        for plugin in classes:
            found |= _plugin(plugin)
        found[title] = _by_type(classes, with_id=title != "Condition")
    return {
        "$schema": DIALECT,
        "title": "Flow",
        **document,
        "required": ["id", "namespace", "tasks"],
        "$defs": dict(sorted(found.items())),
    }


_LABELS = {
    "anyOf": [
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
        {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["key", "value"],
                "properties": {"key": {"type": "string"}, "value": {"type": ["string", "number", "boolean"]}},
                "additionalProperties": False,
            },
        },
    ]
}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def _old_names(schema: dict[str, Any], names: Mapping[str, str]) -> None:
    """Old spellings of properties are as good as the present ones."""
    properties = schema["properties"]
    for old, new in names.items():
        if new in properties:
            properties[old] = {**properties[new], "deprecated": True}
            if new in schema.get("required", ()):
                schema["required"] = [name for name in schema["required"] if name != new]
                schema.setdefault("allOf", []).append({"anyOf": [{"required": [new]}, {"required": [old]}]})


def _inputs() -> dict[str, Any]:
    rules = [
        {"if": {"properties": {"type": {"const": name}}}, "then": _reference(shapes.INPUTS.get(name, shapes.Input).__name__)}
        for name in shapes.DATA_TYPES
    ]
    types = {"type": "string", "enum": list(shapes.DATA_TYPES)}
    return {"type": "object", "required": ["type"], "properties": {"type": types}, "allOf": rules}


def _names(plugin: PluginClass) -> list[str]:
    """Every identifier a class answers to, older spellings included."""
    return list(dict.fromkeys((*plugin.types, *(old for name in plugin.types for old in dialects.old_types(name)))))


def _by_type(classes: Iterable[PluginClass], *, with_id: bool) -> dict[str, Any]:
    classes = list(classes)
    names = sorted({name for one in classes for name in _names(one)})
    properties: dict[str, Any] = {"type": {"type": "string", "enum": names}}
    if with_id:
        properties["id"] = {"type": "string", "pattern": shapes.TASK_ID}
    return {
        "type": "object",
        "required": sorted(properties),
        "properties": properties,
        "allOf": [
            {"if": {"properties": {"type": {"enum": _names(one)}}}, "then": _reference(one.types[0])}
            for one in classes
            if one.types
        ],
    }


_PARTS = {
    "retry": _reference("Retry"),
    "workerGroup": _reference("WorkerGroup"),
    "workerSelector": _reference("WorkerSelector"),
    "taskCache": _reference("TaskCache"),
}


def _plugin(plugin: PluginClass) -> dict[str, Any]:
    """The definitions a plug-in type needs, its own under its first identifier. Expressions stand for dynamic properties."""
    schema = TypeAdapter(plugin).json_schema(by_alias=True, ref_template=DEFINITIONS)
    definitions: dict[str, Any] = schema.pop("$defs", {})
    properties = schema["properties"]
    literal = {"id", "type"} | (_PARTS.keys() & properties.keys())
    properties |= {name: part for name, part in _PARTS.items() if name in properties}
    properties["type"] = {"type": "string", "enum": _names(plugin)}
    if issubclass(plugin, TaskType):
        literal |= set(plugin.branches)
        for branch in plugin.branches:
            properties[branch] = _branch(plugin, branch, properties.get(branch, {}))
        if plugin.kind == "executable" and "outputs" not in properties:
            # A Loop's are typed values of each iteration; a Subflow's are a map.
            literal.add("outputs")
            properties["outputs"] = {"anyOf": [_list(_reference("Output")), {"type": "object"}]}
        if "onResume" in properties:
            literal.add("onResume")
            properties["onResume"] = _list(_reference("FlowInput"))
    elif "conditions" in properties:
        literal.add("conditions")
        named = "additionalProperties" in properties["conditions"]
        condition = _reference("Condition")
        properties["conditions"] = {"type": "object", "additionalProperties": condition} if named else _list(condition)
    if issubclass(plugin, TriggerType):
        literal.add("labels")
        properties["labels"] = _LABELS
    _allow_expressions(properties, literal)
    names = dialects.TRIGGER_NAMES if issubclass(plugin, TriggerType) else dialects.TASK_NAMES
    if not issubclass(plugin, ConditionType):
        _old_names(schema, names)
    if plugin.title:
        schema["title"] = plugin.title
    return {**definitions, plugin.types[0]: schema}


def _branch(plugin: type[TaskType], name: str, present: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a property that holds tasks: a list, one task (`onPause`), or lists by case (`cases` of a Switch)."""
    kept = {key: present[key] for key in ("title", "description", "minItems") if key in present}
    tasks = _list(_reference("Task"))
    if name == "tasks" and any(one.endswith(".Dag") for one in plugin.types):
        tasks = _list(_reference("DagTask"))
    elif name == "cases":
        return {**kept, "type": "object", "additionalProperties": tasks}
    elif name == "onPause":
        return {**kept, **_reference("Task")}
    return {**kept, **tasks}


_EXPRESSION = {"type": "string", "pattern": r"\{\{|\{%"}


def _allow_expressions(properties: dict[str, Any], literal: set[str]) -> None:
    for name, schema in properties.items():
        if name in literal or schema.get("type") == "string" or not schema.keys() - {"title", "description", "default"}:
            continue
        kept = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in kept}
        properties[name] = {**kept, "anyOf": [rest, _EXPRESSION]}
