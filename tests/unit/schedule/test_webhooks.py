"""Webhooks: which call is the trigger's, what it starts, and signatures that cannot be forged or played back."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flows.errors import ExpressionError
from flows.schedule.due import Server
from flows.schedule.signatures import SignatureRefused, Verification, check, replay_key
from flows.schedule.webhooks import Call
from tests.unit.schedule.written import FLOW, at, condition, webhook

NOW = at("2024-01-31T08:00:00Z")


def secrets(name: str) -> str:
    if name != "HOOK":
        raise ExpressionError(f"Cannot find secret for key '{name}'.", code="secret.missing")
    return "kept-private"


SERVER = Server(functions={"secret": secrets})


@pytest.mark.parametrize(
    ("written", "given", "expected"),
    [
        ("abc", "abc", True),
        ("abc", "abd", False),
        ("abc", "", False),
        (" abc ", "abc", True),
        ("{{ secret('HOOK') }}", "kept-private", True),
        ("{{ secret('GONE') }}", "{{ secret('GONE') }}", False),
        ("{{ vars.region }}-key", "eu-key", True),
        ("ключ", "ключ", True),
    ],
)
def test_the_key_is_rendered_and_trimmed_and_one_that_cannot_be_never_matches(written: str, given: str, expected: bool) -> None:
    assert webhook(key=written, server=SERVER).answers_to(given) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[1, 2]", [1, 2]),
        (b"plain text", "plain text"),
        (b"<xml/>", "<xml/>"),
        (b"12", 12),
    ],
)
def test_a_body_is_json_when_it_can_be_and_text_otherwise(body: bytes, expected: Any) -> None:
    assert Call("1", body).variables()["body"] == expected


def test_an_empty_body_is_absent() -> None:
    assert "body" not in Call("1", b" \n").variables()


def test_headers_and_parameters_are_lists() -> None:
    """Trap 10."""
    rule = webhook(key="k", inputs={"a": "{{ trigger.headers['X-One'][0] }}", "b": "{{ trigger.parameters.q[1] }}"})
    found = rule.receive(Call("1", b"", {"X-One": ["1"]}, {"q": ["x", "y"]}), NOW)
    assert found.firing is not None
    assert found.firing.variables == {"headers": {"X-One": ["1"]}, "parameters": {"q": ["x", "y"]}}
    assert found.firing.inputs == {"a": "1", "b": "y"}


def test_credentials_can_be_asked_for_but_are_not_kept() -> None:
    asked = condition("Expression", expression="{{ trigger.headers.Authorization[0] == 'Bearer t' }}")
    found = webhook(key="k", conditions=[asked]).receive(Call("1", b"", {"Authorization": ["Bearer t"], "cookie": ["s"]}), NOW)
    assert found.firing is not None and found.firing.variables["headers"] == {}


def test_false_conditions_start_nothing_and_an_error_is_a_warning() -> None:
    rule = webhook(key="k", conditions=[condition("Expression", expression="{{ trigger.body.action == 'opened' }}")])
    assert rule.receive(Call("1", b'{"action": "opened"}'), NOW).firing is not None
    closed = rule.receive(Call("1", b'{"action": "closed"}'), NOW)
    assert closed.firing is None and closed.reason is not None and closed.reason.code == "condition_false" and not closed.warnings
    odd = rule.receive(Call("1", b"text"), NOW)
    assert odd.firing is None and "Expression cannot be evaluated" in odd.warnings[0]


def test_when_gates_calls_too() -> None:
    rule = webhook(key="k", when="{{ trigger.parameters.go[0] == 'yes' }}")
    assert rule.receive(Call("1", b"", {}, {"go": ["yes"]}), NOW).firing is not None
    assert rule.receive(Call("1", b"", {}, {"go": ["no"]}), NOW).firing is None


def test_the_triggers_labels_are_not_lost() -> None:
    found = webhook(key="k", labels={"from": "{{ trigger.body.who }}"}).receive(Call("1", b'{"who": "me"}'), NOW)
    assert found.firing is not None and found.firing.labels == {"team": "data", "from": "me"}


def test_a_disabled_trigger_or_flow_takes_no_call() -> None:
    off = webhook(key="k", disabled=True).refused()
    assert off is not None and off.code == "trigger_disabled"
    flow_off = webhook(key="k", facts=replace(FLOW, disabled=True)).refused()
    assert flow_off is not None and flow_off.code == "flow_disabled"
    assert webhook(key="k").refused() is None


def test_one_delivery_has_one_key() -> None:
    rule = webhook(key="k")
    first, again = rule.receive(Call("d-1"), NOW).firing, rule.receive(Call("d-1"), NOW + timedelta(minutes=1)).firing
    assert first is not None and again is not None
    assert first.key == again.key == "company.team/report/it@call:d-1"


def test_what_a_waiting_call_is_answered_with() -> None:
    assert webhook(key="k").answer_type() == "execution"
    assert webhook(key="k", returnOutputs=True).answer_type() == "execution"
    waiting = webhook(key="k", wait=True, returnOutputs=True, responseContentType="text/plain")
    assert waiting.answer_type() == "outputs" and waiting.wait and waiting.response_content_type == "text/plain"


def test_inputs_that_cannot_be_rendered_make_a_failed_execution() -> None:
    found = webhook(key="k", inputs={"a": "{{ trigger.body.gone }}"}).receive(Call("1", b"{}"), NOW)
    assert found.firing is not None and found.firing.failure is not None


# Signatures -------------------------------------------------------------------------------------------------------------

SECRET = "It's a Secret to Everybody"
BODY = b'{"amount": 12}'
STAMP = str(int(NOW.timestamp()))


def signed(message: bytes, algorithm: str = "sha256", secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), message, getattr(hashlib, algorithm)).digest()


def stripe(*secrets_: str, stamp: str = STAMP, body: bytes = BODY) -> str:
    parts = [f"t={stamp}", *(f"v1={signed(stamp.encode() + b'.' + body, secret=one).hex()}" for one in secrets_)]
    return ",".join([*parts, "v0=ignored"])


GENUINE: dict[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "github": ({"type": "github"}, {"X-Hub-Signature-256": ["sha256=" + signed(BODY).hex()]}),
    "gitlab": ({"type": "gitlab"}, {"X-Gitlab-Token": [SECRET]}),
    "stripe": ({"type": "stripe"}, {"Stripe-Signature": [stripe(SECRET)]}),
    "stripe, secret being replaced": ({"type": "stripe"}, {"Stripe-Signature": [stripe("older", SECRET)]}),
    "slack": (
        {"type": "slack"},
        {
            "X-Slack-Request-Timestamp": [STAMP],
            "X-Slack-Signature": ["v0=" + signed(f"v0:{STAMP}:".encode() + BODY).hex()],
        },
    ),
    "shopify": ({"type": "shopify"}, {"X-Shopify-Hmac-Sha256": [base64.b64encode(signed(BODY)).decode()]}),
    "generic": ({"type": "generic", "header": "X-Sign"}, {"x-sign": [signed(BODY).hex().upper()]}),
    "generic, sha512 in base64 with a prefix": (
        {"type": "generic", "header": "X-Sign", "algorithm": "sha512", "encoding": "base64", "prefix": "sig "},
        {"X-Sign": ["sig " + base64.b64encode(signed(BODY, "sha512")).decode()]},
    ),
    "generic, sha1": ({"type": "generic", "header": "X-Sign", "algorithm": "sha1"}, {"X-Sign": [signed(BODY, "sha1").hex()]}),
    "generic, with a timestamp": (
        {"type": "generic", "header": "X-Sign", "timestampHeader": "X-Time", "tolerance": "PT1M"},
        {"X-Sign": [signed(STAMP.encode() + b"." + BODY).hex()], "X-Time": [STAMP]},
    ),
}


def verification(written: dict[str, Any]) -> Verification:
    return Verification.model_validate({"secret": "x", **written})


@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_call_is_accepted(name: str) -> None:
    written, headers = GENUINE[name]
    check(verification(written), SECRET, headers, BODY, NOW)


@pytest.mark.parametrize("name", GENUINE)
def test_a_call_without_or_with_two_signatures_is_refused(name: str) -> None:
    written, headers = GENUINE[name]
    for changed in ({}, {header: values * 2 for header, values in headers.items()}):
        with pytest.raises(SignatureRefused, match="expected one header"):
            check(verification(written), SECRET, changed, BODY, NOW)


@pytest.mark.parametrize("name", [name for name in GENUINE if name != "gitlab"])
def test_a_changed_body_is_refused(name: str) -> None:
    written, headers = GENUINE[name]
    with pytest.raises(SignatureRefused, match="does not fit the body"):
        check(verification(written), SECRET, headers, BODY + b" ", NOW)


@pytest.mark.parametrize("name", GENUINE)
def test_another_secret_is_refused_and_an_empty_one_verifies_nothing(name: str) -> None:
    written, headers = GENUINE[name]
    with pytest.raises(SignatureRefused, match="does not fit"):
        check(verification(written), "another", headers, BODY, NOW)
    with pytest.raises(SignatureRefused, match="is empty") as raised:
        check(verification(written), "", headers, BODY, NOW)
    assert raised.value.code == "webhook.secret_missing"


@pytest.mark.parametrize("name", ["stripe", "slack", "generic, with a timestamp"])
@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_recorded_call_cannot_be_played_back_outside_the_tolerance(name: str, minutes: int) -> None:
    written, headers = GENUINE[name]
    with pytest.raises(SignatureRefused, match="from now") as raised:
        check(verification(written), SECRET, headers, BODY, NOW + timedelta(minutes=minutes))
    assert raised.value.code == "webhook.signature_expired"


@pytest.mark.parametrize("stamp", ["", "soon", "-1", "1e9", "٣", "9" * 13])
def test_a_timestamp_that_is_none_is_refused(stamp: str) -> None:
    with pytest.raises(SignatureRefused):
        check(verification({"type": "stripe"}), SECRET, {"Stripe-Signature": [stripe(SECRET, stamp=stamp)]}, BODY, NOW)


def test_a_prefix_that_is_missing_is_named() -> None:
    with pytest.raises(SignatureRefused, match="must begin with `sha256=`"):
        check(verification({"type": "github"}), SECRET, {"X-Hub-Signature-256": [signed(BODY).hex()]}, BODY, NOW)


def test_no_refusal_tells_what_was_expected() -> None:
    for written, headers in GENUINE.values():
        with pytest.raises(SignatureRefused) as raised:
            check(verification(written), "another", headers, BODY, NOW)
        assert "another" not in str(raised.value) and SECRET not in str(raised.value)


def test_the_same_call_has_the_same_replay_key_and_another_delivery_another() -> None:
    github = verification({"type": "github"})
    first = replay_key(github, {"X-GitHub-Delivery": ["1"]}, BODY)
    assert first == replay_key(github, {"x-github-delivery": ["1"]}, BODY)
    assert first != replay_key(github, {"X-GitHub-Delivery": ["2"]}, BODY)
    assert first != replay_key(github, {"X-GitHub-Delivery": ["1"]}, b"other")


def test_the_trigger_checks_the_signature_before_anything_else() -> None:
    rule = webhook(key="k", server=SERVER, verification={"type": "github", "secret": "{{ secret('HOOK') }}"})
    good = {"X-Hub-Signature-256": ["sha256=" + signed(BODY, secret="kept-private").hex()]}
    found = rule.receive(Call("1", BODY, good), NOW)
    assert found.firing is not None and found.replay_key is not None
    with pytest.raises(SignatureRefused):
        rule.receive(Call("1", BODY, {}), NOW)
