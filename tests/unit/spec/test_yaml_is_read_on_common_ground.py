"""Scalars mean what Jackson makes of them; anchors and merges are followed; the rest is refused where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from flows.spec.source import read_source


def plain(source: str) -> Any:
    document = read_source(source)
    assert not document.problems, document.problems
    assert document.root is not None
    return document.root.plain()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1.5E-2", 0.015),
        (".5", 0.5),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("2024-01-31", "2024-01-31"),
        ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z"),
        ("PT10S", "PT10S"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("=", "="),
        ("<<x", "<<x"),
    ],
)
def test_scalar(written: str, meant: Any) -> None:
    value = plain(f"k: {written}\n")["k"]
    assert value == meant
    assert type(value) is type(meant)


def test_keys_are_texts_as_written() -> None:
    assert plain("true: 1\n12: 2\nnull: 3\n1.10: 4\n") == {"true": 1, "12": 2, "null": 3, "1.10": 4}


def test_anchors_and_merge_keys_are_followed() -> None:
    source = "base: &b {x: 1, y: 2}\none:\n  <<: *b\n  y: 3\ntwo:\n  <<: [*b, {z: 9, x: 0}]\nthree: *b\n"
    assert plain(source) == {
        "base": {"x": 1, "y": 2},
        "one": {"y": 3, "x": 1},
        "two": {"x": 1, "y": 2, "z": 9},
        "three": {"x": 1, "y": 2},
    }


def test_block_texts_keep_their_tabs_and_blanks() -> None:
    assert plain("s: |\n  a\tb \n\n  c  \n") == {"s": "a\tb \n\nc  \n"}


@pytest.mark.parametrize(
    ("source", "code", "line", "column"),
    [
        ("a: 1\na: 2\n", "yaml.duplicate_key", 2, 1),
        ("a:\n  b: 1\n  b: 2\n", "yaml.duplicate_key", 3, 3),
        ("a:\n\t- b\n", "yaml.tab", 2, 1),
        ("a:\n  b: 1\n\tc: 2\n", "yaml.tab", 3, 1),
        ("a: !!str 1\n", "yaml.tag", 1, 4),
        ("a: !python/object:os.system {}\n", "yaml.tag", 1, 4),
        ("a: 1\n---\nb: 2\n", "yaml.several_documents", 2, 1),
        ("", "yaml.empty", 1, 1),
        ("# nothing\n", "yaml.empty", 1, 1),
        ("---\n", "yaml.empty", 1, 1),
        ("~\n", "yaml.empty", 1, 1),
        ("a: *x\n", "yaml.unknown_alias", 1, 4),
        ("a: &x [*x]\n", "yaml.recursive_alias", 1, 8),
        ("? [a]\n: 1\n", "yaml.key", 1, 3),
        ("a: {{ x }}\n", "yaml.key", 1, 5),
        ("a: 1\n<<: 2\n", "yaml.merge", 2, 5),
        ("a: b: c\n", "yaml.syntax", 1, 5),
        ("a: [1\nb: 2\n", "yaml.syntax", 2, 2),
        ("a: \x07\n", "yaml.character", 1, 4),
        ("a: \ud800\n", "yaml.character", 1, 4),
    ],
)
def test_fault_is_named_with_line_and_column(source: str, code: str, line: int, column: int) -> None:
    problem = read_source(source).problems[0]
    assert (problem.code, problem.line, problem.column) == (code, line, column)


def test_all_faults_are_found_not_the_first_only() -> None:
    source = "a: 1\na: 2\nb:\n\tc: 1\nd: !t 1\ne: *f\na: 3\n"
    codes = [problem.code for problem in read_source(source).problems]
    assert sorted(codes) == ["yaml.duplicate_key", "yaml.duplicate_key", "yaml.tab", "yaml.tag", "yaml.unknown_alias"]


def test_every_node_knows_its_place() -> None:
    root: Any = read_source("a:\n  - x: 1\n    y: |\n      text\n").root
    first = root.get("a").items[0]
    assert (first.line, first.column) == (2, 5)
    text = first.entries["y"]
    assert (text.line, text.column, text.value.block) == (3, 5, True)
