"""What a trigger's `evaluate(context)` and `listen(context, …)` see."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from flows.expressions import Scope, render_value
from flows.plugins import TriggerType
from wire import gateway
from worker.context import LevelName
from worker.door import Bridge, Door
from worker.files import AttemptFiles
from worker.folders import Folders, RunFolders
from worker.logship import LEVELS
from worker.masking import Masker
from worker.rendering import validate
from worker.secrets import Secrets

_log = logging.getLogger("headrace.worker.triggers")
_TO_LOGGING = (5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)

PLANE_ONLY = frozenset(
    [
        *("conditions", "when", "labels", "inputs", "stopAfter", "disabled", "description", "workerGroup", "workerSelector"),
        *("version", "logLevel", "logToFile", "allowConcurrent", "failOnTriggerError", "assets"),
    ]
)
"""Properties that the control plane reads; they are not rendered for the look."""


@dataclass(frozen=True, slots=True)
class TriggerTools:
    """What all evaluations of an agent share. `local_paths`: folders of this machine that flows may look into."""

    door: Door
    bridge: Bridge
    folders: Folders
    environment: Mapping[str, str]
    ambient: Mapping[str, Callable[..., Any]]
    local_paths: tuple[Path, ...] = ()


class TriggerContext:
    """One evaluation, as its trigger sees it. Its methods may wait for the plane: from the evaluation's thread only."""

    def __init__(self, lent: gateway.Evaluate, tools: TriggerTools) -> None:
        self._lent = lent
        self._tools = tools
        self.masker = Masker()
        self.namespace = lent.namespace
        self.flow_id = lent.flow_id
        self.trigger_id = lent.trigger_id
        self.execution_id = lent.evaluation_id
        """Of the execution that a finding starts: its files are stored under it."""
        self._token = gateway.AttemptToken(
            execution_id=lent.evaluation_id, task_run_id=lent.trigger_id, attempt=0, lease_id=lent.evaluation_id
        )

    @property
    def local_paths(self) -> tuple[Path, ...]:
        """Folders of the worker's machine that its owner opened to flows."""
        return self._tools.local_paths

    @cached_property
    def folders(self) -> RunFolders:
        """Folders of this evaluation; removed when it is over."""
        return self._tools.folders.of(self._lent.evaluation_id, 0)

    @property
    def workdir(self) -> Path:
        """A fresh folder."""
        return self.folders.work

    @property
    def data_dir(self) -> Path:
        """The worker's persistent folder for data."""
        return self._tools.folders.data

    @property
    def memory_dir(self) -> Path:
        """A folder of the trigger that stays on this worker."""
        name = f"{self.namespace}.{self.flow_id}.{self.trigger_id}"
        path = self._tools.folders.root / "triggers" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        """`flow`, `labels`, `vars`, `trigger.date` and `envs`."""
        found: dict[str, Any] = orjson.loads(self._lent.context_json) if self._lent.context_json else {}
        return {**found, "envs": dict(self._tools.environment)}

    @cached_property
    def files(self) -> AttemptFiles:
        """Internal storage."""
        tools = self._tools
        return AttemptFiles(self._token, tools.door, tools.bridge, self.folders, tools.folders.cache)

    @cached_property
    def scope(self) -> Scope:
        """Variables and functions of the trigger's expressions."""
        secrets = Secrets(self._token, self._tools.door, self._tools.bridge, self.masker)
        return Scope(self.variables, {**self._tools.ambient, "secret": secrets.get})

    def scope_with(self, **roots: Any) -> Scope:
        """The same with more variables, e.g. a response."""
        return Scope({**self.variables, **roots}, self.scope.functions)

    def render(self, value: Any) -> Any:
        """Renders the templates of a value. Raises ExpressionError."""
        return render_value(value, self.scope)

    def output_file(self, path: Path, name: str | None = None) -> str:
        """Stores a file for the execution a finding starts and returns its `kestra:///` URI."""
        return self.files.output_file(path, name)

    def log(self, level: LevelName, text: str) -> None:
        """A line in the worker's own log; known secrets are masked."""
        number = _TO_LOGGING[LEVELS.get(level, 2)]
        _log.log(number, "%s.%s, trigger %s: %s", self.namespace, self.flow_id, self.trigger_id, self.masker.mask(text))

    def trigger(self, trigger_type: type[TriggerType]) -> TriggerType:
        """The trigger with its properties rendered. Raises ExpressionError, TaskFailed (`task.property_invalid`)."""
        written: dict[str, Any] = orjson.loads(self._lent.trigger_json)
        fixed = {"id": self.trigger_id, "type": self._lent.trigger_type}
        rendered = {}
        for name, value in written.items():
            if name not in fixed and name not in PLANE_ONLY:
                rendered[name] = value if name in trigger_type.unrendered else self.render(value)
        return validate(trigger_type, {**fixed, **rendered})

    def close(self) -> None:
        """Removes the evaluation's folders."""
        if "folders" in self.__dict__ and self.folders.made:
            self.folders.remove(succeeded=True)
