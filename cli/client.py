"""The REST interface as the command line uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx

from cli.failures import CommandFailed

Json = dict[str, Any]


class Refused(CommandFailed):
    """The server answered with an error. `http_status` and `detail` are its own."""

    def __init__(self, http_status: int, detail: str) -> None:
        super().__init__(detail)
        self.http_status = http_status
        self.detail = detail


class Client:
    """Calls of one tenant. `login` is `user:password` or an API token. Use as a context manager or close it."""

    def __init__(self, server: str, tenant: str, login: str, timeout: float = 60) -> None:
        auth: httpx.Auth | None = None
        headers = {}
        if ":" in login:
            auth = httpx.BasicAuth(*login.split(":", 1))
        else:
            headers["Authorization"] = f"Bearer {login}"
        self._server = server.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self._server}/api/v1/{tenant}/", auth=auth, headers=headers, timeout=timeout, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections."""
        self._http.close()

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request below the tenant's address. Raises Refused, or CommandFailed when nobody answers."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise CommandFailed(f"{self._server} does not answer ({type(error).__name__}): is Headrace running there?") from error
        if response.status_code >= 400:
            raise Refused(response.status_code, _detail(response))
        return response

    def validate(self, source: str) -> list[str]:
        """Problems of a flow source, one text each; none when it is valid."""
        rows = self.call("POST", "flows/validate", content=source, headers=YAML).json()
        return [line for row in rows for line in str(row.get("constraints") or "").splitlines()]

    def apply_flow(self, source: str, namespace: str, flow_id: str) -> Json:
        """Creates the flow, or updates it when it is there. The same source makes no new revision."""
        try:
            return dict(self.call("PUT", f"flows/{namespace}/{flow_id}", content=source, headers=YAML).json())
        except Refused as refusal:
            if refusal.http_status != 404:
                raise
        return dict(self.call("POST", "flows", content=source, headers=YAML).json())

    def put_file(self, namespace: str, path: str, content: bytes) -> None:
        """Writes a namespace file."""
        self.call(
            "POST",
            f"namespaces/{namespace}/files",
            params={"path": path},
            files={"fileContent": (path.rsplit("/", 1)[-1], content)},
        )

    def start(self, namespace: str, flow_id: str, inputs: Mapping[str, str], **params: str) -> Json:
        """Starts an execution. Inputs are texts; lists and maps as JSON."""
        parts = {name: (None, value) for name, value in inputs.items()}
        return dict(self.call("POST", f"executions/{namespace}/{flow_id}", files=parts or None, params=params).json())

    def execution(self, execution_id: str) -> Json:
        """An execution as it stands."""
        return dict(self.call("GET", f"executions/{execution_id}").json())

    def executions(self, **filters: str) -> Json:
        """A page of executions: `results` and `total`."""
        return dict(self.call("GET", "executions/search", params=filters).json())

    def logs(self, execution_id: str, **filters: str) -> list[Json]:
        """Stored log entries in order of time."""
        return list(self.call("GET", f"logs/{execution_id}", params=filters).json())

    def kill(self, execution_id: str) -> None:
        """Asks for an execution's end."""
        self.call("DELETE", f"executions/{execution_id}/actions/kill")

    def follow(self, execution_id: str) -> Iterator[tuple[str, Json]]:
        """Frames of an execution while it runs: (`progress` or `end`, the execution)."""
        return self._frames(f"executions/{execution_id}/follow")

    def follow_logs(self, execution_id: str) -> Iterator[tuple[str, Json]]:
        """Log entries, stored ones first, then live ones, until the execution is over."""
        return self._frames(f"logs/{execution_id}/follow")

    def _frames(self, path: str) -> Iterator[tuple[str, Json]]:
        """Server-sent events. The frame's name travels in `id:`."""
        with self._http.stream("GET", path, timeout=httpx.Timeout(10, read=60)) as response:
            if response.status_code >= 400:
                response.read()
                raise Refused(response.status_code, _detail(response))
            name, data = "", []
            for line in response.iter_lines():
                if line.startswith("id:"):
                    name = line[3:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].strip())
                elif not line and data:
                    yield name, json.loads("\n".join(data))
                    name, data = "", []


YAML = {"Content-Type": "application/x-yaml"}


def _detail(response: httpx.Response) -> str:
    """The words of an error answer."""
    try:
        body = response.json()
    except ValueError:
        return f"{response.request.url.path} answered {response.status_code}"
    if isinstance(body, dict):
        return str(body.get("detail") or body.get("message") or body)
    return str(body)
