"""Free slots of workers: never more are given than are free, whatever a worker holds when it comes."""

from __future__ import annotations

from controlplane.engine.dispatch import Channel, Dispatcher

GROUP = ("main", "default", True)


def channel(worker_id: str, free: int) -> Channel:
    made = Channel("main", "default", worker_id, 1, deliver=lambda assigns, stops: None)
    made.free[True] = free
    return made


def test_a_worker_that_holds_more_than_its_slots_gets_nothing_and_stays_in_debt() -> None:
    dispatcher = Dispatcher()
    debtor = channel("w", -2)  # it came back with fewer slots than attempts
    dispatcher.attach(debtor)
    assert dispatcher.reserve(GROUP, 5) == []
    assert debtor.free[True] == -2
    dispatcher.release(debtor, True, 3)
    assert dispatcher.reserve(GROUP, 5) == [debtor]


def test_the_worker_with_most_room_is_taken_first_and_none_beyond_its_room() -> None:
    dispatcher = Dispatcher()
    small, large, debtor = channel("a", 1), channel("b", 3), channel("c", -1)
    for each in (small, large, debtor):
        dispatcher.attach(each)
    taken = dispatcher.reserve(GROUP, 10)
    assert taken[:2] == [large, large]
    assert sorted(member.worker_id for member in taken) == ["a", "b", "b", "b"]
    assert [member.free[True] for member in (small, large, debtor)] == [0, 0, -1]
