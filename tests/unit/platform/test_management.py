"""The management port: ready or not, with its parts."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from controlplane.management import app


def get(path: str, parts: dict[str, Any]) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def ask() -> None:
        await app(lambda: parts)({"type": "http", "path": path}, receive, send)

    asyncio.run(ask())
    return sent[0]["status"], sent[1]["body"]


def test_health_is_200_when_every_part_is_ready_and_says_which_is_not() -> None:
    status, body = get("/health", {"web": True, "engine": {"ready": True, "commits": 7}})
    assert status == 200
    assert orjson.loads(body)["parts"]["engine"]["commits"] == 7
    status, body = get("/health", {"web": True, "gateway": {"ready": False}})
    assert status == 503
    assert orjson.loads(body)["status"] == "DOWN"


def test_metrics_are_numbers_of_the_parts() -> None:
    _, body = get("/metrics", {"engine": {"ready": True, "commits": 7}})
    assert b"headrace_engine_commits 7\n" in body
    assert b'headrace_ready{part="engine"} 1\n' in body
    assert get("/else", {})[0] == 404
