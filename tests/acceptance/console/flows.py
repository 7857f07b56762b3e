"""Flows the browser tests run."""

from __future__ import annotations

NAMESPACE = "console.tests"

STORY = """
id: story
namespace: console.tests
tasks:
  - id: prepare
    type: io.kestra.plugin.core.log.Log
    message: ready
  - id: both
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - id: talk
        type: io.kestra.plugin.scripts.python.Script
        script: |
          import time
          for i in range(200):
              print(f"talk {i}", flush=True)
              time.sleep(0.02)
      - id: mutter
        type: io.kestra.plugin.scripts.python.Script
        script: |
          import time
          for i in range(100):
              print(f"mutter {i}", flush=True)
              time.sleep(0.03)
  - id: regions
    type: io.kestra.plugin.core.flow.ForEach
    values: ["north", "south"]
    tasks:
      - id: count
        type: io.kestra.plugin.core.debug.Return
        format: "{{ taskrun.value }}"
      - id: check
        type: io.kestra.plugin.core.log.Log
        message: "checked {{ taskrun.value }}"
"""

SLOW = """
id: slow
namespace: console.tests
tasks:
  - id: wait
    type: io.kestra.plugin.scripts.python.Script
    script: |
      import time
      for i in range(90):
          print(f"second {i}", flush=True)
          time.sleep(1)
"""

LONG = """
id: long
namespace: console.tests
tasks:
  - id: count
    type: io.kestra.plugin.scripts.python.Script
    script: |
      import time
      for i in range(400):
          print(f"line {i}", flush=True)
          time.sleep(0.05)
"""

MANY = """
id: many
namespace: console.tests
tasks:
  - id: flood
    type: io.kestra.plugin.scripts.python.Script
    script: |
      for i in range(100_000):
          print(f"line {i} of many")
"""

BROKEN = """
id: broken
namespace: console.tests
tasks:
  - id: fine
    type: io.kestra.plugin.core.log.Log
    message: fine
  - id: explode
    type: io.kestra.plugin.scripts.python.Script
    script: raise ValueError("the warehouse refused the connection")
"""

ASKING = """
id: asking
namespace: console.tests
description: Takes a number and a choice.
inputs:
  - id: rows
    type: INT
    min: 1
    description: How many rows.
  - id: mode
    type: SELECT
    values: [full, incremental]
    defaults: full
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "{{ inputs.rows }} rows, {{ inputs.mode }}"
"""

LOADING = """
id: loading
namespace: console.tests
tasks:
  - id: load
    type: io.kestra.plugin.scripts.python.Script
    script: |
      import os, dlt
      path = os.path.join(os.environ["WORKING_DIR"], "loading.duckdb") if "WORKING_DIR" in os.environ else "loading.duckdb"
      pipeline = dlt.pipeline("loading", destination=dlt.destinations.duckdb(path), dataset_name="shop")
      pipeline.run([{"id": i, "name": f"order {i}"} for i in range(42)], table_name="orders")
"""

ALL = {"story": STORY, "slow": SLOW, "long": LONG, "many": MANY, "broken": BROKEN, "asking": ASKING, "loading": LOADING}
