"""DuckDB tasks: SQL over files and databases, inside the task's own process.

tasks.py       the task types Query and Queries
database.py    which database a task opens, and what to do when another process has it open
statements.py  several statements in one text, parameters, what returns rows
extensions.py  INSTALL and LOAD on workers with and without internet
watch.py       the trigger that fires when a query gives rows
rows.py        cells and rows as JSON can hold them; rows stored as a file
"""

from worker.tasks.duckdb.tasks import Queries, Query
from worker.tasks.duckdb.watch import Trigger

TASKS = (Query, Queries)
TRIGGERS = (Trigger,)
PRELOAD = ("worker.tasks.duckdb.warm",)

__all__ = ["PRELOAD", "TASKS", "TRIGGERS", "Queries", "Query", "Trigger"]
