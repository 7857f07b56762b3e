"""Schedules that are due in the same second: how late their executions begin. One JSON line a database and size.

    .venv/bin/python -m tests.bench.due_schedules [SIZE …] [--postgresql]

Guards: of 1,000 schedules due at one instant, half have begun within 0.3 s (median of the lateness), and each has begun once.
Every schedule belongs to a flow of its own. Lateness is the time between the instant and the commit of the execution's first
step, seen from outside: a reader looks at the table every few milliseconds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

TENANT, NAMESPACE = "main", "bench.schedules"
SECOND_US = 1_000_000

FLOW = """\
id: due{number}
namespace: bench.schedules
tasks:
  - id: quiet
    type: io.kestra.plugin.core.log.Log
    message: nobody says this
triggers:
  - id: cron
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "* * * * * *"
    withSeconds: true
"""
"""An execution waits for a worker that never comes, so its schedule stays locked and fires once."""


@contextmanager
def database_url(postgresql: bool) -> Iterator[str]:
    """An empty database."""
    if postgresql:
        from tests.support import postgres

        with postgres.fresh_database("headrace_bench_schedules") as url:
            yield url
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/headrace.db"


def plane(size: int, url: str, told: Connection) -> None:
    """The plane's process: saves `size` flows, lets all be due at one instant, which it tells, and runs until told to end."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)
    from controlplane.accounts.actor import Actor
    from controlplane.catalog import actions
    from controlplane.catalog.engine_flows import flow_of, newest_of
    from controlplane.engine.service import Engine, install
    from controlplane.platform import database
    from controlplane.platform.wakeups import hub
    from controlplane.serve import SWITCH_SECONDS
    from controlplane.triggers.scheduler import Scheduler

    sys.setswitchinterval(SWITCH_SECONDS)  # as `headrace up` does
    actor = Actor("bench", "bench", instance_owner=True, source="system")
    for start in range(0, size, 500):
        sources = [FLOW.format(number=number) for number in range(start, min(size, start + 500))]
        actions.put_flows(actor, TENANT, sources, namespace=None, override=False, delete=False)
    connection = database.connect(url)
    engine = Engine(url, flow_of, hub, load_newest=newest_of)
    engine.start()
    install(engine)
    # Time to read the flows before, as in a plane that runs; then every schedule is due at one whole second.
    due = (connection.now_us() // SECOND_US + max(5, size // 100)) * SECOND_US
    connection.execute("UPDATE trigger_state SET next_at_us = ?, evaluated_at_us = ?", (due, due - SECOND_US))
    connection.close()
    scheduler = Scheduler(url, lambda: engine, hub)
    scheduler.start()
    gc.collect()
    gc.freeze()
    told.send(due)
    told.recv()
    scheduler.stop()
    engine.stop()


def measure(size: int, url: str) -> dict[str, Any]:
    """Watches the table from a process of its own."""
    from controlplane.platform import database

    ours, theirs = Pipe()
    process = Process(target=plane, args=(size, url, theirs))
    process.start()
    due = ours.recv()
    reader = database.connect(url)
    late: list[float] = []
    limit = time.monotonic() + 60 + size / 50
    while len(late) < size and time.monotonic() < limit:
        now = reader.now_us()
        if now < due - SECOND_US // 10:
            time.sleep(0.05)
            continue
        count = reader.execute("SELECT count(*) FROM execution WHERE namespace = ? AND state = 'RUNNING'", (NAMESPACE,))[0][0]
        late.extend([(reader.now_us() - due) / SECOND_US] * (count - len(late)))
        time.sleep(0.005)
    time.sleep(1.5)  # nobody may fire again
    total, flows = reader.execute("SELECT count(*), count(DISTINCT flow_id) FROM execution WHERE namespace = ?", (NAMESPACE,))[0]
    reader.close()
    ours.send("end")
    process.join(30)
    return {
        "bench": "due_schedules",
        "database": url.split(":", 1)[0],
        "schedules": size,
        "once_each": total == flows == size,
        "late_median_s": round(statistics.median(late), 3) if late else None,
        "late_p99_s": round(late[int(len(late) * 0.99) - 1], 3) if late else None,
        "late_max_s": round(late[-1], 3) if late else None,
        "machine": f"{platform.machine()} {os.cpu_count()} cores",
    }


def main() -> None:
    """Runs the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000])
    parser.add_argument("--postgresql", action="store_true")
    arguments = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
    for size in arguments.sizes:
        with database_url(arguments.postgresql) as url:
            os.environ["HEADRACE_DATABASE"] = url
            os.environ["HEADRACE_DATA"] = str(Path(tempfile.gettempdir()) / "headrace-bench")
            print(json.dumps(measure(size, url)), flush=True)


if __name__ == "__main__":
    main()
