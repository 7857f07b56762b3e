"""Commands on many executions: by ids all or nothing, by query whatever is in a state for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.client import FLOW, WAITING, Api
from tests.integration.api.test_execution_commands import FAILING, LIMITED, PAUSED, created
from tests.integration.api.test_executions import BASE, settled

pytestmark = pytest.mark.usefixtures("engine")

UNKNOWN = "0123456789012345678901"
ONE_FLOW = "filters[flowId][EQUALS]="


def by_ids(api: Api, name: str, ids: Any, expect: int = 200, method: str = "POST") -> Any:
    return api(method, f"{BASE}/{name}/by-ids", ids, "application/json", expect)


def states(api: Api, ids: list[str]) -> list[str]:
    return [api("GET", f"{BASE}/{execution_id}")["state"]["current"] for execution_id in ids]


def test_by_ids_is_all_or_nothing_and_names_what_is_wrong(api: Api) -> None:
    running = [created(api, WAITING) for _ in range(2)]
    paused = created(api, PAUSED)
    settled(api, paused, "PAUSED")
    answer = by_ids(api, "pause", [*running, paused, UNKNOWN], 400)
    assert [row["invalidValue"] for row in answer["invalids"]] == [paused, UNKNOWN]
    assert "PAUSED" in answer["invalids"][0]["message"]
    assert states(api, running) == ["RUNNING", "RUNNING"]
    done = by_ids(api, "pause", running)
    assert (done["totalItems"], done["count"], len(done["operationId"])) == (2, 2, 22)
    assert states(api, running) == ["PAUSED", "PAUSED"]
    assert by_ids(api, "resume", running)["count"] == 2
    assert states(api, running) == ["RUNNING", "RUNNING"]


@pytest.mark.parametrize("body", [None, {}, [1], "x"])
def test_a_body_that_is_no_list_of_ids_is_422(api: Api, body: Any) -> None:
    by_ids(api, "pause", body, 422)


def test_kill_by_ids_and_by_query(api: Api) -> None:
    first, second, third = (created(api, WAITING) for _ in range(3))
    assert by_ids(api, "kill", [first], method="DELETE")["count"] == 1
    assert by_ids(api, "kill", [first], 400, method="DELETE")["invalids"][0]["invalidValue"] == first
    answer = api("DELETE", f"{BASE}/kill/by-query?{ONE_FLOW}waiting")
    assert (answer["totalItems"], answer["count"]) == (2, 2)
    assert states(api, [first, second, third]) == ["KILLED"] * 3
    assert api("DELETE", f"{BASE}/kill/by-query?{ONE_FLOW}waiting")["totalItems"] == 0


def test_a_change_by_query_refuses_filters_it_would_pass_over(api: Api) -> None:
    created(api, WAITING)
    for query in ("namespace=acme.data", "flowId=waiting", "state=RUNNING", "q=x"):
        assert api("DELETE", f"{BASE}/kill/by-query?{query}", expect=400)["code"] == "filter.flat"
    assert api("DELETE", f"{BASE}/kill/by-query?filters[nowhere][EQUALS]=x", expect=400)["code"] == "filter.field"
    assert api("GET", f"{BASE}/search?state=RUNNING")["total"] == 1


def test_no_filter_means_all(api: Api) -> None:
    ids = [created(api, WAITING) for _ in range(2)]
    assert api("POST", f"{BASE}/pause/by-query")["count"] == 2
    assert states(api, ids) == ["PAUSED", "PAUSED"]
    assert api("POST", f"{BASE}/resume/by-query?{ONE_FLOW}waiting")["count"] == 2
    assert api("POST", f"{BASE}/force-run/by-query")["totalItems"] == 2


def test_the_line_in_bulk(api: Api) -> None:
    ids = [created(api, LIMITED) for _ in range(4)]
    settled(api, ids[3], "QUEUED")
    assert by_ids(api, "unqueue", [ids[1]])["count"] == 1
    assert api("POST", f"{BASE}/unqueue/by-query?newState=CANCELLED")["count"] == 2
    assert states(api, ids) == ["RUNNING", "RUNNING", "CANCELLED", "CANCELLED"]
    assert by_ids(api, "unqueue", ids[:1], 400)["invalids"][0]["invalidValue"] == ids[0]
    assert by_ids(api, "force-run", ids[:2])["totalItems"] == 2


def test_restart_and_replay_in_bulk(api: Api) -> None:
    ids = [created(api, FAILING) for _ in range(2)]
    for execution_id in ids:
        settled(api, execution_id, "FAILED")
    assert by_ids(api, "restart", ids)["count"] == 2
    for execution_id in ids:
        settled(api, execution_id, "FAILED")
    assert api("POST", f"{BASE}/restart/by-query?{ONE_FLOW}failing")["count"] == 2
    for execution_id in ids:
        settled(api, execution_id, "FAILED")
    assert by_ids(api, "replay", ids[:1])["count"] == 1
    api("PUT", "/api/v1/main/flows/acme.data/failing", FAILING + "description: newer\n")
    assert api("POST", f"{BASE}/replay/by-ids?latestRevision=true", ids[:1])["count"] == 1
    rows = api("GET", f"{BASE}/search?flowId=failing&sort=state.startDate:asc")["results"]
    assert [row["flowRevision"] for row in rows] == [1, 1, 1, 2]
    assert api("POST", f"{BASE}/replay/by-query?{ONE_FLOW}nowhere")["totalItems"] == 0


def test_labels_and_status_in_bulk(api: Api) -> None:
    ids = [created(api, FAILING) for _ in range(2)]
    for execution_id in ids:
        settled(api, execution_id, "FAILED")
    body = {"executionsId": ids, "executionLabels": [{"key": "seen", "value": "yes"}]}
    assert by_ids(api, "labels", body)["count"] == 2
    assert api("GET", f"{BASE}/search?labels=seen:yes")["total"] == 2
    assert (
        api("POST", f"{BASE}/labels/by-query?{ONE_FLOW}failing", [{"key": "also", "value": "1"}], "application/json")["count"]
        == 2
    )
    assert api("GET", f"{BASE}/search?labels=seen:yes&labels=also:1")["total"] == 2
    by_ids(api, "labels", {"executionsId": ids, "executionLabels": [{"key": "system.x", "value": "1"}]}, 422)
    assert by_ids(api, "change-status", ids, 400)["status"] == 400
    assert api("POST", f"{BASE}/change-status/by-ids?newStatus=WARNING", ids)["count"] == 2
    assert api("POST", f"{BASE}/change-status/by-query?newStatus=SUCCESS")["count"] == 2
    assert states(api, ids) == ["SUCCESS", "SUCCESS"]
    api("POST", f"{BASE}/change-status/by-query?newStatus=RUNNING", expect=422)


def test_deletion_in_bulk_spares_what_runs_unless_told_otherwise(api: Api) -> None:
    over = [created(api, FAILING) for _ in range(2)]
    for execution_id in over:
        settled(api, execution_id, "FAILED")
    running = [created(api, WAITING) for _ in range(2)]
    answer = api("DELETE", f"{BASE}/by-ids", [over[0], running[0]], "application/json", expect=400)
    assert [row["invalidValue"] for row in answer["invalids"]] == [running[0]]
    assert api("DELETE", f"{BASE}/by-ids", [over[0]], "application/json") == {"count": 1}
    api("GET", f"{BASE}/{over[0]}", expect=404)
    assert api("DELETE", f"{BASE}/by-ids?includeNonTerminated=true", [running[0]], "application/json") == {"count": 1}
    assert api("DELETE", f"{BASE}/by-query?filters[namespace][PREFIX]=acme") == {"count": 1}
    assert api("DELETE", f"{BASE}/by-query?includeNonTerminated=true") == {"count": 1}
    assert api("GET", f"{BASE}/search")["total"] == 0


def test_children_of_a_loop_are_not_in_the_way_of_a_search(api: Api) -> None:
    api.create(FLOW)
    loop = (
        "id: looping\nnamespace: acme.data\ntasks:\n  - id: loop\n    type: io.kestra.plugin.core.flow.Loop\n    values: [a, b]\n"
        '    tasks: [{id: t, type: io.kestra.plugin.core.log.Log, message: x, runIf: "false"}]\n'
    )
    execution_id = created(api, loop)
    settled(api, execution_id)
    assert [row["id"] for row in api("GET", f"{BASE}/search")["results"]] == [execution_id]
    rows = api("GET", f"{BASE}/search?triggerExecutionId={execution_id}")["results"]
    assert sorted(row["loopRun"]["item"]["value"] for row in rows) == ["a", "b"]
    assert {row["kind"] for row in rows} == {"LOOP"}
