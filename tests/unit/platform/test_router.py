"""Which requests may last, and so go to the ASGI side."""

from __future__ import annotations

import pytest

from controlplane.router import is_stream


@pytest.mark.parametrize(
    ("method", "path", "query", "lasts"),
    [
        ("GET", "/api/v1/main/executions/x/follow", "", True),
        ("GET", "/api/v1/executions/x/follow", "", True),
        ("GET", "/api/v1/main/logs/x/follow", "minLevel=INFO", True),
        ("GET", "/api/v1/main/executions/x", "", False),
        ("GET", "/api/v1/main/flows/a/follow", "", False),
        ("GET", "/ui/main/executions/x/follow", "", False),
        ("POST", "/api/v1/main/executions/a.b/c", "wait=true", True),
        ("POST", "/api/v1/executions/a.b/c", "labels=a:b&wait=True", True),
        ("POST", "/api/v1/main/executions/a.b/c", "wait=false", False),
        ("POST", "/api/v1/main/executions/a.b/c", "", False),
        ("POST", "/api/v1/main/executions/a.b/c", "labels=wait=true", False),
        ("DELETE", "/api/v1/main/executions/x/follow", "", False),
    ],
)
def test_only_streams_and_waiting_creations_last(method: str, path: str, query: str, lasts: bool) -> None:
    assert is_stream({"type": "http", "method": method, "path": path, "query_string": query.encode()}) is lasts
