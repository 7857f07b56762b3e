"""Core task types, most of which run inside the agent.

    basics.py       Log, Echo, Return, OutputValues, Fail, Sleep
    checks.py       Assert
    templated.py    TemplatedTask
    keys.py         kv.Set, Get, GetKeys, Delete; state.Set, Get, Delete
    storage.py      Concat, Split, Size, Reverse, Delete, Write, LocalFiles
    rows.py         DeduplicateItems, FilterItems
    batches.py      the worker's parts of ForEachItem
    namespaces.py   UploadFiles, DownloadFiles, DeleteFiles
    logs.py         log.Fetch

Rules: project spec, tasks §2–§6.
"""

from worker.tasks.core import basics, batches, checks, keys, logs, namespaces, rows, storage, templated
from worker.tasks.core.basics import as_text

__all__ = ["TASKS", "as_text"]

TASKS = (
    *basics.TASKS,
    *checks.TASKS,
    *templated.TASKS,
    *keys.TASKS,
    *storage.TASKS,
    *rows.TASKS,
    *batches.TASKS,
    *namespaces.TASKS,
    *logs.TASKS,
)
