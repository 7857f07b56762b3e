"""Flows that start by themselves, on the whole platform: a schedule, a file, a webhook that waits, and the flow behind them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.platform import Platform

EVERY_SECOND = """\
id: every_second
namespace: acme.triggers
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "due at {{ trigger.date }}"}
triggers:
  - id: cron
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "* * * * * *"
    withSeconds: true
"""
AFTER = """\
id: after
namespace: acme.triggers
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ trigger.executionId }}"}
triggers:
  - id: upstream
    type: io.kestra.plugin.core.trigger.Flow
    conditions:
      - type: io.kestra.plugin.core.condition.ExecutionFlow
        namespace: acme.triggers
        flowId: hooked
"""
HOOKED = """\
id: hooked
namespace: acme.triggers
tasks:
  - {id: shout, type: io.kestra.plugin.core.debug.Return, format: "{{ trigger.body.word | upper }}"}
outputs:
  - {id: word, type: STRING, value: "{{ outputs.shout.value }}"}
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: open-sesame
    wait: true
    returnOutputs: true
"""


def until(reached: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Waits for something; gives it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := reached():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come to be")


@pytest.mark.timeout(180)
def test_flows_start_by_themselves(platform: Platform, tmp_path: Path) -> None:
    client = platform.client()
    user, _, password = platform.login.partition(":")
    http = httpx.Client(base_url=platform.address, auth=(user, password), trust_env=False, timeout=60)

    def executions(flow_id: str) -> list[dict[str, Any]]:
        query = {"namespace": "acme.triggers", "flowId": flow_id, "size": "100"}
        found: list[dict[str, Any]] = http.get("/api/v1/main/executions/search", params=query).json()["results"]
        return found

    client.apply_flow(EVERY_SECOND, "acme.triggers", "every_second")
    found = until(lambda: len(executions("every_second")) >= 4 and executions("every_second"))
    dates = [execution["trigger"]["variables"]["date"] for execution in found]
    assert len(set(dates)) == len(dates)
    disabled = {"namespace": "acme.triggers", "flowId": "every_second", "triggerId": "cron", "disabled": True}
    assert http.put("/api/v1/main/triggers/set-disabled", json=disabled).json()["disabled"] is True

    client.apply_flow(HOOKED, "acme.triggers", "hooked")
    client.apply_flow(AFTER, "acme.triggers", "after")
    stranger = httpx.Client(base_url=platform.address, trust_env=False, timeout=60)
    path = "/api/v1/main/executions/webhook/acme.triggers/hooked/open-sesame"
    assert stranger.post(path, json={"word": "hello"}).json() == {"word": "HELLO"}
    assert stranger.post(path.replace("open-sesame", "guess"), json={}).status_code == 404
    (execution,) = executions("hooked")
    after = until(lambda: executions("after"))[0]
    assert after["trigger"]["variables"]["executionId"] == execution["id"]
    labels = {label["key"]: label["value"] for label in after["labels"]}
    assert labels["system.correlationId"] == execution["id"]
