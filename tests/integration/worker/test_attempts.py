"""What tasks do reaches the plane: outputs, lines, files, failures a person can act on."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.worker.sample_tasks import PREFIX
from wire import gateway
from worker.testing import AgentThread, FakeGateway

CORE = "io.kestra.plugin.core."
SHELL = "io.kestra.plugin.scripts.shell."
PROCESS = {"type": "io.kestra.plugin.core.runner.Process"}
pytestmark = pytest.mark.usefixtures("agent")


def shell(*commands: str, **more: Any) -> dict[str, Any]:
    return {"id": "sh", "type": SHELL + "Commands", "taskRunner": PROCESS, "commands": list(commands), **more}


def outputs(result: gateway.Result) -> dict[str, Any]:
    assert result.outcome == gateway.SUCCESS, result.error_message
    found: dict[str, Any] = json.loads(result.outputs_json or b"{}")
    return found


def failed(result: gateway.Result, code: str) -> str:
    assert (result.outcome, result.error_code) == (gateway.FAILED, code)
    return result.error_message


def test_a_message_is_rendered_and_logged(plane: FakeGateway) -> None:
    token = plane.assign(
        {"id": "hello", "type": CORE + "log.Log", "message": "Hello {{ inputs.name }}", "level": "WARN"},
        {"inputs": {"name": "Ada"}},
    )
    assert plane.result(token).log_lines == 1
    assert [(line.level, line.text) for line in plane.lines[token.lease_id]] == [(3, "Hello Ada")]


def test_a_list_of_messages_is_logged_in_order(plane: FakeGateway) -> None:
    token = plane.assign({"id": "hello", "type": CORE + "log.Log", "message": ["one", "{{ 1 + 1 }}", "three"]})
    plane.result(token)
    assert plane.texts(token) == ["one", "2", "three"]


def test_return_gives_the_rendered_text(plane: FakeGateway) -> None:
    token = plane.assign({"id": "r", "type": CORE + "debug.Return", "format": "{{ task.id }}!"}, {"task": {"id": "r"}})
    assert outputs(plane.result(token)) == {"value": "r!"}


def test_output_values_keeps_literals_and_renders_texts(plane: FakeGateway) -> None:
    token = plane.assign({"id": "o", "type": CORE + "output.OutputValues", "values": {"a": "{{ 1 + 1 }}", "b": 3, "c": [True]}})
    assert outputs(plane.result(token)) == {"values": {"a": "2", "b": 3, "c": [True]}}


def test_fail_fails_with_its_message_under_its_condition(plane: FakeGateway) -> None:
    task = {"id": "f", "type": CORE + "execution.Fail", "condition": "{{ inputs.n == 0 }}", "errorMessage": "empty table"}
    assert failed(plane.result(plane.assign(task, {"inputs": {"n": 0}})), "task.fail") == "empty table"
    assert outputs(plane.result(plane.assign(task, {"inputs": {"n": 1}}))) == {}


def test_a_broken_expression_ends_the_attempt_with_its_code(plane: FakeGateway) -> None:
    token = plane.assign({"id": "hello", "type": CORE + "log.Log", "message": "{{ nowhere.to.be.found }}"})
    result = plane.result(token)
    assert result.outcome == gateway.FAILED
    assert result.error_code.startswith("expression.")
    assert plane.lines[token.lease_id][-1].level == 4


def test_an_unknown_task_type_says_what_to_install(plane: FakeGateway) -> None:
    assert "tests.unknown.Type" in failed(
        plane.result(plane.assign({"id": "u", "type": "tests.unknown.Type"})), "task.type_unknown"
    )


def test_sleep_holds_no_thread_and_can_be_killed(plane: FakeGateway) -> None:
    task = {"id": "s", "type": CORE + "flow.Sleep", "duration": "PT60S"}
    tokens = plane.assign_many([task] * 200)
    plane.until(lambda: len(plane.started) == 200, what="200 sleeping tasks")
    for token in tokens:
        plane.stop_attempt(token)
    assert {plane.result(token).outcome for token in tokens} == {gateway.KILLED}


def test_commands_share_one_shell(plane: FakeGateway) -> None:
    token = plane.assign(
        shell("cd sub", "echo $WORD in $(basename $PWD)", beforeCommands=["mkdir sub", "export WORD=hello"], env={"WORD": "no"})
    )
    assert outputs(plane.result(token))["stdOutLineCount"] == 1
    assert plane.texts(token) == ["hello in sub"]


def test_an_environment_keeps_quotes_that_a_shell_strips(plane: FakeGateway) -> None:
    plane.secrets["HOST"] = '"quoted-host"'
    token = plane.assign(
        shell(
            'echo "env $A"',
            'echo "export $B"',
            env={"A": "{{ secret('HOST') }}"},
            beforeCommands=["export B={{ secret('HOST') }}"],
        )
    )
    plane.result(token)
    assert plane.texts(token) == ["env ******", "export quoted-host"] or plane.texts(token) == ["env ******", "export ******"]


def test_values_metrics_and_logs_are_said_by_protocol_lines(plane: FakeGateway) -> None:
    said = {
        "outputs": {"rows": 12, "nested": {"a": [1]}},
        "metrics": [
            {"name": "n", "type": "counter", "value": 2, "tags": {"t": "x"}},
            {"name": "took", "type": "timer", "value": "PT2S"},
        ],
        "logs": [{"level": "WARN", "message": "careful"}],
    }
    token = plane.assign(shell(f"echo '::{json.dumps(said)}::'", 'echo \'::{"outputs": {"rows": 13}}::\' >&2'))
    result = plane.result(token)
    assert outputs(result)["vars"] == {"rows": 13, "nested": {"a": [1]}}
    assert [(m.name, m.kind, m.value, dict(m.tags)) for m in result.metrics] == [
        ("n", "counter", 2, {"t": "x"}),
        ("took", "timer", 2, {}),
    ]
    assert [(line.level, line.text) for line in plane.lines[token.lease_id]] == [(3, "careful")]


def test_a_bad_exit_code_fails_and_keeps_outputs(plane: FakeGateway) -> None:
    token = plane.assign(shell('echo "::{\\"outputs\\":{\\"a\\":1}}::"', "echo x > f.txt", "exit 7", outputFiles=["*.txt"]))
    result = plane.result(token)
    assert failed(result, "task.exit_code") == "Command failed with exit code 7"
    kept = json.loads(result.outputs_json)
    assert (kept["vars"], kept["exitCode"], list(kept["outputFiles"])) == ({"a": 1}, 7, ["f.txt"])
    assert plane.texts(token)[-1] == "Command failed with exit code 7"


def test_fail_fast_ends_at_the_first_failure_and_can_be_switched_off(plane: FakeGateway) -> None:
    assert plane.result(plane.assign(shell("false", "echo on"))).error_code == "task.exit_code"
    token = plane.assign(shell("false", "echo on", failFast=False))
    outputs(plane.result(token))
    assert plane.texts(token) == ["on"]


def test_files_go_in_and_out(plane: FakeGateway) -> None:
    plane.files["kestra:///company/team/x/data.csv"] = b"a,b\n1,2\n"
    plane.namespace_files = {"scripts/run.sh": b"echo from namespace", "queries/q.sql": b"select 1", "secret/no.txt": b""}
    token = plane.assign(
        shell(
            "sh scripts/run.sh",
            "cat in/data.csv literal.txt > out/all.txt",
            "cp {{ inputs.uri }} copy.csv # {{ inputs.uri }}",
            "ls",
            beforeCommands=["mkdir out"],
            inputFiles={"in/data.csv": "{{ inputs.uri }}", "literal.txt": "literal\n", "gone.txt": None},
            namespaceFiles={"enabled": True, "exclude": ["secret/**"]},
            outputFiles=["out/**", "*.csv", "nothing-*.x"],
        ),
        {"inputs": {"uri": "kestra:///company/team/x/data.csv"}},
    )
    found = outputs(plane.result(token))["outputFiles"]
    assert sorted(found) == ["copy.csv", "out/all.txt"]
    assert plane.files[found["out/all.txt"]] == b"a,b\n1,2\nliteral\n"
    assert plane.texts(token) == ["from namespace", "copy.csv", "in", "literal.txt", "out", "queries", "scripts"]


def test_a_large_file_travels_whole(plane: FakeGateway) -> None:
    token = plane.assign(shell("head -c 5000000 /dev/zero > big", outputFiles=["big"]))
    assert plane.files[outputs(plane.result(token))["outputFiles"]["big"]] == b"\0" * 5_000_000


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_input_files_stay_in_the_working_directory(plane: FakeGateway, name: str) -> None:
    assert plane.result(plane.assign(shell("true", inputFiles={name: "x"}))).error_code == "file.name_refused"


def test_files_of_the_worker_itself_are_refused(plane: FakeGateway) -> None:
    failed(plane.result(plane.assign(shell("true", inputFiles={"a": "file:///etc/passwd"}))), "file.scheme_refused")


def test_secrets_are_masked_in_lines_errors_and_outputs(plane: FakeGateway) -> None:
    secret = plane.secrets["PW"] = "hunter2-and-more"
    coded = base64.b64encode(secret.encode()).decode()
    token = plane.assign(
        shell(
            "echo pw={{ secret('PW') }}",
            f"echo {coded}",
            'echo "::{\\"outputs\\":{\\"p\\":\\"$P\\"}}::"',
            env={"P": "{{ secret('PW') }}"},
        )
    )
    result = plane.result(token)
    assert plane.texts(token) == ["pw=******", "******"]
    assert secret not in result.outputs_json.decode()
    token = plane.assign({"id": "f", "type": CORE + "execution.Fail", "errorMessage": "no: {{ secret('PW') }}"})
    assert failed(plane.result(token), "task.fail") == "no: ******"


def test_a_missing_secret_is_named(plane: FakeGateway) -> None:
    token = plane.assign({"id": "l", "type": CORE + "log.Log", "message": "{{ secret('NOPE') }}"})
    assert "NOPE" in failed(plane.result(token), "secret.missing")


def test_read_gives_the_text_of_a_namespace_file(plane: FakeGateway) -> None:
    plane.namespace_files["note.txt"] = b"noted"
    token = plane.assign({"id": "l", "type": CORE + "log.Log", "message": "{{ read('note.txt') }}"})
    plane.result(token)
    assert plane.texts(token) == ["noted"]


def test_the_worker_s_own_settings_and_secrets_are_not_inherited(plane: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_X", "leak")
    monkeypatch.setenv("HEADRACE_JOIN_TOKEN", "leak")
    token = plane.assign(shell("env"))
    plane.result(token)
    assert not any("leak" in line for line in plane.texts(token))


def test_expressions_know_the_working_directory_and_the_environment(plane: FakeGateway, data: Path) -> None:
    token = plane.assign(shell('test "{{ workingDir }}" = "$PWD"', "echo {{ envs.data_dir }}"))
    outputs(plane.result(token))
    assert plane.texts(token) == [str(data / "data")]


def test_a_docker_runner_without_an_engine_is_an_explained_error(plane: FakeGateway) -> None:
    docker = {"type": "io.kestra.plugin.scripts.runner.docker.Docker"}
    message = failed(plane.result(plane.assign({**shell("true"), "taskRunner": docker})), "task.runner_unavailable")
    assert "io.kestra.plugin.core.runner.Process" in message


def test_without_a_runner_the_worker_s_default_decides_and_says_so(plane: FakeGateway) -> None:
    task = shell("echo ran")
    del task["taskRunner"]
    token = plane.assign({**task, "containerImage": "ubuntu"})
    outputs(plane.result(token))
    assert "--default-runner" in plane.texts(token)[0]
    assert plane.texts(token)[1:] == ["ran"]


def test_a_python_script_finds_the_kestra_package_and_its_neighbours(plane: FakeGateway) -> None:
    plane.namespace_files["neighbour.py"] = b"WORD = 'next door'"
    token = plane.assign(
        {
            "id": "py",
            "type": "io.kestra.plugin.scripts.python.Script",
            "taskRunner": PROCESS,
            "namespaceFiles": {"enabled": True},
            "outputFiles": ["*.py"],
            "script": "from kestra import Kestra\nimport neighbour\nKestra.outputs({'word': neighbour.WORD})\nprint('done')\n",
        }
    )
    found = outputs(plane.result(token))
    assert found["vars"] == {"word": "next door"}
    assert list(found["outputFiles"]) == ["neighbour.py"]
    assert plane.texts(token) == ["done"]


def test_commands_longer_than_one_argument_run_all_the_same(plane: FakeGateway) -> None:
    token = plane.assign(shell("# " + "x" * 300_000, "echo long"))
    outputs(plane.result(token))
    assert plane.texts(token) == ["long"]


def test_a_hundred_thousand_lines_arrive_once_and_in_order(plane: FakeGateway) -> None:
    token = plane.assign(shell("seq 1 100000"))
    assert plane.result(token, 60).log_lines == 100_000
    assert plane.texts(token) == [str(number) for number in range(1, 100_001)]


def test_lines_can_be_followed_while_the_task_runs(plane: FakeGateway) -> None:
    token = plane.assign(shell("echo first", "sleep 5"))
    plane.until(lambda: plane.texts(token) == ["first"], 4.0, "the first line before the task's end")
    assert token.lease_id not in plane.results
    plane.stop_attempt(token)
    plane.result(token)


def test_a_python_task_runs_in_a_process_of_its_own(plane: FakeGateway, data: Path) -> None:
    plane.secrets["S"] = "very-secret"
    task = {"id": "facts", "type": PREFIX + "Facts", "word": "{{ 'a' ~ 'b' }}", "late": "{{ secret('S') }}"}
    token = plane.assign(task)
    result = plane.result(token)
    found = outputs(result)
    assert found["threads"] == 1 and found["attempt"] == 1 and found["pathExists"]
    assert found["copied"] == "some text"
    assert found["rendered"] == "******"
    assert plane.files[found["uri"]] == b"made here"
    assert sorted(plane.texts(token)) == ["printed by the task", "to standard error", "word is ab"]
    assert [(m.name, m.value, dict(m.tags)) for m in result.metrics] == [("rows", 3, {"table": "games"})]
    assert plane.progress[token.lease_id] == [{"step": "load", "done": 1, "total": 2}]
    assert not (data / "runs" / token.task_run_id).exists() or _gone(data / "runs" / token.task_run_id)


def _gone(path: Path) -> bool:
    for _ in range(50):
        if not path.exists():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("fail", "sample.away", "the source is away"),
        ("raise", "task.error", "ZeroDivisionError: a bug"),
        ("exit", "task.error", "SystemExit: 3"),
        ("vanish", "task.crashed", "exit code 4"),
        ("kill", "task.crashed", "killed by signal 9"),
    ],
)
def test_a_python_task_that_goes_wrong_says_how(plane: FakeGateway, how: str, code: str, message: str) -> None:
    token = plane.assign({"id": "m", "type": PREFIX + "Misbehave", "how": how})
    result = plane.result(token)
    assert message in failed(result, code)
    assert "Traceback" not in "\n".join(plane.texts(token))
    if how == "fail":
        assert json.loads(result.outputs_json) == {"kept": 1}


def test_a_light_task_that_blocks_does_not_block_the_others(plane: FakeGateway) -> None:
    slow = plane.assign({"id": "slow", "type": PREFIX + "Slow", "seconds": 1.5})
    quick = plane.assign({"id": "hello", "type": CORE + "log.Log", "message": "hi"})
    plane.result(quick, 1.0)
    assert slow.lease_id not in plane.results
    assert "headrace-task" in outputs(plane.result(slow))["thread"]
    assert slow.lease_id in plane.started and quick.lease_id not in plane.started


def test_an_attempt_leaves_no_folder(plane: FakeGateway, data: Path) -> None:
    for command in ("echo x > y", "exit 1"):
        token = plane.assign(shell(command))
        plane.result(token)
        assert _gone(data / "runs" / token.task_run_id)


def test_a_second_agent_start_reuses_the_credential(plane: FakeGateway, agent: AgentThread, data: Path) -> None:
    plane.connected()
    credential = data / "credential.json"
    assert credential.stat().st_mode & 0o777 == 0o600
    assert json.loads(credential.read_text())["credential"] in plane.credentials
    assert len(plane.credentials) == 1
