"""Attempts: retries, losses, timeouts and kills, in every state a task run can be in."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from flows import limits
from flows.machine.attempts import TIMEOUT_GRACE_US
from flows.machine.events import Created, Finished, Kill, Lost, Started, TimerFired
from flows.machine.simulate import Answer, Simulation, run, scripted
from flows.machine.states import State
from tests.unit.machine.written import flow

FAIL = Answer(State.FAILED)
LOSE = Answer(state=None)


def history(simulation: Simulation, task_id: str | None = None) -> str:
    found = simulation.execution.history if task_id is None else simulation.of(task_id)[0].history
    return " ".join(state for state, _ in found)


def starts(simulation: Simulation, task_id: str) -> list[float]:
    """When each attempt began, in seconds."""
    (run_,) = simulation.of(task_id)
    return [next(at for state, at in attempt.history if state == "RUNNING") / 1_000_000 for attempt in run_.attempts]


def stepped(source: str) -> Simulation:
    """An execution that only moves when told."""
    simulation = Simulation(flow(source), scripted({}, Answer(silent=True, told=False)), Random(0))
    simulation.apply(Created())
    return simulation


# -- retries ----------------------------------------------------------------------------------------------------------


def test_a_constant_retry_waits_the_same_each_time_and_ends_after_its_attempts() -> None:
    simulation = run(flow("tasks: [{id: flaky, + retry: {type: constant, interval: PT1S, maxAttempt: 3}}]"), {"flaky": FAIL})
    assert history(simulation) == "CREATED RUNNING RETRYING RUNNING RETRYING RUNNING FAILED"
    assert history(simulation, "flaky") == (
        "CREATED RUNNING FAILED RETRYING CREATED RUNNING FAILED RETRYING CREATED RUNNING FAILED"
    )
    assert starts(simulation, "flaky") == [0, 2, 4]


def test_a_retry_that_helps_makes_a_success() -> None:
    source = "tasks: [{id: flaky, + retry: {type: constant, interval: PT1S, maxAttempt: 3}}, {id: after}]"
    simulation = run(flow(source), {"flaky": [FAIL, FAIL, Answer(outputs={"n": 1})]})
    assert simulation.outline() == "SUCCESS\n  flaky SUCCESS\n  after SUCCESS"
    assert [attempt.state for attempt in simulation.of("flaky")[0].attempts] == ["FAILED", "FAILED", "SUCCESS"]


def test_warning_on_retry_warns_only_after_a_retry() -> None:
    source = "tasks: [{id: a, + retry: {type: constant, interval: PT1S, maxAttempt: 4, warningOnRetry: true}}]"
    assert run(flow(source), {"a": [FAIL, FAIL, FAIL, Answer()]}).outline() == "WARNING\n  a WARNING"
    assert run(flow(source)).outline() == "SUCCESS\n  a SUCCESS"
    assert run(flow(source), {"a": [LOSE, Answer()]}).outline() == "SUCCESS\n  a SUCCESS"


def test_an_exponential_retry_grows_up_to_its_bound() -> None:
    retry = "{type: exponential, interval: PT1S, maxInterval: PT5S, delayFactor: 2, maxAttempt: 5}"
    simulation = run(flow(f"tasks: [{{id: a, + retry: {retry}}}]"), {"a": Answer(State.FAILED, seconds=0)})
    assert starts(simulation, "a") == [0, 1, 3, 7, 12]


def test_a_random_retry_stays_within_its_bounds_and_repeats_with_the_seed() -> None:
    source = flow("tasks: [{id: a, + retry: {type: random, minInterval: PT2S, maxInterval: PT4S, maxAttempt: 20}}]")
    first = starts(run(source, {"a": Answer(State.FAILED, seconds=0)}, seed=7), "a")
    waits = [after - before for before, after in pairwise(first)]
    assert len(waits) == 19
    assert all(2 <= wait <= 4 for wait in waits)
    assert len(set(waits)) > 10
    assert starts(run(source, {"a": Answer(State.FAILED, seconds=0)}, seed=7), "a") == first
    assert starts(run(source, {"a": Answer(State.FAILED, seconds=0)}, seed=8), "a") != first


def test_a_retry_stops_at_its_duration() -> None:
    source = "tasks: [{id: a, + retry: {type: constant, interval: PT2S, maxDuration: PT6S}}]"
    assert starts(run(flow(source), {"a": Answer(State.FAILED, seconds=0)}), "a") == [0, 2, 4, 6]


def test_the_retry_of_a_block_holds_for_what_runs_in_it_and_the_flows_for_the_rest() -> None:
    source = """
    retry: {type: constant, interval: PT10S, maxAttempt: 2}
    tasks:
      - id: seq
        type: Sequential
        retry: {type: constant, interval: PT1S, maxAttempt: 3}
        tasks:
          - {id: own, + retry: {type: constant, interval: PT5S, maxAttempt: 2}, allowFailure: true}
          - {id: blocks, + allowFailure: true}
      - {id: flows}
    """
    simulation = run(flow(source), {name: Answer(State.FAILED, seconds=0) for name in ("own", "blocks", "flows")})
    assert starts(simulation, "own") == [0, 5]
    assert starts(simulation, "blocks") == [5, 6, 7]
    assert starts(simulation, "flows") == [7, 17]
    assert simulation.execution.state is State.FAILED


def test_allow_failure_does_not_suppress_retries() -> None:
    source = "tasks: [{id: a, + allowFailure: true, retry: {type: constant, interval: PT1S, maxAttempt: 3}}]"
    simulation = run(flow(source), {"a": FAIL})
    assert simulation.outline() == "WARNING\n  a WARNING"
    assert [attempt.state for attempt in simulation.of("a")[0].attempts] == ["FAILED"] * 3


def test_error_handlers_wait_for_the_last_attempt() -> None:
    source = "tasks: [{id: a, + retry: {type: constant, interval: PT1S, maxAttempt: 5}}]\nerrors: [{id: e}]"
    simulation = run(flow(source), {"a": FAIL})
    assert simulation.outline() == "FAILED\n  a FAILED\n  e SUCCESS"
    assert len(simulation.of("a")[0].attempts) == 5


def test_outputs_of_an_attempt_that_is_tried_again_are_not_the_task_runs() -> None:
    source = "tasks: [{id: a, + retry: {type: constant, interval: PT1S, maxAttempt: 2}}, {id: b, type: Return, format: x}]"
    simulation = run(flow(source), {"a": [Answer(State.FAILED, outputs={"bad": 1}), Answer()]})
    assert simulation.of("a")[0].outputs is None


# -- losses -----------------------------------------------------------------------------------------------------------


def test_a_lost_attempt_is_recorded_and_handed_out_again() -> None:
    simulation = run(flow("tasks: [{id: a}]"), {"a": [LOSE, Answer()]})
    assert history(simulation, "a") == "CREATED RUNNING CREATED RUNNING SUCCESS"
    first, second = simulation.of("a")[0].attempts
    assert (first.state, second.state) == (State.RESUBMITTED, State.SUCCESS)
    assert first.error == {"code": "attempt.lost", "message": "the worker is gone"}


def test_an_attempt_lost_too_often_fails_whatever_the_retry_says() -> None:
    source = "tasks: [{id: a, + retry: {type: constant, interval: PT1S, maxAttempt: 50}}]\nerrors: [{id: e}]"
    simulation = run(flow(source), {"a": LOSE})
    (found,) = simulation.of("a")
    states = [attempt.state for attempt in found.attempts]
    assert states == [State.RESUBMITTED] * limits.RETRY_ATTEMPTS_LOST_MAX + [State.FAILED]
    assert found.attempts[-1].error is not None
    assert found.attempts[-1].error["code"] == "attempt.lost_too_often"
    assert simulation.outline() == "FAILED\n  a FAILED\n  e SUCCESS"


def test_losses_do_not_count_as_failures_of_the_task() -> None:
    source = "tasks: [{id: a, + retry: {type: constant, interval: PT1S, maxAttempt: 2}}]"
    simulation = run(flow(source), {"a": [LOSE, FAIL, LOSE, Answer()]})
    assert simulation.execution.state is State.SUCCESS
    assert len(simulation.of("a")[0].attempts) == 4


def test_an_attempt_that_never_began_can_be_lost() -> None:
    simulation = run(flow("tasks: [{id: a}]"), {"a": [Answer(state=None, told=False), Answer()]})
    assert history(simulation, "a") == "CREATED RUNNING CREATED RUNNING SUCCESS"


# -- timeouts ---------------------------------------------------------------------------------------------------------


def test_a_timeout_ends_an_attempt_whose_worker_says_nothing() -> None:
    simulation = run(flow("tasks: [{id: a, + timeout: PT10S}]"), {"a": Answer(silent=True)})
    (found,) = simulation.of("a")
    assert found.state is State.FAILED
    assert found.attempts[0].error is not None
    assert found.attempts[0].error["code"] == "task.timeout"
    assert found.ended_at == 10_000_000 + TIMEOUT_GRACE_US


def test_a_timeout_is_retried_as_the_policy_says() -> None:
    source = "tasks: [{id: a, + timeout: PT10S, retry: {type: constant, interval: PT1S, maxAttempt: 2}}]"
    simulation = run(flow(source), {"a": [Answer(silent=True), Answer()]})
    assert simulation.outline() == "SUCCESS\n  a SUCCESS"


def test_a_timeout_of_an_ended_attempt_does_nothing() -> None:
    source = "tasks: [{id: a, + timeout: PT10S, retry: {type: constant, interval: PT1S, maxAttempt: 2}}]"
    simulation = stepped(source)
    (found,) = simulation.of("a")
    simulation.apply(Started(found.id, 1, "w"))
    simulation.apply(Finished(found.id, 1, "w", State.FAILED))
    simulation.apply(TimerFired(found.id, 1, "retry"))
    simulation.apply(Started(found.id, 2, "w"))
    effects = simulation.apply(TimerFired(found.id, 1, "timeout"))
    assert (found.state, effects.stopped, effects.changed) == (State.RUNNING, set(), {})


def test_the_late_word_of_a_timed_out_attempt_does_nothing() -> None:
    simulation = stepped("tasks: [{id: a, + timeout: PT10S}, {id: b}]")
    (found,) = simulation.of("a")
    simulation.apply(Started(found.id, 1, "w"))
    effects = simulation.apply(TimerFired(found.id, 1, "timeout"))
    assert effects.stopped == {found.id}
    simulation.apply(Finished(found.id, 1, "w", State.SUCCESS, outputs={"late": True}))
    assert (found.state, found.outputs) == (State.FAILED, None)


# -- kill -------------------------------------------------------------------------------------------------------------

BUSY = """
tasks:
  - id: par
    type: Parallel
    tasks:
      - {id: waiting}
      - {id: running}
      - {id: retrying, + retry: {type: constant, interval: PT1H, maxAttempt: 2}}
      - {id: seq, type: Sequential, tasks: [{id: inner}, {id: later}]}
errors: [{id: never1}]
finally: [{id: never2}]
"""


def busy() -> Simulation:
    """One task run in each state."""
    simulation = stepped(BUSY)
    simulation.apply(Started(simulation.of("running")[0].id, 1, "w"))
    simulation.apply(Finished(simulation.of("retrying")[0].id, 1, "w", State.FAILED))
    assert simulation.execution.state is State.RETRYING
    return simulation


def test_kill_ends_what_waits_and_asks_what_runs() -> None:
    simulation = busy()
    effects = simulation.apply(Kill())
    assert simulation.outline() == (
        "KILLED\n  par KILLED\n    waiting KILLED\n    running RUNNING\n    retrying KILLED\n    seq KILLED\n      inner KILLED"
    )
    (running,) = simulation.of("running")
    assert effects.stopped == {running.id}
    assert {simulation.of(name)[0].id for name in ("waiting", "inner")} <= effects.withdrawn
    assert simulation.of("retrying")[0].id in effects.timers_void
    assert history(simulation).endswith("RETRYING KILLING KILLED")


@pytest.mark.parametrize("end", [State.SUCCESS, State.WARNING, State.FAILED, State.KILLED])
def test_the_result_of_a_killed_attempt_is_recorded_and_nothing_follows(end: State) -> None:
    simulation = busy()
    simulation.apply(Kill())
    (running,) = simulation.of("running")
    simulation.apply(Finished(running.id, 1, "w", end, outputs={"x": 1}))
    assert running.state is end
    assert simulation.execution.state is State.KILLED
    assert simulation.over
    assert not simulation.of("never1")


def test_an_attempt_lost_after_a_kill_is_killed_and_not_handed_out_again() -> None:
    simulation = busy()
    simulation.apply(Kill())
    (running,) = simulation.of("running")
    effects = simulation.apply(Lost(running.id, 1, "w", "gone"))
    assert running.state is State.KILLED
    assert not effects.hand_outs
    assert simulation.over


def test_kill_before_the_first_step_and_after_the_end() -> None:
    assert history(run(flow("tasks: [{id: a}]"), kill_at=0)) == "CREATED KILLING KILLED"
    simulation = run(flow("tasks: [{id: a}]"))
    effects = simulation.apply(Kill())
    assert history(simulation) == "CREATED RUNNING SUCCESS"
    assert not effects.execution_changed


@pytest.mark.parametrize("at", [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5.5, 6.5])
def test_kill_at_any_time_ends_everything(at: float) -> None:
    source = """
    tasks:
      - {id: each, type: ForEach, concurrencyLimit: 2, values: [1, 2, 3], tasks: [{id: t}, {id: u}]}
      - {id: flaky, + retry: {type: constant, interval: PT1S, maxAttempt: 3}}
    errors: [{id: e}]
    """
    simulation = run(flow(source), {"flaky": FAIL}, kill_at=at)
    assert simulation.execution.state is State.KILLED
    assert simulation.over


def test_a_killed_retry_timer_wakes_nobody() -> None:
    simulation = busy()
    (retrying,) = simulation.of("retrying")
    simulation.apply(Kill())
    effects = simulation.apply(TimerFired(retrying.id, 1, "retry"))
    assert retrying.state is State.KILLED
    assert not effects.hand_outs


# -- messages ---------------------------------------------------------------------------------------------------------


def test_start_and_end_in_one_message_keep_the_duration_of_the_worker() -> None:
    simulation = stepped("tasks: [{id: a}]")
    simulation.now = 10_000_000
    (found,) = simulation.of("a")
    simulation.apply(Finished(found.id, 1, "w", State.SUCCESS, took_us=3_000_000))
    assert [at for _, at in found.history] == [0, 7_000_000, 10_000_000]


def test_a_worker_clock_that_runs_wild_never_starts_before_the_hand_out() -> None:
    simulation = stepped("tasks: [{id: a}]")
    simulation.now = 10
    (found,) = simulation.of("a")
    simulation.apply(Finished(found.id, 1, "w", State.SUCCESS, took_us=10**15))
    assert [at for _, at in found.history] == [0, 0, 10]


@pytest.mark.parametrize("repeats", [1, 3])
def test_messages_that_arrive_again_and_late_change_nothing(repeats: int) -> None:
    source = flow("""
    tasks:
      - {id: each, type: ForEach, concurrencyLimit: 2, values: [1, 2, 3], tasks: [{id: t}, {id: u}]}
      - {id: flaky, + retry: {type: constant, interval: PT1S, maxAttempt: 4}, timeout: PT1M}
    """)
    once = run(source, {"flaky": [FAIL, LOSE, FAIL, Answer()]})
    again = run(
        source,
        {
            "t": Answer(repeats=repeats),
            "u": Answer(repeats=repeats),
            "flaky": [
                Answer(State.FAILED, repeats=repeats),
                Answer(None, repeats=repeats),
                Answer(State.FAILED, repeats=repeats),
                Answer(repeats=repeats),
            ],
        },
    )
    assert again.steps > once.steps
    assert again.outline(histories=True) == once.outline(histories=True)
    assert [found.history for found in again.runs.values()] == [found.history for found in once.runs.values()]
