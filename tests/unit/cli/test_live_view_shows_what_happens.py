"""The terminal's view: a line per change without a terminal, a tree with one, streams opened again when they break."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from rich.console import Console

from cli import live
from cli.client import Client, Json
from cli.failures import CommandFailed


def state(current: str) -> Json:
    return {"current": current, "startDate": "2024-01-01T00:00:00Z", "endDate": "2024-01-01T00:00:02.500Z", "histories": []}


def execution(current: str, *runs: tuple[str, str]) -> Json:
    listed = [
        {"id": task, "taskId": task, "state": state(of), "attempts": [{}, {}] if task == "b" else [{}]} for task, of in runs
    ]
    return {"id": "x", "namespace": "n", "flowId": "f", "state": state(current), "taskRunList": listed}


class Scripted(Client):
    """Streams as a test wrote them: a frame, or an exception that breaks the stream."""

    def __init__(self, frames: list[list[Any]], logs: list[list[Any]]) -> None:
        super().__init__("http://127.0.0.1:1", "main", "a:b")
        self._frames_of = {"execution": iter(frames), "log": iter(logs)}

    def follow(self, execution_id: str) -> Iterator[tuple[str, Json]]:
        return self._play("execution")

    def follow_logs(self, execution_id: str) -> Iterator[tuple[str, Json]]:
        return self._play("log")

    def _play(self, kind: str) -> Iterator[tuple[str, Json]]:
        for frame in next(self._frames_of[kind], []):
            if isinstance(frame, Exception):
                raise frame
            yield frame


def shown(client: Scripted, terminal: bool = False) -> tuple[str, Json]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, highlight=False)
    final = live.follow(client, "x", console)
    return out.getvalue(), final


LINE = {"timestamp": "2024-01-01T10:20:30Z", "level": "INFO", "taskId": "a", "message": "hello"}
FRAMES = [
    ("progress", execution("RUNNING", ("a", "RUNNING"))),
    ("progress", execution("RUNNING", ("a", "SUCCESS"), ("b", "RUNNING"))),
    ("end", execution("SUCCESS", ("a", "SUCCESS"), ("b", "SUCCESS"))),
]
LOGS = [("start", {}), ("progress", LINE), ("end", {})]


def test_each_change_is_one_line_without_a_terminal() -> None:
    text, final = shown(Scripted([FRAMES], [LOGS]))
    assert text.count("a  ▶ RUNNING") == 1
    assert text.count("a  ✔ SUCCESS 2.50 s") == 1
    assert "b  ✔ SUCCESS 2.50 s  attempt 2" in text
    assert "10:20:30 INFO  a: hello" in text
    assert live.exit_status(final) == 0


def test_tree_is_drawn_on_a_terminal() -> None:
    text, _ = shown(Scripted([FRAMES], [LOGS]), terminal=True)
    assert "├── " in text
    assert "hello" in text


def test_broken_stream_is_opened_again_and_lines_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.live.time.sleep", lambda _: None)
    cut = httpx.ReadError("cut")
    text, _ = shown(Scripted([[FRAMES[0], cut], FRAMES[1:]], [[*LOGS[:2], cut], LOGS]))
    assert text.count("hello") == 1
    assert "n.f ✔ SUCCESS" in text


def test_server_that_stays_away_ends_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.live.time.sleep", lambda _: None)
    gone = [[httpx.ConnectError("nobody there")] for _ in range(live.RECONNECTS_MAX + 2)]
    with pytest.raises(CommandFailed, match="can no longer be followed"):
        shown(Scripted(gone, [LOGS]))


@pytest.mark.parametrize(("end", "status"), [("SUCCESS", 0), ("WARNING", 0), ("FAILED", 1), ("KILLED", 1)])
def test_exit_status_says_how_it_ended(end: str, status: int) -> None:
    assert live.exit_status(execution(end)) == status
