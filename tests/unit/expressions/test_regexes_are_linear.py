"""Regular expressions find what Java finds, in time that grows with the text and no faster."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.expressions.budget import Budget
from flows.expressions.linear_regex import Refused, compile_linear

PIECES = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\w", "c", r"\b", "^", "$", r"\d", r"\S"])
PATTERNS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        inner.map(lambda one: f"({one})"),
        st.tuples(PIECES, st.sampled_from(["*", "+", "?", "{1,2}", "*?", "+?", "??", "{2}"])).map("".join),
    ),
    max_leaves=12,
)


@given(PATTERNS, st.text(alphabet="abc1 \n", max_size=12))
@settings(max_examples=400, deadline=None, print_blob=True)
def test_finds_what_a_backtracking_engine_finds(pattern: str, text: str) -> None:
    try:
        expected = re.compile(pattern, re.ASCII)
    except re.error:
        return
    linear = compile_linear(pattern)
    budget = Budget()
    found = expected.search(text)
    assert linear.search(text, 0, budget) == (found.span() if found else None)
    assert linear.fits(text, budget) is (expected.fullmatch(text) is not None)
    if found:
        assert linear.captured(text, *found.span(), budget) == [found.group(), *found.groups()]


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+$", "(.*)*x", "a?" * 30 + "a" * 30 + "b", "(a{1,10}){1,10}b", "a*a*a*a*a*b"]
)
def test_pattern_that_explodes_elsewhere_takes_a_step_a_character(pattern: str) -> None:
    budget = Budget()
    before = budget.steps
    assert compile_linear(pattern).search("a" * 20_000 + "!", 0, budget) is None
    assert before - budget.steps < 10_000


@pytest.mark.parametrize("pattern", ["(?=a)", "(?<!a)b", r"(a)\1", "a++", "(?>a)", "((a{100}){100}){100}"])
def test_what_needs_backtracking_or_too_much_room_is_refused(pattern: str) -> None:
    with pytest.raises(Refused):
        compile_linear(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        ("a*", "aab", [(0, 2), (2, 2), (3, 3)]),
        (r"\s*,\s*", "a , b,c", [(1, 4), (5, 6)]),
        ("(?i)AB", "xabAB", [(1, 3), (3, 5)]),
        ("(?m)^b$", "a\nb\nc", [(2, 3)]),
        ("(?s)a.b", "a\nb", [(0, 3)]),
        ("b$", "ab\n", [(1, 2)]),
        (r"b\Z", "ab\n", []),
        (r"\bcat\b", "cat concat cat", [(0, 3), (11, 14)]),
        ("a|ab", "ab", [(0, 1)]),
        ("a+?", "aa", [(0, 1), (1, 2)]),
    ],
)
def test_matches_do_not_overlap_and_prefer_the_left_alternative(pattern: str, text: str, spans: list[tuple[int, int]]) -> None:
    assert list(compile_linear(pattern).spans(text, Budget())) == spans
