"""One flow with everything that starts something, begun by a webhook, paused and resumed; a schedule and what follows from it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.platform import Platform, states

CHILD = """\
id: child
namespace: acme.data
inputs: [{id: n, type: INT, defaults: 1}]
outputs: [{id: total, type: INT, value: "{{ outputs.t.value }}"}]
tasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.n * 2 }}"}]
"""
PARENT = """\
id: parent
namespace: acme.data
inputs: [{id: password, type: SECRET, defaults: hunter2hunter}]
tasks:
  - {id: write, type: io.kestra.plugin.core.storage.Write, content: "1\\n2\\n3\\n4\\n5\\n"}
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: acme.data, flowId: child, inputs: {n: 21}}
  - id: wd
    type: io.kestra.plugin.core.flow.WorkingDirectory
    outputFiles: ["*.txt"]
    tasks:
      - id: w1
        type: io.kestra.plugin.scripts.shell.Commands
        taskRunner: {type: io.kestra.plugin.core.runner.Process}
        commands: ["echo hi > a.txt"]
      - id: w2
        type: io.kestra.plugin.scripts.shell.Commands
        taskRunner: {type: io.kestra.plugin.core.runner.Process}
        commands: ["cat a.txt"]
  - id: items
    type: io.kestra.plugin.core.flow.ForEachItem
    items: "{{ outputs.write.uri }}"
    batch: {rows: 2}
    namespace: acme.data
    flowId: child
    inputs: {n: "{{ taskrun.iteration }}"}
  - id: loop
    type: io.kestra.plugin.core.flow.Loop
    values: [a, b]
    outputs: [{id: up, type: STRING, value: "{{ outputs.lt.value }}"}]
    tasks: [{id: lt, type: io.kestra.plugin.core.debug.Return, format: "{{ item.value | upper }}"}]
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: >-
      {{ inputs.password }} {{ outputs.call.outputs.total }} {{ loopOutputs(outputs.loop.outputs, 'up') }}
      {{ trigger.body.a }}
  - {id: approve, type: io.kestra.plugin.core.flow.Pause, onResume: [{id: reason, type: STRING}]}
  - {id: use, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.approve.onResume.reason }}"}
triggers:
  - {id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: sesame}
"""
TICKING = """\
id: ticking
namespace: acme.data
tasks: [{id: t, type: io.kestra.plugin.core.log.Log, message: "{{ trigger.date }}"}]
triggers:
  - {id: s, type: io.kestra.plugin.core.trigger.Schedule, cron: "* * * * * *", withSeconds: true}
"""
LISTENING = """\
id: listening
namespace: acme.data
tasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: "{{ trigger.executionId }}"}]
triggers:
  - {id: f, type: io.kestra.plugin.core.trigger.Flow, dependsOn: [{namespace: acme.data, flowId: ticking}]}
"""
SHAPE = {
    **dict.fromkeys(("write", "call", "wd", "w1", "w2", "items", "items_split", "items_items", "items_merge"), "SUCCESS"),
    **dict.fromkeys(("loop", "say"), "SUCCESS"),
    "approve": "PAUSED",
}


def test_a_webhook_starts_it_a_person_resumes_it_and_schedules_lead_to_more(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data").start()
    try:
        user, _, password = platform.login.partition(":")
        http = httpx.Client(base_url=platform.address, auth=(user, password), trust_env=False)
        for source in (CHILD, PARENT, LISTENING, TICKING):
            created = http.post("/api/v1/main/flows", content=source, headers={"content-type": "application/x-yaml"})
            assert created.status_code == 200, created.text
        begun = httpx.post(
            f"{platform.address}/api/v1/main/executions/webhook/acme.data/parent/sesame", json={"a": 7}, trust_env=False
        ).json()
        paused = _until(http, begun["id"], "PAUSED")
        assert {run["taskId"]: run["state"]["current"] for run in paused["taskRunList"]} == SHAPE
        assert paused["cause"]["kind"] == "webhook"
        (reason,) = http.get(f"/api/v1/main/executions/{begun['id']}/explain").json()["reasons"]
        assert reason["code"] == "task_run.paused"
        assert reason["waitsFor"]["inputs"][0]["id"] == "reason"
        assert http.post(f"/api/v1/main/executions/{begun['id']}/actions/resume", files={"none": (None, "")}).status_code == 422
        assert http.post(f"/api/v1/main/executions/{begun['id']}/actions/resume", files={"reason": (None, "ok")}).is_success
        ended = _until(http, begun["id"], "SUCCESS")
        outputs = {run["taskId"]: run.get("outputs") or {} for run in ended["taskRunList"]}
        assert outputs["use"] == {"value": "ok"}
        assert outputs["items_items"]["iterations"] == {"CREATED": 0, "RUNNING": 0, "SUCCESS": 3}
        lines = [line["message"] for line in http.get(f"/api/v1/main/logs/{begun['id']}").json()]
        assert '****** 42 ["A","B"] 7' in lines
        assert "hunter2hunter" not in str(ended)
        _follows(http)
        http.close()
    finally:
        platform.close()


def _until(http: httpx.Client, execution_id: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: dict[str, Any] = http.get(f"/api/v1/main/executions/{execution_id}").json()
        if found["state"]["current"] == state:
            return found
        time.sleep(0.2)
    raise AssertionError(f"it is not {state}: {states(found)}")


def _follows(http: httpx.Client) -> None:
    """Each execution of the schedule has one of its own that follows, and no instant has two."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        rows = http.get("/api/v1/main/executions/search", params={"flowId": "listening", "size": 100}).json()["results"]
        if len(rows) >= 3 and all(row["state"]["current"] == "SUCCESS" for row in rows):
            break
        time.sleep(0.5)
    causes = [row["trigger"]["variables"]["executionId"] for row in rows]
    assert len(causes) >= 3
    assert len(set(causes)) == len(causes)
    ticks = http.get("/api/v1/main/executions/search", params={"flowId": "ticking", "size": 100}).json()["results"]
    dates = [row["trigger"]["variables"]["date"] for row in ticks]
    assert len(set(dates)) == len(dates)
