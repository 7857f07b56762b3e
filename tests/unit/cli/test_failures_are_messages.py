"""A command that cannot go on says one sentence and ends with a status; nobody sees a traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli.failures import CommandFailed
from cli.flow import flow_identity
from cli.up import require_free


def headrace(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_problem_of_a_flow_file_has_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "flow.yml"
    path.write_text(
        "id: a\nnamespace: n\ntasks:\n  - id: t\n    type: no.such.Type\n  - id: t\n    type: other.Type\n", encoding="utf-8"
    )
    run = headrace("flow", "validate", str(path))
    assert run.returncode == 1
    assert f"{path}:5:" in run.stdout
    assert f"{path}:7:" in run.stdout
    assert "Traceback" not in run.stderr


def test_server_that_is_away_is_named(tmp_path: Path) -> None:
    path = tmp_path / "flow.yml"
    path.write_text("id: a\nnamespace: n\ntasks: []\n", encoding="utf-8")
    run = headrace("flow", "apply", str(path), "--server", "http://127.0.0.1:1", "--user", "a:b")
    assert run.returncode == 1
    assert "http://127.0.0.1:1 does not answer" in run.stderr
    assert "Traceback" not in run.stderr


def test_worker_help_needs_no_django() -> None:
    code = (
        "import sys; sys.modules['django'] = None; sys.argv = ['headrace', 'worker', '--help']; from cli.main import run; run()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert "--join-token" in run.stdout


def test_taken_port_is_a_message() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CommandFailed, match="--port"):
            require_free("127.0.0.1", taken.getsockname()[1], "--port")


@pytest.mark.parametrize("text", ["- a list", "id: only", "a: [", ""])
def test_file_that_is_no_flow_is_named(text: str) -> None:
    with pytest.raises(CommandFailed, match=r"flow\.yml is no"):
        flow_identity(text, Path("flow.yml"))
