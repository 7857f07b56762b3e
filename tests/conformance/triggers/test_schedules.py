"""Schedules: one execution for each due instant, one at a time, whatever runs beside it."""

from __future__ import annotations

import threading

import pytest

from controlplane.platform import database
from controlplane.triggers import actions
from controlplane.triggers.queries import TriggerMissing
from controlplane.triggers.scheduler import Scheduler
from tests.conformance.triggers.world import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    NAMESPACE,
    SECOND_US,
    TENANT,
    WAITING,
    TriggerWorld,
    cron,
    flow,
    labels_of,
    micros,
)

KEY = (TENANT, NAMESPACE, "daily", "cron")


def test_a_first_deployment_never_runs_the_past(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 0 * * *")))
    world.tick()
    assert world.executions() == []
    assert world.codes() == ["schedule.waits"]


def test_a_due_date_starts_one_execution_with_its_variables_and_labels(world: TriggerWorld) -> None:
    head = "labels:\n  team: core\n"
    world.save(flow("daily", cron("0 0 * * *", more="labels:\n  by: cron"), head=head))
    due = world.due()
    world.tick(due + SECOND_US)
    world.tick(due + 2 * SECOND_US)
    (execution,) = world.executions()
    assert execution["trigger"]["id"] == "cron"
    assert micros(execution["trigger"]["variables"]["date"]) == due
    assert micros(execution["trigger"]["variables"]["next"]) == due + DAY_US
    assert labels_of(execution) == {"team": "core", "by": "cron", "system.correlationId": execution["id"]}
    assert execution["cause"]["kind"] == "trigger"
    assert micros(execution["cause"]["dueAt"]) == due
    row = world.row()
    assert row.last_triggered_at_us is not None
    assert row.next_at_us == due + DAY_US


def test_inputs_of_a_schedule_are_rendered_and_typed(world: TriggerWorld) -> None:
    head = "inputs:\n  - id: n\n    type: INT\n    defaults: 3\n  - id: day\n    type: STRING\n"
    more = "inputs:\n  day: \"{{ trigger.date | date('yyyy-MM-dd') }}\""
    world.save(flow("daily", cron("0 0 * * *", more=more), head=head))
    due = world.due()
    world.tick(due)
    (execution,) = world.executions()
    assert execution["inputs"] == {"n": 3, "day": execution["trigger"]["variables"]["date"][:10]}


def test_inputs_that_do_not_fit_make_a_failed_execution(world: TriggerWorld) -> None:
    head = "inputs:\n  - id: n\n    type: INT\n"
    world.save(flow("daily", cron("0 0 * * *", more="inputs:\n  n: many"), head=head))
    world.tick(world.due())
    (execution,) = world.executions()
    assert execution["state"] == "FAILED"
    assert "n" in execution["error"]["message"]


@pytest.mark.parametrize("state", ["PAUSED", "QUEUED", "RUNNING"])
def test_trap_1_an_execution_that_is_not_over_stops_the_schedule_whatever_it_waits_for(world: TriggerWorld, state: str) -> None:
    world.save(flow("daily", cron("0 * * * *"), tasks=WAITING))
    first = world.due()
    world.tick(first)
    (execution,) = world.executions()
    world.end(execution["id"], state)
    world.tick(first + 3 * HOUR_US)
    assert len(world.executions()) == 1
    assert world.codes()[0] == "trigger.locked"
    reason = world.explain()[0]
    assert (reason["executionId"], reason["state"]) == (execution["id"], state)


def test_trap_2_deleting_a_running_execution_frees_its_schedule(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *"), tasks=WAITING))
    first = world.due()
    world.tick(first)
    world.connection.execute("DELETE FROM execution WHERE flow_id = 'daily'")
    world.tick(first + HOUR_US)
    assert len(world.executions()) == 1


def test_a_locked_schedule_can_be_unlocked_by_hand(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *"), tasks=WAITING))
    first = world.due()
    world.tick(first)
    actions.unlock(KEY)
    world.tick(first + HOUR_US)
    assert len(world.executions()) == 2
    world.end(world.executions()[1]["id"])
    world.tick(first + HOUR_US + SECOND_US)
    with pytest.raises(actions.NotLocked):
        actions.unlock(KEY)


def test_allow_concurrent_lifts_the_lock(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *", more="allowConcurrent: true"), tasks=WAITING))
    first = world.due()
    for hours in range(3):
        world.tick(first + hours * HOUR_US)
    assert len(world.executions()) == 3


def test_dates_missed_behind_a_long_execution_are_caught_up_one_by_one(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *", more="recoverMissedSchedules: NONE"), tasks=WAITING))
    first = world.due()
    now = first + 3 * HOUR_US + MINUTE_US
    for number in range(1, 5):
        world.tick(now)
        world.tick(now)
        found = world.executions()
        assert len(found) == number
        world.end(found[-1]["id"])
    world.tick(now)
    assert [micros(date) for date in world.dates()] == [first + hours * HOUR_US for hours in range(4)]


def test_trap_7_a_condition_that_raises_makes_a_failed_execution(world: TriggerWorld) -> None:
    more = 'conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: "{{ nothing.of.this }}"'
    head = "labels:\n  team: core\n"
    world.save(flow("daily", cron("0 0 * * *", more=more), head=head))
    due = world.due()
    world.tick(due)
    (execution,) = world.executions()
    assert execution["state"] == "FAILED"
    assert execution["error"]["message"]
    assert labels_of(execution)["team"] == "core"
    assert world.row().next_at_us == due + DAY_US
    assert world.row().execution_id is None


def test_a_condition_that_does_not_hold_starts_nothing(world: TriggerWorld) -> None:
    more = "conditions:\n  - type: io.kestra.plugin.core.condition.Weekend"
    world.save(flow("daily", cron("0 0 * * *", more=more)))
    # Looked at on a date that the conditions refuse, as one is that an older revision left in the row.
    world.set({"next_at_us": micros("2026-11-25T00:00:00+00:00"), "evaluated_at_us": micros("2026-11-24T00:00:00+00:00")})
    world.tick(micros("2026-11-25T00:00:01+00:00"))
    assert world.executions() == []
    assert world.codes() == ["condition.false", "schedule.waits"]
    assert world.row().next_at_us == micros("2026-11-28T00:00:00+00:00")


@pytest.mark.parametrize(("ended", "disabled"), [("FAILED", True), ("SUCCESS", False)])
def test_trap_6_stop_after_sets_the_switch_from_the_end_of_its_execution(world: TriggerWorld, ended: str, disabled: bool) -> None:
    world.save(flow("daily", cron("0 * * * *", more="stopAfter:\n  - FAILED"), tasks=WAITING))
    world.tick(world.due())
    (execution,) = world.executions()
    world.end(execution["id"], ended)
    world.tick()
    row = world.row()
    assert (row.disabled, row.execution_id) == (disabled, None)
    if disabled:
        assert row.next_at_us is None
        (reason,) = world.explain()
        assert (reason["code"], reason["kind"], reason["executionId"]) == ("trigger.disabled", "stopAfter", execution["id"])


def test_without_stop_after_the_switch_is_kept(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *"), tasks=WAITING))
    world.tick(world.due())
    actions.set_disabled(KEY, True, {"kind": "user", "user": "ada"})
    world.end(world.executions()[0]["id"], "FAILED")
    world.tick()
    assert world.row().disabled
    assert world.row().execution_id is None


def test_trap_4_editing_a_trigger_begins_it_anew_and_editing_another_does_not(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 0 * * *") + cron("0 6 * * *", "other")))
    actions.create_backfill(KEY, {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"})
    world.save(flow("daily", cron("0 0 * * *") + cron("0 7 * * *", "other")))
    assert world.row().backfill is not None
    world.save(flow("daily", cron("0 0 * * *", more="description: edited") + cron("0 7 * * *", "other")))
    assert world.row().backfill is None


def test_trap_5_the_switch_at_run_time_survives_edits_and_the_texts_does_not_touch_it(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 0 * * *")))
    actions.set_disabled(KEY, True, {"kind": "user", "user": "ada"})
    world.save(flow("daily", cron("0 1 * * *")))
    assert world.row().disabled
    assert world.row().next_at_us is None
    actions.set_disabled(KEY, False, {"kind": "user", "user": "ada"})
    world.save(flow("daily", cron("0 1 * * *", more="disabled: true")))
    row = world.row()
    assert (row.disabled, row.declared_disabled, row.live) == (False, True, False)
    assert world.codes() == ["trigger.declared_disabled"]


def test_a_trigger_that_is_removed_loses_its_state(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 0 * * *") + cron("0 6 * * *", "other")))
    world.save(flow("daily", cron("0 0 * * *")))
    with pytest.raises(TriggerMissing):
        world.row("other")
    world.delete("daily")
    with pytest.raises(TriggerMissing):
        world.row()


def test_nothing_of_a_disabled_flow_is_evaluated(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *")))
    due = world.due()
    world.save(flow("daily", cron("0 * * * *"), head="disabled: true\n"))
    world.tick(due + HOUR_US)
    assert world.executions() == []
    assert world.codes() == ["flow.disabled"]


# -- missed dates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("recover", "count"), [("ALL", 3), ("LAST", 1), ("NONE", 0)])
def test_trap_8_dates_missed_in_an_outage_are_treated_as_the_trigger_wants(world: TriggerWorld, recover: str, count: int) -> None:
    world.save(flow("daily", cron("0 * * * *", more=f"recoverMissedSchedules: {recover}")))
    first = world.due()
    world.tick(first - MINUTE_US)  # the last tick before the outage
    late = first + 2 * HOUR_US + MINUTE_US
    started = world.another()
    for _ in range(6):
        world.tick(late, started)
    missed = [first + hours * HOUR_US for hours in range(3)]
    assert [micros(date) for date in world.dates()] == missed[3 - count :]
    assert world.row().next_at_us == first + 3 * HOUR_US


def test_a_short_restart_is_no_outage(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *", more="recoverMissedSchedules: NONE")))
    first = world.due()
    world.tick(first - SECOND_US)
    world.tick(first + SECOND_US, world.another())
    assert [micros(date) for date in world.dates()] == [first]


@pytest.mark.parametrize(("recover", "count"), [("ALL", 3), ("LAST", 1), ("NONE", 0), (None, 0)])
def test_a_trigger_switched_on_again_treats_missed_dates_as_it_is_told(
    world: TriggerWorld, recover: str | None, count: int
) -> None:
    world.save(flow("daily", cron("0 * * * *", more="recoverMissedSchedules: NONE")))
    by = {"kind": "user", "user": "ada"}
    actions.set_disabled(KEY, True, by)
    world.set({"evaluated_at_us": world.connection.now_us() - 3 * HOUR_US - 1})
    actions.set_disabled(KEY, False, by, recover)
    for _ in range(6):
        world.tick()
    assert len(world.executions()) == count


# -- backfills ----------------------------------------------------------------------------------------------------------


def test_trap_18_a_backfill_runs_its_dates_both_bounds_included(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 0 * * *", more="labels:\n  by: cron")))
    regular = world.due()
    wanted = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z", "labels": [{"key": "why", "value": "again"}]}
    row = actions.create_backfill(KEY, wanted)
    assert row.next_at_us == micros("2026-01-01T00:00:00+00:00")
    for _ in range(8):
        world.tick()
    assert world.dates() == ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]
    assert labels_of(world.executions()[0])["why"] == "again"
    assert {execution["cause"]["kind"] for execution in world.executions()} == {"backfill"}
    assert (world.row().backfill, world.row().next_at_us) == (None, regular)


def test_the_same_dates_can_be_backfilled_twice(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 0 * * *")))
    for _ in range(2):
        actions.create_backfill(KEY, {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"})
        for _ in range(6):
            world.tick()
    assert len(world.executions()) == 4


def test_a_paused_backfill_waits_and_says_so(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 0 * * *")))
    actions.create_backfill(KEY, {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"})
    world.tick()
    actions.pause_backfill(KEY, paused=True)
    for _ in range(3):
        world.tick()
    assert len(world.executions()) == 1
    assert world.codes() == ["backfill.paused"]
    actions.pause_backfill(KEY, paused=False)
    for _ in range(6):
        world.tick()
    assert len(world.executions()) == 3


def test_a_deleted_backfill_gives_the_regular_date_back(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 0 * * *")))
    regular = world.due()
    actions.create_backfill(KEY, {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00Z"})
    world.tick()
    assert actions.delete_backfill(KEY).next_at_us == regular
    with pytest.raises(actions.NoBackfill):
        actions.delete_backfill(KEY)


def test_regular_dates_wait_for_a_backfill(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *"), tasks=WAITING))
    regular = world.due()
    actions.create_backfill(KEY, {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"})
    world.tick(regular + MINUTE_US)
    assert world.codes()[0:2] == ["trigger.locked", "backfill.running"]
    for _ in range(2):
        world.end(world.executions()[-1]["id"])
        world.tick(regular + MINUTE_US)
        world.tick(regular + MINUTE_US)
    assert [micros(date) for date in world.dates()][2] == regular


# -- races and crashes --------------------------------------------------------------------------------------------------


def test_racing_schedulers_start_one_execution_for_each_instant(world: TriggerWorld) -> None:
    flows = [f"daily{number}" for number in range(20)]
    for flow_id in flows:
        world.save(flow(flow_id, cron("0 * * * *")))
    first = max(world.due(flow_id=flow_id) for flow_id in flows)
    schedulers = [world.another() for _ in range(4)]
    start = threading.Barrier(len(schedulers))

    def run(scheduler: Scheduler) -> None:
        connection = database.connect(world.url)
        start.wait()
        for hours in range(3):
            for _ in range(3):
                scheduler.run_once(connection, first + hours * HOUR_US)
                scheduler.settled()
        connection.close()

    threads = [threading.Thread(target=run, args=(scheduler,)) for scheduler in schedulers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.tick(first + 2 * HOUR_US)
    world.tick(first + 2 * HOUR_US)
    for flow_id in flows:
        assert [micros(date) for date in world.dates(flow_id)] == [first + hours * HOUR_US for hours in range(3)]


def test_an_instant_that_was_dealt_with_is_passed_over_even_if_the_row_forgot(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *")))
    first = world.due()
    world.tick(first)
    world.set({"next_at_us": first, "evaluated_at_us": first - HOUR_US, "execution_id": None})
    world.tick(first + MINUTE_US)
    assert len(world.executions()) == 1
    assert world.row().next_at_us == first + HOUR_US
    assert world.row().execution_id is None


def test_a_scheduler_killed_between_its_decision_and_the_commit_loses_and_doubles_nothing(world: TriggerWorld) -> None:
    from controlplane.triggers.scheduler import due_rows, look_at

    world.save(flow("daily", cron("0 * * * *")))
    first = world.due()
    decided = [look_at(row, first)[0] for row in due_rows(world.connection, first)]
    assert decided[0] is not None  # … and its process is gone before the engine gets it
    world.tick(first)
    assert len(world.executions()) == 1
    # A decision that comes to the engine late, from a process that was only frozen, is void.
    assert world.engine.call(decided[0]) == "superseded"
    assert len(world.executions()) == 1


def test_a_trigger_edited_between_decision_and_commit_does_not_fire_by_its_old_text(world: TriggerWorld) -> None:
    from controlplane.triggers.scheduler import due_rows, look_at

    world.save(flow("daily", cron("0 * * * *")))
    first = world.due()
    (decided,) = [look_at(row, first)[0] for row in due_rows(world.connection, first)]
    assert decided is not None
    actions.set_disabled(KEY, True, {"kind": "user", "user": "ada"})
    assert world.engine.call(decided) == "superseded"
    assert world.executions() == []


def test_the_end_of_an_execution_wakes_its_schedule_at_once(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *")))
    first = world.due()
    world.scheduler._wake.clear()
    world.tick(first)
    assert world.scheduler._wake.wait(5)


def test_a_trigger_that_cannot_be_decided_hurts_itself_only(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("0 * * * *")))
    world.save(flow("broken", cron("0 * * * *")))
    first = max(world.due(), world.due(flow_id="broken"))
    world.set({"flow_revision": 99}, flow_id="broken")
    world.tick(first)
    assert len(world.executions()) == 1
    assert world.codes(flow_id="broken")[0] == "flow.missing"


def test_the_scheduler_runs_by_itself(world: TriggerWorld) -> None:
    world.save(flow("daily", cron("* * * * * *", more="withSeconds: true")))
    world.scheduler.start()
    try:
        found = world.wait_for(3)
    finally:
        world.scheduler.stop()
    assert len({execution["trigger"]["variables"]["date"] for execution in found}) == len(found)
