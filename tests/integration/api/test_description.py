"""What the interface says of itself is true: the OpenAPI document, schemas of tasks, answers that fit their descriptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controlplane.openapi import document
from controlplane.openapi.components import SCHEMAS
from tests.integration.api.client import FLOW, Api

ROOT = Path(__file__).parents[3]


def faults(schema: dict[str, Any], value: Any, place: str) -> list[str]:
    """Where a value does not fit one of our schemas. Knows the words they use, and no others."""
    if "$ref" in schema:
        return faults(SCHEMAS[schema["$ref"].rpartition("/")[2]], value, place)
    if "allOf" in schema:
        merged: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
        for part in schema["allOf"]:
            described = SCHEMAS[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
            merged["properties"] |= described["properties"]
            merged["required"] += described.get("required", [])
        return faults(merged, value, place)
    kinds: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "object": dict,
        "array": list,
    }
    kind = schema.get("type")
    if kind and not isinstance(value, kinds[kind]):
        return [f"{place}: {value!r} is no {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{place}: {value!r} is not among {schema['enum']}"]
    found = []
    if kind == "object" and "properties" in schema:
        found += [f"{place}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            if item is None:
                found.append(f"{place}.{name} is null")
            elif name in schema["properties"]:
                found += faults(schema["properties"][name], item, f"{place}.{name}")
            elif not schema.get("additionalProperties"):
                found.append(f"{place}.{name} is not described")
    if kind == "array":
        for index, item in enumerate(value):
            found += faults(schema["items"], item, f"{place}[{index}]")
    return found


def fits(name: str, value: Any) -> None:
    assert faults(SCHEMAS[name], value, name) == []


@pytest.mark.usefixtures("engine")
def test_answers_fit_their_descriptions(api: Api) -> None:
    from tests.integration.api.test_executions import settled

    fits("Flow", api.create(FLOW))
    fits("FlowPage", api("GET", "/api/v1/main/flows/search"))
    fits("FlowValidation", api("POST", "/api/v1/main/flows/validate", "id: x")[0])
    created = api("POST", "/api/v1/main/executions/acme.data/hello")
    fits("Execution", created)
    fits("Execution", settled(api, created["id"]))
    fits("ExecutionPage", api("GET", "/api/v1/main/executions/search"))
    fits("Me", api("GET", "/api/v1/me"))
    fits("SetupState", api("GET", "/api/v1/setup"))
    fits("Configuration", api("GET", "/api/v1/configs"))
    fits("CreatedApiToken", api("POST", "/api/v1/me/api-tokens", {"name": "x", "maxAge": "PT1H"}))
    fits("ApiTokenList", api("GET", "/api/v1/me/api-tokens"))
    fits("LogPage", api("GET", "/api/v1/main/logs/search"))
    fits("Fault", api("GET", "/api/v1/main/flows/a/b", expect=404))
    fits("Fault", api("POST", "/api/v1/main/flows", "id: x", expect=422))


def test_the_written_document_is_the_present_one(api: Api) -> None:
    written = json.loads((ROOT / "controlplane/console/openapi.json").read_text(encoding="utf-8"))
    present = json.loads(json.dumps(document()))
    assert written == present, "run `python -m controlplane.openapi > controlplane/console/openapi.json`"
    assert api("GET", "/api/v1/openapi.json") == present


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for path in document()["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_every_task_type_is_described(api: Api) -> None:
    from wire.plugins import discover

    schema = api("GET", "/api/v1/plugins/schemas/flow")
    assert schema["required"] == ["id", "namespace", "tasks"]
    text = json.dumps(schema)
    for reference in {piece.split('"')[0] for piece in text.split('"$ref": "')[1:]}:
        assert reference.removeprefix("#/definitions/") in schema["definitions"], reference
    for task_type in discover():
        body = api("GET", f"/api/v1/plugins/{task_type.types[0]}")
        assert body["markdown"].startswith("# ")
        assert "id" in body["schema"]["properties"]["properties"]
    api("GET", "/api/v1/plugins/io.nothing.Here", expect=404)
    api("GET", "/api/v1/plugins/schemas/nothing", expect=404)
