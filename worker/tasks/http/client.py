"""One HTTP request as flows write it (tasks spec §4): properties in, an answer out. What the tasks and the trigger share."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import ConfigDict, Field

from flows.plugins import Dynamic, Properties
from worker.errors import TaskFailed

CONNECT_SECONDS = 10.0
READ_SECONDS = 10.0
IDLE_SECONDS = 300.0
CONTENT_BYTES_MAX = 10 * 1024 * 1024
"""Of a body that is read into memory, unless `options.maxContentLength` says otherwise."""

REDIRECTS_MAX = 20


class Auth(Properties):
    """`options.auth`: BASIC with user name and password, BEARER with a token, DIGEST."""

    type: Dynamic[Literal["BASIC", "BEARER", "DIGEST"]] = "BASIC"
    username: Dynamic[str] | None = None
    password: Dynamic[str] | None = None
    token: Dynamic[str] | None = None


class Timeouts(Properties):
    """`options.timeout`."""

    connect_timeout: Dynamic[timedelta] | None = None
    read_idle_timeout: Dynamic[timedelta] | None = None


class Proxy(Properties):
    """`options.proxy`."""

    type: Dynamic[str] | None = None
    address: Dynamic[str] | None = None
    port: Dynamic[int] | None = None
    username: Dynamic[str] | None = None
    password: Dynamic[str] | None = None


class Ssl(Properties):
    """`sslOptions`, `options.ssl`."""

    insecure_trust_all_certificates: Dynamic[bool] = False


class Options(Properties):
    """How the request is made; older and newer names side by side."""

    model_config = ConfigDict(extra="ignore")  # what only tunes a connection pool is of no use here

    timeout: Timeouts | None = None
    connect_timeout: Dynamic[timedelta] | None = None
    read_timeout: Dynamic[timedelta] | None = None
    read_idle_timeout: Dynamic[timedelta] | None = None
    max_content_length: Dynamic[int] = CONTENT_BYTES_MAX
    follow_redirects: Dynamic[bool] = True
    default_charset: Dynamic[str] = "UTF-8"
    allow_failed: Dynamic[bool] = False
    allowed_response_codes: Dynamic[list[int]] | None = None
    auth: Auth | None = None
    basic_auth_user: Dynamic[str] | None = None
    basic_auth_password: Dynamic[str] | None = None
    proxy: Proxy | None = None
    ssl: Ssl | None = None


class RequestProperties(Properties):
    """What every HTTP type accepts."""

    uri: Dynamic[str]
    method: Dynamic[str] = "GET"
    body: Dynamic[str] | None = None
    form_data: Dynamic[dict[str, Any]] | None = Field(
        default=None, description="Fields of a form; with `contentType: multipart/form-data` values may be files."
    )
    content_type: Dynamic[str] | None = None
    headers: Dynamic[dict[str, Any]] | None = None
    params: Dynamic[dict[str, Any]] | None = Field(default=None, description="Query parameters; a list repeats its name.")
    options: Options | None = None
    ssl_options: Ssl | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers`: lists of values by lower-case name."""

    uri: str
    code: int
    headers: dict[str, list[str]]
    content: bytes = b""

    def text(self, charset: str) -> str | None:
        """The body as text; None when it is none. Raises ValueError when it cannot be read as text."""
        if not self.content:
            return None
        declared = next((part.split("=", 1)[1] for part in self._parts() if part.lower().startswith("charset=")), charset)
        try:
            return self.content.decode(declared.strip('" '))
        except LookupError:
            return self.content.decode(charset)

    def _parts(self) -> list[str]:
        return [part.strip() for value in self.headers.get("content-type", []) for part in value.split(";")]


@contextmanager
def answered(wanted: RequestProperties, context: Any) -> Iterator[httpx.Response]:
    """Sends the request; the body is not read yet. Raises TaskFailed (`http.request`) when there is no answer."""
    options = wanted.options or Options()
    uri = str(wanted.uri).strip()
    if urlsplit(uri).scheme not in ("http", "https"):
        raise TaskFailed(f"uri: expected http://… or https://…, found {uri[:200]!r}", code="http.uri")
    try:
        with httpx.Client(
            timeout=_timeout(options),
            follow_redirects=bool(options.follow_redirects),
            max_redirects=REDIRECTS_MAX,
            verify=_verify(wanted, options),
            proxy=_proxy(options),
            auth=_auth(options),
        ) as client:
            request = client.build_request(str(wanted.method).upper(), uri, **_parts(wanted, context))
            response = client.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise TaskFailed(f"{str(wanted.method).upper()} {uri[:500]} got no answer: {reason}", code="http.request") from None
    except httpx.InvalidURL as error:
        raise TaskFailed(f"uri: {error}", code="http.uri") from None


def answer(wanted: RequestProperties, context: Any) -> Answer:
    """Sends the request and reads the body into memory. Raises TaskFailed."""
    options = wanted.options or Options()
    with answered(wanted, context) as response:
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > int(options.max_content_length):
                have = f"the body is larger than options.maxContentLength ({options.max_content_length} bytes)"
                raise TaskFailed(f"{have}; use the Download task for large answers", code="http.too_large")
        return Answer(str(response.url), response.status_code, headers_of(response), bytes(content))


def headers_of(response: httpx.Response) -> dict[str, list[str]]:
    """All values of each header."""
    found: dict[str, list[str]] = {}
    for name, value in response.headers.multi_items():
        found.setdefault(name.lower(), []).append(value)
    return found


def require_good(wanted: RequestProperties, code: int, allow_failed: bool, text: str | None = None) -> None:
    """Raises TaskFailed (`http.status`) for 400 and above, unless the flow allows it."""
    options = wanted.options or Options()
    allowed = options.allowed_response_codes
    good = code in allowed if allowed is not None else code < 400
    if not good and not allow_failed and not options.allow_failed:
        said = f": {text[:500]}" if text else ""
        raise TaskFailed(f"{str(wanted.method).upper()} {wanted.uri} answered {code}{said}", code="http.status")


def _timeout(options: Options) -> httpx.Timeout:
    newer = options.timeout or Timeouts()
    connect = newer.connect_timeout or options.connect_timeout
    read = newer.read_idle_timeout or options.read_timeout or options.read_idle_timeout
    return httpx.Timeout(
        connect=connect.total_seconds() if isinstance(connect, timedelta) else CONNECT_SECONDS,
        read=read.total_seconds() if isinstance(read, timedelta) else (IDLE_SECONDS if options.timeout else READ_SECONDS),
        write=IDLE_SECONDS,
        pool=CONNECT_SECONDS,
    )


def _verify(wanted: RequestProperties, options: Options) -> ssl.SSLContext | bool:
    given = wanted.ssl_options or options.ssl
    if given is not None and given.insecure_trust_all_certificates:
        return False
    return ssl.create_default_context()


def _proxy(options: Options) -> httpx.Proxy | None:
    if options.proxy is None or not options.proxy.address:
        return None
    scheme = "socks5" if str(options.proxy.type or "").upper() == "SOCKS" else "http"
    port = f":{options.proxy.port}" if options.proxy.port else ""
    login = (str(options.proxy.username), str(options.proxy.password or "")) if options.proxy.username else None
    return httpx.Proxy(f"{scheme}://{options.proxy.address}{port}", auth=login)


def _auth(options: Options) -> httpx.Auth | tuple[str, str] | None:
    if options.auth is None:
        if options.basic_auth_user:
            return (str(options.basic_auth_user), str(options.basic_auth_password or ""))
        return None
    match options.auth.type:
        case "BEARER":
            return _Bearer(str(options.auth.token or ""))
        case "DIGEST":
            return httpx.DigestAuth(str(options.auth.username or ""), str(options.auth.password or ""))
        case _:
            return (str(options.auth.username or ""), str(options.auth.password or ""))


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _parts(wanted: RequestProperties, context: Any) -> dict[str, Any]:
    """Arguments for httpx: query, headers, and one kind of body."""
    headers = [(str(name), str(one)) for name, value in _map(wanted.headers) for one in _listed(value)]
    found: dict[str, Any] = {"headers": headers}
    params = [(str(name), str(one)) for name, value in _map(wanted.params) for one in _listed(value)]
    if params:
        found["params"] = params
    kind = str(wanted.content_type or "")
    if wanted.form_data is not None and kind.startswith("multipart/"):
        found["data"], found["files"] = _multipart(wanted.form_data, context)
        return found
    if wanted.form_data is not None:
        found["data"] = {str(name): value if isinstance(value, list) else str(value) for name, value in _map(wanted.form_data)}
    elif wanted.body is not None:
        found["content"] = wanted.body
    if kind:
        headers.append(("Content-Type", kind))
    elif wanted.body is not None and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return found


def _multipart(form: Any, context: Any) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    data: dict[str, str] = {}
    files: dict[str, tuple[str, bytes]] = {}
    for name, value in _map(form):
        if isinstance(value, Mapping) and "content" in value:
            label = str(value.get("name") or name)
            files[str(name)] = (label, _bytes(str(value["content"]), label, context))
        elif isinstance(value, str) and value.startswith("kestra://"):
            label = value.rsplit("/", 1)[-1]
            files[str(name)] = (label, _bytes(value, label, context))
        else:
            data[str(name)] = str(value)
    return data, files


def _bytes(content: str, label: str, context: Any) -> bytes:
    path: Path = context.input_file(content, label.replace("/", "_"))
    return path.read_bytes()


def _map(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
