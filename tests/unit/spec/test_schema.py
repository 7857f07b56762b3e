"""The schema for editors is made of the same shapes that examine a flow."""

from __future__ import annotations

import json
from typing import Any

from flows.spec.schema import flow_schema
from tests.unit.spec.kinds import CATALOGUE


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    return [found for item in node for found in _references(item)] if isinstance(node, list) else []


def test_every_reference_is_defined_and_the_schema_is_json() -> None:
    schema = json.loads(json.dumps(flow_schema(CATALOGUE)))
    missing = {name for name in _references(schema) if name.removeprefix("#/$defs/") not in schema["$defs"]}
    assert missing == set()


def test_every_type_and_its_old_names_are_known() -> None:
    schema = flow_schema(CATALOGUE)
    known = schema["$defs"]["Task"]["properties"]["type"]["enum"]
    assert "io.kestra.plugin.core.log.Log" in known
    assert "io.kestra.core.tasks.flows.Sequential" in known
    log = schema["$defs"]["io.kestra.plugin.core.log.Log"]
    assert log["additionalProperties"] is False
    assert "message" in log["required"]


def test_unknown_properties_are_refused_at_the_top_and_tasks_nest() -> None:
    schema = flow_schema(CATALOGUE)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["id", "namespace", "tasks"]
    branch = schema["$defs"]["io.kestra.plugin.core.flow.If"]["properties"]["then"]
    assert branch["items"] == {"$ref": "#/$defs/Task"}
