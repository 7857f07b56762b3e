"""Triggers over REST: their states follow their flows; switches, locks and backfills do what they say."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_a_search_filters_sorts_and_pages(api: Api) -> None:
    api.create(FLOW)
    api.create(FLOW.replace("id: daily", "id: weekly").replace("acme.data", "acme.other"))
    assert api("GET", f"{BASE}/search?namespace=acme")["total"] == 4
    assert api("GET", f"{BASE}/search?filters[flowId][EQUALS]=weekly")["total"] == 2
    assert api("GET", f"{BASE}/search?filters[triggerState][EQUALS]=DISABLED")["total"] == 2
    assert api("GET", f"{BASE}/search?filters[locked][EQUALS]=true")["total"] == 0
    page = api("GET", f"{BASE}/search?size=1&page=2&sort=triggerId:desc,flowId:asc")
    assert (page["total"], page["results"][0]["triggerId"]) == (4, "other")
    later = "2020-01-01T00:00:00Z"
    assert api("GET", f"{BASE}/search?dateFilter=NEXT_EXECUTION_DATE&filters[startDate][GREATER_THAN]={later}")["total"] == 4
    assert api("GET", f"{BASE}/search?dateFilter=LAST_TRIGGERED_DATE&filters[startDate][GREATER_THAN]={later}")["total"] == 0
    api("GET", f"{BASE}/search?filters[colour][EQUALS]=red", expect=400)
    api("GET", f"{BASE}/search?dateFilter=BIRTHDAY", expect=400)


def test_the_address_without_tenant_is_that_of_main(api: Api) -> None:
    api.create(FLOW)
    assert api("GET", "/api/v1/triggers/search")["total"] == 2


def test_a_trigger_is_switched_off_and_on_and_says_by_whom(api: Api) -> None:
    api.create(FLOW)
    before = api("GET", f"{BASE}/acme.data/daily/cron")
    state = api("PUT", f"{BASE}/set-disabled", {**key(), "disabled": True})
    assert state["disabled"] is True
    assert "nextEvaluationDate" not in state
    (reason,) = state["explain"]
    assert (reason["code"], reason["kind"]) == ("trigger.disabled", "user")
    assert reason["user"]
    state = api("PUT", f"{BASE}/set-disabled", {**key(), "disabled": False})
    assert (state["disabled"], state["nextEvaluationDate"]) == (False, before["nextEvaluationDate"])
    api("PUT", f"{BASE}/set-disabled", {**key(), "disabled": False, "recoverMissedSchedules": "SOME"}, expect=422)
    api("PUT", f"{BASE}/set-disabled", {**key("absent"), "disabled": True}, expect=404)
    api("PUT", f"{BASE}/set-disabled", {"namespace": "acme.data"}, expect=422)


def test_an_unlocked_trigger_cannot_be_unlocked(api: Api) -> None:
    api.create(FLOW)
    api("POST", f"{BASE}/acme.data/daily/cron/unlock", expect=409)
    api("POST", f"{BASE}/acme.data/daily/absent/unlock", expect=404)


def test_a_restart_answers_the_state(api: Api) -> None:
    api.create(FLOW)
    assert api("POST", f"{BASE}/acme.data/daily/cron/restart")["triggerId"] == "cron"
    api("POST", f"{BASE}/acme.data/daily/absent/restart", expect=404)


def test_the_state_of_a_declared_trigger_stays(api: Api) -> None:
    api.create(FLOW)
    answer = api("DELETE", f"{BASE}/acme.data/daily/cron", expect=409)
    assert "because the flow still declares it" in answer["message"]
    api("DELETE", f"{BASE}/acme.data/daily/absent", expect=404)
    for path, body in (("by-triggers", [key()]), ("by-query", {"filters": []})):
        assert api("DELETE", f"{BASE}/delete/{path}", body)["totalItems"] == 0
    assert api("GET", f"{BASE}/acme.data/daily")["total"] == 2


def backfill(**more: Any) -> dict[str, Any]:
    return {**key(), "backfill": {"start": "2020-01-01T00:00:00Z", "end": "2022-01-01T00:00:00Z", **more}}


def test_a_backfill_is_created_paused_continued_and_deleted(api: Api) -> None:
    api.create(FLOW)
    regular = api("GET", f"{BASE}/acme.data/daily/cron")["nextEvaluationDate"]
    state = api("PUT", f"{BASE}/backfill/create", backfill(inputs={"n": 1}, labels=[{"key": "why", "value": "again"}]))
    assert state["backfill"] == {
        "start": "2020-01-01T00:00:00Z",
        "end": "2022-01-01T00:00:00Z",
        "currentDate": "2020-01-01T00:00:00Z",
        "paused": False,
        "inputs": {"n": 1},
        "labels": [{"key": "why", "value": "again"}],
        "previousNextExecutionDate": regular,
    }
    assert state["nextEvaluationDate"] == "2020-01-01T00:00:00Z"
    assert "backfill.running" in codes(state)
    api("PUT", f"{BASE}/backfill/create", backfill(), expect=409)
    state = api("PUT", f"{BASE}/backfill/pause", key())
    assert state["backfill"]["paused"] is True
    assert "backfill.paused" in codes(state)
    assert api("PUT", f"{BASE}/backfill/unpause", key())["backfill"]["paused"] is False
    state = api("POST", f"{BASE}/backfill/delete", key())
    assert "backfill" not in state
    assert state["nextEvaluationDate"] == regular
    api("POST", f"{BASE}/backfill/delete", key(), expect=409)


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"start": "2022-01-01T00:00:00Z", "end": "2020-01-01T00:00:00Z"}, 422),
        ({"start": "yesterday"}, 422),
        ({"start": None}, 422),
        ({"inputs": [1]}, 422),
        ({"labels": [{"key": "system.mine", "value": "x"}]}, 422),
    ],
)
def test_a_backfill_that_makes_no_sense_is_refused(api: Api, wanted: dict[str, Any], status: int) -> None:
    api.create(FLOW)
    api("PUT", f"{BASE}/backfill/create", backfill(**wanted), expect=status)
    assert "backfill" not in api("GET", f"{BASE}/acme.data/daily/cron")


def test_only_schedules_can_be_backfilled(api: Api) -> None:
    api.create(
        FLOW.replace("triggers:\n", "triggers:\n  - id: hook\n    type: io.kestra.plugin.core.trigger.Webhook\n    key: k\n")
    )
    wanted = {**backfill(), "triggerId": "hook"}
    assert api("PUT", f"{BASE}/backfill/create", wanted, expect=409)["code"] == "trigger.no_schedule"


def test_older_clients_put_a_backfill_into_the_trigger(api: Api) -> None:
    api.create(FLOW)
    answer = api("PUT", BASE, {**backfill(), "tenantId": "main", "disabled": False})
    assert (answer["triggerId"], answer["disabled"], answer["backfill"]["paused"]) == ("cron", False, False)
    assert answer["backfill"]["start"] == "2020-01-01T00:00:00Z"
    assert api("PUT", BASE, {**key(), "disabled": True})["disabled"] is True


def test_bulk_changes_pass_over_what_they_cannot_change_and_count_the_rest(api: Api) -> None:
    api.create(FLOW)
    answer = api("POST", f"{BASE}/set-disabled/by-triggers", {"triggers": [key(), key("absent")], "disabled": True})
    assert (answer["totalItems"], answer["count"]) == (1, 1)
    assert answer["operationId"]
    assert api("POST", f"{BASE}/set-disabled/by-query?disabled=false")["count"] == 1
    assert api("POST", f"{BASE}/set-disabled/by-query?filters[triggerId][EQUALS]=cron")["count"] == 1
    assert api("POST", f"{BASE}/set-disabled/by-query?filters[triggerId][EQUALS]=cron")["count"] == 0
    assert api("POST", f"{BASE}/unlock/by-query")["count"] == 0
    assert api("POST", f"{BASE}/unlock/by-triggers", [key()])["count"] == 0
    api("POST", f"{BASE}/set-disabled/by-triggers", {"triggers": "all"}, expect=422)


def test_bulk_backfills(api: Api) -> None:
    api.create(FLOW)
    api("PUT", f"{BASE}/backfill/create", backfill())
    for verb, paused in (("pause", True), ("unpause", False)):
        assert api("POST", f"{BASE}/backfill/{verb}/by-triggers", [key(), key("other")])["count"] == 1
        assert api("GET", f"{BASE}/acme.data/daily/cron")["backfill"]["paused"] is paused
        assert api("POST", f"{BASE}/backfill/{verb}/by-query")["count"] == 1
    assert api("POST", f"{BASE}/backfill/delete/by-query?filters[flowId][EQUALS]=daily")["count"] == 1
    assert api("POST", f"{BASE}/backfill/delete/by-triggers", [key()])["count"] == 0


def test_a_flat_parameter_never_widens_a_bulk_change_to_everything(api: Api) -> None:
    api.create(FLOW)
    for path in ("set-disabled", "unlock", "backfill/pause", "backfill/delete"):
        assert api("POST", f"{BASE}/{path}/by-query?namespace=other", expect=400)["code"] == "filter.flat"
    assert api("GET", f"{BASE}/acme.data/daily/cron")["disabled"] is False


def test_states_are_exported_as_csv(api: Api) -> None:
    api.create(FLOW)
    answer = api.raw("GET", f"{BASE}/export/by-query/csv?filters[flowId][EQUALS]=daily")
    assert answer.headers["Content-Type"] == "text/csv"
    header, *rows = answer.content.decode().strip().split("\r\n")
    assert header.startswith("tenantId,namespace,flowId,triggerId,")
    assert [row.split(",")[3] for row in rows] == ["cron", "other"]


def test_strangers_see_and_change_nothing(api: Api) -> None:
    api.create(FLOW)
    for method, path, body in (
        ("GET", "search", None),
        ("GET", "acme.data/daily", None),
        ("GET", "acme.data/daily/cron", None),
        ("PUT", "set-disabled", {**key(), "disabled": True}),
        ("POST", "acme.data/daily/cron/unlock", None),
        ("POST", "acme.data/daily/cron/restart", None),
        ("PUT", "backfill/create", backfill()),
        ("POST", "set-disabled/by-query", None),
        ("GET", "export/by-query/csv", None),
    ):
        Api()(method, f"{BASE}/{path}", body, expect=401)
    assert api("GET", f"{BASE}/acme.data/daily/cron")["disabled"] is False


def test_triggers_of_another_tenant_are_not_there(api: Api) -> None:
    api.create(FLOW)
    api("GET", "/api/v1/elsewhere/triggers/search", expect=404)


def test_a_flow_that_is_deleted_takes_its_states_along(api: Api) -> None:
    api.create(FLOW)
    api("DELETE", "/api/v1/main/flows/acme.data/daily", expect=204)
    assert api("GET", f"{BASE}/search")["total"] == 0
    api("GET", f"{BASE}/acme.data/daily", expect=404)


def test_triggers_of_a_draft_rest(api: Api) -> None:
    api("POST", "/api/v1/main/flows?draft=true", FLOW)
    state = api("GET", f"{BASE}/acme.data/daily/cron")
    assert codes(state) == ["flow.draft"]
