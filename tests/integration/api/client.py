"""A small client over Django's test client: real routing, middleware and database, no socket."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpResponse
from django.test import Client

FLOW = """\
# a comment that must survive
id: hello
namespace: acme.data
description: Says hello

labels:
  team: core
inputs:
  - id: who
    type: STRING
    defaults: world
tasks:
  - id: quiet
    type: io.kestra.plugin.core.log.Log
    message: "hello {{ inputs.who }}"
    runIf: "false"
"""
"""Ends SUCCESS without any worker: its only task is skipped."""

WAITING = """\
id: waiting
namespace: acme.data
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: nobody is there to say it
"""
"""Waits for a worker for ever."""


class Api:
    """Requests with a Bearer token, or without."""

    def __init__(self, token: str | None = None) -> None:
        self.http = Client()
        self.token = token

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def __call__(self, method: str, path: str, body: Any = None, kind: str = "", expect: int = 200, **more: Any) -> Any:
        """Sends a request; the JSON of the answer, or its text. Fails when the status is not the expected one."""
        response = self.raw(method, path, body, kind, **more)
        assert response.status_code == expect, f"{method} {path}: {response.status_code} {text_of(response)[:1000]}"
        if "json" in response.headers.get("Content-Type", "") and text_of(response):
            return orjson.loads(response.content)
        return text_of(response)

    def raw(self, method: str, path: str, body: Any = None, kind: str = "", **more: Any) -> HttpResponse:
        """The answer itself."""
        headers = {**self.headers, **more.pop("headers", {})}
        arguments: dict[str, Any] = {"headers": headers, **more}
        if body is not None and kind == "multipart":
            arguments |= {"data": body}
            return getattr(self.http, method.lower())(path, **arguments)  # type: ignore[no-any-return]
        if body is not None:
            json = not isinstance(body, (str, bytes))
            arguments |= {"data": body, "content_type": kind or ("application/json" if json else "application/x-yaml")}
        return self.http.generic(method, path, **_encoded(arguments))  # type: ignore[return-value]

    def create(self, source: str) -> Any:
        """Creates a flow."""
        return self("POST", "/api/v1/main/flows", source)


def _encoded(arguments: dict[str, Any]) -> dict[str, Any]:
    data = arguments.get("data")
    if data is not None and not isinstance(data, (str, bytes)):
        arguments["data"] = orjson.dumps(data)
    return arguments


def text_of(response: Any) -> str:
    """The body, also of a stream."""
    if response.streaming:
        return b"".join(response.streaming_content).decode()
    return str(response.content.decode())
