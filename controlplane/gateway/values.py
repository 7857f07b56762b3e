"""Small values for attempts: keys, kept results, log lines of executions, encrypted values. Each under an attempt's token."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

import orjson
from django.db.models import Sum

from controlplane.executions.models import Execution, HandOut, TaskRun
from controlplane.fleet.enrolment import Identity
from controlplane.gateway.attempts import Attempt, Context, NotYours, attempt_of, refuse
from controlplane.gateway.auth import in_thread
from controlplane.gateway.messages import STATES
from controlplane.kv import results, store, values
from controlplane.logs.models import LogChunk
from controlplane.logs.store import LEVELS, read_lines
from controlplane.platform.errors import Missing
from controlplane.vault.encryption import decrypt
from flows.errors import HeadraceError
from wire import gateway

T = TypeVar("T")
R = TypeVar("R")

RECORDS_MAX = 500
"""Log lines of one message."""

_OUTCOMES: dict[str, gateway.Outcome] = {"SUCCESS": gateway.SUCCESS, "WARNING": gateway.WARNING}


class ValueDoor:
    """The calls. `executor` runs what touches the database."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def answer(self, identity: Identity, request: R, context: Context, function: Callable[[Attempt, R], T]) -> T:
        """Runs one call for the attempt that its request names; refusals end the call with their code."""
        attempt = await attempt_of(self._executor, identity, request.token, context)  # type: ignore[attr-defined]
        try:
            return await in_thread(self._executor, function, attempt, request)
        except HeadraceError as error:
            await refuse(context, error)
        raise AssertionError("refuse aborts the call")

    async def logs(
        self, identity: Identity, request: gateway.FetchLogsRequest, context: Context
    ) -> AsyncIterator[gateway.LogRecords]:
        """Stored lines of an execution of the tenant, then whether they are all."""
        records, complete = await self.answer(identity, request, context, _logs)
        while records is not None:
            part = await in_thread(self._executor, next, records, None)
            if part is None:
                break
            yield part
        yield gateway.LogRecords(complete=complete)


def _key(attempt: Attempt, request: gateway.KvGetRequest | gateway.KvSetRequest | gateway.KvDeleteRequest) -> str:
    """The key as asked for, with a digest of the task run's value when there is one and each value has a key of its own."""
    if not request.per_value:
        return request.key
    runs = TaskRun.objects.filter(tenant_id=attempt.tenant, execution_id=attempt.execution_id, id=attempt.task_run_id)
    value = runs.values_list("value", flat=True).first()
    return request.key if value is None else f"{request.key}_{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def kv_get(attempt: Attempt, request: gateway.KvGetRequest) -> gateway.KvEntry:
    """A key. `inherit`: parents of the namespace are asked too."""
    try:
        found = store.get(attempt.tenant, request.namespace or attempt.namespace, _key(attempt, request), inherit=request.inherit)
    except store.KeyExpired:
        return gateway.KvEntry(presence=gateway.KvEntry.EXPIRED)
    except store.KeyMissing:
        return gateway.KvEntry(presence=gateway.KvEntry.MISSING)
    return gateway.KvEntry(
        presence=gateway.KvEntry.PRESENT, type=found.kind, value_json=orjson.dumps(found.value), namespace=found.namespace
    )


def kv_set(attempt: Attempt, request: gateway.KvSetRequest) -> gateway.KvSetResult:
    """Sets a key. Refused (`kv.exists`) when it is there and must not be overwritten."""
    try:
        value = values.typed(orjson.loads(request.value_json), request.type or None)
    except orjson.JSONDecodeError:
        raise values.ValueUnreadable("the value is no JSON") from None
    version = store.put(
        attempt.tenant,
        request.namespace or attempt.namespace,
        _key(attempt, request),
        value,
        ttl_us=request.ttl_ms * 1000 if request.ttl_ms > 0 else None,
        description=request.description or None,
        overwrite=request.overwrite,
    )
    return gateway.KvSetResult(version=version)


def kv_delete(attempt: Attempt, request: gateway.KvDeleteRequest) -> gateway.KvDeleteResult:
    """Removes a key."""
    deleted = store.delete(attempt.tenant, request.namespace or attempt.namespace, _key(attempt, request))
    return gateway.KvDeleteResult(deleted=deleted)


def kv_keys(attempt: Attempt, request: gateway.KvKeysRequest) -> gateway.KvKeysResult:
    """Keys of a namespace."""
    return gateway.KvKeysResult(keys=store.keys(attempt.tenant, request.namespace or attempt.namespace, request.prefix))


def cache_get(attempt: Attempt, request: gateway.CacheGetRequest) -> gateway.CacheEntry:
    """How an earlier run of the task with the same rendered properties ended."""
    ttl_us = request.ttl_ms * 1000 if request.ttl_ms > 0 else None
    task_id = request.sub_task_id or attempt.task_id
    found = results.find(attempt.tenant, attempt.namespace, attempt.flow_id, task_id, request.digest, ttl_us)
    if found is None:
        return gateway.CacheEntry(found=False)
    state, outputs = found
    return gateway.CacheEntry(found=True, outcome=_OUTCOMES[state], outputs_json=(outputs or "").encode())


def cache_put(attempt: Attempt, request: gateway.CachePutRequest) -> gateway.CachePutResult:
    """Keeps how the task ended."""
    task_id = request.sub_task_id or attempt.task_id
    if request.outcome not in (gateway.SUCCESS, gateway.WARNING):
        raise NotYours("only what succeeded is kept", code="cache.outcome")
    outputs = request.outputs_json.decode() if request.outputs_json else None
    state = STATES[request.outcome].value
    results.keep(attempt.tenant, attempt.namespace, attempt.flow_id, task_id, request.digest[:64], state, outputs)
    return gateway.CachePutResult()


def decrypt_values(attempt: Attempt, request: gateway.DecryptRequest) -> gateway.DecryptResult:
    """Plain texts of encrypted values that the attempt was handed: of nothing else, however it was come by."""
    handed = (
        HandOut.objects.filter(tenant_id=attempt.tenant, task_run_id=attempt.task_run_id)
        .values_list("context", flat=True)
        .first()
    ) or ""
    for value in request.values:
        if not value or value not in handed:
            raise NotYours("the task was not handed this encrypted value", code="secret.not_declared")
    return gateway.DecryptResult(plaintexts=[decrypt(attempt.tenant, value) for value in request.values])


def _logs(attempt: Attempt, request: gateway.FetchLogsRequest) -> tuple[Iterator[gateway.LogRecords] | None, bool]:
    execution_id = request.execution_id or attempt.execution_id
    rows = Execution.objects.filter(tenant_id=attempt.tenant, id=execution_id)
    if request.namespace:
        rows = rows.filter(namespace=request.namespace)
    if request.flow_id:
        rows = rows.filter(flow_id=request.flow_id)
    if not rows.exists():
        raise Missing(f"no execution {execution_id} in the namespace and flow that were named", code="execution.missing")
    runs = TaskRun.objects.filter(tenant_id=attempt.tenant, execution_id=execution_id)
    failed: set[tuple[str, int]] = set()
    announced: dict[tuple[str, int], int] = {}
    for run_id, attempts in runs.exclude(attempts="[]").values_list("id", "attempts"):
        for number, one in enumerate(orjson.loads(attempts), start=1):
            if one["state"] == "FAILED":
                failed.add((run_id, number))
            if one["logLines"]:
                announced[run_id, number] = one["logLines"]
    wanted = failed if request.failed_only else announced.keys()
    stored = {
        (run_id, number): count
        for run_id, number, count in LogChunk.objects.filter(tenant_id=attempt.tenant, execution_id=execution_id)
        .values_list("task_run_id", "attempt")
        .annotate(lines=Sum("count"))
    }
    complete = all(stored.get(key, 0) >= lines for key, lines in announced.items() if key in wanted)

    def parts() -> Iterator[gateway.LogRecords]:
        part = gateway.LogRecords()
        for line in read_lines(attempt.tenant, execution_id, min_level=request.level_min):
            if request.task_ids and line.task_id not in request.task_ids:
                continue
            if request.failed_only and (line.task_run_id, line.attempt) not in failed:
                continue
            part.records.append(
                gateway.LogRecord(
                    at_us=line.at_us,
                    level=LEVELS.index(line.level),
                    text=line.text,
                    task_id=line.task_id,
                    task_run_id=line.task_run_id,
                    attempt=line.attempt,
                )
            )
            if len(part.records) >= RECORDS_MAX:
                yield part
                part = gateway.LogRecords()
        if part.records:
            yield part

    return parts(), complete
