"""Plugin defaults (flow-language §8): what they cover, who wins, how they merge, at which level they stand."""

from __future__ import annotations

from typing import Any

import pytest

from flows.spec.defaults import OuterDefaults
from flows.spec.model import Flow
from flows.spec.parse import parse_flow
from tests.unit.spec.kinds import CATALOGUE, HEAD, found

SCRIPT = "io.kestra.plugin.scripts.python.Script"
TASK = f"tasks:\n  - {{id: s, type: {SCRIPT}, script: x}}\n"


def flow_with(defaults: str, tasks: str = TASK, outer: OuterDefaults = ()) -> Flow:
    parsed = parse_flow(f"{HEAD}{defaults}{tasks}", CATALOGUE, outer)
    assert parsed.problems == ()
    return parsed.require()


def entry(values: dict[str, Any], *, kind: str = SCRIPT, forced: bool = False) -> dict[str, Any]:
    return {"type": kind, "values": values, "forced": forced}


def count(*outer: list[dict[str, Any]], defaults: str = "", own: str = "") -> Any:
    task = f"tasks:\n  - {{id: s, type: {SCRIPT}, script: x{own}}}\n"
    return flow_with(defaults, task, outer).task("s").properties.get("count")


FLOW_LEVEL = f"pluginDefaults: [{{type: {SCRIPT}, values: {{count: 2}}}}]\n"
FORCED_FLOW_LEVEL = FLOW_LEVEL.replace("values:", "forced: true, values:")


def test_own_property_wins_over_flow_over_namespace_over_global() -> None:
    nearest, parent, everywhere = [entry({"count": 3})], [entry({"count": 4})], [entry({"count": 5})]
    assert count(nearest, parent, everywhere, defaults=FLOW_LEVEL, own=", count: 1") == 1
    assert count(nearest, parent, everywhere, defaults=FLOW_LEVEL) == 2
    assert count(nearest, parent, everywhere) == 3
    assert count([], parent, everywhere) == 4
    assert count([], [], everywhere) == 5


def test_of_forced_defaults_the_outermost_wins_and_all_win_over_the_task() -> None:
    outer = [entry({"count": 9}, forced=True)]
    assert count(defaults=FORCED_FLOW_LEVEL, own=", count: 1") == 2
    assert count(outer, defaults=FORCED_FLOW_LEVEL, own=", count: 1") == 9
    assert count(outer, [entry({"count": 10}, forced=True)], defaults=FORCED_FLOW_LEVEL) == 10


def test_first_default_of_a_level_wins_forced_or_not() -> None:
    assert count([entry({"count": 3}), entry({"count": 4})]) == 3
    assert count([entry({"count": 3}, forced=True), entry({"count": 4}, forced=True)], own=", count: 1") == 3


def test_trap_8_lists_are_joined_default_first_and_maps_merged_deeply() -> None:
    defaults = f"pluginDefaults: [{{type: {SCRIPT}, values: {{commands: [first], env: {{A: d, B: d}}}}}}]\n"
    task = f"tasks:\n  - {{id: s, type: {SCRIPT}, script: x, commands: [own], env: {{A: own}}}}\n"
    properties = flow_with(defaults, task).task("s").properties
    assert properties["commands"] == ["first", "own"]
    assert properties["env"] == {"A": "own", "B": "d"}
    forced = flow_with(defaults.replace("values:", "forced: true, values:"), task).task("s").properties
    assert forced["commands"] == ["first", "own"]
    assert forced["env"] == {"A": "d", "B": "d"}


TRIGGERS = """\
triggers:
  - id: t
    type: io.kestra.plugin.core.trigger.Schedule
    conditions: [{type: io.kestra.plugin.core.condition.DayWeek, dayOfWeek: MONDAY}]
"""


def test_trap_9_prefix_covers_everything_below_it_triggers_and_conditions_too() -> None:
    defaults = (
        'pluginDefaults: [{type: io.kestra.plugin.core, values: {cron: "0 1 * * *", logLevel: WARN, date: "{{ now() }}"}}]\n'
    )
    task = "tasks:\n  - {id: a, type: io.kestra.plugin.core.log.Log, message: x}\n"
    flow = flow_with(defaults, task + TRIGGERS)
    trigger = flow.trigger("t")
    assert trigger is not None
    assert flow.task("a").properties["logLevel"] == "WARN"
    assert "cron" not in flow.task("a").properties
    assert (trigger.properties["cron"], trigger.log_level) == ("0 1 * * *", "WARN")
    assert trigger.conditions[0]["date"] == "{{ now() }}"


def test_aliases_of_a_class_are_covered() -> None:
    task = "tasks:\n  - {id: a, type: io.kestra.plugin.core.log.Log}\n"
    flow = flow_with("taskDefaults: [{type: io.kestra.core.tasks.log.Log, values: {message: old}}]\n", task)
    assert flow.task("a").properties["message"] == "old"


def test_objects_inside_a_plug_in_are_covered_and_what_they_do_not_know_is_left_out() -> None:
    defaults = "pluginDefaults: [{type: my.Runner, values: {image: python, cpu: 2}}]\n"
    task = f"tasks:\n  - {{id: s, type: {SCRIPT}, script: x, taskRunner: {{type: my.Runner}}}}\n"
    assert flow_with(defaults, task).task("s").properties["taskRunner"] == {"type": "my.Runner", "image": "python"}


def test_stored_source_is_never_changed() -> None:
    assert flow_with(FLOW_LEVEL, TASK, [[entry({"warn": True})]]).raw["tasks"] == [{"id": "s", "type": SCRIPT, "script": "x"}]


@pytest.mark.parametrize(
    ("default", "code", "path"),
    [
        (f"{{type: {SCRIPT}}}", "flow.plugin_default", "pluginDefaults[0].values"),
        ("{values: {a: 1}}", "flow.plugin_default", "pluginDefaults[0].type"),
        (f"{{type: {SCRIPT}, values: {{count: null}}}}", "flow.plugin_default", "pluginDefaults[0].values.count"),
        (f"{{type: {SCRIPT}, values: {{cuont: 1}}}}", "flow.unknown_property", "pluginDefaults[0].values.cuont"),
        (f"{{type: {SCRIPT}, values: {{count: 1}}, force: true}}", "flow.unknown_property", "pluginDefaults[0].force"),
        (f"{{type: {SCRIPT}, values: {{count: 1}}, forced: perhaps}}", "flow.wrong_type", "pluginDefaults[0].forced"),
        (
            "{type: io.kestra.plugin.core.trigger.Schedule, values: {corn: x}}",
            "flow.unknown_property",
            "pluginDefaults[0].values.corn",
        ),
    ],
)
def test_fault_in_the_defaults_themselves(default: str, code: str, path: str) -> None:
    assert [(kind, where) for kind, line, _, where in found(f"{HEAD}pluginDefaults:\n  - {default}\n{TASK}") if line == 4] == [
        (code, path)
    ]


def test_prefix_may_name_any_property() -> None:
    assert found(f"{HEAD}pluginDefaults: [{{type: io.kestra, values: {{anything: 1}}}}]\n{TASK}") == []


def test_value_of_a_default_that_does_not_fit_is_told_where_it_stands() -> None:
    source = f"{HEAD}pluginDefaults:\n  - {{type: {SCRIPT}, values: {{count: many}}}}\n{TASK}"
    assert [(code, line, path) for code, line, _, path in found(source)] == [("flow.wrong_type", 4, "tasks[0].count")]
