"""Follows an execution in the terminal: task runs as a tree with states, durations and progress, log lines above it.

Where there is no terminal (a pipe, CI) the same is printed as lines, one per change.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from cli.client import Client, Json
from cli.failures import CommandFailed

RECONNECTS_MAX = 10
"""Times in a row that a broken stream is opened again, a second apart, before the command gives up."""

ROWS_MAX = 40
"""Task runs shown at once; a fan-out of thousands shows the newest."""

LOG_GRACE_SECONDS = 5
"""How long the last log lines may come after the execution's end."""

_STYLES = {
    "SUCCESS": "green",
    "WARNING": "yellow",
    "FAILED": "bold red",
    "KILLED": "magenta",
    "RUNNING": "cyan",
    "RETRYING": "yellow",
    "SKIPPED": "dim",
}
_MARKS = {"SUCCESS": "✔", "WARNING": "⚠", "FAILED": "✘", "KILLED": "■", "RUNNING": "▶", "RETRYING": "↻", "SKIPPED": "–"}
_LEVELS = {"ERROR": "red", "WARN": "yellow", "INFO": "default", "DEBUG": "dim", "TRACE": "dim"}


def follow(client: Client, execution_id: str, console: Console) -> Json:
    """Shows the execution until it is over and returns it. Raises CommandFailed when the server stays away."""
    changes: queue.Queue[tuple[str, Json]] = queue.Queue()
    _reader("execution", lambda: client.follow(execution_id), changes)
    _reader("log", lambda: client.follow_logs(execution_id), changes)
    view = _View(console)
    if not console.is_terminal:
        return _drain(changes, view.changed, view.logged)
    with Live(view, console=console, refresh_per_second=8, transient=False):
        return _drain(changes, view.keep, view.logged)


def exit_status(execution: Json) -> int:
    """0 for SUCCESS and WARNING, 1 for everything else."""
    return 0 if execution["state"]["current"] in ("SUCCESS", "WARNING") else 1


def _drain(changes: queue.Queue[tuple[str, Json]], changed: Callable[[Json], None], logged: Callable[[Json], None]) -> Json:
    final: Json | None = None
    deadline = float("inf")
    log_open = True
    while final is None or (log_open and time.monotonic() < deadline):
        try:
            kind, content = changes.get(timeout=0.2)
        except queue.Empty:
            continue
        if kind == "log":
            logged(content)
        elif kind == "execution":
            changed(content)
        elif kind == "log-end":
            log_open = False
        elif kind == "execution-end":
            final = content
            changed(content)
            deadline = time.monotonic() + LOG_GRACE_SECONDS
        elif kind == "execution-lost":
            raise CommandFailed(content["message"])
    return final


def _reader(kind: str, opened: Callable[[], Iterator[tuple[str, Json]]], changes: queue.Queue[tuple[str, Json]]) -> None:
    """Reads a stream in a thread; opens it again when it breaks, without repeating log lines already seen."""

    def read() -> None:
        seen = failures = 0
        while True:
            position = 0
            try:
                for name, content in opened():
                    failures = 0
                    if name == "end":
                        changes.put((f"{kind}-end", content))
                        return
                    if not content:
                        continue
                    position += 1
                    if kind == "execution" or position > seen:
                        changes.put((kind, content))
                seen = max(seen, position)
                reason = "the stream ended early"
            except (httpx.HTTPError, CommandFailed) as error:
                seen = max(seen, position)
                reason = str(error) or type(error).__name__
            failures += 1
            if failures > RECONNECTS_MAX:
                message = f"the execution can no longer be followed: {reason}"
                changes.put((f"{kind}-lost" if kind == "execution" else "log-end", {"message": message}))
                return
            time.sleep(1)

    threading.Thread(target=read, name=f"follow-{kind}", daemon=True).start()


class _View:
    """What is on the screen; as a rich renderable it draws the tree."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.execution: Json | None = None
        self._told: dict[str, str] = {}

    def keep(self, execution: Json) -> None:
        """The tree is drawn from this execution from now on."""
        self.execution = execution

    def changed(self, execution: Json) -> None:
        """Prints a line for each state that is new (no terminal)."""
        for run in execution.get("taskRunList") or ():
            state = run["state"]["current"]
            if self._told.get(run["id"]) != state:
                self._told[run["id"]] = state
                self.console.print(_row(run))
        state = execution["state"]["current"]
        if self._told.get("") != state:
            self._told[""] = state
            self.console.print(
                Text(f"{execution['namespace']}.{execution['flowId']} ", style="bold") + _state(execution["state"])
            )

    def logged(self, entry: Json) -> None:
        """Prints a log line; above the tree when there is one."""
        level = entry.get("level", "INFO")
        at = str(entry.get("timestamp", ""))[11:19]
        line = Text(f"{at} {level:<5} ", style="dim")
        line.append(f"{entry.get('taskId') or '-'}: ", style="cyan")
        line.append(str(entry.get("message", "")), style=_LEVELS.get(level, "default"))
        self.console.print(line)

    def __rich__(self) -> RenderableType:
        if self.execution is None:
            return Text("waiting for the execution …", style="dim")
        runs = self.execution.get("taskRunList") or []
        hidden = max(0, len(runs) - ROWS_MAX)
        shown = runs[-ROWS_MAX:]
        title = Text(f"{self.execution['namespace']}.{self.execution['flowId']} ", style="bold") + _state(self.execution["state"])
        root = Tree(title, guide_style="dim")
        if hidden:
            root.add(Text(f"… {hidden} earlier task runs", style="dim"))
        branches: dict[str, Tree] = {}
        for run in shown:
            parent = branches.get(run.get("parentTaskRunId") or "", root)
            branches[run["id"]] = parent.add(_row(run))
        return Group(root)


def _row(run: Json) -> Text:
    text = Text(run["taskId"])
    if run.get("value") is not None:
        text.append(f" [{run['value']}]", style="dim")
    text.append("  ")
    text += _state(run["state"])
    attempts = len(run.get("attempts") or ())
    if attempts > 1:
        text.append(f"  attempt {attempts}", style="yellow")
    progress = run.get("progress")
    if progress and run["state"]["current"] == "RUNNING":
        text.append(f"  {_progress(progress)}", style="cyan")
    return text


def _progress(progress: Json) -> str:
    done, total = progress.get("done"), progress.get("total")
    parts = [str(progress[name]) for name in ("step", "message") if progress.get(name)]
    if done is not None and total and not progress.get("message"):
        parts.append(f"{done}/{total}")
    return ": ".join(parts)


def _state(state: Json) -> Text:
    current = state["current"]
    text = Text(f"{_MARKS.get(current, '·')} {current}", style=_STYLES.get(current, "dim"))
    seconds = _seconds(state)
    if seconds is not None:
        text.append(f" {seconds:.2f} s" if seconds < 60 else f" {int(seconds // 60)} min {int(seconds % 60)} s", style="dim")
    return text


def _seconds(state: Json) -> float | None:
    """From the first history entry to the end, or to now."""
    try:
        start = datetime.fromisoformat(str(state["startDate"]))
        end = datetime.fromisoformat(str(state["endDate"])) if state.get("endDate") else datetime.now(UTC)
    except (KeyError, ValueError):
        return None
    return max(0.0, (end - start).total_seconds())
