"""The jq language: programs with the results of jq itself, its errors, and its bombs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.errors import ExpressionError
from flows.expressions import Budget, Scope, compile_template
from flows.expressions.jq import run

ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("jq_results.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("# program")
]
RESULTS = [(program, data, expected) for program, data, expected in ROWS if expected != "error"]
FAULTS = [(program, data) for program, data, expected in ROWS if expected == "error"]

OURS: list[tuple[str, str, str]] = [
    ("(error(1)) // 1", "null", "[1]"),
    ("[limit(5; repeat(. * 2))]", "1", "[[1, 2, 4, 8, 16]]"),
    ("reverse", '"abc"', '["cba"]'),
    ("@base32", '"a"', '["ME======"]'),
    ("@base32d", '"ME======"', '["a"]'),
    ("toarray", "1", "[[1]]"),
    ("ascii", "65", '["A"]'),
    ("isvalid(.a)", "1", "[false]"),
    ("log2, exp2, exp10", "3", "[1.584962500721156, 8, 1000]"),
    ("tojson", '"\\u0000é"', '["\\"\\\\u0000é\\""]'),
    ("from_entries", '[{"k": "b", "v": 2}, {"name": "c", "Value": 3}]', '[{"b": 2, "c": 3}]'),
    ("", "5", "[5]"),
]
"""Where versions of jq differ, or results depend on the machine."""


@pytest.mark.parametrize(("program", "data", "expected"), [*RESULTS, *OURS])
def test_program_gives_what_jq_gives(program: str, data: str, expected: str) -> None:
    found = run(program, json.loads(data), Budget())
    assert (
        json.loads(json.dumps(found)) == pytest.approx(json.loads(expected)) if _flat(expected) else found == json.loads(expected)
    )


def _flat(expected: str) -> bool:
    """A list of numbers alone, which may differ in their last digit."""
    return all(type(one) in (int, float) for one in json.loads(expected))


@pytest.mark.parametrize(("program", "data"), FAULTS)
def test_program_that_jq_refuses_is_refused(program: str, data: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        run(program, json.loads(data), Budget())
    assert caught.value.code == "expression.jq"


BOMBS = [
    "[range(1e9)]",
    "range(1e9) | empty",
    "reduce range(1e9) as $x (0; . + $x)",
    "[limit(1e9; repeat(1))]",
    "last(repeat(1))",
    "[recurse(. + 1)]",
    "[while(true; . + 1)]",
    "until(false; . + 1)",
    "def f: f; f",
    "def f: 1 + f; f",
    "def f(g): f(g | g); f(.)",
    "def f: def g: f; g; f",
    "def f: (f, f); f",
    '"a" * 1e9',
    'reduce range(60) as $i ("aaaaaaaa"; . + .)',
    "reduce range(60) as $i ([1]; . + .)",
    "reduce range(60) as $i ({}; {a: ., b: .}) | tojson",
    "reduce range(60) as $i ([]; [., .]) | tojson",
    "reduce range(60) as $i ([]; [., .]) | flatten",
    "reduce range(60) as $i ([]; [., .]) | [..] | length",
    "(reduce range(60) as $i ([]; [., .])) == (reduce range(60) as $i ([]; [., .]))",
    "reduce range(60) as $i ([]; [., .]) | [paths]",
    "reduce range(60) as $i ([]; [., .]) | [tostream]",
    "reduce range(60) as $i ([]; [., .]) | walk(.)",
    "reduce range(100000) as $i (1; [.]) | tojson",
    "reduce range(100000) as $i (1; [.]) | flatten",
    "reduce range(100000) as $i (1; [.]) == [1]",
    ".[9999999] = 1",
    ".[1e18] = 1",
    "[range(300)] | combinations(5)",
    "[[range(100)], [range(100)], [range(100)], [range(100)]] | [combinations]",
    '"a" * 100000 | [match("a"; "g")] | length',
    '"a" * 100000 | gsub("a"; "bbbbbbbbbb" * 100)',
    '"a" * 3000000 | [explode, explode, explode]',
    '[range(100000)] | map(tostring) | join("a" * 1000)',
    '("a" * 100000 + "!") | test("((((a{1,30}){1,30}){1,30}){1,30})+b")',
    "[range(200000)] | sort_by(-.)",
    '"\\(' * 500 + "1" + ')"' * 500,
    "(" * 5000 + "1" + ")" * 5000,
    "[" * 5000 + "]" * 5000,
    "-" * 5000 + "1",
    "1" + " as $x | 1" * 5000,
    ". | " * 4000 + ".",
    ".a" * 9000,
    "1" + " + 1" * 4000 + " | repeat(.)",
    ". as [" + "[" * 2000 + "$a" + "]" * 2000 + "] | $a",
    "if . then " * 2000 + "1" + " end" * 2000,
    "try " * 3000 + "error",
    "label $f | def g: g, break $f; g",
    "@base64 " * 500 + '"x"',
    "{a: " * 2000 + "1" + "}" * 2000,
    '"' + "\\\\" * 9000,
    "input_line_number, " * 3000 + "repeat(1)",
    'strftime("%c" * 100)',
    "[splits(1)]",
    '"x" | ascii_downcase | implode',
]


@pytest.mark.parametrize("program", BOMBS, ids=lambda program: program[:50])
@pytest.mark.timeout(20)
def test_program_that_asks_for_much_is_refused(program: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        run(program, None, Budget())
    assert caught.value.code in {"expression.jq", "expression.too_many_steps", "expression.too_large", "expression.too_deep"}


@pytest.mark.parametrize(
    "program",
    [
        *["$ENV.PATH", "env.PATH", "input", "$__prog_args", 'import "a" as a; 1', 'include "a"; 1', "now", "halt", "halt_error"],
        *["@foo", "get_search_list[0].x", "input_filename.x", '"/etc/passwd" | input', "modulemeta", "ltrimstr", "debug.x"],
    ],
)
def test_program_reaches_nothing_but_its_input(program: str) -> None:
    assert _outcome(program) in ([], [None], "expression.jq")


def _outcome(program: str) -> Any:
    try:
        return run(program, None, Budget())
    except ExpressionError as error:
        return error.code


def test_endless_program_is_fine_when_little_of_it_is_asked_for() -> None:
    assert run("first(range(1e9))", None, Budget()) == [0]
    assert run("[limit(3; repeat(1))]", None, Budget()) == [[None, 1, 1]]
    assert run(
        "label $out | foreach range(1e9) as $x (0; . + 1; if . > 3 then ., break $out else empty end)", None, Budget()
    ) == [4]


def test_budget_is_shared_with_the_rendering_around_it() -> None:
    template = compile_template("{% for i in 1..50 %}{{ [1] | jq('[range(10000)] | length') }}{% endfor %}")
    with pytest.raises(ExpressionError) as caught:
        template.render(Scope({}))
    assert caught.value.code == "expression.too_many_steps"


def test_input_is_never_changed() -> None:
    data: dict[str, Any] = {"a": [1, {"b": 2}], "c": {}}
    before = json.dumps(data)
    run(".a[1].b = 5 | .c.x = 1 | .a += [2] | del(.a[0]) | to_entries | sort_by(.key)", data, Budget())
    assert json.dumps(data) == before


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ [1, 2, 3] | jq('.[0]') | first }}", "1"),
        ("{{ vars | jq('.second.list') | first }}", '["a",1]'),
        ("{{ text | jq('.a') }}", "[1]"),
        ("{{ null | jq('.') }}", ""),
        ("{{ vars | jq('.second | keys') }}", '[["list","when"]]'),
        ("{{ vars | jq('.second.when') | first }}", "2024-01-31T10:00:00Z"),
        ("{{ [1] | jq('.[] | select(. > 5)') }}", "[]"),
        ('{{ vars | jq(".second.list[] | \\"x\\(.)\\"") }}', '["xa","x1"]'),
    ],
)
def test_filter_jq_always_gives_a_list(template: str, expected: str) -> None:
    variables = {"vars": {"second": {"list": ["a", 1], "when": datetime(2024, 1, 31, 10, tzinfo=UTC)}}, "text": '{"a": 1}'}
    assert compile_template(template).render(Scope(variables)) == expected


def test_text_that_is_no_json_is_refused_before_the_program_runs() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template("{{ 'not json' | jq('.') }}").render(Scope({}))
    assert caught.value.code == "expression.invalid_json"
