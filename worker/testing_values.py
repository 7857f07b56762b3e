"""The scripted plane's small values: keys, kept results, log records, encrypted values, files that are measured and removed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import grpc.aio

from wire import gateway


class ScriptedValues:
    """What tests put in and look at. `keys`: (namespace, key) → (kind, value), None = expired. `kept`: by task and digest.

    `records`: log records; `complete`: whether the plane says that they are all. `encrypted`: plain text by encrypted value.
    `asked`: names of the calls made, in order.
    """

    def __init__(self, namespace: Callable[[], str], files: dict[str, bytes], namespace_files: dict[str, bytes]) -> None:
        self._namespace = namespace
        self._files = files
        self._namespace_files = namespace_files
        self.keys: dict[tuple[str, str], tuple[str, Any] | None] = {}
        self.ttls: dict[tuple[str, str], int] = {}
        self.kept: dict[tuple[str, str], gateway.CachePutRequest] = {}
        self.records: list[gateway.LogRecord] = []
        self.complete = True
        self.encrypted: dict[str, str] = {}
        self.asked: list[str] = []

    def handlers(self) -> Mapping[str, grpc.RpcMethodHandler[Any, Any]]:
        """The calls, for a generic handler of the service."""
        answers: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
            "KvGet": (self._kv_get, gateway.KvGetRequest, gateway.KvEntry),
            "KvSet": (self._kv_set, gateway.KvSetRequest, gateway.KvSetResult),
            "KvDelete": (self._kv_delete, gateway.KvDeleteRequest, gateway.KvDeleteResult),
            "KvKeys": (self._kv_keys, gateway.KvKeysRequest, gateway.KvKeysResult),
            "CacheGet": (self._cache_get, gateway.CacheGetRequest, gateway.CacheEntry),
            "CachePut": (self._cache_put, gateway.CachePutRequest, gateway.CachePutResult),
            "Decrypt": (self._decrypt, gateway.DecryptRequest, gateway.DecryptResult),
            "FileInfo": (self._info, gateway.FileInfoRequest, gateway.FileInfoResult),
            "DeleteFile": (self._delete, gateway.DeleteFileRequest, gateway.DeleteFileResult),
        }
        made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            name: grpc.unary_unary_rpc_method_handler(
                self._noted(name, answer), request.FromString, answer_type.SerializeToString
            )
            for name, (answer, request, answer_type) in answers.items()
        }
        made["FetchLogs"] = grpc.unary_stream_rpc_method_handler(
            self._logs, gateway.FetchLogsRequest.FromString, gateway.LogRecords.SerializeToString
        )
        return made

    def _noted(self, name: str, answer: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        async def call(request: Any, context: Any) -> Any:
            self.asked.append(name)
            try:
                return answer(request)
            except LookupError as error:
                await context.abort(grpc.StatusCode.ALREADY_EXISTS, str(error.args[0]))

        return call

    def _space(self, request: Any) -> str:
        return request.namespace or self._namespace()

    def _kv_get(self, request: gateway.KvGetRequest) -> gateway.KvEntry:
        space = self._space(request)
        while True:
            place = (space, request.key)
            if place in self.keys:
                found = self.keys[place]
                if found is None:
                    return gateway.KvEntry(presence=gateway.KvEntry.EXPIRED)
                kind, value = found
                return gateway.KvEntry(presence=gateway.KvEntry.PRESENT, type=kind, value_json=json.dumps(value).encode())
            if not request.inherit or "." not in space:
                return gateway.KvEntry(presence=gateway.KvEntry.MISSING)
            space = space.rpartition(".")[0]

    def _kv_set(self, request: gateway.KvSetRequest) -> gateway.KvSetResult:
        place = (self._space(request), request.key)
        if place in self.keys and not request.overwrite:
            raise LookupError(f"kv.exists: the key {request.key} is there")
        self.keys[place] = (request.type, json.loads(request.value_json))
        self.ttls[place] = request.ttl_ms
        return gateway.KvSetResult(version=1)

    def _kv_delete(self, request: gateway.KvDeleteRequest) -> gateway.KvDeleteResult:
        return gateway.KvDeleteResult(deleted=self.keys.pop((self._space(request), request.key), None) is not None)

    def _kv_keys(self, request: gateway.KvKeysRequest) -> gateway.KvKeysResult:
        space = self._space(request)
        return gateway.KvKeysResult(keys=sorted(key for at, key in self.keys if at == space and key.startswith(request.prefix)))

    def _cache_get(self, request: gateway.CacheGetRequest) -> gateway.CacheEntry:
        found = self.kept.get((request.sub_task_id, request.digest))
        if found is None:
            return gateway.CacheEntry(found=False)
        return gateway.CacheEntry(found=True, outputs_json=found.outputs_json, outcome=found.outcome)

    def _cache_put(self, request: gateway.CachePutRequest) -> gateway.CachePutResult:
        self.kept[request.sub_task_id, request.digest] = request
        return gateway.CachePutResult()

    def _decrypt(self, request: gateway.DecryptRequest) -> gateway.DecryptResult:
        return gateway.DecryptResult(plaintexts=[self.encrypted[value] for value in request.values])

    def _find(self, uri: str) -> bytes | None:
        if uri.startswith("nsfile:///"):
            return self._namespace_files.get(uri.removeprefix("nsfile:///"))
        return self._files.get(uri)

    def _info(self, request: gateway.FileInfoRequest) -> gateway.FileInfoResult:
        data = self._find(request.uri)
        return gateway.FileInfoResult(exists=data is not None, size_bytes=len(data or b""), uri=request.uri)

    def _delete(self, request: gateway.DeleteFileRequest) -> gateway.DeleteFileResult:
        found = self._find(request.uri) is not None
        self._files.pop(request.uri, None)
        self._namespace_files.pop(request.uri.removeprefix("nsfile:///"), None)
        return gateway.DeleteFileResult(deleted=found, uri=request.uri)

    async def _logs(self, request: gateway.FetchLogsRequest, context: Any) -> AsyncIterator[gateway.LogRecords]:
        self.asked.append("FetchLogs")
        chosen = [
            record
            for record in self.records
            if record.level >= request.level_min and (not request.task_ids or record.task_id in request.task_ids)
        ]
        yield gateway.LogRecords(records=chosen)
        yield gateway.LogRecords(complete=self.complete)
