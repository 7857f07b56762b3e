"""There is no unlucky moment: the control plane is killed in the middle of a pipeline and started again on the same data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.platform import Platform, states
from tests.support.witness import Witness

TASKS = 6


def slow_flow(witness: Witness, seconds: float = 0.8) -> str:
    tasks = "".join(f"  - id: t{number}\n{witness.script(seconds)}" for number in range(1, TASKS + 1))
    return f"id: slow\nnamespace: acceptance\ntasks:\n{tasks}"


@pytest.mark.timeout(180)
def test_execution_goes_on_after_the_control_plane_was_killed(platform: Platform, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    client = platform.client()
    client.apply_flow(slow_flow(witness), "acceptance", "slow")
    started = client.start("acceptance", "slow", {})
    witness.wait_for("end t2")

    platform.kill()
    finished_before = witness.ended()
    platform.start()

    execution = platform.wait(platform.client(), started["id"], timeout=90)
    assert execution["state"]["current"] == "SUCCESS", states(execution)
    assert witness.ended() == [f"t{number}" for number in range(1, TASKS + 1)]
    again = [task for task in finished_before if witness.count(f"start {task}") != 1]
    assert not again, f"finished before the kill and ran again: {again}; {witness.lines()}"


@pytest.mark.timeout(180)
def test_execution_goes_on_after_control_plane_and_worker_were_killed(platform: Platform, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    client = platform.client()
    client.apply_flow(slow_flow(witness), "acceptance", "slow")
    started = client.start("acceptance", "slow", {})
    witness.wait_for("start t3")

    platform.kill()
    platform.kill_worker()
    platform.start()

    execution = platform.wait(platform.client(), started["id"], timeout=120)
    assert execution["state"]["current"] == "SUCCESS", states(execution)
    # t2's result may have been on its way when both died; t1's was acknowledged, since t3 ran already.
    assert witness.count("start t1") == 1
    assert witness.count("end t6") == 1
