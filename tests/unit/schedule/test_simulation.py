"""Schedules in virtual time: the same rules as the scheduler's, the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.failures import CommandFailed
from cli.main import app
from cli.simulate import plan_json
from flows.schedule.due import ScheduleRule
from flows.schedule.facts import FlowFacts, iso
from flows.schedule.simulation import simulate_schedules
from tests.unit.schedule.written import ON_DATES, SCHEDULE, at, condition, dates, fire_all, flow, source

START = at("2026-10-20T00:00:00Z")
NIGHTLY = {"id": "nightly", "type": SCHEDULE, "cron": "30 2 * * *", "timezone": "Europe/Paris"}
WEEKEND = {"id": "weekend", "type": SCHEDULE, "cron": "0 12 * * *", "conditions": [condition("Weekend")]}
RANDOM = {
    "id": "random",
    "type": SCHEDULE,
    "cron": "0 0 * * *",
    "inputs": {"n": "{{ randomInt(1, 1000000) }}", "at": "{{ now() }}"},
}
DATED = {"id": "dated", "type": ON_DATES, "dates": ["2026-10-21T00:00:00Z", "2027-01-01T00:00:00Z"]}


def test_the_plan_is_what_the_scheduler_does() -> None:
    """Look after look of the rule, as the control plane asks it, gives the same instants in the same order."""
    for written in (NIGHTLY, WEEKEND, DATED):
        one = flow(written)
        rule = ScheduleRule.of(one.triggers[0], FlowFacts.of(one))
        looks, _ = fire_all(rule, rule.created(START), at("2026-11-19T00:00:00Z"))
        plan = simulate_schedules([one], START, 30)
        assert [iso(firing.at)[:16] + "Z" for firing in plan.firings] == dates(looks)


def test_firings_of_many_flows_are_in_order_of_time() -> None:
    plan = simulate_schedules([flow(WEEKEND, flow_id="b"), flow(NIGHTLY, DATED, flow_id="a")], START, 7)
    assert list(plan.firings) == sorted(plan.firings, key=lambda one: (one.at, one.namespace, one.flow_id, one.trigger_id))
    assert {(one.flow_id, one.trigger_id) for one in plan.firings} == {("a", "nightly"), ("a", "dated"), ("b", "weekend")}


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_inputs() -> None:
    flows = [flow(NIGHTLY, WEEKEND, RANDOM, DATED, flow_id=name) for name in ("a", "b", "c")]
    first = plan_json(simulate_schedules(flows, START, 30, seed=7))
    assert first == plan_json(simulate_schedules(reversed(flows), START, 30, seed=7))
    assert first != plan_json(simulate_schedules(flows, START, 30, seed=8))


def test_now_is_the_due_instant() -> None:
    plan = simulate_schedules([flow(RANDOM)], START, 2)
    assert [firing.inputs["at"] for firing in plan.firings] == ["2026-10-21T00:00:00.000000Z", "2026-10-22T00:00:00.000000Z"]


def test_schedules_that_do_not_fire_say_why() -> None:
    never = {"id": "never", "type": SCHEDULE, "cron": "0 0 30 2 *"}
    off = {"id": "off", "type": SCHEDULE, "cron": "* * * * *", "disabled": True}
    broken = {"id": "broken", "type": ON_DATES, "dates": "{{ vars.gone }}"}
    plan = simulate_schedules([flow(never, off, broken), flow(NIGHTLY, flow_id="sleeping", disabled=True)], START, 30)
    assert plan.firings == ()
    assert {one.trigger_id: one.reason.split(":")[0] for one in plan.unplanned} == {
        "never": "no instant from 2026-10-20T00",
        "off": "the trigger is disabled",
        "broken": "`dates` cannot be used",
        "nightly": "the flow is disabled",
    }


def test_what_would_fail_is_shown_as_failing() -> None:
    broken = {"id": "broken", "type": SCHEDULE, "cron": "0 0 * * *", "inputs": {"a": "{{ nothing.here }}"}}
    plan = simulate_schedules([flow(broken)], START, 1)
    assert plan.firings[0].failure is not None and "cannot be rendered" in plan.firings[0].failure


# The command ------------------------------------------------------------------------------------------------------------


def run(tmp_path: Path, *arguments: str) -> str:
    path = tmp_path / "report.yml"
    path.write_text(source(NIGHTLY, WEEKEND), encoding="utf-8")
    result = CliRunner().invoke(app, ["flow", "simulate", str(path), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_a_table(tmp_path: Path) -> None:
    lines = run(tmp_path, "--from", "2026-10-24", "--days", "2").splitlines()
    assert lines[0].split() == ["at", "in", "its", "zone", "flow", "trigger", "inputs"]
    assert [line.split() for line in lines[1:4]] == [
        ["2026-10-24T00:30:00Z", "2026-10-24T02:30:00+02:00", "company.team/report", "nightly"],
        ["2026-10-24T12:00:00Z", "2026-10-24T12:00:00Z", "company.team/report", "weekend"],
        ["2026-10-25T00:30:00Z", "2026-10-25T02:30:00+02:00", "company.team/report", "nightly"],
    ]
    assert lines[-1] == "4 firings from 2026-10-24T00:00:00Z to 2026-10-26T00:00:00Z"


def test_the_command_prints_the_same_json_each_time(tmp_path: Path) -> None:
    arguments = ("--from", "2026-10-20", "--days", "30", "--format", "json", "--seed", "3")
    first = run(tmp_path, *arguments)
    assert first == run(tmp_path, *arguments)
    assert json.loads(first)["firings"][0]["triggerId"] == "nightly"


def test_schedules_without_a_zone_take_the_one_given(tmp_path: Path) -> None:
    found = json.loads(run(tmp_path, "--from", "2026-10-24", "--days", "1", "--format", "json", "--timezone", "Asia/Tokyo"))
    assert [one["at"] for one in found["firings"]] == ["2026-10-24T00:30:00Z", "2026-10-24T03:00:00Z"]


WRONG = [("--from", "soon", "expected a date"), ("--timezone", "Mars/One", "not a valid")]


@pytest.mark.parametrize(("option", "value", "said"), WRONG)
def test_what_cannot_be_read_is_said(tmp_path: Path, option: str, value: str, said: str) -> None:
    path = tmp_path / "report.yml"
    path.write_text(source(NIGHTLY), encoding="utf-8")
    result = CliRunner().invoke(app, ["flow", "simulate", str(path), option, value])
    assert isinstance(result.exception, CommandFailed) and said in str(result.exception)


def test_a_file_that_is_no_flow_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.yml"
    path.write_text("id: x\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["flow", "simulate", str(path)])
    assert isinstance(result.exception, CommandFailed) and "broken.yml" in str(result.exception)
