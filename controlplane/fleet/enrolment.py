"""How a worker becomes one of a tenant's: a join token is exchanged for the worker's own credential.

Tokens and credentials are random, shown once and stored as digests. Both are 256 bits, so a plain digest is enough.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

import orjson
from django.db import transaction
from django.db.models import F

from controlplane.fleet.models import JoinToken, Worker
from flows.errors import HeadraceError
from wire.ids import new_id

JOIN_TOKEN_SECONDS = 3600
"""Default life of a join token."""


class EnrolmentRefused(HeadraceError):
    """The join token is unknown, used up or too old. The three look alike on purpose."""

    code = "worker.join_refused"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks on a stream: from the credential, never from a message."""

    tenant: str
    worker_group: str
    worker_id: str


def digest(secret: str) -> str:
    """What is stored of a token or credential."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create_join_token(tenant: str, worker_group: str = "default", *, uses: int = 1, seconds: int = JOIN_TOKEN_SECONDS) -> str:
    """A token that enrols up to `uses` workers of the group within `seconds`. Shown once."""
    token = "hr-join-" + secrets.token_urlsafe(32)
    JoinToken.objects.create(
        tenant_id=tenant,
        worker_group=worker_group,
        digest=digest(token),
        uses_left=uses,
        expires_at_us=(time.time_ns() // 1000) + seconds * 1_000_000,
    )
    return token


def enrol(join_token: str, name: str, labels: dict[str, str], version: str) -> tuple[Identity, str]:
    """Exchanges a join token for a worker identity and its credential. Raises EnrolmentRefused."""
    now = time.time_ns() // 1000
    with transaction.atomic():
        token = JoinToken.objects.filter(digest=digest(join_token)).first()
        used = JoinToken.objects.filter(digest=digest(join_token), uses_left__gt=0, expires_at_us__gt=now).update(
            uses_left=F("uses_left") - 1
        )
        if token is None or not used:
            raise EnrolmentRefused("the join token is not valid: it is unknown, used up or too old; ask for a new one")
        credential = "hr-worker-" + secrets.token_urlsafe(32)
        worker = Worker.objects.create(
            tenant_id=token.tenant_id,
            id=new_id(),
            worker_group=token.worker_group,
            name=name[:200],
            digest=digest(credential),
            labels=orjson.dumps(labels).decode(),
            version=version[:40],
            enrolled_at_us=now,
        )
    return Identity(worker.tenant_id, worker.worker_group, worker.id), credential


def identify(credential: str) -> Identity | None:
    """The worker this credential belongs to, unless it is unknown or withdrawn."""
    row = (
        Worker.objects.filter(digest=digest(credential), revoked_at_us__isnull=True)
        .values_list("tenant_id", "worker_group", "id")
        .first()
    )
    return Identity(*row) if row is not None else None
