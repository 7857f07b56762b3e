"""Drives REST as fast as a client can on the same machine: plain http.client connections kept open, no parsing beyond need."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]

IDLE_SECONDS = 3.0
"""After this long without a request a connection is opened anew: servers close them after five."""


class Connection:
    """One kept-open connection with a bearer token."""

    def __init__(self, address: str, token: str, tenant: str = "main") -> None:
        parts = urlsplit(address)
        self._http = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._root = f"/api/v1/{tenant}"
        self._used_at = time.monotonic()

    def call(self, method: str, path: str, body: bytes | None = None, content_type: str | None = None) -> Any:
        """The parsed answer. Raises RuntimeError for an error status."""
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._http.close()  # the server closes idle connections; a new one is opened by the request
        self._http.request(method, self._root + path, body=body, headers=headers)
        answer = self._http.getresponse()
        content = answer.read()
        self._used_at = time.monotonic()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {content[:300]!r}")
        return json.loads(content) if content else None

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()


def in_threads(count: int, each: Callable[[int], None]) -> None:
    """Runs `each(number)` in that many threads at once and waits for all. Raises what the first of them raised."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            each(number)
        except BaseException as failure:  # noqa: BLE001 - handed to the caller below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def wait_until_over(connection: Connection, execution_id: str, timeout: float) -> Json:
    """The execution once it is terminal; polled ever more rarely, so that watching costs little."""
    deadline = time.monotonic() + timeout
    pause = 0.005
    while True:
        execution: Json = connection.call("GET", f"/executions/{execution_id}")
        if execution["state"].get("endDate"):
            return execution
        if time.monotonic() > deadline:
            raise TimeoutError(f"execution {execution_id} is still {execution['state']['current']} after {timeout} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def seconds_between(earlier: str, later: str) -> float:
    """Between two ISO times."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def state_at(state: Json, name: str) -> str | None:
    """When a state was entered the last time, from its history."""
    return next((entry["date"] for entry in reversed(state["histories"]) if entry["state"] == name), None)


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
