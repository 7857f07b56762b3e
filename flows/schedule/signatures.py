"""Whether a webhook call was signed by who it says: HMAC signatures and tokens of the usual senders.

    check(verification, secret, headers, body, now)      # raises SignatureRefused

Secrets and digests are compared in constant time. A timestamp that is part of the signature must lie within the tolerance of
`now`, so that a recorded call cannot be played back later; inside the tolerance the caller de-duplicates by `replay_key`.
Sources: the senders' own documentation of their headers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field, model_validator

from flows.errors import HeadraceError
from flows.plugins import Properties
from flows.spec.shapes import Duration

TOLERANCE = timedelta(minutes=5)
"""Age of a signed timestamp, in both directions, unless the flow says another one. The senders recommend it."""

Headers = Mapping[str, Sequence[str]]


class SignatureRefused(HeadraceError):
    """The call is not signed, wrongly signed, or too old. Says which header, never what was expected in it."""

    code = "webhook.signature"


class Verification(Properties):
    """`verification` of a Webhook trigger: a preset, or `generic` with the header and the way the signature is written.

    github: `X-Hub-Signature-256`; gitlab: the token itself in `X-Gitlab-Token`; stripe: `Stripe-Signature` with `t` and `v1`;
    slack: `X-Slack-Signature` over version, `X-Slack-Request-Timestamp` and body; shopify: `X-Shopify-Hmac-Sha256`.
    generic: `header` holds `prefix` and the HMAC of the body, or of `<timestamp>.<body>` when `timestampHeader` names one.
    """

    type: Literal["github", "gitlab", "stripe", "slack", "shopify", "generic"]
    secret: str = Field(min_length=1)
    """What both sides know; an expression such as `{{ secret('HOOK') }}`."""
    header: str | None = None
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    timestamp_header: str | None = None
    tolerance: Duration = TOLERANCE
    """How far a signed timestamp may be from now (stripe, slack, generic with `timestampHeader`)."""

    @model_validator(mode="after")
    def _fits(self) -> Verification:
        if self.type == "generic":
            if self.header is None:
                raise ValueError("`header` is required: the name of the header that holds the signature")
        else:
            own = {"header", "algorithm", "encoding", "prefix", "timestamp_header"} & self.model_fields_set
            if own:
                raise ValueError(f"`{min(own)}` belongs to the type `generic`; `{self.type}` knows its own")
        if self.tolerance <= timedelta(0):
            raise ValueError("`tolerance` must be longer than zero, such as PT5M")
        return self


def check(verification: Verification, secret: str, headers: Headers, body: bytes, now: datetime) -> None:
    """Returns when the call is genuine. `secret`: rendered. `headers`: by name in any case. Raises SignatureRefused."""
    if not secret:
        raise SignatureRefused("the secret of `verification` is empty, so nothing can be verified", code="webhook.secret_missing")
    given = {name.lower(): list(values) for name, values in headers.items()}
    match verification.type:
        case "github":
            _signed(given, "x-hub-signature-256", "sha256=", secret, body)
        case "gitlab":
            _equal(_one(given, "x-gitlab-token").encode(), secret.encode(), "x-gitlab-token")
        case "shopify":
            _signed(given, "x-shopify-hmac-sha256", "", secret, body, encoding="base64")
        case "slack":
            timestamp = _timestamp(_one(given, "x-slack-request-timestamp"), verification.tolerance, now)
            _signed(given, "x-slack-signature", "v0=", secret, b"v0:" + timestamp + b":" + body)
        case "stripe":
            _stripe(given, secret, body, verification.tolerance, now)
        case "generic":
            signed = body
            if verification.timestamp_header is not None:
                stamp = _one(given, verification.timestamp_header.lower())
                signed = _timestamp(stamp, verification.tolerance, now) + b"." + body
            header = (verification.header or "").lower()
            _signed(given, header, verification.prefix, secret, signed, verification.algorithm, verification.encoding)


def replay_key(verification: Verification, headers: Headers, body: bytes) -> str:
    """What is equal for two calls that are the same call, to de-duplicate within the tolerance. Reveals nothing of the body."""
    given = {name.lower(): list(values) for name, values in headers.items()}
    name = _DELIVERY.get(verification.type, (verification.header or "").lower())
    signature = ",".join(given.get(name, []))
    return hashlib.sha256(b"\0".join((verification.type.encode(), signature.encode(), body))).hexdigest()


_DELIVERY = {
    "github": "x-github-delivery",
    "gitlab": "x-gitlab-event-uuid",
    "stripe": "stripe-signature",
    "slack": "x-slack-signature",
    "shopify": "x-shopify-webhook-id",
}
"""Preset → the header that tells two deliveries of one body apart."""


def _stripe(given: Mapping[str, list[str]], secret: str, body: bytes, tolerance: timedelta, now: datetime) -> None:
    header = _one(given, "stripe-signature")
    parts = [part.partition("=") for part in header.split(",")]
    stamp = next((value for key, _, value in parts if key.strip() == "t"), "")
    timestamp = _timestamp(stamp, tolerance, now)
    expected = _digest(secret, timestamp + b"." + body, "sha256", "hex")
    # While a secret is being replaced the header carries a signature of each; every one is compared, whatever the first says.
    matches = [hmac.compare_digest(value.encode(), expected) for key, _, value in parts if key.strip() == "v1"]
    if not any(matches):
        raise SignatureRefused("the signature in the header `stripe-signature` does not fit the body")


def _signed(
    given: Mapping[str, list[str]],
    header: str,
    prefix: str,
    secret: str,
    signed: bytes,
    algorithm: str = "sha256",
    encoding: str = "hex",
) -> None:
    value = _one(given, header)
    if not value.startswith(prefix):
        raise SignatureRefused(f"the header `{header}` must begin with `{prefix}`")
    written = value[len(prefix) :].strip()
    _equal((written.lower() if encoding == "hex" else written).encode(), _digest(secret, signed, algorithm, encoding), header)


def _equal(found: bytes, expected: bytes, header: str) -> None:
    if not hmac.compare_digest(found, expected):
        raise SignatureRefused(f"the signature in the header `{header}` does not fit the body")


def _digest(secret: str, signed: bytes, algorithm: str, encoding: str) -> bytes:
    digest = hmac.new(secret.encode(), signed, algorithm)
    return base64.b64encode(digest.digest()) if encoding == "base64" else digest.hexdigest().encode()


def _one(given: Mapping[str, list[str]], header: str) -> str:
    values = given.get(header, [])
    if len(values) != 1:
        found = "none" if not values else f"{len(values)} of them"
        raise SignatureRefused(f"expected one header `{header}`, found {found}")
    return values[0]


def _timestamp(text: str, tolerance: timedelta, now: datetime) -> bytes:
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise SignatureRefused("the signed timestamp must be in whole seconds since 1970")
    if abs(now.timestamp() - int(text)) > tolerance.total_seconds():
        raise SignatureRefused(
            f"the signed timestamp is more than {int(tolerance.total_seconds())} s from now", code="webhook.signature_expired"
        )
    return text.encode()
