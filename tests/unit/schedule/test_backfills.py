"""Backfills: the past of a schedule, run on request."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from flows.schedule import backfills
from flows.schedule.backfills import BackfillRefused
from flows.schedule.state import Backfill
from tests.unit.schedule.written import at, condition, dates, fire_all, on_dates, schedule

NOW = at("2024-01-31T12:00:00Z")
JANUARY = Backfill("b1", at("2024-01-01T00:00:00Z"), at("2024-01-03T00:00:00Z"))


def test_start_and_end_are_included() -> None:
    """Trap 18, and the example of the specification."""
    rule = schedule("0 0 * * *")
    state = backfills.begun(rule, rule.created(NOW), JANUARY, NOW)
    looks, state = fire_all(rule, state, NOW)
    assert dates(looks) == ["2024-01-01T00:00Z", "2024-01-02T00:00Z", "2024-01-03T00:00Z"]
    assert state.backfill is None and state.next_at == at("2024-02-01T00:00:00Z")
    assert all(look.firing is not None and look.firing.backfill for look in looks)


def test_a_start_between_two_instants_begins_with_the_next_one() -> None:
    rule = schedule("0 0 * * *")
    backfill = replace(JANUARY, start=at("2024-01-01T00:00:01Z"), end=at("2024-01-02T23:59:59Z"))
    looks, _ = fire_all(rule, backfills.begun(rule, rule.created(NOW), backfill, NOW), NOW)
    assert dates(looks) == ["2024-01-02T00:00Z"]


def test_inputs_and_labels_go_over_the_triggers() -> None:
    rule = schedule("0 0 * * *", inputs={"a": "{{ trigger.date }}", "b": "x"}, labels={"kind": "regular"})
    backfill = replace(JANUARY, inputs={"b": "{{ kept }}"}, labels={"kind": "backfill"})
    look = rule.look(backfills.begun(rule, rule.created(NOW), backfill, NOW), NOW)
    assert look.firing is not None
    assert look.firing.inputs == {"a": "2024-01-01T00:00:00Z", "b": "{{ kept }}"}
    assert look.firing.labels == {"team": "data", "kind": "backfill"}


def test_keys_differ_from_regular_firings_and_from_another_backfill() -> None:
    rule = schedule("0 0 * * *")
    state = rule.created(NOW)
    first = rule.look(backfills.begun(rule, state, JANUARY, NOW), NOW).firing
    second = rule.look(backfills.begun(rule, state, replace(JANUARY, id="b2"), NOW), NOW).firing
    assert first is not None and second is not None
    assert first.key == "company.team/report/it@2024-01-01T00:00:00Z#b1" != second.key


def test_one_execution_at_a_time() -> None:
    rule = schedule("0 0 * * *")
    look = rule.look(backfills.begun(rule, rule.created(NOW), JANUARY, NOW), NOW)
    assert rule.look(look.state.locked("e1", NOW), NOW, running="RUNNING").firing is None


def test_regular_instants_wait_and_are_run_afterwards() -> None:
    rule = schedule("0 0 * * *")
    state = backfills.begun(rule, rule.created(NOW), JANUARY, NOW)
    later = NOW + timedelta(days=2)
    looks, state = fire_all(rule, state, later)
    assert dates(looks) == [
        "2024-01-01T00:00Z",
        "2024-01-02T00:00Z",
        "2024-01-03T00:00Z",
        "2024-02-01T00:00Z",
        "2024-02-02T00:00Z",
    ]
    assert [look.firing.backfill for look in looks if look.firing] == [True, True, True, False, False]


def test_paused_it_creates_nothing_and_goes_on_where_it_was() -> None:
    rule = schedule("0 0 * * *")
    look = rule.look(backfills.begun(rule, rule.created(NOW), JANUARY, NOW), NOW)
    held = backfills.paused(look.state, paused=True)
    still = rule.look(held, NOW)
    assert still.firing is None and still.reason is not None and still.reason.code == "backfill_paused"
    looks, _ = fire_all(rule, backfills.paused(held, paused=False), NOW)
    assert dates(looks) == ["2024-01-02T00:00Z", "2024-01-03T00:00Z"]


def test_created_paused_it_waits() -> None:
    rule = schedule("0 0 * * *")
    state = backfills.begun(rule, rule.created(NOW), replace(JANUARY, paused=True), NOW)
    assert rule.look(state, NOW).firing is None


def test_deleted_the_regular_next_date_is_put_back() -> None:
    rule = schedule("0 0 * * *")
    state = rule.created(NOW)
    assert backfills.deleted(backfills.begun(rule, state, JANUARY, NOW)) == state


def test_conditions_apply_and_late_maximum_delay_does_not() -> None:
    rule = schedule("0 0 * * *", conditions=[condition("DayWeek", dayOfWeek="TUESDAY")], lateMaximumDelay="PT1M")
    looks, _ = fire_all(rule, backfills.begun(rule, rule.created(NOW), JANUARY, NOW), NOW)
    assert dates(looks) == ["2024-01-02T00:00Z"]


def test_an_empty_stretch_is_over_at_once() -> None:
    rule = schedule("0 0 1 1 *")
    backfill = replace(JANUARY, start=at("2023-02-01T00:00:00Z"), end=at("2023-03-01T00:00:00Z"))
    looks, state = fire_all(rule, backfills.begun(rule, rule.created(NOW), backfill, NOW), NOW)
    assert looks == [] and state.backfill is None and state.next_at == at("2025-01-01T00:00:00Z")


def test_only_one_at_a_time_for_schedules_only_and_never_backwards() -> None:
    rule = schedule("0 0 * * *")
    running = backfills.begun(rule, rule.created(NOW), JANUARY, NOW)
    with pytest.raises(BackfillRefused, match="is under way") as raised:
        backfills.begun(rule, running, JANUARY, NOW)
    assert raised.value.code == "backfill.running"
    with pytest.raises(BackfillRefused, match="must start before it ends"):
        backfills.begun(rule, rule.created(NOW), replace(JANUARY, end=at("2023-01-01T00:00:00Z")), NOW)
    dated = on_dates("2024-03-01T00:00:00Z")
    with pytest.raises(BackfillRefused, match="only Schedule triggers"):
        backfills.begun(dated, dated.created(NOW), JANUARY, NOW)
    with pytest.raises(BackfillRefused, match="has no backfill"):
        backfills.deleted(rule.created(NOW))


def test_a_scheduler_that_starts_leaves_it_going() -> None:
    rule = schedule("0 0 * * *", recoverMissedSchedules="NONE")
    state = backfills.begun(rule, rule.created(NOW), JANUARY, NOW)
    assert rule.recovered(state, NOW) == state


def test_editing_the_trigger_drops_it() -> None:
    """Trap 4."""
    rule = schedule("0 0 * * *")
    state = backfills.begun(rule, rule.created(NOW), JANUARY, NOW)
    assert schedule("0 1 * * *").changed(state, NOW).backfill is None
