"""Schema contracts: what may change, compared between the stored schema and the one the new data asks for.

dlt's own `freeze` stops at the first surprise. Here the data is extracted and normalised under free rules, the two schemas
are compared, and the whole difference is known before the first byte goes to the destination.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties
from worker.tasks.dlt.insight import new_column, new_table

Mode = Literal["evolve", "alert", "freeze", "discard_row", "discard_value"]
Kind = Literal["tables", "columns", "data_type"]
Tables = dict[str, dict[str, Any]]
"""Tables that hold data, by name: dlt's table schemas."""

_KIND_OF_CHANGE: Mapping[str, Kind] = {
    "new_table": "tables",
    "new_column": "columns",
    "new_variant": "data_type",
    "changed_type": "data_type",
}


class SchemaContract(Properties):
    """A contract per kind of change. The two `discard` modes are dlt's: rows or values that do not fit are left out."""

    tables: Dynamic[Mode] = "evolve"
    columns: Dynamic[Mode] = "evolve"
    data_type: Dynamic[Mode] = Field(default="evolve", description="Values that do not fit the type of their column.")


def resolve(contract: str | SchemaContract | None) -> dict[Kind, str]:
    """The mode per kind of change; a single word holds for all three."""
    if isinstance(contract, SchemaContract):
        return {"tables": contract.tables, "columns": contract.columns, "data_type": contract.data_type}
    word = contract or "evolve"
    return {"tables": word, "columns": word, "data_type": word}


def for_dlt(modes: Mapping[Kind, str]) -> dict[str, str] | None:
    """What dlt has to enforce itself: only the discarding modes. None when there are none."""
    wanted = {kind: mode if mode.startswith("discard") else "evolve" for kind, mode in modes.items()}
    return {str(kind): mode for kind, mode in wanted.items()} if any(mode != "evolve" for mode in wanted.values()) else None


def tables_with_data(pipeline: Any) -> Tables:
    """The tables of all schemas of a pipeline that hold data, copied."""
    found: Tables = {}
    for name in pipeline.schema_names:
        for table in pipeline.schemas[name].data_tables(seen_data_only=True):
            found[table["name"]] = {
                "parent": table.get("parent"),
                "columns": {key: dict(column) for key, column in table["columns"].items() if column.get("data_type")},
            }
    return found


def changes_between(before: Tables, after: Tables) -> list[dict[str, Any]]:
    """The difference as schema changes (see `insight.schema_changes`), with `changed_type` besides."""
    found: list[dict[str, Any]] = []
    for name, table in sorted(after.items()):
        known = before.get(name)
        if known is None:
            found.append(new_table(name, table["columns"], table["parent"]))
            continue
        for key, column in table["columns"].items():
            if key.startswith("_dlt_"):
                continue
            was = known["columns"].get(key)
            if was is None:
                found.append(new_column(name, column))
            elif was["data_type"] != column["data_type"]:
                found.append({**new_column(name, column), "change": "changed_type", "was": was["data_type"]})
    return found


def held_back(changes: list[dict[str, Any]], modes: Mapping[Kind, str], mode: str) -> list[dict[str, Any]]:
    """The changes that fall under `mode` (freeze or alert)."""
    return [change for change in changes if modes[_KIND_OF_CHANGE[change["change"]]] == mode]


def on_existing_tables(changes: list[dict[str, Any]], before: Tables) -> list[dict[str, Any]]:
    """The changes that touch what is already there: columns of tables, and nested tables of tables, that held data before."""
    return [change for change in changes if change["change"] != "new_table" or _root_known(change, changes, before)]


def _root_known(change: dict[str, Any], changes: list[dict[str, Any]], before: Tables) -> bool:
    fresh = {other["table"]: other for other in changes if other["change"] == "new_table"}
    parent = change.get("parent")
    while parent in fresh:
        parent = fresh[parent].get("parent")
    return parent is not None and parent in before
