"""A scripted plane and real agents: in a thread of the test, or as a process of its own that can be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.machine.tasks.blocks import WorkingDirectory
from flows.plugins import Catalogue
from tests.integration.worker import sample_tasks
from worker.agent import Agent
from worker.config import WorkerOptions
from worker.tasks import core, scripts
from worker.testing import AgentThread, FakeGateway


def make_catalogue() -> Catalogue:
    """The task types these tests use."""
    catalogue = Catalogue()
    for task_type in (*core.TASKS, *scripts.TASKS, *sample_tasks.TASKS):
        catalogue.register(task_type)
    catalogue.register(WorkingDirectory)
    return catalogue


@pytest.fixture
def plane() -> Iterator[FakeGateway]:
    with FakeGateway(catalogue=make_catalogue()) as gateway:
        yield gateway
        assert gateway.errors == []


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "worker"


@pytest.fixture
def agent(plane: FakeGateway, data: Path) -> Iterator[AgentThread]:
    options = WorkerOptions(plane=plane.address, data=data, join_token=plane.join_token, process_slots=4, drain_seconds=1.0)
    with AgentThread(Agent(options, make_catalogue())) as running:
        yield running


_PROGRAM = """
import sys, logging
from pathlib import Path
logging.basicConfig(level=logging.INFO)
import worker.agent
from tests.integration.worker.conftest import make_catalogue
from worker.config import WorkerOptions
worker.agent.discover = make_catalogue
plane, data, token = sys.argv[1:4]
sys.exit(worker.agent.run(WorkerOptions(plane=plane, data=Path(data), join_token=token or None, drain_seconds=20.0)))
"""

StartAgent = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start_agent(plane: FakeGateway, data: Path) -> Iterator[StartAgent]:
    """Starts agents as processes, all with the same data folder; those left are killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-c", _PROGRAM, plane.address, str(data), plane.join_token]
        started.append(subprocess.Popen(arguments))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
