"""Task types for tests of the fork server: what a third party's family would look like."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from flows.machine.events import SubRun
from flows.machine.states import State
from flows.plugins import Dynamic, Properties, TaskType
from worker.context import TaskContext
from worker.errors import TaskFailed

PREFIX = "tests.sample."


class FactsOutputs(Properties):
    """What the task saw."""

    pid: int
    threads: int
    uri: str
    copied: str
    rendered: str
    attempt: int
    path_exists: bool


class Facts(TaskType):
    """Uses everything a context has."""

    types: ClassVar[tuple[str, ...]] = (PREFIX + "Facts",)
    outputs: ClassVar[type[Properties]] = FactsOutputs
    unrendered: ClassVar[frozenset[str]] = frozenset({"late"})

    word: Dynamic[str]
    late: str = ""

    def run(self, context: TaskContext) -> FactsOutputs:
        print("printed by the task")
        print("to standard error", file=sys.stderr)
        context.log("WARN", f"word is {self.word}")
        context.metric("rows", 3, tags={"table": "games"})
        context.progress(step="load", done=1, total=2)
        (context.workdir / "out.txt").write_text("made here")
        (context.state_dir / "kept").write_text("x")
        copied = context.input_file("some text", "in/put.txt").read_text()
        return FactsOutputs(
            pid=os.getpid(),
            threads=threading.active_count(),
            uri=context.output_file(Path("out.txt")),
            copied=copied,
            rendered=context.render(self.late),
            attempt=context.attempt,
            path_exists=context.data_dir.is_dir(),
        )


class Misbehave(TaskType):
    """Ends in one of the ways a task should not."""

    types: ClassVar[tuple[str, ...]] = (PREFIX + "Misbehave",)

    how: str

    def run(self, context: TaskContext) -> Any:
        match self.how:
            case "fail":
                raise TaskFailed("the source is away", code="sample.away", outputs={"kept": 1})
            case "raise":
                raise ZeroDivisionError("a bug")
            case "exit":
                sys.exit(3)
            case "vanish":
                os._exit(4)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                print("hanging", flush=True)
                time.sleep(600)
        return None


class Slow(TaskType):
    """A light task that blocks a thread."""

    types: ClassVar[tuple[str, ...]] = (PREFIX + "Slow",)
    kind: ClassVar[Any] = "light"

    seconds: float

    def run(self, context: TaskContext) -> dict[str, Any]:
        time.sleep(self.seconds)
        return {"thread": threading.current_thread().name}


class Steps(TaskType):
    """Tells of steps: the last one failed."""

    types: ClassVar[tuple[str, ...]] = (PREFIX + "Steps",)

    names: list[str]

    def run(self, context: TaskContext) -> None:
        *good, bad = self.names
        for name in good:
            context.report(SubRun("", name, State.SUCCESS, took_us=5))
        context.report(SubRun("", bad, State.FAILED, error={"code": "x", "message": "broken"}))


TASKS = (Facts, Misbehave, Slow, Steps)
