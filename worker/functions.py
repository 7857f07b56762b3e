"""Expression functions that only a worker has, because they wait for the plane or the network (expressions §7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flows.errors import ExpressionError
from wire import gateway
from worker import limits
from worker.door import Bridge, Door
from worker.errors import TaskFailed
from worker.files import AttemptFiles
from worker.keys import Keys
from worker.logship import ERROR, NAMES
from worker.secrets import Secrets

WAITING_FUNCTIONS = frozenset(
    ["secret", "kv", "read", "fileSize", "fileExists", "fileEmpty", "isFileEmpty", "errorLogs", "http", "fileURI"]
)
"""What templates call that is answered here: such templates are rendered in a thread, never on the loop."""


class Functions:
    """The functions of one attempt. They wait: call them from a thread, not from the loop."""

    def __init__(
        self,
        lease: gateway.AttemptToken,
        door: Door,
        bridge: Bridge,
        files: AttemptFiles,
        secrets: Secrets,
        keys: Keys,
        namespace: str,
        flow_id: str,
    ) -> None:
        self._lease = lease
        self._door = door
        self._bridge = bridge
        self._files = files
        self._secrets = secrets
        self._keys = keys
        self._namespace = namespace
        self._flow_id = flow_id

    def by_name(self) -> Mapping[str, Callable[..., Any]]:
        """For `Scope(functions=…)`."""
        return {
            "secret": self._secrets.get,
            "kv": self._keys.function,
            "read": self.read,
            "fileURI": self.file_uri,
            "fileSize": self.file_size,
            "fileExists": self.file_exists,
            "fileEmpty": self.file_empty,
            "isFileEmpty": self.file_empty,
            "errorLogs": self.error_logs,
            "http": self.http,
        }

    def read(self, path: Any, namespace: Any = None, version: Any = None) -> str:
        """`read(path, namespace, version)`: the text of a namespace file, or of a `kestra:///` file the execution may read."""
        return self._files.read(str(path), "" if namespace is None else str(namespace), _whole(version))

    def file_uri(self, path: Any) -> str:
        """`fileURI(path)`: the address of a namespace file. Nothing is asked; `..` is refused."""
        name = str(path).lstrip("/")
        if ".." in name.split("/"):
            raise ExpressionError(f"fileURI: the path {name!r} leads out of the namespace", code="file.name_refused")
        return f"kestra:///{self._namespace.replace('.', '/')}/_files/{name}"

    def file_size(self, path: Any) -> int:
        """`fileSize(uri)`: bytes. Raises for a file that is not there."""
        found = self._info(path)
        if not found.exists:
            raise TaskFailed(f"There is no file {path}.", code="file.missing")
        return found.size_bytes

    def file_exists(self, path: Any) -> bool:
        """`fileExists(uri)`."""
        return self._info(path).exists

    def file_empty(self, path: Any) -> bool:
        """`isFileEmpty(uri)`, `fileEmpty(uri)`. Raises for a file that is not there."""
        return self.file_size(path) == 0

    def _info(self, path: Any) -> gateway.FileInfoResult:
        text = str(path)
        uri = text if "://" in text else "nsfile:///" + text.lstrip("/")
        request = gateway.FileInfoRequest(token=self._lease, uri=uri)
        return self._bridge.wait(
            self._door.ask("FileInfo", request, gateway.FileInfoResult, "asking for a file", "file.unavailable")
        )

    def error_logs(self) -> list[dict[str, Any]]:
        """`errorLogs()`: ERROR records of the execution's failed attempts; waits up to 5 s until all of them are stored."""
        until = time.monotonic() + limits.ERROR_LOGS_SECONDS
        request = gateway.FetchLogsRequest(token=self._lease, level_min=ERROR, failed_only=True)
        while True:
            records, complete = self._bridge.wait(self._door.fetch_logs(request))
            if complete or time.monotonic() >= until:
                break
            time.sleep(0.2)
        return [self.log_entry(record) for record in records[: limits.ERROR_LOGS_MAX]]

    def log_entry(self, record: gateway.LogRecord) -> dict[str, Any]:
        """A log record as flows see it."""
        at = datetime.fromtimestamp(record.at_us / 1_000_000, UTC)
        return {
            "namespace": self._namespace,
            "flowId": self._flow_id,
            "executionId": self._lease.execution_id,
            "taskId": record.task_id,
            "taskRunId": record.task_run_id,
            "attemptNumber": max(0, record.attempt - 1),
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "level": NAMES[min(record.level, 4)],
            "message": record.text,
        }

    def http(
        self,
        uri: Any,
        method: Any = "GET",
        query: Any = None,
        body: Any = None,
        contentType: Any = "application/json",  # noqa: N803 - as templates spell it
        headers: Any = None,
        options: Any = None,
        accept: Any = "application/json",
    ) -> Any:
        """`http(uri, …)`: the parsed body of the answer. An error status raises. Ten seconds, ten megabytes, no file addresses.

        `options` is accepted; the bounds stay.
        """
        import httpx

        if not str(uri).startswith(("http://", "https://")):
            raise ExpressionError(
                f"http: expected an address with http:// or https://, found {str(uri)[:100]!r}", code="http.address"
            )
        sent = {str(name): str(value) for name, value in (headers or {}).items()}
        content: bytes | None = None
        if body is not None:
            import orjson

            content = body.encode() if isinstance(body, str) else orjson.dumps(body, default=str)
            sent.setdefault("content-type", str(contentType))
        sent.setdefault("accept", str(accept))
        parameters = {str(name): str(value) for name, value in (query or {}).items()}
        try:
            with (
                httpx.Client(timeout=limits.HTTP_FUNCTION_SECONDS, follow_redirects=True) as client,
                client.stream(str(method), str(uri), params=parameters or None, headers=sent, content=content) as answer,
            ):
                data = b""
                for block in answer.iter_bytes():
                    data += block
                    if len(data) > limits.HTTP_FUNCTION_BYTES_MAX:
                        message = f"http: the answer is larger than {limits.HTTP_FUNCTION_BYTES_MAX} bytes"
                        raise ExpressionError(message, code="http.too_large")
                status, kind = answer.status_code, answer.headers.get("content-type", "")
        except httpx.HTTPError as error:
            raise ExpressionError(f"http: {str(uri)[:200]} did not answer: {error}", code="http.failed") from None
        if status >= 400:
            raise ExpressionError(f"http: {str(uri)[:200]} answered {status}", code="http.status")
        return _parsed(data, kind)


def _parsed(data: bytes, kind: str) -> Any:
    """JSON as its value, when it says so or looks so; everything else as text."""
    import orjson

    text = data.decode("utf-8", "replace")
    if "json" in kind or text[:1] in ("{", "["):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            return text
    return text


def _whole(version: Any) -> int:
    if version is None:
        return 0
    try:
        return int(version)
    except (TypeError, ValueError):
        raise ExpressionError(
            f"read: expected a number as version, found {str(version)[:40]!r}", code="expression.type"
        ) from None
