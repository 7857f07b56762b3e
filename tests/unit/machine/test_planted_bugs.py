"""Bugs planted in the machine, each caught by the story whose promise it breaks: a story that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flows.machine import attempts, blocks, ending, executables, house, loops, pausing, rewind, service_levels, step
from flows.machine.execution import Cursor, TaskRun
from flows.machine.orders import ORDERS
from flows.machine.states import State
from tests.unit.machine.scenarios import STORIES

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def _dag_without_dependencies(patch: Patch) -> None:
    patch.setitem(ORDERS, "Dag", blocks.Together())


def _each_parallel_in_turn(patch: Patch) -> None:
    patch.setitem(ORDERS, "EachParallel", loops.EachInTurn())


def _pause_that_holds_nothing(patch: Patch) -> None:
    patch.setattr(step.Step, "frozen", property(lambda self: False))


def _resume_that_forgets_the_other_pause(patch: Patch) -> None:
    go_on = pausing.go_on

    def careless(one: step.Step, *, by_hand: bool = False) -> None:
        one.execution.pausing = 0
        go_on(one, by_hand=by_hand)

    patch.setattr(pausing, "go_on", careless)


def _resume_that_wakes_nobody(patch: Patch) -> None:
    patch.setattr(step.Step, "wake_all", lambda self: None)


def _retry_handed_out_in_a_pause(patch: Patch) -> None:
    def again(one: step.Step, run: TaskRun) -> None:
        one.wait_as(run, State.CREATED)
        blocks.dispatch_again(one, run)

    patch.setattr(attempts, "again", again)


def _allow_failure_that_fails(patch: Patch) -> None:
    patch.setattr(step.Step, "softened", lambda self, run, state: state)


def _subflow_that_hides_failures(patch: Patch) -> None:
    patch.setattr(executables, "_transmitted", lambda one, run, state: State.SUCCESS)


def _loop_that_never_breaks(patch: Patch) -> None:
    patch.setattr(executables, "_breaks", lambda one, run, event: False)


def _child_that_tells_nobody(patch: Patch) -> None:
    patch.setattr(ending, "tell_waiter", lambda one: None)


def _restart_that_keeps_handlers(patch: Patch) -> None:
    patch.setattr(rewind._Rewind, "remove_handlers", lambda self: None)


def _restart_that_forgets_where_loops_stood(patch: Patch) -> None:
    def recover(self: Any, one: step.Step, run: Any, cursor: Cursor, children: list[TaskRun]) -> None:
        cursor.next = 10**6

    patch.setattr(loops.Each, "recover", recover)


def _replay_that_keeps_what_came_after(patch: Patch) -> None:
    patch.setattr(rewind._Rewind, "drop_successors", lambda self, target: None)


def _deadline_that_runs_error_handlers(patch: Patch) -> None:
    patch.setattr(ending, "terminate", lambda one, state: None)


def _assertions_that_label_each_time(patch: Patch) -> None:
    patch.setattr(service_levels, "assertions", lambda one: None)


def _place_that_leaks(patch: Patch) -> None:
    patch.setattr(house.House, "_place", lambda self, held: None)


def _window_without_end(patch: Patch) -> None:
    patch.setattr(loops, "WINDOW", 10**9)


def _rounds_that_pile_up(patch: Patch) -> None:
    patch.setattr(house.House, "_forget_rows", lambda self, held, effects: None)


def _exit_that_goes_on(patch: Patch) -> None:
    patch.setattr(ending, "cut", lambda one, state, last=None, error=None: one.end_run(last, state) if last else None)


PLANTED: dict[str, tuple[Plant, str]] = {
    "a Dag that ignores dependencies": (_dag_without_dependencies, "a_dag_starts_each_task_when_its_dependencies_have_ended"),
    "an EachParallel in turn": (_each_parallel_in_turn, "the_tasks_of_each_parallel_do_not_wait_for_each_other"),
    "a pause that holds nothing": (_pause_that_holds_nothing, "a_pause_holds_everything_until_all_pauses_are_over"),
    "a resume that forgets the other pause": (
        _resume_that_forgets_the_other_pause,
        "a_pause_holds_everything_until_all_pauses_are_over",
    ),
    "a resume that wakes nobody": (_resume_that_wakes_nobody, "a_pause_by_hand_lets_running_work_finish_and_starts_nothing"),
    "a retry handed out in a pause": (_retry_handed_out_in_a_pause, "a_retry_that_comes_due_in_a_pause_waits_for_its_end"),
    "an AllowFailure that fails": (_allow_failure_that_fails, "an_allow_failure_block_turns_a_failure_into_a_warning"),
    "a Subflow that hides failures": (_subflow_that_hides_failures, "a_failed_subflow_fails_its_parent_unless_told_otherwise"),
    "a Loop that never breaks": (_loop_that_never_breaks, "a_loop_breaks_when_its_condition_holds"),
    "a child that tells nobody": (_child_that_tells_nobody, "a_subflow_gives_its_outputs_and_its_end"),
    "a restart that keeps handlers": (_restart_that_keeps_handlers, "a_restart_runs_again_only_what_failed"),
    "a restart that forgets where loops stood": (
        _restart_that_forgets_where_loops_stood,
        "a_restart_of_a_loop_runs_the_failed_values_and_those_that_never_came",
    ),
    "a replay that keeps what came after": (
        _replay_that_keeps_what_came_after,
        "a_replay_from_a_task_copies_what_came_before",
    ),
    "an end by force that does not end": (
        _deadline_that_runs_error_handlers,
        "a_deadline_ends_the_execution_without_error_handlers",
    ),
    "assertions nobody looks at": (_assertions_that_label_each_time, "an_assertion_that_fails_acts_as_it_says"),
    "a place that leaks": (_place_that_leaks, "a_place_goes_to_the_oldest_in_the_line"),
    "a window without end": (_window_without_end, "a_long_loop_keeps_a_bounded_window_open"),
    "rounds that pile up": (_rounds_that_pile_up, "a_loop_until_runs_rounds_and_shows_only_the_last"),
    "an Exit that goes on": (_exit_that_goes_on, "exit_ends_the_execution_and_what_runs"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_caught_by_its_story(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, told = PLANTED[name]
    STORIES[told]()
    plant(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whichever rule or promise notices first
        STORIES[told]()
