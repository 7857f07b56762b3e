"""The worker's side of the stream as a state machine: messages and facts in, messages and actions out.

Nothing here sleeps, reads a clock, or touches sockets or disks; `now` is monotonic seconds given by the caller, the spool is
an interface. A test joins this and the plane's session by two lists and may lose, repeat and cut.

The rules it keeps:
- `Hello` with the inventory is the first message of a stream; nothing else goes out before the `Welcome`.
- A result or log batch stays in the spool until the plane has acknowledged it, and is sent again on every new stream.
- An attempt is started once: a repeated hand-out is answered with `accepted` again while it is held, and passed over
  when it has already ended here. (An acknowledged result is committed by the plane, so such a hand-out is an old message.
  Should the plane really have lost it, the lease, no longer renewed, runs out and the plane counts a loss.)
- A lease that could not be renewed stops its process before the plane may give the work to someone else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal

from wire import gateway
from worker import limits
from worker.spool import Spool

StopReason = Literal["kill", "lease", "drain", "forget"]
"""Why an attempt must end: a person's wish, its lease, the worker's own end; `forget`: not ours any more, say nothing."""


@dataclass(frozen=True, slots=True)
class HelloFacts:
    """What a worker says of itself at the beginning of each stream."""

    version: str
    light_slots: int
    process_slots: int
    task_types: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    isolation: str = "process"


@dataclass(frozen=True, slots=True)
class Start:
    """Run this attempt. It is already noted as held."""

    assign: gateway.Assign


@dataclass(frozen=True, slots=True)
class Stop:
    """End this attempt's process. All reasons but `forget` end in a call of `finished`."""

    token: gateway.AttemptToken
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The stream looks alive and is not: open another one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Drain:
    """The plane asks this worker to finish and go."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The plane closes the stream and says why (superseded, revoked, protocol)."""

    reason: str


Action = Start | Stop | Reconnect | Drain | Goodbye


class _Phase(Enum):
    RUNNING = auto()
    FINISHED = auto()


@dataclass(slots=True)
class _Held:
    token: gateway.AttemptToken
    deadline: float | None  # None until a lease length is known
    phase: _Phase = _Phase.RUNNING
    stopping: bool = False


class WorkerSession:
    """One worker's conversation with its plane, across streams. See the module's docstring.

    `margin_seconds`: how long before a lease runs out its process is told to stop (at most a quarter of the lease).
    `silence_seconds`: how long an answer may be missing (welcome, acknowledgement) before the stream is given up.
    Attempts that the spool holds at construction have no process any more; they become results with outcome LOST.
    """

    def __init__(self, spool: Spool, hello: HelloFacts, *, margin_seconds: float = 5.0, silence_seconds: float = 30.0) -> None:
        self._spool = spool
        self._hello = hello
        self._margin = margin_seconds
        self._silence = silence_seconds
        self._held: dict[str, _Held] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        self._actions: list[Action] = []
        self._connected_at: float | None = None
        self._welcomed = False
        self._hello_due = False
        self._lease_seconds: float | None = None
        self._renew_seconds = 10.0
        self._message_bytes_max = limits.MESSAGE_BYTES_MAX
        self._next_renew = 0.0
        self._round = 0
        self._rounds: OrderedDict[int, tuple[float, tuple[str, ...]]] = OrderedDict()
        self._answers_renewals = False
        self._sent_seq = 0
        self._acknowledged = 0
        self._in_flight_bytes = 0
        self._in_flight: OrderedDict[int, int] = OrderedDict()  # seq → bytes, of this stream
        self._waiting_since: float | None = None
        self._now = 0.0
        self._accepted: dict[str, gateway.AttemptToken] = {}
        self._started: dict[str, gateway.Started] = {}
        self._progress: dict[str, gateway.Progress] = {}
        self._renew: gateway.Renew | None = None
        self._draining = False
        self._say_draining = False
        self._recover()

    # ------------------------------------------------------------ what others may ask

    @property
    def ready(self) -> bool:
        """Whether a stream is open and welcomed."""
        return self._welcomed

    @property
    def running_count(self) -> int:
        """Attempts accepted here that have not ended."""
        return sum(1 for held in self._held.values() if held.phase is _Phase.RUNNING)

    @property
    def settled(self) -> bool:
        """Nothing runs here and the plane has everything."""
        return not self._held and not self._spool.items_after(self._acknowledged, 1)

    def holds(self, token: gateway.AttemptToken) -> bool:
        """Whether the attempt runs or waits here: accepted, not ended, not taken away."""
        held = self._held.get(token.lease_id)
        return held is not None and held.phase is _Phase.RUNNING

    # ------------------------------------------------------------ the stream

    def connected(self, now: float) -> None:
        """A new stream is open. Its first message is the Hello."""
        self.disconnected()
        self._now = now
        self._connected_at = now
        self._hello_due = True

    def disconnected(self) -> None:
        """The stream is gone. Attempts go on; their leases' deadlines too."""
        self._connected_at = None
        self._welcomed = False
        self._hello_due = False
        self._answers_renewals = False
        self._sent_seq = self._acknowledged
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self._waiting_since = None
        self._renew = None
        self._rounds.clear()
        # What is not durable is said again by the inventory (accepted, started) or is outdated (progress).
        self._accepted.clear()
        self._progress.clear()

    def received(self, message: gateway.ToWorker, now: float) -> None:
        """A message of the plane. Every one may be a repetition."""
        self._now = now
        if self._connected_at is None:
            return
        if message.HasField("welcome"):
            self._on_welcome(message.welcome, now)
        if message.renewed:
            self._on_renewed(message.renewed)
        if message.ack:
            self._on_ack(message.ack, now)
        for assign in message.assign:
            self._on_assign(assign, now)
        for token in message.stop:
            self._on_stop(token)
        # Lines that were logged before the attempt was lost are still worth reading; only its result is void.
        self._forget([token.lease_id for token in message.superseded], logs=False)
        if message.drain:
            self._actions.append(Drain())
        if message.goodbye:
            self._actions.append(Goodbye(message.goodbye))

    def tick(self, now: float) -> None:
        """Time passes: renewals that are due, leases that run out, streams that fell silent. Call it twice a second or so."""
        self._now = now
        if self._welcomed and now >= self._next_renew:
            self._renew_all(now)
        self._stop_expired(now)
        if self._connected_at is None:
            return
        if not self._welcomed and now - self._connected_at > self._silence:
            self._give_up(now, "no welcome")
        elif self._waiting_since is not None and now - self._waiting_since > self._silence:
            self._give_up(now, "nothing acknowledged")

    def _give_up(self, now: float, reason: str) -> None:
        self._actions.append(Reconnect(f"{reason} for {self._silence:g} s"))
        self._connected_at = now  # asks again only after another silence, should nobody act on it
        self._waiting_since = None

    # ------------------------------------------------------------ what happens on this side

    def started(self, token: gateway.AttemptToken, at_us: int) -> None:
        """The attempt runs (worth saying only if it does not end within the same breath)."""
        if self.holds(token):
            self._started[token.lease_id] = gateway.Started(token=token, started_at_us=at_us)

    def finished(self, result: gateway.Result) -> None:
        """The attempt ended. Its result is kept until acknowledged. Ignored when the attempt is not ours any more."""
        lease_id = result.token.lease_id
        held = self._held.get(lease_id)
        if held is None or held.phase is _Phase.FINISHED:
            return
        held.phase = _Phase.FINISHED
        self._accepted.pop(lease_id, None)
        self._started.pop(lease_id, None)
        self._progress.pop(lease_id, None)
        self._spool.add_result(result)

    def log_batch(self, batch: gateway.LogBatch, *, reserve: bool = False) -> bool:
        """Keeps log lines of a held attempt. False when the spool's ceiling is reached: the lines are not taken."""
        if not self.holds(batch.token):
            return True
        return self._spool.add_logs(batch, reserve=reserve) is not None

    def report(self, report: gateway.Report) -> None:
        """Keeps what a held attempt tells of task runs below it. Ignored when the attempt is not ours any more."""
        if self.holds(report.token):
            self._spool.add_report(report)

    def progress(self, token: gateway.AttemptToken, progress_json: bytes) -> None:
        """Latest word on how far the attempt is. Not durable; replaces what was not sent yet."""
        if self.holds(token):
            self._progress[token.lease_id] = gateway.Progress(token=token, progress_json=progress_json)

    def drain(self) -> None:
        """Take nothing new and tell the plane. What is handed out from now on is given back as lost, reason `drained`."""
        self._draining = True
        self._say_draining = True

    # ------------------------------------------------------------ out

    def take_actions(self) -> list[Action]:
        """What the agent has to do now; each is handed out once.

        A process that starts is noted as held first, so that a restarted agent reports it lost. Light attempts are noted with
        the next commit: most have ended by then and never touch the disk; those cut off before are handed out again.
        """
        if any(isinstance(action, Start) and not action.assign.light for action in self._actions):
            self._spool.commit()
        actions, self._actions = self._actions, []
        return actions

    def take_outgoing(self) -> list[gateway.ToPlane]:
        """Messages to write now, in order; each is handed out once a stream."""
        if self._connected_at is None:
            self._spool.commit()
            return []
        messages = []
        if self._hello_due:
            self._hello_due = False
            messages.append(gateway.ToPlane(hello=self._make_hello()))
        if not self._welcomed:
            self._spool.commit()
            return messages
        first = self._take_passing()
        durable = self._take_durable(first)
        return messages + durable

    def _take_passing(self) -> gateway.ToPlane | None:
        """One message with all that is not durable, or None."""
        if not (self._accepted or self._started or self._progress or self._renew or self._say_draining):
            return None
        message = gateway.ToPlane(
            accepted=self._accepted.values(),
            started=self._started.values(),
            progress=self._progress.values(),
            renew=self._renew,
            draining=self._draining,
        )
        self._accepted.clear()
        self._started.clear()
        self._progress.clear()
        self._renew = None
        self._say_draining = False
        return message

    def _take_durable(self, message: gateway.ToPlane | None) -> list[gateway.ToPlane]:
        messages = [] if message is None else [message]
        room = self._message_bytes_max - (message.ByteSize() if message is not None else 0)
        while self._in_flight_bytes < limits.WINDOW_BYTES_MAX:
            items = self._spool.items_after(self._sent_seq, max(room, 1))
            if not items:
                break
            if message is None or (items[0].bytes_count > room and messages):
                message = gateway.ToPlane()
                messages.append(message)
            results = [item.message for item in items if item.kind == "result"]
            logs = [item.message for item in items if item.kind == "logs"]
            reports = [item.message for item in items if item.kind == "report"]
            message.results.extend(results)  # type: ignore[arg-type]
            message.logs.extend(logs)  # type: ignore[arg-type]
            message.reports.extend(reports)  # type: ignore[arg-type]
            message.after = self._sent_seq  # a gap on the way is seen by the plane and never acknowledged over
            message.seq = self._sent_seq = items[-1].seq
            size = sum(item.bytes_count for item in items)
            self._in_flight[message.seq] = size
            self._in_flight_bytes += size
            if self._waiting_since is None:
                self._waiting_since = self._now
            message = None
            room = self._message_bytes_max
        return messages

    def _make_hello(self) -> gateway.Hello:
        facts = self._hello
        phases = {_Phase.RUNNING: gateway.HeldAttempt.RUNNING, _Phase.FINISHED: gateway.HeldAttempt.FINISHED}
        return gateway.Hello(
            protocol=1,
            version=facts.version,
            light_slots=0 if self._draining else facts.light_slots,
            process_slots=0 if self._draining else facts.process_slots,
            labels=facts.labels,
            task_types=facts.task_types,
            held=[gateway.HeldAttempt(token=held.token, phase=phases[held.phase]) for held in self._held.values()],
            isolation=facts.isolation,
            after=self._acknowledged,
        )

    # ------------------------------------------------------------ in

    def _recover(self) -> None:
        for token in self._spool.finished():
            self._held[token.lease_id] = _Held(token, None, _Phase.FINISHED)
        for orphan in self._spool.held():
            token = orphan.token
            self._held[token.lease_id] = _Held(token, None)
            self.finished(
                gateway.Result(
                    token=token,
                    outcome=gateway.LOST,
                    error_code="worker.restarted",
                    error_message="The worker was restarted while this attempt ran; the attempt is lost.",
                    started_at_us=orphan.since_us,
                    ended_at_us=orphan.since_us,
                    log_lines=orphan.lines,
                )
            )

    def _on_welcome(self, welcome: gateway.Welcome, now: float) -> None:
        self._welcomed = True
        self._lease_seconds = float(welcome.lease_seconds or 60)
        self._renew_seconds = float(welcome.renew_seconds or max(1.0, self._lease_seconds / 3))
        if welcome.message_bytes_max:
            # Room is left for the frame around items and for what travels beside them.
            self._message_bytes_max = max(10_000, int(welcome.message_bytes_max * 0.9))
        for kind, logs in ((gateway.Verdict.STOP, True), (gateway.Verdict.DONE, False)):
            self._forget([verdict.token.lease_id for verdict in welcome.verdicts if verdict.kind == kind], logs=logs)
        if self._draining:
            self._say_draining = True
        self._renew_all(now)

    def _on_ack(self, seq: int, now: float) -> None:
        # An acknowledgement beyond what this stream carried would take unsent items along: it is not about ours.
        seq = min(seq, self._sent_seq)
        if seq <= self._acknowledged:
            return
        for lease_id in self._spool.acknowledge(seq):
            self._held.pop(lease_id, None)
            self._remember(lease_id)
        self._acknowledged = seq
        while self._in_flight and next(iter(self._in_flight)) <= seq:
            self._in_flight_bytes -= self._in_flight.popitem(last=False)[1]
        self._waiting_since = now if self._in_flight else None

    def _on_assign(self, assign: gateway.Assign, now: float) -> None:
        token = assign.token
        lease_id = token.lease_id
        held = self._held.get(lease_id)
        if held is not None:
            if held.phase is _Phase.RUNNING:
                self._accepted[lease_id] = held.token
            return  # finished: its result is on the way and says more than `accepted`
        if lease_id in self._over:
            return
        deadline = None if self._lease_seconds is None else now + self._lease_seconds
        self._held[lease_id] = _Held(token, deadline)
        if self._draining:
            self._end_unstarted(token, gateway.LOST, "worker.drained", "The worker is about to stop and took no more work.")
            return
        self._spool.hold(token)
        self._accepted[lease_id] = token
        self._actions.append(Start(assign))

    def _on_stop(self, token: gateway.AttemptToken) -> None:
        lease_id = token.lease_id
        held = self._held.get(lease_id)
        if held is None:
            if lease_id not in self._over:
                # It never arrived here. Say so, and do not start it should its hand-out still come.
                self._held[lease_id] = _Held(token, None)
                self._end_unstarted(token, gateway.KILLED, "", "")
            return
        if held.phase is _Phase.RUNNING and not held.stopping:
            held.stopping = True
            self._actions.append(Stop(held.token, "kill"))

    def _end_unstarted(self, token: gateway.AttemptToken, outcome: gateway.Outcome, code: str, message: str) -> None:
        self.finished(gateway.Result(token=token, outcome=outcome, error_code=code, error_message=message))

    def _forget(self, lease_ids: Collection[str], *, logs: bool) -> None:
        """These attempts are not ours any more: their processes end, and nothing more is said about them."""
        if not lease_ids:
            return
        for lease_id in lease_ids:
            held = self._held.pop(lease_id, None)
            self._remember(lease_id)
            self._accepted.pop(lease_id, None)
            self._started.pop(lease_id, None)
            self._progress.pop(lease_id, None)
            if held is not None and held.phase is _Phase.RUNNING:
                self._actions.append(Stop(held.token, "forget"))
        self._spool.drop(lease_ids, logs=logs)

    def _remember(self, lease_id: str) -> None:
        self._over[lease_id] = None
        if len(self._over) > limits.REMEMBERED_LEASES:
            self._over.popitem(last=False)

    # ------------------------------------------------------------ leases

    def _renew_all(self, now: float) -> None:
        leases = tuple(self._held)
        self._round += 1
        self._renew = gateway.Renew(lease_ids=leases, round=self._round)
        self._rounds[self._round] = (now, leases)
        while len(self._rounds) > 16:
            self._rounds.popitem(last=False)
        if not self._answers_renewals:
            # A plane that does not say when it renewed: what was written to a living stream counts.
            self._extend(now, leases)
        self._next_renew = now + self._renew_seconds

    def _on_renewed(self, round_number: int) -> None:
        self._answers_renewals = True
        while self._rounds and next(iter(self._rounds)) <= round_number:
            _, (sent_at, leases) = self._rounds.popitem(last=False)
            self._extend(sent_at, leases)

    def _extend(self, since: float, leases: tuple[str, ...]) -> None:
        if self._lease_seconds is None:
            return
        for lease_id in leases:
            held = self._held.get(lease_id)
            if held is not None:
                held.deadline = since + self._lease_seconds

    def _stop_expired(self, now: float) -> None:
        if self._lease_seconds is None:
            return
        margin = min(self._margin, self._lease_seconds / 4)
        for held in self._held.values():
            if held.phase is _Phase.RUNNING and not held.stopping and held.deadline is not None and now >= held.deadline - margin:
                held.stopping = True
                self._actions.append(Stop(held.token, "lease"))
