"""Both real ends of the stream joined by two lists: the worker's session and spool, the plane's session and stream.

What is played here: the table of leases (a dictionary), the engine's and the recorder's commits (a queue that is carried out, or
thrown away with its process), the wire, and the work itself. Faults are placed on numbered messages; see `Fault`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from controlplane.engine.dispatch import Dispatcher
from controlplane.engine.items import Answer, Item, Token
from controlplane.engine.service import Engine
from controlplane.fleet.enrolment import Identity
from controlplane.gateway.recorder import Record, Recorder
from controlplane.gateway.session import Held
from controlplane.gateway.stream import Stream
from flows.machine.events import Finished, Lost, Started
from wire import gateway
from worker.session import Goodbye, HelloFacts, Reconnect, Start, Stop, WorkerSession
from worker.spool import MemorySpool, SpoolItem, SqliteSpool

Fault = Literal["drop", "repeat", "cut", "swap", "plane dies", "worker dies", "slow", "vanish"]
FAULTS: tuple[Fault, ...] = ("drop", "repeat", "cut", "swap", "plane dies", "worker dies", "slow", "vanish")
"""At a message: it is lost and the link with it; it arrives twice; it arrives and the link breaks behind it; the link breaks and
it arrives at the old session after the next has begun; it arrives and the plane dies before anything of it is committed; it
arrives and the worker dies; from here on the plane commits nothing until the next reconnect or for a
while; it is lost and the link lives on, which gRPC does not do to us."""

TENANT, GROUP, WORKER = "main", "default", "w" * 22
FACTS = HelloFacts("1", light_slots=4, process_slots=4)
LEASE_SECONDS, RENEW_SECONDS = 30, 10
ROUNDS_MAX = 400
SLOW_SECONDS = 25


class Broken(AssertionError):
    """A promise of the protocol does not hold."""


class _Checked:
    """Knows whether what a spool is told to forget is really stored."""

    stored: Callable[[SpoolItem], bool]

    def check(self, items: list[SpoolItem], seq: int) -> None:
        for item in items:
            if item.seq <= seq and not self.stored(item):
                raise Broken(f"item {item.seq} ({item.kind}) was acknowledged and is not stored")


class CheckedMemorySpool(MemorySpool, _Checked):
    """In memory: it outlives its agent only because the test says so."""

    def acknowledge(self, seq: int) -> list[str]:
        self.check(list(self._items), seq)
        return super().acknowledge(seq)


class CheckedFileSpool(SqliteSpool, _Checked):
    """The real one, in a file."""

    def acknowledge(self, seq: int) -> list[str]:
        self.check(self.items_after(0, 10**9), seq)
        return super().acknowledge(seq)


CheckedSpool = CheckedMemorySpool | CheckedFileSpool


@dataclass(slots=True)
class Row:
    """A hand-out in the table."""

    token: Token
    light: bool
    until: float
    stop: bool = False


class _Stream(Stream):
    """The real stream; answers of engine and recorder come at once instead of through its loop."""

    def _soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        function(*arguments)


@dataclass
class Link:
    """One connection: the plane's stream on one end."""

    stream: _Stream
    up: bool = True


@dataclass
class Plane:
    """The control plane: what survives it (the table, what was recorded), and what does not (streams, queue)."""

    light: frozenset[str] = frozenset()
    table: dict[str, Row] = field(default_factory=dict)
    waiting: deque[tuple[str, int]] = field(default_factory=deque)
    ended: dict[str, tuple[int, str]] = field(default_factory=dict)
    answered: set[tuple[str, int]] = field(default_factory=set)
    lost: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    killed: set[str] = field(default_factory=set)
    lines: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    queue: list[Item | Record] = field(default_factory=list)
    dispatcher: Dispatcher = field(default_factory=Dispatcher)
    links: list[Link] = field(default_factory=list)
    now: float = 0.0
    slow_until: float = 0.0
    late: list[tuple[Link, gateway.ToPlane]] = field(default_factory=list)
    _epoch: int = 0
    _leases: int = 0

    def submit(self, item: Item | Record) -> None:
        self.queue.append(item)

    def link(self) -> Link:
        identity = Identity(TENANT, GROUP, WORKER)
        found = Link(_Stream(identity, cast("Engine", self), cast("Recorder", self)))
        self.links.append(found)
        return found

    def die(self) -> None:
        """The process is gone, with everything it had not committed."""
        self.queue.clear()
        self.links.clear()
        self.late.clear()
        self.dispatcher = Dispatcher()
        self.slow_until = 0.0

    # -- the door -----------------------------------------------------------------------------------------------------

    def received(self, link: Link, message: gateway.ToPlane) -> None:
        session = link.stream.session
        work = session.received(message)
        if session.closed is not None:
            return
        if work is not None:
            link.stream.handle(work)
            return
        self._epoch += 1
        rows = list(self.table.values())
        for row in rows:
            row.until = self.now + LEASE_SECONDS
        # Between this look at the table and the end of the older stream, the older stream may still bring something.
        for older, late in self.late:
            if any(older is known for known in self.links):
                self.received(older, late)
        self.late.clear()
        for other in self.links:
            if other is not link:
                other.stream.session.goodbye("superseded: this worker opened another stream")
        held, assigns = [], []
        for row in rows:
            held.append(Held(row.token, "t", row.light, row.stop))
            assigns.append(self._assign(row))
        session.welcome(self._epoch, LEASE_SECONDS, RENEW_SECONDS, held, assigns)
        self.dispatcher.attach(link.stream.open_channel(self._epoch))
        self.slow_until = 0.0

    def closed(self, link: Link) -> None:
        link.up = False
        if link.stream.channel is not None:
            self.dispatcher.detach(link.stream.channel)

    # -- engine and recorder ------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Carries out what is queued, then leases what waits to free slots."""
        if self.now < self.slow_until:
            return
        queue, self.queue = self.queue, []
        for item in queue:
            if isinstance(item, Record):
                self._record(item)
            else:
                answer = self._apply(item)
                if item.token is not None and item.channel is not None:
                    self.dispatcher.release(item.channel, item.light)
                if item.done is not None:
                    item.done(answer)
        for _ in range(len(self.waiting)):
            run_id, attempt = self.waiting.popleft()
            light = run_id in self.light
            channels = self.dispatcher.reserve((TENANT, GROUP, light), 1)
            if not channels:
                self.waiting.append((run_id, attempt))
                continue
            self._leases += 1
            row = Row(Token(TENANT, "e", run_id, attempt, f"lease{self._leases}"), light, self.now + LEASE_SECONDS)
            self.table[run_id] = row
            channels[0].deliver([self._assign(row)], [])

    def _apply(self, item: Item) -> Answer:
        token = item.token or item.holder
        assert token is not None
        row = self.table.get(token.task_run_id)
        if row is None or row.token != token:
            if item.token is not None:
                self.answered.add((token.task_run_id, token.attempt))
                self.refused += 1
            return "superseded"
        if isinstance(item.event, Started):
            return "applied"
        if item.expired and row.until >= self.now:
            return "superseded"
        del self.table[token.task_run_id]
        self.answered.add((token.task_run_id, token.attempt))
        if isinstance(item.event, Lost):
            self.lost[token.task_run_id] += 1
            channel = self.dispatcher.channel_of(TENANT, WORKER)
            if item.expired and channel is not None:
                channel.deliver([], [_token(token)])
            if token.task_run_id not in self.killed:
                self.waiting.append((token.task_run_id, token.attempt + 1))
            return "applied"
        assert isinstance(item.event, Finished)
        if token.task_run_id in self.ended:
            raise Broken(f"two results of {token.task_run_id} were applied")
        self.ended[token.task_run_id] = (token.attempt, item.event.state.value)
        if item.event.outputs != {"made by": [token.task_run_id, token.attempt]} and item.event.state == "SUCCESS":
            raise Broken(f"{token.task_run_id} got the outputs {item.event.outputs}")
        if item.event.log_lines is not None:
            self.declared[token.task_run_id, token.attempt] = item.event.log_lines
        return "applied"

    declared: dict[tuple[str, int], int] = field(default_factory=dict)

    def _record(self, record: Record) -> None:
        for chunk in record.chunks:
            key = (chunk.task_run_id, chunk.attempt)
            if not chunk.task_id and key not in self.answered:
                continue  # nobody's, as far as the tables say
            held = self.lines.setdefault(key, [])
            if chunk.first > len(held):
                raise Broken(f"lines {len(held)} to {chunk.first} of {key} are missing")
            held.extend(text for _, _, text in chunk.lines[len(held) - chunk.first :])
        for row in self.table.values():
            if row.token.lease_id in record.lease_ids:
                row.until = self.now + LEASE_SECONDS
        if record.done is not None:
            record.done()

    def sweep(self) -> None:
        for row in list(self.table.values()):
            if row.until < self.now:
                token = row.token
                event = Lost(token.task_run_id, token.attempt, WORKER, "its lease ran out")
                self.submit(Item((TENANT, "e"), event, token=token, expired=True))

    def kill(self, run_id: str) -> None:
        """A person ends it: what waits is over at once, what is leased is told."""
        self.killed.add(run_id)
        self.waiting = deque(entry for entry in self.waiting if entry[0] != run_id)
        row = self.table.get(run_id)
        if row is not None:
            row.stop = True
            channel = self.dispatcher.channel_of(TENANT, WORKER)
            if channel is not None:
                channel.deliver([], [_token(row.token)])

    def _assign(self, row: Row) -> gateway.Assign:
        return gateway.Assign(token=_token(row.token), task_type="t", task_id="t", task_json=b"{}", light=row.light)

    def stored(self, item: SpoolItem) -> bool:
        """Whether a spool item may be forgotten."""
        message = item.message
        key = (message.token.task_run_id, message.token.attempt)
        if isinstance(message, gateway.Result):
            return key in self.answered
        if isinstance(message, gateway.Report):
            return False  # these conversations hold none
        held = self.lines.get(key, [])
        return message.first + len(message.lines) <= len(held) or key not in self.lines


def _token(token: Token) -> gateway.AttemptToken:
    return gateway.AttemptToken(
        execution_id=token.execution_id, task_run_id=token.task_run_id, attempt=token.attempt, lease_id=token.lease_id
    )


@dataclass
class Job:
    """An attempt as its worker runs it: two batches of lines, then its result."""

    token: gateway.AttemptToken
    light: bool
    steps: int = 0
    lines: int = 0
    stop: str = ""


@dataclass
class Worker:
    """The agent: its session, its spool (which survives it), and what it runs (which does not)."""

    plane: Plane
    file: Path | None
    spool: CheckedSpool = field(init=False)
    jobs: dict[str, Job] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    last_step: int = 2
    session: WorkerSession = field(init=False)
    wants_reconnect: bool = False

    def __post_init__(self) -> None:
        self._open(CheckedMemorySpool() if self.file is None else CheckedFileSpool(self.file))

    def _open(self, spool: CheckedSpool) -> None:
        self.spool = spool
        self.spool.stored = self.plane.stored
        self.session = WorkerSession(spool, FACTS, silence_seconds=10)

    def die(self, now: float) -> None:
        """kill -9, and a new process on the same spool."""
        for lease_id in [lease_id for lease_id, job in self.jobs.items() if job.light]:
            self.starts[lease_id] = 0  # light attempts that never touched the disk are handed out and begun again
        self.jobs.clear()
        if isinstance(self.spool, CheckedFileSpool):
            self.spool._connection.close()
            assert self.file is not None
            self._open(CheckedFileSpool(self.file))
        else:
            self._open(self.spool)
        self.session.tick(now)

    def act(self) -> None:
        for action in self.session.take_actions():
            match action:
                case Start(assign):
                    self.starts[assign.token.lease_id] += 1
                    if self.starts[assign.token.lease_id] > 1:
                        raise Broken(f"{assign.token.lease_id} was started twice")
                    self.jobs[assign.token.lease_id] = Job(assign.token, assign.light)
                case Stop(token, reason):
                    job = self.jobs.get(token.lease_id)
                    if job is not None and reason == "forget":
                        del self.jobs[token.lease_id]
                    elif job is not None:
                        job.stop = reason
                case Reconnect() | Goodbye():
                    self.wants_reconnect = True
                case _:
                    pass

    def work(self) -> None:
        """Each attempt takes a step: a batch of lines, another one, the end."""
        for lease_id, job in list(self.jobs.items()):
            run_id, attempt = job.token.task_run_id, job.token.attempt
            if job.stop or job.steps == self.last_step:
                outcome = {"": gateway.SUCCESS, "kill": gateway.KILLED}.get(job.stop, gateway.LOST)
                outputs = b'{"made by":["%s",%d]}' % (run_id.encode(), attempt)
                self.session.finished(gateway.Result(token=job.token, outcome=outcome, outputs_json=outputs, log_lines=job.lines))
                del self.jobs[lease_id]
                continue
            job.steps += 1
            texts = [f"{run_id} {attempt} {job.lines + number}" for number in range(2)]
            batch = gateway.LogBatch(token=job.token, first=job.lines, lines=[gateway.LogLine(text=text) for text in texts])
            if self.session.log_batch(batch):
                job.lines += 2
            if job.steps == 1:
                self.session.started(job.token, 1)


@dataclass
class Conversation:
    """A worker and a plane, some task runs, and faults at given messages (numbered from 0, in both directions together)."""

    runs: tuple[str, ...]
    faults: dict[int, Fault]
    light: frozenset[str] = frozenset()
    kill_at: int | None = None
    file: Path | None = None
    messages: int = 0
    rounds: int = 0
    plane: Plane = field(init=False)
    worker: Worker = field(init=False)
    link: Link | None = None

    def __post_init__(self) -> None:
        self.plane = Plane(light=self.light)
        self.plane.waiting.extend((run_id, 1) for run_id in self.runs)
        self.worker = Worker(self.plane, self.file)

    @property
    def now(self) -> float:
        return float(self.rounds)

    def run(self) -> None:
        """To its rest. Raises Broken when a promise does not hold on the way or at the end."""
        while not self._at_rest():
            self.rounds += 1
            if self.rounds > ROUNDS_MAX:
                raise Broken(f"no rest: ended {self.plane.ended}, table {self.plane.table}, waiting {self.plane.waiting}")
            if self.kill_at == self.rounds:
                self.plane.kill(self.runs[0])
            self._round()
        self._check()

    def _at_rest(self) -> bool:
        plane = self.plane
        over = set(plane.ended) | {run_id for run_id in plane.killed if run_id not in plane.table}
        return over >= set(self.runs) and not plane.queue and self.worker.session.settled and not self.worker.jobs

    def _round(self) -> None:
        self.plane.now = self.now
        if self.worker.wants_reconnect:
            self.worker.wants_reconnect = False
            self._cut()
        if self.link is None:
            self.link = self.plane.link()
            self.worker.session.connected(self.now)
        self.worker.session.tick(self.now)
        self._upward()
        self.plane.sweep()
        self.plane.commit()
        self._downward()
        self.worker.act()
        self.worker.work()

    def _upward(self) -> None:
        for message in self.worker.session.take_outgoing():
            link = self.link
            if link is None:
                return
            fault = self._fault()
            if fault == "slow":
                self.plane.slow_until = self.now + SLOW_SECONDS
            if fault == "swap":
                self.plane.late.append((link, message))
            if fault in ("drop", "swap"):
                self._cut()
                return
            if fault == "vanish":
                continue
            self.plane.received(link, message)
            if fault == "repeat":
                self.plane.received(link, message)
            self._after(fault)

    def _downward(self) -> None:
        link = self.link
        if link is None:
            return
        for message in link.stream.session.take_outgoing():
            if self.link is not link:
                return
            fault = self._fault()
            if fault in ("drop", "swap"):
                self._cut()
                return
            if fault == "slow":
                self.plane.slow_until = self.now + SLOW_SECONDS
            if fault == "vanish":
                continue
            self.worker.session.received(message, self.now)
            if fault == "repeat":
                self.worker.session.received(message, self.now)
            self._after(fault)

    def _fault(self) -> Fault | None:
        fault = self.faults.get(self.messages)
        self.messages += 1
        return fault

    def _after(self, fault: Fault | None) -> None:
        if fault == "cut":
            self._cut()
        elif fault == "plane dies":
            self._cut()
            self.plane.die()
        elif fault == "worker dies":
            self._cut()
            self.worker.act()
            self.worker.die(self.now)

    def _cut(self) -> None:
        if self.link is not None:
            self.plane.closed(self.link)
            self.link = None
        self.worker.session.disconnected()

    def _check(self) -> None:
        plane = self.plane
        for run_id in self.runs:
            if run_id not in plane.killed and plane.ended[run_id][1] != "SUCCESS":
                raise Broken(f"{run_id} ended {plane.ended[run_id]}")
        for key, count in plane.declared.items():
            texts = [f"{key[0]} {key[1]} {number}" for number in range(count)]
            if plane.lines.get(key, []) != texts:
                raise Broken(f"lines of {key}: {plane.lines.get(key)}, its result said {count}")
        if plane.table:
            raise Broken(f"leases are left: {plane.table}")
        if self.link is not None and self.link.stream.channel is not None and self.link.stream.channel.open:
            free = self.link.stream.channel.free
            if free != {True: FACTS.light_slots, False: FACTS.process_slots}:
                raise Broken(f"slots leaked: {free}")
            if self.link.stream.session.leases:
                raise Broken(f"the stream still counts {list(self.link.stream.session.leases)}")
