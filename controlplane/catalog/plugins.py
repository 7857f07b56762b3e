"""Task types as editors and documentation see them."""

from __future__ import annotations

import inspect
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from wire.plugins import discover

from controlplane.accounts.views import InstanceView
from controlplane.openapi.components import ANY_OBJECT
from controlplane.platform.errors import Missing
from controlplane.platform.rendering import json_response
from flows.plugins import TaskType

_TAGS = ["Plugins"]
_OBJECT = {(200, "application/json"): ANY_OBJECT}


def _cached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "public, max-age=3600"
    return response


class SchemaView(InstanceView):
    """JSON Schemas for editors."""

    @extend_schema(operation_id="getSchema", tags=_TAGS, responses=_OBJECT)
    def get(self, request: Request, kind: str) -> HttpResponse:
        """`flow` or `task`."""
        from flows.spec.schema import flow_schema, task_schema

        known = {"flow": flow_schema, "task": task_schema}
        if kind.lower() not in known:
            raise Missing(f"there is no schema of {kind!r}; there are {', '.join(known)}", code="schema.missing")
        return _cached(json_response(known[kind.lower()](discover())))


class PluginView(InstanceView):
    """One task type."""

    @extend_schema(operation_id="getPlugin", tags=_TAGS, responses=_OBJECT)
    def get(self, request: Request, cls: str) -> HttpResponse:
        """Documentation and the schemas of properties and outputs."""
        found = discover().get(cls)
        if found is None:
            raise Missing(f"no task type {cls!r} is installed", code="plugin.missing")
        return _cached(json_response({"markdown": markdown(found), "schema": schema(found)}))


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
