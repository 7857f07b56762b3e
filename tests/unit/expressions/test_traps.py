"""The numbered traps of the expression reference (§10), one test each."""

from __future__ import annotations

from typing import Any

import pytest

from flows.errors import ExpressionError
from flows.expressions import Scope, Template, Undefined, compile_template, render_value, truthy


def render(template: str, **variables: Any) -> str:
    return compile_template(template).render(Scope(variables))


def test_trap_01_concatenation_and_coalescing_bind_tighter_than_filters_and_arithmetic_looser() -> None:
    start = "2024-01-31T10:00:00Z"
    assert (
        render("{{ trigger.date ?? execution.startDate | date('yyyy-MM-dd') }}", execution={"startDate": start}) == "2024-01-31"
    )
    assert render("{{ 'a' ~ 'b' | upper }}") == "AB"
    assert render("{{ 1 + -2 | abs }}") == "3"
    assert render("{{ missing ?? 1 + 2 }}") == "3"


def test_trap_02_loops_count_from_zero_and_ranges_include_their_end() -> None:
    assert render("{% for x in range(1, 3) %}{{ loop.index }}{{ x }} {% endfor %}") == "01 12 23 "
    assert render("{{ 1..3 }}") == "[1,2,3]"


def test_trap_03_backslash_n_is_two_characters_except_to_a_regular_expression() -> None:
    assert render(r"{{ ['a','b'] | join('\n') }}") == r"a\nb"
    assert render(r"{{ text | split('\n') }}", text="a\nb") == '["a","b"]'
    assert render("{{ ['a','b'] | join('\n') }}") == "a\nb"


def test_trap_04_jq_always_gives_a_list() -> None:
    assert render("{{ [1,2,3] | jq('.[0]') }}") == "[1]"
    assert render("{{ [1,2,3] | jq('.[0]') | first }}") == "1"


def test_trap_05_the_text_false_is_true_in_a_template_and_false_as_a_condition() -> None:
    assert render("{% if 'false' %}yes{% endif %}{{ 'false' ? 1 : 2 }}") == "yes1"
    assert [truthy(text) for text in ("false", "0", "-0", "", " ")] == [False] * 5


def test_trap_06_two_expressions_joined_by_text_are_a_true_condition() -> None:
    assert truthy(render("{{ false }} and {{ false }}")) is True


def test_trap_07_null_is_not_defined() -> None:
    assert render("{{ n is defined }} {{ n is not defined }} {{ n is null }}", n=None) == "false true true"


def test_trap_08_default_replaces_blank_texts() -> None:
    assert render("{{ ' ' | default('d') }}{{ '' | default('d') }}{{ 0 | default('d') }}") == "dd0"


def test_trap_09_coalescing_absorbs_what_is_missing_and_no_failing_function() -> None:
    def kv(key: str, errorOnMissing: bool = True) -> None:  # noqa: N803
        if errorOnMissing:
            raise ExpressionError("no such key", code="expression.kv")

    scope = Scope({"a": {}}, {"kv": kv})
    assert compile_template("{{ a.b.c.d ?? 'd' }}").render(scope) == "d"
    assert compile_template("{{ kv('x', errorOnMissing=false) ?? 'd' }}").render(scope) == "d"
    with pytest.raises(ExpressionError, match="no such key"):
        compile_template("{{ kv('x') ?? 'd' }}").render(scope)


def test_trap_10_dates_are_converted_to_the_servers_zone_which_is_utc() -> None:
    assert render("{{ '2013-09-08T16:19:00+02:00' | date('iso_sec') }}") == "2013-09-08T14:19:00Z"
    assert render("{{ '2013-09-08T16:19:00+02:00' | date('iso_sec', timeZone='+02:00') }}") == "2013-09-08T16:19:00+02:00"


def test_trap_11_now_is_text() -> None:
    from datetime import UTC, datetime
    from random import Random

    from flows.expressions.ambient import make_ambient

    scope = Scope({"day": 5}, make_ambient(lambda: datetime(2024, 1, 31, tzinfo=UTC), Random(1)))
    assert compile_template("{{ now() | dateAdd(1, 'DAYS', 'iso_local_date') }}").render(scope) == "2024-02-01"
    assert isinstance(compile_template("{{ now() }}").evaluate(scope), str)
    with pytest.raises(ExpressionError):
        compile_template("{{ now() > day }}").render(scope)


def test_trap_12_integers_divide_to_an_integer_towards_zero() -> None:
    assert render("{{ 7 / 2 }} {{ -7 / 2 }} {{ 7 / 2.0 }} {{ -7 % 3 }}") == "3 -3 3.5 -1"


def test_trap_13_maps_and_lists_print_as_json() -> None:
    rows = [{"a": "x", "b": None}, {"a": "ü"}]
    assert render("{{ outputs.q.rows }}", outputs={"q": {"rows": rows}}) == '[{"a":"x"},{"a":"ü"}]'
    assert render('"{{ rows }}"', rows=rows) == '"[{"a":"x"},{"a":"ü"}]"'


def test_trap_14_braces_and_tags_are_read_wherever_they_stand_unless_raw() -> None:
    for text in ("{%", "a {% b", "x {{", "{{ y"):
        with pytest.raises(ExpressionError):
            render(text)
    assert render("{% raw %}{% if [ -z x ]{% endraw %}") == "{% if [ -z x ]"
    assert render("{%- raw -%} {{ x }} {%- endraw -%}") == "{{ x }}"
    assert render("{% raw %}{{ x\n}}{% endraw %}") == "{{ x\n}}", "several lines are allowed here"


def test_trap_15_shells_own_braces_are_harmless_but_an_array_length_opens_a_comment() -> None:
    assert render("echo ${VAR} { a; } }} %} #}") == "echo ${VAR} { a; } }} %} #}"
    with pytest.raises(ExpressionError, match="comment"):
        render("echo ${#array[@]}")


def test_trap_16_keys_of_maps_are_rendered_too() -> None:
    assert render_value({"{{ k }}": "{{ v }}"}, Scope({"k": "key", "v": 1})) == {"key": "1"}


def test_trap_17_currentEachOutput_leaves_the_parents_as_they_are() -> None:  # noqa: N802
    variables = {
        "outputs": {"t": {"a": {"1": {"2": "found"}}}},
        "taskrun": {"value": "2"},
        "parents": [{"taskrun": {"value": "1"}}, {"outputs": {"evaluationResult": True}}, {"taskrun": {"value": "a"}}],
    }
    twice = "{{ currentEachOutput(outputs.t) }}{{ currentEachOutput(outputs.t) }}{{ parents[0].taskrun.value }}"
    assert render(twice, **variables) == "foundfound1"


def test_trap_18_system_labels_are_a_map_under_labels_system() -> None:
    from flows.machine.context import labels_map

    labels = labels_map([{"key": "system.correlationId", "value": "c"}, {"key": "team", "value": "x"}])
    assert render("{{ labels.system.correlationId }}{{ labels.team }}", labels=labels) == "cx"


def test_trap_19_typed_rendering_adds_numbers_side_by_side() -> None:
    assert Template("{{1}}{{2}}").evaluate(Scope({})) == 3
    assert Template("{{1}}{{2}}").render(Scope({})) == "12"


def test_trap_20_unknown_filters_fail_only_when_they_are_reached() -> None:
    assert render("{{ true ? 1 : (2 | nosuch) }}{% if false %}{{ 1 | nosuch }}{{ nosuch() }}{{ 1 is nosuch }}{% endif %}") == "1"
    with pytest.raises(ExpressionError, match=r"Filter \[nosuch\] does not exist"):
        render("{{ 1 | nosuch }}")


def test_trap_21_the_limit_of_recursive_rendering_counts_renderings() -> None:
    chain = {f"v{index}": "{{ v" + str(index + 1) + " }}" for index in range(150)}
    assert render("{{ render(v90) }}", **{**chain, "v150": "end"}) == "end"
    with pytest.raises(ExpressionError, match="Too many rendering attempts"):
        render("{{ render(v0) }}", **{**chain, "v150": "end"})
    many = "{{ render(list) | length }}"
    assert render(many, list=["{{ one }}"] * 500, one="1") == "500", "each text of a list has its own count"


def test_trap_22_what_a_secret_becomes_is_plain_text_to_the_engine() -> None:
    scope = Scope({}, {"secret": lambda key: "s3cret"})
    assert compile_template("{{ secret('X') | base64encode }}").render(scope) == "czNjcmV0"
    assert compile_template("{{ secret('X') | base64encode }}").names.functions == {"secret"}


def test_missing_names_are_undefined_wherever_they_stand() -> None:
    for template in (
        "{{ missing }}",
        "{{ missing.a.b }}",
        "{{ missing + 1 }}",
        "{{ missing is empty }}",
        "{{ missing ? 1 : 2 }}",
    ):
        with pytest.raises(Undefined):
            render(template)
