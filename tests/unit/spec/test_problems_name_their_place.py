"""Every fault of a flow is reported at once: what was expected, what was found, where, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.errors import FlowInvalid
from tests.unit.spec.kinds import HEAD, LOG, checked, found, read

TASKS = "tasks:\n" + LOG


def test_one_look_shows_all_faults_in_order_of_their_place() -> None:
    source = """\
id: my flow
namespace: demo
lables: {a: b}
inputs:
  - {id: n, type: INT, defaults: abc}
  - {id: n, type: STRING}
tasks:
  - id: a
    type: io.kestra.plugin.core.log.Log
    mesage: hi
  - id: seq
    type: io.kestra.plugin.core.flow.Sequential
    tasks:
      - id: a
        type: io.kestra.plugin.core.log.Lag
      - id: q
        type: io.kestra.plugin.scripts.python.Script
        script: |
          first line
          {{ outputs.sez.value }} {{ inputs.m }}
        count: many
        warn: []
        taskRunner: {type: x, imge: y}
        timeout: 5 minutes
"""
    assert found(source) == [
        ("flow.invalid_id", 1, 5, "id"),
        ("flow.unknown_property", 3, 1, "lables"),
        ("flow.wrong_value", 5, 34, "inputs[0].defaults"),
        ("flow.duplicate_id", 6, 5, "inputs[1]"),
        ("flow.missing_property", 8, 5, "tasks[0].message"),
        ("flow.unknown_property", 10, 5, "tasks[0].mesage"),
        ("flow.duplicate_id", 14, 9, "tasks[1].tasks[0].id"),
        ("flow.unknown_type", 15, 15, "tasks[1].tasks[0].type"),
        ("flow.unknown_reference", 20, 1, "tasks[1].tasks[1].script"),
        ("flow.unknown_reference", 20, 1, "tasks[1].tasks[1].script"),
        ("flow.wrong_type", 21, 16, "tasks[1].tasks[1].count"),
        ("flow.wrong_type", 22, 15, "tasks[1].tasks[1].warn"),
        ("flow.unknown_property", 23, 37, "tasks[1].tasks[1].taskRunner.imge"),
        ("flow.wrong_value", 24, 18, "tasks[1].tasks[1].timeout"),
    ]
    texts = [str(problem) for problem in checked(source)]
    assert any("did you mean `labels`?" in text for text in texts)
    assert any("did you mean `message`?" in text for text in texts)
    assert any(
        "Invalid type: io.kestra.plugin.core.log.Lag (did you mean `io.kestra.plugin.core.log.Log`?)" in text for text in texts
    )
    assert any("did you mean `seq`?" in text for text in texts)
    assert any("did you mean `image`?" in text for text in texts)
    assert any("`count` must be a whole number, found `many`" in text for text in texts)
    assert any("`warn` must be true or false, found a list" in text for text in texts)


def test_faults_of_yaml_and_of_the_flow_are_reported_together() -> None:
    source = HEAD + "namespace: again\n" + "tasks:\n  - {id: a, type: Nope}\n"
    assert [code for code, *_ in found(source)] == ["yaml.duplicate_key", "flow.unknown_type"]


def test_flow_with_errors_is_no_flow() -> None:
    parsed = read(HEAD + "tasks: []\n")
    assert parsed.flow is None
    assert not parsed.valid
    with pytest.raises(FlowInvalid) as caught:
        parsed.require()
    assert [problem.code for problem in caught.value.problems] == ["flow.no_tasks"]


@pytest.mark.parametrize(
    ("source", "code", "line", "path"),
    [
        ("- a\n", "flow.wrong_type", 1, ""),
        ("text\n", "flow.wrong_type", 1, ""),
        ("namespace: demo\n" + TASKS, "flow.missing_property", 1, "id"),
        ("id: f\n" + TASKS, "flow.missing_property", 1, "namespace"),
        (HEAD, "flow.no_tasks", 1, "tasks"),
        (HEAD + "tasks:\n", "flow.no_tasks", 3, "tasks"),
        (HEAD + "tasks: 5\n", "flow.wrong_type", 3, "tasks"),
        (HEAD + "tasks: {a: b}\n", "flow.wrong_type", 3, "tasks"),
        (HEAD + "tasks:\n  - text\n", "flow.wrong_type", 4, "tasks[0]"),
        (HEAD + "tasks:\n  - {type: io.kestra.plugin.core.log.Log, message: x}\n", "flow.missing_property", 4, "tasks[0].id"),
        (HEAD + "tasks:\n  - {id: a, message: x}\n", "flow.missing_property", 4, "tasks[0].type"),
        (HEAD + "tasks:\n  - {id: a.b, type: io.kestra.plugin.core.log.Log, message: x}\n", "flow.invalid_id", 4, "tasks[0].id"),
        ("id: pause\nnamespace: demo\n" + TASKS, "flow.reserved_id", 1, "id"),
        ("id: f\nnamespace: Demo\n" + TASKS, "flow.invalid_id", 2, "namespace"),
        (f"id: {'f' * 101}\nnamespace: demo\n" + TASKS, "flow.wrong_value", 1, "id"),
        (HEAD + TASKS + "labels: [a]\n", "flow.wrong_type", 5, "labels[0]"),
        (HEAD + TASKS + "labels: {a: [b]}\n", "flow.wrong_type", 5, "labels.a"),
        (HEAD + TASKS + "labels: {system.x: y}\n", "flow.system_label", 5, "labels['system.x']"),
        (HEAD + TASKS + "disabled: maybe\n", "flow.wrong_type", 5, "disabled"),
        (HEAD + TASKS + "concurrency: {limit: 0}\n", "flow.wrong_value", 5, "concurrency.limit"),
        (HEAD + TASKS + "concurrency: {limit: 1, behavior: WAIT}\n", "flow.wrong_value", 5, "concurrency.behavior"),
        (HEAD + TASKS + "sla:\n  - {id: a, type: MAX_DURATION, behavior: FAIL}\n", "flow.missing_property", 6, "sla[0]"),
        (HEAD + TASKS + "checks:\n  - {condition: x}\n", "flow.missing_property", 6, "checks[0].message"),
        (HEAD + TASKS + "outputs:\n  - {id: a, value: x, typ: INT}\n", "flow.unknown_property", 6, "outputs[0].typ"),
        (HEAD + TASKS + "outputs:\n  - {id: a, value: 1}\n  - {id: a, value: 2}\n", "flow.duplicate_id", 7, "outputs[1]"),
        (HEAD + TASKS + "triggers:\n  - {id: a, type: X}\n  - {id: a, type: Y}\n", "flow.duplicate_id", 7, "triggers[1]"),
        (HEAD + TASKS + "errors:\n" + LOG, "flow.duplicate_id", 6, "errors[0].id"),
        (HEAD + TASKS + "finally:\n" + LOG, "flow.duplicate_id", 6, "finally[0].id"),
        (HEAD + TASKS + "afterExecution:\n" + LOG, "flow.duplicate_id", 6, "afterExecution[0].id"),
        (
            HEAD + "tasks:\n  - {id: s, type: io.kestra.plugin.core.flow.Sequential, tasks: []}\n",
            "flow.wrong_value",
            4,
            "tasks[0].tasks",
        ),
        (
            HEAD + "tasks:\n  - {id: s, type: io.kestra.plugin.core.flow.Sequential}\n",
            "flow.missing_property",
            4,
            "tasks[0].tasks",
        ),
    ],
)
def test_fault(source: str, code: str, line: int, path: str) -> None:
    problems = read(source).problems
    assert (code, line, path) in [(problem.code, problem.line, problem.path) for problem in problems], problems


@pytest.mark.parametrize(
    ("retry", "text"),
    [
        ("{type: constant, interval: PT5M, maxDuration: PT1M}", "'interval' must be less than 'maxDuration' but is PT5M"),
        ("{type: exponential, interval: PT5M, maxInterval: PT1M}", "'interval' must be less than 'maxInterval' but is PT5M"),
        ("{type: random, minInterval: PT5M, maxInterval: PT1M}", "'minInterval' must be less than 'maxInterval' but is PT5M"),
        (
            "{type: random, minInterval: PT1M, maxInterval: PT5M, maxDuration: PT2M}",
            "'maxInterval' must be less than 'maxDuration' but is PT5M",
        ),
        ("{type: linear, interval: PT5M}", "`type` of a retry must be one of constant, exponential, random, found `linear`"),
        ("{interval: PT5M}", "`type` of a retry must be one of constant, exponential, random, found nothing"),
        ("{type: constant}", "The property `interval` is required"),
        ("{type: constant, interval: soon}", "expected a duration such as PT30S, PT10M or P1D, found `soon`"),
        ("{type: constant, interval: PT1S, maxAttempts: 0}", "should be greater than or equal to 1"),
        ("{type: constant, interval: PT1S, attempts: 1}", "Unknown property `attempts`"),
        ("5", "`retry` must be a map, found `5`"),
    ],
)
@pytest.mark.parametrize("level", ["flow", "task"])
def test_retry_rule(retry: str, text: str, level: str) -> None:
    source = HEAD + TASKS + f"retry: {retry}\n" if level == "flow" else HEAD + TASKS.replace("hi}", f"hi, retry: {retry}}}")
    problems = read(source).problems
    assert any(text in problem.message for problem in problems), problems
    assert all(problem.path.startswith("retry" if level == "flow" else "tasks[0].retry") for problem in problems)


def test_template_that_cannot_be_read_is_an_error_at_its_line() -> None:
    source = (
        HEAD + "tasks:\n  - id: s\n    type: io.kestra.plugin.scripts.python.Script\n    script: |\n      one\n      {{ 1 + }}\n"
    )
    assert found(source) == [("flow.expression", 8, 1, "tasks[0].script")]


def test_texts_that_are_never_rendered_may_hold_anything() -> None:
    source = (
        HEAD
        + "description: '{{ 1 + }}'\nvariables: {v: '{% if %}'}\n"
        + TASKS.replace("hi}", "hi, description: '{{ }}'}")
        + "  - {id: s, type: io.kestra.plugin.scripts.python.Script, script: x, template: '{{ 1 + }}'}\n"
    )
    assert found(source) == []


def test_misspelt_filter_and_function_are_found_with_the_nearest_name() -> None:
    source = HEAD + TASKS.replace("hi", "\"{{ secrett('X') | uper }}\"")
    assert read(source).valid, "whether such a flow may be stored is another question"
    assert {(problem.severity, problem.message, problem.hint) for problem in checked(source)} == {
        ("error", "There is no filter `uper`", "did you mean `upper`?"),
        ("error", "There is no function `secrett`", "did you mean `secret`?"),
    }


@pytest.mark.parametrize(
    "message",
    [
        "{{ outputs.a.value }}",
        "{{ outputs['a'].value }}",
        "{{ outputs[taskrun.value] }}",
        "{{ outputs }}",
        "{{ outputs.each[taskrun.value].value }}",
        "{{ outputs.off.value ?? 'n/a' }}",
        "{{ inputs.db.host }}",
        "{{ trigger.outputs.z }}",
        "{% for o in outputs %}{{ o.value }}{% endfor %}",
        "{{ render(vars.x) }}",
    ],
)
def test_reference_that_may_exist_gives_no_warning(message: str) -> None:
    source = (
        HEAD
        + "inputs:\n  - {id: db.host, type: STRING}\nvariables: {x: '{{ 1 }}'}\ntasks:\n"
        + "  - {id: a, type: io.kestra.plugin.core.debug.Return, format: hi}\n"
        + "  - id: each\n    type: io.kestra.plugin.core.flow.ForEach\n    values: [1]\n    tasks:\n"
        + "      - {id: off, type: io.kestra.plugin.core.log.Log, message: x, disabled: true}\n"
        + f'      - {{id: say, type: io.kestra.plugin.core.log.Log, message: "{message}"}}\n'
    )
    assert found(source) == []


def test_outputs_of_a_subflow_are_named_in_its_own_context() -> None:
    call = "type: io.kestra.plugin.core.flow.Subflow, namespace: a, flowId: b, outputs: {x: '{{ outputs.inner.value }}'}"
    source = HEAD + f"tasks:\n  - {{id: sub, {call}}}\n"
    assert found(source) == []


def test_flow_that_starts_itself_is_refused() -> None:
    source = HEAD + "tasks:\n  - {id: sub, type: io.kestra.plugin.core.flow.Subflow, namespace: demo, flowId: f}\n"
    assert found(source) == [("flow.recursive", 4, 74, "tasks[0].flowId")]
    assert found(source.replace("flowId: f}", "flowId: g}")) == []


EXAMPLES = sorted(Path("flows/blueprints").rglob("flows/*.y*ml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_blueprint_has_no_problem(path: Path) -> None:
    from flows.spec.parse import parse_flow
    from wire.plugins import discover

    assert parse_flow(path.read_text(encoding="utf-8"), discover()).problems == ()
