"""The workers' door for polling and realtime triggers: a stream beside the session, lending evaluations and storing findings.

A worker says what it can evaluate and how much at a time; it is lent what is due in its group, once a second. What it holds it
says every ten seconds. A finding is acknowledged when the transaction that stores it has committed, so the worker may repeat it
on every stream until then.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from typing import Any

import grpc
from django.conf import settings

from controlplane.engine.items import Answer, Item
from controlplane.engine.service import Engine
from controlplane.fleet.enrolment import Identity
from controlplane.gateway.auth import in_thread
from controlplane.platform import database
from controlplane.triggers import evaluations
from controlplane.triggers.settling import Settlement, settle
from wire import gateway

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks for due evaluations, and for those that are the worker's no more."""

LENT_MAX = 100
"""Evaluations lent in one go."""

SLOTS_MAX = 10_000
"""Evaluations of one worker at a time, whatever it says."""

Context = grpc.aio.ServicerContext[Any, Any]
_local = threading.local()


class TriggerDoor:
    """Serves the streams of one gateway. `executor` runs what touches the database."""

    def __init__(self, engine: Engine, executor: Executor) -> None:
        self._engine = engine
        self._executor = executor

    async def serve(self, identity: Identity, reports: AsyncIterator[gateway.TriggerReport], context: Context) -> None:
        """One worker's stream, until either side ends it."""
        first = await anext(reports, None)
        if first is None or not first.HasField("hello"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "triggers.hello: the first message of a stream says hello")
        assert first is not None
        stream = _Stream(identity, first.hello, self._engine, self._executor)
        await stream.open()
        tasks = [
            asyncio.create_task(stream.write(context)),
            asyncio.create_task(stream.read(reports)),
            asyncio.create_task(stream.look()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.error("the trigger stream of worker %s broke", identity.worker_id, exc_info=ended)


class _Stream:
    """One stream. Belongs to the gateway's loop."""

    def __init__(self, identity: Identity, hello: gateway.TriggerHello, engine: Engine, executor: Executor) -> None:
        self._identity = identity
        self._types = tuple(hello.trigger_types)
        self._slots = min(hello.slots, SLOTS_MAX)
        self._claimed = tuple(hello.holding)
        self._engine = engine
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._held: set[str] = set()
        self._next = gateway.TriggerOrder(renew_seconds=evaluations.RENEW_SECONDS)
        self._wake = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """What the worker says it holds is held against the table."""
        self._held = await in_thread(self._executor, self._still, self._claimed, True)
        self._say(over=set(self._claimed) - self._held)

    def _still(self, evaluation_ids: tuple[str, ...], renew: bool) -> set[str]:
        return evaluations.held_by(self._identity, evaluation_ids, renew=renew)

    def _say(self, over: set[str] | None = None, stored: str = "", lent: list[gateway.Evaluate] | None = None) -> None:
        self._next.over.extend(sorted(over or ()))
        self._next.evaluate.extend(lent or ())
        if stored:
            self._next.stored.append(stored)
        self._wake.set()

    async def write(self, context: Context) -> None:
        """Sends what has gathered."""
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            message, self._next = self._next, gateway.TriggerOrder()
            await context.write(message)

    async def read(self, reports: AsyncIterator[gateway.TriggerReport]) -> None:
        """Findings, renewals, and the worker's end."""
        async for report in reports:
            if report.holding:
                held = await in_thread(self._executor, self._still, tuple(report.holding), True)
                self._say(over=set(report.holding) - held)
            for said in report.evaluated:
                await self._found(said)
            if report.leaving:
                await in_thread(self._executor, evaluations.give_up, self._identity, tuple(self._held | set(report.holding)))
                return

    async def look(self) -> None:
        """Lends what is due, and tells of what is over because a person, or a save of the flow, said so."""
        while True:
            if self._held:
                held = await in_thread(self._executor, self._still, tuple(self._held), False)
                if gone := self._held - held:
                    self._held -= gone
                    self._say(over=gone)
            room = min(LENT_MAX, self._slots - len(self._held))
            if room > 0 and self._types:
                lent = await in_thread(self._executor, evaluations.lend, self._identity, self._types, room)
                for item in lent.items:
                    self._engine.submit(item)
                if lent.evaluations:
                    self._held.update(one.evaluation_id for one in lent.evaluations)
                    self._say(lent=lent.evaluations)
            await asyncio.sleep(LOOK_SECONDS)

    # -- findings -----------------------------------------------------------------------------------------------------

    async def _found(self, said: gateway.Evaluated) -> None:
        outcome = await in_thread(self._executor, evaluations.finding, self._identity, said)
        if isinstance(outcome, Item):
            outcome.done = lambda answer: self._answered(said, answer)
            self._engine.submit(outcome)
        elif outcome is None:
            await self._refused(said)
        elif await in_thread(self._executor, _settled, outcome):
            self._stored(said)
        else:
            await self._refused(said)

    def _answered(self, said: gateway.Evaluated, answer: Answer) -> None:
        """On the engine's thread."""

        def on_loop() -> None:
            if answer in ("applied", "parked"):
                self._stored(said)
            elif answer == "failed":
                # Not stored: the worker says it again on its next stream.
                self._closed = True
                self._wake.set()
            else:
                self._pending = asyncio.ensure_future(self._refused(said))

        try:
            self._loop.call_soon_threadsafe(on_loop)
        except RuntimeError:  # the loop is closed: the plane is going down and the worker will come again
            log.debug("an answer for a closed stream is dropped")

    def _stored(self, said: gateway.Evaluated) -> None:
        if said.finding != gateway.Evaluated.FIRES or said.report_id == said.evaluation_id:
            self._held.discard(said.evaluation_id)  # the evaluation is over with it; an event leaves its subscription going
        self._say(stored=said.report_id)

    async def _refused(self, said: gateway.Evaluated) -> None:
        """Stored earlier, when its answer got lost; else the evaluation is not the worker's any more."""
        if await in_thread(self._executor, evaluations.stored_before, self._identity, said):
            self._say(stored=said.report_id)
        else:
            self._held.discard(said.evaluation_id)
            self._say(over={said.evaluation_id})


def _settled(outcome: Settlement) -> bool:
    """Stores what starts nothing, on this thread's own connection."""
    connection = _connection()
    try:
        with connection.transaction():
            return settle(connection, [outcome], connection.now_us())[0]
    except Exception:
        _local.database = None
        raise


def _connection() -> database.Database:
    found: database.Database | None = getattr(_local, "database", None)
    if found is None:
        found = _local.database = database.connect(database.url_of_settings(settings.DATABASES["default"]))
    return found
