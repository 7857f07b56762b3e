"""Our own OpenAPI document: built from the views, written to a file for the console's generated client.

python -m controlplane.openapi > controlplane/console/openapi.json
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controlplane.openapi.components import SCHEMAS, ref
from controlplane.openapi.triggers import TRIGGER_SCHEMAS

_PATH_NAMES = {
    "execution_id": "executionId",
    "flow_id": "id",
    "task_id": "taskId",
    "task_run_id": "taskRunId",
    "token_id": "tokenId",
    "trigger_id": "triggerId",
}
"""Path parameters under the names the contract gives them."""


def only_canonical(endpoints: Sequence[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """Leaves out the spellings of older clients: without tenant, without `/actions/`, `/login` beside `/api/v1/login`."""
    kept = []
    for path, regex, method, callback in endpoints:
        parts = path.strip("/").split("/")
        if parts[:2] != ["api", "v1"] or "(?=" in regex:  # the look-ahead marks addresses without tenant
            continue
        if getattr(callback, "initkwargs", {}).get("legacy"):
            continue
        kept.append((path, regex, method, callback))
    return kept


def add_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Adds our schemas, the error body of every operation, and the contract's names of path parameters."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(SCHEMAS)
    schemas.update(TRIGGER_SCHEMAS)
    fault = {"description": "What went wrong, and what to do.", "content": {"application/json": {"schema": ref("Fault")}}}
    result["paths"] = {_renamed(path): operations for path, operations in result.get("paths", {}).items()}
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("default", fault)
            if "security" in operation:  # one of them is enough
                operation["security"] = [{name: []} for names in operation["security"] for name in names]
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["name"] = _PATH_NAMES.get(parameter["name"], parameter["name"])
    return result


def _renamed(path: str) -> str:
    for ours, theirs in _PATH_NAMES.items():
        path = path.replace(f"{{{ours}}}", f"{{{theirs}}}")
    return path


def document() -> dict[str, Any]:
    """The whole document. Django must be set up."""
    from drf_spectacular.generators import SchemaGenerator

    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]
    built: dict[str, Any] = generator.get_schema(request=None, public=True)
    return built
