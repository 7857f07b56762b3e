"""One worker's stream: carries messages between the socket, the session, the engine and the recorder."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from controlplane.engine.dispatch import Channel
from controlplane.engine.items import Answer, Item, Token
from controlplane.engine.service import Engine
from controlplane.fleet.enrolment import Identity
from controlplane.gateway.messages import STATES, TEXT_MAX, ending, metric_row, sub_run
from controlplane.gateway.progress import forget_progress, note_progress
from controlplane.gateway.recorder import Record, Recorder
from controlplane.gateway.session import PlaneSession, Work
from controlplane.logs.store import Chunk
from controlplane.platform.wakeups import hub
from flows.machine.events import Finished, Lost, Reported, Started
from wire import gateway

log = logging.getLogger(__name__)

ACK_SECONDS = 0.02
"""How long an acknowledgement may wait for company. It only empties the worker's spool; nothing else waits for it."""


class Stream:
    """Belongs to the gateway's loop; `deliver` and the answers of engine and recorder come from other threads."""

    def __init__(self, identity: Identity, engine: Engine, recorder: Recorder) -> None:
        self.identity = identity
        self.session = PlaneSession(identity.tenant)
        self.wake = asyncio.Event()
        self.channel: Channel | None = None
        self._engine = engine
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Callable[[], Any]] = deque()
        self._inbox_lock = threading.Lock()
        self._ack_timer: asyncio.TimerHandle | None = None

    def open_channel(self, epoch: int) -> Channel:
        """The channel the engine leases through; its free slots are what the worker announced less what it holds."""
        hello = self.session.hello
        assert hello is not None
        channel = Channel(
            tenant=self.identity.tenant,
            worker_group=self.identity.worker_group,
            worker_id=self.identity.worker_id,
            epoch=epoch,
            deliver=self.deliver,
        )
        held = list(self.session.leases.values())
        channel.free[True] = hello.light_slots - sum(item.light for item in held)
        channel.free[False] = hello.process_slots - sum(not item.light for item in held)
        self.channel = channel
        return channel

    def deliver(self, assigns: list[gateway.Assign], stops: list[gateway.AttemptToken]) -> None:
        """Called from the engine's thread after its commit."""
        self._soon(self._deliver, assigns, stops)

    def _deliver(self, assigns: list[gateway.Assign], stops: list[gateway.AttemptToken]) -> None:
        if assigns:
            self.session.assign(assigns)
        if stops:
            self.session.stop(stops)
        self.wake.set()

    def _soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Runs a function on the loop. Calls that come in one go cost the loop one wake-up."""
        with self._inbox_lock:
            self._inbox.append(partial(function, *arguments))
            if len(self._inbox) > 1:
                return  # whoever made it one has woken the loop, which takes all there is
        try:
            self._loop.call_soon_threadsafe(self._take_inbox)
        except RuntimeError:  # the loop is closed: the plane is going down and the worker will come again
            log.debug("a message for a closed stream is dropped")

    def _take_inbox(self) -> None:
        # Emptied to the last: only a call that finds the inbox empty wakes the loop again.
        while True:
            try:
                self._inbox[0]()
            except Exception:
                log.exception("a message for worker %s is dropped", self.identity.worker_id)
            with self._inbox_lock:
                self._inbox.popleft()
                if not self._inbox:
                    return

    # -- work ---------------------------------------------------------------------------------------------------------

    def handle(self, work: Work) -> None:
        """Passes a message's parts on to where they are stored."""
        tenant = self.identity.tenant
        for started in work.started:
            token = self._token(started.token)
            event = Started(token.task_run_id, token.attempt, self.identity.worker_id)
            self._engine.submit(Item(key=(tenant, token.execution_id), event=event, holder=token))
        for progress in work.progress:
            if progress.token.lease_id in self.session.leases:
                note_progress(tenant, progress.token.execution_id, progress.token.task_run_id, progress.progress_json)
                hub.publish(tenant, progress.token.execution_id)
        if work.logs:
            chunks = [self._chunk(batch) for batch in work.logs]
            parts = len(work.logs)
            self._recorder.submit(
                Record(
                    tenant, self.identity.worker_id, chunks=chunks, done=lambda: self._soon(self._committed, work.seq, parts, ())
                )
            )
        if work.reports:
            self._handle_reports(work)  # before the results: an attempt tells of its children before it ends
        if work.results:
            self._handle_results(work)
        if work.renew is not None:
            renewal = work.renew
            self._recorder.submit(
                Record(
                    tenant,
                    self.identity.worker_id,
                    lease_ids=list(renewal.lease_ids),
                    done=lambda: self._soon(self._renewed, renewal.round),
                )
            )
        if work.draining and self.channel is not None:
            self._engine.dispatcher.drain(self.channel)
        self.wake.set()

    def _handle_results(self, work: Work) -> None:
        answers = _Answers(len(work.results), partial(self._soon, self._answered, work.seq, len(work.results)))
        for result in work.results:
            item = self._item(result)
            token = result.token
            item.done = partial(answers.add, token)
            self._engine.submit(item)
            forget_progress(self.identity.tenant, token.execution_id, token.task_run_id)

    def _handle_reports(self, work: Work) -> None:
        answers = _Answers(len(work.reports), partial(self._soon, self._answered, work.seq, len(work.reports)))
        for report in work.reports:
            token = self._token(report.token)
            runs = tuple(map(sub_run, report.runs))
            item = Item(
                key=(token.tenant, token.execution_id), event=Reported(token.task_run_id, token.attempt, runs), holder=token
            )
            for told in report.runs:
                item.metrics += [metric_row(told.id, told.task_id, metric) for metric in told.metrics]
                forget_progress(self.identity.tenant, token.execution_id, told.id)
            item.done = partial(answers.add, report.token)
            self._engine.submit(item)

    def _item(self, result: gateway.Result) -> Item:
        token = self._token(result.token)
        held = self.session.leases.pop(token.lease_id, None)
        item = Item(
            key=(token.tenant, token.execution_id),
            event=self._event(result),
            token=token,
            channel=self.channel if held is not None else None,
            light=held.light if held is not None else False,
        )
        task_id = held.task_id if held is not None else ""
        item.metrics += [metric_row(token.task_run_id, task_id, metric) for metric in result.metrics]
        return item

    def _event(self, result: gateway.Result) -> Finished | Lost:
        token = result.token
        if result.outcome == gateway.LOST or result.outcome not in STATES:
            reason = result.error_message[:TEXT_MAX] or "the worker lost the attempt"
            return Lost(token.task_run_id, token.attempt, self.identity.worker_id, reason)
        state, outputs, error = ending(result)
        return Finished(
            task_run_id=token.task_run_id,
            attempt=token.attempt,
            worker_id=self.identity.worker_id,
            state=state,
            took_us=max(0, result.ended_at_us - result.started_at_us),
            outputs=outputs,
            log_lines=result.log_lines,
            error=error,
            log_file=result.log_file or None,
        )

    def _chunk(self, batch: gateway.LogBatch) -> Chunk:
        held = self.session.leases.get(batch.token.lease_id)
        if held is not None and held.token.execution_id != batch.token.execution_id:
            held = None  # a lease entitles to lines of its own execution
        lines = [(line.at_us, min(line.level, 4), line.text) for line in batch.lines]
        token = batch.token
        task_id = "" if held is None else batch.sub_task_id or held.task_id
        return Chunk(self.identity.tenant, token.execution_id, token.task_run_id, task_id, token.attempt, batch.first, lines)

    def _token(self, token: gateway.AttemptToken) -> Token:
        return Token(self.identity.tenant, token.execution_id, token.task_run_id, token.attempt, token.lease_id)

    def _answered(self, seq: int, parts: int, refused: tuple[gateway.AttemptToken, ...], stored: bool) -> None:
        if stored:
            self._committed(seq, parts, refused)
            return
        # Not acknowledged: the worker keeps its results and sends them again on its next stream.
        self.session.goodbye("unavailable: results could not be stored")
        self.wake.set()

    def _committed(self, seq: int, parts: int, refused: tuple[gateway.AttemptToken, ...]) -> None:
        for token in refused:
            self.session.refused(token)
        self.session.committed(seq, parts)
        if refused:
            self.wake.set()
        elif self._ack_timer is None:
            self._ack_timer = self._loop.call_later(ACK_SECONDS, self._ack_due)

    def _ack_due(self) -> None:
        self._ack_timer = None
        self.wake.set()

    def _renewed(self, round_number: int) -> None:
        self.session.renewed(round_number)
        self.wake.set()


class _Answers:
    """Gathers the engine's answers to the results of one message; speaks once, when the last has come."""

    def __init__(self, count: int, done: Callable[[tuple[gateway.AttemptToken, ...], bool], None]) -> None:
        self._left = count
        self._done = done
        self._refused: list[gateway.AttemptToken] = []
        self._stored = True

    def add(self, token: gateway.AttemptToken, answer: Answer) -> None:
        """One answer; always called on the engine's thread."""
        self._left -= 1
        if answer in ("superseded", "absent"):
            self._refused.append(token)
        elif answer == "failed":
            self._stored = False
        if not self._left:
            self._done(tuple(self._refused), self._stored)
