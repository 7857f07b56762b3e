"""Runs one attempt to its outputs: on the loop, in a thread, in a forked process, as a command of a runner."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import orjson

from flows.errors import HeadraceError
from flows.plugins import TaskType
from wire import gateway
from worker import child, limits
from worker.agent_context import AgentContext, Toolbox
from worker.attempt import Attempt, Stopped, now_us, outputs_json
from worker.errors import TaskFailed
from worker.families import family_of
from worker.kept import Kept, digest_of
from worker.lines import LineSplitter
from worker.logship import ERROR, INFO, LEVELS
from worker.rendering import Plans, timeout_seconds
from worker.runners.command import Ended, RunsCommand
from worker.runners.process import LineReader, Process
from worker.steps import step_of
from worker.zygotes import COMMANDS, Exit, Order, Zygotes, clean_environment

_log = logging.getLogger("headrace.worker")
T = TypeVar("T")
_family = lru_cache(maxsize=256)(family_of)


class Running:
    """What turns attempts into outputs. Belongs to the loop's thread; shared by all attempts of an agent."""

    def __init__(self, tools: Toolbox, plans: Plans, zygotes: Zygotes, threads: ThreadPoolExecutor) -> None:
        self.tools = tools
        self._plans = plans
        self._zygotes = zygotes
        self._threads = threads

    async def outputs_of(self, attempt: Attempt) -> Any:
        """Renders and runs. Raises whatever the task raises; Stopped when its process was ended from outside.

        Outputs that are JSON already (of an earlier run that stands for this one) are bytes.
        """
        context, task = await self.thread(self._prepare, attempt)
        becomes = getattr(task, "becomes", None)
        if becomes is not None:
            self._become(attempt, becomes())
            return await self.outputs_of(attempt)
        if attempt.plan.cache_ttl_ms is not None:
            return await self._outputs_or_kept(attempt, context, task)
        return await self._outputs(attempt, context, task)

    def _become(self, attempt: Attempt, written: Mapping[str, Any]) -> None:
        """From now on the attempt is that of another task, written by a template. Raises TaskFailed."""
        assign = gateway.Assign()
        assign.CopyFrom(attempt.assign)
        assign.task_type = str(written["type"])
        assign.task_json = orjson.dumps(written, default=str)
        plan = self._plans.of(assign)
        if plan.holds_tasks:
            raise TaskFailed("A templated task must be a runnable one, found a WorkingDirectory.", code="task.spec_invalid")
        attempt.assign, attempt.plan = assign, plan

    async def _outputs_or_kept(self, attempt: Attempt, context: AgentContext, task: TaskType) -> Any:
        """With `taskCache`: the outputs of an earlier run with the same rendered properties, or else this run's, kept for others.

        Key: tenant, namespace, flow, task and the digest of type and rendered properties (flow-language §9).
        """
        kept = Kept(attempt, self.tools.door)
        digest = await self.thread(digest_of, context, task, attempt.plan)
        found = await kept.find(digest)
        if found is not None:
            attempt.log.line(INFO, "The result of an earlier run with the same properties is used.")
            return found
        outputs = outputs_json(await self._outputs(attempt, context, task), attempt.masker)
        await kept.keep(digest, outputs)
        return outputs

    async def _outputs(self, attempt: Attempt, context: AgentContext, task: TaskType) -> Any:
        run_async = getattr(task, "run_async", None)
        if run_async is not None:
            return await run_async(context)
        if isinstance(task, RunsCommand):
            return await self._run_command(attempt, context, task)
        if task.kind == "process":
            return await self._run_python(attempt, context, task)
        return await self.thread(task.run, context)

    def _prepare(self, attempt: Attempt) -> tuple[AgentContext, TaskType]:
        context = AgentContext(attempt, self.tools)  # made here: it knows the loop's thread from the others
        self.begin(attempt, context)
        return context, attempt.plan.whole or attempt.plan.task(context.scope)

    def begin(self, attempt: Attempt, context: AgentContext) -> None:
        """In a thread, before anything else: secrets, the timeout, the level of the log."""
        plan = attempt.plan
        context.prefetch_secrets()
        if plan.timeout is not None:
            attempt.timeout_text = str(context.render(plan.timeout))
            self.tools.bridge.soon(self._set_timeout, attempt, timeout_seconds(attempt.timeout_text))
        set_level(attempt, context)
        if plan.log_to_file and attempt.sub_run is None:
            self.tools.bridge.soon(attempt.log.to_file, context.scratch("log") / "log.txt")

    def _set_timeout(self, attempt: Attempt, seconds: float) -> None:
        if attempt.ended:
            return
        if attempt.timeout_timer is not None:
            attempt.timeout_timer.cancel()  # the task became another one
        spent = (now_us() - attempt.started_at_us) / 1_000_000
        attempt.timeout_timer = asyncio.get_running_loop().call_later(max(0.0, seconds - spent), attempt.stop, "timeout")

    def thread(self, call: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Runs a call that waits in one of the agent's threads."""
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *arguments))

    # ------------------------------------------------------------ commands

    async def _run_command(self, attempt: Attempt, context: AgentContext, task: RunsCommand) -> Any:
        command = await self.thread(task.command, context)
        env = {**clean_environment(), **self._marks(attempt), **command.env}
        process = Process()
        readers = self._readers(attempt)
        order = Order(env, command.cwd, attempt.marker, command.argv)
        watching = asyncio.ensure_future(self._watch(attempt, context, task))
        try:
            ended = await self._run(attempt, process, order, COMMANDS, readers, None)
        finally:
            watching.cancel()
        exit_code = ended.status if ended.status >= 0 else 128 - ended.status
        for metric in attempt.protocol.metrics:
            self._take_metric(attempt, metric)
        if attempt.stop_reason is not None:
            raise Stopped
        said = attempt.protocol.outputs
        return await self.thread(task.collect, context, Ended(exit_code, readers[0].lines_count, readers[1].lines_count, said))

    async def _watch(self, attempt: Attempt, context: AgentContext, task: RunsCommand) -> None:
        """Asks a running command's task how far it is, when it can tell."""
        latest = getattr(task, "latest_progress", None)
        while latest is not None:
            await asyncio.sleep(limits.PROGRESS_SECONDS)
            what = await self.thread(latest, context)
            if what is not None:
                self.tools.report(attempt, what)

    # ------------------------------------------------------------ Python tasks

    async def _run_python(self, attempt: Attempt, context: AgentContext, task: TaskType) -> Any:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=child.LINE_BYTES_MAX)
        task_type = type(task)
        writer.write(orjson.dumps(self._order(context, task, task_type), default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n")
        conversation = asyncio.ensure_future(self._converse(attempt, context, reader, writer))
        order = Order({**clean_environment(), **self._marks(attempt)}, context.workdir, attempt.marker)
        process = Process()
        # Once nobody listens any more, the task has nobody to work for.
        conversation.add_done_callback(lambda done: process.stop() if done.cancelled() or done.result() is None else None)
        try:
            ended = await self._run(attempt, process, order, _family(task_type), self._readers(attempt), theirs)
            said = await conversation
        finally:
            conversation.cancel()
            writer.close()
        for metric in attempt.protocol.metrics:
            self._take_metric(attempt, metric)
        if said is None:
            if attempt.stop_reason is not None:
                raise Stopped
            raise TaskFailed(_crashed(ended), code="task.crashed", outputs=attempt.protocol.outputs)
        if "failed" in said:
            told = said["failed"]
            if "where" in told:
                _log.warning("task %s failed unexpectedly:\n%s", attempt.assign.task_id, attempt.masker.mask(told["where"]))
            raise TaskFailed(told["message"], code=told["code"], outputs=told["outputs"])
        return {**attempt.protocol.outputs, **said["outputs"]} if attempt.protocol.outputs else said["outputs"]

    async def _run(
        self,
        attempt: Attempt,
        process: Process,
        order: Order,
        family: str,
        readers: tuple[LineReader, LineReader],
        control: socket.socket | None,
    ) -> Exit:
        attempt.on_stop = process.stop
        try:
            if attempt.stop_reason is not None:
                process.stop()
            ended = await process.run(self._zygotes.of(family), order, *readers, control)
        finally:
            attempt.on_stop = None
        if ended.lost and attempt.stop_reason is None:
            attempt.stop_reason = "lost"
        return ended

    def _marks(self, attempt: Attempt) -> dict[str, str]:
        """What names the attempt to its process: a key stable across attempts, one unique to this one."""
        token = attempt.token
        return {
            "HEADRACE_EXECUTION_ID": token.execution_id,
            "HEADRACE_TASK_RUN_ID": token.task_run_id,
            "HEADRACE_ATTEMPT": str(token.attempt),
            "HEADRACE_LEASE": attempt.marker,
            "WORKING_DIR": str(attempt.folders.work),
        }

    def _readers(self, attempt: Attempt) -> tuple[LineReader, LineReader]:
        def reader(level: int) -> LineReader:
            splitter = LineSplitter(attempt.masker, attempt.protocol.take)
            return LineReader(splitter, partial(attempt.log.lines, level))

        return reader(INFO), reader(ERROR)

    def _order(self, context: AgentContext, task: TaskType, task_type: type[TaskType]) -> dict[str, Any]:
        return {
            "module": task_type.__module__,
            "name": task_type.__qualname__,
            "properties": task.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "context": {
                "token": dict(context.token),
                "namespace": context.namespace,
                "flow_id": context.flow_id,
                "task_id": context.task_id,
                "workdir": str(context.workdir),
                "state_dir": str(context.state_dir),
                "data_dir": str(context.data_dir),
                "variables": context.variables,
            },
        }

    async def _converse(
        self, attempt: Attempt, context: AgentContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> dict[str, Any] | None:
        """Serves a Python task until it says how it ended; None when it went away without a word."""
        while True:
            try:
                line = await reader.readline()
            except (ConnectionError, ValueError):
                return None
            try:
                said: dict[str, Any] = orjson.loads(line)
            except orjson.JSONDecodeError:  # also: no line at all
                return None
            if "log" in said:
                attempt.log.line(LEVELS.get(said["log"][0], INFO), said["log"][1])
            elif "metric" in said:
                attempt.add_metric(*said["metric"])
            elif "progress" in said:
                self.tools.report(attempt, said["progress"])
            elif "warning" in said:
                attempt.warning = said["warning"]
            elif "sub_runs" in said:
                self.tools.sub_runs(attempt, [step_of(told) for told in said["sub_runs"]])
            elif "call" in said:
                answer = await self._answer(context, said["call"], said["arguments"])
                writer.write(orjson.dumps({"id": said["id"], **answer}, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n")
            else:
                return said

    async def _answer(self, context: AgentContext, name: str, arguments: Sequence[Any]) -> dict[str, Any]:
        calls: dict[str, Callable[..., Any]] = {
            "render": context.render,
            "output_file": lambda path, label: context.output_file(Path(path), label),
            "input_file": context.input_file,
            "namespace_files": partial(_namespace_files, context),
        }
        try:
            value = await self.thread(calls[name], *arguments)
        except HeadraceError as error:
            return {"failed": {"message": str(error), "code": error.code}}
        except Exception as error:  # noqa: BLE001 - the task waits for an answer, whatever went wrong
            _log.warning("%s for task %s failed unexpectedly", name, context.task_id, exc_info=error)
            return {"failed": {"message": f"{name}: {error}", "code": "task.error"}}
        return {"value": value}

    def _take_metric(self, attempt: Attempt, metric: dict[str, Any]) -> None:
        try:
            kind = str(metric.get("type", "counter"))
            value = metric.get("value", 0)
            number = timeout_seconds(value) if kind == "timer" and isinstance(value, str) else float(value)
            attempt.add_metric(str(metric["name"]), number, kind, metric.get("tags") or {})
        except (KeyError, TypeError, ValueError, HeadraceError):
            attempt.log.line(LEVELS["WARN"], f"A metric could not be read: {str(metric)[:200]}")


def set_level(attempt: Attempt, context: AgentContext) -> None:
    """Applies the task's `logLevel`: lines below it are not kept."""
    if attempt.plan.log_level is not None:
        attempt.log.level_min = LEVELS.get(str(context.render(attempt.plan.log_level)), INFO)


def _namespace_files(
    context: AgentContext, include: list[str], exclude: list[str], namespaces: list[str], if_exists: str, per_namespace: bool
) -> list[str]:
    """As a process asks for it: everything in order."""
    return context.namespace_files(include, exclude, namespaces, if_exists=if_exists, folder_per_namespace=per_namespace)


def _crashed(ended: Exit) -> str:
    if ended.status == -9:
        why = "it was killed by signal 9, as the system does when memory runs out"
    elif ended.status < 0:
        why = f"it was ended by signal {-ended.status}"
    else:
        why = f"it left with exit code {ended.status}"
    return f"The task's process ended without a result: {why}. Its last lines are in the log."
