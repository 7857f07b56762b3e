"""The worked examples of the execution semantics: which task runs exist at the end, and in which state."""

from __future__ import annotations

from textwrap import dedent

import pytest

from flows.machine.simulate import Answer, Simulation, run
from flows.machine.states import State
from tests.unit.machine.written import flow

FAIL = Answer(State.FAILED)
SLOW = Answer(seconds=10)
SLOW_FAIL = Answer(State.FAILED, seconds=10)
WARN = Answer(State.WARNING)

Script = dict[str, Answer | list[Answer]]

CASES: dict[str, tuple[str, Script, str]] = {
    "a_plain_sequence_runs_in_order": (
        "tasks: [{id: a}, {id: b}]",
        {},
        """
        SUCCESS
          a SUCCESS
          b SUCCESS
        """,
    ),
    "the_first_failure_ends_the_sequence": (
        "tasks: [{id: a}, {id: bad}, {id: never}]",
        {"bad": FAIL},
        """
        FAILED
          a SUCCESS
          bad FAILED
        """,
    ),
    "global_errors_all_run_though_the_first_of_them_fails": (
        "tasks: [{id: bad}, {id: never}]\nerrors: [{id: e1}, {id: e2}]",
        {"bad": FAIL, "e1": FAIL},
        """
        FAILED
          bad FAILED
          e1 FAILED
          e2 SUCCESS
        """,
    ),
    "errors_do_not_run_without_a_failure": (
        "tasks: [{id: a}]\nerrors: [{id: e1}]",
        {"a": WARN},
        """
        WARNING
          a WARNING
        """,
    ),
    "finally_runs_after_success": (
        "tasks: [{id: a}]\nfinally: [{id: clean}]",
        {},
        """
        SUCCESS
          a SUCCESS
          clean SUCCESS
        """,
    ),
    "finally_runs_after_errors_and_its_failure_changes_nothing": (
        "tasks: [{id: a}]\nerrors: [{id: e}]\nfinally: [{id: c1}, {id: c2}]",
        {"a": FAIL, "c1": FAIL},
        """
        FAILED
          a FAILED
          e SUCCESS
          c1 FAILED
          c2 SUCCESS
        """,
    ),
    "a_failing_finally_does_not_fail_a_success": (
        "tasks: [{id: a}]\nfinally: [{id: clean}]",
        {"clean": FAIL},
        """
        SUCCESS
          a SUCCESS
          clean FAILED
        """,
    ),
    "sequential_with_local_errors": (
        """
        tasks:
          - id: seq
            type: Sequential
            tasks: [{id: s1}, {id: s2}, {id: s3}]
            errors: [{id: se}]
          - {id: after}
        errors: [{id: global}]
        """,
        {"s2": FAIL},
        """
        FAILED
          seq FAILED
            s1 SUCCESS
            s2 FAILED
            se SUCCESS
          global SUCCESS
        """,
    ),
    "parallel_starts_all_and_ends_with_the_last": (
        """
        tasks:
          - id: par
            type: Parallel
            tasks: [{id: p1}, {id: p2}, {id: p3}, {id: p4}, {id: p5}, {id: p6}]
          - {id: last}
        """,
        {"p3": SLOW},
        """
        SUCCESS
          par SUCCESS
            p1 SUCCESS
            p2 SUCCESS
            p3 SUCCESS
            p4 SUCCESS
            p5 SUCCESS
            p6 SUCCESS
          last SUCCESS
        """,
    ),
    "a_failure_in_parallel_ends_it_and_its_siblings_are_recorded": (
        """
        tasks:
          - id: par
            type: Parallel
            tasks: [{id: slow}, {id: bad}]
          - {id: after}
        """,
        {"slow": SLOW, "bad": FAIL},
        """
        FAILED
          par FAILED
            slow SUCCESS
            bad FAILED
        """,
    ),
    "a_handler_of_parallel_starts_at_once": (
        """
        tasks:
          - id: par
            type: Parallel
            tasks: [{id: slow}, {id: bad}]
            errors: [{id: h}]
          - {id: after}
        """,
        {"slow": SLOW, "bad": FAIL},
        """
        FAILED
          par FAILED
            slow SUCCESS
            bad FAILED
            h SUCCESS
        """,
    ),
    "no_new_child_of_a_limited_parallel_starts_after_a_failure": (
        """
        tasks:
          - id: par
            type: Parallel
            concurrent: 1
            tasks: [{id: p1}, {id: bad}, {id: never}]
        """,
        {"bad": FAIL},
        """
        FAILED
          par FAILED
            p1 SUCCESS
            bad FAILED
        """,
    ),
    "if_takes_then": (
        "tasks: [{id: c, type: If, condition: '{{ 5 > 3 }}', then: [{id: big}], else: [{id: small}]}]",
        {},
        """
        SUCCESS
          c SUCCESS
            big SUCCESS
        """,
    ),
    "if_takes_else": (
        "tasks: [{id: c, type: If, condition: '{{ 2 > 3 }}', then: [{id: big}], else: [{id: small}]}]",
        {},
        """
        SUCCESS
          c SUCCESS
            small SUCCESS
        """,
    ),
    "if_without_else_and_false_is_a_success_without_children": (
        "tasks: [{id: c, type: If, condition: 'false', then: [{id: big}]}]",
        {},
        """
        SUCCESS
          c SUCCESS
        """,
    ),
    "a_condition_that_cannot_be_evaluated_fails_the_if": (
        """
        tasks: [{id: c, type: If, condition: '{{ nothing.here }}', then: [{id: big}], errors: [{id: local}]}]
        errors: [{id: e}]
        """,
        {},
        """
        FAILED
          c FAILED
          e SUCCESS
        """,
    ),
    "errors_of_an_if_handle_either_branch": (
        "tasks: [{id: c, type: If, condition: 'false', then: [{id: t}], else: [{id: e}], errors: [{id: h}]}]",
        {"e": FAIL},
        """
        FAILED
          c FAILED
            e FAILED
            h SUCCESS
        """,
    ),
    "a_loop_goes_value_by_value": (
        "tasks: [{id: each, type: ForEach, values: [x, y], tasks: [{id: first}, {id: second}]}]",
        {},
        """
        SUCCESS
          each SUCCESS
            first[x] SUCCESS
            second[x] SUCCESS
            first[y] SUCCESS
            second[y] SUCCESS
        """,
    ),
    "an_unlimited_loop_starts_every_value": (
        "tasks: [{id: each, type: ForEach, concurrencyLimit: 0, values: [x, y], tasks: [{id: first}, {id: second}]}]",
        {"first[x]": Answer(seconds=2)},
        """
        SUCCESS
          each SUCCESS
            first[x] SUCCESS
            first[y] SUCCESS
            second[y] SUCCESS
            second[x] SUCCESS
        """,
    ),
    "a_loop_drops_repeated_values_and_makes_texts_of_all": (
        "tasks: [{id: each, type: ForEach, values: [a, a, b, 3, {k: 1}], tasks: [{id: t}]}]",
        {},
        """
        SUCCESS
          each SUCCESS
            t[a] SUCCESS
            t[b] SUCCESS
            t[3] SUCCESS
            t[{"k":1}] SUCCESS
        """,
    ),
    "a_loop_over_nothing_is_a_success": (
        "tasks: [{id: each, type: ForEach, values: [], tasks: [{id: t}]}, {id: after}]",
        {},
        """
        SUCCESS
          each SUCCESS
          after SUCCESS
        """,
    ),
    "a_null_among_the_values_fails_the_loop": (
        "tasks: [{id: each, type: ForEach, values: '[\"a\", null]', tasks: [{id: t}]}]",
        {},
        """
        FAILED
          each FAILED
        """,
    ),
    "values_that_are_no_list_fail_the_loop": (
        "tasks: [{id: each, type: ForEach, values: '{{ 3 }}', tasks: [{id: t}]}]",
        {},
        """
        FAILED
          each FAILED
        """,
    ),
    "a_failed_value_ends_the_loop": (
        "tasks: [{id: each, type: ForEach, values: [a, b], tasks: [{id: t}, {id: u}], errors: [{id: h}]}]",
        {"t[a]": FAIL},
        """
        FAILED
          each FAILED
            t[a] FAILED
            h SUCCESS
        """,
    ),
    "values_in_flight_finish_when_one_of_a_concurrent_loop_fails": (
        "tasks: [{id: each, type: ForEach, concurrencyLimit: 2, values: [a, b, c], tasks: [{id: t}, {id: u}]}, {id: after}]",
        {"t[a]": FAIL, "t[b]": SLOW},
        """
        FAILED
          each FAILED
            t[a] FAILED
            t[b] SUCCESS
        """,
    ),
    "a_block_whose_tasks_are_all_disabled_is_a_success": (
        """
        tasks:
          - {id: seq, type: Sequential, tasks: [{id: s, + disabled: true}]}
          - {id: par, type: Parallel, tasks: [{id: p, + disabled: true}]}
          - {id: each, type: ForEach, values: [a, b], tasks: [{id: t, + disabled: true}]}
          - {id: all, type: ForEach, concurrencyLimit: 0, values: [a, b], tasks: [{id: u, + disabled: true}]}
          - {id: if, type: If, condition: true, then: [{id: v, + disabled: true}]}
        """,
        {},
        """
        SUCCESS
          seq SUCCESS
          par SUCCESS
          each SUCCESS
          all SUCCESS
          if SUCCESS
        """,
    ),
    "run_if_false_skips_without_children_and_without_effect": (
        """
        tasks:
          - {id: a, + runIf: 'false'}
          - {id: seq, type: Sequential, runIf: '0', tasks: [{id: s}]}
          - {id: b, + runIf: 'true'}
        """,
        {},
        """
        SUCCESS
          a SKIPPED
          seq SKIPPED
          b SUCCESS
        """,
    ),
    "all_skipped_is_a_success": (
        "tasks: [{id: a, + runIf: false}]",
        {},
        """
        SUCCESS
          a SKIPPED
        """,
    ),
    "run_if_that_cannot_be_rendered_fails": (
        "tasks: [{id: a}, {id: b}, {id: c, + runIf: 'false'}, {id: d, + runIf: '{{ nothing.here }}'}]",
        {},
        """
        FAILED
          a SUCCESS
          b SUCCESS
          c SKIPPED
          d FAILED
        """,
    ),
    "allow_failure_of_a_runnable_makes_a_warning": (
        "tasks: [{id: a, + allowFailure: true}, {id: b}]",
        {"a": FAIL},
        """
        WARNING
          a WARNING
          b SUCCESS
        """,
    ),
    "allow_failure_and_allow_warning_make_a_success": (
        "tasks: [{id: a, + allowFailure: true, allowWarning: true}, {id: b, + allowWarning: true}]",
        {"a": FAIL, "b": WARN},
        """
        SUCCESS
          a SUCCESS
          b SUCCESS
        """,
    ),
    "allow_failure_of_a_block_keeps_the_child_failed_and_goes_on_after_it": (
        """
        tasks:
          - {id: seq, type: Sequential, allowFailure: true, tasks: [{id: bad}, {id: never}], errors: [{id: h}]}
          - {id: after}
        """,
        {"bad": FAIL},
        """
        WARNING
          seq WARNING
            bad FAILED
            h SUCCESS
          after SUCCESS
        """,
    ),
    "a_warning_inside_reaches_the_execution": (
        "tasks: [{id: each, type: ForEach, values: [a, b], tasks: [{id: t}]}]",
        {"t[a]": WARN},
        """
        WARNING
          each WARNING
            t[a] WARNING
            t[b] SUCCESS
        """,
    ),
    "a_killed_task_is_no_failure_and_the_execution_ends_killed": (
        "tasks: [{id: a}, {id: b}]\nerrors: [{id: e}]",
        {"a": Answer(State.KILLED)},
        """
        KILLED
          a KILLED
          b SUCCESS
        """,
    ),
    "loops_nest": (
        """
        tasks:
          - id: outer
            type: ForEach
            values: [a, b]
            tasks:
              - {id: inner, type: ForEach, values: [1, 2], tasks: [{id: leaf}]}
              - {id: c, type: If, condition: "{{ taskrun.value == 'a' }}", then: [{id: only}]}
        """,
        {},
        """
        SUCCESS
          outer SUCCESS
            inner[a] SUCCESS
              leaf[1] SUCCESS
              leaf[2] SUCCESS
            c[a] SUCCESS
              only SUCCESS
            inner[b] SUCCESS
              leaf[1] SUCCESS
              leaf[2] SUCCESS
            c[b] SUCCESS
        """,
    ),
    "a_loop_of_parallels_runs_the_tasks_of_a_value_side_by_side": (
        """
        tasks:
          - id: each
            type: ForEach
            concurrencyLimit: 0
            values: [1, 2]
            tasks: [{id: par, type: Parallel, tasks: [{id: p1}, {id: p2}]}]
        """,
        {},
        """
        SUCCESS
          each SUCCESS
            par[1] SUCCESS
              p1 SUCCESS
              p2 SUCCESS
            par[2] SUCCESS
              p1 SUCCESS
              p2 SUCCESS
        """,
    ),
    "what_a_failed_parallel_left_running_goes_no_further_once_the_execution_is_over": (
        """
        tasks:
          - id: par
            type: Parallel
            tasks:
              - {id: seq, type: Sequential, tasks: [{id: slow}, {id: never}]}
              - {id: bad}
        """,
        {"slow": SLOW, "bad": FAIL},
        """
        FAILED
          par FAILED
            seq KILLED
              slow SUCCESS
            bad FAILED
        """,
    ),
    "a_retry_that_nobody_waits_for_is_given_up_at_the_end": (
        """
        tasks:
          - id: par
            type: Parallel
            tasks:
              - {id: again, + retry: {type: constant, interval: PT1M, maxAttempt: 3}}
              - {id: bad}
        """,
        {"again": FAIL, "bad": Answer(State.FAILED, seconds=2)},
        """
        FAILED
          par FAILED
            again KILLED
            bad FAILED
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_worked_example(name: str) -> None:
    source, script, expected = CASES[name]
    simulation = run(flow(source), script)
    assert simulation.outline() == dedent(expected).strip()
    assert simulation.over


def states(simulation: Simulation, *task_ids: str) -> list[str]:
    return [found.state for task_id in task_ids for found in simulation.of(task_id)]


def test_two_of_a_parallel_of_three_run_and_the_third_follows() -> None:
    source = "tasks: [{id: par, type: Parallel, concurrent: 2, tasks: [{id: p1}, {id: p2}, {id: p3}]}]"
    script: Script = {"p1": Answer(seconds=1), "p2": Answer(seconds=5)}
    assert states(run(flow(source), script, until=0.5), "p1", "p2", "p3") == ["RUNNING", "RUNNING"]
    assert states(run(flow(source), script, until=1.5), "p1", "p2", "p3") == ["SUCCESS", "RUNNING", "RUNNING"]
    assert states(run(flow(source), script), "par", "p1", "p2", "p3") == ["SUCCESS"] * 4


def test_a_failure_in_parallel_is_felt_at_once() -> None:
    source = "tasks: [{id: par, type: Parallel, tasks: [{id: slow}, {id: bad}]}]"
    simulation = run(flow(source), {"slow": SLOW, "bad": FAIL}, until=1.5)
    assert simulation.outline() == "FAILED\n  par FAILED\n    slow RUNNING\n    bad FAILED"


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (2, 2), (3, 3), (0, 5)])
def test_a_loop_never_has_more_live_task_runs_than_its_limit(limit: int, most: int) -> None:
    loop = f"id: each, type: ForEach, concurrencyLimit: {limit}, values: [1, 2, 3, 4, 5]"
    source = f"tasks: [{{{loop}, tasks: [{{id: t}}, {{id: u}}]}}]"
    seen = 0

    simulation = run(flow(source), until=-1)
    while not simulation.over:
        simulation.run(simulation.now / 1_000_000 + 0.5)
        simulation.now += 500_000
        seen = max(seen, sum(found.cursor is None for found in simulation.execution.runs.values()))
    assert seen == most
    assert states(simulation, "t", "u") == ["SUCCESS"] * 10


def test_finally_sees_a_running_execution_and_flow_outputs_are_rendered_once_at_the_end() -> None:
    source = """
    tasks: [{id: a, type: Return, format: "{{ flow.id }}"}]
    finally: [{id: clean, type: Return, format: "{{ execution.state }}"}]
    outputs: [{id: both, type: STRING, value: "{{ outputs.a.value }}-{{ outputs.clean.value }}"}]
    """
    simulation = run(flow(source))
    assert simulation.execution.outputs == {"both": "f-RUNNING"}


def test_outputs_of_a_flow_that_cannot_be_rendered_fail_it() -> None:
    simulation = run(flow("tasks: [{id: a}]\noutputs: [{id: x, type: STRING, value: '{{ nothing.here }}'}]"))
    assert simulation.outline() == "FAILED\n  a SUCCESS"
    assert simulation.execution.outputs is None
    assert simulation.execution.error is not None
    assert simulation.execution.error["message"].startswith("outputs of the flow:")


def test_an_if_is_evaluated_once_and_its_children_see_the_result() -> None:
    source = """
    tasks:
      - id: c
        type: If
        condition: "{{ inputs.n > 3 }}"
        then: [{id: t, type: Return, format: "{{ outputs.c.evaluationResult }} {{ parent.outputs.evaluationResult }}"}]
    """
    simulation = run(flow(source), inputs={"n": 5})
    assert simulation.of("c")[0].outputs == {"evaluationResult": True}
    assert simulation.of("t")[0].outputs == {"value": "true true"}


def test_a_loop_can_be_longer_than_python_can_recurse() -> None:
    tasks = ", ".join(f"{{id: t{number}, + runIf: false}}" for number in range(600))
    source = f"tasks: [{{id: each, type: ForEach, concurrencyLimit: 0, values: [1, 2], tasks: [{tasks}]}}]"
    simulation = run(flow(source))
    assert simulation.execution.state is State.SUCCESS
    assert len(simulation.runs) == 1201


def test_an_execution_of_nothing_but_disabled_tasks_succeeds() -> None:
    simulation = run(flow("tasks: [{id: a, + disabled: true}]"))
    assert simulation.outline(histories=True) == "CREATED RUNNING SUCCESS"
