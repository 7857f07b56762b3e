"""A whole platform for a test or a benchmark: `headrace up` as a process, on free ports, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from cli.client import Client, Json
from cli.up import CREDENTIALS_FILE

TERMINAL = frozenset({"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED"})


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Platform:
    """Start, kill and start it again: ports and data folder stay. Close it at the end: workers left alone are ended too.

    Without `demo` it has no user until somebody sets it up.
    """

    def __init__(self, data: Path, database: str = "", workers: int = 1, demo: bool = True) -> None:
        self.data = data
        self._demo = demo
        self.port, self.management_port, self.grpc_port = free_ports(3)
        self._options = ["--workers", str(workers), *(["--database", database] if database else [])]
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[Client] = []
        self.started_seconds = 0.0

    @property
    def address(self) -> str:
        """Where REST answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The control plane's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def login(self) -> str:
        """`user:password` of the administrator."""
        return (self.data / CREDENTIALS_FILE).read_text(encoding="utf-8").strip()

    @property
    def log(self) -> str:
        """What the platform wrote so far."""
        path = self.data / "up.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self, timeout: float = 60) -> Platform:
        """Starts it and waits until it is ready. Raises AssertionError with its log when it is not."""
        self.data.mkdir(parents=True, exist_ok=True)
        ports = ["--port", str(self.port), "--management-port", str(self.management_port), "--grpc-port", str(self.grpc_port)]
        demo = ["--demo"] if self._demo else []
        command = [sys.executable, "-m", "cli.main", "up", *demo, "--data", str(self.data), *ports, *self._options]
        began = time.monotonic()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        with (self.data / "up.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, env=environment)
        while not self.healthy():
            assert self._process.poll() is None, f"headrace up ended with {self._process.returncode}:\n{self.log[-4000:]}"
            assert time.monotonic() - began < timeout, f"not ready after {timeout} s:\n{self.log[-4000:]}"
            time.sleep(0.01)
        self.started_seconds = time.monotonic() - began
        while self._demo and not (self.data / CREDENTIALS_FILE).exists():
            assert self._process.poll() is None, self.log[-4000:]
            assert time.monotonic() - began < timeout, self.log[-4000:]
            time.sleep(0.02)
        return self

    def healthy(self) -> bool:
        """Whether /health answers 200."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.management_port}/health", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """SIGKILL for the control plane; its workers live on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def workers(self) -> list[int]:
        """Processes of the workers, as noted in the data folder."""
        return [json.loads(note.read_text(encoding="utf-8"))["pid"] for note in sorted(self.data.glob("worker-*.json"))]

    def kill_worker(self) -> int:
        """SIGKILL for the first worker and everything it runs. Returns its process."""
        pid = self.workers()[0]
        os.killpg(pid, signal.SIGKILL)
        return pid

    def close(self) -> None:
        """Stops the platform, and whatever of it is still alive."""
        for client in self._clients:
            client.close()
        left = self.workers()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pid in left:
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue

    def client(self) -> Client:
        """A client of tenant `main`, closed with the platform."""
        client = Client(self.address, "main", self.login)
        self._clients.append(client)
        return client

    def wait(self, client: Client, execution_id: str, timeout: float = 60) -> Json:
        """The execution once it is over. Raises AssertionError with its state and log when that takes too long."""
        deadline = time.monotonic() + timeout
        while True:
            execution = client.execution(execution_id)
            if execution["state"]["current"] in TERMINAL:
                return execution
            assert time.monotonic() < deadline, f"still {states(execution)}\n{self.log[-3000:]}"
            time.sleep(0.05)


def states(execution: Json) -> dict[str, Any]:
    """State of the execution and of its task runs, for messages."""
    runs = {f"{run['taskId']}{run.get('value') or ''}": run["state"]["current"] for run in execution.get("taskRunList") or ()}
    return {"execution": execution["state"]["current"], **runs}
