"""HTTP tasks against a server of our own: what is sent, what comes back, what is refused."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.task_context import LocalContext
from worker.errors import TaskFailed
from worker.rendering import validate
from worker.tasks.http import Download, Request


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked; some addresses misbehave."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode("utf-8", "replace")
        path = self.path.split("?")[0]
        if path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/echo")
            self.end_headers()
            return
        status = {"/missing": 404, "/broken": 500}.get(path, 200)
        said = {
            "method": self.command,
            "path": self.path,
            "body": body,
            "headers": {k.lower(): v for k, v in self.headers.items()},
        }
        data = {"/binary": b"\xff\xfe\x00", "/empty": b"", "/latin": "é".encode("latin-1")}.get(path, json.dumps(said).encode())
        if path == "/large":
            data = b"x" * 1000
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=iso-8859-1" if path == "/latin" else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Twice", "1")
        self.send_header("X-Twice", "2")
        if path == "/named":
            self.send_header("Content-Disposition", 'attachment; filename="report.csv"')
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


for method_name in ("GET", "POST", "PUT", "DELETE", "PATCH"):
    setattr(Echo, f"do_{method_name}", Echo._answer)


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    return LocalContext(tmp_path)


def request(context: LocalContext, **properties: Any) -> Any:
    return validate(Request, {"id": "r", "type": Request.types[0], **properties}).run(context)


def heard(context: LocalContext, **properties: Any) -> Any:
    """What the server was asked."""
    return json.loads(request(context, **properties).body)


def test_a_request_gives_code_headers_as_lists_and_the_body_as_text(context: LocalContext, site: str) -> None:
    found = request(context, uri=f"{site}/echo")
    assert (found.code, found.uri) == (200, f"{site}/echo")
    assert found.headers["x-twice"] == ["1", "2"]
    assert isinstance(found.body, str)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_methods_headers_and_parameters_arrive(context: LocalContext, site: str, method: str) -> None:
    said = heard(context, uri=f"{site}/echo", method=method, headers={"X-Mine": "a"}, params={"n": [1, 2]})
    assert (said["method"], said["path"], said["headers"]["x-mine"]) == (method, "/echo?n=1&n=2", "a")


def test_a_body_is_json_unless_it_says_otherwise(context: LocalContext, site: str) -> None:
    said = heard(context, uri=f"{site}/echo", method="POST", body='{"n": 1}')
    assert (said["body"], said["headers"]["content-type"]) == ('{"n": 1}', "application/json")
    said = heard(context, uri=f"{site}/echo", method="POST", body="<a/>", contentType="text/xml")
    assert said["headers"]["content-type"] == "text/xml"


def test_forms_are_sent_as_forms(context: LocalContext, site: str) -> None:
    said = heard(context, uri=f"{site}/echo", method="POST", formData={"a": "1", "b": "x y"})
    assert said["body"] == "a=1&b=x+y"
    form = {"plain": "1", "file": {"name": "a.txt", "content": "hello"}}
    said = heard(context, uri=f"{site}/echo", method="POST", contentType="multipart/form-data", formData=form)
    assert said["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    assert 'filename="a.txt"' in said["body"]
    assert "hello" in said["body"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"auth": {"type": "BASIC", "username": "u", "password": "p"}}, "Basic " + base64.b64encode(b"u:p").decode()),
        ({"auth": {"type": "BEARER", "token": "t"}}, "Bearer t"),
        ({"basicAuthUser": "u", "basicAuthPassword": "p"}, "Basic " + base64.b64encode(b"u:p").decode()),
    ],
)
def test_credentials_are_sent(context: LocalContext, site: str, options: dict[str, Any], expected: str) -> None:
    assert heard(context, uri=f"{site}/echo", options=options)["headers"]["authorization"] == expected


def test_a_bad_status_fails_unless_it_is_allowed(context: LocalContext, site: str) -> None:
    with pytest.raises(TaskFailed, match="answered 404") as failure:
        request(context, uri=f"{site}/missing")
    assert failure.value.code == "http.status"
    assert request(context, uri=f"{site}/missing", allowFailed=True).code == 404
    assert request(context, uri=f"{site}/missing", options={"allowFailed": True}).code == 404
    assert request(context, uri=f"{site}/missing", options={"allowedResponseCodes": [404]}).code == 404
    with pytest.raises(TaskFailed):
        request(context, uri=f"{site}/echo", options={"allowedResponseCodes": [404]})


def test_redirects_are_followed_unless_switched_off(context: LocalContext, site: str) -> None:
    assert request(context, uri=f"{site}/redirect").uri == f"{site}/echo"
    assert request(context, uri=f"{site}/redirect", options={"followRedirects": False}).code == 302


@pytest.mark.parametrize(
    ("path", "options", "code"),
    [("/binary", {}, "http.not_text"), ("/large", {"maxContentLength": 100}, "http.too_large")],
)
def test_what_cannot_be_an_output_is_refused(
    context: LocalContext, site: str, path: str, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(TaskFailed) as failure:
        request(context, uri=site + path, options=options)
    assert failure.value.code == code


def test_the_declared_charset_is_used(context: LocalContext, site: str) -> None:
    assert request(context, uri=f"{site}/latin").body == "é"


@pytest.mark.parametrize(("uri", "code"), [("ftp://x/y", "http.uri"), ("http://127.0.0.1:1/", "http.request")])
def test_an_address_that_leads_nowhere_is_told(context: LocalContext, uri: str, code: str) -> None:
    with pytest.raises(TaskFailed) as failure:
        request(context, uri=uri)
    assert failure.value.code == code


def download(context: LocalContext, **properties: Any) -> Any:
    return validate(Download, {"id": "d", "type": Download.types[0], **properties}).run(context)


def test_a_download_is_a_file_with_the_name_its_sender_gives(context: LocalContext, site: str) -> None:
    found = download(context, uri=f"{site}/binary")
    assert (found.code, found.length) == (200, 3)
    assert found.uri.endswith("/binary")
    assert download(context, uri=f"{site}/named").uri.endswith("/report.csv")
    assert download(context, uri=f"{site}/binary", saveAs="mine.bin").uri.endswith("/mine.bin")


def test_an_empty_or_failed_download_fails(context: LocalContext, site: str) -> None:
    for path, code in (("/empty", "http.empty"), ("/broken", "http.status")):
        with pytest.raises(TaskFailed) as failure:
            download(context, uri=site + path)
        assert failure.value.code == code
    assert download(context, uri=f"{site}/empty", failOnEmptyResponse=False).length == 0
