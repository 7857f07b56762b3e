"""The trigger type `io.kestra.plugin.redis.list.RealtimeTrigger`: one execution for each element of a Redis list.

An element is moved into a list of the trigger's own and gets an id there, before it is told; it leaves that list when its
execution is stored. A worker that dies in between leaves it there, and the next one tells it again under the same id, which the
plane recognises. So every element starts exactly one execution. The library is the worker's to have: `pip install redis`.
"""

from __future__ import annotations

import json
import threading
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties, TriggerType
from wire.ids import new_id
from worker.errors import TaskFailed
from worker.tasks.bring_in import require_library
from worker.triggers.finding import Emit, RealtimeTrigger

WAIT_SECONDS = 0.5
"""How long one wait for an element lasts: after it, the trigger looks whether it is to stop."""

_TAKE = """\
local value = redis.call('LPOP', KEYS[1])
if value then
  redis.call('RPUSH', KEYS[2], ARGV[1] .. ' ' .. value)
end
return value
"""
"""Moves the element that waits in the trigger's inbox to its list of elements in work, with an id before it."""


class Element(Properties):
    """One element of the list."""

    value: Any
    key: str


class ListTrigger(RealtimeTrigger):
    """Takes elements from the head of a list, as they come."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.redis.list.RealtimeTrigger",)
    title: ClassVar[str] = "Start for each element of a Redis list"
    outputs: ClassVar[type[Properties]] = Element
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: orders
type: io.kestra.plugin.redis.list.RealtimeTrigger
url: "redis://:{{ secret('REDIS_PASSWORD') }}@redis:6379/0"
key: orders
serdeType: JSON
""",
    )

    url: Dynamic[str]
    key: Dynamic[str]
    serde_type: Dynamic[Literal["STRING", "JSON"]] = Field(default="STRING", description="JSON: `trigger.value` is parsed.")

    def listen(self, context: Any, emit: Emit, stopped: threading.Event) -> None:
        """Raises TaskFailed (`redis.failed`) when the server goes away."""
        require_library("redis")
        import redis

        key = str(self.key)
        mine = f"{key}:headrace:{context.namespace}.{context.flow_id}.{context.trigger_id}"
        inbox, work = f"{mine}:inbox", f"{mine}:work"
        try:
            client: Any = redis.Redis.from_url(str(self.url), decode_responses=True, socket_connect_timeout=10, socket_timeout=30)
            with client:
                take = client.register_script(_TAKE)
                for element in client.lrange(work, 0, -1):
                    self._tell(client, work, element, emit)
                while not stopped.is_set():
                    if client.llen(inbox) == 0 and client.blmove(key, inbox, WAIT_SECONDS, "LEFT", "RIGHT") is None:
                        continue
                    take(keys=[inbox, work], args=[new_id()])
                    for element in client.lrange(work, 0, -1):
                        self._tell(client, work, element, emit)
        except redis.RedisError as error:
            raise TaskFailed(f"the list {key!r} cannot be read: {error}", code="redis.failed") from None

    def _tell(self, client: Any, work: str, element: str, emit: Emit) -> None:
        event_id, _, value = element.partition(" ")
        found: Any = value
        if self.serde_type == "JSON":
            try:
                found = json.loads(value)
            except ValueError:
                found = value
        emit(event_id, {"value": found, "key": str(self.key)})
        client.lrem(work, 1, element)


TRIGGERS: tuple[type[TriggerType], ...] = (ListTrigger,)
