"""Who waits for a change of an execution is told here, after the commit that made it.

The table is the truth; a wake-up only says "look now". Missed ones are harmless because every waiter also looks by itself
now and then: a change made by another process is seen at that look.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Self

Topic = tuple[str, str]


class Subscription:
    """One waiter on one execution. Use as a context manager.

    `ended`: the execution was seen to end since; whoever waits for the end alone need not look before.
    """

    def __init__(self, hub: Hub, topic: Topic) -> None:
        self._hub = hub
        self._topic = topic
        self.ended = False
        self._event = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._async_event: asyncio.Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops listening."""
        self._hub.forget(self._topic, self)

    def notify(self, ended: bool) -> None:
        """Called by the hub, from any thread."""
        self.ended = self.ended or ended
        self._event.set()
        loop, event = self._loop, self._async_event
        if loop is not None and event is not None:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # the waiter's loop is closed: nobody is left to tell
                self.close()

    def wait(self, timeout: float) -> bool:
        """Blocks a thread until a change or `timeout` seconds. Says whether there was a change."""
        changed = self._event.wait(timeout)
        self._event.clear()
        return changed

    async def changed(self, timeout: float) -> bool:
        """The same for a coroutine."""
        if self._async_event is None:
            self._async_event = asyncio.Event()
            self._loop = asyncio.get_running_loop()
            if self._event.is_set():
                self._async_event.set()
        try:
            await asyncio.wait_for(self._async_event.wait(), timeout)
        except TimeoutError:
            return False
        self._async_event.clear()
        self._event.clear()
        return True


class Hub:
    """Subscriptions by (tenant, execution). Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[Topic, set[Subscription]] = defaultdict(set)
        self._observers: list[Callable[[str, str], None]] = []

    def observe_ends(self, observer: Callable[[str, str], None]) -> None:
        """Calls `observer(tenant, execution id)` after every end this process commits, on the engine's thread: be quick."""
        self._observers.append(observer)

    def subscribe(self, tenant: str, execution_id: str) -> Subscription:
        """Starts listening. Subscribe first, then look at the table, then wait: nothing is missed."""
        topic = (tenant, execution_id)
        subscription = Subscription(self, topic)
        with self._lock:
            self._waiting[topic].add(subscription)
        return subscription

    def forget(self, topic: Topic, subscription: Subscription) -> None:
        """Ends a subscription; a second call is harmless."""
        with self._lock:
            waiting = self._waiting.get(topic)
            if waiting is not None:
                waiting.discard(subscription)
                if not waiting:
                    del self._waiting[topic]

    def publish(self, tenant: str, execution_id: str, *, ended: bool = False) -> None:
        """Tells everyone who waits for this execution that it changed, or ended."""
        if ended:
            for observer in self._observers:
                observer(tenant, execution_id)
        if not self._waiting:
            return
        with self._lock:
            waiting = tuple(self._waiting.get((tenant, execution_id), ()))
        for subscription in waiting:
            subscription.notify(ended)

    def publish_many(self, topics: Iterable[Topic]) -> None:
        """`publish` for each."""
        for tenant, execution_id in topics:
            self.publish(tenant, execution_id)


hub = Hub()
"""The one hub of this process."""
