"""Inside a forked process: runs one task's `run(context)` and tells the agent, over the control socket, what it does.

One JSON document a line. Agent → child: the task to run, then answers `{"id", "value" | "failed"}`. Child → agent: `log`,
`metric`, `progress`, `sub_runs`, calls `{"id", "call", "arguments"}`, at the end
`{"outputs"}` or `{"failed": {"message", "code", …}}`.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import random
import socket
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from flows.errors import HeadraceError
from flows.machine.events import SubRun
from worker.context import LevelName, MetricKind
from worker.errors import TaskFailed
from worker.steps import TOLD_MAX, as_told, dynamic

LINE_BYTES_MAX = 16_000_000
"""Bytes of one document in either direction."""


class Control:
    """The child's end of the control socket. Safe for several threads."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lines = channel.makefile("rb", buffering=65_536)
        self._writing = threading.Lock()
        self._calling = threading.Lock()
        self._next_id = 0

    def read(self) -> dict[str, Any]:
        """The next document of the agent. Raises EOFError when the agent is gone."""
        line = self._lines.readline()
        if not line:
            raise EOFError("the worker's agent went away")
        document: dict[str, Any] = orjson.loads(line)
        return document

    def say(self, document: Mapping[str, Any]) -> None:
        """Tells the agent something. Blocks while the agent does not read."""
        data = orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"
        with self._writing:
            self._channel.sendall(data)

    def call(self, name: str, *arguments: Any) -> Any:
        """Asks the agent and waits. Raises TaskFailed with what the agent says went wrong."""
        with self._calling:
            self._next_id += 1
            self.say({"id": self._next_id, "call": name, "arguments": arguments})
            answer = self.read()
        if "failed" in answer:
            raise TaskFailed(answer["failed"]["message"], code=answer["failed"]["code"])
        return answer["value"]


class ChildContext:
    """Implements `worker.context.TaskContext` in a forked process."""

    def __init__(self, control: Control, facts: Mapping[str, Any]) -> None:
        self._control = control
        self.token: Mapping[str, Any] = facts["token"]
        self.namespace: str = facts["namespace"]
        self.flow_id: str = facts["flow_id"]
        self.task_id: str = facts["task_id"]
        self.execution_id: str = facts["token"]["execution_id"]
        self.task_run_id: str = facts["token"]["task_run_id"]
        self.attempt: int = facts["token"]["attempt"]
        self.workdir = Path(facts["workdir"])
        self.state_dir = Path(facts["state_dir"])
        self.data_dir = Path(facts["data_dir"])
        self.variables: Mapping[str, Any] = facts["variables"]

    def render(self, value: Any) -> Any:
        return self._control.call("render", value)

    def log(self, level: LevelName, text: str) -> None:
        self._control.say({"log": [level, str(text)]})

    def metric(self, name: str, value: float, kind: MetricKind = "counter", tags: Mapping[str, str] | None = None) -> None:
        self._control.say({"metric": [name, float(value), kind, dict(tags or {})]})

    def progress(self, **what: Any) -> None:
        self._control.say({"progress": what})

    def warning(self, text: str) -> None:
        self._control.say({"warning": str(text)})

    def output_file(self, path: Path, name: str | None = None) -> str:
        uri: str = self._control.call("output_file", str(Path(path).absolute()), name)
        return uri

    def input_file(self, uri_or_text: str, name: str) -> Path:
        return Path(self._control.call("input_file", uri_or_text, name))

    def namespace_files(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        namespaces: Sequence[str] = (),
        *,
        if_exists: str = "OVERWRITE",
        folder_per_namespace: bool = False,
    ) -> list[str]:
        wanted = [list(include), list(exclude), list(namespaces), if_exists, folder_per_namespace]
        copied: list[str] = self._control.call("namespace_files", *wanted)
        return copied

    def report(self, *runs: SubRun) -> None:
        for start in range(0, len(runs), TOLD_MAX):
            told = [as_told(dynamic(run)) for run in runs[start : start + TOLD_MAX]]
            self._control.say({"sub_runs": told})


class _ToTaskLog(logging.Handler):
    """Sends what libraries log to the task's log."""

    def __init__(self, context: ChildContext) -> None:
        super().__init__(logging.WARNING)
        self._context = context

    def emit(self, record: logging.LogRecord) -> None:
        level: LevelName = "ERROR" if record.levelno >= logging.ERROR else "WARN"
        with contextlib.suppress(OSError):
            self._context.log(level, f"{record.name}: {record.getMessage()}")


def run(control_descriptor: int) -> int:
    """Runs the task that the agent names. Returns the exit status: 0 when the agent was told how it ended."""
    control = Control(socket.socket(fileno=control_descriptor))
    order = control.read()
    # Children of one parent would otherwise all draw the same numbers.
    random.seed()
    # Fresh objects: the inherited ones remember what the fork server's own descriptors were (a file can be sought, a pipe not).
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    context = ChildContext(control, order["context"])
    logging.getLogger().addHandler(_ToTaskLog(context))
    try:
        task_type = getattr(importlib.import_module(order["module"]), order["name"])
        task = task_type.model_validate(order["properties"], context={"rendered": True})
        outputs = task.run(context)
        if isinstance(outputs, BaseModel):
            outputs = outputs.model_dump(mode="json", by_alias=True)
        _flush()
        control.say({"outputs": outputs})
    except BaseException as error:  # noqa: BLE001 - SystemExit of a library is a failure of the task as well
        _flush()
        control.say({"failed": _told(error)})
    return 0


def _told(error: BaseException) -> dict[str, Any]:
    """What the agent needs of an error; `where` is for the operator of the worker, not for the task's log."""
    if isinstance(error, HeadraceError):
        outputs = error.outputs if isinstance(error, TaskFailed) else None
        return {"message": str(error), "code": error.code, "outputs": outputs}
    text = "".join(traceback.format_exception(error))
    return {"message": f"{type(error).__name__}: {error}", "code": "task.error", "outputs": None, "where": text[-8_000:]}


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
