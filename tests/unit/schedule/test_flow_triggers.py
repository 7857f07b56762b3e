"""Triggers that follow other flows: states, conditions, requirements in windows, the 2.0 form, misses."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flows.schedule.due import Server
from flows.schedule.facts import CORRELATION, UpstreamExecution
from flows.schedule.gates import WindowState
from flows.schedule.state import Firing
from flows.schedule.upstream import FlowTriggerRule
from tests.unit.schedule.written import FLOW, after, at, condition, upstream

NOW = at("2024-01-31T08:00:00Z")
A = {"namespace": "company.team", "flowId": "a"}
B = {"namespace": "company.team", "flowId": "b"}
C = {"namespace": "company.team", "flowId": "c"}


class Followed:
    """A rule with its stored windows, as a database would keep them (through JSON each time)."""

    def __init__(self, rule: FlowTriggerRule) -> None:
        self.rule = rule
        self.windows: dict[str, dict[str, Any]] = {}
        self.warnings: list[str] = []

    def see(self, execution: UpstreamExecution, now: datetime = NOW) -> Firing | None:
        stored = {key: WindowState.from_json(data) for key, data in self.windows.items()}
        found = self.rule.follow(execution, stored, now)
        for key, window in found.windows.items():
            if window is None:
                self.windows.pop(key, None)
            else:
                self.windows[key] = window.to_json()
        self.warnings += found.warnings
        return found.firing

    def flow(self, flow_id: str, state: str = "SUCCESS", now: datetime = NOW, **more: Any) -> bool:
        return self.see(upstream(flow_id, state, **more), now) is not None

    def missed(self, deadline: str, since: datetime) -> Firing | None:
        stored = {key: WindowState.from_json(data) for key, data in self.windows.items()}
        return self.rule.missed(stored, at(deadline), since)


# The simple form --------------------------------------------------------------------------------------------------------


def test_without_anything_it_fires_for_every_execution_of_every_other_flow() -> None:
    watch = Followed(after())
    assert watch.rule.shape.unlimited
    assert watch.flow("a") and watch.flow("b", "FAILED")


def test_a_flow_never_triggers_itself() -> None:
    """Trap 15; another flow of the same name elsewhere is another flow."""
    watch = Followed(after())
    assert not watch.flow("report")
    assert watch.flow("report", namespace="company.other")
    assert not watch.flow("a", tenant="other")


@pytest.mark.parametrize("state", ["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "SKIPPED", "RETRIED", "PAUSED"])
def test_by_default_the_1x_form_follows_every_end_and_paused(state: str) -> None:
    """Trap 14."""
    assert Followed(after()).flow("a", state)


@pytest.mark.parametrize("state", ["CREATED", "RUNNING", "QUEUED", "RESTARTED", "KILLING", "RETRYING"])
def test_by_default_states_on_the_way_are_not_followed(state: str) -> None:
    assert not Followed(after()).flow("a", state)
    assert Followed(after(states=[state])).flow("a", state)


def test_the_20_form_does_not_follow_paused() -> None:
    """Trap 14."""
    assert not Followed(after(when="{{ flowId == 'a' }}")).flow("a", "PAUSED")
    assert Followed(after(when="{{ flowId == 'a' }}")).flow("a", "FAILED")


def test_variables_name_the_execution_upstream() -> None:
    firing = Followed(after()).see(upstream("a", id="e1", revision=4, outputs={"n": 1}))
    assert firing is not None
    assert firing.variables == {
        "executionId": "e1",
        "state": "SUCCESS",
        "namespace": "company.team",
        "flowId": "a",
        "flowRevision": 4,
        "outputs": {"n": 1},
    }


def test_one_change_of_state_fires_under_one_key() -> None:
    keys = {Followed(after()).see(one).key for one in (upstream("a", id="e1"),) * 2}  # type: ignore[union-attr]
    assert keys == {"company.team/report/it@e1:SUCCESS"}
    restarted = Followed(after()).see(upstream("a", id="e1", change="9"))
    assert restarted is not None and restarted.key == "company.team/report/it@e1:SUCCESS:9"


def test_inputs_are_rendered_in_the_context_of_the_execution_upstream() -> None:
    inputs = {
        "a": "{{ trigger.outputs.n }}",
        "b": "{{ inputs.day }}",
        "c": "{{ flow.id }}-{{ labels.env }}",
    }
    firing = Followed(after(inputs=inputs)).see(upstream("a", outputs={"n": 7}, inputs={"day": "mon"}, labels={"env": "prod"}))
    assert firing is not None and firing.inputs == {"a": "7", "b": "mon", "c": "a-prod"}


def test_inputs_that_cannot_be_rendered_start_nothing_in_1x_and_fail_in_20() -> None:
    inputs = {"a": "{{ trigger.outputs.n }}"}
    old = Followed(after(inputs=inputs))
    assert old.see(upstream("a")) is None and "cannot be rendered" in old.warnings[0]
    firing = Followed(after(inputs=inputs, dependsOn=[A])).see(upstream("a"))
    assert firing is not None and firing.failure is not None and "cannot be rendered" in firing.failure.message


def test_a_chain_shares_its_correlation() -> None:
    """Trap 23."""
    first = Followed(after()).see(upstream("a", id="root"))
    later = Followed(after()).see(upstream("b", labels={CORRELATION: "root"}))
    assert first is not None and later is not None and first.correlation_id == later.correlation_id == "root"


def test_labels_are_the_flows_and_the_triggers() -> None:
    firing = Followed(after(labels={"from": "{{ flow.id }}"})).see(upstream("a"))
    assert firing is not None and firing.labels == {"team": "data", "from": "a"}


def test_conditions_must_all_hold() -> None:
    watch = Followed(after(conditions=[condition("ExecutionFlow", **A), condition("ExecutionStatus", **{"in": ["SUCCESS"]})]))
    assert watch.flow("a") and not watch.flow("b") and not watch.flow("a", "FAILED")


def test_a_condition_that_raises_counts_as_false_with_a_warning() -> None:
    watch = Followed(after(conditions=[condition("Expression", expression="{{ outputs.missing }}")]))
    assert not watch.flow("a")
    assert len(watch.warnings) == 1 and "Expression cannot be evaluated" in watch.warnings[0]


def test_when_is_a_gate_before_everything() -> None:
    watch = Followed(after(when="{{ labels.env == 'prod' }}", dependsOn=[A, B]))
    assert not watch.flow("a", labels={"env": "test"})
    assert not watch.flow("b", labels={"env": "prod"})
    assert watch.flow("a", labels={"env": "prod"})


@pytest.mark.parametrize("kind", ["TEST", "LOOP"])
def test_executions_of_tests_and_loops_are_not_followed(kind: str) -> None:
    assert not Followed(after()).flow("a", kind=kind)


def test_disabled_flows_and_triggers_follow_nothing() -> None:
    assert not Followed(after(disabled=True)).flow("a")
    assert not Followed(after(facts=replace(FLOW, disabled=True))).flow("a")


# Preconditions ----------------------------------------------------------------------------------------------------------


def both(**more: Any) -> dict[str, Any]:
    return {"id": "both", "flows": [A, B], **more}


def test_it_fires_once_when_all_requirements_were_met() -> None:
    watch = Followed(after(preconditions=both()))
    assert not watch.flow("a")
    firing = watch.see(upstream("b", id="last"))
    assert firing is not None and firing.variables["executionId"] == "last"
    assert watch.windows == {}


def test_after_a_firing_all_are_needed_again() -> None:
    watch = Followed(after(preconditions=both()))
    assert [watch.flow(one) for one in ("a", "b", "b", "a")] == [False, True, False, True]


def test_without_reset_each_further_match_fires_until_the_window_ends() -> None:
    """Trap 13."""
    watch = Followed(after(preconditions=both(resetOnSuccess=False)))
    assert [watch.flow(one) for one in ("a", "b", "b", "a", "c")] == [False, True, True, True, False]
    assert not watch.flow("a", now=NOW + timedelta(days=1))


def test_a_requirement_once_met_stays_met() -> None:
    """Trap 12: SUCCESS, then FAILED of the same flow."""
    watch = Followed(after(preconditions={"id": "both", "flows": [{**A, "states": ["SUCCESS"]}, B]}))
    assert not watch.flow("a", "SUCCESS")
    assert not watch.flow("a", "FAILED")
    assert watch.flow("b")


def test_states_of_the_trigger_and_of_the_entry_both_filter() -> None:
    """Trap 11: the outer ones first."""
    entry = {**A, "states": ["SUCCESS", "FAILED"]}
    watch = Followed(after(states=["FAILED", "WARNING"], preconditions={"id": "x", "flows": [entry]}))
    assert not watch.flow("a", "SUCCESS") and not watch.flow("a", "WARNING") and watch.flow("a", "FAILED")


def test_labels_of_an_entry_must_be_on_the_execution() -> None:
    watch = Followed(after(preconditions={"id": "x", "flows": [{**A, "labels": {"env": "prod"}}]}))
    assert not watch.flow("a") and watch.flow("a", labels={"env": "prod"})


def test_an_entry_without_a_flow_takes_any_of_the_namespace() -> None:
    watch = Followed(after(preconditions={"id": "x", "flows": [{"namespace": "company.team"}]}))
    assert watch.flow("a") and watch.flow("b") and not watch.flow("a", namespace="company")


def test_a_single_requirement_fires_each_time() -> None:
    watch = Followed(after(preconditions={"id": "x", "flows": [A]}))
    assert [watch.flow("a") for _ in range(3)] == [True] * 3


FILTERS: list[tuple[dict[str, Any], bool]] = [
    ({"field": "FLOW_ID", "type": "EQUAL_TO", "value": "a"}, True),
    ({"field": "FLOW_ID", "type": "NOT_EQUAL_TO", "value": "a"}, False),
    ({"field": "FLOW_ID", "type": "IN", "values": ["a", "b"]}, True),
    ({"field": "FLOW_ID", "type": "NOT_IN", "values": ["a", "b"]}, False),
    ({"field": "NAMESPACE", "type": "STARTS_WITH", "value": "company"}, True),
    ({"field": "NAMESPACE", "type": "ENDS_WITH", "value": "team"}, True),
    ({"field": "NAMESPACE", "type": "ENDS_WITH", "value": "company"}, False),
    ({"field": "NAMESPACE", "type": "REGEX", "value": "comp.*"}, True),
    ({"field": "NAMESPACE", "type": "REGEX", "value": "comp"}, False),
    ({"field": "NAMESPACE", "type": "CONTAINS", "value": "any.t"}, True),
    ({"field": "STATE", "type": "EQUAL_TO", "value": "SUCCESS"}, True),
    ({"field": "STATE", "type": "IS_NULL"}, False),
    ({"field": "STATE", "type": "IS_NOT_NULL"}, True),
    ({"field": "EXPRESSION", "type": "IS_TRUE", "value": "{{ outputs.n > 0 }}"}, True),
    ({"field": "EXPRESSION", "type": "IS_FALSE", "value": "{{ outputs.n > 0 }}"}, False),
    ({"field": "EXPRESSION", "type": "IS_NULL", "value": "{{ outputs.gone }}"}, True),
    ({"field": "EXPRESSION", "type": "IS_NOT_NULL", "value": "{{ outputs.n }}"}, True),
    ({"field": "EXPRESSION", "type": "IN", "value": "{{ outputs.n }}", "values": ["1", "2"]}, True),
]


@pytest.mark.parametrize(("written", "expected"), FILTERS, ids=[f"{one['field']} {one['type']}" for one, _ in FILTERS])
def test_a_filter_compares_as_its_type_says(written: dict[str, Any], expected: bool) -> None:
    watch = Followed(after(preconditions={"id": "x", "where": [{"id": "w", "filters": [written]}]}))
    assert watch.flow("a", outputs={"n": 1}) is expected


@pytest.mark.parametrize(("operand", "expected"), [("AND", False), ("OR", True)])
def test_the_filters_of_a_block_are_joined_by_its_operand(operand: str, expected: bool) -> None:
    filters = [
        {"field": "FLOW_ID", "type": "EQUAL_TO", "value": "a"},
        {"field": "STATE", "type": "EQUAL_TO", "value": "FAILED"},
    ]
    watch = Followed(after(preconditions={"id": "x", "where": [{"id": "w", "operand": operand, "filters": filters}]}))
    assert watch.flow("a") is expected


def test_flows_and_where_are_requirements_side_by_side() -> None:
    block = {"id": "prod", "filters": [{"field": "EXPRESSION", "type": "IS_TRUE", "value": "{{ labels.env == 'prod' }}"}]}
    watch = Followed(after(preconditions={"id": "x", "flows": [A], "where": [block]}))
    assert not watch.flow("a")
    assert watch.flow("b", labels={"env": "prod"})
    assert watch.warnings[0].startswith("the requirement where prod cannot be evaluated and counts as not met: ")


def test_two_triggers_with_the_same_preconditions_id_do_not_share_a_window() -> None:
    one = Followed(after(id="one", preconditions=both()))
    one.flow("a")
    other = Followed(after(id="two", preconditions=both()))
    other.windows = one.windows
    assert not other.flow("b")


# Windows ----------------------------------------------------------------------------------------------------------------


def in_window(window: dict[str, Any], first: str, second: str, zone: str = "UTC") -> bool:
    """Whether a at the first and b at the second instant meet."""
    watch = Followed(after(server=Server(zone=ZoneInfo(zone)), preconditions=both(timeWindow=window)))
    assert not watch.flow("a", now=at(first))
    return watch.flow("b", now=at(second))


@pytest.mark.parametrize(
    ("window", "first", "second", "expected"),
    [
        # No window given: a calendar day.
        ({}, "2024-01-31T00:10Z", "2024-01-31T23:50Z", True),
        ({}, "2024-01-31T23:50Z", "2024-02-01T00:10Z", False),
        ({"type": "DURATION_WINDOW", "window": "PT6H"}, "2024-01-31T06:00Z", "2024-01-31T11:59Z", True),
        ({"type": "DURATION_WINDOW", "window": "PT6H"}, "2024-01-31T11:59Z", "2024-01-31T12:00Z", False),
        ({"type": "DURATION_WINDOW", "window": "PT6H", "windowAdvance": "PT1H"}, "2024-01-31T07:00Z", "2024-01-31T12:59Z", True),
        ({"type": "DURATION_WINDOW", "window": "PT6H", "windowAdvance": "PT1H"}, "2024-01-31T06:59Z", "2024-01-31T07:00Z", False),
        ({"type": "DURATION_WINDOW", "window": "P1D", "windowAdvance": "PT4H"}, "2024-01-31T23:00Z", "2024-02-01T03:59Z", True),
        ({"type": "DURATION_WINDOW", "window": "P1D", "windowAdvance": "-PT2H"}, "2024-01-31T22:00Z", "2024-02-01T21:00Z", True),
        ({"type": "DURATION_WINDOW", "window": "P7D"}, "2024-01-29T10:00Z", "2024-02-04T10:00Z", True),
        ({"type": "SLIDING_WINDOW", "window": "PT1H"}, "2024-01-31T23:30Z", "2024-02-01T00:29Z", True),
        ({"type": "SLIDING_WINDOW", "window": "PT1H"}, "2024-01-31T23:30Z", "2024-02-01T00:31Z", False),
        ({"type": "DAILY_TIME_DEADLINE", "deadline": "09:00:00Z"}, "2024-01-31T00:00Z", "2024-01-31T08:59Z", True),
        ({"type": "DAILY_TIME_DEADLINE", "deadline": "09:00:00Z"}, "2024-01-31T08:00Z", "2024-01-31T09:01Z", False),
        ({"type": "DAILY_TIME_DEADLINE", "deadline": "09:00:00Z"}, "2024-01-31T10:00Z", "2024-01-31T11:00Z", False),
        ({"type": "DAILY_TIME_DEADLINE", "deadline": "09:00:00+02:00"}, "2024-01-30T22:00Z", "2024-01-31T06:59Z", True),
        ({"type": "DAILY_TIME_DEADLINE", "deadline": "09:00:00+02:00"}, "2024-01-31T06:59Z", "2024-01-31T07:01Z", False),
        ({"type": "DAILY_TIME_WINDOW", "startTime": "06:00", "endTime": "09:00"}, "2024-01-31T06:00Z", "2024-01-31T09:00Z", True),
        (
            {"type": "DAILY_TIME_WINDOW", "startTime": "06:00", "endTime": "09:00"},
            "2024-01-31T05:59Z",
            "2024-01-31T08:00Z",
            False,
        ),
        ({"type": "DAILY_TIME_WINDOW", "startTime": "22:00", "endTime": "02:00"}, "2024-01-31T23:00Z", "2024-02-01T01:00Z", True),
    ],
)
def test_requirements_meet_inside_a_window_only(window: dict[str, Any], first: str, second: str, expected: bool) -> None:
    assert in_window(window, first, second) is expected


def test_windows_are_those_of_the_servers_zone_unless_the_deadline_has_an_offset() -> None:
    """Trap 16."""
    day = {"type": "DURATION_WINDOW"}
    assert in_window(day, "2024-01-30T23:30Z", "2024-01-31T22:30Z", "Europe/Paris")
    assert not in_window(day, "2024-01-30T22:30Z", "2024-01-30T23:30Z", "Europe/Paris")
    local = {"type": "DAILY_TIME_DEADLINE", "deadline": "09:00:00"}
    assert in_window(local, "2024-01-30T23:30Z", "2024-01-31T07:59Z", "Europe/Paris")
    assert not in_window(local, "2024-01-30T23:30Z", "2024-01-31T08:01Z", "Europe/Paris")


def test_an_expired_window_leaves_no_partial_results() -> None:
    watch = Followed(after(preconditions=both()))
    watch.flow("a", now=NOW)
    assert not watch.flow("b", now=NOW + timedelta(days=1))
    assert watch.flow("a", now=NOW + timedelta(days=1))


def test_what_is_waited_for_is_said() -> None:
    rule = after(preconditions=both())
    found = rule.follow(upstream("a"), {}, NOW)
    assert found.reason is not None
    assert found.reason.detail == {"for": ["company.team.b"], "until": "2024-02-01T00:00:00Z"}


# MultipleCondition ------------------------------------------------------------------------------------------------------


def multiple(**more: Any) -> dict[str, Any]:
    named = {"first": condition("ExecutionFlow", **A), "second": condition("ExecutionFlow", **B)}
    return condition("MultipleCondition", id="both", conditions=named, **more)


def test_multiple_condition_fires_once_after_both() -> None:
    watch = Followed(after(conditions=[condition("ExecutionStatus", **{"in": ["SUCCESS"]}), multiple()]))
    assert [watch.flow(one) for one in ("a", "a", "b", "b")] == [False, False, True, False]


def test_multiple_condition_with_a_failure_does_not_fire() -> None:
    watch = Followed(after(conditions=[condition("ExecutionStatus", **{"in": ["SUCCESS"]}), multiple()]))
    assert not watch.flow("a") and not watch.flow("b", "FAILED")


def test_multiple_condition_knows_its_older_window() -> None:
    watch = Followed(after(conditions=[multiple(window="PT1H", windowAdvance="PT30M")]))
    assert not watch.flow("a", now=at("2024-01-31T08:35Z"))
    assert watch.flow("b", now=at("2024-01-31T09:25Z"))
    assert not watch.flow("a", now=at("2024-01-31T09:25Z"))
    assert not watch.flow("b", now=at("2024-01-31T09:35Z"))


def test_multiple_condition_and_preconditions_are_both_needed() -> None:
    watch = Followed(after(conditions=[multiple()], preconditions={"id": "third", "flows": [C]}))
    assert [watch.flow(one) for one in ("a", "b", "c")] == [False, False, False]
    assert [watch.flow(one) for one in ("a",)] == [False]
    assert set(watch.windows) == {"report/it/both", "report/it/third"}


# The 2.0 form -----------------------------------------------------------------------------------------------------------


def test_entries_take_success_and_warning_by_default() -> None:
    watch = Followed(after(dependsOn=[A]))
    assert watch.flow("a") and watch.flow("a", "WARNING")
    assert not watch.flow("a", "FAILED") and not watch.flow("a", "PAUSED")
    assert Followed(after(dependsOn=[{**A, "states": ["FAILED"]}])).flow("a", "FAILED")


def test_when_of_an_entry_sees_the_execution() -> None:
    entry = {
        **A,
        "when": "{{ namespace ~ flowId ~ state == 'company.teamaSUCCESS' and outputs.n > 0 and not hasRetryAttempt }}",
    }
    watch = Followed(after(dependsOn=[entry]))
    assert watch.flow("a", outputs={"n": 1})
    assert not watch.flow("a", outputs={"n": 0})
    assert not watch.flow("a", outputs={"n": 1}, attempts=[["FAILED", "SUCCESS"]])
    assert not watch.flow("a") and "counts as not met" in watch.warnings[0]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, [False, False, True]),
        ({"mode": "ALL"}, [False, False, True]),
        ({"mode": "ANY"}, [True, True, True]),
        ({"mode": "AT_LEAST", "minSatisfied": 2}, [False, True, False]),
        ({"mode": "AT_LEAST", "minSatisfied": 1}, [True, True, True]),
    ],
)
def test_mode_says_how_many_entries_are_needed(properties: dict[str, Any], expected: list[bool]) -> None:
    watch = Followed(after(dependsOn=[A, B, C], **properties))
    assert [watch.flow(one) for one in ("a", "b", "c")] == expected


def test_entries_are_known_by_their_flow_whatever_their_order() -> None:
    watch = Followed(after(dependsOn=[A, B]))
    watch.flow("a")
    turned = Followed(after(dependsOn=[B, A]))
    turned.windows = watch.windows
    assert turned.flow("b")
    assert list(watch.windows) == ["report/it"]


def test_outputs_are_handed_on_by_flow() -> None:
    watch = Followed(after(dependsOn=[A, B], inputs={"n": "{{ trigger.outputs.a.n }}", "m": "{{ trigger.outputs.b.m }}"}))
    watch.see(upstream("a", outputs={"n": 1}))
    watch.see(upstream("a", outputs={"n": 2}))
    firing = watch.see(upstream("b", outputs={"m": 3}))
    assert firing is not None and firing.inputs == {"n": "2", "m": "3"}
    assert firing.variables["outputs"] == {"a": {"n": 2}, "b": {"m": 3}}


def test_outputs_of_a_single_entry_are_there_without_its_name_too() -> None:
    firing = Followed(after(dependsOn=[A])).see(upstream("a", outputs={"n": 1}))
    assert firing is not None and firing.variables["outputs"] == {"n": 1, "a": {"n": 1}}


@pytest.mark.parametrize(
    ("window", "first", "second", "expected"),
    [
        ({"deadline": "09:00:00+01:00"}, "2024-01-30T23:00Z", "2024-01-31T07:59Z", True),
        ({"deadline": "09:00:00+01:00"}, "2024-01-31T07:00Z", "2024-01-31T08:01Z", False),
        ({"from": "06:00:00Z", "to": "09:00:00Z"}, "2024-01-31T06:00Z", "2024-01-31T08:00Z", True),
        ({"from": "06:00:00Z", "to": "09:00:00Z"}, "2024-01-31T05:00Z", "2024-01-31T08:00Z", False),
        ({"every": "PT6H"}, "2024-01-31T06:00Z", "2024-01-31T11:00Z", True),
        ({"every": "PT6H"}, "2024-01-31T11:00Z", "2024-01-31T13:00Z", False),
        ({"every": "PT6H", "offset": "PT2H"}, "2024-01-31T11:00Z", "2024-01-31T13:00Z", True),
        ({"lookback": "PT2H"}, "2024-01-31T23:00Z", "2024-02-01T00:59Z", True),
        ({"lookback": "PT2H"}, "2024-01-31T23:00Z", "2024-02-01T01:01Z", False),
    ],
)
def test_the_four_forms_of_a_window(window: dict[str, Any], first: str, second: str, expected: bool) -> None:
    watch = Followed(after(dependsOn=[A, B], window=window))
    assert not watch.flow("a", now=at(first))
    assert watch.flow("b", now=at(second)) is expected


def test_fire_once_fires_at_most_once_in_a_window() -> None:
    watch = Followed(after(dependsOn=[A], window={"every": "P1D", "fireOnce": True}))
    assert [watch.flow("a") for _ in range(3)] == [True, False, False]
    assert watch.flow("a", now=NOW + timedelta(days=1))
    again = Followed(after(dependsOn=[A], window={"every": "P1D"}))
    assert [again.flow("a") for _ in range(2)] == [True, True]


def test_fire_once_with_a_lookback_waits_until_the_last_firing_is_out_of_sight() -> None:
    watch = Followed(after(dependsOn=[A], window={"lookback": "PT1H", "fireOnce": True}))
    assert watch.flow("a")
    assert not watch.flow("a", now=NOW + timedelta(minutes=59))
    assert watch.flow("a", now=NOW + timedelta(minutes=61))


# Misses -----------------------------------------------------------------------------------------------------------------

DEADLINE = {"deadline": "09:00:00Z"}
SINCE = at("2024-01-01T00:00:00Z")


def missing(**more: Any) -> Followed:
    return Followed(after(dependsOn=[A, B], window=DEADLINE, onMiss={"behavior": "FAIL", "labels": {"sla": "miss"}}, **more))


def test_a_deadline_that_passes_unsatisfied_makes_a_failed_execution() -> None:
    watch = missing(labels={"own": "x"})
    watch.flow("a")
    assert watch.rule.next_deadline(NOW) == at("2024-01-31T09:00:00Z")
    firing = watch.missed("2024-01-31T09:00:00Z", SINCE)
    assert firing is not None and firing.failure is not None
    assert firing.failure.code == "trigger.window_missed"
    assert "missing: company.team.b" in firing.failure.message
    assert firing.labels == {"team": "data", "own": "x", "sla": "miss"}
    assert firing.key == "company.team/report/it@missed:2024-01-31T09:00:00Z"


def test_a_window_that_fired_is_no_miss_even_when_asked_late() -> None:
    watch = missing()
    watch.flow("a")
    assert watch.flow("b")
    assert watch.missed("2024-01-31T09:00:00Z", SINCE) is None
    watch.flow("a", now=at("2024-02-01T03:00:00Z"))
    assert watch.missed("2024-01-31T09:00:00Z", SINCE) is None
    assert watch.missed("2024-02-01T09:00:00Z", SINCE) is not None


def test_a_window_under_way_when_the_trigger_began_is_not_judged() -> None:
    assert missing().missed("2024-01-31T09:00:00Z", since=at("2024-01-31T07:00:00Z")) is None


def test_triggers_without_on_miss_have_no_deadline() -> None:
    watch = Followed(after(dependsOn=[A], window=DEADLINE))
    assert watch.rule.next_deadline(NOW) is None and watch.missed("2024-01-31T09:00:00Z", SINCE) is None


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"deadline": "09:00:00Z"}, ["2024-01-31T09:00:00Z", "2024-02-01T09:00:00Z"]),
        ({"from": "22:00:00Z", "to": "02:00:00Z"}, ["2024-02-01T02:00:00Z", "2024-02-02T02:00:00Z"]),
        ({"every": "PT6H"}, ["2024-01-31T12:00:00Z", "2024-01-31T18:00:00Z", "2024-02-01T00:00:00Z"]),
    ],
)
def test_deadlines_follow_one_another(window: dict[str, Any], expected: list[str]) -> None:
    rule = after(dependsOn=[A], window=window, onMiss={})
    found, moment = [], NOW
    for _ in expected:
        deadline = rule.next_deadline(moment)
        assert deadline is not None
        found.append(deadline)
        moment = deadline
    assert found == [at(one) for one in expected]


def test_a_miss_knows_the_window_that_ended() -> None:
    watch = Followed(after(dependsOn=[A], window={"every": "PT6H"}, onMiss={}))
    watch.flow("a", now=at("2024-01-31T07:00:00Z"))
    assert watch.missed("2024-01-31T12:00:00Z", SINCE) is None
    assert watch.missed("2024-01-31T18:00:00Z", SINCE) is not None
