"""Rows of the language's tables: texts of violations (§1.2), identifiers (§2), properties (§1, §4.1, §9), spellings (§15)."""

from __future__ import annotations

import pytest

from flows.spec.shapes import RESERVED_FLOW_IDS
from tests.unit.spec.kinds import HEAD, LOG, checked, found, read

FLOW = "io.kestra.plugin.core.flow."
SAY = "io.kestra.plugin.core.log.Log"
SCHEDULE = "io.kestra.plugin.core.trigger.Schedule"


def say(task_id: str) -> str:
    return f"{{id: {task_id}, type: {SAY}, message: x}}"


TASK = f"tasks: [{say('a')}]"
DAG = f"tasks: [{{id: d, type: {FLOW}Dag, tasks: ["


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"tasks: [{say('a')}, {say('a')}]", "Duplicate task id with name [a]"),
        (
            f"tasks: [{say('a')}]\ntriggers: [{{id: t, type: {SCHEDULE}, cron: x}}, {{id: t, type: {SCHEDULE}, cron: x}}]",
            "Duplicate trigger id with name [t]",
        ),
        (f"tasks: [{say('a')}]\ninputs: [{{id: i, type: INT}}, {{id: i, type: INT}}]", "Duplicate input with name [i]"),
        (f"tasks: [{say('a')}]\noutputs: [{{id: o, value: 1}}, {{id: o, value: 1}}]", "Duplicate output with name [o]"),
        (f"tasks: [{{id: s, type: {FLOW}Subflow, namespace: demo, flowId: f}}]", "Recursive call to flow [demo.f]"),
        (
            f"tasks: [{say('a')}]\ninputs: [{{id: x, type: INT, dependsOn: {{inputs: [y]}}}}]",
            "Input with id 'x' depends on a non-existent input 'y'.",
        ),
        (
            TASK + "\ninputs: [{id: x, type: INT, dependsOn: {inputs: [y]}}, {id: y, type: INT, dependsOn: {inputs: [x]}}]",
            "Cycle dependency detected for input with id 'x': [y]",
        ),
        (f"tasks: [{say('a')}]\nlabels: {{system.x: v}}", "offending label: system.x=v"),
        ("tasks: []", "A flow needs at least one task"),
        (f"tasks: [{{id: s, type: {FLOW}Sequential, tasks: []}}]", "The 'tasks' property cannot be empty"),
        (f"tasks: [{say('a')}]\ninputs: [{{id: x, type: ARRAY, itemType: ARRAY}}]", "`itemType` cannot be `ARRAY`"),
        (f"tasks: [{say('a')}]\ninputs: [{{id: x, type: STRING, validator: '['}}]", "invalid pattern [[]"),
        (f"tasks: [{{id: s, type: {FLOW}Switch, value: x}}]", "No task defined, neither cases or default have any tasks"),
        (
            f"tasks: [{{id: d, type: {FLOW}Dag, tasks: [{{task: {say('a')}, dependsOn: [x, y]}}]}}]",
            "Not existing task id in dependency: x, y",
        ),
        (
            DAG + f"{{task: {say('a')}, dependsOn: [b]}}, {{task: {say('b')}, dependsOn: [a]}}]}}]",
            "Cyclic dependency detected: a, b",
        ),
        (f"tasks: [{say('a')}]\npluginDefaults: [{{type: x.Y}}]", "Invalid Plugin Default: No 'values' provided"),
        (f"tasks: [{say('a')}]\npluginDefaults: [{{values: {{a: 1}}}}]", "Invalid Plugin Default: No 'type' provided"),
        (f"tasks: [{say('a')}]\npluginDefaults: [{{type: x.Y, values: {{k: null}}}}]", "No value provided for key 'k'"),
        ("tasks: [{id: a, type: no.Such}]", "Invalid type: no.Such"),
        (f"tasks: [{say('a')}]\nsla: [{{id: s, type: MAX_DURATION, behavior: FAIL}}]", "MAX_DURATION needs `duration`"),
        (
            f"tasks: [{say('a')}]\nsla: [{{id: s, type: EXECUTION_ASSERTION, behavior: FAIL}}]",
            "EXECUTION_ASSERTION needs `assert`",
        ),
        (
            f"tasks: [{say('a')}]\nsla: [{{id: s, type: MAX_DURATION, duration: PT1M, behavior: FAIL, labels: {{system.x: y}}}}]",
            "System labels",
        ),
        (f"tasks: [{say('a')}]\nchecks: [{{condition: '{{{{ true }}}}'}}]", "The property `message` is required"),
    ],
)
def test_violation_text(text: str, message: str) -> None:
    messages = [problem.message for problem in checked(HEAD + text + "\n")]
    assert any(message in one for one in messages), messages


IDS = {
    "flow": ("id: {}\nnamespace: demo\ntasks:\n" + LOG, ["a", "A1", "9", "a.b-c_d"], ["-a", ".a", "a b", "a/b", "a" * 101, "ä"]),
    "namespace": ("id: f\nnamespace: {}\ntasks:\n" + LOG, ["a", "9", "a.b-c_d"], ["A", "-a", "a b", ".a", "a" * 151]),
    "task": (
        f"{HEAD}tasks:\n  - {{{{id: '{{}}', type: {SAY}, message: x}}}}\n",
        ["a", "A-1_b", "9"],
        ["a.b", "-a", "a b", "", "a" * 257],
    ),
    "trigger": (
        f"{HEAD}tasks:\n{LOG}triggers:\n  - {{{{id: '{{}}', type: {SCHEDULE}, cron: x}}}}\n",
        ["a", "A-1_b"],
        ["a.b", "-a", "a b", ""],
    ),
    "input": (
        f"{HEAD}tasks:\n{LOG}inputs:\n  - {{{{id: '{{}}', type: INT, defaults: 1}}}}\n",
        ["a", "a.b", "A-1_b"],
        ["-a", "a b", ""],
    ),
    "output": (f"{HEAD}tasks:\n{LOG}outputs:\n  - {{{{id: '{{}}', value: 1}}}}\n", ["a", "a.b", "A-1_b"], ["-a", "a b", ""]),
}


@pytest.mark.parametrize(("what", "name"), [(what, name) for what, (_, good, _) in IDS.items() for name in good])
def test_identifier_is_accepted(what: str, name: str) -> None:
    assert (
        found(IDS[what][0].replace("'{}'" if "'{}'" in IDS[what][0] else "{}", f"'{name}'").replace("{{", "{").replace("}}", "}"))
        == []
    )


@pytest.mark.parametrize(("what", "name"), [(what, name) for what, (_, _, bad) in IDS.items() for name in bad])
def test_identifier_is_refused_as_a_whole(what: str, name: str) -> None:
    source = IDS[what][0].replace("'{}'" if "'{}'" in IDS[what][0] else "{}", f"'{name}'").replace("{{", "{").replace("}}", "}")
    assert {code for code, *_ in found(source)} & {"flow.invalid_id", "flow.wrong_value"}


@pytest.mark.parametrize("name", sorted(RESERVED_FLOW_IDS))
def test_reserved_flow_id(name: str) -> None:
    assert len(RESERVED_FLOW_IDS) == 10
    assert [code for code, *_ in found(f"id: {name}\nnamespace: demo\ntasks:\n{LOG}")] == ["flow.reserved_id"]


@pytest.mark.parametrize(
    "line",
    [
        "revision: 3",
        "tenantId: main",
        "description: text",
        "labels: {a: b}",
        "labels: [{key: a, value: b}]",
        "inputs: []",
        "variables: {a: {b: [1]}}",
        f"errors: [{say('e')}]",
        f"finally: [{say('e')}]",
        f"afterExecution: [{say('e')}]",
        "triggers: []",
        "outputs: []",
        "pluginDefaults: []",
        "taskDefaults: []",
        "concurrency: {limit: 1}",
        "retry: {type: constant, interval: PT1S}",
        "sla: []",
        "checks: []",
        "quotas: [{duration: PT1H, limit: 0}]",
        "disabled: true",
        "deleted: false",
        "draft: true",
        "workerGroup: {key: a}",
        "workerSelector: {tags: [a]}",
        "policyRefs: [a]",
        f"listeners: [{{description: d, tasks: [{say('l')}]}}]",
    ],
)
def test_property_of_a_flow_is_accepted(line: str) -> None:
    assert found(f"{HEAD}{line}\ntasks:\n{LOG}") == []


@pytest.mark.parametrize(
    "written",
    [
        "version: 1.0.0",
        "description: d",
        "retry: {type: random, minInterval: PT1S, maxInterval: PT5S}",
        "timeout: PT1M",
        "timeout: '{{ inputs.t ?? \"PT1M\" }}'",
        "runIf: '{{ flow.id }}'",
        "when: '{{ flow.id }}'",
        "disabled: true",
        "allowFailure: true",
        "allowWarning: true",
        "logLevel: WARN",
        "minLogLevel: WARN",
        "logToFile: true",
        "workerGroup: {key: a, fallback: WAIT}",
        "workerSelector: {tags: [a], match: ANY, fallback: CANCEL}",
        "taskCache: {enabled: true, ttl: PT1H}",
        "assets: {enableAuto: true, inputs: [{id: a, type: t}]}",
        "policyRefs: [a]",
    ],
)
def test_property_of_a_task_is_accepted(written: str) -> None:
    problems = found(
        f"{HEAD}inputs: [{{id: t, type: STRING, required: false}}]\ntasks:\n  - {{id: a, type: {SAY}, message: x, {written}}}\n"
    )
    assert problems == []


def test_task_cache_of_a_block_has_no_effect() -> None:
    source = f"{HEAD}tasks:\n  - {{id: s, type: {FLOW}Sequential, taskCache: {{enabled: true}}, tasks: [{say('a')}]}}\n"
    assert [(one.severity, one.code) for one in checked(source)] == [("warning", "flow.no_effect")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            f"tasks: [{{id: a, type: {SAY}, message: x, runIf: 'false'}}]",
            f"tasks: [{{id: a, type: {SAY}, message: x, when: 'false'}}]",
        ),
        ("inputs: [{name: a, type: INT, defaults: 1}]", "inputs: [{id: a, type: INT, defaults: 1}]"),
        ("checks: [{condition: false, message: m}]", "checks: [{when: false, message: m}]"),
        ("retry: {type: constant, interval: PT1S, maxAttempt: 2}", "retry: {type: constant, interval: PT1S, maxAttempts: 2}"),
        (
            f"taskDefaults: [{{type: {SAY}, values: {{level: WARN}}}}]",
            f"pluginDefaults: [{{type: {SAY}, values: {{level: WARN}}}}]",
        ),
        ("tasks: [{id: a, type: io.kestra.core.tasks.log.Log, message: x}]", f"tasks: [{{id: a, type: {SAY}, message: x}}]"),
        (
            f"tasks: [{{id: a, type: {FLOW}WaitFor, condition: x, tasks: [{say('b')}]}}]",
            f"tasks: [{{id: a, type: {FLOW}LoopUntil, condition: x, tasks: [{say('b')}]}}]",
        ),
    ],
)
def test_both_spellings_mean_the_same(old: str, new: str) -> None:
    rest = "" if old.startswith("tasks") else f"\ntasks:\n{LOG}"
    one, other = read(HEAD + old + rest).require(), read(HEAD + new + rest).require()
    assert (one.inputs, one.checks, one.retry) == (other.inputs, other.checks, other.retry)
    assert [(task.run_if, {**task.properties, "type": ""}) for task in one.walk() if "runIf" not in task.properties] == [
        (task.run_if, {**task.properties, "type": ""}) for task in other.walk() if "when" not in task.properties
    ]
    assert [task.run_if for task in one.walk()] == [task.run_if for task in other.walk()]


def test_spellings_may_be_mixed_and_the_newer_one_wins() -> None:
    task = (
        read(f"{HEAD}tasks:\n  - {{id: a, type: {SAY}, message: x, runIf: old, when: new, minLogLevel: INFO, logLevel: WARN}}\n")
        .require()
        .task("a")
    )
    assert (task.run_if, task.properties["logLevel"]) == ("new", "WARN")
