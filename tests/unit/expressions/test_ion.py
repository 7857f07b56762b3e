"""Ion: text and binary are read as other implementations write them, and written as they read it."""

from __future__ import annotations

import base64
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.errors import ExpressionError
from flows.expressions import Budget, Scope, compile_template
from flows.expressions.ion import read_binary, read_text, write_text

BINARY: list[tuple[str, list[Any]]] = [
    (
        ("4AEA6u6ggYPenIe+mYFhg2IgY4NuZWeDYmlnhm5lc3RlZIFrgXrerIohAYu9SD/4AAAAAAAAgXgPEYwxBY0pQAAAAAAAAAAAjtqPuNeQhcOpCiIn"),
        [{"a": 1, "b c": [1.5, "x", None, True], "neg": -5, "big": 1180591620717411303424, "nested": {"k": [{"z": "é\n\"'"}]}}],
    ),
    ("4AEA6rghAbUhArIhAw==", [[1, [2, [3]]]]),
    ("4AEA6oR0ZXh0", ["text"]),
    ("4AEA6iEM", [12]),
    ("4AEA6kjCB0h26AAAAA==", [-12500000000.0]),
    ("4AEA6tA=", [{}]),
    (
        (
            "4AEA6uiBg9WHs4JpZNaKIISCbjDXiiEBhIJuMdeKIQKEgm4y14ohA4SCbjPXiiEEhIJuNNeKIQWEgm4114ohBoSCbjbXiiEHhIJuN9eKIQiEgm4414ohCYSCbjnYiiEKhINuMTDYiiELhINuMTHYiiEMhINuMTLYiiENhINuMTPYiiEOhINuMTTYiiEPhINuMTXYiiEQhINuMTbYiiERhINuMTfYiiEShINuMTjYiiEThINuMTk="
        ),
        [
            {"id": 0, "name": "n0"},
            {"id": 1, "name": "n1"},
            {"id": 2, "name": "n2"},
            {"id": 3, "name": "n3"},
            {"id": 4, "name": "n4"},
            {"id": 5, "name": "n5"},
            {"id": 6, "name": "n6"},
            {"id": 7, "name": "n7"},
            {"id": 8, "name": "n8"},
            {"id": 9, "name": "n9"},
            {"id": 10, "name": "n10"},
            {"id": 11, "name": "n11"},
            {"id": 12, "name": "n12"},
            {"id": 13, "name": "n13"},
            {"id": 14, "name": "n14"},
            {"id": 15, "name": "n15"},
            {"id": 16, "name": "n16"},
            {"id": 17, "name": "n17"},
            {"id": 18, "name": "n18"},
            {"id": 19, "name": "n19"},
        ],
    ),
    ("4AEA6mmAD+iElZeAgMM=", [datetime(2024, 4, 21, 23, tzinfo=UTC)]),
    ("4AEA6mXAD+iElQ==", [date(2024, 4, 21)]),
    ("4AEA6mPAD+g=", [date(2024, 1, 1)]),
    ("4AEA6lPCAJY=", [1.5]),
    ("4AEA6lKDAQ==", [1000.0]),
    ("4AEA6iEf", [31]),
    ("4AEA6t8=", [None]),
    ("4AEA6umBg9aHtINzeW1xCg==", ["sym"]),
    ("4AEA6uuBg9iHtoFhgSuBYsZxCnELcQw=", [["a", "+", "b"]]),
    ("4AEA6qJoaQ==", ["aGk="]),
    ("4AEA6umBg9aHtIFhgWLlgoqLIQU=", [5]),
    ("4AEA6mkA+A/ogYGIgIA=", [datetime(2024, 1, 1, 10, tzinfo=timezone(timedelta(hours=2)))]),
]
"""Base64 of binary Ion written by the reference implementation, and what it means."""


@pytest.mark.parametrize(("encoded", "expected"), BINARY)
def test_binary_of_another_implementation_is_read(encoded: str, expected: list[Any]) -> None:
    assert list(read_binary(base64.b64decode(encoded), Budget())) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{date:2024-04-21T23:00:00.000Z, title:"Main_Page",views:109787}', None),
        ("1", 1),
        ("-0x1F", -31),
        ("0b101", 5),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1.", 1.0),
        ("1d3", 1000.0),
        ("1.5e3", 1500.0),
        ("123456789012345678901234567890.5", Decimal("123456789012345678901234567890.5")),
        ("+inf", math.inf),
        ("-inf", -math.inf),
        ("true", True),
        ("null", None),
        ("null.string", None),
        ("symbol", "symbol"),
        ("'a b'", "a b"),
        ('"a\\n\\"\\u00e9\\x41\\U0001f600"', 'a\n"éA\U0001f600'),
        ("'''a''' '''b'''", "ab"),
        ("[1, [2], {a: 3}]", [1, [2], {"a": 3}]),
        ("(+ 1 (f x))", ["+", 1, ["f", "x"]]),
        ("{a: 1, 'b c': 2, \"d\": 3,}", {"a": 1, "b c": 2, "d": 3}),
        ("a::'b'::[c::1]", [1]),
        ("{{aGk=}}", "aGk="),
        ('{{"clob"}}', "clob"),
        ("// one\n/* two */ 5 // three", 5),
        ("2024T", date(2024, 1, 1)),
        ("2024-02T", date(2024, 2, 1)),
        ("2024-02-03", date(2024, 2, 3)),
        ("2024-02-03T04:05Z", datetime(2024, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-02-03T04:05:06.7-00:00", datetime(2024, 2, 3, 4, 5, 6, 700_000, tzinfo=UTC)),
        ("2024-02-03T04:05:06+01:30", datetime(2024, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(minutes=90)))),
    ],
)
def test_text_is_read(text: str, expected: Any) -> None:
    found = list(read_text(text, Budget()))
    if text.startswith("{date"):
        expected = {"date": datetime(2024, 4, 21, 23, tzinfo=UTC), "title": "Main_Page", "views": 109787}
    assert found == [expected]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 'string' | toIon }}", '"string"'),
        ("{{ 1 | toIon }}", "1"),
        ("{{ float | toIon }}", "1.1230000257492065e0"),
        ("{{ ['string', 1, float] | toIon }}", '["string",1,1.1230000257492065e0]'),
        ("{{ true | toIon }}{{ null | toIon }}", "truenull"),
        ("{{ {'empty_object': {}} | toIon }}", "{empty_object:{}}"),
        ("{{ {'a b': 1, 'null': 2} | toIon }}", "{'a b':1,'null':2}"),
        (
            "{{ 2.0 | toIon }} {{ 10000000000.0 | toIon }} {{ decimal | toIon }} {{ when | toIon }}",
            "2e0 10000000000e0 1.50 2024-01-31T10:00:00Z",
        ),
        ("{{ fromIon(rows).id }}", "0"),
        ("{{ fromIon(rows, allRows=true) | length }}", "3"),
        ("{{ fromIon(binary).a }}", "1"),
        ("{{ fromIon(octets) }}", '{"b":2}'),
        ("{{ fromIon(null) }}", ""),
        ("{{ fromIon({'a': [1, 2.5]} | toIon).a }}", "[1,2.5]"),
    ],
)
def test_filter_and_function(template: str, expected: str) -> None:
    variables = {
        "float": 1.1230000257492065,
        "decimal": Decimal("1.50"),
        "when": datetime(2024, 1, 31, 10, tzinfo=UTC),
        "rows": '{id:0,name:"john"}\n{id:1}\n{id:2}\n',
        "binary": base64.b64decode(BINARY[0][0]),
        "octets": b"{b:2}",
    }
    assert compile_template(template).render(Scope(variables)) == expected


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**80), 2**80),
        st.floats(allow_nan=False),
        st.text(max_size=8),
        st.sampled_from(["null", "a b", "''", '"']),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=15,
)


@given(PLAIN)
@settings(max_examples=500, deadline=None, print_blob=True)
def test_text_means_the_value_it_was_made_from(value: Any) -> None:
    assert list(read_text(write_text(value, Budget()), Budget())) == [value]


@given(st.binary(max_size=60))
@settings(max_examples=800, deadline=None, print_blob=True)
def test_any_bytes_are_read_or_refused(octets: bytes) -> None:
    codes: set[str] = set()
    binary = b"\xe0\x01\x00\xea" + octets
    for rows in (read_binary(binary, Budget()), read_text(octets.decode("latin-1"), Budget())):
        try:
            list(rows)
        except ExpressionError as error:
            codes.add(error.code)
    assert codes <= {"expression.invalid_ion", "expression.too_deep"}


@pytest.mark.parametrize(
    "text",
    [
        "{not: ion",
        "[1",
        "(",
        '"open',
        "'open",
        "{{",
        "1.2.3",
        "01",
        "2024-13-01",
        "null.nothing",
        "{a 1}",
        "[1 2]",
        "/* open",
        "::",
        "+5",
    ],
)
def test_what_is_no_ion_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        list(read_text(text, Budget()))
    assert caught.value.code == "expression.invalid_ion"


@pytest.mark.parametrize(
    "data",
    [
        "[" * 100_000,
        "{a:" * 100_000,
        "(" * 100_000,
        "a::" * 300_000 + "1",
        "[" + "1," * 900_000 + "]",
        "9" * 5_000,
        b"\xe0\x01\x00\xea" + b"\xbe\x07\xff\xff\xfc" * 10,
        b"\xe0\x01\x00\xea" + b"\xb1" * 1 + b"\xb0" * 2_000_000,
    ],
    ids=["lists", "structs", "sexps", "annotations", "wide", "digits", "lengths", "many"],
)
@pytest.mark.timeout(20)
def test_ion_bomb_is_refused(data: str | bytes) -> None:
    with pytest.raises(ExpressionError) as caught:
        list(read_text(data, Budget()) if isinstance(data, str) else read_binary(data, Budget()))
    assert caught.value.code in {
        "expression.invalid_ion",
        "expression.too_deep",
        "expression.too_large",
        "expression.too_many_steps",
    }
