"""Inputs beyond plain values: secrets, forms, files, prefills, bounds; the same rules for `onResume`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flows.errors import InputInvalid
from flows.expressions import Scope
from flows.spec.input_shapes import inputs_of
from flows.spec.inputs import look_at_inputs, resolve_inputs
from flows.spec.model import Flow
from tests.unit.spec.kinds import HEAD, LOG, found, read

AES = "io.kestra.datatype:aes_encrypted"


def flow_with(inputs: str) -> Flow:
    return read(f"{HEAD}inputs:\n{inputs}tasks:\n{LOG}").require()


def scope(inputs: Mapping[str, Any]) -> Scope:
    return Scope({"inputs": inputs, "flow": {"id": "f"}})


def backwards(text: str) -> str:
    return text[::-1]


def resolved(inputs: str, **given: Any) -> dict[str, Any]:
    return resolve_inputs(flow_with(inputs), given, scope, encrypt=backwards)


def problems(inputs: str) -> list[tuple[str, int | None, str]]:
    return [(code, line, path) for code, line, _, path in found(f"{HEAD}inputs:\n{inputs}tasks:\n{LOG}")]


def test_trap_18_secret_is_stored_encrypted_and_refused_without_a_key() -> None:
    declared = "  - {id: token, type: SECRET, validator: '[a-z]+'}\n"
    assert resolved(declared, token="abc") == {"token": {"type": AES, "value": "cba"}}
    with pytest.raises(InputInvalid, match="no encryption key is configured") as refused:
        resolve_inputs(flow_with(declared), {"token": "abc"}, scope)
    assert "abc" not in str(refused.value)


def test_trap_18_a_secret_that_does_not_fit_is_not_shown() -> None:
    with pytest.raises(InputInvalid, match="it must match the pattern") as refused:
        resolved("  - {id: token, type: SECRET, validator: '[a-z]+'}\n", token="HUSH")
    assert "HUSH" not in str(refused.value)


def test_secret_that_is_encrypted_already_stays_as_it_is() -> None:
    value = {"type": AES, "value": "xyz"}
    assert resolved("  - {id: token, type: SECRET}\n", token=value) == {"token": value}


def test_list_of_secrets_is_encrypted_one_by_one_and_never_shown() -> None:
    declared = "  - {id: tokens, type: ARRAY, itemType: SECRET}\n"
    assert resolved(declared, tokens=["ab", "cd"])["tokens"] == [{"type": AES, "value": "ba"}, {"type": AES, "value": "dc"}]


def test_condition_of_another_input_sees_a_secret_in_clear() -> None:
    declared = (
        "  - {id: token, type: SECRET}\n"
        "  - {id: more, type: STRING, defaults: x, dependsOn: {inputs: [token], condition: \"{{ inputs.token == 'abc' }}\"}}\n"
    )
    assert resolved(declared, token="abc")["more"] == "x"
    assert "more" not in resolved(declared, token="zzz")


FORM = """\
  - id: db
    type: FORM
    inputs:
      - {id: kind, type: SELECT, values: [pg, lite], defaults: pg}
      - {id: host, type: STRING, defaults: here, dependsOn: {inputs: [kind], condition: "{{ inputs.db.kind == 'pg' }}"}}
      - id: login
        type: FORM
        inputs: [{id: user, type: STRING, defaults: me}]
"""


def test_form_expands_to_dotted_leaves() -> None:
    assert [one.id for one in flow_with(FORM).inputs] == ["db.kind", "db.host", "db.login.user"]
    assert resolved(FORM) == {"db": {"kind": "pg", "host": "here", "login": {"user": "me"}}}
    assert resolved(FORM, db={"kind": "lite", "login": {"user": "you"}}) == {"db": {"kind": "lite", "login": {"user": "you"}}}


def test_inputs_of_a_form_exist_only_where_the_form_does() -> None:
    declared = (
        "  - {id: on, type: BOOL, defaults: false}\n  - id: more\n    type: FORM\n"
        '    dependsOn: {inputs: [on], condition: "{{ inputs.on }}"}\n'
        "    inputs: [{id: a, type: STRING}, {id: b, type: INT, defaults: 1}]\n"
        '  - {id: last, type: STRING, defaults: z, dependsOn: {inputs: [more], condition: "{{ inputs.more.b == 1 }}"}}\n'
    )
    assert resolved(declared) == {"on": False}
    assert resolved(declared, on=True, more={"a": "x"}) == {"on": True, "more": {"a": "x", "b": 1}, "last": "z"}


def test_form_inside_may_not_repeat_an_id() -> None:
    assert problems(FORM + "  - {id: db.kind, type: STRING}\n") == [("flow.duplicate_id", 12, "inputs[1]")]


def test_group_that_is_kept_elsewhere_is_left_out_with_a_warning() -> None:
    parsed = read(f"{HEAD}inputs:\n  - {{id: g, type: REUSABLE_INPUTS, ref: common}}\ntasks:\n{LOG}")
    assert [(one.severity, one.code) for one in parsed.problems] == [("warning", "flow.no_effect")]
    assert parsed.require().inputs == ()


@pytest.mark.parametrize("default", ["nsfile:///in/data.csv", "file:///srv/data.csv", "\"{{ 'nsfile:///' ~ flow.id }}\""])
def test_file_may_come_from_the_namespace_or_the_server(default: str) -> None:
    assert resolved(f"  - {{id: data, type: FILE, defaults: {default}}}\n")["data"].startswith(("nsfile:///", "file:///"))


@pytest.mark.parametrize(
    ("declared", "code", "path"),
    [
        ("{id: a, type: FILE, defaults: some text}", "flow.wrong_value", "inputs[0].defaults"),
        ("{id: a, type: STRING, defaults: x, prefill: y}", "flow.wrong_value", "inputs[0].prefill"),
        ("{id: a, type: INT, prefill: many}", "flow.wrong_value", "inputs[0].prefill"),
        ("{id: a, type: INT, defaults: 9, max: 5}", "flow.wrong_value", "inputs[0].defaults"),
        ("{id: a, type: INT, min: 9, max: 5}", "flow.wrong_value", "inputs[0].min"),
        ("{id: a, type: DATE, after: yesterday}", "flow.wrong_value", "inputs[0].after"),
        (
            "{id: a, type: DATETIME, after: '2024-02-01T00:00:00Z', before: '2024-01-01T00:00:00Z'}",
            "flow.wrong_value",
            "inputs[0].after",
        ),
        ("{id: a, type: ARRAY}", "flow.missing_property", "inputs[0].itemType"),
        ("{id: a, type: ARRAY, itemType: ARRAY}", "flow.wrong_value", "inputs[0].itemType"),
        ("{id: a, type: ARRAY, itemType: FORM}", "flow.wrong_value", "inputs[0].itemType"),
        ("{id: a, type: MULTISELECT, values: [x], options: [y]}", "flow.wrong_value", "inputs[0]"),
        ("{id: a, type: STRING, validator: '['}", "flow.wrong_value", "inputs[0].validator"),
        ("{id: a, type: STRNG}", "flow.unknown_type", "inputs[0].type"),
        ("{id: a, type: STRING, displayName: " + "n" * 65 + "}", "flow.wrong_value", "inputs[0].displayName"),
        ("{id: a, type: STRING, min: 3}", "flow.unknown_property", "inputs[0].min"),
        ("{id: a, type: SELECT, values: [x], defaults: y}", "flow.wrong_value", "inputs[0].defaults"),
        ("{id: a, type: FORM}", "flow.missing_property", "inputs[0].inputs"),
        ("{id: a, type: STRING, dependsOn: {inputs: [zz]}}", "flow.unknown_reference", "inputs[0].dependsOn"),
        ("{id: a, type: STRING, dependsOn: {inputs: [a]}}", "flow.cycle", "inputs[0].dependsOn"),
        ('{id: a, type: STRING, defaults: "{{ 1 + }}"}', "flow.expression", "inputs[0].defaults"),
        ('{id: a, type: SELECT, expression: "{{ [ }}"}', "flow.expression", "inputs[0].expression"),
    ],
)
def test_input_fault_names_its_place(declared: str, code: str, path: str) -> None:
    assert (code, 4, path) in problems(f"  - {declared}\n")


def test_prefill_is_not_applied() -> None:
    declared = "  - {id: a, type: STRING, prefill: x, required: false}\n"
    assert resolved(declared) == {"a": None}
    with pytest.raises(InputInvalid, match="missing required input"):
        resolved("  - {id: a, type: STRING, prefill: x}\n")


def test_on_resume_follows_the_same_rules() -> None:
    declared = inputs_of([{"id": "reason", "type": "STRING"}, {"id": "n", "type": "INT", "defaults": 3}])
    assert resolve_inputs(declared, {"reason": "ok", "other": 1}, scope) == {"reason": "ok", "n": 3}
    with pytest.raises(InputInvalid, match="missing required input"):
        resolve_inputs(declared, {}, scope)


def test_faults_of_on_resume_are_found_when_the_flow_is_read() -> None:
    pause = "{id: p, type: io.kestra.plugin.core.flow.Pause, onResume: [{id: a, type: INT, defaults: x}, {id: a, type: INT}]}"
    assert [(code, path) for code, _, _, path in found(f"{HEAD}tasks:\n  - {pause}\n")] == [
        ("flow.wrong_value", "tasks[0].onResume[0].defaults"),
        ("flow.duplicate_id", "tasks[0].onResume[1]"),
    ]


def test_look_at_inputs_tells_everything_at_once() -> None:
    flow = flow_with(
        "  - {id: a, type: INT}\n  - {id: b, type: INT, defaults: 2}\n"
        '  - {id: c, type: STRING, dependsOn: {inputs: [b], condition: "{{ inputs.b == 3 }}"}}\n'
        '  - {id: d, type: SELECT, expression: "{{ [1, 2] }}"}\n'
    )
    seen = look_at_inputs(flow, {"a": "x", "d": "1"}, scope)
    assert [(one.declared.id, one.enabled, one.value, one.is_default) for one in seen] == [
        ("a", True, None, False),
        ("b", True, 2, True),
        ("c", False, None, False),
        ("d", True, "1", False),
    ]
    assert [str(one.fault) for one in seen if one.fault] == ["Invalid input for `a`, it must be a whole number, but received `x`"]
    assert seen[3].declared.extra["values"] == [1, 2]
