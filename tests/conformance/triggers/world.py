"""A control plane for trigger tests: flows are saved as over REST, the engine runs, and a test says what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from controlplane.accounts.actor import Actor
from controlplane.catalog import actions as catalog
from controlplane.catalog.engine_flows import flow_of, newest_of
from controlplane.engine import outbox
from controlplane.engine.outbox import Notice
from controlplane.engine.service import Engine, install
from controlplane.executions.actions import create_execution
from controlplane.platform import database
from controlplane.platform.wakeups import Hub
from controlplane.triggers import flow_triggers, queries
from controlplane.triggers.rows import StateRow
from controlplane.triggers.rules import forget_rules
from controlplane.triggers.scheduler import Round, Scheduler
from flows.machine.states import State
from wire.ids import new_id

TENANT = "main"
NAMESPACE = "acme.data"
ACTOR = Actor("u1", "ada", instance_owner=True, source="system")
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

SKIPPED = """\
tasks:
  - id: quiet
    type: io.kestra.plugin.core.log.Log
    message: nobody says this
    runIf: "false"
"""
"""Tasks of a flow that ends SUCCESS by itself."""

WAITING = """\
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: nobody is there to say it
"""
"""Tasks of a flow that waits for a worker for ever."""


def flow(flow_id: str, triggers: str = "", *, tasks: str = SKIPPED, head: str = "") -> str:
    """The text of a flow."""
    text = f"id: {flow_id}\nnamespace: {NAMESPACE}\n{head}{tasks}"
    return text + (f"triggers:\n{triggers}" if triggers else "")


def cron(expression: str, trigger_id: str = "cron", more: str = "") -> str:
    """A Schedule trigger; `more` at its level of indentation."""
    lines = [f"  - id: {trigger_id}", "    type: io.kestra.plugin.core.trigger.Schedule", f'    cron: "{expression}"']
    lines += [f"    {line}" for line in more.splitlines()]
    return "\n".join(lines) + "\n"


def micros(text: str) -> int:
    """An ISO instant in microseconds."""
    at = datetime.fromisoformat(text)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class TriggerWorld:
    """One plane. `tick(at)` is a scheduler's round at an instant, answered by the engine when it returns."""

    def __init__(self, url: str) -> None:
        forget_rules()
        flow_triggers._drop(TENANT)
        self.url = url
        self.hub = Hub()
        self.engine = Engine(url, flow_of, self.hub, load_newest=newest_of)
        self.engine.start()
        install(self.engine)
        self.connection = database.connect(url)
        self.scheduler = self.another()

    def another(self) -> Scheduler:
        """One more scheduler over the same tables."""
        return Scheduler(self.url, lambda: self.engine, self.hub)

    def close(self) -> None:
        self.engine.stop()
        install(None)
        self.connection.close()

    # -- what happens -------------------------------------------------------------------------------------------------

    def save(self, source: str) -> dict[str, Any]:
        """Creates or updates a flow."""
        return catalog.put_flows(ACTOR, TENANT, [source], namespace=None, override=False, delete=False)[0]

    def delete(self, flow_id: str) -> None:
        catalog.delete_flow(ACTOR, TENANT, NAMESPACE, flow_id)

    def tick(self, at_us: int | None = None, scheduler: Scheduler | None = None) -> Round:
        """A round; the executions it starts are stored when it returns."""
        scheduler = scheduler or self.scheduler
        done = scheduler.run_once(self.connection, at_us)
        assert scheduler.settled()
        return done

    def due(self, trigger_id: str = "cron", flow_id: str = "daily") -> int:
        """The next date of a trigger."""
        found = self.row(trigger_id, flow_id).next_at_us
        assert found is not None
        return found

    def set(self, columns: dict[str, Any], trigger_id: str = "cron", flow_id: str = "daily") -> None:
        """Writes columns of a state, as time or another process would have."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.connection.execute(
            f"UPDATE trigger_state SET {names}, version = version + 1 WHERE flow_id = ? AND trigger_id = ?",
            (*columns.values(), flow_id, trigger_id),
        )

    def end(self, execution_id: str, state: str = "SUCCESS") -> None:
        """Ends an execution from outside, as its tasks would."""
        self.connection.execute("UPDATE execution SET state = ?, version = version + 1 WHERE id = ?", (state, execution_id))

    def start(self, flow_id: str, *, wait: bool = True) -> str:
        """Starts a flow by hand; with `wait` it is over when this returns."""
        started = create_execution(ACTOR, TENANT, NAMESPACE, flow_id)
        if wait:
            self.wait_until_over(flow_id)
        return started.execution_id

    def notice(self, execution_id: str, flow_id: str, *states: str) -> Notice:
        """The notice that an execution took states."""
        data = {"executionId": execution_id, "namespace": NAMESPACE, "flowId": flow_id, "states": list(states), "kind": "NORMAL"}
        return Notice(TENANT, new_id(), outbox.STATES, data, self.connection.now_us())

    def notify(self, execution_id: str, flow_id: str, *states: str) -> None:
        """Has such a notice consumed, as its delivery would."""
        with self.connection.transaction():
            told = flow_triggers.on_notice(self.connection, self.notice(execution_id, flow_id, *states))
        if told is not None:
            told()

    # -- what is there ------------------------------------------------------------------------------------------------

    def row(self, trigger_id: str = "cron", flow_id: str = "daily") -> StateRow:
        return queries.find_trigger((TENANT, NAMESPACE, flow_id, trigger_id))

    def explain(self, trigger_id: str = "cron", flow_id: str = "daily") -> list[dict[str, Any]]:
        row = self.row(trigger_id, flow_id)
        found: list[dict[str, Any]] = queries.state_json(row, queries.world_of([row]), explained=True)["explain"]
        return found

    def codes(self, trigger_id: str = "cron", flow_id: str = "daily") -> list[str]:
        return [reason["code"] for reason in self.explain(trigger_id, flow_id)]

    def executions(self, flow_id: str = "daily") -> list[dict[str, Any]]:
        """Executions of a flow, oldest first, with what is JSON unpacked."""
        names = ("id", "state", "labels", "inputs", "trigger", "error", "cause", "created_at_us")
        rows = self.connection.execute(
            f"SELECT {', '.join(names)} FROM execution WHERE flow_id = ? ORDER BY created_at_us, id", (flow_id,)
        )
        found = []
        for values in rows:
            row = dict(zip(names, values, strict=True))
            for name in ("labels", "inputs", "trigger", "error", "cause"):
                if isinstance(row[name], str):
                    row[name] = orjson.loads(row[name])
            found.append(row)
        return found

    def dates(self, flow_id: str = "daily") -> list[str]:
        """`trigger.date` of its executions, in order."""
        return [row["trigger"]["variables"]["date"] for row in self.executions(flow_id)]

    def wait_for(self, count: int, flow_id: str = "daily", seconds: float = 10.0) -> list[dict[str, Any]]:
        """Waits until so many executions are there."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.executions(flow_id)
            if len(found) >= count:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{len(self.executions(flow_id))} executions of {flow_id}, expected {count}")

    def wait_until_over(self, flow_id: str, seconds: float = 10.0) -> None:
        """Waits until no execution of a flow is open."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.executions(flow_id)
            if found and all(State(execution["state"]).terminated for execution in found):
                return
            time.sleep(0.01)
        raise AssertionError(f"{[execution['state'] for execution in self.executions(flow_id)]} of {flow_id}, expected ends")

    def quiet(self, seconds: float = 10.0) -> None:
        """Waits until every notice has been consumed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.connection.execute("SELECT count(*) FROM outbox")[0][0]:
                return
            time.sleep(0.01)
        raise AssertionError("messages are left that nobody consumes")


def labels_of(execution: dict[str, Any]) -> dict[str, str]:
    """Labels as a map."""
    return {label["key"]: label["value"] for label in execution["labels"]}
