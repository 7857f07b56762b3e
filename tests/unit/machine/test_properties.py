"""Whatever happens in whatever order, the rules of `invariants` hold, and the end can always be reached."""

from __future__ import annotations

import json
import os
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from flows.errors import MachineError
from flows.machine import attempts, blocks, ending, invariants
from flows.machine.events import Created, Event, Finished, Kill, Lost, Started, TimerFired
from flows.machine.plan import plan_of
from flows.machine.simulate import Answer, Simulation, scripted
from flows.machine.states import EXECUTION_TRANSITIONS, TASK_RUN_TRANSITIONS, State
from flows.machine.step import Step
from flows.spec.model import Flow
from tests.unit.machine.explore import ENDS, digest, random_flow, random_schedule
from tests.unit.machine.generated import flows

EXAMPLES = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
COUNTS = {"executions": 0, "events": 0, "stale": 0, "task runs": 0}


class Machine(RuleBasedStateMachine):
    """The worker, the clock, a person with a kill button, and a network that repeats itself."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation: Simulation | None = None
        self.said: list[Event] = []

    @initialize(flow=flows())
    def begin(self, flow: Flow) -> None:
        quiet = scripted({}, Answer(silent=True, told=False))
        self.simulation = Simulation(flow, quiet, Random(0))
        COUNTS["executions"] += 1
        self.tell(Created())

    # -- helpers ------------------------------------------------------------------------------------------------------

    @property
    def sim(self) -> Simulation:
        assert self.simulation is not None
        return self.simulation

    def tell(self, event: Event) -> None:
        self.sim.now += 1_000
        self.sim.apply(event)
        self.said.append(event)
        COUNTS["events"] += 1

    def live(self) -> list[tuple[str, int]]:
        """Attempts that a worker may speak about."""
        return [(run_id, hand_out.attempt) for run_id, hand_out in self.sim.held.items()]

    def pick(self, data: st.DataObject) -> tuple[str, int]:
        return data.draw(st.sampled_from(self.live()), label="attempt")

    @rule()
    def time_passes(self) -> None:
        if self.simulation is not None:
            self.sim.now += 1_000_000

    # -- rules --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.simulation and self.live())
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        run_id, attempt = self.pick(data)
        self.tell(Started(run_id, attempt, "w"))

    @precondition(lambda self: self.simulation and self.live())
    @rule(data=st.data(), state=st.sampled_from(ENDS))
    def finish(self, data: st.DataObject, state: State) -> None:
        run_id, attempt = self.pick(data)
        self.tell(Finished(run_id, attempt, "w", state, 500, {"n": attempt} if state is State.SUCCESS else None))

    @precondition(lambda self: self.simulation and self.live())
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        run_id, attempt = self.pick(data)
        self.tell(Lost(run_id, attempt, "w", "gone"))

    @precondition(lambda self: self.simulation and self.sim.timers)
    @rule(data=st.data())
    def timer(self, data: st.DataObject) -> None:
        run_id, kind = data.draw(st.sampled_from(sorted(self.sim.timers)), label="timer")
        attempt, due = self.sim.timers[run_id, kind]
        self.sim.now = max(self.sim.now, due)
        self.tell(TimerFired(run_id, attempt, kind))

    @precondition(lambda self: self.simulation and self.sim.steps > 4)
    @rule(sure=st.integers(0, 9))
    def kill(self, sure: int) -> None:
        if sure == 9:
            self.tell(Kill())

    @precondition(lambda self: len(self.said) > 1)
    @rule(data=st.data())
    def repeat_an_earlier_message(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.said), label="message")
        if isinstance(event, Kill):
            self.tell(event)
            return
        held = dict(self.sim.held)
        before = digest(self.sim.execution)
        effects = self.sim.apply(event)
        COUNTS["stale"] += 1
        assert digest(self.sim.execution) == before, f"a repetition of {event} changed the execution"
        assert not (effects.created or effects.hand_outs or effects.timers or effects.withdrawn or effects.ended)
        assert self.sim.held.keys() == held.keys()

    @precondition(lambda self: self.simulation and self.sim.runs)
    @rule(
        data=st.data(),
        kind=st.sampled_from(["started", "ok", "failed", "lost", "retry", "timeout"]),
        behind=st.integers(-1, 3),
    )
    def use_another_token(self, data: st.DataObject, kind: str, behind: int) -> None:
        run = self.sim.runs[data.draw(st.sampled_from(sorted(self.sim.runs)), label="task run")]
        current = run.attempt + 1 if run.state is State.CREATED else run.attempt
        attempt = current - behind
        if behind == 0 and not run.state.terminated:
            return
        event: Event
        match kind:
            case "started":
                event = Started(run.id, attempt, "other")
            case "lost":
                event = Lost(run.id, attempt, "other", "gone")
            case "retry" | "timeout":
                event = TimerFired(run.id, attempt, kind)
            case _:
                event = Finished(run.id, attempt, "other", State.SUCCESS if kind == "ok" else State.FAILED)
        before = digest(self.sim.execution)
        self.sim.apply(event)
        COUNTS["stale"] += 1
        assert digest(self.sim.execution) == before, f"{event} is not about the current attempt {current} and changed something"

    # -- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def rules_hold(self) -> None:
        if self.simulation is not None:
            invariants.check(self.sim.execution, self.sim.flow, None, self.sim.waits(self.sim.execution.id))

    @invariant()
    def every_task_run_is_where_it_belongs(self) -> None:
        if self.simulation is None:
            return
        assert [run.seq for run in self.sim.runs.values()] == list(range(self.sim.execution.task_run_count))
        for run in self.sim.runs.values():
            assert invariants.follows(run.history, TASK_RUN_TRANSITIONS), run.history
            assert run.state.terminated != (run.id in self.sim.execution.runs)
            ends = [attempt.state for attempt in run.attempts[:-1]]
            assert all(state in (State.FAILED, State.RESUBMITTED) for state in ends), "an attempt followed a good one"
        assert invariants.follows(self.sim.execution.history, EXECUTION_TRANSITIONS)

    def teardown(self) -> None:
        """From wherever it stands, some schedule ends it: here, every attempt succeeds and every retry comes."""
        if self.simulation is None or self.sim.steps == 0:
            return
        for _ in range(5_000):
            if self.sim.over:
                break
            if self.sim.held:
                run_id, hand_out = next(iter(self.sim.held.items()))
                self.tell(Finished(run_id, hand_out.attempt, "w", State.SUCCESS))
            else:
                assert self.sim.timers, f"nothing would ever happen again:\n{self.sim.outline()}"
                (run_id, kind), (attempt, _due) = next(iter(self.sim.timers.items()))
                self.tell(TimerFired(run_id, attempt, kind))
        assert self.sim.over, self.sim.outline()
        assert not self.sim.held
        assert not self.sim.waiting
        COUNTS["task runs"] += len(self.sim.runs)


def test_any_schedule_of_any_flow_keeps_the_rules_and_can_end(capsys: pytest.CaptureFixture[str]) -> None:
    run_state_machine_as_test(Machine, settings=EXAMPLES)
    with capsys.disabled():
        print("\n  L1:", ", ".join(f"{count} {name}" for name, count in COUNTS.items()))


SEED = int(os.environ.get("HEADRACE_TEST_SEED", "0")) or 20_251_123


def explored(seed: int, flows_count: int, schedules: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for number in range(flows_count):
        flow = random_flow(Random(f"{seed} flow {number}"))
        for schedule in range(schedules):
            try:
                random_schedule(flow, Random(f"{seed} {number} {schedule}"), counts)
            except Exception as error:
                error.add_note(f"seed {seed}, flow {number}, schedule {schedule}: {json.dumps(flow.raw)}")
                raise
    return counts


def test_many_random_schedules_keep_the_rules_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    counts = explored(SEED, 150, 10)
    assert all(counts[name] > 100 for name in ("started", "finished", "lost", "timerfired", "kill", "stale"))
    with capsys.disabled():
        print(f"\n  L1, seed {SEED}:", ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))


# -- planted bugs: a check that never fires proves nothing ---------------------------------------------------------------


def caught(sentence: str) -> None:
    with pytest.raises(MachineError, match=sentence):
        explored(SEED, 150, 10)


def test_planted_attempt_left_out_of_the_comparison_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def running(execution: Any, run_id: str, attempt: int) -> Any:
        run = execution.runs.get(run_id)
        return run if run is not None and run.state is State.RUNNING and run.cursor is None else None

    monkeypatch.setattr(attempts, "running", running)
    caught(r"is old and changed something")


def test_planted_result_of_a_stray_counted_in_the_next_phase_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    end_run = Step.end_run

    def careless(self: Step, run: Any, state: State) -> None:
        end_run(self, run, state)
        parent = self.execution.runs.get(run.parent_id or "")
        phase = plan_of(self.world.flow).places[run.task_id].phase
        if parent is not None and parent.cursor is not None and phase != parent.cursor.phase:
            parent.cursor.open -= 1

    monkeypatch.setattr(Step, "end_run", careless)
    caught(r"counts -?\d+ open children")


def test_planted_retry_without_a_timer_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Step.timer

    def forgetful(self: Step, run: Any, kind: str, due: int) -> None:
        if kind != "retry":
            timer(self, run, kind, due)

    monkeypatch.setattr(Step, "timer", forgetful)
    caught(r"waits for a retry that no timer holds")


def test_planted_open_children_that_are_not_counted_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    start = blocks.start

    def miscounting(step: Step, parent: Any, found: Any) -> None:
        start(step, parent, found)
        cursor = step.cursor(parent)
        if cursor.open > 1:
            cursor.open -= 1

    monkeypatch.setattr(blocks, "start", miscounting)
    caught(r"open children in")


def test_planted_blocks_left_open_at_the_end_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "close_strays", lambda step: None)
    caught(r"is an open block of an execution that is|would be tried again in an execution that is")
