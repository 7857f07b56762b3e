"""What a warm interpreter imports before it forks leaves it without threads, and its children able to work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FORK = """\
import importlib, os, pathlib, sys, time
family = importlib.import_module(sys.argv[1])
for name in family.PRELOAD:
    importlib.import_module(name)
time.sleep(0.1)
assert len(os.listdir("/proc/self/task")) == 1, "forking a process with threads may hang the child"
from tests.support.task_context import LocalContext, task
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        try:
            context = LocalContext(pathlib.Path(sys.argv[2]))
            (context.workdir / "facts.py").write_text("def games(): return [{'id': 1}]")
            print(task(family.TASKS[0], **eval(sys.argv[3])).run(context), flush=True)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.parametrize(
    ("family", "properties"),
    [
        ("worker.tasks.duckdb", {"sql": "select sum(range)::bigint total from range(1000000)", "fetchType": "FETCH_ONE"}),
        (
            "worker.tasks.dlt",
            {
                "pipelineName": "old",
                "dataset": "old",
                "source": {"type": "function", "file": "facts.py", "function": "games"},
                "destination": {"type": "duckdb", "path": "warehouse.duckdb"},
                "writeDisposition": "replace",
            },
        ),
    ],
)
def test_a_family_preloads_without_threads_and_its_children_work(
    tmp_path: Path, family: str, properties: dict[str, object]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, family, str(tmp_path), repr(properties)], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
