"""The JSON Schema that editors use accepts every good flow and refuses what the shapes refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from flows.spec.schema import flow_schema
from flows.spec.source import read_source
from tests.conformance.flows.corpus import ALL, source
from wire.plugins import discover


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = flow_schema(discover())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_schema_accepts(validator: Any, path: Path) -> None:
    root = read_source(source(path)).root
    assert root is not None
    errors = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(root.plain())]
    assert errors == []


@pytest.mark.parametrize(
    "change",
    [
        {"nosuch": 1},
        {"tasks": []},
        {"tasks": [{"id": "a", "type": "no.Such"}]},
        {"tasks": [{"id": "a", "type": "io.kestra.plugin.core.log.Log"}]},
        {"tasks": [{"id": "a", "type": "io.kestra.plugin.core.log.Log", "message": "x", "mesage": "y"}]},
        {"triggers": [{"id": "t", "type": "io.kestra.plugin.core.trigger.Schedule"}]},
        {
            "triggers": [
                {"id": "t", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "x", "conditions": [{"type": "no"}]}
            ]
        },
        {"inputs": [{"id": "a", "type": "NUMBER"}]},
        {"inputs": [{"id": "a", "type": "FORM", "inputs": [{"type": "INT"}]}]},
        {"concurrency": {"limit": 0}},
    ],
    ids=str,
)
def test_schema_refuses(validator: Any, change: dict[str, Any]) -> None:
    flow = yaml.safe_load("{id: f, namespace: a, tasks: [{id: a, type: io.kestra.plugin.core.log.Log, message: x}]}")
    assert validator.is_valid(flow)
    assert not validator.is_valid({**flow, **change})
