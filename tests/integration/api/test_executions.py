"""Executions over REST: creation, inputs, reading, search, kill. The engine is real; no worker is there."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from controlplane.files import storage
from tests.integration.api.client import FLOW, WAITING, Api

BASE = "/api/v1/main/executions"
HELLO = f"{BASE}/acme.data/hello"

TYPED = """\
id: typed
namespace: acme.data
inputs:
  - {id: count, type: INT}
  - {id: on, type: BOOL, defaults: true}
  - {id: day, type: DATE, defaults: "2025-12-03"}
  - {id: data, type: JSON, required: false}
  - {id: upload, type: FILE, required: false}
tasks:
  - id: quiet
    type: io.kestra.plugin.core.log.Log
    message: hi
    runIf: "false"
"""

pytestmark = pytest.mark.usefixtures("engine")


def settled(api: Api, execution_id: str, state: str = "SUCCESS") -> Any:
    """The execution once it has that state."""
    for _ in range(200):
        body = api("GET", f"{BASE}/{execution_id}")
        if body["state"]["current"] == state:
            return body
        time.sleep(0.02)
    raise AssertionError(f"{execution_id} is {body['state']['current']}, not {state}")


def test_a_new_execution_answers_at_once_and_reads_back_whole(api: Api) -> None:
    api.create(FLOW)
    created = api("POST", f"{HELLO}?labels=why:because:colons&labels=team:edge")
    assert created["state"]["current"] == "CREATED"
    assert created["inputs"] == {"who": "world"}
    assert created["url"].endswith(f"/ui/main/executions/acme.data/hello/{created['id']}")
    assert len(created["id"]) == 22
    body = settled(api, created["id"])
    labels = {label["key"]: label["value"] for label in body["labels"]}
    assert labels["why"] == "because:colons"
    assert labels["team"] == "edge"
    assert labels["system.correlationId"] == created["id"]
    assert labels["system.username"] == "root@example.com"
    assert body["state"]["histories"][0]["state"] == "CREATED"
    assert body["state"]["histories"][-1]["state"] == "SUCCESS"
    assert body["state"]["startDate"] == body["state"]["histories"][0]["date"]
    assert body["state"]["endDate"] == body["state"]["histories"][-1]["date"]
    assert body["state"]["duration"].startswith("PT")
    assert body["tenantId"] == "main"
    (run,) = body["taskRunList"]
    assert run["taskId"] == "quiet"
    assert run["state"]["current"] == "SKIPPED"
    assert run["executionId"] == created["id"]
    assert "parentTaskRunId" not in run
    assert api("GET", f"{BASE}/{created['id']}/flow")["id"] == "hello"
    assert api("GET", f"/api/v1/executions/{created['id']}")["id"] == created["id"]


def test_inputs_come_as_a_form_or_as_json_and_are_echoed_typed(api: Api) -> None:
    api.create(TYPED)
    form = api("POST", f"{BASE}/acme.data/typed", {"count": "3", "data": '{"a": [1, null]}', "unknown": "x"}, "multipart")
    assert form["inputs"]["count"] == 3
    assert form["inputs"]["on"] is True
    assert form["inputs"]["day"] == "2025-12-03"
    assert form["inputs"]["data"] == {"a": [1, None]}
    json = api("POST", f"{BASE}/acme.data/typed", {"count": 4, "on": False}, "application/json")
    assert (json["inputs"]["count"], json["inputs"]["on"]) == (4, False)
    encoded = api("POST", f"{BASE}/acme.data/typed", "count=5", "application/x-www-form-urlencoded")
    assert encoded["inputs"]["count"] == 5
    assert settled(api, form["id"])["inputs"]["data"] == {"a": [1, None]}


def test_an_upload_becomes_a_file_of_the_execution(api: Api) -> None:
    api.create(TYPED)
    upload = SimpleUploadedFile("data.csv", b"a,b\n1,2\n3,4\n")
    created = api("POST", f"{BASE}/acme.data/typed", {"count": "1", "upload": upload}, "multipart")
    uri = created["inputs"]["upload"]
    assert uri.startswith(f"kestra:///acme/data/typed/executions/{created['id']}/inputs/upload/")
    one = f"{BASE}/{created['id']}/file"
    assert api("GET", f"{one}?path={uri}") == "a,b\n1,2\n3,4\n"
    assert api("GET", f"{one}/metas?path={uri}") == {"size": 12}
    preview = api("GET", f"{one}/preview?path={uri}&maxRows=1")
    assert preview == {"extension": "csv", "type": "LIST", "content": [{"a": "1", "b": "2"}], "truncated": True}
    other = storage.put_file("main", "acme/data/typed/executions/other/x.txt", [b"1"])
    assert api("GET", f"{one}?path={other.uri}", expect=404)["code"] == "file.missing"
    api("GET", f"{one}?path=kestra:///../../etc/passwd", expect=404)
    api("GET", one, expect=400)


@pytest.mark.parametrize(("body", "named"), [({}, "count"), ({"count": "many"}, "count"), ({"count": "1", "day": "soon"}, "day")])
def test_bad_inputs_are_422_and_name_the_input(api: Api, body: dict[str, str], named: str) -> None:
    api.create(TYPED)
    answer = api("POST", f"{BASE}/acme.data/typed", body, "multipart", expect=422)
    assert answer["code"] == "input.invalid"
    assert named in answer["message"]
    assert answer["errors"][0]["path"] == named
    assert api("GET", f"{BASE}/search")["total"] == 0


def test_what_cannot_be_run_says_why(api: Api) -> None:
    api("POST", f"{BASE}/acme.data/nothing", expect=404)
    api.create(FLOW + "disabled: true\n")
    assert api("POST", HELLO, expect=409)["code"] == "flow.disabled"
    api("GET", f"{BASE}/0123456789012345678901", expect=404)
    api("DELETE", f"{BASE}/0123456789012345678901/kill", expect=404)
    api.create(WAITING)
    assert api("POST", f"{BASE}/acme.data/waiting?labels=system.secret:x", expect=422)["code"] == "label.system"
    api("POST", f"{BASE}/acme.data/waiting?labels=nonsense", expect=422)


def test_an_older_revision_can_be_run(api: Api) -> None:
    api.create(FLOW)
    api("PUT", "/api/v1/main/flows/acme.data/hello", FLOW.replace("world", "moon"))
    assert api("POST", HELLO)["inputs"] == {"who": "moon"}
    old = api("POST", f"{HELLO}?revision=1")
    assert (old["inputs"], old["flowRevision"]) == ({"who": "world"}, 1)
    assert api("POST", f"{HELLO}?revision=0")["flowRevision"] == 2
    api("POST", f"{HELLO}?revision=7", expect=404)


def test_kill_ends_what_waits_and_a_second_one_is_409(api: Api) -> None:
    api.create(WAITING)
    created = api("POST", f"{BASE}/acme.data/waiting")
    settled(api, created["id"], "RUNNING")
    api("DELETE", f"{BASE}/{created['id']}", expect=409)
    answer = api("DELETE", f"{BASE}/{created['id']}/actions/kill")
    assert answer["state"]["current"] in ("KILLING", "KILLED")
    settled(api, created["id"], "KILLED")
    assert api("DELETE", f"{BASE}/{created['id']}/actions/kill", expect=409)["code"] == "execution.over"
    again = api("POST", f"{BASE}/acme.data/waiting")
    api("DELETE", f"{BASE}/{again['id']}/kill", expect=202)
    api("DELETE", f"{BASE}/{created['id']}", expect=204)
    api("GET", f"{BASE}/{created['id']}", expect=404)


def _ids(api: Api, query: str) -> list[str]:
    return [row["id"] for row in api("GET", f"{BASE}/search?{query}")["results"]]


def test_search_by_flow_state_labels_and_time(api: Api) -> None:
    api.create(FLOW)
    api.create(WAITING)
    first = api("POST", f"{HELLO}?labels=a:1&labels=b:2")["id"]
    second = api("POST", f"{HELLO}?labels=a:1")["id"]
    waiting = api("POST", f"{BASE}/acme.data/waiting")["id"]
    for one in (first, second):
        settled(api, one)
    settled(api, waiting, "RUNNING")
    assert _ids(api, "") == [waiting, second, first]
    row = api("GET", f"{BASE}/search?flowId=hello&size=1")
    assert row["total"] == 2
    assert "taskRunList" not in row["results"][0]
    assert _ids(api, "state=RUNNING") == [waiting]
    assert _ids(api, "filters[state][IN]=SUCCESS,FAILED") == [second, first]
    assert _ids(api, "filters[state][NOT_IN]=SUCCESS") == [waiting]
    assert _ids(api, "filters[labels][EQUALS][a]=1&filters[labels][EQUALS][b]=2") == [first]
    assert _ids(api, "labels=a:1&sort=state.startDate:asc") == [first, second]
    assert _ids(api, "filters[labels][NOT_EQUALS][a]=1") == [waiting]
    assert _ids(api, "filters[timeRange][EQUALS]=PT1H&filters[flowId][EQUALS]=waiting") == [waiting]
    assert _ids(api, "startDate=2100-01-01T00:00:00%2B02:00") == []
    assert _ids(api, "filters[startDate][LESS_THAN]=2100-01-01T00:00:00.123456789Z&filters[flowId][EQUALS]=waiting") == [waiting]
    assert _ids(api, "filters[kind][EQUALS]=DEFAULT&filters[flowId][EQUALS]=waiting") == [waiting]
    assert _ids(api, "namespace=nonexistent_ns_x") == []
    assert _ids(api, "sort=state.duration:desc&flowId=hello") != []
    api("GET", f"{BASE}/search?filters[state][EQUALS]=NONSENSE", expect=400)
    api("GET", f"{BASE}/search?filters[minLevel][EQUALS]=INFO", expect=400)


def test_the_list_of_older_clients_needs_a_flow(api: Api) -> None:
    api.create(FLOW)
    created = api("POST", HELLO)
    settled(api, created["id"])
    rows = api("GET", f"{BASE}?namespace=acme.data&flowId=hello&state=SUCCESS&sort=state.startDate,desc")["results"]
    assert [row["id"] for row in rows] == [created["id"]]
    api("GET", BASE, expect=400)


def test_outputs_and_metrics_of_a_run_without_any(api: Api) -> None:
    api.create(FLOW)
    created = api("POST", HELLO)
    body = settled(api, created["id"])
    assert api("GET", f"/api/v1/main/outputs/executions/{created['id']}") == {}
    assert api("GET", f"/api/v1/main/outputs/tasks/{created['id']}") == []
    assert api("GET", f"/api/v1/main/outputs/tasks/{created['id']}/{body['taskRunList'][0]['id']}") == {}
    assert api("GET", f"/api/v1/main/metrics/{created['id']}") == {"results": [], "total": 0}
    api("GET", "/api/v1/main/outputs/executions/unknown", expect=404)
