"""Evaluates triggers for the plane: one stream beside the session, one thread an evaluation.

What was found out is said again on every stream until the plane has stored it. An evaluation that is not this worker's any more
is asked to stop and its words are dropped; the plane would refuse them anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import grpc.aio
import orjson
from pydantic import BaseModel

from flows.errors import HeadraceError
from flows.plugins import Catalogue, TriggerType
from wire import gateway
from worker import limits
from worker.door import SERVICE
from worker.errors import TaskFailed
from worker.triggers.context import TriggerContext, TriggerTools
from worker.triggers.finding import Finding, RealtimeTrigger, SubscriptionOver

_log = logging.getLogger("headrace.worker")

SLOTS = 100
"""Evaluations and subscriptions at a time: each has a thread, which mostly waits."""

RENEW_SECONDS = 10.0
PAUSE_FIRST_SECONDS = 0.5
PAUSE_MAX_SECONDS = 10.0
UNKNOWN_SECONDS = 60.0
"""How long a plane that knows no triggers is left alone."""


@dataclass(slots=True)
class _Running:
    lent: gateway.Evaluate
    stopped: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Report:
    said: gateway.Evaluated
    after: Callable[[], None] | None = None
    settled: threading.Event = field(default_factory=threading.Event)
    stored: bool = False


class TriggerAgent:
    """The trigger half of an agent. Belongs to the loop's thread, except where a method says otherwise."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        metadata: Sequence[tuple[str, str]],
        catalogue: Catalogue,
        tools: TriggerTools,
        slots: int = SLOTS,
    ) -> None:
        self._metadata = tuple(metadata)
        self._types: dict[str, type[TriggerType]] = {
            name: found for name, found in catalogue.triggers.items() if found.kind in ("polling", "realtime")
        }
        self._tools = tools
        self._slots = slots
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, _Running] = {}
        self._reports: dict[str, _Report] = {}
        self._unsaid: list[str] = []
        self._wake = asyncio.Event()
        self._leaving = False
        self._renew_seconds = RENEW_SECONDS
        self._open = channel.stream_stream(
            SERVICE + "Triggers",
            request_serializer=gateway.TriggerReport.SerializeToString,
            response_deserializer=gateway.TriggerOrder.FromString,
        )

    # -- the stream ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Streams, one after the other, until cancelled. Without trigger types there is nothing to do."""
        if not self._types:
            return
        pause = PAUSE_FIRST_SECONDS
        while True:
            began = time.monotonic()
            try:
                await self._stream()
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    await asyncio.sleep(UNKNOWN_SECONDS)
            if time.monotonic() - began > PAUSE_MAX_SECONDS:
                pause = PAUSE_FIRST_SECONDS
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, PAUSE_MAX_SECONDS)

    async def leave(self, seconds: float = 2.0) -> None:
        """The worker ends: what it holds is given back at once, as far as the plane can be told within `seconds`."""
        self._leaving = True
        for running in self._running.values():
            running.stopped.set()
        self._wake.set()
        until = time.monotonic() + seconds
        while self._leaving and time.monotonic() < until:  # noqa: ASYNC110 - several ends, no haste
            await asyncio.sleep(0.02)

    async def _stream(self) -> None:
        call: Any = self._open(metadata=self._metadata)
        hello = gateway.TriggerHello(trigger_types=sorted(self._types), slots=self._slots, holding=self._holding())
        await call.write(gateway.TriggerReport(hello=hello))
        self._unsaid = list(self._reports)
        writer = asyncio.create_task(self._write(call))
        try:
            async for order in call:
                self._obey(order)
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError, grpc.aio.UsageError):
                await writer
            if not call.done():
                call.cancel()

    async def _write(self, call: Any) -> None:
        self._wake.set()
        renewed = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._renew_seconds)
            self._wake.clear()
            unsaid, self._unsaid = self._unsaid, []
            report = gateway.TriggerReport(
                evaluated=[self._reports[name].said for name in unsaid if name in self._reports], leaving=self._leaving
            )
            if self._leaving or time.monotonic() - renewed >= self._renew_seconds / 2:
                report.holding.extend(self._holding())
                renewed = time.monotonic()
            if report.evaluated or report.holding or report.leaving:
                await call.write(report)
            self._leaving = False

    def _holding(self) -> list[str]:
        return list(self._running)

    def _obey(self, order: gateway.TriggerOrder) -> None:
        if order.renew_seconds:
            self._renew_seconds = float(order.renew_seconds)
        for report_id in order.stored:
            self._settle(report_id, stored=True)
        for evaluation_id in order.over:
            running = self._running.pop(evaluation_id, None)
            if running is not None:
                running.stopped.set()
            for report_id in [name for name, one in self._reports.items() if one.said.evaluation_id == evaluation_id]:
                self._settle(report_id, stored=False)
        for lent in order.evaluate:
            if lent.evaluation_id not in self._running:
                self._begin(lent)

    def _settle(self, report_id: str, *, stored: bool) -> None:
        report = self._reports.pop(report_id, None)
        if report is None:
            return
        report.stored = stored
        report.settled.set()
        if report.said.report_id == report.said.evaluation_id:
            self._running.pop(report.said.evaluation_id, None)

    # -- evaluations --------------------------------------------------------------------------------------------------

    def _begin(self, lent: gateway.Evaluate) -> None:
        running = self._running[lent.evaluation_id] = _Running(lent)
        name = f"trigger {lent.flow_id}.{lent.trigger_id}"
        # Daemons: one that hangs in somebody's network holds up nobody, the worker's end least of all.
        threading.Thread(target=self._evaluate, args=(running,), name=name[:60], daemon=True).start()

    def _evaluate(self, running: _Running) -> None:
        """In the evaluation's own thread, from the first rendering to the last word."""
        lent = running.lent
        context = TriggerContext(lent, self._tools)
        finding: Finding | None = None
        said = _word(lent, lent.evaluation_id)
        try:
            trigger_type = self._types.get(lent.trigger_type)
            if trigger_type is None:
                raise TaskFailed(f"This worker has no trigger type {lent.trigger_type}.", code="trigger.type_unknown")
            trigger = context.trigger(trigger_type)
            if isinstance(trigger, RealtimeTrigger):
                trigger.listen(context, partial(self._emit, running, context), running.stopped)
            else:
                finding = as_finding(trigger.evaluate(context))
            said.finding = gateway.Evaluated.NOTHING if finding is None else gateway.Evaluated.FIRES
            if finding is not None:
                said.variables_json = variables_json(finding.variables, context)
        except SubscriptionOver:
            said.finding = gateway.Evaluated.NOTHING
        except Exception as error:  # noqa: BLE001 - whatever a trigger raises is told to the plane, and ends nobody else
            said.finding = gateway.Evaluated.FAILED
            said.error_code = error.code if isinstance(error, HeadraceError) else "trigger.error"
            text = str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"
            said.error_message = context.masker.mask(text)[: limits.ERROR_CHARACTERS_MAX]
            finding = None
        if self._tell(said) and finding is not None and finding.after is not None:
            try:
                finding.after()
            except Exception:  # noqa: BLE001 - the execution runs; what is left undone is found again by the next look
                _log.exception("trigger %s of %s.%s could not tidy up", lent.trigger_id, lent.namespace, lent.flow_id)
        context.close()

    def _emit(self, running: _Running, context: TriggerContext, event_id: str, variables: Any) -> None:
        """In the subscription's thread: an event, waited for until it is stored."""
        if running.stopped.is_set():
            raise SubscriptionOver("the subscription is over")
        said = _word(running.lent, str(event_id)[: limits.EVENT_ID_CHARACTERS_MAX])
        said.finding = gateway.Evaluated.FIRES
        said.variables_json = variables_json(variables, context)
        if not self._tell(said):
            raise SubscriptionOver("the event was not taken: the subscription is over")

    def _tell(self, said: gateway.Evaluated) -> bool:
        """From any thread: says it until it is stored, or until the evaluation is over. Whether it was stored."""
        report = _Report(said)

        def on_loop() -> None:
            if said.evaluation_id not in self._running:
                report.settled.set()  # it was over before this could be said
                return
            self._reports[said.report_id] = report
            self._unsaid.append(said.report_id)
            self._wake.set()

        try:
            self._loop.call_soon_threadsafe(on_loop)
        except RuntimeError:  # the agent has ended
            return False
        report.settled.wait()
        return report.stored


def _word(lent: gateway.Evaluate, report_id: str) -> gateway.Evaluated:
    return gateway.Evaluated(
        evaluation_id=lent.evaluation_id,
        report_id=report_id,
        namespace=lent.namespace,
        flow_id=lent.flow_id,
        trigger_id=lent.trigger_id,
    )


def as_finding(found: Any) -> Finding | None:
    """What `evaluate` returned, in one shape: None, a Finding, or variables."""
    return found if found is None or isinstance(found, Finding) else Finding(found)


def variables_json(variables: Any, context: TriggerContext) -> bytes:
    """`trigger.*` as JSON with secrets masked. Raises TaskFailed when they are too large or no map."""
    if isinstance(variables, BaseModel):
        variables = variables.model_dump(mode="json", by_alias=True, exclude_none=True)
    data = orjson.dumps(variables, default=str, option=orjson.OPT_NON_STR_KEYS)
    if context.masker:
        data = orjson.dumps(context.masker.mask_value(orjson.loads(data)))
    if not data.startswith(b"{"):
        raise TaskFailed(f"A trigger's variables have to be a map, found {type(variables).__name__}.", code="trigger.variables")
    if len(data) > limits.OUTPUTS_BYTES_MAX:
        have = f"The variables have {len(data)} bytes, {limits.OUTPUTS_BYTES_MAX} are allowed."
        raise TaskFailed(f"{have} Store large data as a file and hand on its URI.", code="trigger.variables_too_large")
    return data
