"""Every part of a flow document arrives in the model: blocks, triggers, service levels, checks, workers, caches."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows.spec.model import Check, Concurrency, Flow, Output, Sla, TaskCache, WorkerSelector
from tests.unit.spec.kinds import HEAD, LOG, found, read

LOG_TYPE = "io.kestra.plugin.core.log.Log"
FLOW_TYPE = "io.kestra.plugin.core.flow."


def task(task_id: str) -> str:
    return f"{{id: {task_id}, type: {LOG_TYPE}, message: x}}"


def flow_of(text: str) -> Flow:
    return read(HEAD + text).require()


def test_dag_keeps_what_each_task_depends_on_and_drops_disabled_dependencies() -> None:
    flow = flow_of(
        f"""\
tasks:
  - id: dag
    type: {FLOW_TYPE}Dag
    tasks:
      - task: {task("one")}
      - task: {{id: off, type: {LOG_TYPE}, message: x, disabled: true}}
      - task: {task("two")}
        dependsOn: [one, off]
    errors: [{task("rescue")}]
"""
    )
    dag = flow.task("dag")
    assert [(one.id, one.depends_on, one.parent) for one in dag.branches["tasks"]] == [
        ("one", (), "dag"),
        ("two", ("one",), "dag"),
    ]
    assert [one.id for one in dag.branches["errors"]] == ["rescue"]


@pytest.mark.parametrize(
    ("entry", "code", "message"),
    [
        (f"- task: {task('b')}\n        dependsOn: [zzz]", "flow.unknown_reference", "Not existing task id in dependency: zzz"),
        (f"- task: {task('b')}\n        dependsOn: [b]", "flow.cycle", "Cyclic dependency detected: b"),
        (f"- task: {task('b')}\n        dependOn: [a]", "flow.unknown_property", "Unknown property `dependOn`"),
        (f"- {task('b')}", "flow.missing_property", "The property `task` is required"),
    ],
)
def test_dag_fault(entry: str, code: str, message: str) -> None:
    source = f"{HEAD}tasks:\n  - id: dag\n    type: {FLOW_TYPE}Dag\n    tasks:\n      - task: {task('a')}\n      {entry}\n"
    problems = read(source).problems
    assert (code, message) in [(problem.code, problem.message) for problem in problems], problems
    assert all(problem.line in (8, 9) for problem in problems), problems


def test_tasks_on_a_cycle_are_all_named_and_those_before_it_are_not() -> None:
    source = f"""\
tasks:
  - id: dag
    type: {FLOW_TYPE}Dag
    tasks:
      - {{task: {task("a")}, dependsOn: [b]}}
      - {{task: {task("b")}, dependsOn: [a]}}
      - {{task: {task("c")}, dependsOn: [a]}}
"""
    assert [(code, line) for code, line, *_ in found(HEAD + source)] == [("flow.cycle", 7), ("flow.cycle", 8)]


def test_task_is_wrapped_in_a_dag_only() -> None:
    source = f"{HEAD}tasks:\n  - id: s\n    type: {FLOW_TYPE}Sequential\n    tasks:\n      - task: {task('a')}\n"
    assert "flow.missing_property" in [code for code, *_ in found(source)]


def test_pause_has_one_task_for_its_begin() -> None:
    pause = flow_of(f"tasks:\n  - {{id: p, type: {FLOW_TYPE}Pause, onPause: {task('told')}, tasks: [{task('later')}]}}\n").task(
        "p"
    )
    assert {name: [one.id for one in tasks] for name, tasks in pause.branches.items()} == {
        "tasks": ["later"],
        "onPause": ["told"],
    }


def test_working_directory_holds_tasks_and_runs_in_a_process() -> None:
    block = flow_of(f"tasks:\n  - {{id: wd, type: {FLOW_TYPE}WorkingDirectory, tasks: [{task('inside')}]}}\n").task("wd")
    assert block.kind == "process"
    assert [one.id for one in block.branches["tasks"]] == ["inside"]


@pytest.mark.parametrize(
    ("tasks", "text"),
    [
        ("[]", "The 'tasks' property cannot be empty"),
        (
            f"[{{id: s, type: {FLOW_TYPE}Sequential, tasks: [{task('x')}]}}]",
            "Only runnable tasks are allowed as children of a WorkingDirectory task",
        ),
        (
            f"[{{id: x, type: {LOG_TYPE}, message: m, workerGroup: {{key: g}}}}]",
            "Cannot set a Worker Group in any WorkingDirectory sub-tasks, it is only supported at the WorkingDirectory level",
        ),
    ],
)
def test_working_directory_fault(tasks: str, text: str) -> None:
    problems = read(f"{HEAD}tasks:\n  - {{id: wd, type: {FLOW_TYPE}WorkingDirectory, tasks: {tasks}}}\n").problems
    assert text in [problem.message for problem in problems], problems


def test_type_may_add_tasks_of_its_own_below_itself() -> None:
    flow = flow_of("tasks:\n  - {id: each, type: test.Batches, items: 'kestra:///x'}\n")
    assert [one.id for one in flow.task("each").branches["tasks"]] == ["each_split", "each_items", "each_merge"]
    assert flow.task("each_items").parent == "each"
    assert flow.task("each_items").properties["message"] == "kestra:///x"


def test_trap_20_generated_ids_count_where_ids_must_be_unique() -> None:
    source = f"{HEAD}tasks:\n  - {task('each_split')}\n  - {{id: each, type: test.Batches, items: x}}\n"
    assert [(code, line) for code, line, *_ in found(source)] == [("flow.duplicate_id", 5)]


def test_after_execution_is_part_of_the_flow() -> None:
    flow = flow_of(f"tasks:\n{LOG}afterExecution:\n  - {task('note')}\n")
    assert [one.id for one in flow.after_execution] == ["note"]
    assert flow.task("note").id == "note"


def test_concurrency_service_levels_and_checks_are_typed() -> None:
    flow = flow_of(
        f"""\
tasks:
{LOG}concurrency: {{limit: 3, behavior: CANCEL}}
sla:
  - {{id: long, type: MAX_DURATION, duration: PT30M, behavior: CANCEL, labels: {{sla: missed, n: 1}}}}
  - {{id: has, type: EXECUTION_ASSERTION, assert: "{{{{ true }}}}", behavior: NONE}}
checks:
  - {{condition: "{{{{ inputs.n > 0 }}}}", message: Give more., style: ERROR, behavior: FAIL_EXECUTION}}
  - {{when: true, message: Fine.}}
draft: true
"""
    )
    assert flow.concurrency == Concurrency(3, "CANCEL")
    assert flow.sla == (
        Sla("long", "MAX_DURATION", "CANCEL", timedelta(minutes=30), None, {"sla": "missed", "n": "1"}),
        Sla("has", "EXECUTION_ASSERTION", "NONE", None, "{{ true }}"),
    )
    assert flow.checks == (
        Check("{{ inputs.n > 0 }}", "Give more.", "ERROR", "FAIL_EXECUTION"),
        Check(True, "Fine.", "INFO", "BLOCK_EXECUTION"),
    )
    assert flow.draft is True


def test_outputs_keep_all_their_fields() -> None:
    flow = flow_of(
        f"tasks:\n{LOG}outputs:\n"
        "  - {id: list, type: ARRAY, itemType: INT, value: [1], required: false, description: d, displayName: n}\n"
    )
    assert flow.outputs == (Output("list", [1], "ARRAY", False, "INT", "d", "n"),)


@pytest.mark.parametrize(
    ("written", "selector"),
    [
        ("workerGroup: {key: big}", WorkerSelector(group="big")),
        ("workerGroup: {key: big, fallback: CANCEL}", WorkerSelector(group="big", fallback="CANCEL")),
        ("workerSelector: {tags: [gpu, eu]}", WorkerSelector(tags=("gpu", "eu"), fallback="FAIL")),
        ("workerSelector: {tags: [gpu], match: ANY, fallback: IGNORE}", WorkerSelector(None, ("gpu",), "ANY", "IGNORE")),
    ],
)
def test_workers_are_selected_in_both_spellings_for_flows_and_tasks(written: str, selector: WorkerSelector) -> None:
    flow = flow_of(f"{written}\ntasks:\n  - {{id: a, type: {LOG_TYPE}, message: x, {written}}}\n  - {task('b')}\n")
    assert flow.worker_selector == selector
    assert flow.task("a").worker_selector == selector
    assert flow.task("a").worker_group == selector.group
    assert flow.task("b").worker_selector is None


def test_task_cache_is_typed() -> None:
    flow = flow_of(f"tasks:\n  - {{id: a, type: {LOG_TYPE}, message: x, taskCache: {{enabled: true, ttl: PT1H}}}}\n")
    assert flow.task("a").task_cache == TaskCache(True, timedelta(hours=1))


TRIGGER = """\
triggers:
  - id: nightly
    type: io.kestra.core.models.triggers.types.Schedule
    cron: "0 2 * * *"
    conditions:
      - {type: io.kestra.core.models.conditions.types.DayWeekCondition, dayOfWeek: MONDAY}
      - type: io.kestra.plugin.core.condition.Not
        conditions: [{type: io.kestra.plugin.core.condition.DayWeek, dayOfWeek: FRIDAY}]
    when: "{{ trigger.date }}"
    labels: {team: data, n: 1}
    inputs: {day: "{{ trigger.date }}"}
    stopAfter: [FAILED, KILLED]
    minLogLevel: WARN
    allowConcurrent: true
    failOnTriggerError: true
    workerGroup: {key: eu}
    disabled: true
"""


def test_trigger_is_read_whole() -> None:
    trigger = flow_of(f"tasks:\n{LOG}{TRIGGER}").trigger("nightly")
    assert trigger is not None
    assert (trigger.type, trigger.kind, trigger.disabled) == ("io.kestra.plugin.core.trigger.Schedule", "schedule", True)
    assert trigger.properties["cron"] == "0 2 * * *"
    assert [one["type"].rsplit(".", 1)[-1] for one in trigger.conditions] == ["DayWeek", "Not"]
    assert trigger.conditions[1]["conditions"] == [{"type": "io.kestra.plugin.core.condition.DayWeek", "dayOfWeek": "FRIDAY"}]
    assert (trigger.when, trigger.labels) == ("{{ trigger.date }}", {"team": "data", "n": "1"})
    assert (trigger.inputs, trigger.stop_after) == ({"day": "{{ trigger.date }}"}, ("FAILED", "KILLED"))
    assert (trigger.log_level, trigger.worker_group) == ("WARN", "eu")
    assert (trigger.allow_concurrent, trigger.fail_on_trigger_error) == (True, True)


def test_digest_of_a_trigger_follows_its_properties_and_nothing_else() -> None:
    def digest(text: str) -> str:
        trigger = flow_of(text).trigger("nightly")
        assert trigger is not None
        return trigger.digest

    one = digest(f"tasks:\n{LOG}{TRIGGER}")
    assert one == digest(f"description: other\n{TRIGGER}tasks:\n  - {task('z')}\n")
    assert one != digest(f"tasks:\n{LOG}{TRIGGER.replace('0 2', '0 3')}")


SCHEDULE = "{id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: x, "
NOT = "conditions: [{type: io.kestra.plugin.core.condition.DayWeek}]}"


@pytest.mark.parametrize(
    ("trigger", "code", "path"),
    [
        ("{id: t, type: a.Nope}", "flow.unknown_type", "triggers[0].type"),
        ("{id: t}", "flow.missing_property", "triggers[0].type"),
        ("{id: t, type: io.kestra.plugin.core.trigger.Schedule}", "flow.missing_property", "triggers[0].cron"),
        ("{id: t.x, type: io.kestra.plugin.core.trigger.Schedule, cron: x}", "flow.invalid_id", "triggers[0].id"),
        (SCHEDULE + "corn: y}", "flow.unknown_property", "triggers[0].corn"),
        (
            SCHEDULE + "stopAfter: [FAILD]}",
            "flow.wrong_value",
            "triggers[0].stopAfter[0]",
        ),
        (
            SCHEDULE + "labels: {system.x: y}}",
            "flow.system_label",
            "triggers[0].labels['system.x']",
        ),
        (
            SCHEDULE + "conditions: [{type: a.B}]}",
            "flow.unknown_type",
            "triggers[0].conditions[0].type",
        ),
        (
            SCHEDULE + "conditions: [{type: io.kestra.plugin.core.condition.Not, " + NOT + "]}",
            "flow.missing_property",
            "triggers[0].conditions[0].conditions[0].dayOfWeek",
        ),
    ],
)
def test_trigger_fault(trigger: str, code: str, path: str) -> None:
    problems = read(f"{HEAD}tasks:\n{LOG}triggers:\n  - {trigger}\n").problems
    assert (code, 6, path) in [(problem.code, problem.line, problem.path) for problem in problems], problems
