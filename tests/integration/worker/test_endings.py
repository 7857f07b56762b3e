"""Kill, timeout, lost agents, lost streams: every attempt ends, nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.worker.conftest import StartAgent, make_catalogue
from tests.integration.worker.sample_tasks import PREFIX
from wire import gateway
from worker.agent import Agent
from worker.config import WorkerOptions
from worker.errors import WorkerCannotStart
from worker.testing import AgentThread, FakeGateway

SHELL = "io.kestra.plugin.scripts.shell.Commands"


def shell(*commands: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "sh",
        "type": SHELL,
        "taskRunner": {"type": "io.kestra.plugin.core.runner.Process"},
        "commands": list(commands),
        **more,
    }


def wait(reached: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def pids_written(plane: FakeGateway, token: gateway.AttemptToken, count: int) -> list[int]:
    plane.until(lambda: len(plane.texts(token)) >= count, what=f"{count} pids")
    return [int(text) for text in plane.texts(token)[:count]]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def test_a_kill_ends_the_whole_process_group(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign(shell("echo $$", "sleep 300 & echo $!", "wait"))
    pids = pids_written(plane, token, 2)
    began = time.monotonic()
    plane.stop_attempt(token)
    assert plane.result(token).outcome == gateway.KILLED
    assert time.monotonic() - began < 3
    assert wait(lambda: not any(map(alive, pids)))


@pytest.mark.slow
def test_a_task_that_ignores_term_is_killed_after_the_grace(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign(shell("trap '' TERM", "echo $$", "while true; do sleep 1; done"))
    pids = pids_written(plane, token, 1)
    began = time.monotonic()
    plane.stop_attempt(token)
    assert plane.result(token).outcome == gateway.KILLED
    assert 4.5 < time.monotonic() - began < 9
    assert wait(lambda: not alive(pids[0]))


def test_a_task_may_put_its_things_in_order_on_term(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign(shell("trap 'echo tidied; exit 0' TERM", "echo ready", "sleep 300 & wait"))
    plane.until(lambda: plane.texts(token) == ["ready"])
    plane.stop_attempt(token)
    assert plane.result(token).outcome == gateway.KILLED
    assert plane.texts(token) == ["ready", "tidied"]


def test_a_daemon_in_a_session_of_its_own_does_not_outlive_its_task(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign(shell("setsid sh -c 'echo $$; exec sleep 300' &", "sleep 0.3"))
    (pid,) = pids_written(plane, token, 1)
    assert plane.result(token).outcome == gateway.SUCCESS
    assert wait(lambda: not alive(pid))


def test_a_timeout_stops_the_attempt_and_says_so(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign(shell("echo $$", "sleep 300", timeout="PT{{ 1 }}S"))
    (pid,) = pids_written(plane, token, 1)
    result = plane.result(token)
    assert (result.outcome, result.error_code) == (gateway.FAILED, "task.timeout")
    assert "PT1S" in result.error_message
    assert wait(lambda: not alive(pid))


def test_a_python_task_can_be_killed(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign({"id": "m", "type": PREFIX + "Misbehave", "how": "hang"})
    plane.until(lambda: plane.texts(token) == ["hanging"])
    plane.stop_attempt(token)
    assert plane.result(token).outcome == gateway.KILLED


def test_a_lost_stream_does_not_touch_running_tasks(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign(shell("echo $$", "sleep 1.5", "echo done"))
    pids_written(plane, token, 1)
    for _ in range(3):
        plane.disconnect()
        time.sleep(0.3)
    result = plane.result(token)
    assert result.outcome == gateway.SUCCESS
    assert plane.texts(token)[1:] == ["done"]
    assert plane.result_count == 1
    assert len(plane.hellos) >= 3


def test_results_wait_in_the_spool_while_nothing_is_acknowledged(plane: FakeGateway, agent: AgentThread) -> None:
    plane.acknowledging = False
    token = plane.assign({"id": "o", "type": "io.kestra.plugin.core.output.OutputValues", "values": {"a": 1}})
    plane.result(token)
    plane.acknowledging = True
    plane.disconnect()
    plane.until(lambda: len(plane.hellos) == 2, what="a second stream")
    assert [held.phase for held in plane.hellos[1].held] == [gateway.HeldAttempt.FINISHED]


def test_a_lost_fork_server_loses_its_attempts_and_is_replaced(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign(shell("echo $$", "echo $PPID", "sleep 300"))
    pid, server = pids_written(plane, token, 2)
    os.kill(server, signal.SIGKILL)
    result = plane.result(token)
    assert (result.outcome, result.error_code) == (gateway.LOST, "worker.process_lost")
    assert wait(lambda: not alive(pid))
    assert plane.result(plane.assign(shell("echo again"))).outcome == gateway.SUCCESS


def test_attempts_of_a_killed_agent_die_with_it_and_are_reported_lost(plane: FakeGateway, start_agent: StartAgent) -> None:
    first = start_agent()
    token = plane.assign(shell("echo $$", "sleep 300 & echo $!", "wait"))
    pids = pids_written(plane, token, 2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert wait(lambda: not any(map(alive, pids)))
    start_agent()
    result = plane.result(token)
    assert (result.outcome, result.error_code, result.log_lines) == (gateway.LOST, "worker.restarted", 2)
    assert len(plane.credentials) == 1, "the restarted agent enrolled again"
    assert plane.result(plane.assign(shell("echo again"))).outcome == gateway.SUCCESS
    assert plane.started.count(token.lease_id) == 1


def test_a_drained_agent_finishes_what_runs_and_leaves(plane: FakeGateway, start_agent: StartAgent) -> None:
    process = start_agent()
    token = plane.assign(shell("echo ready", "sleep 1", "echo done"))
    plane.until(lambda: plane.texts(token) == ["ready"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert plane.results[token.lease_id].outcome == gateway.SUCCESS


def test_what_outlives_the_grace_of_a_drain_is_given_back_as_lost(plane: FakeGateway, agent: AgentThread) -> None:
    token = plane.assign(shell("echo $$", "sleep 300"))
    (pid,) = pids_written(plane, token, 1)
    assert agent.stop() == 0
    result = plane.result(token)
    assert (result.outcome, result.error_code) == (gateway.LOST, "worker.drained")
    assert not alive(pid)


@pytest.mark.slow
def test_a_lease_that_cannot_be_renewed_stops_the_task(plane: FakeGateway, start_agent: StartAgent) -> None:
    plane.lease_seconds, plane.renew_seconds = 4, 1
    start_agent()
    token = plane.assign(shell("echo $$", "sleep 300"))
    (pid,) = pids_written(plane, token, 1)
    plane.answers_renewals = True
    time.sleep(2)
    assert alive(pid)
    plane.answers_renewals = False  # the plane reads and no longer renews
    assert wait(lambda: not alive(pid), 12)
    assert plane.result(token).error_code == "worker.lease_not_renewed"


def test_lines_beyond_the_spool_s_ceiling_are_declared(plane: FakeGateway, data: Path) -> None:
    plane.acknowledging = False
    options = WorkerOptions(
        plane=plane.address, data=data, join_token=plane.join_token, spool_log_bytes_max=2_000_000, drain_seconds=1.0
    )
    with AgentThread(Agent(options, make_catalogue())):
        token = plane.assign(shell("seq 1 300000"))
        result = plane.result(token, 60)
        texts = plane.texts(token)
        assert result.log_lines == len(texts)
        declared = [int(text.split()[0]) for text in texts if "were dropped" in text]
        kept = len(texts) - len(declared)
        assert declared and kept + sum(declared) == 300_000
        plane.acknowledging = True


def test_an_unknown_join_token_is_a_clear_error(plane: FakeGateway, data: Path) -> None:
    options = WorkerOptions(plane=plane.address, data=data, join_token="wrong")
    with pytest.raises(WorkerCannotStart, match="refused the join token"):
        run_to_its_end(options)


def test_a_worker_without_credential_and_token_says_what_it_needs(plane: FakeGateway, data: Path) -> None:
    with pytest.raises(WorkerCannotStart, match="--join-token"):
        run_to_its_end(WorkerOptions(plane=plane.address, data=data))


def test_a_revoked_credential_ends_the_agent_with_advice(plane: FakeGateway, data: Path) -> None:
    data.mkdir()
    identity = {"tenant": "t", "worker_group": "g", "worker_id": "w", "credential": "revoked"}
    (data / "credential.json").write_text(json.dumps(identity))
    with pytest.raises(WorkerCannotStart, match="credential"):
        run_to_its_end(WorkerOptions(plane=plane.address, data=data))


def run_to_its_end(options: WorkerOptions) -> int:
    with AgentThread(Agent(options, make_catalogue())) as thread:
        return thread.wait()


def test_the_data_folder_is_for_its_owner_alone(plane: FakeGateway, agent: AgentThread, data: Path) -> None:
    plane.connected()
    assert data.stat().st_mode & 0o077 == 0


def test_the_agent_needs_no_django() -> None:
    program = "import sys, worker.agent, worker.tasks.core, worker.tasks.scripts; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_an_agent_that_was_told_goodbye_comes_back(plane: FakeGateway, agent: AgentThread) -> None:
    plane.connected()
    plane.tell(gateway.ToWorker(goodbye="protocol: something was lost"))
    plane.until(lambda: len(plane.hellos) == 2, what="a second stream")
    token = plane.assign({"id": "hello", "type": "io.kestra.plugin.core.log.Log", "message": "hi"})
    assert plane.result(token).outcome == gateway.SUCCESS


def test_a_hand_out_that_cannot_be_read_fails_alone(plane: FakeGateway, agent: AgentThread) -> None:
    plane.connected()
    token = gateway.AttemptToken(execution_id="e", task_run_id="broken", attempt=1, lease_id="broken")
    broken = gateway.Assign(
        token=token, task_type="io.kestra.plugin.core.log.Log", task_json=b"{nonsense", task_id="x", light=True
    )
    plane.tell(gateway.ToWorker(assign=[broken]))
    assert plane.result(token).outcome == gateway.FAILED
    other = plane.assign({"id": "hello", "type": "io.kestra.plugin.core.log.Log", "message": "hi"})
    assert plane.result(other).outcome == gateway.SUCCESS
