"""Flows over REST: revisions, byte-exact sources, validation, search."""

from __future__ import annotations

from typing import Any

from tests.integration.api.client import FLOW, WAITING, Api

BASE = "/api/v1/main/flows"
ONE = f"{BASE}/acme.data/hello"


def test_a_flow_keeps_its_source_byte_for_byte(api: Api) -> None:
    created = api.create(FLOW)
    assert created["revision"] == 1
    assert created["source"] == FLOW
    assert created["labels"] == [{"key": "team", "value": "core"}]
    assert (created["disabled"], created["deleted"], created["draft"]) == (False, False, False)
    assert created["tasks"][0]["message"] == "hello {{ inputs.who }}"
    assert api("GET", f"{ONE}?source=true")["source"] == FLOW
    assert "source" not in api("GET", ONE)
    assert api("GET", "/api/v1/flows/acme.data/hello")["id"] == "hello"


def test_the_same_text_makes_no_new_revision_and_another_one_does(api: Api) -> None:
    api.create(FLOW)
    assert api("PUT", ONE, FLOW)["revision"] == 1
    assert api("PUT", ONE, FLOW + "\n")["revision"] == 2
    assert [row["revision"] for row in api("GET", f"{ONE}/revisions")] == [1, 2]
    assert api("GET", f"{ONE}?revision=1&source=true")["source"] == FLOW
    assert api("GET", f"{ONE}?revision=9", expect=404)["code"] == "flow.missing"
    api("DELETE", f"{ONE}/revisions?revisions=2", expect=409)
    api("DELETE", f"{ONE}/revisions?revisions=1")
    assert [row["revision"] for row in api("GET", f"{ONE}/revisions")] == [2]


def test_creating_what_exists_is_422_and_changing_the_identity_too(api: Api) -> None:
    api.create(FLOW)
    assert api("POST", BASE, FLOW, expect=422)["code"] == "flow.exists"
    assert api("PUT", ONE, FLOW.replace("id: hello", "id: other", 1), expect=422)["code"] == "flow.identity"
    api("PUT", f"{BASE}/acme.data/unknown", FLOW, expect=404)


def test_deletion_is_a_revision_and_the_flow_may_return(api: Api) -> None:
    api.create(FLOW)
    api("DELETE", ONE, expect=204)
    api("GET", ONE, expect=404)
    api("DELETE", ONE, expect=404)
    tomb = api("GET", f"{ONE}?allowDeleted=true")
    assert (tomb["revision"], tomb["deleted"]) == (2, True)
    assert api("GET", f"{ONE}?revision=1&allowDeleted=true")["deleted"] is False
    assert [row["deleted"] for row in api("GET", f"{ONE}/revisions")] == [False]
    assert [row["deleted"] for row in api("GET", f"{ONE}/revisions?allowDelete=true")] == [False, True]
    assert api.create(FLOW)["revision"] == 3


def test_an_invalid_flow_is_refused_with_every_problem(api: Api) -> None:
    source = "id: bad flow\nnamespace: acme\ntasks:\n  - id: a\n    type: io.kestra.nothing.Here\n  - id: a\n    type: x\n"
    body = api("POST", BASE, source, expect=422)
    assert body["code"] == "flow.invalid"
    assert len(body["errors"]) >= 2
    assert all(row["message"] for row in body["errors"])
    assert any(row.get("line") for row in body["errors"])


def test_validation_is_always_200_with_one_row_per_document(api: Api) -> None:
    broken = "id: broken\nnamespace: acme.data\ntasks:\n  - id: a\n    type: x.Y\n"
    rows = api("POST", f"{BASE}/validate", f"{FLOW}---\n{broken}---\na: [")
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert "constraints" not in rows[0]
    assert (rows[0]["flow"], rows[0]["namespace"], rows[0]["outdated"]) == ("hello", "acme.data", False)
    assert rows[0]["warnings"] == []
    assert rows[1]["constraints"].startswith("Invalid type: x.Y")
    assert rows[1]["problems"][0]["line"] == 5
    assert "flow" not in rows[2]
    assert rows[2]["constraints"]


def test_validation_knows_the_flows_keys_files_and_secrets_of_the_tenant(api: Api) -> None:
    api.create(FLOW)
    source = """\
id: caller
namespace: acme.data
tasks:
  - {id: there, type: io.kestra.plugin.core.flow.Subflow, namespace: acme.data, flowId: hello}
  - {id: gone, type: io.kestra.plugin.core.flow.Subflow, namespace: acme.data, flowId: nowhere}
  - {id: key, type: io.kestra.plugin.core.log.Log, message: "{{ kv('no_such_key') }}"}
  - {id: hush, type: io.kestra.plugin.core.log.Log, message: "{{ secret('NO_SUCH_SECRET') }}"}
  - {id: file, type: io.kestra.plugin.core.log.Log, message: "{{ read('no/such.sql') }}"}
"""
    (row,) = api("POST", f"{BASE}/validate", source)
    said = " ".join(row["warnings"])
    for name in ("nowhere", "no_such_key", "NO_SUCH_SECRET", "no/such.sql"):
        assert name in said, row
    assert "flowId: hello" not in said
    assert len(row["warnings"]) == 4


def test_outdated_compares_the_written_with_the_stored_revision(api: Api) -> None:
    api.create(FLOW)
    for written, outdated in ((2, False), (1, True), (7, True)):
        row = api("POST", f"{BASE}/validate", f"revision: {written}\n{FLOW}")[0]
        assert row["outdated"] is outdated


def test_a_json_flow_is_stored_as_yaml(api: Api) -> None:
    flow = api.create(FLOW)
    flow["id"] = "from_json"
    stored = api("POST", BASE, flow, "application/json")
    assert stored["id"] == "from_json"
    assert "id: from_json" in stored["source"]
    assert "revision" not in stored["source"]


def _ids(api: Api, query: str) -> list[str]:
    found: dict[str, Any] = api("GET", f"{BASE}/search?{query}")
    assert found["total"] >= len(found["results"])
    return [row["id"] for row in found["results"]]


def test_search_by_text_namespace_labels_and_filters(api: Api) -> None:
    api.create(FLOW)
    api.create(WAITING)
    api.create(FLOW.replace("acme.data", "acme.database").replace("hello", "hello_mcp").replace("team: core", "team: edge"))
    api.create(FLOW.replace("acme.data", "system.x").replace("id: hello", "id: inner"))
    assert _ids(api, "q=hello%20mcp") == ["hello_mcp"]
    assert sorted(_ids(api, "namespace=acme")) == ["hello", "hello_mcp", "waiting"]
    assert sorted(_ids(api, "namespace=acme.data")) == ["hello", "waiting"]
    assert _ids(api, "filters%5Bnamespace%5D%5BEQUALS%5D=acme") == []
    assert sorted(_ids(api, "filters[namespace][PREFIX]=acme.data")) == ["hello", "waiting"]
    assert _ids(api, "filters[FLOW_ID][IN]=waiting,nothing") == ["waiting"]
    assert _ids(api, "filters[labels][EQUALS][team]=edge") == ["hello_mcp"]
    assert _ids(api, "labels=team:edge") == ["hello_mcp"]
    assert "hello_mcp" not in _ids(api, "filters[labels][NOT_EQUALS][team]=edge")
    assert _ids(api, "filters[scope][EQUALS]=SYSTEM") == ["inner"]
    assert sorted(_ids(api, "filters[or][0][flowId][EQUALS]=hello&filters[or][1][flowId][EQUALS]=waiting")) == [
        "hello",
        "waiting",
    ]
    assert _ids(api, "sort=id:desc&size=2") == ["waiting", "inner"]
    assert _ids(api, "page=9") == []
    api("GET", f"{BASE}/search?filters[state][EQUALS]=RUNNING", expect=400)
    api("GET", f"{BASE}/search?filters[flowId][NONSENSE]=x", expect=400)
    api("GET", f"{BASE}/search?size=1001", expect=422)
    api("GET", f"{BASE}/search?sort=unknown:asc", expect=422)
    api("GET", f"{BASE}/search?sort=id", expect=422)
    assert [row["id"] for row in api("GET", f"{BASE}/acme.data")] == ["hello", "waiting"]
    assert api("GET", f"{BASE}/nowhere") == []
    assert api("GET", f"{BASE}/distinct-namespaces?q=data") == ["acme.data", "acme.database"]


def test_many_at_once_is_all_or_nothing(api: Api) -> None:
    api.create(WAITING)
    bad = FLOW.replace("io.kestra.plugin.core.log.Log", "x.Y")
    api("POST", f"{BASE}/acme.data", f"{FLOW}---\n{bad}", expect=422)
    assert [row["id"] for row in api("GET", f"{BASE}/acme.data")] == ["waiting"]
    answer = api("POST", f"{BASE}/acme.data?delete=true", FLOW)
    assert [(row["id"], row["revision"]) for row in answer] == [("hello", 1)]
    assert [row["id"] for row in api("GET", f"{BASE}/acme.data")] == ["hello"]
    api("POST", f"{BASE}/other", FLOW, expect=422)
    moved = api("POST", f"{BASE}/other?override=true&delete=false", FLOW)
    assert moved[0]["namespace"] == "other"
    assert "# a comment" in moved[0]["source"]
    assert len(api("POST", f"{BASE}/bulk", f"{FLOW}\n---\n{WAITING}")) == 2


def test_a_task_is_found_wherever_it_is(api: Api) -> None:
    api.create(FLOW)
    assert api("GET", f"{ONE}/tasks/quiet")["type"].endswith("Log")
    api("GET", f"{ONE}/tasks/none", expect=404)


def test_flows_of_two_tenants_do_not_meet(api: Api) -> None:
    from controlplane.tenants.models import Tenant

    Tenant.objects.create(id="second", name="Second", created_at_us=0)
    api.create(FLOW)
    api("GET", "/api/v1/second/flows/acme.data/hello", expect=404)
    assert api("GET", "/api/v1/second/flows/search")["total"] == 0
    assert api("POST", "/api/v1/second/flows", FLOW)["revision"] == 1


def test_a_draft_may_be_broken_but_needs_its_name(api: Api) -> None:
    body = api("POST", f"{BASE}?draft=true", "id: someday\nnamespace: acme\ntasks: nothing yet\n")
    assert body["draft"] is True
    api("POST", f"{BASE}?draft=true", "tasks: 3\n", expect=422)
