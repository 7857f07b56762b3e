"""The task types `io.kestra.plugin.core.http.Request` and `Download`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from flows.plugins import Dynamic, Properties, TaskKind, TaskType
from worker.errors import TaskFailed
from worker.tasks.http.client import Options, RequestProperties, answer, answered, headers_of, require_good

_FILE_NAME = re.compile(r"""filename\*?=(?:UTF-8'')?"?([^";]+)"?""", re.IGNORECASE)


class RequestOutputs(Properties):
    """The answer. `body` is text: use `fromJson(outputs.<task>.body)` for JSON."""

    uri: str
    code: int
    headers: dict[str, list[str]]
    body: str | None = None


class Request(TaskType, RequestProperties):
    """Sends a request and gives the answer; 400 and above fail the task unless `allowFailed` is true."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.http.Request",)
    kind: ClassVar[TaskKind] = "light"
    title: ClassVar[str] = "Send an HTTP request"
    outputs: ClassVar[type[Properties]] = RequestOutputs
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: products
type: io.kestra.plugin.core.http.Request
uri: https://api.example.com/products
headers:
  Accept: application/json
options:
  auth:
    type: BEARER
    token: "{{ secret('API_TOKEN') }}"
""",
    )

    allow_failed: Dynamic[bool] = False
    encrypt_body: Dynamic[bool] = False

    def run(self, context: Any) -> RequestOutputs:
        """Raises TaskFailed: `http.status`, `http.request`, `http.not_text`, `http.too_large`."""
        if self.encrypt_body:
            raise TaskFailed("encryptBody is not supported: keep the answer out of outputs, or in a secret", code="http.encrypt")
        found = answer(self, context)
        charset = str((self.options or Options()).default_charset)
        try:
            body = found.text(charset)
        except ValueError:
            require_good(self, found.code, bool(self.allow_failed))
            raise TaskFailed(f"{self.uri}: the body is no text; use the Download task", code="http.not_text") from None
        require_good(self, found.code, bool(self.allow_failed), body)
        return RequestOutputs(uri=found.uri, code=found.code, headers=found.headers, body=body)


class DownloadOutputs(Properties):
    """Where the file is, and how it came."""

    uri: str
    code: int
    length: int
    headers: dict[str, list[str]]


class Download(TaskType, RequestProperties):
    """Streams the answer of a request into internal storage."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.http.Download",)
    kind: ClassVar[TaskKind] = "light"
    title: ClassVar[str] = "Download a file"
    outputs: ClassVar[type[Properties]] = DownloadOutputs
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: csv
type: io.kestra.plugin.core.http.Download
uri: https://example.com/data.csv
""",
    )

    fail_on_empty_response: Dynamic[bool] = True
    allow_failed: Dynamic[bool] = False
    save_as: Dynamic[str] | None = None

    def run(self, context: Any) -> DownloadOutputs:
        """Raises TaskFailed: `http.status`, `http.request`, `http.empty`."""
        path = context.workdir / ".download"
        with answered(self, context) as response:
            require_good(self, response.status_code, bool(self.allow_failed))
            length = 0
            with path.open("wb") as file:
                for piece in response.iter_bytes():
                    length += file.write(piece)
            code, headers, url = response.status_code, headers_of(response), str(response.url)
        if length == 0 and self.fail_on_empty_response:
            raise TaskFailed(f"{self.uri}: the answer is empty; failOnEmptyResponse: false allows it", code="http.empty")
        uri = context.output_file(path, str(self.save_as) if self.save_as else file_name(headers, url))
        return DownloadOutputs(uri=uri, code=code, length=length, headers=headers)


def file_name(headers: dict[str, list[str]], url: str) -> str:
    """What the sender calls the file, else the last part of the address, else `download`."""
    for value in headers.get("content-disposition", []):
        match = _FILE_NAME.search(value)
        if match:
            name = PurePosixPath(unquote(match[1])).name
            if name not in ("", ".", ".."):
                return name
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return name if re.fullmatch(r"[\w.+ -]{1,200}", name) and name not in (".", "..") else "download"
