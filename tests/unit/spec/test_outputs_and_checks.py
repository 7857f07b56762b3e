"""Flow outputs are converted by their type; checks are asked before an execution exists."""

from __future__ import annotations

from typing import Any

import pytest

from flows.errors import ExpressionError, OutputInvalid
from flows.expressions import Scope, evaluate_value
from flows.spec.checks import failing_checks
from flows.spec.model import Check
from flows.spec.outputs import evaluated_outputs, read_outputs, typed_outputs


@pytest.mark.parametrize(
    ("declared", "value", "kept"),
    [
        ({"type": "INT"}, "2", 2),
        ({"type": "INT"}, 2, 2),
        ({"type": "FLOAT"}, "0.5", 0.5),
        ({"type": "BOOL"}, "true", True),
        ({"type": "BOOLEAN"}, "no", False),
        ({"type": "STRING"}, 5, "5"),
        ({"type": "JSON"}, '{"a": 1}', {"a": 1}),
        ({"type": "YAML"}, "a: 1", {"a": 1}),
        ({"type": "DATE"}, "2024-01-31", "2024-01-31"),
        ({"type": "TIME"}, "10:00", "10:00:00"),
        ({"type": "DATETIME"}, "2024-01-31T10:00:00+01:00", "2024-01-31T09:00:00Z"),
        ({"type": "DURATION"}, "PT90S", "PT1M30S"),
        ({"type": "URI"}, "https://example.com", "https://example.com"),
        ({"type": "EMAIL"}, "a@b.org", "a@b.org"),
        ({"type": "FILE"}, "kestra:///a.csv", "kestra:///a.csv"),
        ({"type": "SELECT"}, "any", "any"),
        ({"type": "ENUM"}, "any", "any"),
        ({"type": "MULTISELECT"}, ["a"], ["a"]),
        ({"type": "ARRAY", "itemType": "INT"}, '["1", 2]', [1, 2]),
        ({"type": "SECRET"}, "ab", {"type": "io.kestra.datatype:aes_encrypted", "value": "ba"}),
        ({}, {"any": [1, "x"]}, {"any": [1, "x"]}),
        ({}, None, None),
        ({"type": "INT", "required": False}, None, None),
    ],
)
def test_output_is_converted_by_its_type(declared: dict[str, Any], value: Any, kept: Any) -> None:
    outputs = read_outputs([{"id": "o", "value": "x", **declared}])
    assert typed_outputs(outputs, {"o": value}, encrypt=lambda text: text[::-1]) == {"o": kept}


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        ({"type": "INT"}, "many", "Invalid output for `o`, it must be a whole number, but received `many`"),
        ({"type": "INT"}, None, "Invalid output for `o`, missing required output, but received `null`"),
        ({"type": "ARRAY", "itemType": "INT"}, ["x"], "Unable to parse array element as `INT` on `x`"),
        ({"type": "SECRET"}, "hush", "no encryption key is configured, but received `******`"),
    ],
)
def test_output_that_does_not_fit_is_named(declared: dict[str, Any], value: Any, text: str) -> None:
    with pytest.raises(OutputInvalid) as refused:
        typed_outputs(read_outputs([{"id": "o", "value": "x", **declared}]), {"o": value})
    assert text in str(refused.value)
    assert refused.value.code == "output.invalid"


def test_output_that_is_not_required_is_null_when_it_cannot_be_evaluated() -> None:
    outputs = read_outputs(
        [{"id": "a", "value": "{{ outputs.gone.value }}", "required": False}, {"id": "b", "value": {"c": "{{ 1 + 1 }}"}}]
    )
    assert evaluated_outputs(outputs, lambda value: evaluate_value(value, Scope({"outputs": {}}))) == {"a": None, "b": {"c": 2}}


def test_required_output_that_cannot_be_evaluated_is_named() -> None:
    outputs = read_outputs([{"id": "total", "value": "{{ outputs.gone.value }}"}])
    with pytest.raises(ExpressionError, match="output `total`"):
        evaluated_outputs(outputs, lambda value: evaluate_value(value, Scope({"outputs": {}})))


def check(condition: str | bool, behavior: Any = "BLOCK_EXECUTION") -> Check:
    return Check(condition, f"about {condition}", "ERROR", behavior)


def test_trap_20_check_passes_when_its_condition_is_true() -> None:
    scope = Scope({"inputs": {"n": 5}})
    assert failing_checks([check("{{ inputs.n > 3 }}"), check(True)], scope) == ()
    (failed,) = failing_checks([check("{{ inputs.n > 7 }}")], scope)
    assert str(failed) == "about {{ inputs.n > 7 }} (`{{ inputs.n > 7 }}` is not true)"


def test_most_severe_behaviour_of_the_failing_checks_comes_first() -> None:
    checks = [check(False, "CREATE_EXECUTION"), check(False, "FAIL_EXECUTION"), check(True), check(False)]
    failed = failing_checks(checks, Scope({}))
    assert [one.check.behavior for one in failed] == ["BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"]


def test_check_that_cannot_be_evaluated_does_not_pass_and_says_why() -> None:
    (failed,) = failing_checks([check("{{ inputs.nothing }}")], Scope({"inputs": {}}))
    assert "could not be evaluated" in str(failed)
