"""What may be done to an execution, over REST. The engine is real; no worker is there, so runnable tasks wait."""

from __future__ import annotations

import time
from typing import Any

import pytest

from controlplane.executions.models import Execution
from tests.integration.api.client import FLOW, WAITING, Api
from tests.integration.api.test_executions import BASE, HELLO, settled

PAUSED = """\
id: paused
namespace: acme.data
tasks:
  - id: approve
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: reason, type: STRING}
      - {id: count, type: INT, defaults: 3}
  - id: quiet
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.approve.onResume.reason }}"
    runIf: "{{ outputs.approve.onResume.count > 100 }}"
"""
FAILING = """\
id: failing
namespace: acme.data
inputs: [{id: n, type: INT, defaults: 1}]
tasks:
  - {id: first, type: io.kestra.plugin.core.log.Log, message: x, runIf: "false"}
  - {id: bad, type: io.kestra.plugin.core.flow.Subflow, namespace: acme.data, flowId: nowhere}
outputs: [{id: twice, type: INT, value: "{{ inputs.n * 2 }}"}]
"""
LIMITED = WAITING.replace("id: waiting", "id: limited") + "concurrency: {limit: 1, behavior: QUEUE}\n"
CHECKED = """\
id: checked
namespace: acme.data
inputs: [{id: n, type: INT}]
checks:
  - {condition: "{{ inputs.n < 100 }}", message: too many, style: ERROR, behavior: BLOCK_EXECUTION}
  - {condition: "{{ inputs.n < 50 }}", message: rather many, behavior: FAIL_EXECUTION}
  - {condition: "{{ inputs.n < 10 }}", message: quite a few, style: WARNING, behavior: CREATE_EXECUTION}
tasks:
  - {id: quiet, type: io.kestra.plugin.core.log.Log, message: x, runIf: "false"}
"""

pytestmark = pytest.mark.usefixtures("engine")


def created(api: Api, source: str, query: str = "", **more: Any) -> str:
    """An execution of the flow, which is stored first."""
    flow_id = source.split("\n", 1)[0].removeprefix("id: ")
    if api.raw("GET", f"/api/v1/main/flows/acme.data/{flow_id}").status_code == 404:
        api.create(source)
    found: str = api("POST", f"{BASE}/acme.data/{flow_id}{query}", **more)["id"]
    return found


def action(api: Api, execution_id: str, name: str, body: Any = None, kind: str = "", expect: int = 200) -> Any:
    return api("POST", f"{BASE}/{execution_id}/actions/{name}", body, kind, expect)


# -- creation ---------------------------------------------------------------------------------------------------------


def test_a_start_date_keeps_it_created_until_then_and_is_echoed_in_utc(api: Api) -> None:
    execution_id = created(
        api, plain := FLOW.replace("# a comment that must survive\n", ""), "?scheduleDate=2100-01-01T02:00:00%2B02:00"
    )
    body = api("GET", f"{BASE}/{execution_id}")
    assert body["state"]["current"] == "CREATED"
    assert body["scheduleDate"].startswith("2100-01-01T00:00:00")
    assert action(api, execution_id, "force-run")["id"] == execution_id
    settled(api, execution_id)
    soon = created(api, plain, "?scheduleDate=2000-01-01T00:00:00Z")
    settled(api, soon)
    api("POST", f"{HELLO}?scheduleDate=tomorrow", expect=422)


def test_breakpoints_stop_before_their_task_and_a_resume_passes_them(api: Api) -> None:
    execution_id = created(api, WAITING, "?breakpoints=say")
    body = settled(api, execution_id, "BREAKPOINT")
    assert body["breakpoints"] == ["say"]
    assert action(api, execution_id, "resume-from-breakpoint")["state"]["current"] == "RUNNING"
    assert action(api, execution_id, "resume-from-breakpoint", expect=409)["code"] == "execution.state"


def test_kinds_are_kept_and_searched(api: Api) -> None:
    execution_id = created(api, WAITING, "?kind=TEST")
    assert api("GET", f"{BASE}/{execution_id}")["kind"] == "TEST"
    assert api("GET", f"{BASE}/search")["total"] == 0
    assert api("GET", f"{BASE}/search?filters[kind][EQUALS]=TEST")["total"] == 1
    api("POST", f"{BASE}/acme.data/waiting?kind=LOOP", expect=422)


def test_the_most_severe_check_that_fails_decides(api: Api) -> None:
    api.create(CHECKED)
    one = f"{BASE}/acme.data/checked"
    blocked = api("POST", one, {"n": "200"}, "multipart", expect=422)
    assert blocked["code"] == "flow.check"
    assert "too many" in blocked["message"]
    assert api("GET", f"{BASE}/search")["total"] == 0
    failed = api("POST", one, {"n": "60"}, "multipart")
    assert failed["state"]["current"] == "FAILED"
    assert "rather many" in api("GET", f"{BASE}/{failed['id']}")["error"]["message"]
    warned = api("POST", one, {"n": "20"}, "multipart")
    assert warned["checks"] == [{"message": "quite a few", "style": "WARNING", "behavior": "CREATE_EXECUTION"}]
    settled(api, warned["id"])
    assert "checks" not in api("POST", one, {"n": "1"}, "multipart")


def test_inputs_can_be_looked_at_without_a_start(api: Api) -> None:
    api.create(CHECKED)
    (found,) = api("POST", f"{BASE}/acme.data/checked/validate", {"n": "60"}, "multipart")
    assert found["inputs"][0]["value"] == 60
    assert [check["message"] for check in found["checks"]] == ["rather many", "quite a few"]
    (wrong,) = api("POST", f"{BASE}/acme.data/checked/validate", {"n": "x"}, "multipart")
    assert "n" in wrong["inputs"][0]["errors"][0]["message"]
    assert api("GET", f"{BASE}/search")["total"] == 0


def test_the_cause_of_an_execution_is_told(api: Api) -> None:
    body = api("GET", f"{BASE}/{created(api, WAITING)}")
    assert body["cause"] == {"kind": "api", "by": "root@example.com"}


# -- pause, resume ----------------------------------------------------------------------------------------------------


def test_a_pause_by_hand_and_a_resume_right_after_it(api: Api) -> None:
    execution_id = created(api, WAITING)
    assert action(api, execution_id, "pause")["state"]["current"] == "PAUSED"
    assert action(api, execution_id, "pause", expect=409)["code"] == "execution.state"
    assert action(api, execution_id, "resume")["state"]["current"] == "RUNNING"
    assert action(api, execution_id, "resume", expect=409)["code"] == "execution.state"
    api("POST", f"{BASE}/{execution_id}/pause")  # the older address
    api("POST", f"{BASE}/0123456789012345678901/actions/pause", expect=404)


def test_a_resume_takes_the_inputs_its_pause_asks_for(api: Api) -> None:
    execution_id = created(api, PAUSED)
    settled(api, execution_id, "PAUSED")
    missing = action(api, execution_id, "resume", {}, "multipart", expect=422)
    assert "reason" in missing["message"]
    (looked,) = action(api, execution_id, "resume/validate", {"reason": "why", "count": "many"}, "multipart")
    assert [bool(row["errors"]) for row in looked["inputs"]] == [False, True]
    assert api("GET", f"{BASE}/{execution_id}")["state"]["current"] == "PAUSED"
    action(api, execution_id, "resume", {"reason": "because"}, "multipart")
    body = settled(api, execution_id)
    outputs = body["taskRunList"][0]["outputs"]
    assert outputs["onResume"] == {"reason": "because", "count": 3}
    assert outputs["resumed"]["by"] == "root@example.com"
    action(api, execution_id, "resume/validate", {}, "multipart", expect=409)


def test_a_resume_may_be_json(api: Api) -> None:
    execution_id = created(api, PAUSED)
    settled(api, execution_id, "PAUSED")
    action(api, execution_id, "resume", {"reason": "json", "count": 7}, "application/json")
    assert settled(api, execution_id)["taskRunList"][0]["outputs"]["onResume"] == {"reason": "json", "count": 7}


# -- restart, replay, states ------------------------------------------------------------------------------------------


def test_a_restart_keeps_the_id_and_runs_what_failed(api: Api) -> None:
    execution_id = created(api, FAILING)
    settled(api, execution_id, "FAILED")
    body = action(api, execution_id, "restart")
    assert body["id"] == execution_id
    again = settled(api, execution_id, "FAILED")
    assert [one["state"] for one in again["state"]["histories"]].count("FAILED") == 2
    assert again["metadata"]["attemptNumber"] == 2
    assert {"key": "system.restarted", "value": "true"} in again["labels"]


def test_a_restart_in_a_new_revision_is_a_new_execution(api: Api) -> None:
    execution_id = created(api, FAILING)
    settled(api, execution_id, "FAILED")
    api.create(FLOW)
    api("PUT", "/api/v1/main/flows/acme.data/failing", FAILING.replace("nowhere", "hello"))
    body = action(api, execution_id, "restart?revision=2")
    assert body["id"] != execution_id
    assert (body["parentId"], body["originalId"], body["flowRevision"]) == (execution_id, execution_id, 2)
    assert settled(api, body["id"])["cause"]["kind"] == "restart"
    api("POST", f"{BASE}/{execution_id}/actions/restart?revision=9", expect=404)


def test_what_runs_or_did_not_fail_is_not_restarted(api: Api) -> None:
    running = created(api, WAITING)
    assert action(api, running, "restart", expect=409)["code"] == "execution.state"
    api.create(FLOW)
    good = api("POST", HELLO)["id"]
    settled(api, good)
    assert action(api, good, "restart", expect=409)["code"] == "execution.nothing_to_restart"


def test_a_replay_is_a_new_execution_with_the_same_inputs(api: Api) -> None:
    api.create(FLOW)
    source = api("POST", HELLO, {"who": "moon"}, "multipart")["id"]
    api("POST", f"{BASE}/{source}/actions/replay?taskRunId=nowhere", expect=404)
    settled(api, source)
    body = action(api, source, "replay")
    assert body["id"] != source
    assert (body["originalId"], body["parentId"], body["inputs"]) == (source, source, {"who": "moon"})
    assert body["cause"] == {"kind": "replay", "executionId": source, "by": "root@example.com"}
    other = action(api, source, "replay-with-inputs", {"who": "mars"}, "multipart")
    assert other["inputs"] == {"who": "mars"}
    same = action(api, source, "replay-with-inputs")
    assert same["inputs"] == {"who": "moon"}
    assert action(api, created(api, WAITING), "replay", expect=409)["code"] == "execution.state"


def test_a_replay_from_a_task_run_keeps_what_came_before(api: Api) -> None:
    source = created(api, FAILING)
    runs = settled(api, source, "FAILED")["taskRunList"]
    body = action(api, source, f"replay?taskRunId={runs[1]['id']}")
    copied = settled(api, body["id"], "FAILED")["taskRunList"]
    assert [run["taskId"] for run in copied] == ["first", "bad"]
    assert copied[0]["id"] != runs[0]["id"]


def test_another_state_for_a_task_run_lets_it_go_on(api: Api) -> None:
    execution_id = created(api, FAILING)
    bad = settled(api, execution_id, "FAILED")["taskRunList"][1]
    action(api, execution_id, "state", {"taskRunId": bad["id"], "state": "SUCCESS"})
    assert settled(api, execution_id)["outputs"] == {"twice": 2}
    action(api, execution_id, "state", {"taskRunId": "nowhere", "state": "SUCCESS"}, expect=404)
    action(api, execution_id, "state", {"taskRunId": bad["id"], "state": "RUNNING"}, expect=422)
    action(api, execution_id, "state", {}, expect=422)


def test_another_end_for_what_is_over(api: Api) -> None:
    execution_id = created(api, FAILING)
    settled(api, execution_id, "FAILED")
    assert action(api, execution_id, "change-status?status=SUCCESS")["state"]["current"] == "SUCCESS"
    action(api, execution_id, "change-status?status=RUNNING", expect=422)
    action(api, execution_id, "change-status", expect=400)
    action(api, created(api, WAITING), "change-status?status=SUCCESS", expect=409)


# -- the line ---------------------------------------------------------------------------------------------------------


def test_force_run_and_unqueue_take_it_out_of_the_line(api: Api) -> None:
    first, second, third = (created(api, LIMITED) for _ in range(3))
    settled(api, first, "RUNNING")
    settled(api, third, "QUEUED")
    assert action(api, second, "unqueue")["state"]["current"] == "RUNNING"
    assert action(api, third, "unqueue?state=CANCELLED")["state"]["current"] == "CANCELLED"
    assert action(api, third, "unqueue", expect=409)["code"] == "execution.over"
    assert action(api, third, "force-run", expect=409)["code"] == "execution.over"
    assert action(api, first, "unqueue", expect=409)["code"] == "execution.state"


def test_the_next_in_the_line_runs_when_one_ends(api: Api) -> None:
    first, second = created(api, LIMITED), created(api, LIMITED)
    settled(api, second, "QUEUED")
    api("DELETE", f"{BASE}/{first}/actions/kill")
    settled(api, second, "RUNNING")


# -- labels, eval -----------------------------------------------------------------------------------------------------


def test_labels_are_merged_once_it_is_over(api: Api) -> None:
    api.create(FLOW)
    execution_id = api("POST", f"{HELLO}?labels=a:1")["id"]
    settled(api, execution_id)
    body = action(api, execution_id, "labels", [{"key": "a", "value": "2"}, {"key": "b", "value": "3"}])
    labels = {label["key"]: label["value"] for label in body["labels"]}
    assert (labels["a"], labels["b"], labels["team"], labels["system.correlationId"]) == ("2", "3", "core", execution_id)
    action(api, execution_id, "labels", [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}], expect=400)
    action(api, execution_id, "labels", [{"key": "system.new", "value": "1"}], expect=422)
    action(api, execution_id, "labels", [{"key": "system.correlationId", "value": execution_id}])
    action(api, execution_id, "labels", {"a": "b"}, expect=422)
    action(api, created(api, WAITING), "labels", [{"key": "a", "value": "1"}], expect=409)


def test_expressions_are_evaluated_in_the_context_of_an_execution_or_a_task_run(api: Api) -> None:
    execution_id = created(api, PAUSED)
    run = settled(api, execution_id, "PAUSED")["taskRunList"][0]

    def result(template: str, where: str = "") -> Any:
        return action(api, execution_id, f"eval{where}", template, "text/plain")

    assert result("{{ flow.id }}-{{ execution.state }}") == {"result": "paused-PAUSED"}
    assert "error" in result("{{ nowhere.x }}")
    assert "error" in result("{{ 1 + }}")
    assert result("{{ task.id }} {{ taskrun.id }}", f"/{run['id']}") == {"result": f"approve {run['id']}"}
    assert "error" in result("{{ secret('X') }}")
    api("POST", f"{BASE}/{execution_id}/actions/eval/nowhere", "x", "text/plain", expect=404)
    api("POST", f"{BASE}/nowhere/actions/eval", "x", "text/plain", expect=404)


# -- older addresses, children ----------------------------------------------------------------------------------------


def test_a_flow_may_be_called_like_a_command(api: Api) -> None:
    api.create(WAITING.replace("id: waiting", "id: labels"))
    started = api("POST", f"{BASE}/acme.data/labels")
    assert started["flowId"] == "labels"
    api("POST", f"{BASE}/acme.data/restart", expect=404)


def test_children_are_found_by_their_parent_and_killed_with_it(api: Api) -> None:
    api.create(WAITING)
    parent = created(
        api,
        "id: calls\nnamespace: acme.data\ntasks:\n  - {id: call, type: io.kestra.plugin.core.flow.Subflow, "
        "namespace: acme.data, flowId: waiting}\n",
    )
    settled(api, parent, "RUNNING")
    (child,) = api("GET", f"{BASE}/search?filters[triggerExecutionId][EQUALS]={parent}")["results"]
    assert child["cause"]["kind"] == "subflow"
    assert [row["id"] for row in api("GET", f"{BASE}/search?childFilter=CHILD")["results"]] == [child["id"]]
    assert [row["id"] for row in api("GET", f"{BASE}/search?filters[childFilter][EQUALS]=MAIN")["results"]] == [parent]
    api("DELETE", f"{BASE}/{parent}/actions/kill")
    settled(api, child["id"], "KILLED")


def test_a_command_that_comes_too_late_is_refused_by_the_engine_itself(api: Api, engine: Any) -> None:
    from controlplane.executions import commands

    execution_id = created(api, WAITING)
    items = [commands.kill(("main", execution_id)), commands.pause(("main", execution_id))]
    assert engine.call_all(items) == ["applied", "refused"]
    assert items[1].refusal_code == "execution.over"
    for _ in range(100):
        if Execution.objects.filter(id=execution_id, state="KILLED").exists():
            return
        time.sleep(0.01)
    raise AssertionError("it was not killed")
