"""A valid source becomes a flow: tasks with their kind and branches, old spellings read, everything kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows.spec.model import Flow, Retry
from tests.unit.spec.kinds import CATALOGUE, HEAD, LOG, read

WHOLE = """\
id: whole.flow-1
namespace: company.team
description: Free **markdown**.
labels: {team: data, tier: 1, flag: true, gone: null}
inputs:
  - {name: day, type: DATE, defaults: 2024-01-31}
variables: {db: {host: "{{ render(vars.x) }}"}}
concurrency: {limit: 2, behavior: QUEUE}
retry: {type: constant, interval: PT5M, maxAttempt: 3}
sla:
  - {id: late, type: MAX_DURATION, duration: PT30M, behavior: CANCEL, labels: {sla: missed}}
  - {id: has, type: EXECUTION_ASSERTION, assert: "{{ outputs.first.value < 1000 }}", behavior: NONE}
checks:
  - {condition: "{{ inputs.day is defined }}", message: Give a day.}
quotas:
  - {duration: PT1H, limit: 5}
tasks:
  - id: first
    type: io.kestra.plugin.core.log.Log
    message: one
    runIf: "{{ inputs.day }}"
    timeout: PT1M
    allowFailure: true
    workerGroup: {key: big}
    retry: {type: exponential, interval: PT1S, maxInterval: PT1M, delayFactor: 3, maxAttempts: 4, warningOnRetry: true}
  - id: off
    type: io.kestra.plugin.core.log.Log
    message: never
    disabled: true
  - id: choose
    type: io.kestra.plugin.core.flow.If
    condition: "{{ true }}"
    then:
      - {id: yes-branch, type: io.kestra.plugin.core.log.Log, message: y, when: false}
      - {id: off2, type: io.kestra.plugin.core.log.Log, message: never, disabled: true}
    else:
      - id: inner
        type: io.kestra.core.tasks.flows.Sequential
        tasks:
          - {id: deep, type: io.kestra.core.tasks.log.Log, message: d}
        errors:
          - {id: rescue, type: io.kestra.plugin.core.log.Log, message: r}
        finally:
          - {id: tidy, type: io.kestra.plugin.core.log.Log, message: t}
  - id: switch
    type: io.kestra.plugin.core.flow.Switch
    value: "{{ inputs.day }}"
    cases:
      a:
        - {id: case-a, type: io.kestra.plugin.core.log.Log, message: a}
    defaults:
      - {id: case-else, type: io.kestra.plugin.core.log.Log, message: e}
errors:
  - {id: alarm, type: io.kestra.plugin.core.log.Log, message: e}
finally:
  - {id: sweep, type: io.kestra.plugin.core.log.Log, message: f}
afterExecution:
  - {id: after, type: io.kestra.plugin.core.log.Log, message: g}
outputs:
  - {id: total, type: INT, value: "{{ outputs.first.value }}"}
triggers:
  - {id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 9 * * *", inputs: {day: x}, conditions: []}
pluginDefaults: []
disabled: false
"""


@pytest.fixture(scope="module")
def flow() -> Flow:
    parsed = read(WHOLE)
    assert parsed.problems == ()
    return parsed.require()


def test_identity_labels_and_the_rest_are_read(flow: Flow) -> None:
    assert (flow.id, flow.namespace, flow.description) == ("whole.flow-1", "company.team", "Free **markdown**.")
    assert flow.labels == {"team": "data", "tier": "1", "flag": "true"}
    assert flow.variables == {"db": {"host": "{{ render(vars.x) }}"}}
    assert [(one.id, one.type, one.defaults) for one in flow.inputs] == [("day", "DATE", "2024-01-31")]
    assert [(one.id, one.type, one.value) for one in flow.outputs] == [("total", "INT", "{{ outputs.first.value }}")]
    assert flow.raw["triggers"][0]["cron"] == "0 9 * * *"
    assert flow.raw["concurrency"] == {"limit": 2, "behavior": "QUEUE"}


def test_disabled_tasks_are_left_out(flow: Flow) -> None:
    assert [task.id for task in flow.walk()] == [
        "first",
        "choose",
        "yes-branch",
        "inner",
        "deep",
        "rescue",
        "tidy",
        "switch",
        "case-a",
        "case-else",
        "alarm",
        "sweep",
        "after",
    ]
    assert "off" not in flow.index
    assert "off2" not in flow.index


def test_branches_hold_the_tasks_below_and_the_index_finds_all(flow: Flow) -> None:
    choose = flow.task("choose")
    assert choose.kind == "flowable"
    assert {name: [task.id for task in tasks] for name, tasks in choose.branches.items()} == {
        "then": ["yes-branch"],
        "else": ["inner"],
    }
    inner = flow.task("inner")
    assert {name: [task.id for task in tasks] for name, tasks in inner.branches.items()} == {
        "tasks": ["deep"],
        "errors": ["rescue"],
        "finally": ["tidy"],
    }
    assert flow.task("deep").parent == "inner"
    assert flow.task("inner").parent == "choose"
    assert flow.task("first").parent is None
    assert {name: [task.id for task in tasks] for name, tasks in flow.task("switch").branches.items()} == {
        "cases.a": ["case-a"],
        "defaults": ["case-else"],
    }


def test_common_properties_are_typed(flow: Flow) -> None:
    first = flow.task("first")
    assert (first.kind, first.run_if, first.timeout, first.allow_failure, first.worker_group) == (
        "light",
        "{{ inputs.day }}",
        "PT1M",
        True,
        "big",
    )
    assert first.retry == Retry(
        type="exponential",
        interval=timedelta(seconds=1),
        interval_max=timedelta(minutes=1),
        delay_factor=3.0,
        attempts_max=4,
        warning_on_retry=True,
    )
    assert flow.retry == Retry(type="constant", interval=timedelta(minutes=5), attempts_max=3)
    assert flow.task("yes-branch").run_if is False


def test_old_type_names_become_the_present_ones(flow: Flow) -> None:
    assert flow.task("deep").type == "io.kestra.plugin.core.log.Log"
    assert flow.task("deep").properties["type"] == "io.kestra.plugin.core.log.Log"
    assert CATALOGUE.get(flow.task("inner").type) is not None


def test_properties_hold_what_was_written_with_texts_where_texts_are_wanted() -> None:
    source = (
        HEAD
        + "tasks:\n  - id: s\n    type: io.kestra.plugin.scripts.python.Script\n    script: 1.10\n"
        + "    env: {PORT: 8080, OK: true, DAY: 2024-01-31, VERSION: 1.10, CODE: 012, E: '{{ x }}'}\n"
        + "    count: '{{ inputs.n ?? 1 }}'\n    ratio: 1\n    limits: {cpu: '{{ 1 }}'}\n"
        + "    warn: null\n    commands: [1, true]\n"
    )
    task = read(source).require().task("s")
    assert task.properties == {
        "id": "s",
        "type": "io.kestra.plugin.scripts.python.Script",
        "script": "1.10",
        "env": {"PORT": "8080", "OK": "true", "DAY": "2024-01-31", "VERSION": "1.10", "CODE": "012", "E": "{{ x }}"},
        "count": "{{ inputs.n ?? 1 }}",
        "ratio": 1,
        "limits": {"cpu": "{{ 1 }}"},
        "commands": ["1", "true"],
    }


def test_expression_where_none_is_evaluated_is_refused() -> None:
    source = HEAD + "tasks:\n  - {id: s, type: io.kestra.plugin.scripts.python.Script, script: x, warn: '{{ true }}'}\n"
    problem = read(source).problems[0]
    assert (problem.code, problem.hint) == ("flow.wrong_type", "this property takes no expression")


def test_plugin_defaults_fill_in_what_a_task_does_not_say() -> None:
    source = (
        HEAD
        + "taskDefaults:\n"
        + "  - {type: io.kestra.plugin.core.log.Log, values: {message: from defaults, level: WARN}}\n"
        + "  - {type: io.kestra.plugin.core.log, values: {level: INFO, allowFailure: true, nosuch: 1}}\n"
        + "  - {type: io.kestra.plugin.scripts, forced: true, values: {count: 7, env: {A: forced}, commands: [first]}}\n"
        + "  - {type: my.Runner, values: {image: python}}\n"
        + "tasks:\n"
        + "  - {id: a, type: io.kestra.plugin.core.log.Log}\n"
        + "  - {id: b, type: io.kestra.plugin.core.log.Log, message: own}\n"
        + "  - id: s\n    type: io.kestra.plugin.scripts.python.Script\n    script: x\n    count: 1\n"
        + "    env: {A: own, B: own}\n    commands: [second]\n    taskRunner: {type: my.Runner}\n"
    )
    parsed = read(source)
    assert parsed.problems == ()
    flow = parsed.require()
    assert flow.task("a").properties["message"] == "from defaults"
    assert flow.task("b").properties["message"] == "own"
    assert flow.task("a").properties["level"] == "WARN"
    assert flow.task("a").allow_failure is True
    script = flow.task("s").properties
    assert script["count"] == 7
    assert script["env"] == {"A": "forced", "B": "own"}
    assert sorted(script["commands"]) == ["first", "second"]
    assert script["taskRunner"] == {"type": "my.Runner", "image": "python"}
    assert flow.raw["tasks"][0] == {"id": "a", "type": "io.kestra.plugin.core.log.Log"}


def test_plugin_default_of_a_known_type_may_not_name_unknown_properties() -> None:
    source = HEAD + "pluginDefaults:\n  - {type: io.kestra.plugin.core.log.Log, values: {mesage: x}}\n" + "tasks:\n" + LOG
    problem = read(source).problems[0]
    assert (problem.code, problem.path, problem.hint) == (
        "flow.unknown_property",
        "pluginDefaults[0].values.mesage",
        "did you mean `message`?",
    )


def test_same_source_gives_equal_problems_and_tasks() -> None:
    one, other = read(WHOLE).require(), read(WHOLE).require()
    assert [dict(task.properties) for task in one.walk()] == [dict(task.properties) for task in other.walk()]


def test_anchored_tasks_keep_their_faults_apart() -> None:
    source = HEAD + "tasks:\n  - &t {id: a, type: io.kestra.plugin.core.log.Log, message: x}\n  - *t\n"
    assert [problem.code for problem in read(source).problems] == ["flow.duplicate_id"]
