"""What a worker is told at its start."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from worker import limits

LIGHT_SLOTS = 1_000


def default_process_slots() -> int:
    """Twice the cores, at least four: tasks mostly wait for networks and disks."""
    return max(4, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Options of `headrace worker`.

    `plane`: HOST:PORT of the plane's gRPC door. `data`: folder of this worker alone: credential, spool, runs, cache, data.
    `join_token`: needed at the first start only. `default_runner`: what runs script tasks that name no `taskRunner`.
    `drain_seconds`: how long running attempts may go on after SIGTERM. `tls`: talk TLS; `tls_ca`: PEM file of the authority.
    `preload`: families of task types (names of entry points) whose warm interpreter starts with the agent; others start
    when first used. `local_paths`: folders of this machine that file triggers may look into (HEADRACE_LOCAL_PATHS, separated
    as in PATH); none by default.
    """

    plane: str
    data: Path
    join_token: str | None = None
    name: str = field(default_factory=socket.gethostname)
    labels: Mapping[str, str] = field(default_factory=dict)
    light_slots: int = LIGHT_SLOTS
    process_slots: int = field(default_factory=default_process_slots)
    default_runner: Literal["process", "docker"] = "process"
    drain_seconds: float = 30.0
    tls: bool = False
    tls_ca: Path | None = None
    preload: tuple[str, ...] = field(
        default_factory=lambda: tuple(name.strip() for name in os.environ.get("HEADRACE_PRELOAD", "").split(",") if name.strip())
    )
    local_paths: tuple[Path, ...] = field(
        default_factory=lambda: tuple(
            Path(name).absolute() for name in os.environ.get("HEADRACE_LOCAL_PATHS", "").split(os.pathsep) if name
        )
    )
    spool_log_bytes_max: int = limits.SPOOL_LOG_BYTES_MAX
