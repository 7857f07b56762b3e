"""What expressions get only on a worker: files, logs, the network, encrypted values; kept results, logs apart."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from wire import gateway
from worker.testing import FakeGateway

CORE = "io.kestra.plugin.core."
FILE = "kestra:///company/team/flow/executions/e/tasks/t/r/data.txt"
SHELL = "io.kestra.plugin.scripts.shell.Commands"
PROCESS = {"type": CORE + "runner.Process"}
ENCRYPTED = "io.kestra.datatype:aes_encrypted"
pytestmark = pytest.mark.usefixtures("agent")


def rendered(plane: FakeGateway, text: str, context: dict[str, Any] | None = None) -> str:
    result = attempt(plane, text, context)
    assert result.outcome == gateway.SUCCESS, result.error_message
    return str(json.loads(result.outputs_json)["value"])


def attempt(plane: FakeGateway, text: str, context: dict[str, Any] | None = None) -> gateway.Result:
    return plane.result(plane.assign({"id": "r", "type": CORE + "debug.Return", "format": text}, context))


def test_file_functions_measure_stored_and_namespace_files(plane: FakeGateway) -> None:
    plane.files |= {FILE: b"12345", FILE + "0": b""}
    plane.namespace_files["sql/a.sql"] = b"select 1"
    context = {"inputs": {"f": FILE}}
    assert (
        rendered(plane, "{{ fileSize(inputs.f) }} {{ fileExists(inputs.f) }} {{ isFileEmpty(inputs.f) }}", context)
        == "5 true false"
    )
    assert rendered(plane, f"{{{{ fileEmpty('{FILE}0') }}}} {{{{ fileExists('{FILE}x') }}}}") == "true false"
    assert rendered(plane, "{{ fileSize('sql/a.sql') }}") == "8"
    assert rendered(plane, "{{ fileURI('sql/a.sql') }}") == "kestra:///company/team/_files/sql/a.sql"
    assert rendered(plane, "{{ read('sql/a.sql') }} {{ read(inputs.f) }}", context) == "select 1 12345"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{{ fileSize('none') }}", "file.missing"),
        ("{{ isFileEmpty('none') }}", "file.missing"),
        ("{{ fileURI('../x') }}", "file.name_refused"),
        ("{{ read('none') }}", "file.read_failed"),
        ("{{ secret('NONE') }}", "secret.missing"),
        ("{{ http('file:///etc/passwd') }}", "http.address"),
    ],
)
def test_functions_refuse_with_their_code(plane: FakeGateway, text: str, code: str) -> None:
    result = attempt(plane, text)
    assert (result.outcome, result.error_code) == (gateway.FAILED, code)


def test_error_logs_are_the_records_of_failed_attempts(plane: FakeGateway) -> None:
    plane.values.records = [gateway.LogRecord(at_us=1_000_000, level=4, text="boom", task_id="load", attempt=2)]
    said = "{% for line in errorLogs() %}{{ line.taskId }}/{{ line.attemptNumber }}: {{ line.message }}{% endfor %}"
    assert rendered(plane, said) == "load/1: boom"


def test_error_logs_wait_for_lines_on_their_way(plane: FakeGateway) -> None:
    plane.values.complete = False

    def arrive() -> None:
        time.sleep(0.4)
        plane.values.records = [gateway.LogRecord(level=4, text="late")]
        plane.values.complete = True

    threading.Thread(target=arrive).start()
    assert rendered(plane, "{{ (errorLogs() | first).message }}") == "late"


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self._say(200, b'{"got": ' + body + b', "x": "' + self.headers["x-own"].encode() + b'"}')

    def do_GET(self) -> None:
        if "/away" in self.path:
            self._say(404, b"no")
        else:
            self._say(200, json.dumps({"path": self.path}).encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    http = HTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def test_http_gives_the_parsed_body_and_raises_for_an_error_status(plane: FakeGateway, server: str) -> None:
    context = {"inputs": {"u": server}}
    assert rendered(plane, "{{ http(inputs.u, query={'a': 'b'}).path }}", context) == "/?a=b"
    posted = "{{ http(inputs.u, method='POST', body={'n': 1}, headers={'x-own': 'y'}) | toJson }}"
    assert json.loads(rendered(plane, posted, context)) == {"got": {"n": 1}, "x": "y"}
    assert attempt(plane, "{{ http(inputs.u ~ '/away') }}", context).error_code == "http.status"


def test_encrypted_values_are_decrypted_when_rendered_and_masked(plane: FakeGateway) -> None:
    plane.values.encrypted["v1.abc"] = "pass-word-1"
    context = {
        "inputs": {"secret": {"type": ENCRYPTED, "value": "v1.abc"}, "list": [{"type": ENCRYPTED, "value": "v1.abc"}]},
    }
    task = {"id": "s", "type": SHELL, "taskRunner": PROCESS}
    token = plane.assign(
        {**task, "commands": ["echo {{ inputs.secret | length }} {{ inputs.secret }} {{ inputs.list[0] }}"]}, context
    )
    plane.result(token)
    assert plane.texts(token) == ["11 ****** ******"]
    # A light task that would run on the loop waits in a thread for the plane.
    assert rendered(plane, "{{ inputs.secret }}", context) == "******"


def test_encrypted_values_that_are_not_there_cost_no_call(plane: FakeGateway) -> None:
    assert rendered(plane, "{{ inputs.x }}", {"inputs": {"x": 1}}) == "1"
    assert plane.values.asked == []


# ---------------------------------------------------------------- taskCache


def cached(plane: FakeGateway, text: str, **cache: Any) -> gateway.AttemptToken:
    command = {"commands": [f"echo {text}", 'echo \'::{"outputs": {"n": 1}}::\'']}
    task = {"id": "c", "type": SHELL, "taskRunner": PROCESS, **command, "taskCache": {"enabled": True, **cache}}
    return plane.assign(task)


def test_a_task_with_the_same_rendered_properties_is_not_run_again(plane: FakeGateway) -> None:
    first, second, other = (cached(plane, text, ttl="PT1H") for text in ("one", "{{ 'o' }}ne", "two"))
    results = [plane.result(token) for token in (first, second, other)]
    assert results[0].outputs_json == results[1].outputs_json
    assert json.loads(results[1].outputs_json)["vars"] == {"n": 1}
    assert plane.texts(other) == ["two"]


def test_a_kept_result_says_so_in_the_log(plane: FakeGateway) -> None:
    plane.result(cached(plane, "one"))
    again = cached(plane, "one")
    plane.result(again)
    assert plane.texts(again) == ["The result of an earlier run with the same properties is used."]


def test_a_failed_run_is_not_kept(plane: FakeGateway) -> None:
    task = {"id": "c", "type": SHELL, "taskRunner": PROCESS, "commands": ["exit 1"], "taskCache": {"enabled": True}}
    for _ in range(2):
        assert plane.result(plane.assign(task)).outcome == gateway.FAILED
    assert plane.values.kept == {}


def test_a_disabled_cache_asks_nobody(plane: FakeGateway) -> None:
    plane.result(plane.assign({"id": "r", "type": CORE + "debug.Return", "format": "x", "taskCache": {"enabled": False}}))
    assert plane.values.asked == []


# ---------------------------------------------------------------- logToFile, logLevel, sizes


def test_log_to_file_stores_the_log_and_ships_no_line(plane: FakeGateway) -> None:
    plane.secrets["S"] = "very-secret"
    task = {"id": "f", "type": SHELL, "taskRunner": PROCESS, "logToFile": True}
    token = plane.assign({**task, "commands": ["echo hello", "echo {{ secret('S') }} >&2"]})
    result = plane.result(token)
    assert (plane.texts(token), result.log_lines) == ([], 0)
    text = plane.files[result.log_file].decode()
    assert " INFO hello\n" in text
    assert " ERROR ******\n" in text


def test_log_to_file_keeps_the_reason_of_a_failure(plane: FakeGateway) -> None:
    result = plane.result(plane.assign({"id": "f", "type": CORE + "execution.Fail", "errorMessage": "no", "logToFile": True}))
    assert result.outcome == gateway.FAILED
    assert plane.files[result.log_file].decode().endswith(" ERROR no\n")


def test_log_level_keeps_lines_from_that_level_on(plane: FakeGateway) -> None:
    task = {"id": "l", "type": SHELL, "taskRunner": PROCESS, "logLevel": "ERROR"}
    token = plane.assign({**task, "commands": ["echo out", "echo err >&2"]})
    plane.result(token)
    assert plane.texts(token) == ["err"]


def test_outputs_too_large_fail_the_attempt_and_are_emptied(plane: FakeGateway) -> None:
    token = plane.assign(
        {"id": "r", "type": CORE + "debug.Return", "format": "{{ inputs.x }}"}, {"inputs": {"x": "y" * 3_100_000}}
    )
    result = plane.result(token)
    assert (result.outcome, result.error_code, result.outputs_json) == (gateway.FAILED, "task.outputs_too_large", b"")


# ---------------------------------------------------------------- steps


def test_steps_a_task_tells_of_become_dynamic_task_runs(plane: FakeGateway) -> None:
    token = plane.assign({"id": "d", "type": "tests.sample.Steps", "names": ["stg", "fct"]})
    assert plane.result(token).outcome == gateway.SUCCESS
    runs = plane.sub_runs[token.lease_id]
    assert [(run.task_id, run.outcome, run.dynamic) for run in runs] == [
        ("stg", gateway.SUCCESS, True),
        ("fct", gateway.FAILED, True),
    ]
    assert runs[1].error_message == "broken"
    assert len({run.id for run in runs}) == 2
