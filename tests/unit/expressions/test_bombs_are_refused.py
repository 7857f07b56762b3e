"""Small templates that ask for much are refused before the work is done (guarantee T7)."""

from __future__ import annotations

import pytest

from flows.errors import ExpressionError
from flows.expressions import Budget, Scope, compile_template

GROW = "{{% set v = {start} %}}{{% for i in 1..60 %}}{{% set v = {step} %}}{{% endfor %}}{end}"

BOMBS = {
    "text doubled": GROW.format(start="'aaaaaaaaaaaaaaaa'", step="v ~ v", end="{{ v | length }}"),
    "text added": GROW.format(start="'aaaaaaaaaaaaaaaa'", step="v + v", end="{{ v | length }}"),
    "list doubled": GROW.format(start="[1]", step="v + v", end="{{ v | length }}"),
    "list merged": GROW.format(start="[1]", step="v | merge(v)", end="{{ v | length }}"),
    "shared list printed": GROW.format(start="[1]", step="[v, v]", end="{{ v }}"),
    "shared list as yaml": GROW.format(start="[1]", step="[v, v]", end="{{ v | yaml }}"),
    "shared list flattened": GROW.format(start="[1]", step="[v, v] | flatten", end="{{ v | length }}"),
    "shared map printed": GROW.format(start="{}", step="{'a': v, 'b': v}", end="{{ v | toJson }}"),
    "shared list rendered": GROW.format(start="['{{ 1 }}']", step="[v, v]", end="{{ render(v) }}"),
    "shared list escaped": GROW.format(start="['a']", step="[v, v]", end="{{ v | escapeChar('single') }}"),
    "replace": GROW.format(start="'a'", step="v | replace({'a': 'aaaaaaaaaa'})", end=""),
    "regular replace": GROW.format(start="'a'", step="v | replace({'a': '$0$0$0$0'}, regexp=true)", end=""),
    "method replace": GROW.format(start="'x'", step="v.replace('x', 'xxxxxxxxxx')", end=""),
    "deep list": "{% set v = [] %}{% for i in 1..5000 %}{% set v = [v] %}{% endfor %}{{ v }}",
    "long range": "{% for i in range(1, 1000000000) %}{% endfor %}",
    "range operator": "{{ 1..9999999999 | length }}",
    "nested loops": "{% for i in 1..1000 %}{% for j in 1..1000 %}{% for k in 1..1000 %}{% endfor %}{% endfor %}{% endfor %}",
    "loop output": "{% for i in 1..20000 %}" + "a" * 1000 + "{% endfor %}",
    "indent": "{{ 'a\nb' | indent(1000000000) }}",
    "nindent": "{{ 'a' | nindent(1000000000, 'xxxx') }}",
    "format width": "{{ '%999999999s' | format(1) }}",
    "format zeros": "{{ '%0999999999d' | format(1) }}",
    "format digits": "{{ '%.999999999f' | format(1.0) }}",
    "macro without end": "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "macro tree": "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "block without end": '{% block "n" %}{{ block("n") }}{% endblock %}',
    "render without end": "{{ render(itself) }}",
    "render tree": "{{ render(twice) }}",
    "render growing": "{{ render(growing) }}",
    "big joined": "{{ big ~ big ~ big ~ big ~ big ~ big }}",
    "big printed": "{{ big }}{{ big }}{{ big }}{{ big }}{{ big }}{{ big }}",
    "json depth": "{{ fromJson(deep) }}",
    "json width": "{{ fromJson(wide) }}",
    "yaml aliases": "{{ yaml(aliases) }}",
    "product": "{{ 9999999999999 * 9999999999999 }}",
    "parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "brackets": "{{ " + "[" * 5000 + "1" + "]" * 5000 + " }}",
    "minus signs": "{{ " + "-" * 5000 + "1 }}",
    "filters": "{{ 'x'" + "|upper" * 5000 + " }}",
    "ternaries": "{{ " + "true ? 1 : " * 5000 + "1 }}",
    "tags": "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
    "tokens": "{{ 1 }}" * 50_000,
    "regular expression repeats": "{{ 'a' | regexMatch('(((a{1,99}){1,99}){1,99}){1,99}') }}",
}

VARIABLES = {
    "itself": "{{ render(itself) }}",
    "twice": "{{ render(twice) }}{{ render(twice) }}",
    "growing": "{% raw %}x{% endraw %}{{ '{{' }} growing }}{{ '{{' }} growing }}",
    "big": "a" * 2_000_000,
    "deep": "[" * 100_000,
    "wide": "[" + "[]," * 900_000 + "1]",
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.timeout(20)
def test_bomb_is_refused(name: str) -> None:
    with pytest.raises(ExpressionError):
        compile_template(BOMBS[name]).render(Scope(VARIABLES))


def test_shared_budget_bounds_several_renderings_together() -> None:
    scope = Scope({"text": "a" * 100}, budget=Budget(output_bytes=500))
    template = compile_template("{{ text }}")
    for _ in range(5):
        template.render(scope)
    with pytest.raises(ExpressionError) as caught:
        template.render(scope)
    assert caught.value.code == "expression.too_large"


def test_without_a_shared_budget_every_rendering_has_its_own() -> None:
    scope = Scope({"text": "a" * 3_000_000})
    for _ in range(5):
        assert len(compile_template("{{ text }}").render(scope)) == 3_000_000


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ [].__class__.__base__.__subclasses__() }}",
        "{{ f.__globals__ }}",
        "{{ f.__code__ }}",
        "{{ self.__init__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ lipsum.__globals__ }}",
        "{{ ''.format('x') }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ ''.getClass().forName('java.lang.Runtime') }}",
        "{{ m.clear() }}",
        "{{ m.pop('a') }}",
        "{{ l.append(1) }}",
        "{{ f(1).real.__class__ }}",
        "{{ loop.__class__ }}",
        "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{{ ''|attr('__class__') }}",
        "{{ request.application }}",
        "{{ (1).__class__ }}",
        "{{ object }}",
        "{{ object.secret }}",
        "{{ object ~ '' }}",
        "{{ [object] }}",
    ],
)
def test_nothing_but_data_is_reachable(template: str) -> None:
    class Foreign:
        secret = "hidden"

    variables = {"m": {"a": 1}, "l": [1], "object": Foreign()}
    with pytest.raises(ExpressionError):
        compile_template(template).render(Scope(variables, {"f": lambda x: x}))
    assert variables["m"] == {"a": 1}


def test_a_result_that_looks_like_an_expression_is_not_evaluated_again() -> None:
    scope = Scope({"text": "{{ secret('X') }}"}, {"secret": lambda name: "S"})
    assert compile_template("{{ text }}").render(scope) == "{{ secret('X') }}"
    assert compile_template("{{ text | upper }}").evaluate(scope) == "{{ SECRET('X') }}"


@pytest.mark.parametrize(
    "use", ["{{ 'a'[v] }}", "{{ 'a'.substring(v) }}", "{{ '1' | number(v) }}", "{{ {'a': 1}[v] }}", "{{ [].get(v) }}"]
)
@pytest.mark.timeout(20)
def test_value_that_holds_itself_many_times_is_not_written_into_an_error(use: str) -> None:
    source = "{% set v = [1] %}{% for i in 1..60 %}{% set v = [v, v] %}{% endfor %}" + use
    with pytest.raises(ExpressionError) as caught:
        compile_template(source).render(Scope({}))
    assert len(str(caught.value)) < 1_000
