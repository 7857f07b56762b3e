"""The table of conditions, row by row: when each holds, which errors it has, and the older names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from flows.errors import HeadraceError
from flows.schedule.conditions import CONDITIONS, ask, read_condition, read_conditions
from flows.schedule.context import ConditionContext
from tests.unit.schedule.written import CORE, FLOW, at, catalogue, condition, dated, holds, upstream


def of(**execution: Any) -> ConditionContext:
    """The context of an execution upstream."""
    given = upstream(**execution)
    return ConditionContext(FLOW, given.roots(), given)


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        ("2024-01-31T09:59:59Z", None, True),
        ("2024-01-31T10:00:00Z", None, False),  # trap 22: bounds are exclusive
        (None, "2024-01-31T10:00:01Z", True),
        (None, "2024-01-31T10:00:00Z", False),
        ("2024-01-31T10:30:00+01:00", "2024-01-31T11:30:00+01:00", True),
        ("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", False),
        ("{{ '2024-01-30T00:00:00Z' }}", None, True),
    ],
)
def test_date_time_between_is_strict_on_both_sides(after: str | None, before: str | None, expected: bool) -> None:
    bounds = {name: value for name, value in (("after", after), ("before", before)) if value is not None}
    assert holds("DateTimeBetween", dated("2024-01-31T10:00:00Z"), **bounds) is expected


@pytest.mark.parametrize(
    ("date", "after", "before", "expected"),
    [
        ("2024-01-31T10:00:00Z", "09:00:00Z", "11:00:00Z", True),
        ("2024-01-31T10:00:00Z", "10:00:00Z", "11:00:00Z", False),  # trap 22
        ("2024-01-31T11:00:00Z", "10:00:00Z", "11:00:00Z", False),
        ("2024-01-31T10:00:00Z", "10:30:00+01:00", None, True),
        ("2024-01-31T10:00:00+05:00", "09:00:00", "11:00:00", True),
        ("2024-01-31T23:30:00Z", "22:00:00Z", "06:00:00Z", True),
        ("2024-01-31T05:00:00Z", "22:00:00Z", "06:00:00Z", True),
        ("2024-01-31T12:00:00Z", "22:00:00Z", "06:00:00Z", False),
    ],
)
def test_time_between_is_strict_and_spans_midnight(date: str, after: str, before: str | None, expected: bool) -> None:
    bounds = {"after": after} if before is None else {"after": after, "before": before}
    assert holds("TimeBetween", dated(date), **bounds) is expected


def test_day_week_is_that_of_the_dates_own_zone() -> None:
    assert holds("DayWeek", dated("2024-01-29T00:00:00+01:00"), dayOfWeek="MONDAY")
    assert not holds("DayWeek", dated("2024-01-30T00:00:00+01:00"), dayOfWeek="MONDAY")


@pytest.mark.parametrize(
    ("date", "position", "expected"),
    [
        ("2024-01-01", "FIRST", True),
        ("2024-01-08", "SECOND", True),
        ("2024-01-15", "THIRD", True),
        ("2024-01-22", "FOURTH", True),
        ("2024-01-22", "LAST", False),
        ("2024-01-29", "LAST", True),
        ("2024-02-26", "LAST", True),
        ("2024-02-26", "FOURTH", True),
        ("2024-01-02", "FIRST", False),
    ],
)
def test_day_week_in_month_counts_that_weekday(date: str, position: str, expected: bool) -> None:
    assert holds("DayWeekInMonth", dated(date), dayOfWeek="MONDAY", dayInMonth=position) is expected


def test_weekend_is_saturday_and_sunday() -> None:
    days = ["2024-02-02", "2024-02-03", "2024-02-04", "2024-02-05"]
    assert [holds("Weekend", dated(day)) for day in days] == [False, True, True, False]


@pytest.mark.parametrize(
    ("date", "properties", "expected"),
    [
        ("2024-07-14T00:00:00+02:00", {"country": "FR"}, True),
        ("2024-07-15T00:00:00+02:00", {"country": "FR"}, False),
        ("2024-11-01", {"country": "DE", "subDivision": "BY"}, True),
        ("2024-11-01", {"country": "DE", "subDivision": "DE-BE"}, False),
        ("2024-07-04", {"country": "{{ 'us' }}"}, True),
    ],
)
def test_public_holiday_asks_the_calendar_of_the_country(date: str, properties: dict[str, str], expected: bool) -> None:
    assert holds("PublicHoliday", dated(date), **properties) is expected


def test_public_holiday_takes_the_servers_country_and_refuses_unknown_ones() -> None:
    assert holds("PublicHoliday", replace(dated("2024-07-14"), country="FR"))
    with pytest.raises(HeadraceError, match="knows no holidays of `XX`"):
        holds("PublicHoliday", dated("2024-07-14"), country="XX")


def test_public_holiday_without_any_country_cannot_be_told() -> None:
    with pytest.raises(HeadraceError, match="needs a country"):
        holds("PublicHoliday", dated("2024-07-14"))


def test_execution_flow_needs_both_to_be_equal() -> None:
    assert holds("ExecutionFlow", of(), namespace="company.team", flowId="extract")
    assert not holds("ExecutionFlow", of(), namespace="company.team", flowId="other")
    assert not holds("ExecutionFlow", of(), namespace="company", flowId="extract")


@pytest.mark.parametrize("labels", [{"env": "prod", "n": 1}, [{"key": "env", "value": "prod"}, {"key": "n", "value": "1"}]])
def test_execution_labels_must_all_be_there(labels: Any) -> None:
    assert holds("ExecutionLabels", of(labels={"env": "prod", "n": "1", "more": "x"}), labels=labels)
    assert not holds("ExecutionLabels", of(labels={"env": "prod"}), labels=labels)
    assert not holds("ExecutionLabels", of(labels={"env": "test", "n": "1"}), labels=labels)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"namespace": "company.team"}, True),
        ({"namespace": "company"}, False),
        ({"namespace": "company", "comparison": "PREFIX"}, True),
        ({"namespace": "team", "comparison": "SUFFIX"}, True),
        ({"namespace": "company", "comparison": "EQUALS"}, False),
        ({"namespace": "company", "prefix": True}, True),
        ({"namespace": "company", "prefix": True, "comparison": "EQUALS"}, False),
    ],
)
def test_execution_namespace_compares_as_asked(properties: dict[str, Any], expected: bool) -> None:
    assert holds("ExecutionNamespace", of(), **properties) is expected


def test_execution_outputs_asks_the_outputs_of_the_flow() -> None:
    with_rows = of(outputs={"rows": 3})
    assert holds("ExecutionOutputs", with_rows, expression="{{ trigger.outputs.rows > 2 }}")
    assert not holds("ExecutionOutputs", with_rows, expression="{{ trigger.outputs.rows > 3 }}")
    assert not holds("ExecutionOutputs", with_rows, expression="{{ trigger.outputs.rows }}")
    assert not holds("ExecutionOutputs", of(), expression="{{ trigger.outputs.rows > 2 }}")


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"in": ["SUCCESS", "WARNING"]}, True),
        ({"in": ["FAILED"]}, False),
        ({"notIn": ["FAILED"]}, True),
        ({"notIn": ["SUCCESS"]}, False),
        ({"in": ["SUCCESS"], "notIn": ["SUCCESS"]}, False),
        ({}, True),
    ],
)
def test_execution_status_is_in_and_not_in(properties: dict[str, Any], expected: bool) -> None:
    assert holds("ExecutionStatus", of(), **properties) is expected


@pytest.mark.parametrize(
    ("attempts", "properties", "expected"),
    [
        ([["SUCCESS"]], {}, False),
        ([["SUCCESS"], ["FAILED", "SUCCESS"]], {}, True),
        ([["FAILED", "SUCCESS"]], {"in": ["FAILED"]}, True),
        ([["FAILED", "SUCCESS"]], {"in": ["KILLED"]}, False),
        ([["FAILED"], ["SUCCESS"]], {"in": ["FAILED"]}, False),
        ([["FAILED", "FAILED"]], {"notIn": ["FAILED"]}, False),
    ],
)
def test_has_retry_attempt_needs_a_second_attempt(attempts: Any, properties: dict[str, Any], expected: bool) -> None:
    assert holds("HasRetryAttempt", of(attempts=attempts), **properties) is expected


def test_flow_conditions_look_at_the_triggers_own_flow() -> None:
    here = ConditionContext(FLOW)
    assert holds("FlowCondition", here, namespace="company.team", flowId="report")
    assert not holds("FlowCondition", here, namespace="company.team", flowId="extract")
    assert holds("FlowNamespaceCondition", here, namespace="company.team")
    assert not holds("FlowNamespaceCondition", here, namespace="company")
    assert holds("FlowNamespaceCondition", here, namespace="company", prefix=True)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{{ true }}", True),
        ("{{ false }}", False),
        ("{{ '' }}", False),
        ("   ", False),
        ("false", False),
        ("{{ 0 }}", True),  # trap 21
        ("False", True),
        ("anything", True),
    ],
)
def test_expression_is_true_unless_blank_or_false(expression: str, expected: bool) -> None:
    """Trap 21: text `0` is true, unlike in `runIf`."""
    assert holds("Expression", ConditionContext(FLOW), expression=expression) is expected


def test_not_holds_when_none_of_its_conditions_does() -> None:
    friday = dated("2024-02-02")
    weekend, weekday = condition("Weekend"), condition("DayWeek", dayOfWeek="FRIDAY")
    assert holds("Not", friday, conditions=[weekend])
    assert not holds("Not", friday, conditions=[weekend, weekday])


def test_or_holds_when_one_of_its_conditions_does() -> None:
    friday = dated("2024-02-02")
    weekend, weekday = condition("Weekend"), condition("DayWeek", dayOfWeek="FRIDAY")
    assert holds("Or", friday, conditions=[weekend, weekday])
    assert not holds("Or", friday, conditions=[weekend])


def test_multiple_condition_works_in_flow_triggers_only() -> None:
    named = {"a": condition("ExecutionStatus", **{"in": ["SUCCESS"]})}
    with pytest.raises(HeadraceError, match="works in the `conditions` of Flow triggers only"):
        holds("MultipleCondition", of(), id="x", conditions=named)


# Lists, errors, names ---------------------------------------------------------------------------------------------------


def test_a_list_is_an_and() -> None:
    friday = dated("2024-02-02")
    both = read_conditions([condition("DayWeek", dayOfWeek="FRIDAY"), condition("Not", conditions=[condition("Weekend")])])
    assert ask(both, friday).holds
    assert not ask(both, dated("2024-02-03")).holds
    assert ask([], friday).holds


def test_an_error_is_told_apart_from_false() -> None:
    """Trap 7: what follows is the trigger's affair, so the verdict carries it."""
    broken = read_conditions([condition("Not", conditions=[condition("Expression", expression="{{ nothing.here }}")])])
    verdict = ask(broken, ConditionContext(FLOW))
    assert not verdict.holds and verdict.error is not None
    assert "the condition Not cannot be evaluated: Unable to find `nothing`" in verdict.error.message


def test_conditions_on_an_execution_say_that_a_schedule_has_none() -> None:
    verdict = ask(read_conditions([condition("ExecutionStatus", **{"in": ["SUCCESS"]})]), dated("2024-02-02"))
    assert verdict.error is not None and "works in Flow triggers only" in verdict.error.message


@pytest.mark.parametrize("text", ["2024-02-02T00:00:00Z", "2024-02-02", "2024-02-02T01:00+01:00[Europe/Paris]", "2024-02-02T00"])
def test_dates_are_read_in_every_iso_spelling(text: str) -> None:
    assert holds("DayWeek", dated(text), dayOfWeek="FRIDAY")


def test_a_date_that_is_none_is_an_error() -> None:
    with pytest.raises(HeadraceError, match="expected a date such as"):
        holds("Weekend", dated("tomorrow"))


@pytest.mark.parametrize("kind", CONDITIONS, ids=lambda kind: kind.types[0].rsplit(".", 1)[-1])
def test_every_type_answers_to_its_older_names_and_shows_an_example(kind: Any) -> None:
    example = yaml.load(kind.examples[0], yaml.BaseLoader)
    assert isinstance(read_condition(example, catalogue().conditions), kind)
    short = kind.types[0].rsplit(".", 1)[-1]
    suffixed = short if short.endswith("Condition") else short + "Condition"
    for old in (f"{CORE}condition.{suffixed}", f"io.kestra.core.models.conditions.types.{suffixed}"):
        assert isinstance(read_condition({**example, "type": old}, catalogue().conditions), kind)
    assert kind.title


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (condition("DateTimeBetween"), "at least one of `after` and `before` is required"),
        (condition("DateTimeBetween", after="soon"), "`after`: expected a date such as"),
        (condition("TimeBetween", after="late"), "`after`: expected a time such as"),
        (condition("Weekend", date="2024-01-01"), "`date`: expected an expression that gives a date"),
        (condition("DayWeek"), "`dayOfWeek`: Field required"),
        (condition("ExecutionStatus", **{"in": ["DONE"]}), "expected a state, one of CREATED"),
        (condition("Not", conditions=[]), "`conditions`: List should have at least 1 item"),
        (condition("Or", conditions=[{"type": "nope"}]), "`conditions.0`: Invalid type: nope"),
        (condition("Expression", expresion="x"), "`expresion`: Extra inputs are not permitted"),
        ({"type": "company.conditions.Custom"}, "Invalid type: company.conditions.Custom"),
        ({"no": "type"}, "a condition needs `type`"),
        ("Weekend", "expected a condition: a map"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_reason(written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_condition(written)


def test_conditions_nest_to_a_limit() -> None:
    nested: dict[str, Any] = condition("Weekend")
    for _ in range(50):
        nested = condition("Not", conditions=[nested])
    with pytest.raises(ValueError, match="nest deeper than"):
        read_condition(nested)


def test_times_without_a_zone_are_the_servers() -> None:
    paris = replace(dated("2024-01-31T00:30:00"), zone=ZoneInfo("Europe/Paris"))
    assert paris.date("{{ trigger.date }}") == at("2024-01-30T23:30:00Z")
