"""JSON Schema of a flow, made from the same shapes and task classes that examine one. For editors and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from flows.plugins import Catalogue, Properties, TaskType
from flows.spec import shapes

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS = "#/$defs/{model}"


def flow_schema(catalogue: Catalogue) -> dict[str, Any]:
    """The schema of a whole flow document; tasks are told apart by `type`, every identifier of a class included."""
    small: list[type[Properties]] = [
        shapes.FlowDocument,
        shapes.Output,
        shapes.Trigger,
        shapes.Concurrency,
        shapes.Sla,
        shapes.Check,
        shapes.PluginDefault,
        shapes.Quota,
        *shapes.RETRIES.values(),
        shapes.Input,
        *dict.fromkeys(shapes.INPUTS.values()),
    ]
    _, definitions = models_json_schema([(model, "validation") for model in small], by_alias=True, ref_template=DEFINITIONS)
    found: dict[str, Any] = dict(definitions.get("$defs", {}))
    document = found.pop("FlowDocument")
    for task_type in catalogue:
        found |= _task(task_type)
    properties = document["properties"]
    tasks = {"type": "array", "items": {"$ref": "#/$defs/Task"}}
    for name in ("tasks", "errors", "finally", "afterExecution"):
        properties[name] = {"minItems": 1, **tasks} if name == "tasks" else tasks
    properties["inputs"] = _list(_inputs())
    properties["outputs"] = _list({"$ref": "#/$defs/Output"})
    properties["triggers"] = _list({"$ref": "#/$defs/Trigger"})
    properties["sla"] = _list({"$ref": "#/$defs/Sla"})
    properties["checks"] = _list({"$ref": "#/$defs/Check"})
    properties["quotas"] = _list({"$ref": "#/$defs/Quota"})
    properties["pluginDefaults"] = _list({"$ref": "#/$defs/PluginDefault"})
    properties["concurrency"] = {"$ref": "#/$defs/Concurrency"}
    properties["retry"] = {"$ref": "#/$defs/Retry"}
    properties["labels"] = _LABELS
    found["Retry"] = {"oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in shapes.RETRIES.values()]}
    found["Task"] = {
        "type": "object",
        "required": ["id", "type"],
        "properties": {
            "id": {"type": "string", "pattern": shapes.TASK_ID},
            "type": {"type": "string", "enum": sorted(catalogue.entries)},
        },
        "allOf": [
            {"if": {"properties": {"type": {"enum": list(one.types)}}}, "then": {"$ref": f"#/$defs/{one.types[0]}"}}
            for one in catalogue
            if one.types
        ],
    }
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


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def _inputs() -> dict[str, Any]:
    rules = [
        {"if": {"properties": {"type": {"const": name}}}, "then": {"$ref": f"#/$defs/{model.__name__}"}}
        for name, model in shapes.INPUTS.items()
    ]
    return {"type": "object", "required": ["id", "type"], "allOf": rules}


def _task(task_type: type[TaskType]) -> dict[str, Any]:
    """The definitions a task type needs, its own under its first identifier. Expressions are accepted for dynamic properties."""
    schema = TypeAdapter(task_type).json_schema(by_alias=True, ref_template=DEFINITIONS)
    definitions: dict[str, Any] = schema.pop("$defs", {})
    for branch in task_type.branches:
        present = schema["properties"].get(branch)
        if present is not None:
            schema["properties"][branch] = {**present, "items": {"$ref": "#/$defs/Task"}}
    schema["properties"]["type"] = {"type": "string", "enum": list(task_type.types)}
    schema["properties"]["retry"] = {"$ref": "#/$defs/Retry"}
    _allow_expressions(schema["properties"], set(task_type.branches) | {"id", "type", "retry"})
    if task_type.title:
        schema["title"] = task_type.title
    return {**definitions, task_type.types[0]: schema}


_EXPRESSION = {"type": "string", "pattern": r"\{\{|\{%"}


def _allow_expressions(properties: dict[str, Any], literal: set[str]) -> None:
    for name, schema in properties.items():
        if name in literal or schema.get("type") == "string" or not schema.keys() - {"title", "description", "default"}:
            continue
        kept = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in kept}
        properties[name] = {**kept, "anyOf": [rest, _EXPRESSION]}
