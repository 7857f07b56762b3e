"""Task types as editors and documentation see them."""

from __future__ import annotations

import inspect
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.views import InstanceView
from controlplane.openapi.components import ANY_OBJECT
from controlplane.platform.errors import Missing
from controlplane.platform.identifiers import FLOW, NAMESPACE
from controlplane.platform.rendering import json_response
from flows.plugins import Catalogue, TaskType
from wire.plugins import discover

_TAGS = ["Plugins"]
_DRAFT = "http://json-schema.org/draft-07/schema#"
_OBJECT = {(200, "application/json"): ANY_OBJECT}


def _cached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "public, max-age=3600"
    return response


class SchemaView(InstanceView):
    """JSON Schemas for editors."""

    @extend_schema(operation_id="getSchema", tags=_TAGS, responses=_OBJECT)
    def get(self, request: Request, kind: str) -> HttpResponse:
        """`flow` or `task`."""
        if kind.lower() == "task":
            return _cached(json_response(task_schema(discover())))
        if kind.lower() == "flow":
            return _cached(json_response(flow_schema(discover())))
        raise Missing(f"there is no schema of {kind!r}; there are flow and task", code="schema.missing")


class PluginView(InstanceView):
    """One task type."""

    @extend_schema(operation_id="getPlugin", tags=_TAGS, responses=_OBJECT)
    def get(self, request: Request, cls: str) -> HttpResponse:
        """Documentation and the schemas of properties and outputs."""
        found = discover().get(cls)
        if found is None:
            raise Missing(f"no task type {cls!r} is installed", code="plugin.missing")
        return _cached(json_response({"markdown": markdown(found), "schema": schema(found)}))


def task_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Any task: one definition a type, told apart by the value of `type`. Self-contained, as editors need it."""
    definitions: dict[str, Any] = {}
    for task_type in catalogue:
        described = task_type.model_json_schema(by_alias=True, ref_template="#/definitions/{model}")
        definitions.update(described.pop("$defs", {}))
        described["properties"]["type"] = {"enum": list(task_type.types)}
        definitions[task_type.types[0]] = described
    choices = [{"$ref": f"#/definitions/{task_type.types[0]}"} for task_type in catalogue]
    return {"$schema": _DRAFT, "title": "Task", "anyOf": choices, "definitions": definitions}


def flow_schema(catalogue: Catalogue) -> dict[str, Any]:
    """A flow, with its tasks described to the last property; what is not a task is described by its kind only."""
    task = task_schema(catalogue)
    definitions = {**task["definitions"], "Task": {"anyOf": task["anyOf"]}}
    tasks = {"type": "array", "items": {"$ref": "#/definitions/Task"}}
    objects = {"type": "array", "items": {"type": "object"}}
    properties: dict[str, Any] = {
        "id": {"type": "string", "pattern": f"^{FLOW.pattern}$"},
        "namespace": {"type": "string", "pattern": f"^{NAMESPACE.pattern}$"},
        "description": {"type": "string"},
        "disabled": {"type": "boolean"},
        "labels": {"type": ["object", "array"]},
        "variables": {"type": "object"},
        "inputs": objects,
        "outputs": objects,
        "triggers": objects,
        "tasks": tasks,
        "errors": tasks,
        "finally": tasks,
        "afterExecution": tasks,
        "retry": {"type": "object"},
        "concurrency": {"type": "object"},
        "pluginDefaults": {"type": ["array", "object"]},
    }
    return {
        "$schema": _DRAFT,
        "title": "Flow",
        "type": "object",
        "required": ["id", "namespace", "tasks"],
        "properties": properties,
        "definitions": definitions,
    }


def schema(task_type: type[TaskType]) -> dict[str, Any]:
    """Properties and outputs of a type."""
    properties = task_type.model_json_schema(by_alias=True)
    outputs = task_type.outputs.model_json_schema(by_alias=True)
    return {
        "properties": properties,
        "outputs": outputs,
        "definitions": {**properties.get("$defs", {}), **outputs.get("$defs", {})},
    }


def markdown(task_type: type[TaskType]) -> str:
    """Title, description, examples."""
    parts = [f"# {task_type.title or task_type.__name__}", inspect.getdoc(task_type) or ""]
    parts += [f"```yaml\n{inspect.cleandoc(example)}\n```" for example in task_type.examples]
    return "\n\n".join(part for part in parts if part)
