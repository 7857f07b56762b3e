"""Which DuckDB database a task opens, and what to do when another process has the file open."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from worker.errors import TaskFailed

_LOCK = re.compile(r'Could not set lock on file "(?P<file>[^"]+)"(?P<holder>.*?)(?:See also|$)', re.DOTALL)
_PID = re.compile(r"PID (?P<pid>\d+)")
_RETRY_SECONDS = 0.1


def explain_lock(error: BaseException) -> str | None:
    """A sentence for DuckDB's lock error, naming the file and the process that holds it; None for any other error."""
    found = _LOCK.search(str(error))
    if found is None:
        return None
    pid = _PID.search(found["holder"])
    holder = f" by process {pid['pid']}" if pid else ""
    return (
        f"The DuckDB file {found['file']} is open{holder}, and only one process at a time may write it. Close the other program, "
        "or let the tasks that use this file run one after another (a concurrency limit on the flow, or a `retry` on this task)."
    )


def database_of(url: str, workdir: Path) -> tuple[str, dict[str, str]]:
    """The database and options a JDBC-like URL names: `jdbc:duckdb:` (in memory), `jdbc:duckdb:/path?access_mode=read_only`.

    Relative paths lie in the working directory. Raises TaskFailed (`duckdb.url_invalid`).
    """
    if not url.startswith(("jdbc:duckdb:", "duckdb:")):
        raise TaskFailed(
            f"url {url!r} is no DuckDB URL. Expected jdbc:duckdb: or jdbc:duckdb:/path/of/file.", code="duckdb.url_invalid"
        )
    rest = url.split("duckdb:", 1)[1]
    name, _, options = rest.partition("?")
    if not options:
        name, _, options = rest.partition(";")
    if name in ("", ":memory:"):
        name = ":memory:"
    elif not name.startswith(("md:", "motherduck:")):
        name = str(workdir / name.removeprefix("//"))
    return name, dict(parse_qsl(options.replace(";", "&")))


def connect(database: str, options: dict[str, str], wait_seconds: float) -> Any:
    """A connection to the database. Waits up to `wait_seconds` while another process has it open.

    Raises TaskFailed: `duckdb.locked` after that time, `duckdb.open_failed` for anything else.
    """
    import duckdb

    if database != ":memory:" and not database.startswith(("md:", "motherduck:")):
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_seconds
    while True:
        try:
            return duckdb.connect(database, config=dict(options))
        except duckdb.Error as error:
            locked = explain_lock(error)
            if locked is None:
                raise TaskFailed(f"The database {database} cannot be opened: {error}", code="duckdb.open_failed") from error
            if time.monotonic() >= until:
                raise TaskFailed(locked, code="duckdb.locked") from error
        time.sleep(_RETRY_SECONDS)
