"""Several runs of dlt in one script become one report; a report becomes metrics; contracts tell what changed."""

from __future__ import annotations

from typing import Any

from worker.tasks.dlt.contract import Tables, changes_between, for_dlt, held_back, on_existing_tables, resolve
from worker.tasks.dlt.report import describe_change, merge, metrics_of


def run(name: str, started: str, rows: dict[str, int], start: int, last: int) -> dict[str, Any]:
    return {
        "pipelineName": name,
        "startedAt": started,
        "state": "loaded",
        "firstRun": False,
        "steps": [{"step": "load", "seconds": 0.5}],
        "loadIds": [started],
        "rows": rows,
        "bytes": {},
        "packages": [],
        "schemaChanges": [],
        "cursors": [{"source": "s", "resource": "games", "path": "day", "startValue": start, "lastValue": last}],
        "pending": [],
        "failures": [],
    }


def test_runs_of_one_script_are_summed_and_the_cursor_spans_them() -> None:
    merged = merge([run("chess", "1", {"games": 2}, 0, 4), run("chess", "2", {"games": 3, "players": 1}, 4, 9)])
    assert merged["rows"] == {"games": 5, "players": 1}
    assert merged["loadIds"] == ["1", "2"]
    assert merged["cursors"] == [{"source": "s", "resource": "games", "path": "day", "startValue": 0, "lastValue": 9}]
    assert [one["rows"] for one in merged["runs"]] == [{"games": 2}, {"games": 3, "players": 1}]
    assert merged["startedAt"] == "1"


def test_one_run_is_itself_and_none_is_nothing() -> None:
    only = run("chess", "1", {}, 0, 1)
    assert merge([only]) == only
    assert merge([]) == {}
    assert metrics_of({}) == []


def test_metrics_name_table_and_step() -> None:
    found = metrics_of(run("chess", "1", {"games": 2}, 0, 4))
    assert found == [
        ("rows", 2.0, "counter", {"pipeline": "chess", "table": "games"}),
        ("duration", 0.5, "timer", {"pipeline": "chess", "step": "load"}),
    ]


def column(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "data_type": kind, "nullable": True, **more}


BEFORE: Tables = {"games": {"parent": None, "columns": {"day": column("day", "bigint")}}}
AFTER: Tables = {
    "games": {
        "parent": None,
        "columns": {
            "day": column("day", "double"),
            "day__v_text": column("day__v_text", "text", variant=True),
            "opening": column("opening", "text"),
            "_dlt_id": column("_dlt_id", "text"),
        },
    },
    "games__moves": {"parent": "games", "columns": {"san": column("san", "text")}},
    "players": {"parent": None, "columns": {"name": column("name", "text")}},
}


def test_a_contract_holds_back_the_kinds_of_change_it_names() -> None:
    changes = changes_between(BEFORE, AFTER)
    assert [describe_change(change) for change in changes] == [
        "column games.day changed from bigint to double",
        "column games.day also holds text (would need day__v_text)",
        "new column games.opening (text)",
        "new table games__moves (san text)",
        "new table players (name text)",
    ]
    assert held_back(changes, resolve("evolve"), "freeze") == []
    assert len(held_back(changes, resolve("freeze"), "freeze")) == 5
    modes = {**resolve("evolve"), "columns": "freeze"}
    assert [change["column"] for change in held_back(changes, modes, "freeze")] == ["opening"]


def test_a_nested_table_of_a_known_table_is_a_change_of_what_is_there_and_a_new_resource_is_not() -> None:
    touched = on_existing_tables(changes_between(BEFORE, AFTER), BEFORE)
    assert {change["table"] for change in touched} == {"games", "games__moves"}


def test_only_the_discarding_modes_are_left_to_dlt() -> None:
    assert for_dlt(resolve("freeze")) is None
    assert for_dlt({"tables": "freeze", "columns": "discard_value", "data_type": "evolve"}) == {
        "tables": "evolve",
        "columns": "discard_value",
        "data_type": "evolve",
    }
