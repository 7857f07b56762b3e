"""Webhooks over HTTP: who is answered, with what, and what it starts."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest
from django.test import AsyncClient

from controlplane.platform.threads import close_threads
from tests.integration.api.client import Api, text_of

HOOK = """\
id: hooked
namespace: acme.data
labels:
  team: core
tasks:
  - id: quiet
    type: io.kestra.plugin.core.log.Log
    message: nobody says this
    runIf: "false"
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: open-sesame
"""
PATH = "/api/v1/main/executions/webhook/acme.data/hooked/open-sesame"


def hooked(more: str = "", head: str = "") -> str:
    """The flow with more properties of its trigger."""
    return HOOK.replace("labels:\n", f"{head}labels:\n") + "".join(f"    {line}\n" for line in more.splitlines())


def variables(answer: Any) -> Any:
    return answer["trigger"]["variables"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_call_with_the_key_starts_an_execution_without_signing_in(api: Api, engine: Any, method: str) -> None:
    api.create(HOOK)
    answer = Api()(method, PATH)
    assert (answer["tenantId"], answer["namespace"], answer["flowId"]) == ("main", "acme.data", "hooked")
    assert answer["trigger"]["id"] == "hook"
    assert answer["url"].endswith(answer["id"])
    assert api("GET", f"/api/v1/main/executions/{answer['id']}")["id"] == answer["id"]


def test_the_address_without_tenant_is_that_of_main(api: Api, engine: Any) -> None:
    api.create(HOOK)
    assert Api()("POST", "/api/v1/executions/webhook/acme.data/hooked/open-sesame")["tenantId"] == "main"


def test_trap_10_headers_and_parameters_are_lists_and_a_json_body_is_parsed(api: Api, engine: Any) -> None:
    api.create(HOOK)
    answer = Api()("POST", PATH + "?a=1&a=2&b=", {"n": [1, None]}, headers={"X-Kind": "push"})
    found = variables(answer)
    assert found["body"] == {"n": [1, None]}
    assert found["headers"]["x-kind"] == ["push"]
    assert found["parameters"] == {"a": ["1", "2"], "b": [""]}


@pytest.mark.parametrize(("body", "expected"), [(b"plain text", "plain text"), (b"[1, 2]", [1, 2]), (b"", None), (b"  ", None)])
def test_a_body_of_any_type_is_taken(api: Api, engine: Any, body: bytes, expected: Any) -> None:
    api.create(HOOK)
    assert variables(Api()("POST", PATH, body, kind="text/plain")).get("body") == expected


def test_a_multipart_body_is_taken(api: Api, engine: Any) -> None:
    api.create(HOOK)
    answer = Api().raw("POST", PATH, {"part": "one"}, kind="multipart")
    assert answer.status_code == 200
    assert "one" in variables(orjson.loads(answer.content))["body"]


def test_labels_are_the_flows_then_the_triggers_and_a_correlation_id(api: Api, engine: Any) -> None:
    api.create(hooked("labels:\n  by: hook\n  team: other"))
    answer = Api()("POST", PATH)
    labels = {label["key"]: label["value"] for label in answer["labels"]}
    assert labels == {"team": "other", "by": "hook", "system.correlationId": answer["id"]}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/main/executions/webhook/acme.data/hooked/wrong-key",
        "/api/v1/main/executions/webhook/acme.data/nothing/open-sesame",
        "/api/v1/main/executions/webhook/other/hooked/open-sesame",
        "/api/v1/nobody/executions/webhook/acme.data/hooked/open-sesame",
        PATH + "/below",
    ],
)
def test_whatever_leads_nowhere_is_answered_alike(api: Api, engine: Any, path: str) -> None:
    api.create(HOOK)
    answer = Api()("POST", path, expect=404)
    assert answer["code"] == "webhook.missing"
    assert "open-sesame" not in answer["message"]
    assert answer["message"] == "Not Found: no webhook answers at this address"


def test_a_key_may_be_a_secret(api: Api, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_HOOK", base64.b64encode(b"from-the-vault").decode())
    api.create(HOOK.replace("open-sesame", "\"{{ secret('HOOK') }}\""))
    Api()("POST", PATH.replace("open-sesame", "from-the-vault"))


def test_a_key_that_cannot_be_rendered_never_matches(api: Api, engine: Any) -> None:
    api.create(HOOK.replace("open-sesame", "\"{{ secret('ABSENT') }}\""))
    for guess in ("", "None", "null", "%7B%7B%20secret('ABSENT')%20%7D%7D"):
        answer = Api().raw("POST", PATH.replace("open-sesame", guess or "%20"))
        assert answer.status_code == 404


def test_conditions_that_do_not_hold_are_answered_204_and_start_nothing(api: Api, engine: Any) -> None:
    more = 'conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: "{{ trigger.body.go }}"'
    api.create(hooked(more))
    answer = Api().raw("POST", PATH, {"go": False})
    assert (answer.status_code, answer.content) == (204, b"")
    assert Api().raw("POST", PATH, {"other": 1}).status_code == 204  # one that raises counts as false
    assert api("GET", "/api/v1/main/executions/search")["total"] == 0
    Api()("POST", PATH, {"go": "yes"})


def test_a_disabled_flow_is_answered_409(api: Api, engine: Any) -> None:
    api.create(hooked(head="disabled: true\n"))
    answer = Api()("POST", PATH, expect=409)
    assert "Cannot execute a disabled flow" in answer["message"]
    Api()("POST", PATH.replace("open-sesame", "wrong"), expect=404)


def test_a_disabled_trigger_is_answered_409_in_text_and_at_run_time(api: Api, engine: Any) -> None:
    api.create(hooked("disabled: true"))
    assert Api()("POST", PATH, expect=409)["code"] == "trigger.disabled"
    api("PUT", "/api/v1/main/flows/acme.data/hooked", HOOK)
    Api()("POST", PATH)
    switch = {"namespace": "acme.data", "flowId": "hooked", "triggerId": "hook", "disabled": True}
    api("PUT", "/api/v1/main/triggers/set-disabled", switch)
    assert Api()("POST", PATH, expect=409)["code"] == "trigger.disabled"


def test_inputs_are_rendered_and_typed_and_refused_when_they_do_not_fit(api: Api, engine: Any) -> None:
    head = "inputs:\n  - id: n\n    type: INT\n"
    api.create(hooked('inputs:\n  n: "{{ trigger.body.n }}"', head))
    assert Api()("POST", PATH, {"n": 7})["inputs"] == {"n": 7}
    Api()("POST", PATH, {"n": "many"}, expect=422)
    assert api("GET", "/api/v1/main/executions/search")["total"] == 1


def test_the_first_of_several_webhooks_with_the_key_is_called(api: Api, engine: Any) -> None:
    more = "  - id: second\n    type: io.kestra.plugin.core.trigger.Webhook\n    key: other\n"
    api.create(HOOK + more)
    assert Api()("POST", PATH)["trigger"]["id"] == "hook"
    assert Api()("POST", PATH.replace("open-sesame", "other"))["trigger"]["id"] == "second"


def test_a_repeated_call_with_the_same_idempotency_key_gets_the_first_answer(api: Api, engine: Any) -> None:
    api.create(HOOK)
    once = {"Idempotency-Key": "delivery-1"}
    first = Api()("POST", PATH, {"n": 1}, headers=once)
    again = Api()("POST", PATH, {"n": 1}, headers=once)
    assert again["id"] == first["id"]
    assert Api()("POST", PATH, {"n": 1}, headers={"Idempotency-Key": "delivery-2"})["id"] != first["id"]


def test_a_signed_webhook_takes_signed_calls_only_and_each_delivery_once(api: Api, engine: Any) -> None:
    api.create(hooked("verification:\n  type: github\n  secret: hush"))
    body = b'{"action":"opened"}'
    signature = "sha256=" + hmac.new(b"hush", body, hashlib.sha256).hexdigest()
    Api()("POST", PATH, body, kind="application/json", expect=401)
    wrong = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    answer = Api()("POST", PATH, body, kind="application/json", expect=401, headers=wrong)
    assert answer["code"] == "webhook.signature"
    assert "hush" not in answer["message"]
    right = {"X-Hub-Signature-256": signature, "X-GitHub-Delivery": "d-1"}
    first = Api()("POST", PATH, body, kind="application/json", headers=right)
    assert Api()("POST", PATH, body, kind="application/json", headers=right)["id"] == first["id"]


def test_a_webhook_that_waits_answers_with_the_outputs(api: Api, engine: Any) -> None:
    head = 'outputs:\n  - id: said\n    type: STRING\n    value: "{{ trigger.parameters.challenge[0] }}"\n'
    api.create(hooked("wait: true\nreturnOutputs: true", head))
    assert Api()("GET", PATH + "?challenge=abc") == {"said": "abc"}


def test_a_handshake_is_answered_as_plain_text(api: Api, engine: Any) -> None:
    head = 'outputs:\n  - id: said\n    type: STRING\n    value: "{{ trigger.parameters.challenge[0] }}"\n'
    api.create(hooked("wait: true\nreturnOutputs: true\nresponseContentType: text/plain", head))
    answer = Api().raw("GET", PATH + "?challenge=abc")
    assert (answer.headers["Content-Type"], text_of(answer)) == ("text/plain", "abc")


def test_the_streams_side_waits_without_holding_a_thread(api: Api, engine: Any) -> None:
    head = 'outputs:\n  - id: said\n    type: STRING\n    value: "{{ trigger.body.n }}"\n'
    api.create(hooked("wait: true\nreturnOutputs: true", head))

    async def call() -> Any:
        from django.test import override_settings

        with override_settings(ROOT_URLCONF="controlplane.stream_urls"):
            client = AsyncClient()
            good = await client.post(PATH, data=b'{"n": 5}', content_type="application/json")
            bad = await client.delete(PATH)
            return good, bad

    close_threads()  # those of another database of this process
    good, bad = asyncio.run(call())
    close_threads()
    assert orjson.loads(good.content) == {"said": "5"}
    assert bad.status_code == 405


def test_the_router_sends_webhooks_to_the_streams_side() -> None:
    from controlplane.router import is_stream

    scope = {"type": "http", "method": "POST", "query_string": b""}
    assert is_stream({**scope, "path": PATH})
    assert is_stream({**scope, "path": "/api/v1/executions/webhook/a/b/c"})
    assert not is_stream({**scope, "path": "/api/v1/main/executions/a/b"})
