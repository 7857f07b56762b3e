"""Polling and realtime triggers through the real door and a real worker, on both databases."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from controlplane.fleet.enrolment import create_join_token
from controlplane.gateway.recorder import Recorder
from controlplane.gateway.server import GatewayServer
from controlplane.triggers import actions
from flows.plugins import Dynamic, TriggerType
from tests.conformance.triggers.world import (
    HOUR_US,
    NAMESPACE,
    SECOND_US,
    TENANT,
    WAITING,
    TriggerWorld,
    flow,
    labels_of,
)
from tests.support import redis_server
from wire.ids import new_id
from wire.plugins import discover
from worker.agent import Agent
from worker.config import WorkerOptions
from worker.errors import TaskFailed
from worker.testing import AgentThread
from worker.triggers.finding import Emit, RealtimeTrigger

SOON = 15.0


class Source:
    """Where events of the test's own trigger types come from."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.taken: list[str] = []
        self.breaks = False
        self.listeners = 0
        self.looks = 0
        self.hold = threading.Event()


SOURCES: dict[str, Source] = {}


class Events(RealtimeTrigger):
    """Listens to a list in this process."""

    types: ClassVar[tuple[str, ...]] = ("test.Events",)
    examples: ClassVar[tuple[str, ...]] = ("id: events\ntype: test.Events\nsource: a\n",)
    source: Dynamic[str]

    def listen(self, context: Any, emit: Emit, stopped: threading.Event) -> None:
        source = SOURCES[str(self.source)]
        source.listeners += 1
        try:
            while not stopped.wait(0.02):
                if source.breaks:
                    source.breaks = False
                    raise TaskFailed("the broker went away", code="test.broken")
                while source.events and not stopped.is_set():
                    event_id, variables = source.events[0]
                    emit(event_id, variables)
                    source.taken.append(event_id)
                    source.events.pop(0)
        finally:
            source.listeners -= 1


class Look(TriggerType):
    """A look that takes as long as the test wants."""

    types: ClassVar[tuple[str, ...]] = ("test.Look",)
    examples: ClassVar[tuple[str, ...]] = ("id: look\ntype: test.Look\nsource: a\n",)
    source: Dynamic[str]
    secret: Dynamic[str] | None = None
    interval: str = "PT1S"

    def evaluate(self, context: Any) -> Any:
        source = SOURCES[str(self.source)]
        source.looks += 1
        source.hold.wait(SOON)
        if source.breaks:
            raise TaskFailed(f"nothing answers to {self.secret}", code="test.broken")
        return source.events.pop(0)[1] if source.events else None


for kind in (Events, Look):
    discover().register_trigger(kind)


@pytest.fixture
def source() -> Iterator[Source]:
    SOURCES["a"] = found = Source()
    found.hold.set()
    yield found
    found.hold.set()


class Fleet:
    """A gateway on the world's tables, and workers at it."""

    def __init__(self, world: TriggerWorld, folder: Path) -> None:
        from controlplane.catalog.engine_flows import flow_of

        self.world = world
        self.folder = folder
        self.inbox = folder / "open"
        self.inbox.mkdir()
        self._recorder = Recorder(world.url, world.hub)
        self._recorder.start()
        self._gateway = GatewayServer(world.engine, self._recorder, flow_of, "127.0.0.1:0")
        self._gateway.start()
        world.scheduler.start()  # takes locks away whose execution is over

    @contextmanager
    def worker(self, name: str = "w1") -> Iterator[AgentThread]:
        """A worker for as long as the block lasts."""
        options = WorkerOptions(
            plane=f"127.0.0.1:{self._gateway.port}",
            data=self.folder / name,
            join_token=create_join_token(TENANT),
            process_slots=1,
            drain_seconds=1.0,
            local_paths=(self.inbox,),
        )
        with AgentThread(Agent(options)) as running:
            yield running

    def close(self) -> None:
        self.world.scheduler.stop()
        self._gateway.stop()
        self._recorder.stop()


@pytest.fixture
def fleet(world: TriggerWorld, tmp_path: Path) -> Iterator[Fleet]:
    running = Fleet(world, tmp_path)
    yield running
    running.close()


def until(reached: Callable[[], Any], seconds: float = SOON) -> Any:
    """Waits for something; gives it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = reached()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to be")


def trigger(type_name: str, more: str = "", trigger_id: str = "t") -> str:
    lines = [f"  - id: {trigger_id}", f"    type: {type_name}", *(f"    {line}" for line in more.splitlines())]
    return "\n".join(lines) + "\n"


def key(flow_id: str = "f", trigger_id: str = "t") -> tuple[str, str, str, str]:
    return (TENANT, NAMESPACE, flow_id, trigger_id)


# -- polling ------------------------------------------------------------------------------------------------------------


def test_a_worker_looks_and_its_finding_starts_an_execution(world: TriggerWorld, fleet: Fleet, source: Source) -> None:
    source.events.append(("", {"n": 7}))
    head = "labels:\n  team: core\ninputs:\n  - id: n\n    type: INT\n"
    more = 'source: a\nlabels:\n  by: look\ninputs:\n  n: "{{ trigger.n }}"'
    world.save(flow("f", trigger("test.Look", more), head=head))
    with fleet.worker():
        (execution,) = world.wait_for(1, "f", SOON)
        assert execution["trigger"]["variables"] == {"n": 7}
        assert execution["inputs"] == {"n": 7}
        labels = labels_of(execution)
        assert (labels["team"], labels["by"], labels["system.correlationId"]) == ("core", "look", execution["id"])
        assert execution["cause"]["kind"] == "trigger"
        until(lambda: source.looks >= 3)
    assert len(world.executions("f")) == 1


def test_trap_9_the_next_look_is_reckoned_from_the_answer(world: TriggerWorld, fleet: Fleet, source: Source) -> None:
    source.hold.clear()
    world.save(flow("f", trigger("test.Look", "source: a\ninterval: PT1H")))
    with fleet.worker():
        until(lambda: source.looks)
        assert world.codes("t", "f")[0] == "trigger.evaluating"
        reason = world.explain("t", "f")[0]
        assert reason["workerId"] == world.row("t", "f").worker_id
        time.sleep(0.3)
        answered = world.connection.now_us()
        source.hold.set()
        until(lambda: world.row("t", "f").evaluation_id is None)
        assert world.due("t", "f") >= answered + HOUR_US
        assert world.codes("t", "f") == ["polling.nothing", "polling.waits"]


def test_while_its_execution_runs_nobody_looks(world: TriggerWorld, fleet: Fleet, source: Source) -> None:
    source.events.append(("", {"n": 1}))
    source.events.append(("", {"n": 2}))
    world.save(flow("f", trigger("test.Look", "source: a"), tasks=WAITING, head="workerGroup:\n  key: nobody\n"))
    world.set({"worker_group": "default"}, "t", "f")
    with fleet.worker():
        (execution,) = world.wait_for(1, "f", SOON)
        time.sleep(2.5)
        assert source.looks == 1
        assert "trigger.locked" in world.codes("t", "f")
        world.end(execution["id"])
        world.wait_for(2, "f", SOON)


def test_a_look_that_fails_says_why_and_is_tried_again(
    world: TriggerWorld, fleet: Fleet, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", base64.b64encode(b"hush-hush").decode())
    source.breaks = True
    world.save(flow("f", trigger("test.Look", "source: a\nsecret: \"{{ secret('TOKEN') }}\"")))
    with fleet.worker():
        reason = until(lambda: next((one for one in world.explain("t", "f") if one["code"] == "test.broken"), None))
        assert reason["message"] == "nothing answers to ******"
        until(lambda: source.looks >= 2)
    assert world.executions("f") == []


def test_fail_on_trigger_error_makes_a_failed_execution(world: TriggerWorld, fleet: Fleet, source: Source) -> None:
    source.breaks = True
    world.save(flow("f", trigger("test.Look", "source: a\nfailOnTriggerError: true\ninterval: PT1H")))
    with fleet.worker():
        (execution,) = world.wait_for(1, "f", SOON)
    assert (execution["state"], execution["error"]["code"]) == ("FAILED", "test.broken")


def test_without_a_worker_it_says_so(world: TriggerWorld, source: Source) -> None:
    world.save(flow("f", trigger("test.Look", "source: a")))
    assert world.codes("t", "f") == ["worker.none", "trigger.due"]


def test_trap_7_conditions_of_a_polling_trigger_that_raise_make_a_failed_execution(
    world: TriggerWorld, fleet: Fleet, source: Source
) -> None:
    more = 'conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: "{{ nothing.of.this }}"'
    world.save(flow("f", trigger("test.Look", f"source: a\ninterval: PT1H\n{more}")))
    with fleet.worker():
        (execution,) = world.wait_for(1, "f", SOON)
    assert execution["state"] == "FAILED"
    assert source.looks == 0
    assert world.due("t", "f") > world.connection.now_us() + HOUR_US // 2


def test_an_evaluation_whose_worker_is_gone_is_lent_to_another(world: TriggerWorld, fleet: Fleet, source: Source) -> None:
    source.hold.clear()
    source.events += [("", {"n": 1}), ("", {"n": 2})]
    world.save(flow("f", trigger("test.Look", "source: a")))
    with fleet.worker("dead"):
        until(lambda: source.looks == 1)
        first = world.row("t", "f")
        # Its lease ran out: as if it had been silent for half a minute.
        world.set({"evaluation_until_us": world.connection.now_us() - SECOND_US, "worker_id": new_id()}, "t", "f")
        until(lambda: source.looks == 2)
        assert world.row("t", "f").evaluation_id != first.evaluation_id
        # Both looks find something; what the one that was given up says is not taken.
        source.hold.set()
        world.wait_for(1, "f", SOON)
        until(lambda: source.looks >= 3)
    assert len(world.executions("f")) == 1


def test_a_worker_that_leaves_gives_back_what_it_held(world: TriggerWorld, fleet: Fleet, source: Source) -> None:
    world.save(flow("f", trigger("test.Events", "source: a")))
    with fleet.worker():
        until(lambda: source.listeners == 1)
    until(lambda: world.row("t", "f").evaluation_id is None, 5)
    with fleet.worker("w2"):
        until(lambda: source.listeners == 1)


def test_restart_begins_a_new_evaluation(world: TriggerWorld, fleet: Fleet, source: Source) -> None:
    source.hold.clear()
    world.save(flow("f", trigger("test.Look", "source: a\ninterval: PT1H")))
    with fleet.worker():
        until(lambda: source.looks == 1)
        actions.restart(key())
        until(lambda: source.looks == 2)
        source.hold.set()


# -- realtime -----------------------------------------------------------------------------------------------------------


def test_trap_19_every_event_starts_an_execution_at_once_without_a_lock(
    world: TriggerWorld, fleet: Fleet, source: Source
) -> None:
    source.events += [(f"e{number}", {"n": number}) for number in range(5)]
    world.save(flow("f", trigger("test.Events", "source: a")))
    with fleet.worker():
        found = world.wait_for(5, "f", SOON)
        assert world.codes("t", "f") == ["realtime.listens"]
    assert sorted(execution["trigger"]["variables"]["n"] for execution in found) == [0, 1, 2, 3, 4]
    assert source.taken == ["e0", "e1", "e2", "e3", "e4"]


def test_an_event_that_comes_twice_starts_one_execution(world: TriggerWorld, fleet: Fleet, source: Source) -> None:
    source.events += [("same", {"n": 1}), ("same", {"n": 1}), ("other", {"n": 2})]
    world.save(flow("f", trigger("test.Events", "source: a")))
    with fleet.worker():
        until(lambda: source.taken == ["same", "same", "other"])
    assert len(world.executions("f")) == 2


def test_a_subscription_that_breaks_off_makes_a_failed_execution_and_is_begun_anew(
    world: TriggerWorld, fleet: Fleet, source: Source
) -> None:
    world.save(flow("f", trigger("test.Events", "source: a")))
    with fleet.worker():
        until(lambda: source.listeners == 1)
        source.breaks = True
        (execution,) = world.wait_for(1, "f", SOON)
        assert (execution["state"], execution["error"]["code"]) == ("FAILED", "test.broken")
        world.set({"next_at_us": world.connection.now_us()}, "t", "f")  # not waiting for the pause
        until(lambda: source.listeners == 1)
        source.events.append(("e1", {"n": 1}))
        world.wait_for(2, "f", SOON)


def test_a_subscription_ends_when_its_flow_changes_and_begins_with_the_new_text(
    world: TriggerWorld, fleet: Fleet, source: Source
) -> None:
    SOURCES["b"] = Source()
    world.save(flow("f", trigger("test.Events", "source: a")))
    with fleet.worker():
        until(lambda: source.listeners == 1)
        world.save(flow("f", trigger("test.Events", "source: b")))
        until(lambda: source.listeners == 0 and SOURCES["b"].listeners == 1)
        world.save(flow("f", trigger("test.Events", "source: b"), head="disabled: true\n"))
        until(lambda: SOURCES["b"].listeners == 0)


def test_elements_of_a_redis_list_start_one_execution_each(world: TriggerWorld, fleet: Fleet) -> None:
    reason = redis_server.unavailable()
    if reason:
        pytest.skip(reason)
    import redis

    client: Any = redis.Redis.from_url(redis_server.SERVER, decode_responses=True)
    name = f"headrace-test-{new_id()}"
    more = f"url: {redis_server.SERVER}\nkey: {name}\nserdeType: JSON"
    world.save(flow("f", trigger("io.kestra.plugin.redis.list.RealtimeTrigger", more)))
    # One element was told by a worker that died before it was stored, one had not even been told.
    mine = f"{name}:headrace:{NAMESPACE}.f.t"
    client.rpush(f"{mine}:work", 'id-of-old {"n": 0}')
    client.rpush(f"{mine}:inbox", '{"n": 1}')
    client.rpush(name, '{"n": 2}')
    try:
        with fleet.worker():
            found = world.wait_for(3, "f", SOON)
            until(lambda: client.llen(f"{mine}:work") == 0)
        assert [execution["trigger"]["variables"]["value"]["n"] for execution in found] == [0, 1, 2]
        assert client.llen(f"{mine}:inbox") == 0
    finally:
        client.delete(name, f"{mine}:work", f"{mine}:inbox")


# -- types that come with the product -----------------------------------------------------------------------------------


class _Site(BaseHTTPRequestHandler):
    ready = False

    def do_GET(self) -> None:
        body = b'{"ready": %s}' % (b"true" if type(self).ready else b"false")
        self.send_response(200 if type(self).ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Kind", "status")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    _Site.ready = False
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/status"
    server.shutdown()


def test_an_address_that_answers_as_wanted_starts_an_execution(world: TriggerWorld, fleet: Fleet, site: str) -> None:
    more = f'uri: {site}\ninterval: PT1S\nresponseCondition: "{{{{ fromJson(response.body).ready }}}}"'
    world.save(flow("f", trigger("io.kestra.plugin.core.http.Trigger", more)))
    with fleet.worker():
        until(lambda: "polling.nothing" in world.codes("t", "f"))
        assert world.executions("f") == []
        _Site.ready = True
        execution = world.wait_for(1, "f", SOON)[0]
    found = execution["trigger"]["variables"]
    assert (found["code"], found["uri"], found["body"]) == (200, site, '{"ready": true}')
    assert found["headers"]["x-kind"] == ["status"]


@pytest.mark.parametrize("action", ["NONE", "DELETE", "MOVE"])
def test_files_in_an_open_folder_start_an_execution_once(world: TriggerWorld, fleet: Fleet, action: str) -> None:
    (fleet.inbox / "a.csv").write_text("one")
    (fleet.inbox / "b.txt").write_text("not wanted")
    done = fleet.inbox / "done"
    more = f'from: {fleet.inbox}\nregExp: ".*[.]csv"\ninterval: PT1S\naction: {action}'
    if action == "MOVE":
        more += f"\nmoveDirectory: {done}"
    world.save(flow("f", trigger("io.kestra.plugin.fs.local.Trigger", more)))
    with fleet.worker():
        (execution,) = world.wait_for(1, "f", SOON)
        (file,) = execution["trigger"]["variables"]["files"]
        assert (file["name"], file["size"]) == ("a.csv", 3)
        assert file["uri"].startswith("kestra:///")
        assert execution["id"] in file["uri"]
        until(lambda: (fleet.inbox / "a.csv").exists() is (action == "NONE"))
        if action == "MOVE":
            assert (done / "a.csv").read_text() == "one"
        until(lambda: "polling.nothing" in world.codes("t", "f"))
        assert len(world.executions("f")) == 1


def test_a_folder_that_is_not_open_is_refused(world: TriggerWorld, fleet: Fleet, tmp_path: Path) -> None:
    more = f"from: {tmp_path}\ninterval: PT1H"
    world.save(flow("f", trigger("io.kestra.plugin.fs.local.Trigger", more)))
    with fleet.worker():
        until(lambda: "file.not_allowed" in world.codes("t", "f"))


def test_a_query_that_gives_rows_starts_an_execution(world: TriggerWorld, fleet: Fleet) -> None:
    more = "sql: SELECT 1 AS n UNION ALL SELECT 2 ORDER BY n\ninterval: PT1H"
    world.save(flow("f", trigger("io.kestra.plugin.jdbc.duckdb.Trigger", more)))
    world.save(flow("g", trigger("io.kestra.plugin.jdbc.duckdb.Trigger", "sql: SELECT 1 WHERE false\ninterval: PT1H")))
    with fleet.worker():
        (execution,) = world.wait_for(1, "f", SOON)
        assert execution["trigger"]["variables"] == {"rows": [{"n": 1}, {"n": 2}], "size": 2}
        until(lambda: "polling.nothing" in world.codes("t", "g"))
