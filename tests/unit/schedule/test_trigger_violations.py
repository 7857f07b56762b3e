"""What a flow may not say about its triggers: each rule has a sentence, and its place in the flow."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from flows.schedule.triggers import TRIGGERS
from tests.unit.schedule.written import AFTER, ON_DATES, SCHEDULE, WEBHOOK, condition, problems

A = {"namespace": "company.team", "flowId": "a"}


def pre(**more: Any) -> dict[str, Any]:
    return {"type": AFTER, "preconditions": {"id": "p", "flows": [A], **more}}


def window(**fields: Any) -> dict[str, Any]:
    return pre(timeWindow=fields)


def block(**one: Any) -> dict[str, Any]:
    return {"type": AFTER, "preconditions": {"id": "p", "where": [{"id": "w", "filters": [one]}]}}


def depends(**more: Any) -> dict[str, Any]:
    return {"type": AFTER, "dependsOn": [A], **more}


HMAC = {"type": "generic", "secret": "s", "header": "X"}
MULTIPLE = condition("MultipleCondition", id="m", conditions={"a": condition("ExecutionFlow", **A)})

WINDOW, WHERE = "preconditions.timeWindow", "preconditions.where"

VIOLATIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"type": SCHEDULE}, "cron", "The property `cron` is required"),
    ({"type": SCHEDULE, "cron": "0 25 * * *"}, "cron", "invalid cron expression '0 25 * * *': hour: 25 is not between 0 and 23"),
    ({"type": SCHEDULE, "cron": "0 0 0 * * *"}, "cron", "six fields need `withSeconds: true`"),
    ({"type": SCHEDULE, "cron": "0 0 * * *", "withSeconds": True}, "cron", "expected 6 fields"),
    ({"type": SCHEDULE, "cron": "* * * * *", "timezone": "Europe/Pari"}, "timezone", "is not a valid time-zone ID"),
    ({"type": SCHEDULE, "cron": "* * * * *", "lateMaximumDelay": "soon"}, "lateMaximumDelay", "expected a duration"),
    ({"type": SCHEDULE, "cron": "* * * * *", "recoverMissedSchedules": "SOME"}, "recoverMissedSchedules", "must be one of"),
    (
        {"type": SCHEDULE, "cron": "* * * * *", "labels": {"system.x": "1"}},
        "labels",
        "System labels can only be set",
    ),
    ({"type": SCHEDULE, "cron": "* * * * *", "stopAfter": ["DONE"]}, "stopAfter", "DONE"),
    ({"type": SCHEDULE, "cron": "* * * * *", "crom": "x"}, "crom", "Unknown property `crom`"),
    ({"type": ON_DATES}, "dates", "The property `dates` is required"),
    ({"type": ON_DATES, "dates": ["tomorrow"]}, "dates", "expected a date such as"),
    ({"type": ON_DATES, "dates": "2024-01-01"}, "dates", "expected a list of dates, or an expression"),
    ({"type": WEBHOOK}, "key", "The property `key` is required"),
    ({"type": WEBHOOK, "key": "k" * 257}, "key", "at most 256 characters"),
    ({"type": WEBHOOK, "key": "k", "conditions": [MULTIPLE]}, "conditions", "MultipleCondition are not supported"),
    ({"type": AFTER, "conditions": [condition("Not", conditions=[MULTIPLE])]}, "conditions", "never inside another one"),
    ({"type": WEBHOOK, "key": "k", "verification": {"type": "github"}}, "verification", "The property `secret` is required"),
    ({"type": WEBHOOK, "key": "k", "verification": {"type": "bitbucket", "secret": "s"}}, "verification", "must be one of"),
    ({"type": WEBHOOK, "key": "k", "verification": {"type": "generic", "secret": "s"}}, "verification", "`header` is required"),
    (
        {"type": WEBHOOK, "key": "k", "verification": {"type": "github", "secret": "s", "prefix": "x"}},
        "verification",
        "`prefix` belongs to the type `generic`",
    ),
    ({"type": WEBHOOK, "key": "k", "verification": {**HMAC, "tolerance": "PT0S"}}, "verification", "longer than zero"),
    (window(type="DAILY_TIME_DEADLINE"), WINDOW, "type `DAILY_TIME_DEADLINE` must have a deadline."),
    (
        window(type="DAILY_TIME_DEADLINE", deadline="09:00Z", window="P1D"),
        WINDOW,
        "type `DAILY_TIME_DEADLINE` cannot have a window.",
    ),
    (
        window(type="DAILY_TIME_DEADLINE", deadline="09:00Z", windowAdvance="PT1H"),
        WINDOW,
        "type `DAILY_TIME_DEADLINE` cannot have a window advance.",
    ),
    (
        window(type="DAILY_TIME_DEADLINE", deadline="09:00Z", startTime="08:00Z"),
        WINDOW,
        "type `DAILY_TIME_DEADLINE` cannot have a start time.",
    ),
    (
        window(type="DAILY_TIME_WINDOW", endTime="09:00"),
        WINDOW,
        "type `DAILY_TIME_WINDOW` must have a start time.",
    ),
    (
        window(type="DAILY_TIME_WINDOW", startTime="09:00"),
        WINDOW,
        "type `DAILY_TIME_WINDOW` must have an end time.",
    ),
    (
        window(type="DAILY_TIME_WINDOW", startTime="08:00", endTime="09:00", deadline="10:00"),
        WINDOW,
        "type `DAILY_TIME_WINDOW` cannot have a deadline.",
    ),
    (
        window(type="DURATION_WINDOW", deadline="09:00Z"),
        WINDOW,
        "type `DURATION_WINDOW` cannot have a deadline.",
    ),
    (
        window(type="SLIDING_WINDOW", windowAdvance="PT1H"),
        WINDOW,
        "type `SLIDING_WINDOW` cannot have a window advance.",
    ),
    (
        window(type="SLIDING_WINDOW", endTime="09:00"),
        WINDOW,
        "type `SLIDING_WINDOW` cannot have an end time.",
    ),
    (window(window="PT0S"), WINDOW, "expected a duration longer than zero"),
    (window(type="DAILY_TIME_DEADLINE", deadline="9 am"), WINDOW, "expected a time such as 09:00:00+01:00"),
    ({"type": AFTER, "preconditions": {"id": "p"}}, "preconditions", "at least one entry of `flows` or `where` is required"),
    (block(field="FLOW_ID", type="EQUAL_TO"), WHERE, "`value` cannot be null for type EQUAL_TO"),
    (block(field="FLOW_ID", type="REGEX"), WHERE, "`value` cannot be null for type REGEX"),
    (block(field="FLOW_ID", type="IN", value="a"), WHERE, "`values` cannot be null for type IN"),
    (block(field="FLOW_ID", type="NOT_IN"), WHERE, "`values` cannot be null for type NOT_IN"),
    (block(field="FLOW_ID", type="EQUAL_TO", value="a", values=["a"]), WHERE, "`values` must be null for type EQUAL_TO"),
    (block(field="STATE", type="IS_NULL", value="a"), WHERE, "`value` must be null for type IS_NULL"),
    (block(field="EXPRESSION", type="IS_TRUE"), WHERE, "`value` cannot be null for the field EXPRESSION"),
    (block(field="EXPRESSION", type="EQUAL_TO", value="{{ 1 }}"), WHERE, "has no other value to compare with"),
    (block(field="FLOW_ID", type="REGEX", value="("), WHERE, "`value` is no regular expression"),
    (depends(mode="AT_LEAST"), "", "`mode: AT_LEAST` needs `minSatisfied`"),
    (depends(mode="AT_LEAST", minSatisfied=0), "", "`minSatisfied` must be between 1 and 1 (entries), found 0"),
    (depends(mode="AT_LEAST", minSatisfied=2), "", "`minSatisfied` must be between 1 and 1 (entries), found 2"),
    (depends(mode="ANY", minSatisfied=1), "", "`minSatisfied` needs `mode: AT_LEAST`"),
    (depends(window={}), "window", "exactly one of `deadline`, `from` with `to`, `every` and `lookback` is needed, found none"),
    (depends(window={"every": "P1D", "lookback": "P1D"}), "window", "found `every` and `lookback`"),
    (depends(window={"deadline": "09:00Z", "from": "08:00Z", "to": "09:00Z"}), "window", "found `deadline` and `from`"),
    (depends(window={"from": "08:00Z"}), "window", "`from` and `to` belong together"),
    (depends(window={"lookback": "P1D", "offset": "PT1H"}), "window", "`offset` belongs to `every`"),
    (depends(onMiss={}), "", "`onMiss` needs a `window` that ends"),
    (depends(onMiss={}, window={"lookback": "P1D"}), "", "`onMiss` needs a `window` that ends"),
    (depends(onMiss={"behavior": "WARN"}, window={"every": "P1D"}), "onMiss", "must be one of"),
    ({"type": AFTER, "dependsOn": []}, "dependsOn", "cannot be empty"),
    ({"type": AFTER, "dependsOn": [A, A]}, "dependsOn", "stands in `dependsOn` twice"),
    ({"type": AFTER, "dependsOn": [{"namespace": "x"}]}, "dependsOn", "The property `flowId` is required"),
    ({"type": AFTER, "mode": "ALL"}, "", "`mode` needs `dependsOn`"),
    ({**pre(), "dependsOn": [A]}, "", "two spellings of one thing"),
    ({"type": AFTER, "states": ["DONE"]}, "states", "expected a state, one of CREATED"),
]


IDS = [f"{number}-{said[:40]}" for number, (_, _, said) in enumerate(VIOLATIONS)]


@pytest.mark.parametrize(("written", "place", "said"), VIOLATIONS, ids=IDS)
def test_a_broken_rule_is_said_in_one_sentence_at_its_place(written: dict[str, Any], place: str, said: str) -> None:
    found = problems({"id": "it", **written})
    assert len(found) == 1, found
    assert found[0].startswith("triggers[0]" + (f".{place}" if place else "")), found
    assert said in found[0]
    if place == WINDOW and "type `" in said:
        assert "Time window of type" in found[0]


EXAMPLES = [(kind.types[0].rsplit(".", 1)[-1], text) for kind in TRIGGERS for text in kind.examples]


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(EXAMPLES)])
def test_examples_of_trigger_types_are_valid(name: str, text: str) -> None:
    assert problems(yaml.load(text, yaml.BaseLoader)) == []


def test_old_type_names_work() -> None:
    written = {"id": "it", "type": "io.kestra.core.models.triggers.types.Schedule", "cron": "@daily"}
    assert problems(written) == []


def test_conditions_of_installed_plugins_are_no_violation_here() -> None:
    """Which condition types exist is the catalogue's affair, not the trigger's."""
    from flows.schedule.schedule_trigger import Schedule

    Schedule.model_validate({"id": "it", "type": SCHEDULE, "cron": "@daily", "conditions": [{"type": "company.Custom"}]})


@pytest.mark.parametrize("kind", TRIGGERS, ids=lambda kind: kind.types[0].rsplit(".", 1)[-1])
def test_every_type_has_a_json_schema_a_title_and_examples(kind: Any) -> None:
    schema = kind.model_json_schema(by_alias=True)
    assert "type" in schema["properties"] and kind.title and kind.examples
