"""Imported by a warm interpreter before it forks: DuckDB, without the thread it starts when it is imported.

A process with threads must not fork; importing DuckDB opens its default connection, which starts a thread per further core.
The connection opens again by itself in a child that uses it.
"""

from contextlib import suppress

with suppress(ModuleNotFoundError):
    import duckdb

    _default = duckdb.default_connection()
    _default.execute("SET threads = 1")
    _default.close()
