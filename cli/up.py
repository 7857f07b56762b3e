"""`headrace up`: the whole platform in one process, and real workers beside it over the real gRPC."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import string
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import typer

from cli.failures import CommandFailed
from cli.workers import LocalWorkers

DEMO_USER = "demo@headrace.example"
CREDENTIALS_FILE = "demo-login"
"""In the data folder, readable by its owner only: `user:password` of the demonstration's administrator."""

log = logging.getLogger("headrace.up")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `headrace up`. Port 0 means: any free one (printed at the start)."""

    host: str
    port: int
    management_port: int
    grpc_port: int
    data: Path
    database: str
    workers: int
    demo: bool


def up(options: Options) -> None:
    """Runs until SIGINT or SIGTERM. Raises CommandFailed when a port is taken or the data folder cannot be used."""
    if find_spec("django") is None or find_spec("uvicorn") is None:
        raise CommandFailed("this is a worker's installation, without the control plane: pip install 'headrace[all]'")
    data = options.data.absolute()
    _prepare(data, options.database)
    for port, option in (
        (options.port, "--port"),
        (options.management_port, "--management-port"),
        (options.grpc_port, "--grpc-port"),
    ):
        require_free(options.host, port, option)

    from controlplane.serve import Plane, PlaneOptions

    asked = StopSignals()
    plane = Plane(PlaneOptions(options.host, options.port, options.management_port, options.grpc_port))
    plane.start()
    address = f"http://{options.host}:{plane.port}"
    workers = LocalWorkers(options.workers, f"{options.host}:{plane.grpc_port}", data, plane.join_token)
    try:
        workers.start()
        if options.demo:
            login = ensure_demo_user(options.host, plane.port, data)
            typer.echo("user {} password {}".format(*login.split(":", 1)))
        typer.echo(f"console and API on {address}, workers' door on {options.host}:{plane.grpc_port}")
        while not asked.wait(0.5):
            workers.tend()
    finally:
        workers.stop()
        plane.stop()


class StopSignals:
    """SIGINT and SIGTERM as a flag. No lock is involved: a handler may run while the main thread holds one of `threading`'s."""

    def __init__(self) -> None:
        self.asked = False
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def wait(self, seconds: float) -> bool:
        """Whether one came, waiting for it at most so long."""
        until = time.monotonic() + seconds
        while not self.asked and time.monotonic() < until:
            time.sleep(0.05)
        return self.asked


def require_free(host: str, port: int, option: str) -> None:
    """Raises CommandFailed when another program listens on that port. 0 is always free."""
    if not port:
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = f"port {port} on {host} cannot be used ({error.strerror})"
            raise CommandFailed(f"{reason}: stop what listens there or choose another with {option}") from None


def ensure_demo_user(host: str, port: int, data: Path) -> str:
    """The demonstration's login, `user:password`; created at the first start. Raises CommandFailed when others came first."""
    path = data / CREDENTIALS_FILE
    if path.exists():
        login = path.read_text(encoding="utf-8").strip()
        basic = b64encode(login.encode()).decode()
        if _status(host, port, "GET", "/api/v1/me", headers={"Authorization": f"Basic {basic}"}) == HTTPStatus.OK:
            return login
    login = f"{DEMO_USER}:{_password()}"
    user, password = login.split(":", 1)
    body = json.dumps({"username": user, "password": password, "tenant": {"id": "main", "name": "Demonstration"}})
    status = _status(host, port, "POST", "/api/v1/setup", body, {"Content-Type": "application/json"})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        reason = f"this database has users already, and {path} holds no login that works"
        raise CommandFailed(f"{reason}: start without --demo, or with another --data")
    if status >= HTTPStatus.BAD_REQUEST:
        raise CommandFailed(f"the demonstration's user could not be created: POST /api/v1/setup answered {status}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(login + "\n")
    return login


def _status(
    host: str, port: int, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> int:
    """The status of an answer of our own process. http.client, because importing more costs a tenth of the start."""
    connection = HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        return connection.getresponse().status
    finally:
        connection.close()


def _password() -> str:
    """Twenty random letters and digits, with one of each kind that a password needs."""
    letters = string.ascii_letters + string.digits
    while True:
        password = "".join(secrets.choice(letters) for _ in range(20))
        if any(map(str.islower, password)) and any(map(str.isupper, password)) and any(map(str.isdigit, password)):
            return password


def _prepare(data: Path, database: str) -> None:
    """Makes the data folder and tells the settings where everything is."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandFailed(f"the data folder {data} cannot be made ({error.strerror}): choose another with --data") from None
    if not os.access(data, os.W_OK):
        raise CommandFailed(f"the data folder {data} is not writable: choose another with --data")
    os.environ["HEADRACE_DATA"] = str(data)
    if database:
        os.environ["HEADRACE_DATABASE"] = database
    os.environ["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
