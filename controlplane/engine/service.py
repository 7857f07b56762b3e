"""The engine of one process: a thread that turns what arrives into batches and batches into commits.

While one transaction runs, everything that arrives gathers for the next: one event pays one commit, a thousand also pay few.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from controlplane.engine import outbox
from controlplane.engine.advance import Advance, FlowLoader, Outcome
from controlplane.engine.concurrency import FlowKey, NewestLoader, admissions
from controlplane.engine.dispatch import Dispatcher
from controlplane.engine.items import Answer, Item
from controlplane.platform import database
from controlplane.platform.database import DataError
from controlplane.platform.wakeups import Hub
from flows.errors import HeadraceError
from flows.machine.events import Kill, TimerFired

log = logging.getLogger(__name__)

BATCH_ITEMS_MAX = 2_000
"""Items of one transaction: large enough that a commit costs little an item, small enough that none waits long."""

TRIES_MAX = 5
"""Transactions an item is tried in when the database breaks off; then its teller is told `failed`."""

DUE_TIMERS_MAX = 1_000
"""Timers fired in one go."""


class EngineUnavailable(HeadraceError):
    """The engine could not store a change: the database is away, or the engine is not running."""

    code = "engine.unavailable"


class Engine:
    """Takes items from any thread, answers after the commit. Start it once a process."""

    def __init__(
        self,
        url: str,
        load_flow: FlowLoader,
        hub: Hub,
        dispatcher: Dispatcher | None = None,
        load_newest: NewestLoader | None = None,
    ) -> None:
        self.dispatcher = dispatcher or Dispatcher()
        self.courier = outbox.Courier(url)
        self._url = url
        self._load_flow = load_flow
        self._load_newest = load_newest
        self._freed: set[FlowKey] = set()
        self._hub = hub
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._next_due_us: int | None = None
        self.noted_at_us = 0
        """When the sweeper last said which workers are connected here, in microseconds."""
        self.commits = 0
        self.items = 0

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the thread; returns at once."""
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finishes what was submitted, then ends the thread."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(timeout=30)
        self.courier.stop()

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    # -- what others tell ---------------------------------------------------------------------------------------------

    def submit(self, item: Item) -> None:
        """Hands in one item; `item.done` hears the answer on the engine's thread after the commit."""
        self._queue.put(item)

    def wake(self) -> None:
        """Look for waiting hand-outs and due timers now."""
        self._queue.put(None)

    def call(self, item: Item, timeout: float = 30.0) -> Answer:
        """Hands in one item and waits for its answer. Raises EngineUnavailable when there is none in time."""
        if not self.running:
            raise EngineUnavailable("the engine is not running in this process")
        answer: Future[Answer] = Future()
        item.done = answer.set_result
        self.submit(item)
        try:
            found = answer.result(timeout)
        except TimeoutError as error:
            raise EngineUnavailable(f"no answer from the engine within {timeout:.0f} s; is the database reachable?") from error
        if found == "failed":
            raise EngineUnavailable("the change could not be stored; see the control plane's log")
        return found

    def call_all(self, items: Sequence[Item], timeout: float = 300.0) -> list[Answer]:
        """Hands in many items and waits for all their answers, in order. Raises EngineUnavailable."""
        if not self.running:
            raise EngineUnavailable("the engine is not running in this process")
        answers: list[Future[Answer]] = []
        for item in items:
            answer: Future[Answer] = Future()
            item.done = answer.set_result
            answers.append(answer)
            self.submit(item)
        deadline = time.monotonic() + timeout
        try:
            return [answer.result(max(0.0, deadline - time.monotonic())) for answer in answers]
        except TimeoutError as error:
            raise EngineUnavailable(f"not all of {len(items)} changes were answered within {timeout:.0f} s") from error

    def kill(self, tenant: str, execution_id: str, *, cascade: bool = True) -> bool:
        """Ends an execution: waiting task runs at once, running ones through their workers; `cascade`: and those it started.

        False when it does not exist.
        """
        return self.call(Item(key=(tenant, execution_id), event=Kill(cascade=cascade))) == "applied"

    def admit(self, key: FlowKey) -> None:
        """Somebody in the line of this flow may have a place now: look at once."""
        self._freed.add(key)
        self._queue.put(None)

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        advance: Advance | None = None
        connection: database.Database | None = None
        pending: list[Item] = []
        while True:
            try:
                if connection is None or advance is None:
                    connection = database.connect(self._url)
                    advance = Advance(connection, self.dispatcher, self._load_flow, self._load_newest)
                    self._next_due_us = next_due(connection)
                if not pending:
                    pending = self._gather()
                    if not pending and self._stopping.is_set() and self._queue.empty():
                        connection.close()
                        return
                if self._next_due_us is not None and connection.now_us() >= self._next_due_us:
                    pending.extend(due_timers(connection))
                    self._next_due_us = next_due(connection)
                if self._freed:
                    pending.extend(self.admissions(connection))
                if pending or self.dispatcher.groups_with_room():
                    self._carry_out(advance, pending)
                    pending = []
            except Exception:
                log.exception("the engine's transaction failed; it is tried again")
                pending = self._again(pending)
                if connection is not None:
                    try:
                        connection.close()
                    except Exception:  # it is broken already; a new one is opened next
                        log.debug("closing the broken connection failed", exc_info=True)
                connection = None
                if self._stopping.is_set() and not pending:
                    return
                time.sleep(0.2)

    def _carry_out(self, advance: Advance, items: list[Item]) -> None:
        """One transaction for all. When the database refuses it, one for each execution, so that only the culprit is parked."""
        try:
            outcome = advance.run(items)
        except DataError as error:
            keys = list(dict.fromkeys(item.key for item in items))
            if len(keys) == 1:
                log.exception("the database does not take a change of execution %s: it is parked", keys[0][1])
                outcome = advance.park(keys[0], items, error)
            else:
                for key in keys:
                    self._carry_out(advance, [item for item in items if item.key == key])
                return
        self.commits += 1
        self.items += len(items)
        self._tell(outcome)

    def admissions(self, connection: database.Database) -> list[Item]:
        """Items for those who may have the places that were given up."""
        found: list[Item] = []
        while self._freed:
            key = self._freed.pop()
            if self._load_newest is not None:
                found.extend(admissions(connection, key, self._load_newest))
        return found

    def _gather(self) -> list[Item]:
        """Waits for something to do, then takes all there is, up to the bound."""
        wait = 1.0
        if self._next_due_us is not None:
            wait = min(wait, max(0.0, self._next_due_us / 1_000_000 - time.time()))
        if self._freed:
            wait = 0.0
        batch: list[Item] = []
        try:
            first = self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
        except queue.Empty:
            return batch
        if first is not None:
            batch.append(first)
        while len(batch) < BATCH_ITEMS_MAX:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is not None:
                batch.append(item)
        return batch

    def _again(self, items: list[Item]) -> list[Item]:
        kept = []
        for item in items:
            item.tries += 1
            if item.tries < TRIES_MAX:
                kept.append(item)
            elif item.done is not None:
                item.done("failed")
        return kept

    def _tell(self, outcome: Outcome) -> None:
        """After the commit, and only then: workers, tellers, watchers."""
        for channel, assigns in outcome.assigned.items():
            channel.deliver(assigns, [])
        for tenant, worker_id, token in outcome.stopped:
            target = self.dispatcher.channel_of(tenant, worker_id)
            if target is not None:
                target.deliver([], [token])
        for item, answer in outcome.answers:
            done, item.done = item.done, None  # once, even if the item is tried again because another one of its batch failed
            if done is not None:
                done(answer)
        for item in (*outcome.refused, *outcome.messages):
            self.submit(item)
        self.courier.bring(outcome.notices)
        self._freed.update(outcome.freed)
        self._hub.publish_many(outcome.changed)
        for key in outcome.ended:
            self._hub.publish(*key, ended=True)
        if outcome.next_due_us is not None and (self._next_due_us is None or outcome.next_due_us < self._next_due_us):
            self._next_due_us = outcome.next_due_us


def due_timers(connection: database.Database) -> list[Item]:
    """Items for the timers that are due. Each is taken when its row is deleted in the step it causes, so none fires twice."""
    rows = connection.execute(
        "SELECT id, tenant_id, execution_id, task_run_id, attempt, kind FROM timer"
        " WHERE due_at_us <= ? ORDER BY due_at_us LIMIT ?",
        (connection.now_us(), DUE_TIMERS_MAX),
    )
    return [
        Item(key=(tenant, execution_id), event=TimerFired(task_run_id, attempt, kind), timer=timer_id)
        for timer_id, tenant, execution_id, task_run_id, attempt, kind in rows
    ]


def next_due(connection: database.Database) -> int | None:
    """When the next timer that is not due yet will be, in microseconds; now, when one is due already; None without timers."""
    found: int | None = connection.execute("SELECT min(due_at_us) FROM timer")[0][0]
    return found


_engine: Engine | None = None


def install(engine: Engine | None) -> None:
    """Makes this the engine of the process (None: takes it away)."""
    global _engine
    _engine = engine


def installed() -> Engine:
    """The engine of this process. Raises EngineUnavailable when none was started."""
    if _engine is None:
        raise EngineUnavailable("no engine is running in this process")
    return _engine
