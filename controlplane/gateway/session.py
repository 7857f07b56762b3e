"""The plane's side of a worker's stream as a state machine: messages in, work and messages out.

No sockets, no clock, no database.

Rules, with `worker.session` as the other half:
- The first message is a Hello; anything before it, or a second one, ends the stream (`goodbye`).
- Durable messages follow one another without a gap (`after` names the one before); a gap ends the stream before anything of the
  message is taken, so that a cumulative acknowledgement never covers what was lost.
- A message is acknowledged when everything in it, and in all before it, is committed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from controlplane.engine.items import Token
from wire import gateway

PROTOCOL = 1
MESSAGE_BYTES_MAX = 4_000_000
"""Largest message either side may send; results with larger outputs are refused by the worker with a clear error."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a message asks the plane to store. `seq` is given back to `committed` once per part that is durable."""

    seq: int
    started: list[gateway.Started] = field(default_factory=list)
    results: list[gateway.Result] = field(default_factory=list)
    logs: list[gateway.LogBatch] = field(default_factory=list)
    reports: list[gateway.Report] = field(default_factory=list)
    progress: list[gateway.Progress] = field(default_factory=list)
    renew: gateway.Renew | None = None
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt leased to this worker, as the table has it."""

    token: Token
    task_id: str
    light: bool
    stop: bool


class PlaneSession:
    """One stream of one worker. See the module's docstring."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.leases: dict[str, Held] = {}
        """By lease id: what this worker holds as far as this stream knows, each occupying a slot."""
        self.hello: gateway.Hello | None = None
        self.closed: str | None = None
        self._welcomed = False
        self._seen = 0
        self._acknowledged = 0
        self._open: OrderedDict[int, int] = OrderedDict()  # seq → parts not yet committed
        self._assign: list[gateway.Assign] = []
        self._stop: list[gateway.AttemptToken] = []
        self._superseded: list[gateway.AttemptToken] = []
        self._ack = 0
        self._renewed = 0
        self._welcome: gateway.Welcome | None = None
        self._drain = False

    # -- in -----------------------------------------------------------------------------------------------------------

    def received(self, message: gateway.ToPlane) -> Work | None:
        """Takes a message. Returns what it asks to be stored; None when it was a Hello or ended the stream."""
        if self.closed is not None:
            return None
        if self.hello is None or message.HasField("hello"):
            self._open_with(message)
            return None
        if message.seq and message.seq <= self._seen:
            # A repetition within the stream: stored already or under way.
            message = gateway.ToPlane(renew=message.renew if message.HasField("renew") else None, draining=message.draining)
            self._ack = max(self._ack, self._acknowledged)
        elif message.seq:
            if message.after != self._seen:
                self.closed = f"gap: expected a message after {self._seen}, found one after {message.after}"
                return None
            self._seen = message.seq
            self._open[message.seq] = len(message.results) + len(message.logs) + len(message.reports)
            self._advance()
        return Work(
            seq=message.seq,
            started=list(message.started),
            results=list(message.results),
            logs=list(message.logs),
            reports=list(message.reports),
            progress=list(message.progress),
            renew=message.renew if message.HasField("renew") else None,
            draining=message.draining,
        )

    def _open_with(self, message: gateway.ToPlane) -> None:
        if not message.HasField("hello"):
            self.closed = "protocol: the first message must be a Hello"
        elif self.hello is not None:
            self.closed = "protocol: a second Hello"
        elif message.hello.protocol != PROTOCOL:
            self.closed = f"protocol: version {message.hello.protocol} is not spoken here, expected {PROTOCOL}"
        else:
            self.hello = message.hello
            self._seen = self._acknowledged = message.hello.after

    def committed(self, seq: int, parts: int = 1) -> None:
        """`parts` parts of that message are durable now."""
        if seq in self._open:
            self._open[seq] -= parts
            self._advance()

    def renewed(self, round_number: int) -> None:
        """The leases of that renewal are extended."""
        self._renewed = max(self._renewed, round_number)

    def refused(self, token: gateway.AttemptToken) -> None:
        """A result named an attempt that its worker no longer holds."""
        self._superseded.append(token)
        self.leases.pop(token.lease_id, None)

    # -- out ----------------------------------------------------------------------------------------------------------

    def welcome(
        self, epoch: int, lease_seconds: int, renew_seconds: int, held: Iterable[Held], assigns: Iterable[gateway.Assign]
    ) -> None:
        """Answers the Hello. `held`: every attempt the table gives this worker; `assigns`: hand-outs for those it does not know.

        Verdicts: an inventoried attempt that the table has is kept (and stopped if asked for); one that it has not is done
        when it had finished, else to be ended silently.
        """
        assert self.hello is not None
        known = {item.token.lease_id: item for item in held}
        inventory = {item.token.lease_id for item in self.hello.held}
        verdicts = []
        for item in self.hello.held:
            mine = known.get(item.token.lease_id)
            if mine is not None and mine.token.attempt == item.token.attempt and mine.token.task_run_id == item.token.task_run_id:
                kind = gateway.Verdict.KEEP
                self.leases[item.token.lease_id] = mine
                if mine.stop:
                    self._stop.append(item.token)
            elif item.phase == gateway.HeldAttempt.FINISHED:
                kind = gateway.Verdict.DONE
            else:
                kind = gateway.Verdict.STOP
            verdicts.append(gateway.Verdict(token=item.token, kind=kind))
        for assign in assigns:
            lease_id = assign.token.lease_id
            if lease_id in inventory:
                continue
            if lease_id in known and known[lease_id].stop:
                self._stop.append(assign.token)  # killed before it arrived: its worker says so and never begins it
            else:
                self.assign([assign])
        for lease_id, mine in known.items():
            self.leases.setdefault(lease_id, mine)
        self._welcome = gateway.Welcome(
            epoch=epoch,
            lease_seconds=lease_seconds,
            renew_seconds=renew_seconds,
            message_bytes_max=MESSAGE_BYTES_MAX,
            verdicts=verdicts,
        )
        self._welcomed = True

    def assign(self, assigns: list[gateway.Assign]) -> None:
        """Hands out attempts."""
        for assign in assigns:
            token = assign.token
            self.leases[token.lease_id] = Held(
                Token(self.tenant, token.execution_id, token.task_run_id, token.attempt, token.lease_id),
                assign.task_id,
                assign.light,
                False,
            )
        self._assign.extend(assigns)

    def stop(self, tokens: Iterable[gateway.AttemptToken]) -> None:
        """Asks for attempts to be ended."""
        self._stop.extend(tokens)

    def drain(self) -> None:
        """Asks the worker to finish and go."""
        self._drain = True

    def goodbye(self, reason: str) -> None:
        """Ends the stream from this side."""
        if self.closed is None:
            self.closed = reason

    def take_outgoing(self) -> list[gateway.ToWorker]:
        """Messages to write now, in order. After `closed` the last one says why."""
        messages = []
        if self._welcomed:
            if self._welcome is not None:
                messages.append(gateway.ToWorker(welcome=self._welcome))
                self._welcome = None
            if self._assign or self._stop or self._superseded or self._ack or self._renewed or self._drain:
                messages.extend(self._take_batches())
        if self.closed is not None:
            messages.append(gateway.ToWorker(goodbye=self.closed))
        return messages

    def _take_batches(self) -> list[gateway.ToWorker]:
        message = gateway.ToWorker(
            stop=self._stop, superseded=self._superseded, ack=self._ack, renewed=self._renewed, drain=self._drain
        )
        messages = [message]
        size = message.ByteSize()
        for assign in self._assign:
            size += assign.ByteSize() + 8
            if size > MESSAGE_BYTES_MAX * 0.9:
                message = gateway.ToWorker()
                messages.append(message)
                size = assign.ByteSize()
            message.assign.append(assign)
        self._assign, self._stop, self._superseded = [], [], []
        self._ack = self._renewed = 0
        self._drain = False
        return messages

    def _advance(self) -> None:
        while self._open:
            seq, parts = next(iter(self._open.items()))
            if parts > 0:
                break
            self._open.popitem(last=False)
            self._acknowledged = seq
            self._ack = seq
