"""What the scheduler decides about a Schedule: when, how often, with which variables, and why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flows.schedule.due import RuleInvalid, Server
from flows.schedule.facts import FlowFacts, due_key
from flows.schedule.state import TriggerState
from tests.unit.schedule.written import FLOW, at, condition, dates, fire_all, on_dates, schedule, trigger

NOON = at("2024-01-31T12:00:00Z")
DAY = timedelta(days=1)


def test_a_first_deployment_never_runs_the_past() -> None:
    state = schedule("0 0 * * *").created(NOON)
    assert (state.evaluated_at, state.next_at) == (NOON, at("2024-02-01T00:00:00Z"))


def test_nothing_fires_before_its_time_and_the_reason_says_until_when() -> None:
    rule = schedule("0 0 * * *")
    look = rule.look(rule.created(NOON), NOON)
    assert look.firing is None and look.reason is not None
    assert (look.reason.code, look.reason.detail) == ("waits", {"until": "2024-02-01T00:00:00Z"})


def test_each_due_instant_fires_once_under_a_key_of_its_own() -> None:
    rule = schedule("0 0 * * *")
    look = rule.look(rule.created(NOON), at("2024-02-01T00:00:00.7Z"))
    assert look.firing is not None
    assert look.firing.key == "company.team/report/it@2024-02-01T00:00:00Z"
    assert rule.look(look.state, at("2024-02-01T00:00:00.8Z")).firing is None


def test_variables_are_dates_in_the_triggers_zone() -> None:
    """Trap 3: `date` is the planned one, whenever it really starts."""
    rule = schedule("0 0 * * *", timezone="Europe/Paris")
    look = rule.look(rule.created(at("2024-01-30T12:00:00Z")), at("2024-01-31T09:17:00Z"))
    assert look.firing is not None
    assert look.firing.variables == {
        "date": "2024-01-31T00:00:00+01:00",
        "next": "2024-02-01T00:00:00+01:00",
        "previous": "2024-01-30T00:00:00+01:00",
    }


def test_next_and_previous_skip_dates_that_conditions_refuse() -> None:
    """Trap 3: the first Monday of each month, at eleven."""
    rule = schedule("0 11 * * 1", conditions=[condition("DayWeekInMonth", dayOfWeek="MONDAY", dayInMonth="FIRST")])
    look = rule.look(rule.created(NOON), at("2024-02-05T11:00:00Z"))
    assert look.firing is not None
    assert look.firing.variables["previous"] == "2024-01-01T11:00:00Z"
    assert look.firing.variables["next"] == "2024-03-04T11:00:00Z"
    assert look.state.next_at == at("2024-03-04T11:00:00Z")


def test_without_a_zone_the_servers_is_taken() -> None:
    rule = schedule("0 0 * * *", server=Server(zone=ZoneInfo("America/New_York")))
    assert rule.created(NOON).next_at == at("2024-02-01T05:00:00Z")


def test_labels_are_the_flows_then_the_triggers_and_a_broken_one_is_left_out() -> None:
    labels = {"team": "night", "day": "{{ trigger.date | date('yyyy-MM-dd') }}", "broken": "{{ nothing.here }}"}
    rule = schedule("0 0 * * *", labels=labels)
    look = rule.look(rule.created(NOON), at("2024-02-01T00:00:00Z"))
    assert look.firing is not None and look.firing.labels == {"team": "night", "day": "2024-02-01"}
    assert len(look.warnings) == 1 and "`broken` is left out" in look.warnings[0]


def test_inputs_are_rendered_with_trigger_schedule_vars_and_flow() -> None:
    inputs = {"a": "{{ trigger.date }}", "b": "{{ schedule.next }}", "c": "{{ vars.region }}-{{ flow.id }}", "d": 5}
    rule = schedule("0 0 * * *", inputs=inputs)
    look = rule.look(rule.created(NOON), at("2024-02-01T00:00:00Z"))
    assert look.firing is not None
    assert look.firing.inputs == {"a": "2024-02-01T00:00:00Z", "b": "2024-02-02T00:00:00Z", "c": "eu-report", "d": 5}


def test_inputs_that_cannot_be_rendered_make_a_failed_execution() -> None:
    rule = schedule("0 0 * * *", inputs={"a": "{{ nothing.here }}"})
    look = rule.look(rule.created(NOON), at("2024-02-01T00:00:00Z"))
    assert look.firing is not None and look.firing.failure is not None
    assert "the inputs of the trigger `it` cannot be rendered" in look.firing.failure.message
    assert look.state.next_at == at("2024-02-02T00:00:00Z")


def test_a_condition_that_raises_makes_a_failed_execution_and_the_schedule_goes_on() -> None:
    """Trap 7: visible to the user, with the flow's labels, not a silent skip."""
    rule = schedule("0 0 * * *", labels={"own": "x"}, conditions=[condition("Expression", expression="{{ nothing.here }}")])
    look = rule.look(rule.created(NOON), at("2024-02-01T00:00:00Z"))
    assert look.firing is not None and look.firing.failure is not None
    assert look.firing.labels == {"team": "data"}
    assert "the condition Expression cannot be evaluated" in look.firing.failure.message
    assert look.state.next_at == at("2024-02-02T00:00:00Z")


def test_a_condition_that_is_false_moves_on_without_a_firing() -> None:
    """A row written before the condition was there: the stored date is not one that it accepts."""
    rule = schedule("0 0 * * *", conditions=[condition("Weekend")])
    state = TriggerState(evaluated_at=NOON, next_at=at("2024-02-01T00:00:00Z"))
    look = rule.look(state, at("2024-02-01T00:00:00Z"))
    assert look.firing is None and look.reason is not None and look.reason.code == "condition_false"
    assert look.state.next_at == at("2024-02-03T00:00:00Z")


def test_when_is_asked_for_each_candidate_date() -> None:
    rule = schedule("0 0 * * *", when="{{ dayOfWeek(trigger.date) == 'FRIDAY' }}")
    assert rule.created(NOON).next_at == at("2024-02-02T00:00:00Z")
    looks, _ = fire_all(rule, rule.created(NOON), NOON + 10 * DAY)
    assert dates(looks) == ["2024-02-02T00:00Z", "2024-02-09T00:00Z"]


def test_a_condition_that_never_holds_is_searched_in_bounded_steps() -> None:
    rule = schedule("* * * * *", conditions=[condition("Expression", expression="false")])
    state = rule.created(NOON)
    assert state.next_at is not None and NOON + 7 * DAY < state.next_at < NOON + 8 * DAY
    look = rule.look(state, state.next_at)
    assert look.firing is None and look.state.next_at is not None and look.state.next_at > state.next_at + 7 * DAY


def test_deprecated_schedule_conditions_count_too() -> None:
    rule = schedule("0 0 * * *", scheduleConditions=[condition("Weekend")])
    assert rule.created(NOON).next_at == at("2024-02-03T00:00:00Z")


def test_a_date_that_never_comes_is_looked_at_again_in_a_year() -> None:
    rule = schedule("0 0 30 2 *")
    state = rule.created(NOON)
    assert state.next_at == NOON + timedelta(days=365)
    look = rule.look(replace(state, next_at=NOON), NOON)
    assert look.reason is not None and look.reason.code == "never"


# The lock ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", ["CREATED", "RUNNING", "PAUSED", "QUEUED", "RETRYING", "KILLING", "BREAKPOINT"])
def test_an_execution_that_is_not_over_keeps_its_schedule_waiting(running: str) -> None:
    """Trap 1: PAUSED and QUEUED count as running."""
    rule = schedule("0 0 * * *")
    state = rule.created(NOON).locked("e1", NOON)
    look = rule.look(state, NOON + 3 * DAY, running=running)
    assert look.firing is None and look.state == state
    assert look.reason is not None and look.reason.code == "locked"
    assert look.reason.detail["execution"] == "e1" and look.reason.detail["state"] == running


def test_an_execution_that_cannot_be_found_blocks_until_it_is_unlocked() -> None:
    """Trap 2."""
    rule = schedule("0 0 * * *")
    state = rule.created(NOON).locked("gone", NOON)
    assert rule.look(state, NOON + DAY, running=None).firing is None
    assert rule.look(state.unlocked(), NOON + DAY).firing is not None


def test_dates_missed_under_the_lock_are_caught_up_one_by_one() -> None:
    """Trap 8: whatever `recoverMissedSchedules` says, a long execution leads to catch-up of all dates."""
    rule = schedule("0 0 * * *", recoverMissedSchedules="NONE")
    state = rule.created(NOON).locked("e1", NOON)
    now = NOON + 3 * DAY
    assert rule.look(state, now, running="RUNNING").firing is None
    looks, _ = fire_all(rule, state.execution_ended("e1", "SUCCESS"), now)
    assert dates(looks) == ["2024-02-01T00:00Z", "2024-02-02T00:00Z", "2024-02-03T00:00Z"]


def test_allow_concurrent_lifts_the_lock() -> None:
    rule = schedule("0 0 * * *", allowConcurrent=True)
    assert rule.look(rule.created(NOON).locked("e1", NOON), NOON + DAY, running="RUNNING").firing is not None


def test_the_end_of_another_execution_leaves_the_lock() -> None:
    state = schedule("0 0 * * *").created(NOON).locked("e2", NOON)
    assert state.execution_ended("e1", "SUCCESS").execution_id == "e2"


# Switches ---------------------------------------------------------------------------------------------------------------


def test_stop_after_sets_the_switch_by_each_end_state() -> None:
    """Trap 6: from the end state each time; without `stopAfter` the switch is kept."""
    stopping = schedule("0 0 * * *", stopAfter=["FAILED"]).created(NOON).locked("e1", NOON)
    assert stopping.execution_ended("e1", "FAILED").disabled
    assert not stopping.execution_ended("e1", "SUCCESS").disabled
    assert not replace(stopping, disabled=True).execution_ended("e1", "SUCCESS").disabled
    plain = replace(schedule("0 0 * * *").created(NOON).locked("e1", NOON), disabled=True)
    assert plain.execution_ended("e1", "SUCCESS").disabled


@pytest.mark.parametrize(
    ("code", "more", "facts", "off"),
    [
        ("trigger_disabled", {"disabled": True}, FLOW, False),
        ("flow_disabled", {}, replace(FLOW, disabled=True), False),
        ("disabled", {}, FLOW, True),
    ],
)
def test_what_is_switched_off_does_not_fire_and_says_by_what(
    code: str, more: dict[str, Any], facts: FlowFacts, off: bool
) -> None:
    rule = schedule("0 0 * * *", facts=facts, **more)
    state = replace(rule.created(NOON), disabled=off)
    look = rule.look(state, NOON + DAY)
    assert look.firing is None and look.state == state and look.reason is not None and look.reason.code == code


def test_editing_any_property_begins_anew_and_drops_the_backfill() -> None:
    """Trap 4."""
    old, new = schedule("0 0 * * *"), schedule("0 0 * * *", inputs={"a": "1"})
    state = replace(old.created(NOON - 5 * DAY), evaluating_since=NOON, worker_id="w")
    changed = new.changed(state, NOON)
    assert changed == new.created(NOON)


def test_editing_something_else_leaves_the_state_alone() -> None:
    """Trap 4: another trigger or a task of the flow."""
    state = schedule("0 0 * * *").created(NOON - 5 * DAY)
    assert schedule("0 0 * * *").changed(state, NOON) is state


def test_the_switch_at_run_time_and_the_lock_survive_edits() -> None:
    """Trap 5."""
    old, new = schedule("0 0 * * *"), schedule("0 1 * * *")
    state = old.disabled(old.created(NOON)).locked("e1", NOON)
    changed = new.changed(state, NOON + DAY)
    assert changed.disabled and changed.next_at is None and changed.execution_id == "e1"


def test_the_switch_in_yaml_does_not_touch_the_state() -> None:
    """Trap 5: the flow says disabled, the row does not."""
    rule = schedule("0 0 * * *", disabled=True)
    assert not rule.created(NOON).disabled


# Missed instants --------------------------------------------------------------------------------------------------------

MISSED = {
    "ALL": ["2024-02-01T00:00Z", "2024-02-02T00:00Z", "2024-02-03T00:00Z"],
    "LAST": ["2024-02-03T00:00Z"],
    "NONE": [],
}


@pytest.mark.parametrize("choice", MISSED)
def test_missed_instants_are_run_as_chosen_when_a_scheduler_starts(choice: str) -> None:
    rule = schedule("0 0 * * *", recoverMissedSchedules=choice)
    now = NOON + 3 * DAY
    looks, state = fire_all(rule, rule.recovered(rule.created(NOON), now), now)
    assert dates(looks) == MISSED[choice]
    assert state.next_at == at("2024-02-04T00:00:00Z")


@pytest.mark.parametrize("choice", MISSED)
def test_the_same_when_a_disabled_trigger_is_enabled(choice: str) -> None:
    rule = schedule("0 0 * * *", recoverMissedSchedules=choice)
    off = rule.disabled(rule.created(NOON))
    assert off.next_at is None
    now = NOON + 3 * DAY
    looks, _ = fire_all(rule, rule.enabled(off, now), now)
    assert dates(looks) == MISSED[choice]


def test_the_installations_choice_counts_where_the_trigger_has_none() -> None:
    now = NOON + 3 * DAY
    rule = schedule("0 0 * * *", server=Server(recover="NONE"))
    assert fire_all(rule, rule.recovered(rule.created(NOON), now), now)[0] == []
    rule = schedule("0 0 * * *", server=Server(recover="NONE"), recoverMissedSchedules="LAST")
    assert dates(fire_all(rule, rule.recovered(rule.created(NOON), now), now)[0]) == MISSED["LAST"]


def test_last_does_not_repeat_what_was_dealt_with() -> None:
    rule = schedule("0 0 * * *", recoverMissedSchedules="LAST")
    state = replace(rule.created(NOON), evaluated_at=at("2024-02-01T00:00:00Z"), next_at=at("2024-02-02T00:00:00Z"))
    assert rule.recovered(state, at("2024-02-01T18:00:00Z")).next_at == at("2024-02-02T00:00:00Z")


def test_late_instants_are_skipped_by_late_maximum_delay() -> None:
    rule = schedule("0 * * * *", lateMaximumDelay="PT90M")
    now = at("2024-01-31T18:10:00Z")
    looks, _ = fire_all(rule, rule.created(NOON), now)
    assert dates(looks) == ["2024-01-31T17:00Z", "2024-01-31T18:00Z"]


def test_a_late_instant_alone_says_that_it_was_skipped() -> None:
    rule = schedule("0 0 * * *", lateMaximumDelay="PT10M")
    look = rule.look(rule.created(NOON), at("2024-02-01T08:00:00Z"))
    assert look.firing is None and look.reason is not None and look.reason.code == "late"
    assert look.state.next_at == at("2024-02-02T00:00:00Z")


def test_a_stored_date_that_is_no_date_of_the_cron_waits_for_the_next_one() -> None:
    rule = schedule("0 0 * * *")
    look = rule.look(TriggerState(evaluated_at=NOON, next_at=NOON), NOON + timedelta(hours=1))
    assert look.firing is None and look.state.next_at == at("2024-02-01T00:00:00Z")


def test_a_state_without_a_next_date_gets_one() -> None:
    rule = schedule("0 0 * * *")
    assert rule.look(TriggerState(evaluated_at=NOON), NOON).state.next_at == at("2024-02-01T00:00:00Z")


def test_any_order_of_looks_gives_every_instant_exactly_once() -> None:
    """Looks at random moments, with late schedulers and lost answers: the firings are the instants of the cron."""
    seed = Random().randrange(1_000_000)
    print(f"seed {seed}")
    chance = Random(seed)
    for cron in ("*/7 * * * *", "30 2 * * *", "0 */5 * * 1-5"):
        rule = schedule(cron, timezone="Europe/Paris")
        start = at("2026-10-20T00:00:00Z")
        state, now, keys = rule.created(start), start, []
        while now < start + 10 * DAY:
            now += timedelta(seconds=chance.expovariate(1 / chance.choice([5, 600, 40_000])))
            looks, moved = fire_all(rule, state, now, most=5_000)
            keys += [look.firing.key for look in looks if look.firing]
            if chance.random() < 0.2:
                # The transaction failed: its firings never happened, and the next look sees the old state.
                keys = keys[: len(keys) - len(looks)]
            else:
                state = moved
        looks, _ = fire_all(rule, state, now, most=5_000)
        keys += [look.firing.key for look in looks if look.firing]
        assert keys == [due_key(rule.key, one) for one in rule.instants(start, now)], f"seed {seed}, {cron}"


# ScheduleOnDates --------------------------------------------------------------------------------------------------------


def test_dates_fire_in_order_whatever_order_they_are_written_in() -> None:
    rule = on_dates("2024-03-01T10:00:00+01:00", "2024-02-01T10:00:00Z", "2024-01-01T00:00:00Z")
    looks, state = fire_all(rule, rule.created(NOON), at("2024-04-01T00:00:00Z"))
    assert dates(looks) == ["2024-02-01T10:00Z", "2024-03-01T09:00Z"]
    assert state.next_at is not None and state.next_at > at("2025-01-01T00:00:00Z")


def test_dates_without_an_offset_are_read_in_the_triggers_zone() -> None:
    rule = on_dates("2024-03-01T10:00:00", timezone="Europe/Paris")
    assert rule.created(NOON).next_at == at("2024-03-01T09:00:00Z")


def test_dates_may_be_expressions() -> None:
    written = trigger(type="io.kestra.plugin.core.trigger.ScheduleOnDates", dates="{{ vars.dates }}")
    rule = type(schedule("* * * * *")).of(written, replace(FLOW, variables={"dates": ["2024-03-01T10:00:00Z"]}))
    assert rule.created(NOON).next_at == at("2024-03-01T10:00:00Z")
    with pytest.raises(RuleInvalid, match="`dates` cannot be used"):
        type(rule).of(written, FLOW)


def test_missed_dates_follow_recover_missed_schedules() -> None:
    rule = on_dates("2024-02-01T00:00:00Z", "2024-02-02T00:00:00Z", "2024-03-01T00:00:00Z", recoverMissedSchedules="LAST")
    now = at("2024-02-10T00:00:00Z")
    assert dates(fire_all(rule, rule.recovered(rule.created(NOON), now), now)[0]) == ["2024-02-02T00:00Z"]
