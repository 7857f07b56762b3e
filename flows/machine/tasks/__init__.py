"""The task types that are decided by the machine: what may be written. How they move is in the modules of `flows.machine`."""

from __future__ import annotations

from flows.machine.tasks import blocks, branching, executables, loops, pausing, updating

TASKS = (*blocks.TASKS, *branching.TASKS, *loops.TASKS, *pausing.TASKS, *executables.TASKS, *updating.TASKS)
