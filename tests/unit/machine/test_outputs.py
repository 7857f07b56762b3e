"""What expressions see: outputs nested by value, ancestors, and the same whether held in memory or looked up."""

from __future__ import annotations

import pytest

from flows.machine import step as machine
from flows.machine.effects import HandOut
from flows.machine.simulate import Answer, Simulation, run
from flows.machine.states import State
from tests.unit.machine.written import flow

NESTED = """
tasks:
  - id: outer
    type: ForEach
    values: [a, b]
    tasks:
      - id: inner
        type: ForEach
        values: [1, 2]
        tasks:
          - {id: leaf, type: Return, format: "{{ parent.taskrun.value }}-{{ taskrun.value }}"}
          - id: seen
            type: Return
            format: "{{ outputs.leaf[parent.taskrun.value][taskrun.value].value }}"
      - {id: c, type: If, condition: true, then: [{id: within, type: Return, format: "{{ parent.taskrun.value }}"}]}
  - {id: last, type: Return, format: "{{ outputs.leaf.a['1'].value }} {{ outputs.within.b.value }}"}
"""


def outputs_of(simulation: Simulation, task_id: str) -> list[object]:
    return [run_.outputs for run_ in simulation.of(task_id)]


def test_outputs_nest_by_the_values_of_the_ancestors() -> None:
    simulation = run(flow(NESTED))
    assert outputs_of(simulation, "leaf") == [{"value": text} for text in ("a-1", "a-2", "b-1", "b-2")]
    assert outputs_of(simulation, "seen") == outputs_of(simulation, "leaf")
    assert outputs_of(simulation, "last") == [{"value": "a-1 b"}]


def test_a_block_without_a_value_adds_no_level() -> None:
    source = """
    tasks:
      - id: each
        type: ForEach
        values: [x]
        tasks: [{id: seq, type: Sequential, tasks: [{id: t, type: Return, format: v}]}]
      - {id: last, type: Return, format: "{{ outputs.t.x.value }}"}
    """
    assert outputs_of(run(flow(source)), "last") == [{"value": "v"}]


def test_parents_leave_out_ancestors_without_value_and_outputs() -> None:
    source = """
    tasks:
      - id: each
        type: ForEach
        values: [x]
        tasks:
          - id: seq
            type: Sequential
            tasks:
              - {id: c, type: If, condition: true, then: [{id: t, type: Return, format: "{{ parents | length }}"}]}
    """
    # The If has an output, the Sequential has the loop's value, the loop itself has neither.
    assert outputs_of(run(flow(source)), "t") == [{"value": "2"}]


def test_run_if_and_values_see_outputs_and_states_of_what_ran_before() -> None:
    source = """
    tasks:
      - {id: a, type: Return, format: '["p", "q"]'}
      - {id: each, type: ForEach, values: "{{ outputs.a.value }}", tasks: [{id: t}]}
      - {id: yes, + runIf: "{{ tasks.a.state == 'SUCCESS' }}"}
      - {id: no, + runIf: "{{ tasks.t.p.state == 'FAILED' }}"}
    """
    expected = "SUCCESS\n  a SUCCESS\n  each SUCCESS\n    t[p] SUCCESS\n    t[q] SUCCESS\n  yes SUCCESS\n  no SKIPPED"
    assert run(flow(source)).outline() == expected


def test_the_first_try_sees_no_attempts_and_the_second_sees_one() -> None:
    source = "tasks: [{id: a, type: Return, format: x, retry: {type: constant, interval: PT1S, maxAttempt: 2}}]"
    seen = []

    def play(hand_out: HandOut, random: object) -> Answer:
        seen.append(hand_out.context.get("taskrun", {}).get("attemptsCount"))
        return Answer(State.FAILED)

    run(flow(source.replace("format: x", "format: '{{ taskrun.attemptsCount }}'")), play)
    assert seen == [0, 1]


@pytest.mark.parametrize("held", [0, 1, 5, 2_000])
def test_outputs_are_the_same_held_or_looked_up(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = flow("""
    tasks:
      - id: each
        type: ForEach
        concurrencyLimit: 0
        values: [d, c, b, a]
        tasks:
          - {id: t, type: Return, format: "{{ taskrun.value }}"}
          - {id: u, type: Return, format: "{{ outputs.t | keys }}"}
      - {id: c, type: If, condition: true, then: [{id: v, type: Return, format: "{{ outputs }}"}]}
    """)
    # The values end in another order than they began in.
    script: dict[str, Answer | list[Answer]] = {
        f"t[{value}]": Answer(seconds=seconds, outputs={"value": value})
        for value, seconds in zip("dcba", (4, 3, 2, 1), strict=True)
    }
    expected = outputs_of(run(source, script), "v")
    monkeypatch.setattr(machine, "KNOWN_OUTPUTS_MAX", held)
    assert outputs_of(run(source, script), "v") == expected
    text = str(expected)
    assert text.index('"d"') < text.index('"c"') < text.index('"b"') < text.index('"a"')
