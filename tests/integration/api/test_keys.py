"""The key-value store of namespaces over REST: literals with kinds, time to live, inheritance, lists without values."""

from __future__ import annotations

import time
from typing import Any

import pytest

from controlplane.kv import functions, store, values
from flows.errors import ExpressionError
from tests.integration.api.client import Api

BASE = "/api/v1/main/namespaces/acme.data/kv"


def put(api: Api, key: str, literal: str, expect: int = 200, kind: str = "text/plain", **headers: str) -> None:
    api("PUT", f"{BASE}/{key}", literal, kind, expect=expect, headers=headers)


@pytest.mark.parametrize(
    ("literal", "kind", "value"),
    [
        ('"text"', "STRING", "text"),
        ('"1"', "STRING", "1"),
        ("word", "STRING", "word"),
        ("1", "NUMBER", 1),
        ("1.5", "NUMBER", 1.5),
        ("true", "BOOLEAN", True),
        ('{"a": [1]}', "JSON", {"a": [1]}),
        ("[1, 2]", "JSON", [1, 2]),
        ("2024-01-01", "DATE", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "DATETIME", "2024-01-01T00:00:00Z"),
        ("PT1H", "DURATION", "PT1H"),
        ('"PT1H"', "DURATION", "PT1H"),
    ],
)
def test_a_literal_says_its_kind(api: Api, literal: str, kind: str, value: Any) -> None:
    put(api, "k", literal)
    answer = api("GET", f"{BASE}/k")
    assert (answer["type"], answer["value"], answer["revision"]) == (kind, value, 1)
    assert answer["updated"].endswith("Z")


@pytest.mark.parametrize("literal", ["{", "two words", "", "null"])
def test_an_unreadable_literal_is_refused(api: Api, literal: str) -> None:
    put(api, "k", literal, expect=422)


def test_json_as_content_type_is_a_literal_too(api: Api) -> None:
    put(api, "k", "1", kind="application/json")
    assert api("GET", f"{BASE}/k")["type"] == "NUMBER"


def test_a_missing_key_is_404_and_an_expired_one_410_once(api: Api) -> None:
    api("GET", f"{BASE}/none", expect=404)
    put(api, "k", "1", ttl="PT0.01S")
    time.sleep(0.05)
    api("GET", f"{BASE}/k", expect=410)
    api("GET", f"{BASE}/k", expect=404)


def test_a_present_key_is_kept_when_it_must_not_be_overwritten(api: Api) -> None:
    put(api, "k", "1")
    api("PUT", f"{BASE}/k?overwrite=false", "2", "text/plain", expect=409)
    assert api("GET", f"{BASE}/k")["value"] == 1
    put(api, "k", "2")
    assert (api("GET", f"{BASE}/k")["value"], api("GET", f"{BASE}/k")["revision"]) == (2, 2)


def test_delete_says_whether_it_was_there(api: Api) -> None:
    put(api, "k", "1")
    assert api("DELETE", f"{BASE}/k") is True
    assert api("DELETE", f"{BASE}/k") is False
    put(api, "a", "1")
    assert api("DELETE", BASE, {"keys": ["a", "b"]}) == {"keys": ["a"]}
    api("DELETE", BASE, {"names": []}, expect=400)


def test_lists_show_keys_without_values(api: Api) -> None:
    put(api, "b", "1", description="a mark", ttl="PT1H")
    put(api, "a", '"x"')
    listed = api("GET", BASE)
    assert [entry["key"] for entry in listed] == ["a", "b"]
    assert listed[1]["description"] == "a mark"
    assert "expirationDate" in listed[1]
    assert all("value" not in entry for entry in listed)
    api("PUT", "/api/v1/main/namespaces/other/kv/c", "1", "text/plain")
    page = api("GET", "/api/v1/main/kv?size=2")
    assert (page["total"], [entry["key"] for entry in page["results"]]) == (3, ["a", "b"])
    assert api("GET", "/api/v1/main/kv?filters[namespace][EQUALS]=other")["total"] == 1
    assert api("GET", "/api/v1/kv")["total"] == 3


def test_inheritance_lists_own_keys_and_those_of_parents_nearest_first(api: Api) -> None:
    put(api, "both", "1")
    api("PUT", "/api/v1/main/namespaces/acme/kv/both", "2", "text/plain")
    api("PUT", "/api/v1/main/namespaces/acme/kv/above", "2", "text/plain")
    found = {entry["key"]: entry["namespace"] for entry in api("GET", f"{BASE}/inheritance")}
    assert found == {"both": "acme.data", "above": "acme"}


@pytest.mark.parametrize("key", ["-a", "a%20b", "%2e%2e"])
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    api("PUT", f"{BASE}/{key}", "1", "text/plain", expect=422)


def test_a_visitor_without_credentials_gets_nothing(api: Api) -> None:
    Api()("GET", f"{BASE}/k", expect=401)


# ---------------------------------------------------------------- below REST


def test_the_function_kv_looks_in_parents_of_the_own_namespace_only(api: Api) -> None:
    store.put("main", "acme", "k", values.typed(5))
    kv = functions.kv_function("main", "acme.data")
    assert kv("k") == 5
    assert kv("k", "acme.data") == 5
    with pytest.raises(ExpressionError) as missing:
        kv("k", "acme.other")
    assert missing.value.code == "kv.missing"
    assert kv("k", "acme.other", False) is None


def test_keys_of_another_tenant_are_another_tenants(api: Api) -> None:
    store.put("main", "acme", "k", values.typed(5))
    with pytest.raises(store.KeyMissing):
        store.get("elsewhere", "acme", "k")


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        ("12", "NUMBER", 12),
        ("false", "BOOLEAN", False),
        ("2024-02-03T04:05:06+02:00", "DATETIME", "2024-02-03T02:05:06Z"),
        ("2024-02-03T04:05:06Z", "DATE", "2024-02-03"),
        ("2024-02-03", "DATE", "2024-02-03"),
        ("PT5M", "DURATION", "PT5M"),
        ('{"a": 1}', "JSON", {"a": 1}),
        (1, "STRING", "1"),
        ({"a": 1}, "STRING", '{"a":1}'),
    ],
)
def test_a_value_is_converted_to_its_kind(value: Any, kind: str, found: Any) -> None:
    assert values.typed(value, kind) == (kind, found)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("x", "NUMBER"),
        ("yes", "BOOLEAN"),
        ("soon", "DATETIME"),
        ("x", "DATE"),
        ("1h", "DURATION"),
        ("{", "JSON"),
        (None, "STRING"),
        (1, "ODD"),
    ],
)
def test_a_value_that_is_none_of_its_kind_is_refused(value: Any, kind: str) -> None:
    with pytest.raises(values.ValueUnreadable):
        values.typed(value, kind)


# ---------------------------------------------------------------- inputs


FLOW = """\
id: kept
namespace: acme.data
inputs:
  - {id: mark, type: INT, defaults: "{{ kv('mark') }}"}
  - {id: password, type: SECRET}
tasks:
  - {id: t, type: io.kestra.plugin.core.log.Log, message: hi, runIf: "false"}
"""


def test_a_default_may_be_a_key_and_a_secret_input_is_stored_encrypted(api: Api, engine: Any) -> None:
    import orjson

    from controlplane.executions.models import Execution
    from controlplane.vault.encryption import decrypt

    put(api, "mark", "7")
    api.create(FLOW)
    api("POST", "/api/v1/main/executions/acme.data/kept", {"password": "hunter2"}, "multipart")
    stored = orjson.loads(Execution.objects.get().inputs or "{}")
    assert stored["mark"] == 7
    assert stored["password"]["type"] == "io.kestra.datatype:aes_encrypted"
    assert "hunter2" not in str(stored)
    assert decrypt("main", stored["password"]["value"]) == "hunter2"
