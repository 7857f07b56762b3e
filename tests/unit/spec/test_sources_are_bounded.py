"""No source costs more than its size suggests (guarantee T8)."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import limits
from flows.spec.source import read_source
from tests.unit.spec.kinds import read


def laughs(width: int, levels: int, merge: bool = False) -> str:
    """Aliases of aliases: `width` to the power of `levels` values."""
    text = "a0: &a0 " + ("{x: 1}" if merge else "[" + ",".join(["x"] * width) + "]") + "\n"
    for level in range(1, levels):
        inner = ",".join([f"*a{level - 1}"] * width)
        text += f"a{level}: &a{level} " + (f"{{<<: [{inner}], y: [{inner}]}}" if merge else f"[{inner}]") + "\n"
    return text


BOMBS = {
    "billion laughs": (laughs(9, 9), "yaml.too_many_nodes"),
    "wide laughs": (laughs(100, 3), "yaml.too_many_nodes"),
    "deep laughs": (laughs(2, 60), "yaml.too_many_nodes"),
    "merged laughs": (laughs(6, 9, merge=True), "yaml.too_many_nodes"),
    "nested through aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100)),
        "yaml.too_deep",
    ),
    "open lists": ("[" * 10_000, "yaml.too_deep"),
    "open maps": ("{a: " * 10_000, "yaml.too_deep"),
    "indented maps": ("".join(" " * i + "a:\n" for i in range(500)), "yaml.too_deep"),
    "nested items": ("- " * 5_000 + "a", "yaml.too_deep"),
    "aliases": ("a: &a 1\nb: [" + ",".join(["*a"] * 10_000) + "]\n", "yaml.too_many_aliases"),
    "duplicates": ("a: 1\n" * 300_000, "yaml.duplicate_key"),
    "bytes": ("a: " + "x" * (limits.SOURCE_BYTES_MAX + 1), "yaml.too_large"),
    "wide characters": ("a: " + "é" * (limits.SOURCE_BYTES_MAX // 2 + 1), "yaml.too_large"),
    "binary": ("\x00\x01\x02" * 1000, "yaml.character"),
    "unknown aliases": ("[" + ",".join(["*x"] * 1_000) + "]", "yaml.unknown_alias"),
    "tags": ("[" + ",".join(["!t x"] * 1_000) + "]", "yaml.tag"),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.timeout(20)
def test_bomb_is_refused_without_being_built(name: str) -> None:
    source, code = BOMBS[name]
    tracemalloc.start()
    try:
        document = read_source(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert code in {problem.code for problem in document.problems}
    assert len(document.problems) <= limits.SOURCE_PROBLEMS_MAX
    assert peak < 10_000_000 + 4 * len(source.encode("utf-8", "replace"))


def test_many_values_are_counted() -> None:
    document = read_source("- a\n" * (limits.YAML_NODES_MAX + 1))
    assert [problem.code for problem in document.problems] == ["yaml.too_many_nodes"]


def test_aliases_within_the_limits_are_fine() -> None:
    document = read_source("a: &a [1, 2]\nb: [" + ", ".join(["*a"] * 50) + "]\n")
    assert not document.problems
    assert document.root is not None
    assert document.root.plain()["b"] == [[1, 2]] * 50


MARKS = ["\n", "  ", "\t", ": ", "- ", "? ", "&a ", "!t ", "\x00", "\r", "\ufeff", "\u2028", "{{ x }}"]
WORDS = [*["a", "id", ":", "[", "]", "{", "}", ",", "*a", "<<", "|", ">", "'", '"', "#", "---", "...", "%", "1", "é"]]
LINES = [
    "tasks:\n",
    "  - id: a\n",
    "    type: io.kestra.plugin.core.log.Log\n",
    "    message: x\n",
    "inputs:\n",
    "retry: {type: constant}\n",
    "labels:\n",
]
PIECES = st.sampled_from([*MARKS, *WORDS, *LINES])


@given(st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=600, deadline=None, print_blob=True)
def test_noise_gives_problems_never_an_error(source: str) -> None:
    parsed = read(source)
    assert parsed.valid or parsed.problems


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None, print_blob=True)
def test_any_text_gives_problems_never_an_error(source: str) -> None:
    parsed = read(source)
    assert parsed.valid or parsed.problems


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(alphabet="ab {}%", max_size=6), st.just("{{ outputs.a }}")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "type",
                    "namespace",
                    "tasks",
                    "errors",
                    "finally",
                    "inputs",
                    "outputs",
                    "labels",
                    "retry",
                    "triggers",
                    "message",
                    "values",
                    "then",
                    "else",
                    "condition",
                    "dependsOn",
                    "defaults",
                    "key",
                    "value",
                    "interval",
                    "pluginDefaults",
                    "listeners",
                    "checks",
                    "sla",
                    "concurrency",
                    "variables",
                    "name",
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=25,
)


@given(VALUES)
@settings(max_examples=600, deadline=None, print_blob=True)
def test_any_tree_of_known_words_gives_problems_never_an_error(value: object) -> None:
    import json

    parsed = read(json.dumps(value))
    assert parsed.valid or parsed.problems
    assert all(problem.line is not None for problem in parsed.problems)
