"""Whatever a client sends, the answer is a 4xx with our error body; never a 500, never a traceback."""

from __future__ import annotations

import pytest

from tests.integration.api.client import FLOW, Api

NASTY = [
    "%00",
    "%FF%FE",
    "..",
    "%2e%2e%2f",
    "{{ x }}",
    "%7B%7B%20x%20%7D%7D",
    "a" * 3000,
    "'; DROP TABLE flow;--",
    "%F0%9F%92%A9",
    "-1",
    "0",
]
QUERIES = [
    "page=99999999999999999999",
    "page=-1",
    "size=abc",
    "size=0",
    "sort=%00:asc",
    "q=%00",
    "namespace=%00",
    "filters[q][EQUALS]=%00",
    "filters[labels][EQUALS][%00]=%00",
    "filters[labels][EQUALS]=nocolon",
    "filters[namespace][REGEX]=%5B",
    "filters[namespace][IN]=",
    "filters[[]]=1",
    "labels=nocolon",
    "startDate=yesterday",
    "timeRange=P1Y",
    "revision=99999999999",
    "minLevel=%00",
    "path=%00",
    "\xff=\xff",
]
PATHS = [
    "flows/search",
    "executions/search",
    "logs/search",
    "flows/a/b",
    "executions/x",
    "logs/x",
    "namespaces/a/files",
    "metrics/x",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_path_segments(api: Api, nasty: str) -> None:
    for path in (
        f"{nasty}/flows/search",
        f"main/flows/{nasty}/{nasty}",
        f"main/executions/{nasty}",
        f"main/logs/{nasty}",
        f"main/flows/{nasty}",
    ):
        for method in ("GET", "DELETE", "PUT", "POST"):
            response = api.raw(method, f"/api/v1/{path}", FLOW if method in ("PUT", "POST") else None)
            assert response.status_code < 500, (method, path, response.content[:300])
            assert b"Traceback" not in response.content


@pytest.mark.parametrize("query", QUERIES)
def test_query_parameters(api: Api, query: str) -> None:
    for path in PATHS:
        response = api.raw("GET", f"/api/v1/main/{path}?{query}")
        assert response.status_code < 500, (path, query, b"".join(response))


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"\xff\xfe", b"[", b"{}", b"null", b"a: &a [*a]", b"- " * 5000, b"!!python/object:os.system x"]
)
@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-yaml", "text/plain", "multipart/form-data", "application/octet-stream", "x"]
)
def test_bodies(api: Api, body: bytes, kind: str) -> None:
    for method, path in (
        ("POST", "main/flows"),
        ("POST", "main/flows/validate"),
        ("POST", "main/flows/bulk"),
        ("POST", "main/executions/a/b"),
        ("POST", "main/namespaces/a/files?path=x"),
        ("POST", "me/api-tokens"),
        ("POST", "login"),
        ("POST", "setup"),
    ):
        response = api.raw(method, f"/api/v1/{path}", body, kind)
        assert response.status_code < 500, (path, kind, body, response.content[:400])


def test_a_login_with_a_nul_is_a_wrong_login(api: Api) -> None:
    assert api.raw("POST", "/login", {"username": "a\x00", "password": "b\x00"}).status_code in (400, 401)


def test_a_draft_does_not_run(api: Api) -> None:
    api("POST", "/api/v1/main/flows?draft=true", FLOW)
    assert api("POST", "/api/v1/main/executions/acme.data/hello", expect=409)["code"] == "flow.draft"
