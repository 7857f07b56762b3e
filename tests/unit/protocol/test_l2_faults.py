"""The stream may break or stutter anywhere without changing an outcome: every placement of few faults, then many at random."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from controlplane.engine.items import Token
from controlplane.gateway.session import Held, PlaneSession
from controlplane.gateway.stream import Stream
from tests.unit.protocol.joined import FACTS, FAULTS, Broken, Conversation, Fault
from wire import gateway
from worker.session import Start, WorkerSession
from worker.spool import MemorySpool

SEED = int(os.environ.get("HEADRACE_TEST_SEED", "0")) or 20_251_123
D6: tuple[Fault, ...] = ("drop", "repeat", "cut", "swap")


def plain(faults: dict[int, Fault]) -> Conversation:
    """Two attempts with lines and results."""
    return Conversation(("a", "b"), faults)


def short(faults: dict[int, Fault]) -> Conversation:
    """One attempt."""
    return Conversation(("a",), faults)


def killed(faults: dict[int, Fault]) -> Conversation:
    """Two attempts, one of which a person ends while it runs."""
    return Conversation(("a", "b"), faults, kill_at=3)


def placements(length: int, count: int, kinds: tuple[Fault, ...]) -> Iterator[dict[int, Fault]]:
    for places in itertools.combinations(range(length), count):
        for chosen in itertools.product(kinds, repeat=count):
            yield dict(zip(places, chosen, strict=True))


def explore(make: Any, faults: Iterator[dict[int, Fault]]) -> Counter[str]:
    """Runs one conversation per placement. Raises Broken with the placement."""

    async def all_of_them() -> Counter[str]:
        counts: Counter[str] = Counter()
        for placed in faults:
            conversation = make(placed)
            try:
                conversation.run()
            except (Broken, AssertionError) as error:
                error.add_note(f"faults {placed}")
                raise
            counts["conversations"] += 1
            counts["messages"] += conversation.messages
            counts["attempts lost"] += conversation.plane.lost.total()
            counts["late results refused"] += conversation.plane.refused
        return counts

    return asyncio.run(all_of_them())


def shown(capsys: pytest.CaptureFixture[str], name: str, counts: Counter[str]) -> None:
    with capsys.disabled():
        print(f"\n  L2 {name}:", ", ".join(f"{count} {what}" for what, count in counts.items()))


def length_of(make: Any) -> int:
    conversation = make({})
    asyncio.run(_run(conversation))
    return int(conversation.messages)


async def _run(conversation: Conversation) -> None:
    conversation.run()


@pytest.mark.parametrize("make", [short, plain, killed])
def test_without_faults_everything_ends_and_nothing_is_lost(make: Any) -> None:
    counts = explore(make, iter([{}]))
    assert counts["attempts lost"] == counts["late results refused"] == 0


@pytest.mark.parametrize("make", [plain, killed])
def test_every_placement_of_up_to_two_faults(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    length = length_of(make) + 2
    counts = explore(make, itertools.chain(placements(length, 1, FAULTS), placements(length, 2, FAULTS)))
    shown(capsys, f"{make.__name__}, ≤ 2 faults of {len(FAULTS)} kinds on {length} messages", counts)


def test_every_placement_of_three_faults_on_a_short_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    length = length_of(short) + 1
    counts = explore(short, placements(length, 3, D6))
    shown(capsys, f"short, 3 faults of {len(D6)} kinds on {length} messages", counts)


def random_faults(seed: int, count: int) -> Iterator[tuple[int, dict[int, Fault], Random]]:
    for number in range(count):
        random = Random(f"{seed} {number}")
        chance = random.choice([0.02, 0.1, 0.3])
        # Faults end some time: afterwards everything must come to rest.
        yield number, {at: random.choice(FAULTS) for at in range(60) if random.random() < chance}, random


def test_random_schedules(capsys: pytest.CaptureFixture[str]) -> None:
    def make(entry: tuple[int, dict[int, Fault], Random]) -> Conversation:
        _, faults, random = entry
        runs = tuple(f"r{number}" for number in range(random.randint(1, 9)))
        light = frozenset(run for run in runs if random.random() < 0.4)
        return Conversation(runs, faults, light, random.choice([None, 2, 3, 5]))

    counts = explore(make, random_faults(SEED, 700))  # type: ignore[arg-type]
    shown(capsys, f"random, seed {SEED}", counts)
    assert counts["attempts lost"] > 50
    assert counts["late results refused"] > 20


def test_random_schedules_with_a_spool_on_disk(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def make(entry: tuple[int, dict[int, Fault], Random]) -> Conversation:
        number, faults, random = entry
        return Conversation(("a", "b", "c"), faults, frozenset("c"), random.choice([None, 3]), tmp_path / f"{number}.spool")

    counts = explore(make, random_faults(SEED + 1, 60))  # type: ignore[arg-type]
    shown(capsys, f"random on a file, seed {SEED + 1}", counts)


def test_an_attempt_killed_before_it_arrived_is_never_begun() -> None:
    plane = PlaneSession("main")
    plane.received(gateway.ToPlane(hello=gateway.Hello(protocol=1, light_slots=2, process_slots=2)))
    token = gateway.AttemptToken(execution_id="e", task_run_id="r", attempt=1, lease_id="x")
    held = Held(Token("main", "e", "r", 1, "x"), "t", light=True, stop=True)
    plane.welcome(1, 30, 10, [held], [gateway.Assign(token=token, light=True)])
    worker = WorkerSession(MemorySpool(), FACTS)
    worker.connected(0)
    for message in plane.take_outgoing():
        worker.received(message, 0)
    assert not [action for action in worker.take_actions() if isinstance(action, Start)]
    results = [result.outcome for message in worker.take_outgoing() for result in message.results]
    assert results == [gateway.KILLED]
    assert list(plane.leases) == ["x"], "it occupies its slot until the worker has answered"


# -- planted bugs -----------------------------------------------------------------------------------------------------


def caught() -> None:
    with pytest.raises((Broken, AssertionError)):
        explore(plain, itertools.chain(placements(length_of(plain) + 2, 1, FAULTS), placements(14, 2, FAULTS)))


def test_planted_acknowledged_before_the_commit_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    received = PlaneSession.received

    def hasty(self: PlaneSession, message: Any) -> Any:
        work = received(self, message)
        if work is not None and work.seq:
            self.committed(work.seq, 99)
        return work

    monkeypatch.setattr(PlaneSession, "received", hasty)
    caught()


def test_planted_a_gap_that_goes_unnoticed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    received = PlaneSession.received

    def blind(self: PlaneSession, message: Any) -> Any:
        if message.seq:
            message.after = self._seen
        return received(self, message)

    monkeypatch.setattr(PlaneSession, "received", blind)
    caught()


def test_planted_a_spool_that_is_not_sent_again_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    disconnected = WorkerSession.disconnected

    def forgetful(self: WorkerSession) -> None:
        sent = self._sent_seq
        disconnected(self)
        self._sent_seq = self._acknowledged = sent

    monkeypatch.setattr(WorkerSession, "disconnected", forgetful)
    caught()


def test_planted_a_slot_that_is_not_given_back_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    item = Stream._item

    def greedy(self: Stream, result: Any) -> Any:
        found = item(self, result)
        found.channel = None
        return found

    monkeypatch.setattr(Stream, "_item", greedy)
    caught()
