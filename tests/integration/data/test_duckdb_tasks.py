"""The DuckDB tasks on real databases. The first test is the customer's snippet, byte for byte."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.support.task_context import LocalContext, task
from worker.errors import TaskFailed
from worker.tasks.duckdb import Queries, Query

S2 = """\
  - id: query
    type: io.kestra.plugin.jdbc.duckdb.Query
    fetchType: STORE
    inputFiles:
      products.json: "{{ outputs.transform.outputFiles['products.json'] }}"
    sql: |
      INSTALL json;
      LOAD json;
      SELECT brand, ROUND(AVG(price), 2) AS avg_price
      FROM read_json_auto('{{ workingDir }}/products.json')
      GROUP BY brand
      ORDER BY avg_price DESC;
"""


def stored(context: LocalContext, uri: str) -> list[Any]:
    return [json.loads(line) for line in context.stored(uri).read_text().splitlines()]


def test_the_seed_snippet_runs_as_written(context: LocalContext) -> None:
    products = [{"brand": "a", "price": 1.006}, {"brand": "b", "price": 5}, {"brand": "a", "price": 2}]
    (context.storage / "products.json").write_text(json.dumps(products))
    written = yaml.safe_load(S2)[0]
    Query.model_validate(written)  # as the control plane reads it, templates unrendered
    written["inputFiles"]["products.json"] = "kestra:///company/team/flow/executions/1/tasks/transform/2/products.json"
    written["sql"] = written["sql"].replace("{{ workingDir }}", str(context.workdir))
    outputs = Query.model_validate(written, context={"rendered": True}).run(context)
    assert outputs["size"] == 2 and outputs["uri"].endswith("/rows.ion")
    assert stored(context, outputs["uri"]) == [{"brand": "b", "avg_price": 5.0}, {"brand": "a", "avg_price": 1.5}]
    assert ("fetch.size", 2, "counter", {}) in context.metrics


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"fetchType": "NONE"}, {}),
        ({"fetchType": "FETCH"}, {"rows": [{"n": 0}, {"n": 1}], "size": 2}),
        ({"fetchType": "FETCH_ONE"}, {"row": {"n": 0}, "size": 1}),
        ({"fetchOne": True, "fetchType": "STORE"}, {"row": {"n": 0}, "size": 1}),
        ({"fetchType": "FETCH_ONE", "sql": "select 1 where false;"}, {"row": None, "size": 0}),
        ({"fetchType": "FETCH", "sql": "create table t (a int)"}, {}),
    ],
)
def test_fetch_types(context: LocalContext, properties: dict[str, Any], expected: dict[str, Any]) -> None:
    assert task(Query, **{"sql": "select range n from range(2)", **properties}).run(context) == expected


def test_query_refuses_two_results_and_names_the_other_task(context: LocalContext) -> None:
    with pytest.raises(TaskFailed, match="Use the Queries task") as failed:
        task(Query, sql="select 1; select 2").run(context)
    assert failed.value.code == "duckdb.single_statement"


def test_cells_keep_what_json_can_hold_and_tell_the_rest_as_text(context: LocalContext) -> None:
    sql = """select 170141183460469231731687303715884105727::hugeint big, 3::hugeint small, 1.25::decimal(10,2) price,
      date '2024-02-29' d,
      time '10:00:01.5' t, timestamptz '2024-01-01 10:00:00+02' tz, interval '1 day 2 hours' i,
      '4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::uuid u,
      [1, 2] l, {'a': date '2024-01-01'} s, '{"k": [1]}'::json j, 'hi'::blob b, null n"""
    row = task(Query, sql=sql, fetchType="FETCH_ONE").run(context)["row"]
    assert row == {
        "big": "170141183460469231731687303715884105727",
        "small": 3,
        "price": 1.25,
        "d": "2024-02-29",
        "t": "10:00:01.500000",
        "tz": "2024-01-01T08:00:00Z",
        "i": "P1DT2H",
        "u": "4ac7a9e9-607c-4c8a-84f3-843f0191e3fd",
        "l": [1, 2],
        "s": {"a": "2024-01-01"},
        "j": {"k": [1]},
        "b": "aGk=",
        "n": None,
    }


def test_parameters_bind_values_and_leave_strings_casts_and_slices_alone(context: LocalContext) -> None:
    sql = "select :name as n, '10:30 :name' as s, '7'::int as c, [1,2,3][1:2] as l, :missing as m -- :name"
    row = task(Query, sql=sql, fetchType="FETCH_ONE", parameters={"name": "O'Kelly; drop table x"}).run(context)["row"]
    assert row == {"n": "O'Kelly; drop table x", "s": "10:30 :name", "c": 7, "l": [1, 2], "m": None}


def test_queries_give_one_entry_per_result_and_roll_back_as_a_whole(context: LocalContext, tmp_path: Path) -> None:
    url = f"jdbc:duckdb:{tmp_path}/shop.duckdb"
    sql = """create table t (a int); insert into t values (1), (2); select * from t;
      insert into t values (3) returning a; select count(*) n from t"""
    outputs = task(Queries, url=url, sql=sql, fetchType="FETCH").run(context)
    assert [entry["rows"] for entry in outputs["outputs"]] == [[{"a": 1}, {"a": 2}], [{"a": 3}], [{"n": 3}]]
    with pytest.raises(TaskFailed, match="Statement 2 of 2 failed") as failed:
        task(Queries, url=url, sql="delete from t; select * from nothing").run(context)
    assert failed.value.code == "duckdb.query_failed"
    assert task(Query, url=url, sql="select count(*) n from t", fetchType="FETCH_ONE").run(context)["row"] == {"n": 3}
    with pytest.raises(TaskFailed):
        task(Queries, url=url, sql="delete from t; select * from nothing", transaction=False).run(context)
    assert task(Query, url=url, sql="select count(*) n from t", fetchType="FETCH_ONE").run(context)["row"] == {"n": 0}


def test_after_sql_shares_the_transaction_of_the_statement(context: LocalContext, tmp_path: Path) -> None:
    url = f"jdbc:duckdb:{tmp_path}/shop.duckdb"
    task(Query, url=url, sql="create table inbox as select 1 a").run(context)
    taken = task(Query, url=url, sql="select * from inbox", afterSQL="delete from inbox", fetchType="FETCH").run(context)
    assert taken["rows"] == [{"a": 1}]
    task(Query, url=url, sql="insert into inbox values (2)").run(context)
    with pytest.raises(TaskFailed):
        task(Query, url=url, sql="delete from inbox", afterSQL="select * from nothing").run(context)
    assert task(Query, url=url, sql="select * from inbox", fetchType="FETCH_ONE").run(context)["row"] == {"a": 2}


def test_files_and_the_database_itself_go_in_and_out(context: LocalContext) -> None:
    first = task(
        Query,
        sql="create table t as from read_csv('in/data.csv'); copy t to 'out.parquet'",
        inputFiles={"in/data.csv": "a\n1\n2\n"},
        outputFiles=["out.parquet"],
        outputDbFile=True,
    ).run(context)
    assert set(first["outputFiles"]) == {"out.parquet"}
    second = task(Query, databaseUri=first["databaseUri"], sql="select sum(a) total from t", fetchType="FETCH_ONE").run(
        context.fresh()
    )
    assert second["row"] == {"total": 3}


def test_an_extension_that_cannot_be_had_names_the_mirror_setting(context: LocalContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUCKDB_EXTENSION_REPOSITORY", str(context.root / "no-such-mirror"))
    with pytest.raises(TaskFailed, match="DUCKDB_EXTENSION_REPOSITORY") as failed:
        task(Query, sql="INSTALL spatial; LOAD spatial; select 1").run(context)
    assert failed.value.code == "duckdb.extension_unavailable"


def test_a_locked_file_is_waited_for_and_then_named(context: LocalContext, tmp_path: Path) -> None:
    file = tmp_path / "busy.duckdb"
    hold = f"import duckdb,sys; c=duckdb.connect({str(file)!r}); print('held', flush=True); sys.stdin.read()"
    query = task(Query, url=f"jdbc:duckdb:{file}", sql="select 1", lockTimeout="PT0S")
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(TaskFailed) as failed:
            query.run(context)
        holder.communicate(b"")
    assert failed.value.code == "duckdb.locked" and str(file) in str(failed.value) and str(holder.pid) in str(failed.value)
    assert query.run(context) == {}


def test_a_large_result_is_stored_without_holding_it(context: LocalContext) -> None:
    def memory_mb() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    task(Query, sql="select 1", fetchType="STORE").run(context)
    before = memory_mb()
    outputs = task(Query, sql="select range n, repeat('x', 500) t from range(200000)", fetchType="STORE", fetchSize=2000).run(
        context
    )
    assert outputs["size"] == 200_000
    assert context.stored(outputs["uri"]).stat().st_size > 100_000_000
    assert memory_mb() - before < 60


def test_the_working_directory_of_the_process_is_left_as_it_was(context: LocalContext) -> None:
    here = Path.cwd()
    with pytest.raises(TaskFailed):
        task(Query, sql="selec 1").run(context)
    assert Path.cwd() == here
    assert duckdb.__version__
