"""One suite for every spool: what is kept, what is given back, what leaves it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from wire import gateway
from wire.ids import new_id
from worker.spool import MemorySpool, Spool, SqliteSpool

Open = Callable[[], Spool]


def token(lease_id: str = "") -> gateway.AttemptToken:
    return gateway.AttemptToken(execution_id="e", task_run_id="t", attempt=1, lease_id=lease_id or new_id())


def result(of: gateway.AttemptToken) -> gateway.Result:
    return gateway.Result(token=of, outcome=gateway.SUCCESS, outputs_json=b'{"a":1}')


def logs(of: gateway.AttemptToken, first: int = 0, count: int = 3) -> gateway.LogBatch:
    lines = [gateway.LogLine(at_us=1, level=2, text=f"line {number}") for number in range(first, first + count)]
    return gateway.LogBatch(token=of, first=first, lines=lines)


@pytest.fixture(params=["memory", "sqlite", "sqlite without tail"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
    if request.param == "memory":
        return MemorySpool(log_bytes_max=10_000)
    tail = 0 if "without" in request.param else 1_000_000
    return SqliteSpool(tmp_path / "spool.db", log_bytes_max=10_000, tail_bytes_max=tail)


def seqs(spool: Spool, after: int = 0, bytes_max: int = 1_000_000) -> list[int]:
    return [item.seq for item in spool.items_after(after, bytes_max)]


def test_items_come_back_in_order_with_growing_numbers(spool: Spool) -> None:
    first, second = token(), token()
    assert spool.add_logs(logs(first)) == 1
    assert spool.add_result(result(first)) == 2
    assert spool.add_result(result(second)) == 3
    items = spool.items_after(0, 1_000_000)
    assert [(item.seq, item.kind, item.lease_id) for item in items] == [
        (1, "logs", first.lease_id),
        (2, "result", first.lease_id),
        (3, "result", second.lease_id),
    ]
    assert items[0].message == logs(first)
    assert items[1].message == result(first)
    assert seqs(spool, after=2) == [3]
    assert seqs(spool, after=3) == []


def test_an_acknowledgement_takes_all_up_to_its_number(spool: Spool) -> None:
    for number in range(5):
        spool.add_result(result(token(f"lease {number}")))
    spool.commit()
    assert spool.acknowledge(3) == ["lease 0", "lease 1", "lease 2"]
    assert seqs(spool) == [4, 5]
    spool.acknowledge(2)
    assert seqs(spool) == [4, 5]
    spool.acknowledge(5)
    assert seqs(spool) == []
    assert spool.add_result(result(token())) == 6


def test_as_many_items_are_given_as_fit_and_at_least_one(spool: Spool) -> None:
    for _ in range(10):
        spool.add_result(result(token()))
    size = spool.items_after(0, 1)[0].bytes_count
    assert seqs(spool, bytes_max=1) == [1]
    assert seqs(spool, bytes_max=size * 4) == [1, 2, 3, 4]
    assert seqs(spool, after=4, bytes_max=size * 4) == [5, 6, 7, 8]


def test_logs_yield_before_results(spool: Spool) -> None:
    chatty = token()
    taken = 0
    while spool.add_logs(logs(chatty, taken * 3)) is not None:
        taken += 1
    assert taken > 10
    assert spool.add_result(result(chatty)) is not None
    assert spool.add_logs(logs(chatty, taken * 3), reserve=True) is not None
    spool.acknowledge(taken)
    assert spool.add_logs(logs(chatty)) is not None


def test_a_held_attempt_is_let_go_by_its_result(spool: Spool) -> None:
    running, ended = token("running"), token("ended")
    spool.hold(running)
    spool.hold(ended)
    spool.commit()
    spool.add_result(result(ended))
    assert [held.token.lease_id for held in spool.held()] == ["running"]
    assert [found.lease_id for found in spool.finished()] == ["ended"]


def test_a_dropped_attempt_takes_its_result_along_and_its_logs_only_if_asked(spool: Spool) -> None:
    gone, also, stays = token("gone"), token("also"), token("stays")
    for one in (gone, also, stays):
        spool.hold(one)
        spool.add_logs(logs(one))
        spool.add_result(result(one))
    spool.commit()
    spool.drop(["gone"], logs=True)
    spool.drop(["also"], logs=False)
    assert seqs(spool) == [3, 5, 6]
    assert [found.lease_id for found in spool.finished()] == ["stays"]
    spool.acknowledge(5)
    assert seqs(spool) == [6]


def test_the_number_of_known_lines_is_remembered(spool: Spool) -> None:
    one = token()
    spool.hold(one)
    spool.add_logs(logs(one, 0, 3))
    spool.add_logs(logs(one, 3, 4))
    spool.commit()
    spool.acknowledge(2)
    assert [held.lines for held in spool.held()] == [7]


@pytest.fixture
def open_spool(tmp_path: Path) -> Open:
    return lambda: SqliteSpool(tmp_path / "spool.db", log_bytes_max=10_000, clock=lambda: 77)


def test_what_was_committed_survives_the_process(open_spool: Open) -> None:
    before = open_spool()
    held, ended = token("held"), token("ended")
    before.hold(held)
    before.hold(ended)
    before.add_logs(logs(ended))
    before.add_result(result(ended))
    before.commit()
    # No close: the process is killed here.
    after = open_spool()
    assert [(item.seq, item.kind) for item in after.items_after(0, 10_000)] == [(1, "logs"), (2, "result")]
    assert [(found.token.lease_id, found.since_us) for found in after.held()] == [("held", 77)]
    assert [found.lease_id for found in after.finished()] == ["ended"]
    assert after.add_result(result(held)) == 3
    assert after.held() == []


def test_numbers_grow_for_ever_even_when_everything_was_acknowledged(open_spool: Open) -> None:
    before = open_spool()
    before.add_result(result(token()))
    before.commit()
    before.acknowledge(1)
    before.commit()
    after = open_spool()
    assert after.items_after(0, 10_000) == []
    assert after.add_result(result(token())) == 2


def test_the_ceiling_for_logs_counts_what_an_earlier_process_left(open_spool: Open) -> None:
    before = open_spool()
    chatty = token()
    taken = 0
    while before.add_logs(logs(chatty, taken * 3)) is not None:
        taken += 1
    before.commit()
    after = open_spool()
    assert after.add_logs(logs(chatty, taken * 3)) is None
    after.acknowledge(taken)
    assert after.add_logs(logs(chatty, taken * 3)) == taken + 1


def test_a_full_disk_costs_logs_and_keeps_results(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path / "spool.db")
    spool.add_result(result(token()))
    spool.commit()
    pages = spool._connection.execute("PRAGMA page_count").fetchone()[0]
    spool._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = gateway.Result(token=token("big"), outputs_json=b"x" * 100_000)
    spool.add_result(big)
    spool.commit()
    assert spool.add_logs(logs(token())) is None
    assert [item.seq for item in spool.items_after(0, 1_000_000)] == [1, 2]
    spool._connection.execute("PRAGMA max_page_count = 100000")
    spool.commit()
    assert spool.add_logs(logs(token())) == 3
    with sqlite3.connect(tmp_path / "spool.db") as other:
        assert other.execute("SELECT count(*) FROM item").fetchone()[0] == 2


def test_spool_of_another_version_is_put_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript("CREATE TABLE item (something TEXT); PRAGMA user_version = 7")
    spool = SqliteSpool(path)
    assert spool.last_seq == 0
    assert (tmp_path / "spool.db.version-7").exists()


def report(of: gateway.AttemptToken, *ids: str) -> gateway.Report:
    return gateway.Report(token=of, runs=[gateway.SubRun(id=one, task_id=one, outcome=gateway.SUCCESS) for one in ids])


def test_reports_keep_their_place_before_the_result_and_end_no_attempt(spool: Spool) -> None:
    attempt = token()
    spool.hold(attempt)
    spool.add_report(report(attempt, "child"))
    assert [held.token for held in spool.held()] == [attempt]
    spool.add_result(result(attempt))
    items = spool.items_after(0, 1_000_000)
    assert [item.kind for item in items] == ["report", "result"]
    assert items[0].message == report(attempt, "child")
    assert spool.acknowledge(1) == []
    assert spool.acknowledge(2) == [attempt.lease_id]


def test_reports_of_an_attempt_that_is_not_ours_any_more_are_dropped_with_its_result(spool: Spool) -> None:
    mine, other = token(), token()
    for one in (mine, other):
        spool.add_logs(logs(one))
        spool.add_report(report(one, "child"))
    spool.drop([mine.lease_id], logs=False)
    assert [(item.kind, item.lease_id) for item in spool.items_after(0, 1_000_000)] == [
        ("logs", mine.lease_id),
        ("logs", other.lease_id),
        ("report", other.lease_id),
    ]


def test_lines_of_a_task_run_below_an_attempt_do_not_count_as_its_own(spool: Spool) -> None:
    attempt = token()
    spool.hold(attempt)
    spool.add_logs(logs(attempt, count=2))
    child = gateway.AttemptToken(execution_id="e", task_run_id="child", attempt=1, lease_id=attempt.lease_id)
    below = logs(child, count=7)
    below.sub_task_id = "child"
    spool.add_logs(below)
    assert [held.lines for held in spool.held()] == [2]
