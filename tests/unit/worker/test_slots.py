"""No more runs than there are slots, and what waits starts in order."""

from __future__ import annotations

from worker.slots import Slots


def test_work_above_the_slots_waits_and_starts_in_order() -> None:
    begun: list[str] = []
    slots = Slots(2)
    for name in "abcd":
        slots.take(name, lambda name=name: begun.append(name))  # type: ignore[misc]
    assert begun == ["a", "b"]
    slots.free()
    assert begun == ["a", "b", "c"]
    slots.free()
    slots.free()
    slots.free()
    assert begun == ["a", "b", "c", "d"]
    assert slots.used == 0


def test_waiting_work_can_be_taken_back() -> None:
    begun: list[str] = []
    slots = Slots(1)
    slots.take("a", lambda: begun.append("a"))
    slots.take("b", lambda: begun.append("b"))
    assert not slots.withdraw("a")
    assert slots.withdraw("b")
    slots.free()
    assert begun == ["a"]
    assert slots.used == 0
