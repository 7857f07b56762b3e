"""The declarative dlt task against a real API on loopback, real files, real DuckDB and SQLite databases."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.integration.data.conftest import Api
from tests.support.task_context import LocalContext, task
from worker.errors import TaskFailed
from worker.tasks.dlt import Pipeline

QUICK = {"RUNTIME__REQUEST_MAX_ATTEMPTS": "1"}


def rest(api: Api, **properties: Any) -> Pipeline:
    source = {
        "type": "rest_api",
        "config": {
            "client": {"base_url": api.url},
            "resources": [
                {
                    "name": "games",
                    "primary_key": "id",
                    "write_disposition": "append",
                    "endpoint": {"path": "games", "incremental": {"cursor_path": "day", "initial_value": 0}},
                }
            ],
        },
    }
    given = {
        "pipelineName": "chess",
        "dataset": "chess",
        "source": source,
        "destination": {"type": "duckdb", "path": "warehouse.duckdb"},
    }
    return task(Pipeline, **{**given, "env": QUICK, **properties})


def rows(context: LocalContext, sql: str) -> list[Any]:
    with duckdb.connect(str(context.data_dir / "warehouse.duckdb"), read_only=True) as database:
        return database.execute(sql).fetchall()


def test_a_run_tells_rows_loads_cursors_schema_and_steps(api: Api, context: LocalContext) -> None:
    api.games(1, 2, 3)
    report = rest(api).run(context)
    assert report["rows"] == {"games": 3}
    assert report["state"] == "loaded" and report["firstRun"] is True
    assert report["destination"] == "duckdb" and report["dataset"] == "chess"
    assert rows(context, "select load_id, status from chess._dlt_loads") == [(report["loadIds"][0], 0)]
    assert [change["change"] for change in report["schemaChanges"]] == ["new_table"]
    assert {column["name"] for column in report["schemaChanges"][0]["columns"]} == {"id", "day", "rating"}
    assert report["cursors"][0] | {"startValue": None} == {
        "source": "chess",
        "resource": "games",
        "path": "day",
        "initialValue": 0,
        "startValue": None,
        "lastValue": 3,
    }
    assert [step["step"] for step in report["steps"]] == ["extract", "normalize", "load"]
    assert report["pending"] == [] and report["failures"] == []
    assert ("rows", 3.0, "counter", {"pipeline": "chess", "table": "games"}) in context.metrics
    assert {tags.get("step") for name, _, _, tags in context.metrics if name == "duration"} == {"extract", "normalize", "load"}
    assert {said["step"] for said in context.progressed} >= {"extract", "normalize", "load"}
    assert not list((context.state_dir / "dlt").glob("*.json")), "a finished run leaves nothing to resume"


def test_a_second_run_on_a_clean_machine_loads_only_what_is_new(api: Api, context: LocalContext) -> None:
    api.games(1, 2, 3)
    rest(api).run(context)
    second = rest(api).run(context.fresh())
    assert second["rows"].get("games", 0) == 0
    assert second["firstRun"] is False and second["schemaChanges"] == []
    api.games(1, 2, 3, 4)
    third = rest(api).run(context.fresh().fresh())
    assert third["rows"] == {"games": 1}
    assert third["cursors"][0]["lastValue"] == 4
    assert rows(context, "select count(*) from chess.games") == [(4,)]


def test_freeze_fails_before_anything_is_loaded_and_names_the_whole_difference(api: Api, context: LocalContext) -> None:
    api.games(1)
    rest(api, schemaContract="freeze").run(context)
    before = (context.data_dir / "warehouse.duckdb").read_bytes()
    api.games(2, opening="Sicilian", moves=[{"san": "e4"}])
    with pytest.raises(TaskFailed) as refused:
        rest(api, schemaContract="freeze").run(context.fresh())
    assert refused.value.code == "dlt.schema_frozen"
    for named in ("games.opening (text)", "new table games__moves", "san text"):
        assert named in str(refused.value)
    assert (context.data_dir / "warehouse.duckdb").read_bytes() == before
    assert refused.value.outputs is not None and refused.value.outputs["pending"] == []
    # The data that was refused is not lost: once the contract allows it, it is read again.
    assert rest(api, schemaContract="evolve").run(context.fresh().fresh())["rows"]["games"] == 1


def test_freeze_refuses_another_type_in_a_known_column(api: Api, context: LocalContext) -> None:
    api.games(1)
    rest(api).run(context)
    api.answers["games"] = [{"id": "g2", "day": 2, "rating": "unrated"}]
    with pytest.raises(TaskFailed, match=r"games\.rating also holds text"):
        rest(api, schemaContract={"dataType": "freeze"}).run(context.fresh())


def test_alert_loads_warns_and_tells_the_change(api: Api, context: LocalContext) -> None:
    api.games(1)
    rest(api, schemaContract="alert").run(context)
    assert context.warnings == [], "the first load has nothing to differ from"
    api.games(2, opening="Sicilian")
    later = context.fresh()
    report = rest(api, schemaContract="alert").run(later)
    assert report["rows"] == {"games": 1}
    change = {"table": "games", "change": "new_column", "column": "opening", "dataType": "text", "nullable": True}
    assert report["schemaChanges"] == [change] == report["alerts"]
    assert "games.opening (text)" in later.warnings[0]


def test_a_missing_page_ends_with_a_sentence_to_act_on_and_no_table(api: Api, context: LocalContext) -> None:
    with pytest.raises(TaskFailed) as failed:
        rest(api).run(context)
    assert failed.value.code == "dlt.extract_failed"
    assert f"GET {api.url}games answered 404" in str(failed.value) and "Check base URL" in str(failed.value)
    assert failed.value.outputs is not None and failed.value.outputs["failures"][0]["step"] == "extract"
    assert rows(context, "select * from information_schema.tables") == []


def test_no_connection_names_the_address(api: Api, context: LocalContext) -> None:
    api.server.server_close()
    with pytest.raises(TaskFailed, match=f"no connection to {api.url}games"):
        rest(api).run(context)


def test_a_load_that_failed_is_resumed_by_the_next_attempt_without_reading_the_source_again(
    api: Api, context: LocalContext
) -> None:
    api.games(1, 2)
    (context.data_dir / "warehouse.duckdb").parent.mkdir(exist_ok=True)
    with duckdb.connect(str(context.data_dir / "warehouse.duckdb")) as database:
        # A view where the table should be: creating it fails, as a missing right would.
        database.execute("create schema chess; create view chess.games as select 1 as other")
    with pytest.raises(TaskFailed) as failed:
        rest(api).run(context)
    assert failed.value.code == "dlt.load_failed"
    assert failed.value.outputs is not None and len(failed.value.outputs["pending"]) == 1
    asked = len(api.asked)
    with duckdb.connect(str(context.data_dir / "warehouse.duckdb")) as database:
        database.execute("drop view chess.games")
    report = rest(api).run(context.again())
    assert len(api.asked) == asked
    assert report["rows"] == {"games": 2} and report["resumed"] is True
    assert rows(context, "select count(*) from chess.games") == [(2,)]


def test_a_locked_duckdb_file_is_named(api: Api, context: LocalContext) -> None:
    import subprocess
    import sys

    file = context.data_dir / "warehouse.duckdb"
    hold = f"import duckdb,sys; c=duckdb.connect({str(file)!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(TaskFailed) as failed:
            rest(api, destination={"type": "duckdb", "path": "warehouse.duckdb", "lockTimeout": "PT0.2S"}).run(context)
        holder.communicate(b"")
    assert failed.value.code == "duckdb.locked"
    assert str(file) in str(failed.value) and str(holder.pid) in str(failed.value)


def test_a_function_of_a_namespace_file_is_a_source_and_finds_its_siblings(context: LocalContext) -> None:
    folder = context.root / "namespace" / "dlt"
    folder.mkdir(parents=True)
    (folder / "chess_facts.py").write_text("FACTS = [{'player': 'Anderssen', 'year': 1851}]\n")
    (folder / "games-1851.py").write_text(
        "import dlt\nfrom chess_facts import FACTS\n\n"
        "def games(since):\n    return (row for row in FACTS if row['year'] >= since)\n"
    )
    source = {"type": "function", "file": "dlt/games-1851.py", "function": "games", "arguments": {"since": 1800}}
    run = task(
        Pipeline,
        pipelineName="old",
        dataset="old",
        namespaceFiles={"enabled": True},
        source=source,
        destination={"type": "duckdb", "path": "warehouse.duckdb"},
    )
    assert run.run(context)["rows"] == {"games": 1}
    assert rows(context, "select player, year from old.games") == [("Anderssen", 1851)]


def test_an_error_in_the_source_function_names_its_line(context: LocalContext) -> None:
    (context.workdir / "broken.py").write_text("def games():\n    yield {'a': 1}\n    raise ValueError('no more games')\n")
    source = {"type": "function", "file": "broken.py", "function": "games"}
    run = task(
        Pipeline, pipelineName="old", dataset="old", source=source, destination={"type": "duckdb", "path": "warehouse.duckdb"}
    )
    with pytest.raises(TaskFailed, match=r"ValueError at broken\.py line 3: no more games") as failed:
        run.run(context)
    assert failed.value.code == "dlt.extract_failed"


@pytest.mark.parametrize(
    ("format", "name", "content"), [("csv", "a.csv", "id,n\n1,2.5\n2,3\n"), ("jsonl", "a.jsonl", '{"id":1}\n{"id":2}\n')]
)
def test_files_are_a_source(context: LocalContext, tmp_path: Path, format: str, name: str, content: str) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / name).write_text(content)
    source = {
        "type": "filesystem",
        "bucketUrl": str(tmp_path / "incoming"),
        "fileGlob": f"*.{format}",
        "format": format,
        "table": "lines",
    }
    run = task(
        Pipeline, pipelineName="files", dataset="files", source=source, destination={"type": "duckdb", "path": "warehouse.duckdb"}
    )
    assert run.run(context)["rows"] == {"lines": 2}
    assert run.run(context.fresh())["rows"] == {}, "a file that has not changed is not read again"


def test_a_sql_database_is_a_source_with_a_cursor(context: LocalContext, tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as shop:
        shop.execute("create table orders (id integer primary key, total real)")
        shop.executemany("insert into orders values (?, ?)", [(1, 9.5), (2, 11)])
    source = {"type": "sql_database", "url": f"sqlite:///{path}", "tables": [{"name": "orders", "cursor": "id"}]}
    run = task(
        Pipeline, pipelineName="shop", dataset="shop", source=source, destination={"type": "duckdb", "path": "warehouse.duckdb"}
    )
    assert run.run(context)["rows"] == {"orders": 2}
    with sqlite3.connect(path) as shop:
        shop.execute("insert into orders values (3, 1)")
    assert run.run(context.fresh())["rows"] == {"orders": 1}


def test_a_file_named_like_the_dataset_is_refused_before_duckdb_stumbles_over_it(api: Api, context: LocalContext) -> None:
    with pytest.raises(TaskFailed, match="same name") as failed:
        rest(api, destination={"type": "duckdb", "path": "chess.duckdb"}).run(context)
    assert failed.value.code == "dlt.destination_invalid"


def test_an_unknown_resource_is_named_with_those_there_are(api: Api, context: LocalContext) -> None:
    with pytest.raises(TaskFailed, match=r"no resource players\. It has: games") as failed:
        rest(api, resources=["players"]).run(context)
    assert failed.value.code == "dlt.source_invalid"


def test_a_configuration_that_is_no_rest_api_is_refused_with_the_reason(api: Api, context: LocalContext) -> None:
    with pytest.raises(TaskFailed, match="resources") as failed:
        rest(api, source={"type": "rest_api", "config": {"client": {"base_url": api.url}}}).run(context)
    assert failed.value.code == "dlt.source_invalid"
