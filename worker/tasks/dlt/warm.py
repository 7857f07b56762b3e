"""Imported by a warm interpreter before it forks: dlt with what nearly every pipeline needs of it, and no thread.

Importing dlt costs more than a second; a child forked afterwards starts at once. What is not installed is left out: the
task itself says what is missing.
"""

import importlib
import os
from contextlib import suppress

# Arrow's allocator starts a thread when it is loaded, and a process with threads must not fork.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")

for _name in (
    "worker.tasks.duckdb.warm",
    "pyarrow",
    "sqlalchemy",
    "dlt.sources.rest_api",
    "dlt.sources.filesystem",
    "dlt.sources.sql_database",
    "dlt.destinations.impl.duckdb.duck",
    "dlt.common.libs.pyarrow",
    "worker.tasks.dlt.collector",
    "worker.tasks.dlt.insight",
):
    with suppress(ImportError):
        importlib.import_module(_name)
