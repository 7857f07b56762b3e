"""Streams and waiting creations over a real socket, through the router of `headrace up`."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import httpx
import orjson
import pytest

from controlplane.logs.store import Chunk, write_chunks
from controlplane.platform.clock import now_us
from controlplane.platform.database import connect
from controlplane.platform.wakeups import hub
from tests.integration.api.client import FLOW, WAITING, Api

BASE = "/api/v1/main/executions"


@pytest.fixture
def client(server: str, api: Api) -> Any:
    with httpx.Client(base_url=server, headers=api.headers, timeout=20, trust_env=False) as opened:
        yield opened


def frames(response: httpx.Response) -> Any:
    """(name, body) of each frame."""
    name = ""
    for line in response.iter_lines():
        assert not line.startswith("event:")
        if line.startswith("id: "):
            name = line[4:]
        elif line.startswith("data: "):
            yield name, orjson.loads(line[6:])


def test_following_shows_every_state_up_to_the_end(client: httpx.Client, api: Api) -> None:
    api.create(WAITING)
    created = client.post(f"{BASE}/acme.data/waiting").json()
    with client.stream("GET", f"{BASE}/{created['id']}/follow", headers={"Accept": "text/event-stream"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in response.headers
        seen: list[tuple[str, str]] = []
        for name, body in frames(response):
            if not seen:
                killer = threading.Thread(target=client.delete, args=(f"{BASE}/{created['id']}/actions/kill",))
                killer.start()
            seen.append((name, body["state"]["current"]))
        killer.join()
    assert seen[0][0] == "progress"
    assert seen[-1] == ("end", "KILLED")
    assert ("progress", "KILLED") in seen
    assert body["taskRunList"][0]["state"]["current"] == "KILLED"


def test_following_what_is_over_is_one_end_frame(client: httpx.Client, api: Api) -> None:
    api.create(FLOW)
    created = client.post(f"{BASE}/acme.data/hello?wait=true").json()
    with client.stream("GET", f"{BASE}/{created['id']}/follow") as response:
        assert [name for name, _ in frames(response)] == ["end"]


def test_a_waiting_creation_answers_with_the_end(client: httpx.Client, api: Api) -> None:
    api.create(FLOW)
    body = client.post(f"{BASE}/acme.data/hello?wait=true", files={"who": (None, "moon")}).json()
    assert body["state"]["current"] == "SUCCESS"
    assert body["inputs"] == {"who": "moon"}
    assert body["taskRunList"][0]["taskId"] == "quiet"
    assert client.post(f"{BASE}/acme.data/nothing?wait=true").status_code == 404


def test_streams_refuse_like_everything_else(client: httpx.Client, server: str) -> None:
    assert httpx.get(f"{server}{BASE}/x/follow", trust_env=False).status_code == 401
    body = client.get("/api/v1/elsewhere/executions/x/follow")
    assert body.status_code == 404
    assert body.json()["code"] == "tenant.missing"


def test_an_execution_that_never_comes_is_404_before_any_frame(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.executions.streams.APPEAR_SECONDS", 0.3)
    response = client.get(f"{BASE}/0123456789012345678901/follow")
    assert response.status_code == 404
    assert response.json()["code"] == "execution.missing"


def store_lines(url: str, execution: Any, first: int, lines: list[tuple[int, str]], task_run_id: str = "r" * 22) -> None:
    database = connect(url)
    now = now_us()
    chunk = Chunk(
        "main", execution["id"], task_run_id, "say", 1, first, [(now + i, level, text) for i, (level, text) in enumerate(lines)]
    )
    write_chunks(database, [chunk])
    database.close()
    hub.publish("main", execution["id"])


def test_following_logs_replays_then_streams_and_ends_with_the_execution(client: httpx.Client, api: Api, backend: str) -> None:
    api.create(WAITING)
    created = client.post(f"{BASE}/acme.data/waiting").json()
    store_lines(backend, created, 0, [(2, "first"), (1, "too quiet"), (4, "loud")])
    seen: list[Any] = []
    with client.stream("GET", f"/api/v1/main/logs/{created['id']}/follow?minLevel=INFO") as response:
        for name, body in frames(response):
            seen.append((name, body.get("message")))
            if seen[-1] == ("progress", "loud"):
                store_lines(backend, created, 3, [(2, "later")])
                store_lines(backend, created, 0, [(2, "of another run")], "s" * 22)
            if ("progress", "of another run") in seen and ("progress", "later") in seen and name != "end":
                client.delete(f"{BASE}/{created['id']}/actions/kill")
    messages = [message for name, message in seen if name == "progress" and message]
    assert seen[0] == ("start", None)
    assert seen[-1][0] == "end"
    assert sorted(messages) == ["first", "later", "loud", "of another run"]
    assert messages[:2] == ["first", "loud"]


def test_logs_are_listed_filtered_downloaded_and_searched(client: httpx.Client, api: Api, backend: str) -> None:
    api.create(WAITING)
    created = client.post(f"{BASE}/acme.data/waiting").json()
    store_lines(backend, created, 0, [(2, "hello"), (3, "careful"), (4, "broken thing")])
    logs = f"/api/v1/main/logs/{created['id']}"
    rows = client.get(logs).json()
    assert [row["message"] for row in rows] == ["hello", "careful", "broken thing"]
    assert rows[0]["attemptNumber"] == 0
    assert rows[0]["timestamp"].endswith("Z")
    assert [row["level"] for row in client.get(f"{logs}?minLevel=WARN").json()] == ["WARN", "ERROR"]
    assert client.get(f"{logs}?filters[level][EQUALS]=ERROR").json()[0]["message"] == "broken thing"
    assert client.get(f"{logs}?taskId=other").json() == []
    assert client.get(f"{logs}?minLevel=LOUD").status_code == 400
    text = client.get(f"{logs}/download")
    assert text.headers["content-type"].startswith("text/plain")
    assert text.text.splitlines()[1].endswith(" WARN careful")
    found = client.get("/api/v1/main/logs/search?q=thing&minLevel=INFO&flowId=waiting").json()
    assert (found["total"], found["type"], found["results"][0]["message"]) == (1, "OFFSET", "broken thing")
    assert client.get("/api/v1/main/logs/unknown").json() == []
    assert client.get("/api/v1/main/logs/unknown/download").status_code == 200
    client.delete(logs)
    assert client.get(logs).json() == []


def test_fifty_followers_do_not_hold_up_rest(server: str, api: Api) -> None:
    api.create(WAITING)

    async def run() -> float:
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(base_url=server, headers=api.headers, timeout=20, limits=limits, trust_env=False) as client:
            created = (await client.post(f"{BASE}/acme.data/waiting")).json()
            ready = asyncio.Semaphore(0)

            async def follow() -> str:
                async with client.stream("GET", f"{BASE}/{created['id']}/follow") as response:
                    name = ""
                    async for line in response.aiter_lines():
                        if line.startswith("id: ") and not name:
                            ready.release()
                        if line.startswith("id: "):
                            name = line[4:]
                    return name

            following = [asyncio.create_task(follow()) for _ in range(50)]
            for _ in following:
                await ready.acquire()
            begun = time.monotonic()
            assert (await client.get(f"{BASE}/search")).status_code == 200
            took = time.monotonic() - begun
            await client.delete(f"{BASE}/{created['id']}/actions/kill")
            assert await asyncio.gather(*following) == ["end"] * 50
            return took

    assert asyncio.run(run()) < 2.0
