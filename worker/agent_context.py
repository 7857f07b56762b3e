"""The task context inside the agent: of light tasks on the loop or in a thread, and of what prepares a process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from flows.expressions import Scope, evaluate_value, render_value
from flows.machine.events import SubRun
from wire import gateway
from worker import encrypted
from worker.attempt import Attempt
from worker.context import LevelName, MetricKind
from worker.door import Bridge, Door
from worker.files import AttemptFiles
from worker.functions import Functions
from worker.keys import Keys
from worker.logship import INFO, LEVELS
from worker.rendering import variables_of
from worker.secrets import Secrets, names_found
from worker.steps import TOLD_MAX, dynamic


class Toolbox:
    """What all attempts of an agent share."""

    def __init__(
        self,
        door: Door,
        bridge: Bridge,
        cache: Path,
        environment: Mapping[str, str],
        ambient: Mapping[str, Callable[..., Any]],
        default_runner: str,
        report: Callable[[Attempt, dict[str, Any]], None],
        sub_runs: Callable[[Attempt, Sequence[SubRun]], None],
    ) -> None:
        self.door = door
        self.bridge = bridge
        self.cache = cache
        self.environment = environment
        self.ambient = ambient
        self.default_runner = default_runner
        self.report = report
        """Takes an attempt's progress, on the loop."""
        self.sub_runs = sub_runs
        """Takes what an attempt tells of task runs below it, on the loop."""
        self.loop_thread = threading.get_ident()


class AgentContext:
    """Implements `worker.context.TaskContext`. Files, secrets and `read()` wait for the plane: from threads only."""

    def __init__(self, attempt: Attempt, tools: Toolbox) -> None:
        self._attempt = attempt
        self._tools = tools
        self._on_loop = threading.get_ident() == tools.loop_thread
        assign = attempt.assign
        self.namespace = assign.namespace
        self.flow_id = assign.flow_id
        self.task_id = assign.task_id
        self.execution_id = attempt.token.execution_id
        self.task_run_id = attempt.token.task_run_id
        self.attempt = attempt.token.attempt

    @property
    def token(self) -> Mapping[str, Any]:
        token = self._attempt.token
        return {
            "execution_id": token.execution_id,
            "task_run_id": token.task_run_id,
            "attempt": token.attempt,
            "lease_id": self._attempt.marker,
        }

    @property
    def workdir(self) -> Path:
        return self._attempt.folders.work

    @property
    def env_dir(self) -> Path:
        """Folder for the attempt's private Python environment."""
        return self._attempt.folders.folder("env")

    @property
    def output_dir(self) -> Path:
        """Folder whose files a script task stores as outputs when it asks for one."""
        return self._attempt.folders.folder("output")

    @property
    def state_dir(self) -> Path:
        return self._attempt.folders.state

    @property
    def data_dir(self) -> Path:
        return self._attempt.folders.data

    @property
    def default_runner(self) -> str:
        """What runs script tasks that name no runner: `process` or `docker`."""
        return self._tools.default_runner

    @cached_property
    def files(self) -> AttemptFiles:
        """Files of the attempt."""
        tools = self._tools
        mine = self._attempt
        return AttemptFiles(mine.lease, tools.door, tools.bridge, mine.folders, tools.cache, mine.sub_run)

    @cached_property
    def secrets(self) -> Secrets:
        """Secrets of the attempt."""
        return Secrets(self._attempt.lease, self._tools.door, self._tools.bridge, self._attempt.masker)

    @cached_property
    def keys(self) -> Keys:
        """Keys of namespaces."""
        return Keys(self._attempt.lease, self._tools.door, self._tools.bridge, self.namespace)

    @cached_property
    def functions(self) -> Functions:
        """Expression functions that wait for the plane."""
        mine, tools = self._attempt, self._tools
        parts = (self.files, self.secrets, self.keys)
        return Functions(mine.lease, tools.door, tools.bridge, *parts, self.namespace, self.flow_id)

    @property
    def lease(self) -> gateway.AttemptToken:
        """What calls to the plane are made under."""
        return self._attempt.lease

    def scratch(self, name: str) -> Path:
        """A folder of the attempt outside its working directory."""
        path = self._attempt.folders.folder("files") / f"_{name}"
        path.mkdir(exist_ok=True)
        return path

    def fetch_logs(self, request: gateway.FetchLogsRequest) -> tuple[list[gateway.LogRecord], bool]:
        """Stored log records, and whether they are all."""
        return self._tools.bridge.wait(self._tools.door.fetch_logs(request))

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        places = {"workingDir": lambda: str(self.workdir), "outputDir": lambda: str(self.output_dir)}
        found = variables_of(self._attempt.assign, self._attempt.plan, self._tools.environment, places)
        if encrypted.MARK in self._attempt.assign.context_json:
            tools, mine = self._tools, self._attempt
            return encrypted.decrypted(found, mine.lease, tools.door, tools.bridge, mine.masker)
        return found

    @cached_property
    def scope(self) -> Scope:
        """Variables and functions of the attempt's expressions."""
        if not self._attempt.plan.waits and not self._attempt.plan.task_type.unrendered and self._attempt.sub_run is None:
            return Scope(self.variables, self._tools.ambient)
        return Scope(self.variables, {**self._tools.ambient, **self.functions.by_name()})

    def render(self, value: Any) -> Any:
        return render_value(value, self.scope)

    def evaluate(self, value: Any) -> Any:
        """Like `render`, but a text that is one expression gives its value with its type (expressions §1.2)."""
        return evaluate_value(value, self.scope)

    def prefetch_secrets(self) -> None:
        """Resolves the secrets that stand literally in the task's templates, in one call."""
        plan = self._attempt.plan
        if "secret" in plan.names.functions:
            self.secrets.fetch(names_found([*plan.templated.items(), plan.timeout, plan.log_level]))

    def log(self, level: LevelName, text: str) -> None:
        number = LEVELS.get(level, INFO)
        if self._on_loop:
            self._attempt.log.line(number, text)
        else:
            self._tools.bridge.soon(self._attempt.log.line, number, text)

    def metric(self, name: str, value: float, kind: MetricKind = "counter", tags: Mapping[str, str] | None = None) -> None:
        if self._on_loop:
            self._attempt.add_metric(name, value, kind, tags)
        else:
            self._tools.bridge.soon(self._attempt.add_metric, name, value, kind, tags)

    def progress(self, **what: Any) -> None:
        if self._on_loop:
            self._tools.report(self._attempt, what)
        else:
            self._tools.bridge.soon(self._tools.report, self._attempt, what)

    def warning(self, text: str) -> None:
        # A plain assignment: the attempt reads it once, after the task has returned.
        self._attempt.warning = text

    def output_file(self, path: Path, name: str | None = None) -> str:
        return self.files.output_file(path, name)

    def input_file(self, uri_or_text: str, name: str) -> Path:
        return self.files.input_file(uri_or_text, name)

    def namespace_files(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        namespaces: Sequence[str] = (),
        *,
        if_exists: str = "OVERWRITE",
        folder_per_namespace: bool = False,
    ) -> list[str]:
        return self.files.namespace_files(
            include, exclude, namespaces or ("",), if_exists=if_exists, folder_per_namespace=folder_per_namespace
        )

    def report(self, *runs: SubRun) -> None:
        for start in range(0, len(runs), TOLD_MAX):
            told = [dynamic(run) for run in runs[start : start + TOLD_MAX]]
            if self._on_loop:
                self._tools.sub_runs(self._attempt, told)
            else:
                self._tools.bridge.soon(self._tools.sub_runs, self._attempt, told)
