"""Every worked example of the expression reference, and its traps, rendered as written there."""

from __future__ import annotations

from typing import Any

import pytest

from flows.errors import ExpressionError
from flows.expressions import Scope, Undefined, compile_template, render_value, truthy

CONTEXT: dict[str, Any] = {
    "outputs": {"my-task": {"value": "V"}, "q": {"rows": [{"a": 1}]}},
    "flow": {"id": "f", "namespace": "company.team"},
    "execution": {"startDate": "2024-01-31T10:00:00Z"},
    "inputs": {"name": " ", "none": None},
    "list": [1, 2, 3],
    "var": 1.232654,
    "empty": {},
    "m": {"a": 1},
    "first": "1",
    "second": "{{ first }}",
    "third": "{{ second }}",
    "vars": {"third": "{{ third }}", "list": ["{{third}}"]},
    "map": {"third": "{{third}}"},
    "tasks": {"a": {"state": "FAILED"}, "b": {"state": "SUCCESS"}, "c": {"x": {"state": "FAILED"}, "y": {"state": "SUCCESS"}}},
    "float": 1.0,
    "big": 1e10,
    "small": 0.00001,
}


def render(template: str, **more: Any) -> str:
    return compile_template(template).render(Scope({**CONTEXT, **more}))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ outputs['my-task'].value }}", "V"),
        ("{{ trigger.date ?? execution.startDate | date('yyyy-MM-dd') }}", "2024-01-31"),
        ("{{ inputs.name | default('anon') }}", "anon"),
        ("{{ list[3] is defined ? 'y' : 'n' }}", "n"),
        ("{{ 7 / 2 }}", "3"),
        ("{{ 7 / 2.0 }}", "3.5"),
        ("{{ 1 + '2' }}", "12"),
        ("{{ '5' * 2 }}", "10"),
        ("{{ {'a': 1} | keys }}", '["a"]'),
        ("{{ 'a.b.c' | substringBeforeLast('.') }}", "a.b"),
        (r"{{ 'aa1bb2' | replace({'(\d)': '-$1-'}, regexp=true) }}", "aa-1-bb-2-"),
        ("{{ 'apple' ~ 'pear' }}", "applepear"),
        ("{{ var | numberFormat('#.##') }}", "1.23"),
        ("{{ empty ?? 'U' }}", "{}"),
        ("{{ null ?? 'N' }}", "N"),
        ("{{ null ??? 'N' }}", ""),
        ("{% for e in m %}{{ e.key }}={{ e.value }};{% endfor %}", "a=1;"),
        ("{% for x in [1,2] %}{{ loop.index }}{% endfor %}", "01"),
        ("{% set s = 0 %}{% for x in [1,2,3] %}{% set s = s + x %}{% endfor %}{{ s }}", "6"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ render(vars.third) }}", "1"),
        ("{{ render(map) }}", '{"third":"1"}'),
        ("{{ vars.list }}", '["{{third}}"]'),
        ("{{ tasksWithState('failed') | length }}", "2"),
        ('{{ "#{flow.id}-x" }}', "f-x"),
        (r"{{ 'it\'s' }}", "it's"),
        (r"{{ 'a\nb' }}", r"a\nb"),
    ],
)
def test_worked_example(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    "template", ["{{ outputs.my-task.value }}", "{{ missing ?? missing2 }}", "{{ list[3] }}", "{{ inputs.none.x }}"]
)
def test_what_is_missing_raises_undefined(template: str) -> None:
    with pytest.raises(Undefined):
        render(template)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        # Precedence: ?? and ~ before |, arithmetic after it (trap 1).
        ("{{ missing ?? 'a' | upper }}", "A"),
        ("{{ 'a' ~ 'b' | upper }}", "AB"),
        ("{{ 1 + -2 | abs }}", "3"),
        ("{{ -1 | abs }}", "1"),
        ("{{ missing ?? 1 + 2 }}", "3"),
        ("{{ 1 == 2 is empty }}", "false"),
        ("{{ not false == true }}", "true"),
        ("{{ 2 * 3 + 4 }}", "10"),
        ("{{ 2 + 3 * 4 }}", "14"),
        ("{{ 10 - 2 - 3 }}", "5"),
        ("{{ 1..3 }}", "[1,2,3]"),
        ("{{ range(1, 3) }}", "[1,2,3]"),
        ("{{ range(3, 1, -1) }}", "[3,2,1]"),
        ("{{ 'a'..'c' }}", '["a","b","c"]'),
        ("{{ true ? 1 : false ? 2 : 3 }}", "1"),
        ("{{ false ? 1 : false ? 2 : 3 }}", "3"),
        # Texts keep their backslashes; a regular expression reads them (trap 3).
        (r"{{ ['a','b'] | join('\n') }}", r"a\nb"),
        # 'false' is true inside a template (trap 5).
        ("{% if 'false' %}yes{% endif %}", "yes"),
        ("{% if '' %}yes{% else %}no{% endif %}", "no"),
        ("{{ null ? 'a' : 'b' }}", "b"),
        # Null is not defined (trap 7), blank texts and empty lists take the default, 0 and false stay (trap 8).
        ("{{ inputs.none is defined }}", "false"),
        ("{{ inputs.none is null }}", "true"),
        ("{{ missing.a.b is defined }}", "false"),
        ("{{ missing.a.b is not defined }}", "true"),
        ("{{ missing.a.b | default('d') }}", "d"),
        ("{{ missing.a | upper | default('d') }}", "d"),
        ("{{ [] | default('d') }}", "d"),
        ("{{ 0 | default('d') }}", "0"),
        ("{{ false | default('d') }}", "false"),
        # Null prints as nothing; maps and lists as compact JSON (trap 13).
        ("{{ inputs.none }}", ""),
        ("{{ outputs.q.rows }}", '[{"a":1}]'),
        ("{{ {'a': null, 'b': [null]} }}", '{"b":[null]}'),
        ("{{ {'a': 'é'} }}", '{"a":"é"}'),
        ("{{ float }} {{ big }} {{ small }} {{ 0.1 }}", "1.0 1.0E10 1.0E-5 0.1"),
        ("{{ true }}{{ false }}", "truefalse"),
        # Integer arithmetic (trap 12).
        ("{{ -7 / 2 }}", "-3"),
        ("{{ -7 % 3 }}", "-1"),
        ("{{ 7 % -3 }}", "1"),
        ("{{ 7.5 % 2 }}", "1.5"),
        ("{{ '5' - 2 }}", "3"),
        ("{{ null + 'a' }}", "nulla"),
        ("{{ [1] + 2 }}", "[1,2]"),
        ("{{ [1,2,3] - 2 }}", "[1,3]"),
        # Equality by kind.
        ("{{ 1 == 1.0 }}", "true"),
        ("{{ 1 == '1' }}", "false"),
        ("{{ true == 1 }}", "false"),
        ("{{ null == null }}", "true"),
        ("{{ 'a' equals 'a' }}", "true"),
        ("{{ 1 != 2 }}", "true"),
        ("{{ null < 1 }}", "false"),
        # Logic gives booleans.
        ("{{ 1 and 'x' }}", "true"),
        ("{{ 0 or '' }}", "false"),
        ("{{ not 0 }}", "true"),
        # contains, isIn.
        ("{{ [1,2] contains 2 }}", "true"),
        ("{{ [1,2] contains [1,2] }}", "true"),
        ("{{ {'a': 1} contains 'a' }}", "true"),
        ("{{ 'abc' contains 'b' }}", "true"),
        ("{{ null contains 'b' }}", "false"),
        ("{{ 'a' isIn ['a'] }}", "true"),
        # Literals.
        ("{{ 12L }}", "12"),
        ("{{ TRUE }} {{ NULL }}|{{ none }}", "true |"),
        ("{{ {'a': 1, first: 2}['1'] }}", "2"),
        # Keys that are names of Python methods.
        ("{{ {'values': 1}.values }}", "1"),
        ("{{ {'items': 1}.items }}", "1"),
        ("{{ {'keys': 1}.keys }}", "1"),
        # Comments, dashes, line breaks.
        ("a{# no\n #}b", "ab"),
        ("a  {{- 1 -}}  b", "a1b"),
        ("{{-1}}", "-1"),
        ("{% if true %}\nx{% endif %}\n", "\nx\n"),
        ("a\r\n{{ 1 }}\r\n", "a\r\n1\r\n"),
        ("{% verbatim %}{{ x }}\n{% y %}{% endverbatim %}", "{{ x }}\n{% y %}"),
        ("${VAR} and { a; }", "${VAR} and { a; }"),
        # Tags.
        ("{% if false %}a{% elseif true %}b{% else %}c{% endif %}", "b"),
        ("{% for x in [] %}a{% else %}none{% endfor %}", "none"),
        ("{% for x in null %}a{% else %}none{% endfor %}", ""),
        (
            "{% for x in [1,2] %}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
            "1truefalse2 0falsetrue2 ",
        ),
        ("{% macro m(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ m('1') }}{{ m('1', b='2') }}", "[1x][12]"),
        ("{% filter upper | trim %} a {% endfilter %}", "A"),
        ('{% block "n" %}B{% endblock %}{{ block("n") }}', "BB"),
        # Interpolation.
        ('{{ "a #{1 + 1} b #{ m["a"] }" }}', "a 2 b 1"),
        ("{{ '#{1}' }}", "#{1}"),
        ('{{ "say \\"x\\"" }}', 'say "x"'),
        # Methods of the closed list, whatever their case.
        ("{{ list.size() }} {{ 'ab'.toUpperCase() }} {{ 'a-b'.split('-') }}", '3 AB ["a","b"]'),
        ("{{ m.containsKey('a') }} {{ m.get('a') }} {{ m.keySet() }} {{ m.isEmpty() }}", 'true 1 ["a"] false'),
        ("{{ 'hello'.substring(1, 3) }} {{ 'hello'.indexOf('l') }} {{ ' x '.trim() }} {{ 'a'.equals('a') }}", "el 2 x true"),
        # render()
        ("{{ render('{{ 1 + 1 }}') }}", "2"),
        ("{{ renderOnce(third) }}", "{{ first }}"),
        ("{{ render(third, recursive=false) }}", "{{ first }}"),
        ("{{ render('{% raw %}{{ x }}{% endraw %}') }}", "{{ x }}"),
        ("{% set y = 5 %}{{ render('{{ y }}') }}", "5"),
        ("{{ max(1, 3, 2) }} {{ min(2, 1.5) }}", "3 1.5"),
    ],
)
def test_rule_of_the_language(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 / 0 }}",
        "{{ 1 + null }}",
        "{{ 1 + true }}",
        "{{ 'a' < 1 }}",
        "{{ not null }}",
        "{{ null and true }}",
        "{% if [1] %}x{% endif %}",
        "{% if null %}x{% endif %}",
        "{% for x in 'abc' %}x{% endfor %}",
        "{{ {'1': 2}[1] }}",
        "{{ list[-1] }}",
        "{{ 5 contains 1 }}",
        "{{ True }}",
        "{{ None }}",
        "{{ missing is null }}",
        "{{ missing is empty }}",
        "{{ missing ? 1 : 2 }}",
        "{{ missing | upper }}",
        "{{ 1 | nosuchfilter }}",
        "{{ 1 is nosuchtest }}",
        "{{ nosuch() }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ ''.getClass() }}",
        "{{ ''.__class__ }}",
        "{{ m.__class__ }}",
        "{{ [1,2,3] | slice(2, 2) }}",
        "{{ [1,'a'] | sort }}",
        "{{ {'a':1} | first }}",
        "{% macro m(a) %}{{ flow.id }}{% endmacro %}{{ m(1) }}",
        "{{ upper }}",
        "{{ 'a' | upper(1) }}",
        "{{ 'a' | date }}",
    ],
)
def test_fault_of_the_data_is_an_expression_error(template: str) -> None:
    with pytest.raises(ExpressionError):
        render(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{",
        "{{ 1",
        "{{ }}",
        "{% if %}",
        "{% if true %}",
        "{% endif %}",
        "{# open",
        "${#array[@]}",
        "{% include 'x' %}",
        "{% import 'x' %}",
        "{% extends 'x' %}",
        "{% nosuchtag %}",
        "{% raw %}x",
        "{{ 'open }}",
        "{{ a. }}",
        "{{ [1,] }}",
        "{{ 1e5 }}",
        "{{ a ? b }}",
        "{{ 99999999999999999999 }}",
        '{{ "#{" }}',
        '{{ "#{}" }}',
        "{% set true = 1 %}",
        "{% for a, b in c %}{% endfor %}",
        "{{ a b }}",
        "{{ .5 }}",
        "{{ f(a=1, 2) }}",
        "{%",
    ],
)
def test_template_that_cannot_be_read_names_its_line(template: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        render("\n" + template)
    assert caught.value.code == "expression.syntax"
    assert caught.value.line == 2


def test_unknown_filter_fails_only_when_it_is_reached() -> None:
    assert render("{{ true ? 1 : (2 | nosuch) }}") == "1"
    with pytest.raises(ExpressionError, match=r"Filter \[uper\] does not exist. Did you mean `upper`"):
        render("{{ 'a' | uper }}")


def test_missing_name_is_shown_with_the_expression_and_the_nearest_key() -> None:
    with pytest.raises(Undefined) as caught:
        render("{{ flow.namespce }}")
    assert str(caught.value) == (
        "Unable to find `namespce` used in the expression `{{ flow.namespce }}` at line 1; did you mean `namespace`?"
    )


def test_failing_function_is_not_absorbed_by_coalescing() -> None:
    def kv(key: str) -> str:
        raise ExpressionError("missing key", code="expression.kv")

    with pytest.raises(ExpressionError, match="missing key"):
        compile_template("{{ kv('x') ?? 'd' }}").render(Scope({}, {"kv": kv}))


def test_function_of_the_caller_receives_named_arguments() -> None:
    def kv(key: str, namespace: str = "own") -> str:
        return f"{namespace}/{key}"

    scope = Scope({}, {"kv": kv})
    assert compile_template("{{ kv('x') }} {{ kv('x', namespace='n') }}").render(scope) == "own/x n/x"
    with pytest.raises(ExpressionError) as caught:
        compile_template("{{ kv() }}").render(scope)
    assert caught.value.code == "expression.arguments"
    with pytest.raises(ExpressionError) as caught:
        compile_template("{{ kvs('x') }}").render(scope)
    assert caught.value.code == "expression.unknown_function"
    assert "`kv`" in str(caught.value)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ m }}", {"a": 1}),
        ("{{ 1 }}{{ 2 }}", 3),
        ("{{ 'a' }}{{ 'b' }}", "ab"),
        ("x{{ 1 }}", "x1"),
        ("{{ 1 }} ", "1 "),
        ("{{ null }}", None),
        ("{{ true }}", True),
        ("plain", "plain"),
        ("{% if true %}{{ list }}{% endif %}", [1, 2, 3]),
        ("{{ render(vars.list) }}", ["1"]),
    ],
)
def test_typed_rendering_keeps_the_type_of_a_single_expression(template: str, expected: Any) -> None:
    found = compile_template(template).evaluate(Scope(CONTEXT))
    assert found == expected
    assert type(found) is type(expected)


def test_typed_rendering_refuses_to_mix_types() -> None:
    with pytest.raises(ExpressionError, match="Tried to add"):
        compile_template("{{ 1 }}{{ 'a' }}").evaluate(Scope({}))


def test_maps_are_rendered_with_their_keys_and_the_first_of_equal_keys_wins() -> None:
    value = {"{{ 'a' }}": "{{ 1 }}", "a": 2, "n": 5, "l": ["{{ m }}", None, True]}
    assert render_value(value, Scope(CONTEXT)) == {"a": "1", "n": 5, "l": ['{"a":1}', None, True]}


@pytest.mark.parametrize("value", ["false", "0", "-0", "", "  ", False, None, 0])
def test_false_of_a_condition(value: Any) -> None:
    assert truthy(value) is False


@pytest.mark.parametrize("value", ["true", "no", "true and false", "[]", "0.0", True, 1, "null"])
def test_everything_else_is_true_for_a_condition(value: Any) -> None:
    assert truthy(value) is True


@pytest.mark.parametrize(
    ("template", "roots", "outputs"),
    [
        ("{{ outputs.a.value }}", {"outputs"}, {"a"}),
        ("{{ outputs['my-task'].x ~ outputs.b }}", {"outputs"}, {"my-task", "b"}),
        ("{{ outputs.a[taskrun.value].x }}", {"outputs", "taskrun"}, {"a"}),
        ("{{ outputs.a is defined }}", {"outputs"}, {"a"}),
        ("{{ outputs[x] }}", {"outputs", "x"}, None),
        ("{{ outputs }}", {"outputs"}, None),
        ("{{ outputs | keys }}", {"outputs"}, None),
        ("{{ outputs.get('a') }}", {"outputs"}, None),
        ("{% for o in outputs %}{{ o.key }}{% endfor %}", {"outputs", "o"}, None),
        ("{% if outputs.a.x %}{{ outputs.b.y }}{% endif %}", {"outputs"}, {"a", "b"}),
        ("{{ render(vars.x) }}", None, None),
        ("{{ printContext() }}", None, None),
        ("{{ currentEachOutput(outputs.make).value }}", {"outputs", "parents", "taskrun"}, {"make"}),
        ("{{ secret('X') }}", {"flow"}, set()),
        ('{{ "#{outputs.z.v}" }}', {"outputs"}, {"z"}),
        ("{{ {outputs.k: outputs.v} }}", {"outputs"}, {"k", "v"}),
        ("{{ 1 | nosuch(outputs.n) }}", {"outputs"}, {"n"}),
        ("plain { text", set(), set()),
    ],
)
def test_names_are_found_without_running(template: str, roots: set[str] | None, outputs: set[str] | None) -> None:
    names = compile_template(template).names
    assert names.roots == (None if roots is None else frozenset(roots))
    assert names.outputs == (None if outputs is None else frozenset(outputs))


def test_current_each_output_walks_the_values_of_the_parents() -> None:
    context = {
        "taskrun": {"value": "x"},
        "parents": [{"taskrun": {"value": "inner"}}, {"taskrun": {"value": "outer"}}],
        "outputs": {"make": {"outer": {"inner": {"x": {"value": 7}}}}},
    }
    template = compile_template("{{ currentEachOutput(outputs.make).value }}{{ currentEachOutput(outputs.make).value }}")
    assert template.render(Scope(context)) == "77"
