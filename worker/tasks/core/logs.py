"""log.Fetch: the log of an execution as a file of rows (tasks §2)."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import orjson
from pydantic import Field

from flows.plugins import Dynamic, Properties
from wire import gateway
from worker import limits
from worker.agent_context import AgentContext
from worker.context import LevelName
from worker.errors import TaskFailed
from worker.logship import LEVELS
from worker.tasks.core.storage import StorageTask


class FetchOutputs(Properties):
    """`uri`: address of the file; `size`: its records."""

    size: int
    uri: str


class Fetch(StorageTask):
    """Fetches log records of this or another execution, waiting for those still on their way."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.log.Fetch", "io.kestra.core.tasks.log.Fetch")
    title: ClassVar[str] = "Fetch logs"
    outputs: ClassVar[type[Properties]] = FetchOutputs
    examples: ClassVar[tuple[str, ...]] = ("id: lines\ntype: io.kestra.plugin.core.log.Fetch\ntasksId: [load]\nlevel: WARN\n",)

    namespace: Dynamic[str] | None = None
    flow_id: Dynamic[str] | None = None
    execution_id: Dynamic[str] | None = None
    tasks_id: Dynamic[list[str]] = Field(default=[])
    level: Dynamic[LevelName] = "INFO"

    def run(self, context: AgentContext) -> FetchOutputs:
        """Stores the records. Raises TaskFailed when namespace and flow are not named together."""
        if self.execution_id and bool(self.namespace) != bool(self.flow_id):
            raise TaskFailed("namespace and flowId are given together or not at all", code="task.property_invalid")
        tasks: Any = self.tasks_id
        request = gateway.FetchLogsRequest(
            token=context.lease,
            namespace=str(self.namespace or "") if self.execution_id else "",
            flow_id=str(self.flow_id or "") if self.execution_id else "",
            execution_id=str(self.execution_id or ""),
            task_ids=tasks,
            level_min=LEVELS[str(self.level)],
        )
        until = time.monotonic() + limits.ERROR_LOGS_SECONDS
        while True:
            records, complete = context.fetch_logs(request)
            if complete or time.monotonic() >= until:
                break
            time.sleep(0.2)
        path = context.scratch("logs") / "logs.ion"
        with path.open("wb") as out:
            for record in records:
                out.write(orjson.dumps(context.functions.log_entry(record), option=orjson.OPT_APPEND_NEWLINE))
        return FetchOutputs(size=len(records), uri=context.output_file(path))


TASKS = (Fetch,)
