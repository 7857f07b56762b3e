"""Inputs of an execution: typed, defaulted, conditional, nested; the first that does not fit refuses it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.errors import InputInvalid
from flows.expressions import Scope
from flows.spec.inputs import resolve_inputs
from flows.spec.model import Flow
from tests.unit.spec.kinds import LOG, found, read


def flow_with(*inputs: str) -> Flow:
    lines = "".join(f"  - {one}\n" for one in inputs)
    return read(f"id: f\nnamespace: demo\ninputs:\n{lines}tasks:\n{LOG}").require()


def scope(inputs: Mapping[str, Any]) -> Scope:
    return Scope({"inputs": inputs, "flow": {"id": "f"}}, {"kv": lambda key: {"sizes": ["S", "M"]}[key]})


def resolved(given_values: Mapping[str, Any], *inputs: str) -> dict[str, Any]:
    return resolve_inputs(flow_with(*inputs), given_values, scope)


@pytest.mark.parametrize(
    ("declared", "raw", "kept"),
    [
        ("type: STRING", "x", "x"),
        ("type: STRING", 5, "5"),
        ("type: STRING", True, "true"),
        ("type: STRING, validator: 'a\\d+'", "a12", "a12"),
        ("type: INT", "12", 12),
        ("type: INT", 12, 12),
        ("type: INT", 12.0, 12),
        ("type: INT, min: 1, max: 5", 5, 5),
        ("type: FLOAT", "1.5", 1.5),
        ("type: FLOAT", 2, 2.0),
        ("type: BOOLEAN", "TRUE", True),
        ("type: BOOLEAN", "yes", False),
        ("type: BOOLEAN", "1", False),
        ("type: BOOL", False, False),
        ("type: DATETIME", "2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z"),
        ("type: DATETIME", "2024-01-31T10:00:00.5+02:00", "2024-01-31T08:00:00.500Z"),
        ("type: DATE", "2024-01-31", "2024-01-31"),
        ("type: TIME", "10:00:00", "10:00:00"),
        ("type: TIME", "10:00", "10:00:00"),
        ("type: DURATION", "PT90M", "PT1H30M"),
        ("type: DURATION", "P1D", "PT24H"),
        ("type: JSON", '{"a": [1]}', {"a": [1]}),
        ("type: JSON", {"a": 1}, {"a": 1}),
        ("type: YAML", "a: [1, yes]", {"a": [1, "yes"]}),
        ("type: URI", "https://example.com/x?y=1", "https://example.com/x?y=1"),
        ("type: EMAIL", "a@b.org", "a@b.org"),
        ("type: EMAIL", "", ""),
        ("type: FILE", "kestra:///x", "kestra:///x"),
        ("type: SELECT, values: [a, b]", "a", "a"),
        ("type: SELECT, values: [1, 2]", 1, "1"),
        ("type: ENUM, values: [a, b]", "b", "b"),
        ("type: SELECT, values: [a], required: false", "z", "z"),
        ("type: SELECT, values: [a], allowCustomValue: true", "z", "z"),
        ("type: SELECT, expression: \"{{ kv('sizes') }}\"", "M", "M"),
        ("type: MULTISELECT, values: [a, b]", '["a"]', ["a"]),
        ("type: MULTISELECT, values: ['1', '2'], itemType: INT", [1], [1]),
        ("type: ARRAY, itemType: INT", '["1", 2]', [1, 2]),
        ("type: ARRAY, itemType: JSON", [{"a": 1}], [{"a": 1}]),
    ],
)
def test_value_is_kept_in_its_type(declared: str, raw: Any, kept: Any) -> None:
    value = resolved({"x": raw}, f"{{id: x, {declared}}}")["x"]
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    ("declared", "raw", "reason"),
    [
        ("type: STRING, validator: 'a+'", "b", "it must match the pattern `a+`"),
        ("type: INT", "1.5", "it must be a whole number"),
        ("type: INT", "x", "it must be a whole number"),
        ("type: INT", True, "it must be a whole number"),
        ("type: INT", 2**31, "it must be a 32-bit integer"),
        ("type: INT, min: 3", 2, "it must be more than `3`"),
        ("type: FLOAT, max: 3", 3.5, "it must be less than `3`"),
        ("type: FLOAT", "nan", "it must be a number"),
        ("type: DATETIME", "2024-01-31T10:00:00", "it must name its time zone"),
        ("type: DATETIME", "x", "it must be an instant"),
        ("type: DATETIME, after: '2024-02-01T00:00:00Z'", "2024-01-31T10:00:00Z", "it must be after"),
        ("type: DATE", "2024-02-30", "it must be a date"),
        ("type: DATE, before: 2024-01-01", "2024-01-31", "it must be before `2024-01-01`"),
        ("type: TIME", "25:00", "it must be a time"),
        ("type: DURATION", "5 minutes", "expected a duration"),
        ("type: DURATION, max: PT1H", "PT2H", "it must be less than `PT1H`"),
        ("type: JSON", "{", "it must be JSON"),
        ("type: YAML", "a: [", "it must be YAML"),
        ("type: URI", "example", "it must be a URI"),
        ("type: EMAIL", "a@", "it must be an e-mail address"),
        ("type: FILE", "/etc/passwd", "it must be an uploaded file"),
        ("type: SELECT, values: [a, b]", "c", "it must match the values `[a, b]`"),
        ("type: SELECT, expression: \"{{ kv('sizes') }}\"", "L", "it must match the values `[S, M]`"),
        ("type: SELECT, expression: \"{{ kv('none') }}\"", "L", ""),
        ("type: MULTISELECT, values: [a]", ["a", "b"], "it must match the values `[a]`"),
        ("type: ARRAY, itemType: INT", ["x"], "Unable to parse array element as `INT` on `x`"),
        ("type: ARRAY, itemType: INT", "x", "it must be a list"),
        ("type: STRING", None, "missing required input"),
    ],
)
def test_value_that_does_not_fit_is_refused(declared: str, raw: Any, reason: str) -> None:
    if "none" in declared:
        with pytest.raises(KeyError):
            resolved({"x": raw}, f"{{id: x, {declared}}}")
        return
    with pytest.raises(InputInvalid) as caught:
        resolved({"x": raw}, f"{{id: x, {declared}}}")
    assert reason in str(caught.value)
    assert str(caught.value).startswith("Invalid input for `x`, ")
    assert caught.value.input_id == "x"


def test_given_value_wins_over_the_default_and_unknown_values_are_dropped() -> None:
    declared = "{id: x, type: INT, defaults: 5}"
    assert resolved({}, declared) == {"x": 5}
    assert resolved({"x": 7, "y": 1}, declared) == {"x": 7}


def test_defaults_may_be_expressions_over_other_inputs() -> None:
    inputs = ('{id: y, type: STRING, defaults: "{{ inputs.x }}-{{ flow.id }}", dependsOn: {inputs: [x]}}', "{id: x, type: INT}")
    assert resolved({"x": 1}, *inputs) == {"x": 1, "y": "1-f"}


def test_optional_input_without_value_is_null() -> None:
    assert resolved({}, "{id: x, type: INT, required: false}") == {"x": None}


def test_conditional_input_vanishes_with_what_depends_on_it() -> None:
    inputs = (
        "{id: kind, type: SELECT, values: [vm, db], defaults: vm}",
        "{id: size, type: STRING, defaults: S, dependsOn: {inputs: [kind], condition: \"{{ inputs.kind == 'vm' }}\"}}",
        "{id: disk, type: STRING, dependsOn: {inputs: [size]}}",
    )
    assert resolved({"kind": "db", "size": "L", "disk": "x"}, *inputs) == {"kind": "db"}
    assert resolved({"disk": "x"}, *inputs) == {"kind": "vm", "size": "S", "disk": "x"}


@pytest.mark.parametrize("condition", ["{{ 'true' }}", "tru{{ 'e' }}", "{{ 1 }}", "true"])
def test_condition_holds_only_when_it_is_exactly_true(condition: str) -> None:
    assert resolved({"x": "1"}, f'{{id: x, type: STRING, dependsOn: {{condition: "{condition}"}}}}') == {}


def test_condition_that_fails_is_reported() -> None:
    with pytest.raises(InputInvalid, match="its condition cannot be evaluated"):
        resolved({"x": "1"}, '{id: x, type: STRING, dependsOn: {condition: "{{ missing }}"}}')


def test_dots_nest_and_nested_values_are_taken() -> None:
    inputs = ("{id: db.host, type: STRING}", "{id: db.port, type: INT, defaults: 1}")
    assert resolved({"db.host": "h"}, *inputs) == {"db": {"host": "h", "port": 1}}
    assert resolved({"db": {"host": "h", "port": 2}}, *inputs) == {"db": {"host": "h", "port": 2}}


def test_result_survives_json() -> None:
    values = resolved(
        {},
        "{id: a, type: DATETIME, defaults: '2024-01-31T10:00:00Z'}",
        "{id: b, type: DURATION, defaults: PT5M}",
        "{id: c, type: DATE, defaults: 2024-01-31}",
        "{id: d, type: ARRAY, itemType: FLOAT, defaults: [1, 2.5]}",
    )
    assert json.loads(json.dumps(values)) == values


def faults_of(*inputs: str) -> list[tuple[str, str]]:
    lines = "".join(f"  - {one}\n" for one in inputs)
    return [(code, path) for code, _, _, path in found(f"id: f\nnamespace: demo\ninputs:\n{lines}tasks:\n{LOG}")]


def test_declarations_are_examined() -> None:
    assert faults_of("{id: a, type: INTEGER}") == [("flow.unknown_type", "inputs[0].type")]
    assert faults_of("{id: a, type: STRING, min: 1}") == [("flow.unknown_property", "inputs[0].min")]
    assert faults_of("{id: a, type: STRING, validator: '('}") == [("flow.wrong_value", "inputs[0].validator")]
    assert faults_of("{id: a, type: ARRAY, itemType: ARRAY}") == [("flow.wrong_value", "inputs[0].itemType")]
    assert faults_of("{id: a, type: ARRAY}") == [("flow.missing_property", "inputs[0].itemType")]
    assert faults_of("{id: a, type: SELECT}") == [("flow.missing_property", "inputs[0]")]
    assert faults_of("{id: a, type: STRING}", "{id: a.b, type: STRING}") == [("flow.conflicting_inputs", "inputs[1].id")]
    assert faults_of("{id: a, type: STRING, dependsOn: {inputs: [z]}}") == [("flow.unknown_reference", "inputs[0].dependsOn")]
    assert faults_of(
        "{id: a, type: STRING, dependsOn: {inputs: [b]}}",
        "{id: b, type: STRING, dependsOn: {inputs: [a]}}",
        "{id: c, type: STRING, dependsOn: {inputs: [a]}}",
    ) == [("flow.cycle", "inputs[0].dependsOn"), ("flow.cycle", "inputs[1].dependsOn")]


TYPES = [
    "STRING",
    "INT",
    "FLOAT",
    "BOOLEAN",
    "BOOL",
    "DATETIME",
    "DATE",
    "TIME",
    "DURATION",
    "JSON",
    "YAML",
    "URI",
    "EMAIL",
    "SECRET",
    "FILE",
    "SELECT",
    "MULTISELECT",
]
RAW = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=12),
        st.sampled_from(["2024-01-31", "PT1S", "[1", "12"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
FLOWS = {
    kind: flow_with(f"{{id: x, type: {kind}, values: [a]}}" if "SELECT" in kind else f"{{id: x, type: {kind}}}") for kind in TYPES
}


@given(st.sampled_from(TYPES), RAW)
@settings(max_examples=600, deadline=None, print_blob=True)
def test_any_value_fits_or_is_refused(kind: str, raw: Any) -> None:
    with contextlib.suppress(InputInvalid):
        json.dumps(resolve_inputs(FLOWS[kind], {"x": raw}, scope))
