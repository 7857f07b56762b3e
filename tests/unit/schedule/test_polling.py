"""Polling triggers: when a worker is asked, and what its answer leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from flows.schedule import polling
from flows.spec.model import Trigger
from tests.unit.schedule.written import at

NOW = at("2024-01-31T08:00:00Z")
TRIGGER = Trigger("it", "company.Poll", "polling", {}, digest="1")


def why(trigger: Trigger = TRIGGER, *, running: str | None = None, flow_disabled: bool = False, **more: object) -> str | None:
    state = replace(polling.created(trigger, NOW), **more)  # type: ignore[arg-type]
    reason = polling.waits(trigger, state, NOW, flow_disabled=flow_disabled, running=running)
    return reason.code if reason is not None else None


def test_a_new_one_is_asked_at_once() -> None:
    assert why() is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (why(flow_disabled=True), "flow_disabled"),
        (why(replace(TRIGGER, disabled=True)), "trigger_disabled"),
        (why(disabled=True), "disabled"),
        (why(evaluating_since=NOW, worker_id="w1"), "evaluating"),
        (why(execution_id="e1", running="PAUSED"), "locked"),
        (why(execution_id="gone", running=None), "locked"),
        (why(execution_id="e1", running="SUCCESS"), None),
        (why(replace(TRIGGER, allow_concurrent=True), execution_id="e1", running="RUNNING"), None),
        (why(replace(TRIGGER, kind="realtime"), execution_id="e1", running="RUNNING"), None),  # trap 19: no lock
        (why(next_at=NOW + timedelta(seconds=1)), "waits"),
    ],
)
def test_why_it_is_not_asked(found: str | None, expected: str | None) -> None:
    assert found == expected


def test_the_period_is_reckoned_from_the_answer() -> None:
    """Trap 9: interval and evaluation time."""
    state = polling.sent(polling.created(TRIGGER, NOW), "w1", NOW)
    assert (state.worker_id, state.evaluating_since) == ("w1", NOW)
    answer = NOW + timedelta(seconds=25)
    state = polling.answered(state, answer, timedelta(seconds=60))
    assert state.next_at == NOW + timedelta(seconds=85) and state.evaluating_since is None and state.worker_id is None


def test_an_execution_takes_the_lock_and_missed_dates_are_dropped() -> None:
    state = polling.answered(polling.created(TRIGGER, NOW), NOW, timedelta(seconds=60), "e1")
    assert state.execution_id == "e1"
    later = NOW + timedelta(hours=5)
    ended = state.execution_ended("e1", "SUCCESS")
    assert polling.waits(TRIGGER, ended, later, flow_disabled=False, running=None) is None
    assert polling.answered(ended, later, timedelta(seconds=60)).next_at == later + timedelta(seconds=60)


def test_an_interval_is_at_least_a_second() -> None:
    assert polling.answered(polling.created(TRIGGER, NOW), NOW, timedelta(0)).next_at == NOW + timedelta(seconds=1)


def test_a_lost_worker_is_replaced_at_once() -> None:
    state = polling.lost(polling.sent(polling.created(TRIGGER, NOW), "w1", NOW), NOW + timedelta(minutes=1))
    assert polling.waits(TRIGGER, state, NOW + timedelta(minutes=1), flow_disabled=False, running=None) is None


def test_an_edit_begins_anew_keeps_the_switch_and_gives_up_the_evaluation() -> None:
    """Traps 4 and 5."""
    state = replace(polling.sent(polling.created(TRIGGER, NOW), "w1", NOW), disabled=True).locked("e1", NOW)
    assert polling.changed(TRIGGER, state, NOW) is state
    changed = polling.changed(replace(TRIGGER, digest="2"), state, NOW)
    assert changed.disabled and changed.next_at is None and changed.evaluating_since is None and changed.execution_id == "e1"
    assert polling.enabled(changed, NOW).next_at == NOW


def test_by_hand_an_evaluation_and_a_lock_can_be_given_up() -> None:
    state = polling.sent(polling.created(TRIGGER, NOW), "w1", NOW).locked("e1", NOW)
    assert state.restarted().worker_id is None and state.restarted().execution_id == "e1"
    assert state.unlocked().execution_id is None and state.unlocked().evaluating_since is None
