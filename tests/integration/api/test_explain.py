"""Everything that is not over says what it waits for, cause by cause; every execution says why it exists."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.executions.models import HandOut
from controlplane.fleet.models import Worker
from controlplane.platform.clock import now_us
from flows.machine.events import Finished, Started
from flows.machine.states import State
from tests.integration.api.client import FLOW, WAITING, Api
from tests.integration.api.test_execution_commands import FAILING, LIMITED, PAUSED, action, created
from tests.integration.api.test_executions import BASE, settled
from wire.ids import new_id

pytestmark = pytest.mark.usefixtures("engine")

RETRIED = """\
id: retried
namespace: acme.data
tasks:
  - id: flaky
    type: io.kestra.plugin.core.log.Log
    message: x
    retry: {type: constant, interval: PT1H, maxAttempt: 3}
"""
LIMITS = """\
id: limits
namespace: acme.data
sla: [{id: too-long, type: MAX_DURATION, duration: PT1H, behavior: FAIL}]
tasks: [{id: a, type: io.kestra.plugin.core.log.Log, message: x}]
"""
CALLS = """\
id: calls
namespace: acme.data
tasks: [{id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: acme.data, flowId: waiting}]
"""
ROUNDS = """\
id: rounds
namespace: acme.data
tasks:
  - id: poll
    type: io.kestra.plugin.core.flow.LoopUntil
    condition: "{{ false }}"
    checkFrequency: {interval: PT1H}
    tasks: [{id: quiet, type: io.kestra.plugin.core.log.Log, message: x, runIf: "false"}]
"""
NESTED = """\
id: nested
namespace: acme.data
tasks:
  - id: seq
    type: io.kestra.plugin.core.flow.Sequential
    tasks: [{id: say, type: io.kestra.plugin.core.log.Log, message: x}]
"""


def explained(api: Api, execution_id: str) -> dict[str, Any]:
    """Reasons by code."""
    body = api("GET", f"{BASE}/{execution_id}/explain")
    assert body["executionId"] == execution_id
    for reason in body["reasons"]:
        assert reason["unblockedBy"], reason
        assert reason["message"]
    return {reason["code"]: reason for reason in body["reasons"]}


def leased(execution_id: str, seconds: float = 30) -> HandOut:
    """A worker took the only hand-out of an execution."""
    HandOut.objects.filter(execution_id=execution_id).update(
        lease_id=new_id(), worker_id="w" * 22, lease_until_us=now_us() + int(seconds * 1_000_000)
    )
    return HandOut.objects.get(execution_id=execution_id)


def test_what_is_over_waits_for_nothing_and_still_knows_its_cause(api: Api) -> None:
    execution_id = created(api, FLOW.replace("# a comment that must survive\n", ""))
    settled(api, execution_id)
    body = api("GET", f"{BASE}/{execution_id}/explain")
    assert (body["state"], body["reasons"], body["leftOff"]) == ("SUCCESS", [], 0)
    assert body["cause"] == {"kind": "api", "by": "root@example.com"}
    api("GET", f"{BASE}/0123456789012345678901/explain", expect=404)


def test_a_scheduled_start(api: Api) -> None:
    reasons = explained(api, created(api, WAITING, "?scheduleDate=2100-01-01T00:00:00Z"))
    assert reasons["execution.scheduled"]["until"].startswith("2100-01-01T00:00:00")
    assert "force-run" in reasons["execution.scheduled"]["unblockedBy"]


def test_a_hand_out_without_a_worker_of_its_group(api: Api) -> None:
    execution_id = created(api, WAITING)
    settled(api, execution_id, "RUNNING")
    reason = explained(api, execution_id)["task_run.no_worker"]
    assert reason["waitsFor"] == {"workerGroup": "default", "slots": "light", "connectedWorkers": 0}
    assert reason["taskId"] == "say"


def test_a_hand_out_without_a_free_slot(api: Api) -> None:
    execution_id = created(api, WAITING)
    settled(api, execution_id, "RUNNING")
    Worker.objects.create(
        tenant_id="main", id=new_id(), worker_group="default", name="w", digest="d", enrolled_at_us=0, seen_at_us=now_us()
    )
    assert explained(api, execution_id)["task_run.no_free_slot"]["waitsFor"]["connectedWorkers"] == 1


def test_a_lease_and_a_lost_lease(api: Api) -> None:
    execution_id = created(api, WAITING)
    settled(api, execution_id, "RUNNING")
    leased(execution_id)
    held = explained(api, execution_id)["task_run.leased"]
    assert held["heldBy"] == {"workerId": "w" * 22, "attempt": 1}
    assert held["until"]
    leased(execution_id, -5)
    assert explained(api, execution_id)["task_run.lease_lost"]["unblockedBy"] == ["sweeper", "kill"]


def test_an_attempt_that_was_told_to_stop(api: Api) -> None:
    execution_id = created(api, WAITING)
    settled(api, execution_id, "RUNNING")
    leased(execution_id)
    HandOut.objects.filter(execution_id=execution_id).update(stop=True)
    assert "task_run.stopping" in explained(api, execution_id)


def test_a_retry_that_is_due(api: Api, engine: Any) -> None:
    from controlplane.engine.items import Item, Token

    execution_id = created(api, RETRIED)
    settled(api, execution_id, "RUNNING")
    one = leased(execution_id)
    token = Token("main", execution_id, one.task_run_id, 1, str(one.lease_id))
    engine.call(Item(("main", execution_id), Started(one.task_run_id, 1, "w" * 22), holder=token))
    assert (
        engine.call(Item(("main", execution_id), Finished(one.task_run_id, 1, "w" * 22, State.FAILED), token=token)) == "applied"
    )
    reason = explained(api, execution_id)["task_run.retry"]
    assert (reason["attempt"], reason["attemptsMax"]) == (2, 3)
    assert reason["until"]


def test_a_pause_that_asks_for_inputs(api: Api) -> None:
    execution_id = created(api, PAUSED)
    settled(api, execution_id, "PAUSED")
    reason = explained(api, execution_id)["task_run.paused"]
    assert [(one["id"], one["type"], one["required"]) for one in reason["waitsFor"]["inputs"]] == [
        ("reason", "STRING", True),
        ("count", "INT", True),
    ]
    assert "resume" in reason["unblockedBy"]


def test_a_pause_that_ends_by_itself(api: Api) -> None:
    timed = PAUSED.replace("id: paused", "id: timed").replace("    onResume:", "    pauseDuration: PT1H\n    onResume:")
    execution_id = created(api, timed)
    settled(api, execution_id, "PAUSED")
    assert explained(api, execution_id)["task_run.paused"]["until"]


def test_a_pause_by_hand_holds_what_would_follow(api: Api) -> None:
    execution_id = created(api, WAITING)
    settled(api, execution_id, "RUNNING")
    action(api, execution_id, "pause")
    assert "resume" in explained(api, execution_id)["execution.paused"]["unblockedBy"]


def test_a_place_in_the_line(api: Api) -> None:
    first, second, third = (created(api, LIMITED) for _ in range(3))
    settled(api, third, "QUEUED")
    reason = explained(api, third)["execution.queued"]
    assert reason["waitsFor"] == {"flow": "acme.data.limited", "limit": 1, "ahead": 1}
    assert reason["heldBy"] == {"executions": [first], "count": 1}
    assert explained(api, second)["execution.queued"]["waitsFor"]["ahead"] == 0


def test_a_breakpoint(api: Api) -> None:
    execution_id = created(api, WAITING, "?breakpoints=say")
    settled(api, execution_id, "BREAKPOINT")
    reasons = explained(api, execution_id)
    assert reasons["execution.breakpoint"]["waitsFor"] == {"breakpoints": ["say"]}
    assert reasons["task_run.breakpoint"]["taskId"] == "say"


def test_a_child_execution(api: Api) -> None:
    api.create(WAITING)
    execution_id = created(api, CALLS)
    settled(api, execution_id, "RUNNING")
    reason = explained(api, execution_id)["task_run.child_executions"]
    (child,) = reason["waitsFor"]["executions"]
    assert child["state"] == "RUNNING"
    body = api("GET", f"{BASE}/{child['id']}/explain")
    assert (body["cause"]["kind"], body["cause"]["executionId"], body["cause"]["taskId"]) == ("subflow", execution_id, "call")


def test_the_next_round_of_a_loop(api: Api) -> None:
    execution_id = created(api, ROUNDS)
    settled(api, execution_id, "PAUSED")
    assert explained(api, execution_id)["task_run.round"]["until"]


def test_a_block_with_open_children(api: Api) -> None:
    execution_id = created(api, NESTED)
    settled(api, execution_id, "RUNNING")
    reasons = explained(api, execution_id)
    assert reasons["task_run.children_open"]["taskId"] == "seq"
    assert reasons["task_run.no_worker"]["taskId"] == "say"


def test_a_service_level(api: Api) -> None:
    execution_id = created(api, LIMITS)
    settled(api, execution_id, "RUNNING")
    reason = explained(api, execution_id)["execution.sla"]
    assert reason["sla"] == "too-long"
    assert reason["until"]


def test_replays_and_restarts_name_what_they_come_from(api: Api) -> None:
    source = created(api, FAILING)
    settled(api, source, "FAILED")
    replayed = action(api, source, "replay")["id"]
    assert api("GET", f"{BASE}/{replayed}/explain")["cause"] == {
        "kind": "replay",
        "executionId": source,
        "by": "root@example.com",
    }


def test_no_reason_is_missing_for_anything_that_is_open(api: Api) -> None:
    """Whatever state a flow of these comes to stand in: every open task run has a reason."""
    for source in (WAITING, PAUSED, CALLS.replace("waiting", "paused"), ROUNDS, NESTED, LIMITS):
        execution_id = created(api, source)
        runs = [run for run in api("GET", f"{BASE}/{execution_id}")["taskRunList"] if not run["state"].get("endDate")]
        body = api("GET", f"{BASE}/{execution_id}/explain")
        explained_runs = {reason.get("taskRunId") for reason in body["reasons"]}
        assert {run["id"] for run in runs} <= explained_runs, source
