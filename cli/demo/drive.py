"""`make run`: starts the platform, gives it the chess tenant, runs the pipeline and shows it live.

The platform is the real one, `headrace up` in a process of its own; everything here goes through its REST interface.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from cli.client import Client, Json, Refused
from cli.demo.chess_api import ChessApi
from cli.demo.recording import Recording
from cli.failures import CommandFailed
from cli.flow import flow_identity
from cli.live import exit_status, follow
from cli.up import CREDENTIALS_FILE, StopSignals, require_free

BLUEPRINT = Path(__file__).resolve().parents[2] / "flows" / "blueprints" / "chess"
CHESS_COM = "https://api.chess.com/pub/"
PROBE_SECONDS = 2.0
READY_SECONDS = 60.0
STOP_SECONDS = 20.0

REAL = {"players": "magnuscarlsen,rpragchess", "from_month": "2022/11", "to_month": "2022/12"}
RECORDED = {"players": "spassky,fischer,capablanca,lasker,deepblue,kasparov", "from_month": "1900/01", "to_month": "2000/12"}
"""Players and months asked for at chess.com, and from the recording."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of `headrace demo`; `flow` replaces the blueprint's main flow."""

    data: Path
    port: int
    management_port: int
    grpc_port: int
    database: str
    players: str
    base_url: str
    flow: Path | None
    offline: bool
    once: bool


def drive(options: DemoOptions) -> int:
    """Runs the demonstration. Returns the exit status: 0 when the pipeline ended SUCCESS or WARNING."""
    # `kill` ends it as Ctrl-C does: the platform is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    flow = options.flow or BLUEPRINT / "flows" / "chess.yml"
    source = flow.read_text(encoding="utf-8")
    namespace, flow_id = flow_identity(source, flow)
    for port, name in (
        (options.port, "--port"),
        (options.management_port, "--management-port"),
        (options.grpc_port, "--grpc-port"),
    ):
        require_free("127.0.0.1", port, f"{name} (make run: PORT=…)" if name == "--port" else name)
    with _data_source(options, console) as inputs, _platform(options, console) as (address, login):
        with Client(address, "main", login) as client:
            _apply_tenant(client, source, flow, namespace, flow_id, console)
            started = _start(client, namespace, flow_id, inputs)
            console.print(f"[b]{namespace}.{flow_id}[/b]: execution {started['id']}\n")
            execution = follow(client, started["id"], console)
            status = exit_status(execution)
            console.print()
            _show_outputs(execution, console)
            _say_goodbye(execution, address, login, console)
        if options.once:
            return status
        console.print("serving until Ctrl-C; `make run` again loads only what is new")
        _wait_for_signal()
    return status


@contextmanager
def _data_source(options: DemoOptions, console: Console) -> Iterator[dict[str, str]]:
    """Where the games come from: the address given, else chess.com when it answers, else the recording on this machine."""
    given = {"players": options.players} if options.players else {}
    if options.base_url:
        months = {} if options.players else {"players": REAL["players"]}
        yield {"base_url": options.base_url, **months, **given}
        return
    if not options.offline and _chess_com_answers():
        console.print(f"games from {CHESS_COM}")
        yield {"base_url": CHESS_COM, **REAL, **given}
        return
    if not (BLUEPRINT / "games.json").exists():
        raise CommandFailed(
            f"{CHESS_COM} does not answer and there is no recording at {BLUEPRINT / 'games.json'}: connect, or give BASE_URL=…"
        )
    api = ChessApi(Recording()).start()
    why = "as asked" if options.offline else "chess.com does not answer"
    console.print(f"{why}: a recording of historical games is served at {api.base_url}")
    console.print(f"players in the recording: {', '.join(api.recording.players)}", style="dim")
    try:
        yield {"base_url": api.base_url, **RECORDED, **given}
    finally:
        api.stop()


def _chess_com_answers() -> bool:
    try:
        answer = httpx.get(f"{CHESS_COM}player/erik", timeout=PROBE_SECONDS, headers={"User-Agent": "headrace-demo"})
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


@contextmanager
def _platform(options: DemoOptions, console: Console) -> Iterator[tuple[str, str]]:
    """A running `headrace up --demo`: its address and login. What it writes goes to headrace.log in the data folder."""
    data = options.data.absolute()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = data / "headrace.log"
    command = [sys.executable, "-m", "cli.main", "up", "--demo", "--data", str(data)]
    command += [
        "--port",
        str(options.port),
        "--management-port",
        str(options.management_port),
        "--grpc-port",
        str(options.grpc_port),
    ]
    if options.database:
        command += ["--database", options.database]
    began = time.monotonic()
    with open(log, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as output:
        offset = output.tell()
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{options.management_port}/health", log, offset)
        address = f"http://127.0.0.1:{options.port}"
        login = (data / CREDENTIALS_FILE).read_text(encoding="utf-8").strip()
        console.print(f"platform ready in {time.monotonic() - began:.1f} s at {address} (its log: {_short(log)})")
        yield address, login
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_ready(process: subprocess.Popen[bytes], health: str, log: Path, offset: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    credentials = log.parent / CREDENTIALS_FILE
    while True:
        if process.poll() is not None:
            said = log.read_bytes()[offset:].decode(errors="replace").strip().splitlines()
            raise CommandFailed("the platform did not start: " + "\n".join(said[-15:]))
        try:
            if httpx.get(health, timeout=2, trust_env=False).status_code == httpx.codes.OK and credentials.exists():
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise CommandFailed(f"the platform was not ready after {READY_SECONDS:.0f} s; its log is {log}")
        time.sleep(0.05)


def _apply_tenant(client: Client, source: str, flow: Path, namespace: str, flow_id: str, console: Console) -> None:
    """Namespace files and flows of the blueprint, and the flow to run. Raises CommandFailed with the problems of a broken one."""
    problems = client.validate(source)
    if problems:
        raise CommandFailed(f"{_short(flow)} is no valid flow:\n" + "\n".join(f"  {problem}" for problem in problems))
    files = apply_files(client, namespace)
    for path in sorted((BLUEPRINT / "flows").glob("*.yml")):
        if path != flow:
            other = path.read_text(encoding="utf-8")
            client.apply_flow(other, *flow_identity(other, path))
    stored = client.apply_flow(source, namespace, flow_id)
    console.print(f"namespace {namespace}: {files} files, flow {flow_id} revision {stored['revision']}")


def apply_files(client: Client, namespace: str) -> int:
    """Writes the blueprint's files into the namespace; says how many."""
    files = sorted(path for path in (BLUEPRINT / "files").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in files:
        client.put_file(namespace, path.relative_to(BLUEPRINT / "files").as_posix(), path.read_bytes())
    return len(files)


def _start(client: Client, namespace: str, flow_id: str, inputs: dict[str, str]) -> Json:
    declared = {entry["id"] for entry in client.call("GET", f"flows/{namespace}/{flow_id}").json().get("inputs") or ()}
    known = {name: value for name, value in inputs.items() if name in declared}
    if "players" in known:
        known["players"] = json.dumps([player.strip() for player in known["players"].split(",") if player.strip()])
    try:
        return client.start(namespace, flow_id, known)
    except Refused as refusal:
        raise CommandFailed(f"the pipeline was not started: {refusal.detail}") from None


def _show_outputs(execution: Json, console: Console) -> None:
    """The flow's outputs that are lists of rows, as tables."""
    for name, rows in (execution.get("outputs") or {}).items():
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            console.print(_table(name.replace("_", " "), rows))


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    columns = list(rows[0])
    for column in columns:
        numeric = all(isinstance(row.get(column), (int, float)) for row in rows)
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*("" if row.get(column) is None else str(row[column]) for column in columns))
    return table


def _say_goodbye(execution: Json, address: str, login: str, console: Console) -> None:
    user, password = login.split(":", 1)
    state = execution["state"]["current"]
    console.print(f"pipeline ended [b]{state}[/b] in {execution['state'].get('duration', '?')}")
    if state not in ("SUCCESS", "WARNING"):
        console.print(
            "nothing of this run stands in the tables: dlt loads a package whole or not at all. The log above says what to mend."
        )
    console.print(f"console {address}/ui/   API {address}/api/v1/main   user {user}   password {password}", soft_wrap=True)


def _wait_for_signal() -> None:
    asked = StopSignals()
    while not asked.wait(60):
        pass


def _short(path: Path) -> str:
    """A path as one would type it here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
