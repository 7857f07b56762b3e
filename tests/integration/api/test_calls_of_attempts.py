"""What a worker may ask under an attempt's token, answered from the real tables: files, keys, kept results, logs, secrets."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from controlplane.executions.models import Execution, HandOut, TaskRun
from controlplane.files import namespace_files, storage
from controlplane.gateway import files, values
from controlplane.gateway.attempts import Attempt, NotYours, may_read
from controlplane.kv import store
from controlplane.logs.models import LogChunk
from controlplane.logs.store import COLUMNS, Chunk, chunk_row
from controlplane.platform.errors import Conflict
from controlplane.vault.encryption import Undecryptable, decrypt, encrypt
from flows.errors import HeadraceError
from tests.integration.api.client import Api
from wire import gateway

pytestmark = pytest.mark.usefixtures("api")


def execution(execution_id: str, **more: Any) -> None:
    row = {
        "tenant_id": "main",
        "id": execution_id,
        "namespace": "acme.data",
        "flow_id": "f",
        "flow_revision": 1,
        "state": "RUNNING",
        "history": "[]",
        "cursor": "[]",
        "created_at_us": 1,
    }
    Execution(**{**row, **more}).save(force_insert=True)


def task_run(run_id: str, attempts: list[dict[str, Any]], **more: Any) -> None:
    row = {"tenant_id": "main", "execution_id": "e1", "id": run_id, "seq": 1, "task_id": "t", "state": "RUNNING", "history": "[]"}
    row |= {"attempt": len(attempts), "attempts": orjson.dumps(attempts).decode(), "created_at_us": 1}
    TaskRun(**{**row, **more}).save(force_insert=True)


@pytest.fixture
def attempt(empty: None) -> Attempt:
    execution("e1")
    return Attempt("main", "acme.data", "f", 1, "e1", "t", "r1")


def put(attempt: Attempt, data: bytes, **first: Any) -> str:
    import hashlib
    import queue

    pipe: queue.Queue[gateway.PutFileChunk | None] = queue.Queue()
    chunk = gateway.PutFileChunk(name="n.txt", data=data, sha256=hashlib.sha256(data).hexdigest(), **first)
    pipe.put(chunk)
    return files._store(attempt, chunk, pipe).uri


def read(attempt: Attempt, **request: Any) -> bytes:
    return b"".join(files._open(attempt, gateway.GetFileRequest(**request)))


def test_a_file_of_a_task_run_below_an_attempt_is_stored_under_its_own_name(attempt: Attempt) -> None:
    uri = put(attempt, b"x", sub_run=gateway.SubRunName(id="r2", task_id="child"))
    assert uri == "kestra:///acme/data/f/executions/e1/tasks/child/r2/n.txt"
    assert read(attempt, uri=uri) == b"x"


def test_a_cache_is_kept_for_the_task_between_executions(attempt: Attempt) -> None:
    with pytest.raises(HeadraceError) as missing:
        read(attempt, cache="whole")
    assert missing.value.code == "cache.missing"
    put(attempt, b"zip", cache="whole")
    later = Attempt("main", "acme.data", "f", 2, "e9", "t", "r9")
    assert read(later, cache="whole") == b"zip"
    for other in (Attempt("main", "acme.data", "f", 1, "e1", "u", "r1"), Attempt("main", "acme.data", "g", 1, "e1", "t", "r1")):
        with pytest.raises(HeadraceError):
            read(other, cache="whole")


def test_a_namespace_file_is_written_by_its_conflict_rule(attempt: Attempt) -> None:
    place = {"namespace": "acme.code", "path": "a/b.txt"}
    uri = put(attempt, b"1", namespace_file=gateway.NamespacePlace(**place))
    assert uri == "kestra:///acme/code/_files/a/b.txt"
    put(attempt, b"2", namespace_file=gateway.NamespacePlace(**place, conflict="SKIP"))
    assert read(attempt, uri="nsfile:///a/b.txt", namespace="acme.code") == b"1"
    with pytest.raises(Conflict):
        put(attempt, b"2", namespace_file=gateway.NamespacePlace(**place, conflict="ERROR"))
    put(attempt, b"2", namespace_file=gateway.NamespacePlace(**place, conflict="OVERWRITE"))
    assert read(attempt, uri="nsfile:///a/b.txt", namespace="acme.code", version=1) == b"1"
    assert read(attempt, uri=uri) == b"2"


def test_files_are_measured_and_removed(attempt: Attempt) -> None:
    uri = put(attempt, b"12345")
    assert files._info(attempt, gateway.FileInfoRequest(uri=uri)).size_bytes == 5
    assert files._delete(attempt, gateway.DeleteFileRequest(uri=uri)).deleted
    assert not files._delete(attempt, gateway.DeleteFileRequest(uri=uri)).deleted
    assert not files._info(attempt, gateway.FileInfoRequest(uri=uri)).exists
    namespace_files.put_namespace_file("main", "acme.data", "x", b"123")
    assert files._info(attempt, gateway.FileInfoRequest(uri="nsfile:///x")).size_bytes == 3
    assert files._delete(attempt, gateway.DeleteFileRequest(uri="nsfile:///x")).deleted


def test_a_file_of_the_execution_that_started_this_one_may_be_read_and_of_others_not(attempt: Attempt) -> None:
    execution("p1", namespace="parent", flow_id="p")
    execution("g1", namespace="grand", flow_id="g")
    started = {"id": "x", "type": "t", "variables": {"executionId": "p1"}}
    Execution.objects.filter(id="e1").update(trigger=orjson.dumps(started).decode())
    above = {**started, "variables": {"executionId": "g1"}}
    Execution.objects.filter(id="p1").update(trigger=orjson.dumps(above).decode())
    assert may_read(attempt, "kestra:///parent/p/executions/p1/tasks/t/r/n.txt")
    assert may_read(attempt, "kestra:///grand/g/executions/g1/tasks/t/r/n.txt")
    assert may_read(attempt, "kestra:///acme/data/other/executions/e7/tasks/t/r/n.txt")
    assert not may_read(attempt, "kestra:///parent/p/executions/p2/tasks/t/r/n.txt")
    assert not may_read(attempt, "kestra:///acme/data/below/f/executions/e7/tasks/t/r/n.txt")
    assert not may_read(attempt, "kestra:///acme/data/../../parent/p/executions/p2/x")
    with pytest.raises(NotYours):
        read(attempt, uri="kestra:///parent/p/executions/p2/tasks/t/r/n.txt")


def test_inputs_of_a_repeated_execution_may_be_read(attempt: Attempt) -> None:
    execution("first", namespace="elsewhere", flow_id="z")
    execution("again", namespace="elsewhere", flow_id="z", parent_id="first", original_id="first")
    repeated = Attempt("main", "acme.data", "f", 1, "again", "t", "r")
    assert may_read(repeated, "kestra:///elsewhere/z/executions/first/inputs/f/x.csv")


def test_only_files_of_the_own_execution_are_removed(attempt: Attempt) -> None:
    stored = storage.put_task_file("main", "acme.data", "f", "e7", "t", "r", "n.txt", [b"x"])
    with pytest.raises(NotYours):
        files._delete(attempt, gateway.DeleteFileRequest(uri=stored.uri))


def test_keys_are_set_found_and_deleted(attempt: Attempt) -> None:
    values.kv_set(attempt, gateway.KvSetRequest(key="k", value_json=b"1", overwrite=True))
    found = values.kv_get(attempt, gateway.KvGetRequest(key="k"))
    assert (found.presence, found.type, found.value_json) == (gateway.KvEntry.PRESENT, "NUMBER", b"1")
    with pytest.raises(store.KeyPresent):
        values.kv_set(attempt, gateway.KvSetRequest(key="k", value_json=b"2"))
    below = Attempt("main", "acme.data.deep", "f", 1, "e1", "t", "r1")
    assert values.kv_get(below, gateway.KvGetRequest(key="k")).presence == gateway.KvEntry.MISSING
    assert values.kv_get(below, gateway.KvGetRequest(key="k", inherit=True)).namespace == "acme.data"
    assert list(values.kv_keys(attempt, gateway.KvKeysRequest(prefix="k")).keys) == ["k"]
    assert values.kv_delete(attempt, gateway.KvDeleteRequest(key="k")).deleted


def test_an_expired_key_is_said_to_be_expired(attempt: Attempt) -> None:
    import time

    values.kv_set(attempt, gateway.KvSetRequest(key="k", value_json=b"1", ttl_ms=1))
    time.sleep(0.02)
    assert values.kv_get(attempt, gateway.KvGetRequest(key="k")).presence == gateway.KvEntry.EXPIRED


def test_a_state_per_value_is_one_key_for_each_value_of_a_loop(attempt: Attempt) -> None:
    task_run("r1", [], value="a")
    task_run("r2", [], value="b")
    other = Attempt("main", "acme.data", "f", 1, "e1", "t", "r2")
    values.kv_set(attempt, gateway.KvSetRequest(key="s", value_json=b"{}", per_value=True))
    assert values.kv_get(attempt, gateway.KvGetRequest(key="s", per_value=True)).presence == gateway.KvEntry.PRESENT
    assert values.kv_get(other, gateway.KvGetRequest(key="s", per_value=True)).presence == gateway.KvEntry.MISSING


def test_a_kept_result_is_given_back_while_young(attempt: Attempt) -> None:
    digest = "d" * 64
    assert not values.cache_get(attempt, gateway.CacheGetRequest(digest=digest)).found
    put_ = gateway.CachePutRequest(digest=digest, outputs_json=b'{"a":1}', outcome=gateway.SUCCESS)
    values.cache_put(attempt, put_)
    values.cache_put(attempt, gateway.CachePutRequest(digest=digest, outputs_json=b'{"a":2}', outcome=gateway.WARNING))
    found = values.cache_get(attempt, gateway.CacheGetRequest(digest=digest, ttl_ms=60_000))
    assert (found.found, found.outputs_json, found.outcome) == (True, b'{"a":2}', gateway.WARNING)
    import time

    time.sleep(0.01)
    assert not values.cache_get(attempt, gateway.CacheGetRequest(digest=digest, ttl_ms=1)).found
    assert not values.cache_get(attempt, gateway.CacheGetRequest(digest=digest, sub_task_id="child")).found
    with pytest.raises(NotYours):
        values.cache_put(attempt, gateway.CachePutRequest(digest=digest, outcome=gateway.FAILED))


def test_logs_of_failed_attempts_are_complete_once_every_line_is_there(attempt: Attempt) -> None:
    task_run("r1", [{"state": "FAILED", "logLines": 2, "workerId": "w"}, {"state": "SUCCESS", "logLines": 1, "workerId": "w"}])
    columns = [name for name, _ in COLUMNS]

    def stored(number: int, first: int, *lines: tuple[int, int, str]) -> None:
        row = chunk_row(Chunk("main", "e1", "r1", "t", number, first, list(lines)))
        LogChunk(**dict(zip(columns, row, strict=True))).save()

    def fetched() -> tuple[list[str], bool]:
        request = gateway.FetchLogsRequest(level_min=4, failed_only=True)
        parts, complete = values._logs(attempt, request)
        return [record.text for part in parts or () for record in part.records], complete

    stored(1, 0, (1, 4, "boom"))
    stored(2, 0, (3, 4, "of a success"))
    assert fetched() == (["boom"], False)
    stored(1, 1, (2, 2, "info"))
    assert fetched() == (["boom"], True)


def test_logs_of_an_execution_that_is_not_there_are_refused(attempt: Attempt) -> None:
    with pytest.raises(HeadraceError) as missing:
        values._logs(attempt, gateway.FetchLogsRequest(execution_id="none"))
    assert missing.value.code == "execution.missing"


# ---------------------------------------------------------------- encryption


def test_an_encrypted_text_comes_back_for_its_tenant_only() -> None:
    value = encrypt("main", "pässword\n")
    assert decrypt("main", value) == "pässword\n"
    assert encrypt("main", "pässword\n") != value
    with pytest.raises(Undecryptable):
        decrypt("other", value)


@pytest.mark.parametrize(
    "change", [lambda v: v[:-4] + "AAA=", lambda v: v[:8] + "x" + v[9:], lambda v: "v1.", lambda v: "", lambda v: "plain"]
)
def test_a_changed_value_does_not_decrypt(change: Any) -> None:
    with pytest.raises(Undecryptable):
        decrypt("main", change(encrypt("main", "secret text")))


def test_the_key_decides(settings_key: Any) -> None:
    value = encrypt("main", "x")
    settings_key("another")
    with pytest.raises(Undecryptable):
        decrypt("main", value)


@pytest.fixture
def settings_key(monkeypatch: pytest.MonkeyPatch) -> Any:
    from django.conf import settings

    return lambda key: monkeypatch.setattr(settings, "HEADRACE_ENCRYPTION_KEY", key)


def test_only_values_that_were_handed_out_are_decrypted(attempt: Attempt) -> None:
    handed, other = encrypt("main", "mine"), encrypt("main", "not mine")
    HandOut(
        tenant_id="main",
        task_run_id="r1",
        execution_id="e1",
        attempt=1,
        namespace="acme.data",
        flow_id="f",
        flow_revision=1,
        task_id="t",
        worker_group="default",
        light=True,
        context=orjson.dumps({"inputs": {"s": {"type": "x", "value": handed}}}).decode(),
        seq=1,
    ).save(force_insert=True)
    assert list(values.decrypt_values(attempt, gateway.DecryptRequest(values=[handed])).plaintexts) == ["mine"]
    for value in (other, "", "v1."):
        with pytest.raises(HeadraceError):
            values.decrypt_values(attempt, gateway.DecryptRequest(values=[value]))


def test_the_message_of_the_secrets_door_is_no_traceback(api: Api, attempt: Attempt) -> None:
    with pytest.raises(NotYours) as refused:
        values.decrypt_values(attempt, gateway.DecryptRequest(values=["v1.x"]))
    assert refused.value.code == "secret.not_declared"
