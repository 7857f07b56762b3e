"""Who this worker is: a join token is exchanged once for the worker's own credential, kept in its data folder."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import grpc.aio

from wire import gateway
from worker.config import WorkerOptions
from worker.errors import WorkerCannotStart

_ENROL = "/headrace.gateway.v1.Enrolment/Enrol"


@dataclass(frozen=True, slots=True)
class Identity:
    """An enrolled worker's identity, as its plane gave it."""

    tenant: str
    worker_group: str
    worker_id: str
    credential: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return (("authorization", f"Bearer {self.credential}"),)


def stored_identity(path: Path) -> Identity | None:
    """The identity of an earlier start; None when there is none or it cannot be read."""
    try:
        return Identity(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def store_identity(path: Path, identity: Identity) -> None:
    """Keeps the identity, readable by this user alone, in one step."""
    beside = path.with_suffix(".part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(identity), file)
    beside.replace(path)


async def enrol(channel: grpc.aio.Channel, options: WorkerOptions, version: str) -> Identity:
    """Exchanges the join token. Raises WorkerCannotStart when it is missing or refused; waits while the plane is away."""
    if not options.join_token:
        raise WorkerCannotStart(
            f"This worker has no credential in {options.data} yet. Give it a join token: --join-token or HEADRACE_JOIN_TOKEN.",
            code="worker.join_token_missing",
        )
    call = channel.unary_unary(
        _ENROL,
        request_serializer=gateway.EnrolRequest.SerializeToString,
        response_deserializer=gateway.EnrolResponse.FromString,
    )
    request = gateway.EnrolRequest(join_token=options.join_token, name=options.name, labels=options.labels, version=version)
    try:
        answer: gateway.EnrolResponse = await call(request, timeout=30, wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
            raise ConnectionError(error.details() or "the plane does not answer") from None
        raise WorkerCannotStart(
            f"The plane at {options.plane} refused the join token: {error.details()}. Ask for a new one.",
            code="worker.join_token_refused",
        ) from None
    return Identity(answer.tenant, answer.worker_group, answer.worker_id, answer.credential)
