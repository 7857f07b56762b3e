"""INSTALL and LOAD of DuckDB extensions: what is built in or already here is done; the rest comes from the worker's mirror."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from typing import Any

from worker.errors import TaskFailed
from worker.tasks.duckdb.statements import Statement

MIRROR = "DUCKDB_EXTENSION_REPOSITORY"
"""Environment variable of the worker: address or folder that holds DuckDB extensions, instead of DuckDB's own server."""

_INSTALL = re.compile(
    r"\A(?P<force>FORCE\s+)?INSTALL\s+(?P<name>'[^']+'|\"[^\"]+\"|[\w./:-]+)(?:\s+FROM\s+(?P<source>'[^']+'|\"[^\"]+\"|\S+?))?(?:\s+VERSION\s+.*)?\s*;?\Z",
    re.IGNORECASE | re.DOTALL,
)
_DOWNLOAD = re.compile(
    r"Failed to download extension|Extension \"[^\"]*\" not found|Could not establish connection", re.IGNORECASE
)
_NAME = re.compile(r'extension "?(?:[^"]*/)?(?P<name>\w+)', re.IGNORECASE)


def install(connection: Any, statement: Statement) -> str | None:
    """Carries out an INSTALL statement. Returns a sentence for the log; None when the statement is no INSTALL.

    Raises TaskFailed (`duckdb.extension_unavailable`), naming the mirror setting.
    """
    import duckdb

    found = _INSTALL.match(statement.text)
    if found is None:
        return None
    name = found["name"].strip("'\"")
    if "/" not in name and not found["force"] and _present(connection, name):
        return f"Extension {name} is already here: nothing to install."
    if found["source"] is None and _from_package(connection, name):
        return f"Extension {name} installed from its Python package."
    mirror = os.environ.get(MIRROR)
    if mirror and found["source"] is None:
        connection.execute("SET custom_extension_repository = $mirror", {"mirror": mirror})
    try:
        connection.execute(statement.parsed)
    except duckdb.Error as error:
        raise unavailable(error, name) from error
    return f"Extension {name} installed."


def unavailable(error: BaseException, name: str | None = None) -> TaskFailed:
    """The failure for an extension that is not here and cannot be fetched."""
    if name is None:
        found = _NAME.search(str(error))
        name = found["name"] if found else "?"
    mirror = os.environ.get(MIRROR)
    tried = f"the mirror {mirror}" if mirror else "DuckDB's server"
    package = f"duckdb-extension-{name.replace('_', '-')}"
    return TaskFailed(
        f"The DuckDB extension {name} is not on this worker and could not be fetched from {tried}. Set {MIRROR} on the worker to "
        f"a folder or address that holds it, or install the Python packages duckdb-extensions and {package} beside the worker. "
        f"DuckDB says: {' '.join(str(error).split())[:300]}",
        code="duckdb.extension_unavailable",
    )


def is_missing(error: BaseException) -> bool:
    """Whether an error of DuckDB says that an extension is not here."""
    return bool(_DOWNLOAD.search(str(error)))


def _present(connection: Any, name: str) -> bool:
    known = connection.execute(
        "SELECT installed FROM duckdb_extensions() WHERE extension_name = $name OR list_contains(aliases, $name)",
        {"name": name.lower()},
    ).fetchone()
    return bool(known and known[0])


def _from_package(connection: Any, name: str) -> bool:
    """Takes the extension from a package `duckdb-extension-<name>`, when one is installed."""
    if importlib.util.find_spec("duckdb_extensions") is None:
        return False
    try:
        importlib.import_module("duckdb_extensions").import_extension(name, con=connection)
    except Exception:  # noqa: BLE001 - the package knows no such extension, in a word of its own: DuckDB is asked next
        return False
    return _present(connection, name)
