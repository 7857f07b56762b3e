"""Results kept for `taskCache` (flow-language §9): how a run with the same rendered properties ended before."""

from __future__ import annotations

import hashlib

import orjson

from flows.plugins import TaskType
from wire import gateway
from worker.agent_context import AgentContext
from worker.attempt import Attempt
from worker.door import Door
from worker.errors import TaskFailed
from worker.logship import WARN
from worker.rendering import Plan


def digest_of(context: AgentContext, task: TaskType, plan: Plan) -> str:
    """SHA-256 of the task's type and its rendered properties, those it renders itself included."""
    rendered = task.model_dump(mode="json", by_alias=True, exclude_unset=True)
    late = {name: context.evaluate(value) for name, value in plan.fixed.items()}
    text = orjson.dumps([rendered, late], default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(text).hexdigest()


class Kept:
    """The kept results of one attempt's task. A store that is away costs the thrift, never the task."""

    def __init__(self, attempt: Attempt, door: Door) -> None:
        self._attempt = attempt
        self._door = door
        self._sub_task_id = attempt.sub_run.task_id if attempt.sub_run is not None else ""

    async def find(self, digest: str) -> bytes | None:
        """The outputs, as JSON, of an earlier run young enough; None when there is none. A WARNING stays one."""
        attempt = self._attempt
        request = gateway.CacheGetRequest(
            token=attempt.lease, digest=digest, ttl_ms=attempt.plan.cache_ttl_ms or 0, sub_task_id=self._sub_task_id
        )
        try:
            found = await self._door.ask("CacheGet", request, gateway.CacheEntry, "asking for a kept result", "cache.unavailable")
        except TaskFailed as failure:
            attempt.log.line(WARN, str(failure))
            return None
        if not found.found:
            return None
        if found.outcome == gateway.WARNING:
            attempt.warning = "The earlier run ended with a warning."
        return found.outputs_json

    async def keep(self, digest: str, outputs: bytes) -> None:
        """Keeps the outputs of a run that succeeded."""
        attempt = self._attempt
        request = gateway.CachePutRequest(
            token=attempt.lease,
            digest=digest,
            outputs_json=outputs,
            outcome=gateway.SUCCESS if attempt.warning is None else gateway.WARNING,
            sub_task_id=self._sub_task_id,
        )
        try:
            await self._door.ask("CachePut", request, gateway.CachePutResult, "keeping a result", "cache.unavailable")
        except TaskFailed as failure:
            attempt.log.line(WARN, str(failure))
