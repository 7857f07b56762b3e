"""What tasks ask of the plane, over the real door: keys, secret inputs, batches, file functions, kept results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.support.platform import Platform, states

FLOW = """\
id: keys
namespace: acme.data
inputs:
  - {id: password, type: SECRET, defaults: hunter2hunter}
tasks:
  - {id: set, type: io.kestra.plugin.core.kv.Set, key: k, value: "{{ 41 + 1 }}"}
  - {id: get, type: io.kestra.plugin.core.kv.Get, key: k}
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ outputs.get.value }} {{ kv('k') }} {{ inputs.password }}"}
  - {id: write, type: io.kestra.plugin.core.storage.Write, content: "a\\nb\\nc\\n"}
  - id: split
    type: io.kestra.plugin.core.flow.ForEachItem$ForEachItemSplit
    items: "{{ outputs.write.uri }}"
    batch: {rows: 2}
  - {id: lines, type: io.kestra.plugin.core.debug.Return, format: "{{ read(outputs.split.splits) }}"}
  - {id: size, type: io.kestra.plugin.core.debug.Return, format: "{{ fileSize(outputs.write.uri) }} {{ errorLogs() | length }}"}
  - id: kept
    type: io.kestra.plugin.core.debug.Return
    format: "{{ fileExists(outputs.write.uri) }}"
    taskCache: {enabled: true, ttl: PT1H}
"""


def test_keys_secrets_batches_and_kept_results_work_over_the_real_door(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data").start()
    try:
        client = platform.client()
        user, _, password = platform.login.partition(":")
        http = httpx.Client(base_url=platform.address, auth=(user, password), trust_env=False)
        created = http.post("/api/v1/main/flows", content=FLOW, headers={"content-type": "application/x-yaml"})
        assert created.status_code == 200, created.text
        for _ in range(2):
            begun = http.post("/api/v1/main/executions/acme.data/keys", files={"none": (None, "")}).json()
            ended: dict[str, Any] = platform.wait(client, begun["id"])
            assert ended["state"]["current"] == "SUCCESS", states(ended)
        outputs = {run["taskId"]: run.get("outputs") or {} for run in ended["taskRunList"]}
        assert outputs["get"] == {"value": 42}
        assert outputs["lines"]["value"].count("kestra:///") == 2
        assert outputs["size"] == {"value": "6 0"}
        assert outputs["kept"] == {"value": "true"}
        lines = [line["message"] for line in http.get(f"/api/v1/main/logs/{ended['id']}").json()]
        assert "42 42 ******" in lines
        assert "The result of an earlier run with the same properties is used." in lines
        assert http.get("/api/v1/main/namespaces/acme.data/kv/k").json()["value"] == 42
        assert "hunter2hunter" not in http.get(f"/api/v1/main/executions/{ended['id']}").text
        http.close()
    finally:
        platform.close()
