"""The worker's half of the stream: what it says, what it does, what it never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from wire import gateway
from wire.ids import new_id
from worker import limits
from worker.session import Drain, HelloFacts, Reconnect, Start, Stop, WorkerSession
from worker.spool import MemorySpool, Spool, SqliteSpool

FACTS = HelloFacts("1", light_slots=10, process_slots=2, task_types=("a.B",))


def assign(lease_id: str = "", *, light: bool = False) -> gateway.Assign:
    token = gateway.AttemptToken(execution_id="e", task_run_id=new_id(), attempt=1, lease_id=lease_id or new_id())
    return gateway.Assign(token=token, task_type="a.B", task_json=b"{}", light=light)


def result(of: gateway.Assign | gateway.AttemptToken) -> gateway.Result:
    token = of.token if isinstance(of, gateway.Assign) else of
    return gateway.Result(token=token, outcome=gateway.SUCCESS)


def batch(of: gateway.Assign, first: int, count: int = 1) -> gateway.LogBatch:
    return gateway.LogBatch(token=of.token, first=first, lines=[gateway.LogLine(text="x")] * count)


def welcome(*verdicts: gateway.Verdict, lease: int = 60, renew: int = 10) -> gateway.ToWorker:
    return gateway.ToWorker(
        welcome=gateway.Welcome(epoch=1, lease_seconds=lease, renew_seconds=renew, message_bytes_max=100_000, verdicts=verdicts)
    )


def ready(spool: Spool | None = None, **options: float) -> WorkerSession:
    session = WorkerSession(spool or MemorySpool(), FACTS, **options)
    session.connected(0.0)
    session.take_outgoing()
    session.received(welcome(), 0.0)
    session.take_outgoing()
    return session


def started(session: WorkerSession) -> list[str]:
    return [action.assign.token.lease_id for action in session.take_actions() if isinstance(action, Start)]


def stops(session: WorkerSession) -> list[tuple[str, str]]:
    return [(action.token.lease_id, action.reason) for action in session.take_actions() if isinstance(action, Stop)]


def results_in(messages: list[gateway.ToPlane]) -> list[str]:
    return [found.token.lease_id for message in messages for found in message.results]


def test_hello_is_the_first_message_and_nothing_follows_before_the_welcome() -> None:
    session = WorkerSession(MemorySpool(), FACTS)
    session.connected(0.0)
    (hello,) = session.take_outgoing()
    assert hello.HasField("hello")
    assert (hello.hello.light_slots, hello.hello.process_slots, list(hello.hello.task_types)) == (10, 2, ["a.B"])
    session.received(gateway.ToWorker(assign=[assign("x")]), 0.0)
    assert session.take_outgoing() == []
    session.received(welcome(), 0.0)
    (message,) = session.take_outgoing()
    assert [token.lease_id for token in message.accepted] == ["x"]


def test_a_repeated_hand_out_is_accepted_again_and_started_once() -> None:
    session = ready()
    work = assign("x")
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    assert started(session) == ["x"]
    session.take_outgoing()
    session.received(gateway.ToWorker(assign=[work]), 2.0)
    (message,) = session.take_outgoing()
    assert [token.lease_id for token in message.accepted] == ["x"]
    assert started(session) == []


def test_a_hand_out_of_what_ended_here_is_not_started_again() -> None:
    session = ready()
    work = assign("x")
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    started(session)
    session.finished(result(work))
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    assert started(session) == []
    assert results_in(session.take_outgoing()) == ["x"]
    session.received(gateway.ToWorker(ack=1), 2.0)
    session.received(gateway.ToWorker(assign=[work]), 3.0)
    assert started(session) == []


def test_start_and_end_in_one_breath_travel_as_one_result() -> None:
    session = ready()
    work = assign("x", light=True)
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    started(session)
    session.started(work.token, 5)
    session.finished(result(work))
    (message,) = session.take_outgoing()
    assert not message.accepted and not message.started
    assert results_in([message]) == ["x"]


def test_what_is_not_acknowledged_is_sent_again_on_the_next_stream() -> None:
    session = ready()
    works = [assign(name) for name in "abc"]
    session.received(gateway.ToWorker(assign=works), 1.0)
    for work in works:
        session.log_batch(batch(work, 0))
        session.finished(result(work))
    assert results_in(session.take_outgoing()) == ["a", "b", "c"]
    session.received(gateway.ToWorker(ack=2), 2.0)
    session.disconnected()
    session.connected(3.0)
    (hello,) = session.take_outgoing()
    assert [held.token.lease_id for held in hello.hello.held] == ["b", "c"]
    assert {held.phase for held in hello.hello.held} == {gateway.HeldAttempt.FINISHED}
    assert hello.hello.after == 2
    session.received(welcome(), 3.0)
    again = session.take_outgoing()
    assert results_in(again) == ["b", "c"]
    assert again[-1].seq == 6
    session.received(gateway.ToWorker(ack=6), 4.0)
    assert session.settled


def test_each_durable_message_names_the_one_before_it() -> None:
    session = ready()
    works = [assign() for _ in range(40)]
    session.received(gateway.ToWorker(assign=works), 1.0)
    session.take_outgoing()
    for work in works:
        session.log_batch(gateway.LogBatch(token=work.token, lines=[gateway.LogLine(text="x" * 10_000)]))
        session.finished(result(work))
    messages = [message for message in session.take_outgoing() if message.seq]
    assert len(messages) > 3
    assert max(message.ByteSize() for message in messages) < 100_000
    after = 0
    for message in messages:
        assert message.after == after
        after = message.seq


def test_an_acknowledgement_beyond_what_was_sent_takes_nothing_unsent_along() -> None:
    session = ready()
    work = assign("x")
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    session.finished(result(work))
    session.received(gateway.ToWorker(ack=1_000), 1.0)
    assert results_in(session.take_outgoing()) == ["x"]


def test_verdicts_end_forget_and_keep() -> None:
    session = ready()
    keep, stop, done, gone = (assign(name) for name in ("keep", "stop", "done", "gone"))
    session.received(gateway.ToWorker(assign=[keep, stop, done, gone]), 1.0)
    started(session)
    session.finished(result(done))
    session.finished(result(gone))
    session.connected(2.0)
    session.take_outgoing()
    kinds = gateway.Verdict
    verdicts = [
        kinds(token=keep.token, kind=kinds.KEEP),
        kinds(token=stop.token, kind=kinds.STOP),
        kinds(token=done.token, kind=kinds.DONE),
        kinds(token=gone.token, kind=kinds.STOP),
    ]
    session.received(welcome(*verdicts), 2.0)
    assert stops(session) == [("stop", "forget")]
    assert session.holds(keep.token) and not session.holds(stop.token)
    session.finished(result(stop))
    assert results_in(session.take_outgoing()) == []


def test_a_superseded_attempt_is_dropped_but_its_lines_still_travel() -> None:
    session = ready()
    work = assign("x")
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    started(session)
    session.log_batch(batch(work, 0))
    session.received(gateway.ToWorker(superseded=[work.token]), 2.0)
    assert stops(session) == [("x", "forget")]
    session.finished(result(work))
    messages = session.take_outgoing()
    assert results_in(messages) == []
    assert sum(len(message.logs) for message in messages) == 1


def test_a_kill_is_passed_on_once() -> None:
    session = ready()
    work = assign("x")
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    started(session)
    session.received(gateway.ToWorker(stop=[work.token]), 2.0)
    session.received(gateway.ToWorker(stop=[work.token]), 2.0)
    assert stops(session) == [("x", "kill")]


def test_a_kill_of_what_never_arrived_is_answered_and_keeps_it_from_starting() -> None:
    session = ready()
    work = assign("x")
    session.received(gateway.ToWorker(stop=[work.token]), 1.0)
    (message,) = session.take_outgoing()
    assert [(found.token.lease_id, found.outcome) for found in message.results] == [("x", gateway.KILLED)]
    session.received(gateway.ToWorker(assign=[work]), 2.0)
    assert started(session) == []


def test_every_held_lease_is_renewed_in_time() -> None:
    session = ready()
    work, ended = assign("x"), assign("y")
    session.received(gateway.ToWorker(assign=[work, ended]), 1.0)
    session.finished(result(ended))
    session.take_outgoing()
    session.tick(9.0)
    assert session.take_outgoing() == []
    session.tick(10.5)
    (message,) = session.take_outgoing()
    assert sorted(message.renew.lease_ids) == ["x", "y"]


@pytest.mark.parametrize("answering", [True, False])
def test_a_lease_that_is_renewed_is_never_given_up(answering: bool) -> None:
    session = ready(margin_seconds=5.0)
    session.received(gateway.ToWorker(assign=[assign("x")]), 0.0)
    started(session)
    for now in range(1, 600):
        session.tick(float(now))
        for message in session.take_outgoing():
            if answering and message.renew.round:
                session.received(gateway.ToWorker(renewed=message.renew.round), now + 0.5)
    assert stops(session) == []


def test_a_lease_that_cannot_be_renewed_stops_its_process_before_it_runs_out() -> None:
    session = ready(margin_seconds=5.0)
    session.received(gateway.ToWorker(assign=[assign("x")]), 0.0)
    started(session)
    session.disconnected()
    session.tick(54.0)
    assert stops(session) == []
    session.tick(55.5)
    assert stops(session) == [("x", "lease")]
    session.tick(56.0)
    assert stops(session) == []


def test_renewals_written_into_a_dead_stream_do_not_count_once_the_plane_answers_them() -> None:
    session = ready(margin_seconds=5.0, silence_seconds=1_000.0)
    session.received(gateway.ToWorker(assign=[assign("x")]), 0.0)
    started(session)
    session.tick(10.0)
    (message,) = session.take_outgoing()
    session.received(gateway.ToWorker(renewed=message.renew.round), 10.1)
    for now in range(11, 66):
        session.tick(float(now))
        session.take_outgoing()
        assert stops(session) == ([] if now < 65 else [("x", "lease")])


def test_a_stream_that_fell_silent_is_given_up() -> None:
    session = WorkerSession(MemorySpool(), FACTS, silence_seconds=30.0)
    session.connected(0.0)
    session.take_outgoing()
    session.tick(29.0)
    assert session.take_actions() == []
    session.tick(31.0)
    assert [type(action) for action in session.take_actions()] == [Reconnect]

    session = ready(silence_seconds=30.0)
    work = assign("x")
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    started(session)
    session.finished(result(work))
    session.take_outgoing()
    session.tick(35.0)
    assert [type(action) for action in session.take_actions()] == [Reconnect]


def test_a_draining_worker_gives_new_work_back() -> None:
    session = ready()
    session.drain()
    (message,) = session.take_outgoing()
    assert message.draining
    session.received(gateway.ToWorker(assign=[assign("late")]), 1.0)
    assert started(session) == []
    (message,) = session.take_outgoing()
    assert [(found.outcome, found.error_code) for found in message.results] == [(gateway.LOST, "worker.drained")]
    session.received(gateway.ToWorker(drain=True), 1.0)
    assert [type(action) for action in session.take_actions()] == [Drain]


def test_attempts_held_by_a_killed_agent_are_reported_lost_by_the_next(tmp_path: Path) -> None:
    before = ready(SqliteSpool(tmp_path / "spool.db"))
    running, ended = assign("running"), assign("ended")
    before.received(gateway.ToWorker(assign=[running, ended]), 1.0)
    started(before)
    before.log_batch(batch(running, 0, 3))
    before.finished(result(ended))
    before.take_outgoing()

    after = WorkerSession(SqliteSpool(tmp_path / "spool.db"), FACTS)
    after.connected(0.0)
    (hello,) = after.take_outgoing()
    assert sorted((held.token.lease_id, held.phase) for held in hello.hello.held) == [
        ("ended", gateway.HeldAttempt.FINISHED),
        ("running", gateway.HeldAttempt.FINISHED),
    ]
    after.received(welcome(), 0.0)
    found = {one.token.lease_id: one for message in after.take_outgoing() for one in message.results}
    assert found["ended"].outcome == gateway.SUCCESS
    assert (found["running"].outcome, found["running"].error_code) == (gateway.LOST, "worker.restarted")
    assert found["running"].log_lines == 3


def test_what_is_in_flight_has_a_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WINDOW_BYTES_MAX", 50_000)
    session = ready()
    work = assign("x")
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    session.take_outgoing()
    for first in range(100):
        session.log_batch(gateway.LogBatch(token=work.token, first=first, lines=[gateway.LogLine(text="y" * 5_000)]))
    messages = session.take_outgoing()
    assert sum(message.ByteSize() for message in messages) < 50_000 + 100_000
    assert session.take_outgoing() == []
    session.received(gateway.ToWorker(ack=messages[-1].seq), 1.0)
    assert session.take_outgoing() != []


def test_progress_replaces_what_was_not_sent_and_dies_with_the_attempt() -> None:
    session = ready()
    work = assign("x")
    session.received(gateway.ToWorker(assign=[work]), 1.0)
    session.take_outgoing()
    session.progress(work.token, b"1")
    session.progress(work.token, b"2")
    (message,) = session.take_outgoing()
    assert [found.progress_json for found in message.progress] == [b"2"]
    session.progress(work.token, b"3")
    session.finished(result(work))
    assert not any(message.progress for message in session.take_outgoing())
