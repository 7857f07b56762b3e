"""Short stories of the whole language, each a function that raises when its promise is broken.

The tests run them as they are, and again with bugs planted in the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from textwrap import dedent
from typing import Any

from flows.machine.events import Created, ForceRun, Pause, Resume, ResumeBreakpoint
from flows.machine.execution import Execution
from flows.machine.house import House
from flows.machine.simulate import Answer, Player, Simulation, outline, run, scripted
from flows.machine.states import State
from tests.unit.machine.written import flow

FAIL = Answer(State.FAILED)
Story = Callable[[], None]
STORIES: dict[str, Story] = {}


def story(tell: Story) -> Story:
    """Registers a story under its name."""
    STORIES[tell.__name__] = tell
    return tell


def same(simulation: Simulation, expected: str) -> None:
    """The outline is exactly this."""
    found = simulation.outline()
    assert found == dedent(expected).strip(), f"found:\n{found}"


def now(execution: Execution) -> State:
    """Its state at this moment (a call, so that the type checker does not take it for the one before)."""
    return execution.state


def history(simulation: Simulation, task: str | None = None) -> str:
    """States of the execution, or of the first task run of a task, in order."""
    pairs = simulation.execution.history if task is None else simulation.of(task)[0].history
    return " ".join(state for state, _ in pairs)


@story
def a_dag_starts_each_task_when_its_dependencies_have_ended() -> None:
    done = run(
        flow("""
        tasks:
          - id: dag
            type: Dag
            tasks:
              - {task: {id: t1}}
              - {task: {id: t2}, dependsOn: [t1]}
              - {task: {id: t3}, dependsOn: [t1]}
              - {task: {id: t4}, dependsOn: [t2, t3]}
        """),
        {"t2": Answer(seconds=5), "t3": Answer(seconds=1)},
    )
    same(done, "SUCCESS\n  dag SUCCESS\n    t1 SUCCESS\n    t2 SUCCESS\n    t3 SUCCESS\n    t4 SUCCESS")
    assert done.of("t4")[0].created_at == 6_000_000
    assert done.of("t2")[0].created_at == done.of("t3")[0].created_at == 1_000_000


@story
def a_switch_takes_its_case_its_defaults_or_fails() -> None:
    source = flow("""
        tasks:
          - id: sw
            type: Switch
            value: "{{ inputs.env }}"
            cases:
              prod: [{id: p}]
              "1": [{id: one}]
        """)
    same(run(source, inputs={"env": "prod"}), "SUCCESS\n  sw SUCCESS\n    p SUCCESS")
    same(run(source, inputs={"env": 1}), "SUCCESS\n  sw SUCCESS\n    one SUCCESS")
    same(run(source, inputs={"env": "x"}), "FAILED\n  sw FAILED")


@story
def an_allow_failure_block_turns_a_failure_into_a_warning() -> None:
    done = run(
        flow("""
        tasks:
          - id: af
            type: AllowFailure
            tasks: [{id: a1}, {id: a2}]
            errors: [{id: ae}]
          - {id: next}
        """),
        {"a1": FAIL},
    )
    same(done, "WARNING\n  af WARNING\n    a1 FAILED\n    ae SUCCESS\n  next SUCCESS")


@story
def the_tasks_of_each_parallel_do_not_wait_for_each_other() -> None:
    done = run(
        flow("""
        tasks:
          - id: each
            type: EachParallel
            value: [a, b]
            tasks: [{id: one}, {id: two}]
        """),
        {},
    )
    assert {task.created_at for name in ("one", "two") for task in done.of(name)} == {0}
    assert len(done.runs) == 5


@story
def a_loop_until_runs_rounds_and_shows_only_the_last() -> None:
    done = run(
        flow("""
        tasks:
          - id: poll
            type: LoopUntil
            condition: "{{ outputs.q.values.n | number > 2 }}"
            checkFrequency: {interval: PT2S, maxIterations: 5}
            tasks:
              - {id: q, type: OutputValues, values: {n: "{{ outputs.poll.iterationCount }}"}}
          - {id: after}
        """),
        {},
    )
    same(done, "SUCCESS\n  poll SUCCESS\n    q SUCCESS\n  after SUCCESS")
    assert done.of("poll")[0].outputs == {"iterationCount": 4}
    assert done.of("q")[0].iteration == 3
    assert history(done).count("PAUSED") == 2


@story
def a_loop_until_gives_up_after_its_rounds() -> None:
    source = """
        tasks:
          - id: poll
            type: LoopUntil
            condition: "false"
            failOnMaxReached: {fail}
            checkFrequency: {interval: PT1S, maxIterations: 3}
            tasks: [{id: q}]
        """
    assert run(flow(source.replace("{fail}", "true")), {}).execution.state is State.FAILED
    patient = run(flow(source.replace("{fail}", "false")), {})
    assert patient.execution.state is State.SUCCESS
    assert patient.of("q")[0].iteration == 3


@story
def a_pause_waits_for_a_resume_with_inputs() -> None:
    waiting = run(
        flow("""
        tasks:
          - id: approve
            type: Pause
            onResume: [{id: reason, type: STRING}]
          - {id: use, type: Return, format: "{{ outputs.approve.onResume.reason }}"}
        """),
        {},
    )
    same(waiting, "PAUSED\n  approve PAUSED")
    waiting.apply(Resume({"reason": "fine"}, by="ada"))
    waiting.run()
    same(waiting, "SUCCESS\n  approve SUCCESS\n  use SUCCESS")
    assert waiting.of("use")[0].outputs == {"value": "fine"}
    assert history(waiting) == "CREATED RUNNING PAUSED RESTARTED RUNNING SUCCESS"


@story
def a_pause_holds_everything_until_all_pauses_are_over() -> None:
    waiting = run(
        flow("""
        tasks:
          - id: par
            type: Parallel
            tasks:
              - {id: s1, type: Sequential, tasks: [{id: p1, type: Pause}, {id: a1}]}
              - {id: s2, type: Sequential, tasks: [{id: p2, type: Pause}, {id: a2}]}
              - {id: s3, type: Sequential, tasks: [{id: quick}, {id: later}]}
          - {id: last}
        """),
        {},
    )
    assert now(waiting.execution) is State.PAUSED
    assert not waiting.of("later"), "nothing new starts while a pause holds the execution"
    waiting.apply(Resume())
    waiting.run()
    assert now(waiting.execution) is State.PAUSED, "the other pause still holds it"
    assert not waiting.of("later")
    waiting.apply(Resume())
    waiting.run()
    assert now(waiting.execution) is State.SUCCESS
    assert {name: len(waiting.of(name)) for name in ("a1", "a2", "later", "last")} == dict.fromkeys(
        ("a1", "a2", "later", "last"), 1
    )


@story
def a_pause_ends_by_its_duration_in_the_way_it_says() -> None:
    source = "tasks:\n  - {id: p, type: Pause, pauseDuration: PT5S, behavior: {how}}\n  - {id: after}\n"
    ends = {"RESUME": State.SUCCESS, "WARN": State.WARNING, "FAIL": State.FAILED, "CANCEL": State.CANCELLED}
    for how, state in ends.items():
        done = run(flow(source.replace("{how}", how)), {})
        assert now(done.execution) is state, how
        assert bool(done.of("after")) == (how in ("RESUME", "WARN")), how
        assert done.now >= 5_000_000


@story
def a_pause_by_hand_lets_running_work_finish_and_starts_nothing() -> None:
    simulation = run(flow("tasks: [{id: a}, {id: b}]"), {"a": Answer(seconds=10)}, until=1)
    simulation.apply(Pause())
    simulation.run()
    same(simulation, "PAUSED\n  a SUCCESS")
    simulation.apply(Resume())
    simulation.run()
    same(simulation, "SUCCESS\n  a SUCCESS\n  b SUCCESS")
    assert history(simulation) == "CREATED RUNNING PAUSED RUNNING SUCCESS"


@story
def a_retry_that_comes_due_in_a_pause_waits_for_its_end() -> None:
    simulation = run(
        flow("tasks: [{id: a, + retry: {type: constant, interval: PT5S, maxAttempt: 2}}]"), {"a": [FAIL, Answer()]}, until=2
    )
    simulation.apply(Pause())
    simulation.run()
    assert now(simulation.execution) is State.PAUSED
    assert len(simulation.of("a")[0].attempts) == 1
    simulation.apply(Resume())
    simulation.run()
    assert now(simulation.execution) is State.SUCCESS
    assert len(simulation.of("a")[0].attempts) == 2


CHILD = """
inputs: [{id: n, type: INT, defaults: 1}]
outputs: [{id: total, type: INT, value: "{{ outputs.t.value }}"}]
tasks: [{id: t, type: Return, format: "{{ inputs.n * 2 }}"}]
"""


def calling(more: str = "", after: str = "{id: use}") -> Any:
    """A flow that calls `child`."""
    call = "{id: call, type: Subflow, namespace: tests, flowId: child, inputs: {n: 21}" + more + "}"
    return flow(f"tasks:\n  - {call}\n  - {after}\n")


@story
def a_subflow_gives_its_outputs_and_its_end() -> None:
    child = flow(CHILD, "child")
    use = '{id: use, type: Return, format: "{{ outputs.call.outputs.total }}"}'
    done = run(calling(after=use), {}, beside=[child])
    same(done, "SUCCESS\n  call SUCCESS\n  use SUCCESS")
    assert done.of("use")[0].outputs == {"value": "42"}
    started = next(held.execution for name, held in done.executions.items() if name != "execution")
    labels = {label["key"]: label["value"] for label in started.labels}
    assert labels["system.correlationId"] == "execution"
    assert started.cause is not None
    assert started.cause["kind"] == "subflow"
    assert started.trigger is not None
    assert started.trigger["variables"]["executionId"] == "execution"


@story
def a_failed_subflow_fails_its_parent_unless_told_otherwise() -> None:
    child = flow("tasks: [{id: bad}]", "child")
    for more, state, used in (
        ("", State.FAILED, 0),
        (", transmitFailed: false", State.SUCCESS, 1),
        (", allowFailure: true", State.WARNING, 1),
        (", wait: false", State.SUCCESS, 1),
    ):
        plain = calling(more)
        # inputs the child does not declare are dropped
        done = run(plain, {"bad": FAIL}, beside=[child])
        assert now(done.execution) is state, more
        assert len(done.of("use")) == used, more


@story
def a_missing_or_disabled_subflow_fails_the_task_and_says_why() -> None:
    done = run(calling(), {})
    same(done, "FAILED\n  call FAILED")
    error = done.of("call")[0].attempts[-1].error
    assert error is not None
    assert error["code"] == "flow.missing"
    off = flow("disabled: true\ntasks: [{id: a}]", "child")
    done = run(calling(), {}, beside=[off])
    error = done.of("call")[0].attempts[-1].error
    assert error is not None
    assert error["code"] == "flow.disabled"


@story
def for_each_item_runs_one_execution_for_each_batch() -> None:
    child = flow("inputs: [{id: file, type: STRING}]\noutputs: [{id: f, value: '{{ inputs.file }}'}]\ntasks: [{id: t}]", "child")
    source = flow("""
        tasks:
          - id: each
            type: ForEachItem
            items: "kestra:///in.txt"
            batch: {rows: 2}
            namespace: tests
            flowId: child
            inputs: {file: "{{ taskrun.items }}"}
        """)
    files = {"kestra:///in.txt": ["1", "2", "3", "4", "5"]}
    done = run(source, {}, beside=[child], files=files)
    same(
        done,
        """
        SUCCESS
          each SUCCESS
            each_split SUCCESS
            each_items SUCCESS
            each_merge SUCCESS
        """,
    )
    outputs = done.of("each_items")[0].outputs
    assert outputs is not None
    assert outputs["iterations"] == {"CREATED": 0, "RUNNING": 0, "SUCCESS": 3}
    assert outputs["numberOfBatches"] == 3
    assert len(done.files[outputs["subflowOutputsBaseUri"]]) == 3
    causes = [held.execution.cause for name, held in done.executions.items() if name != "execution"]
    assert [cause and (cause["kind"], cause["executionId"], cause["index"]) for cause in causes] == [
        ("item", "execution", index) for index in range(3)
    ]
    failing = run(source, {"t": [FAIL]}, beside=[child], files=files)
    same(failing, "FAILED\n  each FAILED\n    each_split SUCCESS\n    each_items FAILED")
    assert len(failing.executions) == 4, "all children are started and waited for"


@story
def a_loop_gives_the_outputs_of_its_iterations_in_order() -> None:
    done = run(
        flow("""
        tasks:
          - {id: before, type: Return, format: "p"}
          - id: loop
            type: Loop
            values: ["a", "b"]
            concurrencyLimit: 1
            outputs: [{id: up, type: STRING, value: "{{ outputs.t.value }}"}]
            tasks:
              - {id: t, type: Return, format: "{{ outputs.before.value }}{{ item.value | upper }}-{{ item.index }}"}
          - {id: use, type: Return, format: "{{ loopOutputs(outputs.loop.outputs, 'up') }}"}
        """),
        {},
    )
    same(done, "SUCCESS\n  before SUCCESS\n  loop SUCCESS\n  use SUCCESS")
    outputs = done.of("loop")[0].outputs
    assert outputs is not None
    assert (outputs["iterationCount"], outputs["terminatedIterations"], outputs["runningIterations"]) == (2, 2, 0)
    assert [entry["outputs"]["up"] for entry in outputs["outputs"]] == ["pA-0", "pB-1"]
    kinds = [held.execution.kind for held in done.executions.values()]
    assert kinds == ["NORMAL", "LOOP", "LOOP"]
    causes = [held.execution.cause for held in done.executions.values()][1:]
    assert [cause and (cause["kind"], cause["taskId"], cause["index"]) for cause in causes] == [
        ("loop", "loop", 0),
        ("loop", "loop", 1),
    ]


@story
def a_loop_breaks_when_its_condition_holds() -> None:
    done = run(
        flow("""
        tasks:
          - id: loop
            type: Loop
            values: [1, 2, 3, 4]
            concurrencyLimit: 1
            breakWhen: "{{ item.index == 1 }}"
            tasks: [{id: t}]
        """),
        {},
    )
    assert now(done.execution) is State.SUCCESS
    assert len(done.executions) == 3


@story
def a_working_directory_runs_its_tasks_in_turn_and_its_errors_here() -> None:
    source = flow("""
        tasks:
          - id: wd
            type: WorkingDirectory
            tasks: [{id: w1, type: Return, format: x}, {id: w2, type: Return, format: "{{ outputs.w1.value }}y"}]
            errors: [{id: e}]
          - {id: after}
        """)
    done = run(source, {})
    same(done, "SUCCESS\n  wd SUCCESS\n    w1 SUCCESS\n    w2 SUCCESS\n  after SUCCESS")
    assert done.of("w2")[0].outputs == {"value": "xy"}
    same(run(source, {"w1": FAIL}), "FAILED\n  wd FAILED\n    w1 FAILED\n    e SUCCESS")


@story
def after_execution_runs_behind_the_final_state() -> None:
    done = run(
        flow("""
        tasks: [{id: boom}]
        errors: [{id: alert}]
        finally: [{id: clean, type: Return, format: "{{ execution.state }}"}]
        afterExecution: [{id: n1}, {id: note, type: Return, format: "{{ execution.state }}"}]
        """),
        {"boom": FAIL, "n1": FAIL},
    )
    same(done, "FAILED\n  boom FAILED\n  alert SUCCESS\n  clean SUCCESS\n  n1 FAILED\n  note SUCCESS")
    assert done.of("clean")[0].outputs == {"value": "RUNNING"}
    assert done.of("note")[0].outputs == {"value": "FAILED"}


@story
def exit_ends_the_execution_and_what_runs() -> None:
    done = run(
        flow("""
        tasks:
          - id: par
            type: Parallel
            tasks:
              - {id: slow}
              - {id: s, type: Sequential, tasks: [{id: quick}, {id: out, type: Exit, state: WARNING}]}
          - {id: never}
        """),
        {"slow": Answer(seconds=60)},
    )
    same(done, "WARNING\n  par WARNING\n    slow KILLED\n    s WARNING\n      quick SUCCESS\n      out WARNING")


@story
def labels_and_variables_change_what_follows() -> None:
    done = run(
        flow("""
        variables: {a: flow, b: flow}
        tasks:
          - {id: l, type: Labels, labels: {stage: "{{ vars.a }}"}}
          - {id: s, type: SetVariables, variables: {a: set, c: 3}}
          - {id: u, type: UnsetVariables, variables: [c]}
          - {id: r, type: Return, format: "{{ labels.stage }} {{ vars.a }} {{ vars.b }} {{ vars.c ?? 'none' }}"}
        """),
        {},
    )
    assert done.of("r")[0].outputs == {"value": "flow set flow none"}
    refused = run(flow("tasks: [{id: l, type: Labels, labels: {system.x: 1}}]"), {})
    assert refused.execution.state is State.FAILED


@story
def a_restart_runs_again_only_what_failed() -> None:
    simulation = run(
        flow("""
        tasks:
          - {id: a}
          - {id: seq, type: Sequential, tasks: [{id: s1}, {id: s2}], errors: [{id: le}]}
          - {id: z}
        errors: [{id: e1}]
        """),
        {"s2": [FAIL, Answer()]},
    )
    same(simulation, "FAILED\n  a SUCCESS\n  seq FAILED\n    s1 SUCCESS\n    s2 FAILED\n    le SUCCESS\n  e1 SUCCESS")
    simulation.restart("execution")
    simulation.run()
    same(simulation, "SUCCESS\n  a SUCCESS\n  seq SUCCESS\n    s1 SUCCESS\n    s2 SUCCESS\n  z SUCCESS")
    assert len(simulation.of("a")[0].attempts) == 1
    assert len(simulation.of("s2")[0].attempts) == 2
    assert history(simulation) == "CREATED RUNNING FAILED RESTARTED RUNNING SUCCESS"
    assert history(simulation, "s2") == "CREATED RUNNING FAILED RESTARTED RUNNING SUCCESS"


@story
def a_restart_of_a_loop_runs_the_failed_values_and_those_that_never_came() -> None:
    for limit in (1, 2, 0):
        simulation = run(
            flow(f"""
            tasks:
              - id: each
                type: ForEach
                values: [a, b, c, d]
                concurrencyLimit: {limit}
                tasks: [{{id: one}}, {{id: two}}]
            """),
            {"one[b]": [FAIL, Answer()]},
        )
        assert now(simulation.execution) is State.FAILED
        simulation.restart("execution")
        simulation.run()
        assert now(simulation.execution) is State.SUCCESS, limit
        ended = sorted((task.task_id, task.value) for task in simulation.runs.values() if task.state is State.SUCCESS)
        wanted = [("each", None), *((name, value) for name in ("one", "two") for value in "abcd")]
        assert ended == sorted(wanted, key=str) or sorted(ended, key=str) == sorted(wanted, key=str), limit
        again = [task.value for task in simulation.of("one") if len(task.attempts) == 2]
        assert again == ["b"], limit


@story
def a_replay_from_a_task_copies_what_came_before() -> None:
    simulation = run(flow("tasks: [{id: a, type: Return, format: x}, {id: b}, {id: c}]"), {})
    replayed = simulation.replay("execution", simulation.of("b")[0].id)
    simulation.go()
    held = simulation.executions[replayed.id]
    assert outline(held) == "SUCCESS\n  a SUCCESS\n  b SUCCESS\n  c SUCCESS"
    by_task = {task.task_id: task for task in held.runs.values()}
    assert by_task["a"].outputs == {"value": "x"}
    assert [state for state, _ in by_task["b"].history][:4] == ["CREATED", "RUNNING", "SUCCESS", "RESTARTED"]
    assert by_task["c"].created_at == 4_000_000, "it runs again, behind the one that was replayed"
    assert not {task.id for task in held.runs.values()} & set(simulation.runs)
    assert (replayed.parent_id, replayed.original_id) == ("execution", "execution")


@story
def another_state_for_a_task_run_lets_the_execution_go_on() -> None:
    simulation = run(flow("tasks: [{id: a}, {id: b}]\nerrors: [{id: e}]"), {"a": FAIL})
    simulation.change_state("execution", simulation.of("a")[0].id, State.SUCCESS)
    simulation.run()
    same(simulation, "SUCCESS\n  a SUCCESS\n  b SUCCESS")


@story
def a_breakpoint_stops_before_the_task_and_goes_on() -> None:
    source = flow("tasks: [{id: a}, {id: b}, {id: c}]")
    simulation = Simulation(source, scripted({}), Random(0))
    simulation.execution.breakpoints = ["b"]
    simulation.run()
    same(simulation, "BREAKPOINT\n  a SUCCESS\n  b BREAKPOINT")
    simulation.apply(ResumeBreakpoint())
    simulation.run()
    same(simulation, "SUCCESS\n  a SUCCESS\n  b SUCCESS\n  c SUCCESS")


@story
def a_retry_as_a_new_execution_leaves_a_chain() -> None:
    simulation = run(
        flow("""
        retry: {type: constant, interval: PT2S, maxAttempt: 3, behavior: CREATE_NEW_EXECUTION}
        tasks: [{id: a}]
        """),
        {"a": FAIL},
    )
    states = [held.execution.state for held in simulation.executions.values()]
    assert states == [State.RETRIED, State.RETRIED, State.FAILED]
    assert {held.execution.original_id for held in simulation.executions.values()} == {"execution"}


@story
def a_deadline_ends_the_execution_without_error_handlers() -> None:
    done = run(
        flow("""
        sla: [{id: late, type: MAX_DURATION, duration: PT5S, behavior: CANCEL, labels: {sla: missed}}]
        tasks: [{id: slow}]
        errors: [{id: e}]
        """),
        {"slow": Answer(seconds=60)},
    )
    same(done, "CANCELLED\n  slow CANCELLED")
    assert {"key": "sla", "value": "missed"} in done.execution.labels


@story
def an_assertion_that_fails_acts_as_it_says() -> None:
    source = """
        sla: [{id: few, type: EXECUTION_ASSERTION, assert: "{{ outputs.a.value != 'x' }}", behavior: {how}, labels: {sla: bad}}]
        tasks: [{id: a, type: Return, format: x}, {id: b}]
        """
    assert run(flow(source.replace("{how}", "FAIL")), {}).execution.state is State.FAILED
    kept = run(flow(source.replace("{how}", "NONE")), {})
    assert kept.execution.state is State.SUCCESS
    assert kept.execution.labels.count({"key": "sla", "value": "bad"}) == 1


def crowded(behavior: str, count: int = 3) -> House:
    """Three executions of a flow with one place."""
    one = flow(f"concurrency: {{limit: 1, behavior: {behavior}}}\ntasks: [{{id: a}}]")
    house = House([one], Player(scripted({"a": Answer(seconds=10)})), Random(0))
    for _ in range(count):
        house.create(("tests", "f"))
    return house


@story
def a_place_goes_to_the_oldest_in_the_line() -> None:
    house = crowded("QUEUE")
    house.go()
    found = [" ".join(state for state, _ in held.execution.history) for held in house.executions.values()]
    assert found == ["CREATED RUNNING SUCCESS", "CREATED QUEUED RUNNING SUCCESS", "CREATED QUEUED RUNNING SUCCESS"]
    ends = [held.execution.ended_at for held in house.executions.values()]
    assert ends == [10_000_000, 20_000_000, 30_000_000]


@story
def one_too_many_is_cancelled_or_failed() -> None:
    for behavior, state in (("CANCEL", State.CANCELLED), ("FAIL", State.FAILED)):
        house = crowded(behavior)
        house.go()
        assert [held.execution.state for held in house.executions.values()] == [State.SUCCESS, state, state]
        assert not list(house.executions.values())[1].runs


@story
def a_paused_execution_keeps_its_place() -> None:
    one = flow("concurrency: {limit: 1}\ntasks: [{id: p, type: Pause}]")
    house = House([one], Player(scripted({})), Random(0))
    first = house.create(("tests", "f"))
    second = house.create(("tests", "f"))
    house.go()
    assert (first.state, second.state) == (State.PAUSED, State.QUEUED)
    house.happen(first.id, Resume())
    house.go()
    assert (first.state, second.state) == (State.SUCCESS, State.PAUSED)


@story
def a_forced_execution_leaves_the_line() -> None:
    house = crowded("QUEUE", 2)
    house.go(until=1)
    second = list(house.executions.values())[1].execution
    assert now(second) is State.QUEUED
    house.happen(second.id, ForceRun())
    assert now(second) is State.RUNNING
    house.go()
    assert now(second) is State.SUCCESS


@story
def a_start_date_is_waited_for() -> None:
    simulation = Simulation(flow("tasks: [{id: a}]"), scripted({}), Random(0))
    simulation.execution.schedule_at = 60_000_000
    simulation.apply(Created())
    assert now(simulation.execution) is State.CREATED
    simulation.run()
    assert now(simulation.execution) is State.SUCCESS
    assert simulation.of("a")[0].created_at == 60_000_000


@story
def a_long_loop_keeps_a_bounded_window_open() -> None:
    source = flow("""
        tasks:
          - id: each
            type: ForEach
            values: "{{ range(1, 5000) }}"
            concurrencyLimit: 0
            tasks: [{id: one}]
        """)
    simulation = Simulation(source, scripted({}), Random(0), checked=False)
    simulation.run(until=0.5)
    assert len(simulation.execution.runs) <= 2_001
    simulation.run()
    assert len(simulation.of("one")) == 5_000
    assert now(simulation.execution) is State.SUCCESS
