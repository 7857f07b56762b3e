"""The main job: one command runs the chess pipeline through control plane, gRPC worker and DuckDB."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cli.client import Client
from cli.demo.chess_api import ChessApi
from cli.demo.drive import BLUEPRINT, apply_files
from cli.demo.recording import Recording
from tests.support.platform import Platform, free_ports

RESPONSES = Path(os.environ.get("HEADRACE_CHESS_RESPONSES", Path(__file__).parents[3] / "shared" / "data" / "chess"))
BROKEN = """\
id: broken
namespace: demo.chess
tasks:
  - id: a
    type: io.kestra.plugin.core.log.Log
    mesage: a typo
  - id: a
    type: no.such.Type
"""
TABLES = ("players_profiles", "players_games", "players_online_status")


def make_run(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `make run ONCE=1` calls, on free ports."""
    port, management_port, grpc_port = map(str, free_ports(3))
    ports = ["--port", port, "--management-port", management_port, "--grpc-port", grpc_port]
    command = [sys.executable, "-m", "cli.main", "demo", "--once", "--data", str(data), *ports, *options]
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def rows(data: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows out of the worker's DuckDB file."""
    (path,) = data.rglob("chess.duckdb")
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def counts(data: Path) -> dict[str, int]:
    return {table: rows(data, f"SELECT count(*) FROM chess_data.{table}")[0][0] for table in TABLES}


@pytest.mark.timeout(300)
def test_first_run_loads_three_tables_and_the_second_only_what_is_new(tmp_path: Path) -> None:
    first = make_run(tmp_path, "--offline", "--players", "spassky,fischer")
    assert first.returncode == 0, first.stdout[-6000:] + first.stderr[-2000:]
    after_first = counts(tmp_path)
    assert after_first == {"players_profiles": 2, "players_games": 21, "players_online_status": 2}
    assert "table counts" in first.stdout
    assert "21" in first.stdout
    assert "SUCCESS" in first.stdout

    second = make_run(tmp_path, "--offline", "--players", "spassky,fischer")
    assert second.returncode == 0, second.stdout[-6000:] + second.stderr[-2000:]
    assert counts(tmp_path) == {"players_profiles": 2, "players_games": 21, "players_online_status": 4}
    loads = rows(tmp_path, "SELECT status, inserted_at FROM chess_data._dlt_loads ORDER BY inserted_at")
    assert [status for status, _ in loads] == [0, 0]
    assert all(inserted_at is not None for _, inserted_at in loads)


@pytest.mark.timeout(120)
def test_unknown_player_ends_with_a_message_and_no_table(tmp_path: Path) -> None:
    run = make_run(tmp_path, "--offline", "--players", "spassky,nobody")
    assert run.returncode == 1
    assert "no player `nobody`" in run.stdout, run.stdout[-4000:]
    assert "Traceback" not in run.stdout + run.stderr
    assert _tables(tmp_path) == []


@pytest.mark.timeout(120)
def test_unknown_player_leaves_the_tables_of_earlier_runs_alone(tmp_path: Path) -> None:
    assert make_run(tmp_path, "--offline", "--players", "spassky").returncode == 0
    before = counts(tmp_path)
    assert make_run(tmp_path, "--offline", "--players", "spassky,nobody").returncode == 1
    assert counts(tmp_path) == before


@pytest.mark.timeout(120)
def test_address_where_nobody_answers_is_named(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    run = make_run(tmp_path, "--base-url", f"http://127.0.0.1:{port}/pub/", "--players", "spassky")
    assert run.returncode == 1
    assert f"no connection to http://127.0.0.1:{port}" in run.stdout, run.stdout[-4000:]
    assert "Traceback" not in run.stdout + run.stderr
    assert _tables(tmp_path) == []


@pytest.mark.timeout(60)
def test_broken_flow_is_refused_with_every_problem_and_its_place(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(BROKEN, encoding="utf-8")
    run = make_run(tmp_path / "data", "--offline", "--flow", str(broken))
    assert run.returncode == 1
    assert "mesage" in run.stderr
    assert "no.such.Type" in run.stderr
    assert "line" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.timeout(60)
def test_taken_port_is_named_with_the_option_that_changes_it(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "cli.main", "up", "--port", str(port), "--data", str(tmp_path)]
        began = time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 1
    assert str(port) in run.stderr
    assert "--port" in run.stderr
    assert time.monotonic() - began < 5


@pytest.fixture
def real_answers() -> Iterator[ChessApi]:
    """The API with months recorded from the real one."""
    if not RESPONSES.is_dir():
        pytest.skip("no recorded answers of the real API on this machine (HEADRACE_CHESS_RESPONSES)")
    api = ChessApi(Recording(responses=RESPONSES)).start()
    yield api
    api.stop()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("flow", ["chess", "chess-script"])
def test_real_response_of_chess_com_is_loaded_once(platform: Platform, real_answers: ChessApi, flow: str) -> None:
    client = platform.client()
    apply_files(client, "demo.chess")
    for path in sorted((BLUEPRINT / "flows").glob("*.yml")):
        client.apply_flow(path.read_text(encoding="utf-8"), "demo.chess", path.stem.replace("_", "-"))
    for expected_status_rows in (1, 2):
        execution = _execute(client, platform, flow, real_answers.base_url)
        assert execution["state"]["current"] == "SUCCESS", platform.log[-3000:]
        (path,) = platform.data.rglob(f"{flow.replace('-', '_')}.duckdb")
        with duckdb.connect(str(path), read_only=True) as connection:
            games, players = connection.execute(
                "SELECT (SELECT count(*) FROM chess_data.players_games), (SELECT count(*) FROM chess_data.players_online_status)"
            ).fetchall()[0]
        assert games == 54
        assert players == expected_status_rows


def _execute(client: Client, platform: Platform, flow: str, base_url: str) -> dict[str, Any]:
    inputs = {"base_url": base_url, "players": '["hikaru"]', "from_month": "2014/02", "to_month": "2014/02"}
    return platform.wait(client, client.start("demo.chess", flow, inputs)["id"], timeout=90)


def _tables(data: Path) -> list[str]:
    """Tables of the dataset, none when there is no database file."""
    if not list(data.rglob("chess.duckdb")):
        return []
    return [name for (name,) in rows(data, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'chess_data'")]
