"""Every state in which a trigger does not fire has its reason, told for programs and for people."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

from controlplane.triggers.explain import World, explain_trigger
from controlplane.triggers.rows import StateRow

NOW = 1_800_000_000_000_000
LATER = NOW + 3_600_000_000
NOW_TEXT, LATER_TEXT = "2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z"

ROW = StateRow(
    tenant_id="main",
    namespace="acme",
    flow_id="daily",
    trigger_id="cron",
    kind="schedule",
    type="io.kestra.plugin.core.trigger.Schedule",
    flow_revision=1,
    digest="d",
    live=True,
    declared_disabled=False,
    disabled=False,
    disabled_by=None,
    worker_group="default",
    evaluated_at_us=NOW,
    next_at_us=LATER,
    last_triggered_at_us=None,
    execution_id=None,
    locked_at_us=None,
    worker_id=None,
    evaluation_id=None,
    evaluation_since_us=None,
    evaluation_until_us=None,
    backfill=None,
    stop_after=(),
    memory=None,
    reason=None,
    version=1,
    began_at_us=NOW,
    created_at_us=NOW,
    updated_at_us=NOW,
)
WORLD = World(NOW, groups=frozenset({"default"}))
LOCKED = {"execution_id": "e1", "locked_at_us": NOW, "next_at_us": NOW}
EVALUATED = {
    "kind": "polling",
    "worker_id": "w1",
    "evaluation_id": "v1",
    "evaluation_since_us": NOW,
    "evaluation_until_us": LATER,
}
BACKFILL = {"id": "b", "start": NOW, "end": LATER, "current": None, "paused": True}


def told(row: dict[str, Any], world: World = WORLD) -> list[dict[str, Any]]:
    return explain_trigger(replace(ROW, **row), world)


CAUSES: dict[str, tuple[dict[str, Any], World, dict[str, Any]]] = {
    "waits until its date": ({}, WORLD, {"code": "schedule.waits", "until": LATER_TEXT}),
    "waits until its next look": ({"kind": "polling"}, WORLD, {"code": "polling.waits", "until": LATER_TEXT}),
    "is due": ({"next_at_us": NOW}, WORLD, {"code": "trigger.due", "since": NOW_TEXT}),
    "has no further date": ({"next_at_us": None}, WORLD, {"code": "trigger.exhausted"}),
    "is locked by an execution": (
        LOCKED,
        World(NOW, {"e1": "PAUSED"}),
        {"code": "trigger.locked", "executionId": "e1", "state": "PAUSED", "since": NOW_TEXT},
    ),
    "is switched off by a user": (
        {"disabled": True, "disabled_by": {"kind": "user", "user": "ada", "at": NOW}},
        WORLD,
        {"code": "trigger.disabled", "kind": "user", "user": "ada", "since": NOW_TEXT},
    ),
    "is switched off by stopAfter": (
        {"disabled": True, "disabled_by": {"kind": "stopAfter", "executionId": "e1", "state": "FAILED", "at": NOW}},
        WORLD,
        {"code": "trigger.disabled", "kind": "stopAfter", "executionId": "e1", "state": "FAILED"},
    ),
    "is switched off by a Toggle task": (
        {"disabled": True, "disabled_by": {"kind": "toggle", "executionId": "e1", "at": NOW}},
        WORLD,
        {"code": "trigger.disabled", "kind": "toggle", "executionId": "e1"},
    ),
    "is disabled in the flow's text": (
        {"declared_disabled": True, "live": False},
        WORLD,
        {"code": "trigger.declared_disabled"},
    ),
    "is of a disabled flow": (
        {"live": False},
        World(NOW, flows={("acme", "daily"): "disabled"}),
        {"code": "flow.disabled"},
    ),
    "is of a draft": ({"live": False}, World(NOW, flows={("acme", "daily"): "draft"}), {"code": "flow.draft"}),
    "is of a flow that cannot run": ({"live": False}, WORLD, {"code": "flow.inactive"}),
    "has a paused backfill": (
        {"backfill": BACKFILL},
        WORLD,
        {"code": "backfill.paused", "currentDate": NOW_TEXT, "end": LATER_TEXT},
    ),
    "has a backfill that runs": ({"backfill": {**BACKFILL, "paused": False}}, WORLD, {"code": "backfill.running"}),
    "is evaluated by a worker": (
        EVALUATED,
        WORLD,
        {"code": "trigger.evaluating", "workerId": "w1", "since": NOW_TEXT, "until": LATER_TEXT},
    ),
    "is listened to by a worker": (
        {**EVALUATED, "kind": "realtime"},
        WORLD,
        {"code": "realtime.listens", "workerId": "w1"},
    ),
    "has no worker": ({"kind": "polling"}, World(NOW), {"code": "worker.none", "workerGroup": "default"}),
    "had a condition that was false": (
        {"reason": {"code": "condition.false", "message": "no", "at": NOW, "until": LATER_TEXT}},
        WORLD,
        {"code": "condition.false", "at": NOW_TEXT, "until": LATER_TEXT},
    ),
    "waits for upstream flows": (
        {"kind": "flow", "next_at_us": None, "memory": {"waiting": ["acme.a", "acme.b"], "until": LATER_TEXT}},
        WORLD,
        {"code": "flow.window", "waitingFor": ["acme.a", "acme.b"], "until": LATER_TEXT},
    ),
    "waits for any execution": ({"kind": "flow", "next_at_us": None}, WORLD, {"code": "flow.waits"}),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_trigger_says_that_it(cause: str) -> None:
    row, world, expected = CAUSES[cause]
    reason = told(row, world)[0]
    assert expected.items() <= reason.items()
    assert reason["message"]


def test_a_switched_off_trigger_says_nothing_else() -> None:
    (reason,) = told({"disabled": True, **LOCKED}, World(NOW, {"e1": "RUNNING"}))
    assert reason["code"] == "trigger.disabled"


def test_an_execution_that_is_over_holds_nothing() -> None:
    assert [reason["code"] for reason in told(LOCKED, World(NOW, {"e1": "SUCCESS"}))] == ["trigger.due"]
    assert [reason["code"] for reason in told(LOCKED)] == ["trigger.due"]


def test_a_webhook_that_would_answer_has_nothing_in_its_way() -> None:
    assert told({"kind": "webhook", "next_at_us": None}) == []
