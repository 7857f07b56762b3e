"""Which data a template names is known before it runs, down to the place in a loop from which it reads."""

from __future__ import annotations

from typing import Any

import pytest

from flows.expressions import Names, Scope, compile_template, names_in


@pytest.mark.parametrize(
    ("template", "depth"),
    [
        ("{{ outputs.T[taskrun.value].x }}", 1),
        ("{{ outputs['T'][taskrun['value']] }}", 1),
        ("{{ outputs.T[taskrun.value].rows[0][inputs.key] ?? 'none' }}", 1),
        ("{{ outputs.T[taskrun.value].x is defined ? outputs.T[taskrun.value].x : 0 }}", 1),
        ("{% for row in outputs.T[taskrun.value].rows %}{{ row }}{% endfor %}", 1),
        ("{{ outputs.T[parent.taskrun.value].x }}", 1),
        ("{{ outputs.T[parent.taskrun.value][taskrun.value].x }}", 2),
        ("{{ outputs.T[parents[0].taskrun.value][taskrun.value] }}", 2),
        ("{{ outputs.T[parents[1].taskrun.value][parent.taskrun.value][taskrun.value].x }}", 3),
        ("{{ outputs.T[taskrun.value].size() }}", 1),
        ("{{ outputs.T[taskrun.value][taskrun.value] }}", 1),
    ],
)
def test_outputs_read_at_the_readers_own_place_are_told_apart(template: str, depth: int) -> None:
    names = compile_template(template).names
    assert names.outputs == frozenset({"T"})
    assert names.outputs_here == {"T"}
    assert names.outputs_here_at(depth) == {"T"}
    assert names.outputs_here_at(depth + 1) == frozenset()


@pytest.mark.parametrize(
    "template",
    ["{{ currentEachOutput(outputs.T).x }}", "{{ currentEachOutput(outputs=outputs['T']) }}"],
)
@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_functions_that_walk_the_readers_place_read_there_at_any_depth(template: str, depth: int) -> None:
    assert compile_template(template).names.outputs_here_at(depth) == {"T"}


@pytest.mark.parametrize(
    "template",
    [
        "{{ outputs.T }}",
        "{{ outputs.T.x }}",
        "{{ outputs.T['a'].x }}",
        "{{ outputs.T[inputs.x].x }}",
        "{{ outputs.T[taskrun.id] }}",
        "{{ outputs.T[taskrun.value ~ ''] }}",
        "{{ outputs.T[taskrun.value].x }}{{ outputs.T | length }}",
        "{{ outputs.T[taskrun.value].x }}{{ outputs.T.a.x }}",
        "{{ outputs.T[item].x }}",
        "{{ outputs.T.get(taskrun.value) }}",
        "{% set o = outputs.T %}{{ o[taskrun.value] }}",
        "{% set taskrun = {'value': 'b'} %}{{ outputs.T[taskrun.value].x }}",
        "{% for taskrun in [{'value': 'b'}] %}{{ outputs.T[taskrun.value].x }}{% endfor %}",
        "{% set parent = 1 %}{{ outputs.T[parent.taskrun.value][taskrun.value].x }}",
        "{{ currentEachOutput(outputs.T.a) }}",
        "{{ currentEachOutput(outputs.T ?? outputs.T) }}",
        "{{ currentEachOutput(outputs.T) ~ outputs.T }}",
        "{{ outputs.T[taskrun.value] ~ outputs[inputs.x] }}",
        "{{ outputs.T[taskrun.value] ~ render(vars.x) }}",
        "{{ outputs[taskrun.value] }}",
        "{{ iterationOutput('T') }}{{ outputs.T[taskrun.value] }}",
        "{{ iterationOutput() }}{{ outputs.T[taskrun.value] }}",
        "{{ outputs.T[parents[inputs.n].taskrun.value].x }}",
    ],
)
@pytest.mark.parametrize("depth", [1, 2])
def test_outputs_that_may_be_read_elsewhere_do_not_count_as_own_place(template: str, depth: int) -> None:
    assert compile_template(template).names.outputs_here_at(depth) == frozenset()


def test_levels_out_of_order_are_another_place() -> None:
    names = compile_template("{{ outputs.T[taskrun.value][parent.taskrun.value].x }}").names
    assert names.outputs_here_at(2) == frozenset()
    assert compile_template("{{ outputs.T[parent.taskrun.value].x }}").names.outputs_here_at(2) == frozenset()


def test_a_second_template_that_reads_elsewhere_takes_the_task_out() -> None:
    here, other, elsewhere = "{{ outputs.T[taskrun.value].x }}", "{{ outputs.S[taskrun.value].x }}", "{{ outputs.T.a }}"
    assert names_in([here, other]).outputs_here_at(1) == {"T", "S"}
    assert names_in([here, other, elsewhere]).outputs_here_at(1) == {"S"}
    assert names_in([elsewhere, {"k": [other, here]}]).outputs_here_at(1) == {"S"}
    assert names_in([here, "{{ outputs }}"]).outputs_here_at(1) == frozenset()
    assert names_in([here, "{{ currentEachOutput(outputs.T) }}"]).outputs_here_at(1) == {"T"}
    assert names_in([here, "{{ currentEachOutput(outputs.T) }}"]).outputs_here_at(2) == frozenset()
    assert names_in(["no expression", 5]) == Names()


PLACES: list[tuple[str, ...]] = [(), ("1",), ("2",), ("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")]


def _tree(places: list[tuple[str, ...]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place in places:
        node = found
        for step in place:
            node = node.setdefault(step, {})
        node["value"] = "-".join(place)
    return found


@pytest.mark.parametrize("place", [place for place in PLACES if place])
@pytest.mark.parametrize(
    "template",
    [
        "{{ outputs.T[taskrun.value] }}",
        "{{ outputs.T[parent.taskrun.value] }}",
        "{{ outputs.T[parent.taskrun.value][taskrun.value] }}",
        "{{ outputs.T[taskrun.value][parent.taskrun.value] }}",
        "{{ outputs.T[parents[0].taskrun.value].value }}",
        "{{ currentEachOutput(outputs.T) }}",
    ],
)
def test_what_is_read_at_the_own_place_needs_no_other_task_runs(template: str, place: tuple[str, ...]) -> None:
    compiled = compile_template(template)
    if "T" not in compiled.names.outputs_here_at(len(place)):
        return
    parents = [{"taskrun": {"value": value}} for value in reversed(place[:-1])]
    position = {"taskrun": {"value": place[-1]}, "parents": parents, **({"parent": parents[0]} if parents else {})}
    near = [one for one in PLACES if one == place[: len(one)] or place == one[: len(place)]]

    def rendered(places: list[tuple[str, ...]]) -> Any:
        return compile_template(f"{{{{ ({template[3:-3]}) ?? 'undefined' }}}}").render(
            Scope({"outputs": {"T": _tree(places)}, **position})
        )

    assert rendered(near) == rendered(PLACES)
