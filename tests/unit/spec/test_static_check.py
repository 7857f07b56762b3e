"""What the static check finds beyond the shape of a flow: names, order, outputs, calls, what can never run, what is missing."""

from __future__ import annotations

from typing import Literal

import pytest

from flows.spec.check import KnownFlow, KnownFlows, NothingKnown
from flows.spec.check.mentions import mentions
from tests.unit.spec.kinds import HEAD, LOG, checked, read

RETURN = "io.kestra.plugin.core.debug.Return"
SAY = "io.kestra.plugin.core.log.Log"
FLOW = "io.kestra.plugin.core.flow."


def give(task_id: str, text: str = "x") -> str:
    return f'{{id: {task_id}, type: {RETURN}, format: "{text}"}}'


def say(text: str, task_id: str = "say") -> str:
    return f'{{id: {task_id}, type: {SAY}, message: "{text}"}}'


def problems(text: str) -> list[tuple[str, str, int | None]]:
    return [(one.severity, one.code, one.line) for one in checked(HEAD + text)]


def block(kind: str, *tasks: str, task_id: str = "b", more: str = "") -> str:
    listed = "".join(f"      - {task}\n" for task in tasks)
    return f"  - id: {task_id}\n    type: {FLOW}{kind}\n{more}    tasks:\n{listed}"


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("{{ outputs.frist.value }}", "flow.unknown_reference", "did you mean `first`?"),
        ("{{ inputs.whoo }}", "flow.unknown_reference", "did you mean `who`?"),
        ("{{ vars.regoin }}", "flow.unknown_reference", "did you mean `region`?"),
        ("{{ vars.db.hots }}", "flow.unknown_reference", "did you mean `host`?"),
        ("{{ output.first.value }}", "flow.unknown_reference", "did you mean `outputs`?"),
        ("{{ outputs.first.vaule }}", "flow.unknown_output", "did you mean `value`?"),
        ("{{ inputs.who | uper }}", "flow.unknown_function", "did you mean `upper`?"),
        ("{{ fromJon('1') }}", "flow.unknown_function", "did you mean `fromJson`?"),
        ("{{ tasks.frist.state }}", "flow.unknown_reference", "did you mean `first`?"),
    ],
)
def test_misspelt_name_is_an_error_with_the_nearest_one(text: str, code: str, hint: str) -> None:
    head = "inputs: [{id: who, type: STRING, defaults: me}]\nvariables: {region: eu, db: {host: h}}\n"
    (problem,) = checked(f"{HEAD}{head}tasks:\n  - {give('first')}\n  - {say(text)}\n")
    assert (problem.severity, problem.code, problem.hint, problem.line) == ("error", code, hint, 7)


@pytest.mark.parametrize(
    "text", ["{{ outputs.gone.value ?? 'x' }}", "{% if inputs.x is defined %}1{% endif %}", "{{ true ? 1 : vars.y }}"]
)
def test_what_a_template_absorbs_is_only_a_warning(text: str) -> None:
    assert {severity for severity, *_ in problems(f"tasks:\n  - {say(text)}\n")} == {"warning"}


def test_task_that_comes_later_cannot_be_read() -> None:
    assert problems(f"tasks:\n  - {say('{{ outputs.late.value }}')}\n  - {give('late')}\n") == [("error", "flow.never_ran", 4)]
    assert problems(f"tasks:\n  - {say('{{ outputs.say.value }}')}\n")[0][1] == "flow.never_ran"


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (block("Parallel", give("left"), say("{{ outputs.left.value }}")), [("warning", "flow.never_ran", 8)]),
        (block("Parallel", give("left"), say("{{ outputs.left.value }}"), more="    concurrent: 1\n"), []),
        (block("Sequential", give("left"), say("{{ outputs.left.value }}")), []),
        (
            block("EachParallel", give("left"), say("{{ outputs.left.x.value }}"), more="    value: [x]\n"),
            [("warning", "flow.never_ran", 9)],
        ),
        (block("ForEach", say("{{ outputs.late.x.value }}"), give("late"), more="    values: [x, y]\n"), []),
        (
            block("Loop", say("{{ outputs.late.value }}"), give("late"), more="    values: [x]\n"),
            [("error", "flow.never_ran", 8)],
        ),
        (
            block("Loop", give("in")).replace("    tasks:", "    values: [x]\n    tasks:")
            + f"  - {say('{{ outputs.in.value }}')}\n",
            [("error", "flow.never_ran", 9)],
        ),
        (block("Sequential", give("in")) + f"    errors:\n      - {say('{{ outputs.in.value }}')}\n", []),
        (
            block("Sequential", say("{{ outputs.e.value }}")) + f"    errors:\n      - {give('e')}\n",
            [("error", "flow.never_ran", 7)],
        ),
        (block("Sequential", give("e")) + f"    finally:\n      - {say('{{ outputs.e.value }}')}\n", []),
    ],
)
def test_order_inside_blocks(tasks: str, expected: list[tuple[str, str, int]]) -> None:
    assert problems(f"tasks:\n{tasks}") == expected


def test_only_one_branch_of_an_if_runs() -> None:
    source = (
        f'tasks:\n  - id: i\n    type: {FLOW}If\n    condition: "{{{{ flow.id }}}}"\n'
        f"    then:\n      - {give('yes')}\n    else:\n      - {say('{{ outputs.yes.value }}')}\n"
    )
    assert problems(source) == [("error", "flow.never_ran", 10)]


def test_dag_reads_what_it_depends_on_directly_or_not() -> None:
    def dag(wanted: str) -> str:
        return (
            f"tasks:\n  - id: d\n    type: {FLOW}Dag\n    tasks:\n      - task: {give('a')}\n"
            f"      - task: {give('b', '{{ outputs.a.value }}')}\n        dependsOn: [a]\n"
            f"      - task: {say('{{ outputs.a.value }}')}\n        dependsOn: [{wanted}]\n"
        )

    assert problems(dag("b")) == []
    assert problems(dag("")) == [("warning", "flow.never_ran", 10)]
    backwards = dag("b").replace('format: "x"', 'format: "{{ outputs.b.value }}"')
    assert ("error", "flow.never_ran", 7) in problems(backwards)


def test_disabled_task_has_no_outputs() -> None:
    task = give("off").replace("}", ", disabled: true}")
    assert problems(f"tasks:\n  - {task}\n  - {say('{{ outputs.off.value }}')}\n") == [("error", "flow.never_ran", 5)]
    assert problems(f"tasks:\n  - {task}\n  - {say('{{ outputs.off.value ?? 1 }}')}\n") == []


def test_loop_value_belongs_to_the_tasks_directly_in_the_loop() -> None:
    assert problems(f"tasks:\n  - {say('{{ taskrun.value }}')}\n") == [("error", "flow.unknown_reference", 4)]
    inner = f"{{id: s, type: {FLOW}Sequential, tasks: [{say('{{ taskrun.value }}')}]}}"
    assert problems("tasks:\n" + block("ForEach", inner, more="    values: [1]\n")) == [("warning", "flow.unknown_reference", 8)]


def test_item_exists_only_inside_a_loop() -> None:
    assert problems(f"tasks:\n  - {say('{{ item.value }}')}\n") == [("warning", "flow.unknown_reference", 4)]


def test_keys_of_known_output_maps_are_checked() -> None:
    pause = f"{{id: p, type: {FLOW}Pause, onResume: [{{id: reason, type: STRING}}]}}"
    (problem,) = checked(f"{HEAD}tasks:\n  - {pause}\n  - {say('{{ outputs.p.onResume.raeson }}')}\n")
    assert (problem.code, problem.hint) == ("flow.unknown_output", "did you mean `reason`?")


def test_flow_outputs_may_read_everything_but_what_runs_after_the_end() -> None:
    source = (
        f"tasks:\n  - {give('a')}\nafterExecution:\n  - {give('z')}\n"
        'outputs:\n  - {id: a, value: "{{ outputs.a.value }}"}\n  - {id: z, value: "{{ outputs.z.value }}"}\n'
    )
    assert problems(source) == [("error", "flow.never_ran", 9)]


def test_checks_and_inputs_know_no_outputs() -> None:
    read_early = '"{{ outputs.a.value }}"'
    text = f"inputs: [{{id: i, type: STRING, defaults: {read_early}}}]\nchecks: [{{when: {read_early}, message: m}}]\n"
    text += f"tasks:\n  - {give('a')}\n"
    assert [(code, line) for _, code, line in problems(text)] == [("flow.unknown_reference", 3), ("flow.unknown_reference", 4)]


def test_input_that_is_read_before_it_has_a_value() -> None:
    text = (
        'inputs:\n  - {id: a, type: STRING, defaults: "{{ inputs.b }}"}\n  - {id: b, type: STRING, defaults: x}\ntasks:\n' + LOG
    )
    assert problems(text) == [("error", "flow.never_ran", 4)]
    assert problems(text.replace('defaults: "{{', 'dependsOn: {inputs: [b]}, defaults: "{{')) == []


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (f'  - {{id: i, type: {FLOW}If, condition: "{{{{ 1 == 2 }}}}", then: [{give("a")}]}}\n', "`then` never runs"),
        (f"  - {{id: i, type: {FLOW}If, condition: true, then: [{give('a')}], else: [{give('b')}]}}\n", "`else` never runs"),
        (
            (
                f"  - {{id: s, type: {FLOW}Switch, value: '{{{{ inputs.size }}}}', "
                f"cases: {{S: [{give('a')}], XL: [{give('b')}]}}}}\n"
            ),
            "The case `XL` of `s` never matches",
        ),
        (f"  - {{id: f, type: {FLOW}ForEach, values: [], tasks: [{give('a')}]}}\n", "`f` has no values: its tasks never run"),
        ("  - " + give("a").replace("}", ", runIf: '{{ 1 > 2 }}'}") + "\n", "`runIf` is never true: `a` never runs"),
    ],
)
def test_what_never_runs_is_a_warning(tasks: str, message: str) -> None:
    found = checked(f"{HEAD}inputs: [{{id: size, type: SELECT, values: [S, M]}}]\ntasks:\n{tasks}")
    assert [(one.severity, one.code) for one in found] == [("warning", "flow.unreachable")]
    assert message in found[0].message


def test_tasks_after_one_that_always_ends_the_sequence_never_run() -> None:
    stop = "{id: stop, type: io.kestra.plugin.core.execution.Exit, state: SUCCESS}"
    assert problems(f"tasks:\n  - {stop}\n  - {give('a')}\n") == [("warning", "flow.unreachable", 5)]
    sometimes = stop.replace("}", ", runIf: '{{ flow.id }}'}")
    assert problems(f"tasks:\n  - {sometimes}\n  - {give('a')}\n") == []


class World(KnownFlows):
    """Has one secret, one key, one file, and a rule about calls."""

    def secret(self, namespace: str, name: str) -> bool | None:
        return name == "THERE"

    def kv(self, namespace: str, key: str) -> bool | None:
        return key == "there"

    def file(self, namespace: str, path: str) -> bool | None:
        return path == "sql/there.sql"

    def may_call(self, namespace: str, target: str) -> bool | None:
        return target != "closed"

    def flow(self, namespace: str, flow_id: str) -> KnownFlow | Literal[False] | None:
        return super().flow(namespace, flow_id) or False


CHILD = read(
    "id: child\nnamespace: demo\ninputs:\n  - {id: day, type: DATE}\n  - {id: db.port, type: INT, defaults: 1}\n"
    f"tasks:\n  - {{id: back, type: {FLOW}Subflow, namespace: demo, flowId: other}}\n"
    "outputs:\n  - {id: total, value: 1}\n"
).require()
OFF = read(f"id: 'off'\nnamespace: demo\ndisabled: true\ntasks:\n{LOG}").require()
WORLD = World([CHILD, OFF])


@pytest.mark.parametrize(
    ("text", "severity", "code"),
    [
        ("{{ secret('GONE') }}", "error", "flow.missing_secret"),
        ("{{ kv('gone') }}", "warning", "flow.missing_key"),
        ("{{ read('sql/gone.sql') }}", "error", "flow.missing_file"),
        ("{{ read('nsfile:///gone.sql') }}", "error", "flow.missing_file"),
        ("nsfile:///gone.sql", "error", "flow.missing_file"),
    ],
)
def test_missing_secret_key_or_file_is_told_when_the_caller_can_tell(text: str, severity: str, code: str) -> None:
    source = f"{HEAD}tasks:\n  - {say(text)}\n"
    assert [(one.severity, one.code) for one in checked(source, WORLD)] == [(severity, code)]
    assert checked(source, NothingKnown()) == checked(source) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ secret('THERE') }}{{ kv('there') }}{{ read('sql/there.sql') }}",
        "{{ secret('GONE') ?? 'x' }}",
        "{{ kv('gone', errorOnMissing=false) }}",
        "{{ secret(inputs.name) }}",
        "{{ read('kestra:///a') }}",
    ],
)
def test_what_is_there_or_absorbed_or_computed_raises_no_alarm(text: str) -> None:
    head = "inputs: [{id: name, type: STRING, defaults: x}]\n"
    assert checked(f"{HEAD}{head}tasks:\n  - {say(text)}\n", WORLD) == []


def call(properties: str) -> str:
    return f"{HEAD}tasks:\n  - {{id: sub, type: {FLOW}Subflow, {properties}}}\n"


@pytest.mark.parametrize(
    ("properties", "severity", "code", "hint"),
    [
        ("namespace: demo, flowId: chidl", "error", "flow.missing_subflow", None),
        ("namespace: demo, flowId: 'off'", "error", "flow.missing_subflow", None),
        ("namespace: closed, flowId: child", "error", "flow.not_allowed", None),
        ("namespace: demo, flowId: child", "error", "flow.missing_input", "give it as `day`"),
        ("namespace: demo, flowId: child, inputs: {day: soon}", "error", "flow.wrong_input", "the input is of the type DATE"),
        (
            "namespace: demo, flowId: child, inputs: {day: 2024-01-31, db: {port: x}}",
            "error",
            "flow.wrong_input",
            "the input is of the type INT",
        ),
        (
            "namespace: demo, flowId: child, inputs: {day: 2024-01-31, daay: 1}",
            "warning",
            "flow.unknown_input",
            "did you mean `day`?",
        ),
        ("namespace: demo, flowId: f", "error", "flow.recursive", None),
    ],
)
def test_call_that_cannot_work(properties: str, severity: str, code: str, hint: str | None) -> None:
    assert [(one.severity, one.code, one.hint) for one in checked(call(properties), WORLD)] == [(severity, code, hint)]


def test_good_call_raises_no_alarm_and_its_outputs_are_known() -> None:
    good = call('namespace: demo, flowId: child, inputs: {day: "{{ execution.startDate }}", db.port: 2}')
    assert checked(good, WORLD) == []
    assert checked(good + f"  - {say('{{ outputs.sub.outputs.total }}')}\n", WORLD) == []
    (problem,) = checked(good + f"  - {say('{{ outputs.sub.outputs.totla }}')}\n", WORLD)
    assert (problem.code, problem.hint) == ("flow.unknown_output", "did you mean `total`?")


def test_flow_that_comes_back_through_another_one() -> None:
    other = read(
        f"id: other\nnamespace: demo\ntasks:\n  - {{id: s, type: {FLOW}Subflow, namespace: demo, flowId: f}}\n"
    ).require()
    found = checked(call("namespace: demo, flowId: child, inputs: {day: 2024-01-31}"), World([CHILD, other]))
    assert [(one.severity, one.code) for one in found] == [("warning", "flow.recursive")]


def test_schedule_must_give_what_the_flow_needs() -> None:
    trigger = "{id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 1 * * *', inputs: {INPUTS}}"
    text = f"inputs: [{{id: n, type: INT}}]\ntasks:\n{LOG}triggers:\n  - {trigger}\n"
    assert problems(text.replace("INPUTS", "n: 1")) == []
    assert problems(text.replace("INPUTS", "n: x")) == [("error", "flow.wrong_input", 7)]
    assert problems(text.replace("INPUTS", "m: 1")) == [("error", "flow.missing_input", 7), ("warning", "flow.unknown_input", 7)]


def test_mentions_tell_what_is_read_and_whether_it_may_be_absent() -> None:
    found = mentions(
        "{{ a.b['c'][d].e }}\n{% for x in y.z %}{{ x.q }}{{ w.v }}{% endfor %}{{ k ?? m }}{{ f(g, n='lit') | up(h) }}"
    )
    assert {(one.keys, one.line, one.guarded) for one in found.paths} == {
        (("a", "b", "c", None, "e"), 1, False),
        (("d",), 1, False),
        (("y", "z"), 2, False),
        (("w", "v"), 2, True),
        (("k",), 2, True),
        (("m",), 2, True),
        (("g",), 2, False),
        (("h",), 2, False),
    }
    assert {(one.kind, one.name) for one in found.calls} == {("function", "f"), ("filter", "up")}
    assert next(one for one in found.calls if one.name == "f").argument("n") == "lit"


def test_long_chains_are_walked_without_recursion() -> None:
    chain = " ~ ".join(["inputs.a"] * 900)
    assert len(mentions("{{ " + chain + " }}").paths) == 900
