"""Whatever is written, only the declared error comes out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.errors import ExpressionError
from flows.expressions import Scope, Template, evaluate_value, names_in, render_value
from flows.expressions.registry import FILTERS, FUNCTIONS, TESTS
from flows.spec.source import read_source

VARIABLES: dict[str, Any] = {
    "a": 1,
    "b": "text 12",
    "c": [1, "x", None, [2]],
    "d": {"k": {"v": 1.5}, "values": None, "1": True},
    "e": None,
    "f": -2.5,
    "g": True,
    "outputs": {"t": {"value": "2024-01-31T10:00:00Z"}},
}

NOISE_WORDS = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "if",
    "for",
    "in",
    "set",
    "endif",
    "endfor",
    "else",
    "macro",
    "raw",
    "endraw",
    "block",
    "filter",
    "??",
    "???",
    "..",
    "is",
    "not",
    "L",
    "1.5",
    "é",
    "-%}",
    "{{-",
]

SCALARS = st.one_of(
    st.sampled_from(
        [*VARIABLES, "d.k.v", "outputs.t.value", "c[1]", "d['1']", "missing", "missing.x", "null", "true", "''", "'-'", "'%s'"]
    ),
    st.integers(-3, 100).map(str),
    st.floats(allow_nan=False, allow_infinity=False, width=16).map(lambda number: f"{abs(number):.3f}"),
    st.text(alphabet="ab'\\ .#{}", max_size=5).map(lambda text: "'" + text.replace("\\", "").replace("'", "") + "'"),
)
OPERATORS = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "~",
    "==",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "and",
    "or",
    "??",
    "???",
    "contains",
    "equals",
    "isIn",
    "..",
]


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arguments = st.lists(inner, max_size=3).map(", ".join)
    return st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda three: f"({three[0]} {three[1]} {three[2]})"),
        st.tuples(inner, st.sampled_from(sorted(FILTERS)), arguments).map(lambda one: f"({one[0]} | {one[1]}({one[2]}))"),
        st.tuples(inner, st.sampled_from(sorted(FILTERS))).map(lambda one: f"({one[0]} | {one[1]})"),
        st.tuples(inner, st.sampled_from([*sorted(TESTS), "defined", "not defined"])).map(lambda one: f"({one[0]} is {one[1]})"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), arguments).map(lambda one: f"{one[0]}({one[1]})"),
        st.tuples(inner, st.sampled_from(["size", "get", "split", "replace", "substring", "contains"]), arguments).map(
            lambda one: f"({one[0]}).{one[1]}({one[2]})"
        ),
        st.tuples(inner, inner).map(lambda one: f"({one[0]})[{one[1]}]"),
        st.tuples(inner, inner, inner).map(lambda one: f"({one[0]} ? {one[1]} : {one[2]})"),
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(st.tuples(inner, inner), max_size=2).map(lambda pairs: "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"),
        inner.map(lambda one: f"not {one}"),
        inner.map(lambda one: f"-{one}"),
    )


EXPRESSIONS = st.recursive(SCALARS, _compound, max_leaves=8)
TEMPLATES = st.one_of(
    EXPRESSIONS.map(lambda one: "{{ " + one + " }}"),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(
        lambda two: f"{{% for x in {two[0]} %}}{{{{ loop.index }}}}{{{{ {two[1]} }}}}{{% else %}}-{{% endfor %}}"
    ),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(lambda two: f"{{% if {two[0]} %}}{{% set a = {two[1]} %}}{{% endif %}}{{{{ a }}}}"),
    EXPRESSIONS.map(lambda one: f"{{% macro m(p={one}) %}}{{{{ p }}}}{{% endmacro %}}{{{{ m() | upper }}}}"),
)
NOISE = st.lists(st.sampled_from([*NOISE_WORDS, *"()[]{}|.,:?~+-*/%<>=!\"'\\#\n\r\t a1\x00\ufdd0\U0001f600"]), max_size=30).map(
    "".join
)


@contextmanager
def only_declared_errors() -> Iterator[None]:
    """Lets ExpressionError pass, with a documented code, and nothing else."""
    try:
        yield
    except ExpressionError as error:
        codes.add(error.code)


codes: set[str] = set()


def _try(template: str) -> None:
    scope = Scope(VARIABLES)
    compiled = None
    with only_declared_errors():
        compiled = Template(template)
    if compiled is not None:
        for how in (compiled.render, compiled.evaluate):
            with only_declared_errors():
                how(scope)
    assert all(code.startswith("expression.") for code in codes)


@given(TEMPLATES)
@settings(max_examples=600, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
def test_grammatical_template_renders_or_raises_the_declared_error(template: str) -> None:
    before = repr(VARIABLES)
    _try(template)
    assert repr(VARIABLES) == before, "a template changed the data it was given"


@given(NOISE)
@settings(max_examples=600, deadline=None, print_blob=True)
def test_noise_renders_or_raises_the_declared_error(template: str) -> None:
    _try(template)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None, print_blob=True)
def test_text_without_braces_is_returned_untouched(text: str) -> None:
    text = text.replace("{", "")
    assert Template(text).render(Scope({})) == text


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["{{ a }}", "{{ missing }}", "{{"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=15,
)


@given(JSON_VALUES)
@settings(max_examples=300, deadline=None, print_blob=True)
def test_nested_values_render_or_raise_the_declared_error(value: Any) -> None:
    for how in (render_value, evaluate_value):
        with only_declared_errors():
            how(value, Scope(VARIABLES))
    with only_declared_errors():
        names_in(value)
    with only_declared_errors():
        Template("{{ v }}{{ v | yaml }}{{ v | toJson }}{{ v == v }}{{ v is empty }}").render(Scope({"v": value}))


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=6),
    st.lists(st.integers(), max_size=3),
    st.sampled_from(["2024-01-31", "[1]", "a,b"]),
)
ARGUMENTS = ["null", "1", "-1", "0", "'a'", "''", "[1]", "{}", "1.5", "true", "'yyyy'", "'DAYS'", "9223372036854775807"]


@given(st.sampled_from(sorted(FILTERS)), ANYTHING, st.lists(st.sampled_from(ARGUMENTS), max_size=3))
@settings(max_examples=800, deadline=None, print_blob=True)
def test_filter_takes_any_value_or_raises_the_declared_error(name: str, value: Any, arguments: list[str]) -> None:
    with only_declared_errors():
        Template("{{ v | " + name + "(" + ", ".join(arguments) + ") }}").render(Scope({"v": value}))


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**9), 10**9),
        st.floats(-1e6, 1e6, allow_nan=False).filter(lambda number: abs(number) > 1e-3 or number == 0),
        st.text(alphabet="ab: -#'\"\n\t{}[],&*!|>%@`é1.0", max_size=10),
        st.sampled_from(["yes", "null", "~", "012", "1e3", "2024-01-01", "a: b", "- a", "\n", "a\n\n", " a", "a ", "a\nb\n"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(alphabet="ab:- 1\n#", max_size=5), inner, max_size=4),
    ),
    max_leaves=15,
)


@given(PLAIN)
@settings(max_examples=500, deadline=None, print_blob=True)
def test_yaml_text_means_the_value_it_was_made_from(value: Any) -> None:
    text = Template("{{ v | yaml }}").render(Scope({"v": value}))
    document = read_source(text, allow_scalar=True)
    assert not document.problems, (text, document.problems)
    assert document.root is not None
    assert document.root.plain() == value
