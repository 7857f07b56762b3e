"""A worker dies with a task in its hands: the attempt is recorded as lost and tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.platform import Platform, states
from tests.support.witness import Witness


@pytest.mark.timeout(180)
def test_attempt_of_a_killed_worker_is_lost_recorded_and_retried(platform: Platform, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness")
    source = f"id: lost\nnamespace: acceptance\ntasks:\n  - id: before\n{witness.script(0)}  - id: held\n{witness.script(3)}"
    client = platform.client()
    client.apply_flow(source, "acceptance", "lost")
    started = client.start("acceptance", "lost", {})
    witness.wait_for("start held")

    killed = platform.kill_worker()

    execution = platform.wait(client, started["id"], timeout=120)
    assert execution["state"]["current"] == "SUCCESS", states(execution)
    assert killed not in platform.workers()
    assert witness.count("start before") == 1
    assert witness.count("start held") == 2
    assert witness.count("end held") == 1
    held = next(run for run in execution["taskRunList"] if run["taskId"] == "held")
    assert len(held["attempts"]) == 2, held["attempts"]
    assert held["attempts"][0]["state"]["current"] != "SUCCESS"
    assert held["attempts"][1]["state"]["current"] == "SUCCESS"
