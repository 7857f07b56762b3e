"""`headrace flow test`: unit-test documents run in memory, without a server (flow-language §16)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from flows.machine.case import OPERATORS, Assertion, CaseResult, check, read_suite, run_suite
from flows.spec.parse import parse_flow
from wire.plugins import discover

FLOW = """
id: greet
namespace: company.team
inputs: [{id: name, type: STRING, defaults: you}]
tasks:
  - {id: hello, type: io.kestra.plugin.core.debug.Return, format: "Hello {{ inputs.name }}"}
  - {id: load, type: io.kestra.plugin.scripts.shell.Commands, commands: ["true"]}
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks: [{id: one, type: io.kestra.plugin.scripts.shell.Commands, commands: ["true"]}]
  - {id: from_file, type: io.kestra.plugin.core.debug.Return, format: "{{ read('query.sql') }} {{ trigger.date ?? 'by hand' }}"}
errors:
  - {id: alert, type: io.kestra.plugin.core.log.Log, message: "{{ error.taskId }}"}
"""


def results(cases: str) -> list[CaseResult]:
    import yaml

    document = {"id": "t", "namespace": "company.team", "flowId": "greet", "testCases": yaml.safe_load(cases)}
    return run_suite(read_suite(document), parse_flow(FLOW, discover()).require())


GIVEN = "fixtures: {files: {query.sql: SELECT 1}, tasks: [{id: load, outputs: {exitCode: 0}}, {id: one}]}"


def test_fixtures_stand_for_tasks_and_assertions_see_the_end() -> None:
    (found,) = results(f"""
- id: all
  {GIVEN}
  assertions:
    - {{value: "{{{{ outputs.hello.value }}}}", equalTo: Hello you}}
    - {{value: "{{{{ outputs.load.exitCode }}}}", equalTo: 0}}
    - {{value: "{{{{ outputs.from_file.value }}}}", startsWith: SELECT 1, endsWith: by hand}}
    - {{value: "{{{{ execution.state }}}}", in: [SUCCESS, WARNING]}}
""")
    assert (found.outcome, found.state) == ("SUCCESS", "SUCCESS"), found


def test_a_false_assertion_fails_its_case_and_shows_both_values() -> None:
    (found,) = results(f"- id: wrong\n  {GIVEN}\n  assertions: [{{value: '{{{{ outputs.hello.value }}}}', contains: Bob}}]")
    assert found.outcome == "FAILED"
    assert found.checked[0].message == "expected Hello you contains Bob"


def test_a_case_may_expect_a_failure_and_give_states_per_value() -> None:
    (found,) = results("""
- id: fails
  expectedState: FAILED
  fixtures: {tasks: [{id: load}, {id: one, value: a}, {id: one, value: b, state: FAILED}]}
  assertions: [{value: "{{ tasks.alert.state }}", equalTo: SUCCESS}]
""")
    assert found.outcome == "SUCCESS", found
    assert "one[b] FAILED" in found.outline


def test_a_task_that_needs_a_worker_and_has_no_fixture_is_an_error_that_names_it() -> None:
    (found,) = results("- id: bare")
    assert found.outcome == "ERROR"
    assert "task `load`" in found.errors[0]


def test_a_trigger_and_inputs_may_be_given() -> None:
    (found,) = results("""
- id: by_trigger
  fixtures:
    inputs: {name: Ada}
    files: {query.sql: x}
    trigger: {id: t, type: io.kestra.plugin.core.trigger.Schedule, variables: {date: 2026-01-01}}
    tasks: [{id: load}, {id: one}]
  assertions:
    - {value: "{{ outputs.from_file.value }}", equalTo: x 2026-01-01}
    - {value: "{{ outputs.hello.value }}", equalTo: Hello Ada}
""")
    assert found.outcome == "SUCCESS", found


def test_a_secret_input_is_there_for_tasks_and_assertions() -> None:
    text = """
id: hush
namespace: company.team
inputs: [{id: password, type: SECRET}]
tasks: [{id: use, type: io.kestra.plugin.core.debug.Return, format: "<{{ inputs.password }}>"}]
"""
    case = {
        "id": "one",
        "fixtures": {"inputs": {"password": "abc"}},
        "assertions": [
            {"value": "{{ outputs.use.value }}", "equalTo": "<abc>"},
            {"value": "{{ inputs.password }}", "equalTo": "abc"},
        ],
    }
    suite = read_suite({"id": "t", "namespace": "company.team", "flowId": "hush", "testCases": [case]})
    (found,) = run_suite(suite, parse_flow(text, discover()).require())
    assert found.outcome == "SUCCESS", found


def test_disabled_cases_are_skipped() -> None:
    assert [one.outcome for one in results("- {id: idle, disabled: true}")] == ["SKIPPED"]


HOLD: dict[str, tuple[Any, Any, Any]] = {
    "equal_to": (10, "10", 11),
    "not_equal_to": ("a", "b", "a"),
    "contains": ("abc", "b", "x"),
    "starts_with": ("abc", "a", "b"),
    "ends_with": ("abc", "c", "b"),
    "greater_than": (3, 2, 3),
    "greater_than_or_equal_to": (3, 3, 4),
    "less_than": ("2", 3, 2),
    "less_than_or_equal_to": (3, 3, 2),
    "in_": ("a", ["a", "b"], ["b"]),
    "not_in": ("a", ["b"], ["a"]),
    "is_null": (None, True, False),
    "is_not_null": ("x", True, False),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_each_operator_holds_and_does_not(name: str) -> None:
    actual, right, wrong = HOLD[name]
    for expected, holds in ((right, True), (wrong, False)):
        assertion = Assertion.model_validate({"value": "v", name: expected})
        (found,) = check(assertion, lambda written: actual if written == "v" else written)
        assert found.holds is holds


def test_the_command_prints_cases_and_ends_with_their_verdict(tmp_path: Path) -> None:
    (tmp_path / "greet.yml").write_text(FLOW)
    document = tmp_path / "greet_test.yml"
    good = f"testCases:\n  - id: good\n    {GIVEN}\n"
    document.write_text(f"id: greet_test\nnamespace: company.team\nflowId: greet\n{good}")
    done = CliRunner().invoke(app, ["flow", "test", str(document)])
    assert done.exit_code == 0, done.output
    assert "ok       good" in done.output
    document.write_text(document.read_text() + "  - id: bad\n    assertions: [{value: 1, equalTo: 2}]\n")
    done = CliRunner().invoke(app, ["flow", "test", str(document), "--format", "json"])
    assert done.exit_code == 1
    (suite,) = json.loads(done.output)
    assert [one["outcome"] for one in suite["results"]] == ["SUCCESS", "ERROR"]


def test_simulated_executions_queue_retry_and_repeat_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "hourly.yml"
    path.write_text("""
id: hourly
namespace: company.team
concurrency: {limit: 1}
tasks:
  - {id: work, type: io.kestra.plugin.core.log.Log, message: x, retry: {type: constant, interval: PT10M, maxAttempts: 3}}
triggers:
  - {id: hourly, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 * * * *"}
""")
    arguments = ["flow", "simulate", str(path), "--from", "2026-01-01", "--days", "2", "--run", "--task-seconds", "2400"]
    arguments += ["--failures", "0.3", "--format", "json", "--seed", "7"]
    first, second = (CliRunner().invoke(app, arguments) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.output == second.output
    rows = json.loads(first.output)
    assert len(rows) == 48
    assert any(row["waitedSeconds"] > 0 for row in rows)
    assert any(row["attempts"] > row["taskRuns"] for row in rows)
