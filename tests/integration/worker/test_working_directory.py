"""WorkingDirectory on a real worker (execution-semantics §6.10): one directory, children in order, each a task run of its own."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from wire import gateway
from worker.testing import AgentThread, FakeGateway

CORE = "io.kestra.plugin.core."
SHELL = "io.kestra.plugin.scripts.shell.Commands"
PROCESS = {"type": CORE + "runner.Process"}
pytestmark = pytest.mark.usefixtures("agent")


def shell(task_id: str, *commands: str, **more: Any) -> dict[str, Any]:
    return {"id": task_id, "type": SHELL, "taskRunner": PROCESS, "commands": list(commands), **more}


def log(task_id: str, message: str, **more: Any) -> dict[str, Any]:
    return {"id": task_id, "type": CORE + "log.Log", "message": message, **more}


def give(task_id: str, text: str, **more: Any) -> dict[str, Any]:
    return {"id": task_id, "type": CORE + "debug.Return", "format": text, **more}


def fail(task_id: str, **more: Any) -> dict[str, Any]:
    return {"id": task_id, "type": CORE + "execution.Fail", **more}


def directory(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "wd", "type": CORE + "flow.WorkingDirectory", "tasks": list(tasks), **more}


def outputs(of: gateway.Result | gateway.SubRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(of.outputs_json or b"{}")
    return found


def told(plane: FakeGateway, token: gateway.AttemptToken) -> dict[str, gateway.Outcome]:
    return {run.task_id: run.outcome for run in plane.sub_runs.get(token.lease_id, [])}


def test_children_share_files_and_output_files_are_captured(plane: FakeGateway) -> None:
    token = plane.assign(directory(shell("w1", "echo hi > a.txt"), shell("w2", "cat a.txt"), outputFiles=["*.txt"]))
    result = plane.result(token)
    assert result.outcome == gateway.SUCCESS, result.error_message
    assert told(plane, token) == {"w1": gateway.SUCCESS, "w2": gateway.SUCCESS}
    assert plane.files[outputs(result)["outputFiles"]["a.txt"]] == b"hi\n"
    assert plane.sub_texts(plane.sub_run(token, "w2")) == ["hi"]


def test_a_child_sees_the_outputs_of_those_before_it(plane: FakeGateway) -> None:
    token = plane.assign(directory(give("one", "first"), give("two", "{{ outputs.one.value }} then")))
    assert plane.result(token).outcome == gateway.SUCCESS
    assert outputs(plane.sub_run(token, "two")) == {"value": "first then"}


def test_children_of_any_kind_run_light_python_and_script(plane: FakeGateway) -> None:
    token = plane.assign(
        directory(
            log("light", "said"),
            {"id": "python", "type": "tests.sample.Facts", "word": "x"},
            shell("script", "cat out.txt; echo", 'echo \'::{"outputs": {"n": 1}}::\''),
        )
    )
    result = plane.result(token)
    assert result.outcome == gateway.SUCCESS, result.error_message
    assert plane.sub_texts(plane.sub_run(token, "light")) == ["said"]
    assert outputs(plane.sub_run(token, "script"))["vars"] == {"n": 1}
    # The file was written by the Python child's process into the directory they share.
    assert plane.sub_texts(plane.sub_run(token, "script")) == ["made here"]
    assert plane.sub_run(token, "python").metrics[0].name == "rows"
    own = plane.sub_run(token, "python")
    assert f"/tasks/python/{own.id}/" in outputs(own)["uri"]


def test_the_value_of_the_directory_is_inherited_and_nests_outputs(plane: FakeGateway) -> None:
    context = {
        "taskrun": {"id": "r", "value": "b"},
        "parents": [{"taskrun": {"value": "a"}}],
        "parent": {"taskrun": {"value": "a"}},
        "outputs": {"one": {"a": {"a": {"value": "earlier"}}}},
    }
    tasks = [
        give("one", "{{ taskrun.value }} in {{ workerTaskrun.value }}"),
        give("two", "{{ outputs.one[parent.taskrun.value][taskrun.value].value }}, {{ outputs.one.a.a.value }}"),
    ]
    token = plane.assign(directory(*tasks), context)
    assert plane.result(token).outcome == gateway.SUCCESS
    assert outputs(plane.sub_run(token, "two")) == {"value": "b in b, earlier"}
    assert {run.value for run in plane.sub_runs[token.lease_id]} == {"b"}


def test_worker_taskrun_is_the_directory_and_the_childs_parent(plane: FakeGateway) -> None:
    token = plane.assign(directory(give("one", "{{ workerTaskrun.id }} {{ taskrun.parentId }} {{ taskrun.attemptsCount }}")))
    plane.result(token)
    assert outputs(plane.sub_run(token, "one"))["value"] == f"{token.task_run_id} {token.task_run_id} 0"


def test_a_failed_child_stops_the_list_and_keeps_output_files(plane: FakeGateway) -> None:
    token = plane.assign(directory(shell("w1", "echo x > a.txt", "exit 3"), log("w2", "never"), outputFiles=["a.txt"]))
    result = plane.result(token)
    assert (result.outcome, result.error_code) == (gateway.FAILED, "task.child_failed")
    assert told(plane, token) == {"w1": gateway.FAILED}
    assert outputs(plane.sub_run(token, "w1"))["exitCode"] == 3
    assert list(outputs(result)["outputFiles"]) == ["a.txt"]


def test_an_allowed_failure_goes_on_and_leaves_a_warning(plane: FakeGateway) -> None:
    token = plane.assign(directory(fail("f", allowFailure=True), log("after", "on")))
    assert plane.result(token).outcome == gateway.WARNING
    assert told(plane, token) == {"f": gateway.WARNING, "after": gateway.SUCCESS}
    # The error tells how the attempt itself ended: FAILED, below a task run that is only WARNING.
    assert plane.sub_run(token, "f").error_code == "task.fail"


def test_allowed_failure_and_warning_together_are_a_success(plane: FakeGateway) -> None:
    token = plane.assign(directory(fail("f", allowFailure=True, allowWarning=True)))
    assert plane.result(token).outcome == gateway.SUCCESS


def test_disabled_children_do_not_exist(plane: FakeGateway) -> None:
    token = plane.assign(directory(log("off", "no", disabled=True), log("on", "yes")))
    plane.result(token)
    assert told(plane, token) == {"on": gateway.SUCCESS}


@pytest.mark.parametrize("name", ["runIf", "when"])
def test_a_condition_of_a_child_is_evaluated_on_the_worker(plane: FakeGateway, name: str) -> None:
    first = give("one", "no")
    token = plane.assign(directory(first, log("off", "x", **{name: "{{ outputs.one.value == 'yes' }}"}), log("on", "y")))
    assert plane.result(token).outcome == gateway.SUCCESS
    assert told(plane, token) == {"one": gateway.SUCCESS, "off": gateway.SKIPPED, "on": gateway.SUCCESS}


def test_a_condition_that_cannot_be_told_fails_the_child(plane: FakeGateway) -> None:
    token = plane.assign(directory(log("one", "x", runIf="{{ nowhere.at.all }}"), log("two", "y")))
    assert plane.result(token).outcome == gateway.FAILED
    assert told(plane, token) == {"one": gateway.FAILED}
    assert plane.sub_run(token, "one").error_code.startswith("expression.")


def test_a_child_is_retried_by_its_own_policy(plane: FakeGateway) -> None:
    retry = {"type": "constant", "interval": "PT0.05S", "maxAttempts": 3}
    flaky = shell("flaky", "echo x >> tries", "test $(wc -l < tries) = 3", retry=retry)
    token = plane.assign(directory(flaky, shell("count", "wc -l < tries")))
    assert plane.result(token).outcome == gateway.SUCCESS
    run = plane.sub_run(token, "flaky")
    assert (run.outcome, run.attempts) == (gateway.SUCCESS, 3)
    # Each attempt has a log of its own.
    assert {number for run_id, number in plane.sub_lines if run_id == run.id} == {1, 2}


def test_a_retry_may_leave_a_warning(plane: FakeGateway) -> None:
    retry = {"type": "constant", "interval": "PT0.01S", "maxAttempt": 5, "warningOnRetry": True}
    token = plane.assign(directory(shell("flaky", "test -e there || { touch there; exit 1; }", retry=retry)))
    assert plane.result(token).outcome == gateway.WARNING
    assert (plane.sub_run(token, "flaky").outcome, plane.sub_run(token, "flaky").error_code) == (gateway.WARNING, "")


def test_a_kill_between_two_tries_ends_the_child_killed(plane: FakeGateway) -> None:
    retry = {"type": "constant", "interval": "PT60S", "maxAttempts": 3}
    token = plane.assign(directory(shell("flaky", "echo tried", "exit 1", retry=retry)))
    plane.until(lambda: bool(plane.sub_lines), what="the first try")
    time.sleep(0.3)
    plane.stop_attempt(token)
    assert plane.result(token).outcome == gateway.KILLED
    assert told(plane, token) == {"flaky": gateway.KILLED}


def test_the_timeout_of_a_child_fails_it_alone(plane: FakeGateway) -> None:
    token = plane.assign(directory(shell("slow", "sleep 60", timeout="PT0.3S", allowFailure=True), log("after", "on")))
    assert plane.result(token).outcome == gateway.WARNING
    assert plane.sub_run(token, "slow").error_code == "task.timeout"
    assert told(plane, token)["after"] == gateway.SUCCESS


def test_the_timeout_of_the_directory_stops_the_running_child(plane: FakeGateway) -> None:
    token = plane.assign(directory(log("quick", "done"), shell("slow", "sleep 60"), log("never", "x"), timeout="PT0.5S"))
    result = plane.result(token)
    assert (result.outcome, result.error_code) == (gateway.FAILED, "task.timeout")
    assert told(plane, token) == {"quick": gateway.SUCCESS, "slow": gateway.FAILED}
    assert "PT0.5S" in plane.sub_run(token, "slow").error_message


@pytest.mark.parametrize("child", [shell("slow", "sleep 60"), {"id": "slow", "type": CORE + "flow.Sleep", "duration": "PT60S"}])
def test_a_kill_stops_the_running_child(plane: FakeGateway, child: dict[str, Any]) -> None:
    token = plane.assign(directory(log("quick", "done"), child, log("never", "x")))
    plane.until(lambda: bool(plane.sub_runs.get(token.lease_id)), what="the end of the first child")
    plane.stop_attempt(token)
    assert plane.result(token).outcome == gateway.KILLED
    assert told(plane, token) == {"quick": gateway.SUCCESS, "slow": gateway.KILLED}


def test_a_child_that_ends_is_told_of_at_once(plane: FakeGateway) -> None:
    token = plane.assign(directory(log("quick", "done"), shell("slow", "sleep 60")))
    plane.until(lambda: told(plane, token) == {"quick": gateway.SUCCESS}, what="the first child alone")
    assert token.lease_id not in plane.results
    plane.stop_attempt(token)
    plane.result(token)


def test_what_a_child_leaves_running_does_not_end_what_the_next_one_runs(plane: FakeGateway) -> None:
    # A child's processes are recognised one child at a time: a background process of the second is not a stray of the first.
    second = shell("two", "(setsid sh -c 'sleep 0.4; echo alive > mark' &)", "sleep 0.9", "cat mark")
    token = plane.assign(directory(shell("one", "true"), second))
    result = plane.result(token)
    assert result.outcome == gateway.SUCCESS, result.error_message
    assert plane.sub_texts(plane.sub_run(token, "two")) == ["alive"]


def test_namespace_files_come_first_and_input_files_over_them(plane: FakeGateway) -> None:
    plane.namespace_files.update({"a.txt": b"namespace a\n", "b.txt": b"namespace b\n", "skip.sql": b""})
    token = plane.assign(
        directory(
            shell("look", "cat a.txt b.txt", "ls"),
            namespaceFiles={"enabled": True, "exclude": ["*.sql"]},
            inputFiles={"a.txt": "input {{ inputs.x }}\n", "none.txt": None},
        ),
        {"inputs": {"x": 1}},
    )
    assert plane.result(token).outcome == gateway.SUCCESS
    assert plane.sub_texts(plane.sub_run(token, "look")) == ["input 1", "namespace b", "a.txt", "b.txt"]


def test_input_files_may_be_json_text(plane: FakeGateway) -> None:
    token = plane.assign(
        directory(shell("look", "cat x"), inputFiles="{{ inputs.files }}"), {"inputs": {"files": '{"x": "1\\n"}'}}
    )
    plane.result(token)
    assert plane.sub_texts(plane.sub_run(token, "look")) == ["1"]


def test_the_cache_is_restored_by_the_next_execution(plane: FakeGateway) -> None:
    cache = {"patterns": ["deps/**"], "ttl": "PT1H"}
    make = shell("make", "mkdir -p deps/bin", "test -e deps/bin/x && cat deps/bin/x || echo none", "echo kept > deps/bin/x")
    first = plane.assign(directory(make, cache=cache))
    assert plane.result(first).outcome == gateway.SUCCESS
    second = plane.assign(directory(make, cache=cache))
    assert plane.result(second).outcome == gateway.SUCCESS
    assert plane.sub_texts(plane.sub_run(first, "make")) == ["none"]
    assert plane.sub_texts(plane.sub_run(second, "make")) == ["kept"]


def test_a_cache_older_than_its_ttl_is_not_restored(plane: FakeGateway) -> None:
    cache = {"patterns": ["x"], "ttl": "PT0.01S"}
    make = shell("make", "cat x || true", "echo kept > x")
    for _ in range(2):
        token = plane.assign(directory(make, cache=cache))
        plane.result(token)
        time.sleep(0.05)
    assert "kept" not in plane.sub_texts(plane.sub_run(token, "make"))


def test_a_cache_is_kept_by_value_and_not_by_a_failed_execution(plane: FakeGateway) -> None:
    cache = {"patterns": ["x"]}
    plane.result(plane.assign(directory(shell("make", "echo 1 > x", "exit 1"), cache=cache)))
    assert plane.caches == {}
    plane.result(plane.assign(directory(shell("make", "echo 1 > x"), cache=cache), {"taskrun": {"value": "a"}}))
    assert list(plane.caches) == ["value:a"]


def test_secrets_of_one_child_are_masked_in_the_log_of_the_next(plane: FakeGateway) -> None:
    plane.secrets["PASS"] = "hunter2-hunter2"
    token = plane.assign(directory(shell("one", "echo {{ secret('PASS') }} > f"), shell("two", "cat f")))
    plane.result(token)
    assert plane.sub_texts(plane.sub_run(token, "two")) == ["******"]


def test_a_child_that_cannot_be_read_fails_with_its_reason(plane: FakeGateway) -> None:
    token = plane.assign(directory({"id": "odd", "type": "tests.unknown.Type"}))
    assert plane.result(token).outcome == gateway.FAILED
    assert plane.sub_run(token, "odd").error_code == "task.type_unknown"


def test_what_was_told_and_not_acknowledged_is_told_again(plane: FakeGateway) -> None:
    plane.acknowledging = False
    token = plane.assign(directory(give("one", "x"), give("two", "y"), shell("slow", "sleep 60")))
    plane.until(lambda: len(plane.sub_runs.get(token.lease_id, [])) == 2, what="the reports")
    before = list(plane.sub_runs.pop(token.lease_id))
    plane.acknowledging = True
    plane.disconnect()
    plane.until(lambda: len(plane.sub_runs.get(token.lease_id, [])) == 2, what="the reports, again")
    assert plane.sub_runs[token.lease_id] == before
    plane.stop_attempt(token)
    plane.result(token)


def test_the_directory_is_gone_afterwards(plane: FakeGateway, agent: AgentThread, data: Any) -> None:
    token = plane.assign(directory(shell("one", "echo x > y")))
    plane.result(token)
    assert agent.stop() == 0
    assert list((data / "runs").iterdir()) == []
