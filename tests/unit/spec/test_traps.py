"""The numbered traps of the flow language (flow-language §17), one test each. Those about stored revisions are the catalog's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flows.errors import ExpressionError, InputInvalid
from flows.expressions import Scope, compile_template
from flows.spec.inputs import resolve_inputs
from tests.unit.spec.kinds import CATALOGUE, HEAD, LOG, found, read

SAY = "io.kestra.plugin.core.log.Log"


def scope(inputs: Mapping[str, Any]) -> Scope:
    return Scope({"inputs": inputs})


def resolved(inputs: str, **given: Any) -> dict[str, Any]:
    return resolve_inputs(read(f"{HEAD}inputs:\n{inputs}tasks:\n{LOG}").require(), given, scope)


def test_trap_1_task_ids_are_unique_in_the_whole_flow() -> None:
    both = f"{{id: x, type: {SAY}, message: m}}"
    condition = "condition: '{{ flow.id }}'"
    branches = f"tasks:\n  - {{id: i, type: io.kestra.plugin.core.flow.If, {condition}, then: [{both}], else: [{both}]}}\n"
    assert [code for code, *_ in found(HEAD + branches)] == ["flow.duplicate_id"]
    assert [code for code, *_ in found(f"{HEAD}tasks:\n  - {both}\nerrors:\n  - {both}\n")] == ["flow.duplicate_id"]


def test_trap_2_dots_in_input_ids_nest() -> None:
    assert resolved("  - {id: a.b, type: INT, defaults: 1}\n") == {"a": {"b": 1}}


def test_trap_3_disabled_input_vanishes_and_an_optional_one_is_null() -> None:
    off = "  - {id: x, type: STRING, dependsOn: {condition: '{{ false }}'}}\n"
    null = "  - {id: x, type: STRING, required: false}\n"
    assert resolved(off) == {}
    assert resolved(null) == {"x": None}
    for inputs in ({}, {"x": None}):
        assert compile_template("{{ inputs.x ?? 'none' }} {{ inputs.x is defined }}").render(scope(inputs)) == "none false"
    assert compile_template("[{{ inputs.x }}]").render(scope({"x": None})) == "[]"
    with pytest.raises(ExpressionError):
        compile_template("{{ inputs.x }}").render(scope({}))


def test_trap_4_defaults_do_not_apply_to_a_disabled_input() -> None:
    assert resolved("  - {id: x, type: STRING, defaults: d, dependsOn: {condition: '{{ false }}'}}\n", x="given") == {}


@pytest.mark.parametrize("text", ["1", "yes", "on"])
def test_trap_5_other_texts_than_true_are_false_without_error(text: str) -> None:
    assert resolved("  - {id: x, type: BOOLEAN}\n", x=text) == {"x": False}


def test_trap_6_membership_of_a_select_counts_only_when_it_is_required() -> None:
    assert resolved("  - {id: x, type: SELECT, values: [a], required: false}\n", x="z") == {"x": "z"}
    with pytest.raises(InputInvalid, match="it must match the values"):
        resolved("  - {id: x, type: SELECT, values: [a]}\n", x="z")


def test_trap_7_values_for_unknown_inputs_are_ignored() -> None:
    assert resolved("  - {id: x, type: STRING}\n", x="a", y="b") == {"x": "a"}


# Traps 8 and 9: test_plugin_defaults. Trap 10 (saving the same source) and trap 15 (lost plug-ins): the catalog's tests.


def test_trap_11_revision_deleted_and_tenant_of_the_yaml_are_not_trusted() -> None:
    flow = read(f"{HEAD}revision: 99\ndeleted: true\ntenantId: other\ntasks:\n{LOG}").require()
    assert not hasattr(flow, "revision")
    assert not hasattr(flow, "deleted")
    assert not hasattr(flow, "tenant_id")


def test_trap_12_exponential_retry_keeps_its_factor_for_the_machine_to_apply() -> None:
    retry = read(f"{HEAD}retry: {{type: exponential, interval: PT2S, maxInterval: PT1M}}\ntasks:\n{LOG}").require().retry
    assert retry is not None
    assert (retry.interval.total_seconds(), retry.delay_factor) == (2, 2.0)


def test_trap_13_max_attempt_one_is_no_retry_and_zero_is_refused() -> None:
    source = f"{HEAD}retry: {{type: constant, interval: PT2S, maxAttempt: 1}}\ntasks:\n{LOG}"
    retry = read(source).require().retry
    assert retry is not None
    assert retry.attempts_max == 1
    assert [code for code, *_ in found(source.replace("maxAttempt: 1", "maxAttempt: 0"))] == ["flow.wrong_value"]


def test_trap_14_labels_become_texts_and_nulls_do_no_harm() -> None:
    flow = read(f"{HEAD}labels: {{i: 1, f: 1.5, b: true, n: null, s: x}}\ntasks:\n{LOG}").require()
    assert flow.labels == {"i": "1", "f": "1.5", "b": "true", "s": "x"}


def test_trap_15_unknown_keys_are_errors() -> None:
    assert [code for code, *_ in found(f"{HEAD}nosuch: 1\ntasks:\n{LOG}")] == ["flow.unknown_property"]


def test_trap_16_int_has_32_bits_and_float_prints_what_was_given() -> None:
    with pytest.raises(InputInvalid, match="32-bit"):
        resolved("  - {id: x, type: INT}\n", x="2147483648")
    for text in ("0.1", "1.123"):
        value = resolved("  - {id: x, type: FLOAT}\n", x=text)
        assert compile_template("{{ inputs.x }}").render(scope(value)) == text


def test_trap_17_datetime_needs_a_zone() -> None:
    with pytest.raises(InputInvalid, match="time zone"):
        resolved("  - {id: x, type: DATETIME}\n", x="2024-01-31T10:00:00")
    assert resolved("  - {id: x, type: DATETIME}\n", x="2024-01-31T10:00:00+02:00") == {"x": "2024-01-31T08:00:00Z"}


# Trap 18 (secrets): test_inputs_of_every_kind. Trap 19 (concurrency of the latest revision): the engine's tests.
# Trap 20 (checks pass when true): test_outputs_and_checks.


def test_catalogue_of_these_tests_knows_the_machines_own_types() -> None:
    assert CATALOGUE.get("io.kestra.plugin.core.flow.Loop") is not None
