"""Triggers over REST: their states follow their flows; switches, locks and backfills do what they say."""

from __future__ import annotations

from typing import Any

from tests.integration.api.client import Api

BASE = "/api/v1/main/triggers"
FLOW = """\
id: daily
namespace: acme.data
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: hello
    runIf: "false"
triggers:
  - id: cron
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 0 1 1 *"
  - id: other
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 4 * * *"
    disabled: true
"""


def key(trigger_id: str = "cron", flow_id: str = "daily") -> dict[str, str]:
    return {"namespace": "acme.data", "flowId": flow_id, "triggerId": trigger_id}


def codes(state: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in state["explain"]]


def test_a_flow_that_is_saved_has_its_triggers_states_at_once(api: Api) -> None:
    api.create(FLOW)
    found = api("GET", f"{BASE}/acme.data/daily")
    assert found["total"] == 2
    cron, other = found["results"]
    assert (cron["triggerId"], cron["disabled"], cron["locked"], cron["kind"]) == ("cron", False, False, "SCHEDULE")
    assert cron["nextEvaluationDate"].endswith("-01-01T00:00:00Z")
    assert (other["triggerId"], other["disabled"]) == ("other", True)


def test_a_search_shows_the_trigger_as_written_beside_its_state(api: Api) -> None:
    api.create(FLOW)
    row = api("GET", f"{BASE}/search?q=cron")["results"][0]
    assert row["trigger"] == {"id": "cron", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "0 0 1 1 *"}
    assert row["state"]["triggerId"] == row["triggerId"] == "cron"
