"""Core tasks on a real worker: keys, state, storage, namespace files, batches, checks (tasks §2–§6)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wire import gateway
from worker.testing import FakeGateway

CORE = "io.kestra.plugin.core."
NAMESPACE = "company.team"
FILE = "kestra:///company/team/flow/executions/e/inputs/f/data.ion"
pytestmark = pytest.mark.usefixtures("agent")


def run(plane: FakeGateway, type_: str, context: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    """Outputs of a task that has to succeed."""
    result = end(plane, type_, context, **properties)
    assert result.outcome == gateway.SUCCESS, result.error_message
    found: dict[str, Any] = json.loads(result.outputs_json or b"{}")
    return found


def end(plane: FakeGateway, type_: str, context: dict[str, Any] | None = None, **properties: Any) -> gateway.Result:
    task = {"id": "t", "type": CORE + type_, **properties}
    return plane.result(plane.assign(task, context))


def refused(result: gateway.Result, code: str) -> str:
    assert (result.outcome, result.error_code) == (gateway.FAILED, code), result.error_message
    return result.error_message


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("{{ 1 }}", 1),
        ("1", "1"),
        (3, 3),
        (True, True),
        ("{{ inputs.map }}", {"a": [1]}),
        ("x{{ 1 }}", "x1"),
        ([1, "{{ 2 }}"], [1, 2]),
    ],
)
def test_a_key_without_kind_keeps_the_rendered_type(plane: FakeGateway, written: Any, stored: Any) -> None:
    run(plane, "kv.Set", {"inputs": {"map": {"a": [1]}}}, key="k", value=written)
    assert plane.values.keys[NAMESPACE, "k"] == ("", stored)


def test_kind_ttl_and_namespace_travel_with_a_key(plane: FakeGateway) -> None:
    run(plane, "kv.Set", key="k", value="PT1H", kvType="DURATION", ttl="PT2S", namespace="other")
    assert plane.values.keys["other", "k"] == ("DURATION", "PT1H")
    assert plane.values.ttls["other", "k"] == 2_000


def test_a_present_key_is_not_overwritten_when_that_is_unwanted(plane: FakeGateway) -> None:
    plane.values.keys[NAMESPACE, "k"] = ("NUMBER", 1)
    refused(end(plane, "kv.Set", key="k", value=2, overwrite=False), "kv.exists")
    assert plane.values.keys[NAMESPACE, "k"] == ("NUMBER", 1)


def test_get_gives_the_typed_value_of_the_namespace_or_a_parent(plane: FakeGateway) -> None:
    plane.values.keys["company", "k"] = ("JSON", {"a": 1})
    assert run(plane, "kv.Get", key="k") == {"value": {"a": 1}}


def test_get_of_a_missing_key_is_an_error_unless_told_otherwise(plane: FakeGateway) -> None:
    assert "'k'" in refused(end(plane, "kv.Get", key="k"), "kv.missing")
    assert run(plane, "kv.Get", key="k", errorOnMissing=False) == {"value": None}


def test_get_of_an_expired_key_is_an_error_in_any_case(plane: FakeGateway) -> None:
    plane.values.keys[NAMESPACE, "k"] = None
    refused(end(plane, "kv.Get", key="k", errorOnMissing=False), "kv.expired")


def test_keys_are_listed_by_prefix_and_deleted(plane: FakeGateway) -> None:
    for key in ("b1", "a2", "a1"):
        plane.values.keys[NAMESPACE, key] = ("NUMBER", 1)
    assert run(plane, "kv.GetKeys", prefix="a") == {"keys": ["a1", "a2"]}
    assert run(plane, "kv.Delete", key="a1") == {"deleted": True}
    assert run(plane, "kv.Delete", key="a1") == {"deleted": False}
    refused(end(plane, "kv.Delete", key="a1", errorOnMissing=True), "kv.missing")


def test_the_function_kv_gives_typed_values(plane: FakeGateway) -> None:
    plane.values.keys[NAMESPACE, "n"] = ("NUMBER", 41)
    plane.values.keys["other", "n"] = ("NUMBER", 1)
    out = run(
        plane, "debug.Return", format="{{ kv('n') + kv('n', namespace='other') }}/{{ kv('x', errorOnMissing=false) ?? 'none' }}"
    )
    assert out == {"value": "42/none"}
    refused(end(plane, "debug.Return", format="{{ kv('x') }}"), "kv.missing")


def test_state_is_merged_read_and_forgotten(plane: FakeGateway) -> None:
    assert run(plane, "state.Set", data={"a": "{{ 1 }}"})["count"] == 1
    assert run(plane, "state.Set", data={"b": "x"})["count"] == 2
    assert run(plane, "state.Get")["data"] == {"a": 1, "b": "x"}
    assert run(plane, "state.Delete") == {"deleted": True}
    assert run(plane, "state.Get")["data"] == {}
    refused(end(plane, "state.Get", errorOnMissing=True), "kv.missing")
    assert run(plane, "state.Set", data={}, name="n")["key"] == "flow_states_n"
    assert run(plane, "state.Set", data={}, namespace=True)["key"] == "states_default"


# ---------------------------------------------------------------- storage


def stored(plane: FakeGateway, uri: str) -> bytes:
    return plane.files[uri]


def test_concat_writes_the_separator_after_every_file(plane: FakeGateway) -> None:
    plane.files |= {FILE + "1": b"a", FILE + "2": b"b"}
    out = run(plane, "storage.Concat", files=[FILE + "1", FILE + "2"], separator="\n")
    assert stored(plane, out["uri"]) == b"a\nb\n"
    assert out["uri"].endswith(".tmp")
    out = run(
        plane, "storage.Concat", {"inputs": {"l": json.dumps([FILE + "1", FILE + "2"])}}, files="{{ inputs.l }}", extension=".x"
    )
    assert stored(plane, out["uri"]) == b"ab"


def test_split_cuts_by_rows_bytes_or_partitions(plane: FakeGateway) -> None:
    plane.files[FILE] = b"1\n2\n3\n4\n5"
    source: dict[str, Any] = {"from": FILE}
    parts = [stored(plane, uri) for uri in run(plane, "storage.Split", **source, rows=2)["uris"]]
    assert parts == [b"1\n2\n", b"3\n4\n", b"5\n"]
    parts = [stored(plane, uri) for uri in run(plane, "storage.Split", **source, bytes="4B")["uris"]]
    assert parts == [b"1\n2\n", b"3\n4\n", b"5\n"]
    parts = [stored(plane, uri) for uri in run(plane, "storage.Split", **source, partitions=2)["uris"]]
    assert parts == [b"1\n3\n5\n", b"2\n4\n"]


@pytest.mark.parametrize("modes", [{}, {"rows": 1, "partitions": 2}])
def test_split_wants_exactly_one_mode(plane: FakeGateway, modes: dict[str, Any]) -> None:
    plane.files[FILE] = b"1\n"
    source: dict[str, Any] = {"from": FILE}
    refused(end(plane, "storage.Split", **source, **modes), "task.property_invalid")


def test_size_reverse_write_and_delete(plane: FakeGateway) -> None:
    plane.files[FILE] = b"1\n22\n333"
    assert run(plane, "storage.Size", uri=FILE) == {"size": 8}
    source: dict[str, Any] = {"from": FILE}
    assert stored(plane, run(plane, "storage.Reverse", **source)["uri"]) == b"333\n22\n1\n"
    written = run(plane, "storage.Write", {"inputs": {"n": "Ada"}}, content="Hello {{ inputs.n }}")["uri"]
    assert (stored(plane, written), written[-4:]) == (b"Hello Ada", ".txt")
    assert run(plane, "storage.Delete", uri=FILE) == {"uri": FILE, "deleted": True}
    assert run(plane, "storage.Delete", uri=FILE)["deleted"] is False
    refused(end(plane, "storage.Delete", uri=FILE, errorOnMissing=True), "file.missing")


def test_deduplicate_keeps_the_last_row_of_each_key_in_order(plane: FakeGateway) -> None:
    rows = [{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": 3}]
    plane.files[FILE] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    source: dict[str, Any] = {"from": FILE}
    out = run(plane, "storage.DeduplicateItems", **source, expr="{{ k }}")
    assert (out["numKeys"], out["processedItemsTotal"], out["droppedItemsTotal"]) == (2, 3, 1)
    assert [json.loads(line)["v"] for line in stored(plane, out["uri"]).splitlines()] == [2, 3]


def test_filter_keeps_rows_by_a_condition_over_their_fields(plane: FakeGateway) -> None:
    plane.files[FILE] = b'{"n": 1}\n{"n": 5}\n{"m": 2}\n'
    common: dict[str, Any] = {"from": FILE, "filterCondition": "{{ n > 2 }}"}
    out = run(plane, "storage.FilterItems", **common, errorOrNullBehavior="EXCLUDE")
    assert (stored(plane, out["uri"]), out["droppedItemsTotal"]) == (b'{"n": 5}\n', 2)
    out = run(plane, "storage.FilterItems", **common, errorOrNullBehavior="INCLUDE", filterType="EXCLUDE")
    assert stored(plane, out["uri"]) == b'{"n": 1}\n{"m": 2}\n'
    assert "row 3" in refused(end(plane, "storage.FilterItems", **common), "storage.condition")


# ---------------------------------------------------------------- batches of ForEachItem


def test_for_each_item_splits_into_files_listed_in_one(plane: FakeGateway) -> None:
    plane.files[FILE] = b"a\nb\nc\nd\ne\n"
    out = run(plane, "flow.ForEachItem$ForEachItemSplit", {"inputs": {"f": FILE}}, items="{{ inputs.f }}", batch={"rows": 2})
    listed = stored(plane, out["splits"]).decode().splitlines()
    assert [stored(plane, uri) for uri in listed] == [b"a\nb\n", b"c\nd\n", b"e\n"]


def test_for_each_item_takes_one_row_a_batch_by_default_and_none_of_an_empty_file(plane: FakeGateway) -> None:
    plane.files |= {FILE: b"a\nb\n", FILE + "0": b""}
    split = "flow.ForEachItem$ForEachItemSplit"
    assert len(stored(plane, run(plane, split, items=FILE)["splits"]).splitlines()) == 2
    assert stored(plane, run(plane, split, items=FILE + "0")["splits"]) == b""


def test_for_each_item_wants_a_stored_file(plane: FakeGateway) -> None:
    refused(end(plane, "flow.ForEachItem$ForEachItemSplit", items='["a"]'), "task.property_invalid")


def test_for_each_item_gathers_the_outputs_of_its_executions(plane: FakeGateway) -> None:
    plane.files[FILE] = b'{"n": 1}\n{"n": 2}\n'
    merge = "flow.ForEachItem$ForEachItemMergeOutputs"
    out = run(plane, merge, subflowOutputs=FILE)
    assert out["subflowOutputs"] != FILE
    assert stored(plane, out["subflowOutputs"]) == plane.files[FILE]
    assert run(plane, merge, subflowOutputs="{{ outputs.none ?? null }}", context={"outputs": {}}) == {"subflowOutputs": None}


# ---------------------------------------------------------------- namespace files


def test_files_are_uploaded_by_map_or_from_the_working_directory(plane: FakeGateway) -> None:
    plane.files[FILE] = b"x"
    upload = "namespace.UploadFiles"
    out = run(plane, upload, namespace=NAMESPACE, filesMap={"a/b.txt": FILE}, destination="in")
    assert list(out["files"]) == ["in/a/b.txt"]
    assert plane.namespace_files["in/a/b.txt"] == b"x"
    plane.files[FILE] = b"y"
    common: dict[str, Any] = {"namespace": NAMESPACE, "filesMap": {"in/a/b.txt": FILE}}
    refused(end(plane, upload, **common, conflict="ERROR"), "file.store_failed")
    run(plane, upload, **common, conflict="SKIP")
    assert plane.namespace_files["in/a/b.txt"] == b"x"
    run(plane, upload, **common)
    assert plane.namespace_files["in/a/b.txt"] == b"y"


def test_files_are_downloaded_and_deleted_by_globs(plane: FakeGateway) -> None:
    plane.namespace_files |= {"a/1.sql": b"1", "a/2.txt": b"2", "b.sql": b"3"}
    out = run(plane, "namespace.DownloadFiles", namespace=NAMESPACE, files=["**/*.sql"], destination="q")
    assert {name: stored(plane, uri) for name, uri in out["files"].items()} == {"q/a/1.sql": b"1", "q/b.sql": b"3"}
    out = run(plane, "namespace.DeleteFiles", namespace=NAMESPACE, files="a/**")
    assert sorted(out["files"]) == ["a/1.sql", "a/2.txt"]
    assert list(plane.namespace_files) == ["b.sql"]


# ---------------------------------------------------------------- checks and templates


def test_assert_counts_conditions_and_fails_on_a_false_one(plane: FakeGateway) -> None:
    context = {"inputs": {"n": 3}}
    good = "{{ inputs.n > 2 }}"
    assert run(plane, "execution.Assert", context, conditions=[good, "true"]) == {"failed": 0, "success": 2}
    token = plane.assign({"id": "t", "type": CORE + "execution.Assert", "conditions": [good, "{{ inputs.n > 5 }}"]}, context)
    result = plane.result(token)
    refused(result, "task.assertion")
    assert json.loads(result.outputs_json) == {"failed": 1, "success": 1}
    assert any("inputs.n > 5" in text for text in plane.texts(token))
    assert refused(end(plane, "execution.Assert", conditions=["false"], errorMessage="no way"), "task.assertion") == "no way"


def test_a_templated_task_becomes_the_task_it_renders_to(plane: FakeGateway) -> None:
    spec = "type: io.kestra.plugin.core.debug.Return\nformat: {{ inputs.x }}"
    assert run(plane, "templating.TemplatedTask", {"inputs": {"x": "made"}}, spec=spec) == {"value": "made"}
    shell = (
        "type: io.kestra.plugin.scripts.shell.Commands\ntaskRunner: {type: io.kestra.plugin.core.runner.Process}\n"
        "commands: ['echo {{ inputs.x }}']"
    )
    token = plane.assign({"id": "t", "type": CORE + "templating.TemplatedTask", "spec": shell}, {"inputs": {"x": "y"}})
    assert plane.result(token).outcome == gateway.SUCCESS
    assert plane.texts(token) == ["y"]


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ("type: io.kestra.plugin.core.templating.TemplatedTask\nspec: x", "task.spec_invalid"),
        ("just text", "task.spec_invalid"),
        ("a: [", "task.spec_invalid"),
        ("type: io.kestra.plugin.core.flow.Sequential\ntasks: []", "task.type_unknown"),
        ("type: io.kestra.plugin.core.flow.WorkingDirectory\ntasks: []", "task.spec_invalid"),
    ],
)
def test_a_templated_task_must_be_runnable_and_not_templated(plane: FakeGateway, spec: str, code: str) -> None:
    refused(end(plane, "templating.TemplatedTask", spec=spec), code)


def test_log_fetch_stores_records_of_tasks_and_levels(plane: FakeGateway) -> None:
    plane.values.records = [
        gateway.LogRecord(at_us=1, level=2, text="a", task_id="x"),
        gateway.LogRecord(at_us=2, level=4, text="b", task_id="x"),
        gateway.LogRecord(at_us=3, level=4, text="c", task_id="y"),
    ]
    out = run(plane, "log.Fetch", level="WARN", tasksId=["x"])
    assert out["size"] == 1
    row = json.loads(stored(plane, out["uri"]))
    assert (row["message"], row["level"], row["taskId"]) == ("b", "ERROR", "x")


# ---------------------------------------------------------------- traps of small tasks


def test_trap_20_a_list_logs_several_records_and_a_json_text_one(plane: FakeGateway) -> None:
    token = plane.assign({"id": "l", "type": CORE + "log.Log", "message": '["a", "b"]'})
    plane.result(token)
    assert plane.texts(token) == ['["a", "b"]']


def test_return_of_nothing_is_null_and_of_something_has_metrics(plane: FakeGateway) -> None:
    assert run(plane, "debug.Return") == {"value": None}
    result = end(plane, "debug.Return", format="abc")
    assert {metric.name for metric in result.metrics} == {"length", "duration"}
