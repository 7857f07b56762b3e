"""The numbered traps of execution-semantics §15, a test each. Trap 25, no flow triggers itself, is with the Flow triggers."""

from __future__ import annotations

from random import Random

from flows.machine.events import Finished, Kill, Resume
from flows.machine.house import House
from flows.machine.simulate import Answer, Player, Simulation, outline, run, scripted
from flows.machine.states import State
from flows.spec.parse import parse_flow
from tests.unit.machine.scenarios import FAIL, crowded, history, same
from tests.unit.machine.written import flow
from wire.plugins import discover

SLOW = Answer(seconds=60)


def test_trap_01_without_errors_a_failure_ends_the_block_at_once_and_late_results_are_recorded() -> None:
    done = run(
        flow("tasks: [{id: par, type: Parallel, tasks: [{id: slow}, {id: bad}]}, {id: after}]"), {"slow": SLOW, "bad": FAIL}
    )
    assert done.execution.ended_at == 1_000_000
    same(done, "FAILED\n  par FAILED\n    slow SUCCESS\n    bad FAILED")


def test_trap_02_errors_and_finally_never_stop_early_and_never_change_the_result() -> None:
    done = run(
        flow("tasks: [{id: bad}]\nerrors: [{id: e1}, {id: e2}]\nfinally: [{id: f1}, {id: f2}]"),
        {"bad": FAIL, "e1": FAIL, "f1": FAIL},
    )
    same(done, "FAILED\n  bad FAILED\n  e1 FAILED\n  e2 SUCCESS\n  f1 FAILED\n  f2 SUCCESS")


def test_trap_03_a_flow_whose_error_branch_recovered_is_still_failed() -> None:
    assert run(flow("tasks: [{id: bad}]\nerrors: [{id: mended}]"), {"bad": FAIL}).execution.state is State.FAILED


def test_trap_04_a_retrying_task_run_is_not_created_again() -> None:
    source = flow("tasks: [{id: a, + retry: {type: constant, interval: PT5S, maxAttempt: 3}}, {id: b}]")
    done = run(source, {"a": [FAIL, FAIL, Answer()]})
    assert [len(done.of(name)) for name in ("a", "b")] == [1, 1]


def test_trap_05_a_loop_drops_duplicates_makes_texts_and_counts_live_task_runs() -> None:
    loop = "tasks: [{id: each, type: ForEach, values: %s, concurrencyLimit: 2, tasks: [{id: t}]}]"
    done = run(flow(loop % "[a, a, 1, {k: 1}]"), {})
    assert [task.value for task in done.of("t")] == ["a", "1", '{"k":1}']
    same(run(flow(loop % "'[1, null]'"), {}), "FAILED\n  each FAILED")
    live = run(flow(loop % "[a, b, c, d]"), {"t": SLOW}, until=1)
    assert len(live.held) == 2


def test_trap_06_a_condition_is_evaluated_once_and_a_restart_takes_the_same_branch() -> None:
    source = flow("""
        variables: {go: "yes"}
        tasks:
          - id: cond
            type: If
            condition: "{{ vars.go == 'yes' }}"
            then: [{id: s, type: SetVariables, variables: {go: "no"}}, {id: t}]
        """)
    simulation = run(source, {"t": [FAIL, Answer()]})
    simulation.restart("execution")
    simulation.run()
    same(simulation, "SUCCESS\n  cond SUCCESS\n    s SUCCESS\n    t SUCCESS")


def test_trap_07_parents_skip_ancestors_without_value_and_outputs() -> None:
    inner = "{id: r, type: Return, format: '{{ parents | length }} {{ parent.taskrun.value }}'}"
    seq = f"{{id: seq, type: Sequential, tasks: [{inner}]}}"
    done = run(flow(f"tasks: [{{id: each, type: ForEach, values: [x], tasks: [{seq}]}}]"), {})
    assert done.of("r")[0].outputs == {"value": "1 x"}


def test_trap_08_skipped_is_an_end_that_lets_others_go_on() -> None:
    done = run(
        flow("""
        tasks:
          - id: dag
            type: Dag
            tasks: [{task: {id: a, type: Log, message: x, runIf: "false"}}, {task: {id: b}, dependsOn: [a]}]
        """),
        {},
    )
    same(done, "SUCCESS\n  dag SUCCESS\n    a SKIPPED\n    b SUCCESS")


def test_trap_09_and_10_one_pause_holds_everything_and_each_must_be_resumed() -> None:
    source = flow("""
        tasks:
          - id: par
            type: Parallel
            tasks: [{id: p1, type: Pause}, {id: p2, type: Pause}, {id: s, type: Sequential, tasks: [{id: a}, {id: b}]}]
        """)
    simulation = run(source, {})
    assert (simulation.execution.state, len(simulation.of("b"))) == (State.PAUSED, 0)
    simulation.apply(Resume())
    simulation.run()
    assert (history(simulation).split()[-1], len(simulation.of("b"))) == ("PAUSED", 0)
    simulation.apply(Resume())
    simulation.run()
    assert (history(simulation).split()[-1], len(simulation.of("b"))) == ("SUCCESS", 1)


def test_trap_11_a_killed_execution_stays_killed_whatever_its_workers_say_later() -> None:
    simulation = Simulation(flow("tasks: [{id: a}]"), scripted({}, Answer(silent=True)), Random(0))
    simulation.run(until=1)
    simulation.apply(Kill())
    assert simulation.execution.state is State.KILLED
    run_id = simulation.of("a")[0].id
    assert simulation.of("a")[0].state is State.RUNNING
    simulation.apply(Finished(run_id, 1, "w", State.SUCCESS))
    assert (simulation.execution.state, simulation.of("a")[0].state) == (State.KILLED, State.SUCCESS)


def test_trap_12_a_result_of_an_earlier_attempt_is_ignored() -> None:
    simulation = run(flow("tasks: [{id: a}]"), {"a": [FAIL, SLOW]})
    simulation.restart("execution")
    simulation.run(until=5)
    simulation.apply(Finished(simulation.of("a")[0].id, 1, "w", State.SUCCESS))
    assert simulation.execution.state is State.RUNNING
    simulation.run()
    assert len(simulation.of("a")[0].attempts) == 2


def test_trap_13_a_restart_drops_error_handlers_a_replay_keeps_those_that_do_not_come_after() -> None:
    source = flow("""
        tasks:
          - {id: af, type: AllowFailure, tasks: [{id: a}], errors: [{id: h}]}
          - {id: b}
          - {id: c}
        errors: [{id: e}]
        """)
    simulation = run(source, {"a": FAIL, "b": [FAIL, Answer()]})
    replayed = simulation.replay("execution", simulation.of("b")[0].id)
    simulation.go()
    assert outline(simulation.executions[replayed.id]).splitlines()[1:4] == ["  af WARNING", "    a FAILED", "    h SUCCESS"]
    simulation.restart("execution")
    assert not simulation.of("e")
    assert not simulation.of("h")


def test_trap_14_and_15_a_retried_execution_is_over_and_its_chain_counts_as_one() -> None:
    simulation = run(
        flow("""
        inputs: [{id: n, type: INT}]
        retry: {type: constant, interval: PT1S, maxAttempt: 2, behavior: CREATE_NEW_EXECUTION}
        tasks: [{id: a}]
        """),
        {"a": FAIL},
        inputs={"n": 3},
    )
    first, second = (held.execution for held in simulation.executions.values())
    assert (first.state, second.state) == (State.RETRIED, State.FAILED)
    assert first.id != second.id
    assert second.inputs == {"n": 3}


def test_trap_15_a_restart_of_an_exhausted_retry_runs_once() -> None:
    simulation = run(flow("tasks: [{id: a, + retry: {type: constant, interval: PT1S, maxAttempt: 2}}]"), {"a": FAIL})
    assert len(simulation.of("a")[0].attempts) == 2
    simulation.restart("execution")
    simulation.run()
    assert len(simulation.of("a")[0].attempts) == 3


def test_trap_16_and_17_allow_failure_retries_first_and_attempts_keep_their_state() -> None:
    source = flow("tasks: [{id: a, + allowFailure: true, retry: {type: constant, interval: PT1S, maxAttempt: 2}}]")
    done = run(source, {"a": FAIL})
    assert done.of("a")[0].state is State.WARNING
    assert [attempt.state for attempt in done.of("a")[0].attempts] == [State.FAILED, State.FAILED]


def test_trap_18_outputs_are_rendered_even_when_the_execution_failed() -> None:
    source = flow(
        "outputs: [{id: o, type: STRING, value: '{{ outputs.a.value }}'}]\ntasks: [{id: a, type: Return, format: x}, {id: bad}]"
    )
    done = run(source, {"bad": FAIL})
    assert (done.execution.state, done.execution.outputs) == (State.FAILED, {"o": "x"})
    broken = run(flow("outputs: [{id: o, type: STRING, value: '{{ nowhere }}'}]\ntasks: [{id: a}]"), {})
    assert (broken.execution.state, broken.execution.outputs) == (State.FAILED, None)


def test_trap_19_a_loop_until_erases_the_task_runs_of_earlier_rounds() -> None:
    source = "{id: poll, type: LoopUntil, condition: '{{ outputs.poll.iterationCount > 3 }}', tasks: [{id: q}]}"
    done = run(flow(f"tasks: [{source}]"), {})
    assert len(done.of("q")) == 1


def test_trap_20_the_ids_of_a_for_each_items_parts_are_taken() -> None:
    text = """
id: f
namespace: tests
tasks:
  - {id: each, type: io.kestra.plugin.core.flow.ForEachItem, items: x, namespace: a, flowId: b}
  - {id: each_split, type: io.kestra.plugin.core.log.Log, message: x}
"""
    problems = parse_flow(text, discover()).problems
    assert any("Duplicate task id with name [each_split]" in str(problem) for problem in problems)


def test_trap_21_the_children_of_a_working_directory_are_never_handed_out() -> None:
    simulation = Simulation(flow("tasks: [{id: wd, type: WorkingDirectory, tasks: [{id: a}, {id: b}]}]"), scripted({}), Random(0))
    simulation.run(until=0)
    assert [hand_out.task.id for hand_out in simulation.held.values()] == ["wd"]


def test_trap_22_a_subflow_that_is_not_waited_for_is_a_success() -> None:
    source = flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: child, wait: false}]")
    done = run(source, {"bad": FAIL}, beside=[flow("tasks: [{id: bad}]", "child")])
    same(done, "SUCCESS\n  call SUCCESS")


def test_trap_23_a_scheduled_start_does_not_wait_in_the_line() -> None:
    house = crowded("QUEUE", 1)
    later = house.create(("tests", "f"), schedule_at=5_000_000)
    house.go(until=6_000_000)
    assert later.state is State.RUNNING


def test_trap_24_a_missed_service_level_runs_no_error_handlers() -> None:
    source = flow("sla: [{id: s, type: MAX_DURATION, duration: PT5S, behavior: FAIL}]\ntasks: [{id: a}]\nerrors: [{id: e}]")
    same(run(source, {"a": SLOW}), "FAILED\n  a FAILED")


def test_trap_26_the_first_try_counts_no_attempts() -> None:
    seen = []
    source = flow("""
        tasks:
          - id: a
            type: Return
            format: "{{ taskrun.attemptsCount }}"
            retry: {type: constant, interval: PT1S, maxAttempt: 2}
        """)

    def answer(hand_out: object, random: Random) -> Answer:
        seen.append(hand_out.context["taskrun"]["attemptsCount"])  # type: ignore[attr-defined]
        return FAIL

    run(source, answer)
    assert seen == [0, 1]


def test_trap_27_states_in_the_same_instant_keep_their_order() -> None:
    done = run(flow("tasks: [{id: s, type: Sequential, tasks: [{id: l, type: Labels, labels: {a: b}}]}]"), {})
    assert {at for _, at in done.execution.history} == {0}
    assert history(done) == "CREATED RUNNING SUCCESS"


def test_trap_28_a_disabled_task_leaves_nothing_and_satisfies_its_dependents() -> None:
    done = run(
        flow("""
        tasks:
          - {id: off, type: Return, format: x, disabled: true}
          - {id: r, type: Return, format: "{{ outputs.off.value ?? 'absent' }}"}
          - id: dag
            type: Dag
            tasks: [{task: {id: a, type: Log, message: x, disabled: true}}, {task: {id: b}, dependsOn: [a]}]
        """),
        {},
    )
    assert done.of("r")[0].outputs == {"value": "absent"}
    same(done, "SUCCESS\n  r SUCCESS\n  dag SUCCESS\n    b SUCCESS")


def test_trap_29_empty_blocks_succeed_and_a_missing_case_fails() -> None:
    for block in (
        "{id: x, type: If, condition: 'false', then: [{id: t}]}",
        "{id: x, type: ForEach, values: [], tasks: [{id: t}]}",
        "{id: x, type: Sequential, tasks: [{id: t, + disabled: true}]}",
    ):
        same(run(flow(f"tasks: [{block}]"), {}), "SUCCESS\n  x SUCCESS")
    same(run(flow("tasks: [{id: x, type: Switch, value: b, cases: {a: [{id: t}]}}]"), {}), "FAILED\n  x FAILED")


def test_trap_30_a_subflow_that_cannot_be_created_fails_and_error_handlers_run() -> None:
    source = flow("tasks: [{id: call, type: Subflow, namespace: tests, flowId: nowhere}]\nerrors: [{id: e}]")
    same(run(source, {}), "FAILED\n  call FAILED\n  e SUCCESS")


def test_a_house_without_a_limit_asks_nobody() -> None:
    house = House([flow("tasks: [{id: a}]")], Player(scripted({})), Random(0))
    for _ in range(3):
        house.create(("tests", "f"))
    house.go()
    assert {held.execution.state for held in house.executions.values()} == {State.SUCCESS}
