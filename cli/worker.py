"""`headrace worker`: hands the options to the agent. Imports nothing of the control plane."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from worker.agent import run
from worker.config import WorkerOptions


def run_worker(plane: str, data: Path, join_token: str, name: str, process_slots: int, light_slots: int) -> int:
    """Runs the agent until it is stopped; returns its exit status. Empty and 0 mean the agent's own default."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    given: dict[str, Any] = {
        "join_token": join_token or None,
        "name": name,
        "process_slots": process_slots,
        "light_slots": light_slots,
    }
    return run(WorkerOptions(plane=plane, data=data, **{option: value for option, value in given.items() if value}))
