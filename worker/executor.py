"""Runs attempts: light tasks on the loop or in a thread, Python tasks in a forked process, script tasks by a runner."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import orjson

from flows.errors import HeadraceError
from flows.expressions import Names
from flows.plugins import TaskType
from wire import gateway
from worker import child, limits
from worker.agent_context import AgentContext, Toolbox
from worker.attempt import Attempt, Stopped, now_us, result_of
from worker.errors import TaskFailed
from worker.families import family_of
from worker.folders import Folders
from worker.lines import LineSplitter
from worker.logship import ERROR, INFO, LEVELS
from worker.rendering import Plan, Plans, timeout_seconds
from worker.runners.command import Ended, RunsCommand
from worker.runners.process import LineReader, Process
from worker.session import WorkerSession
from worker.slots import Slots
from worker.zygotes import COMMANDS, Exit, Order, Zygotes, clean_environment

_log = logging.getLogger("headrace.worker")
T = TypeVar("T")
_family = lru_cache(maxsize=256)(family_of)


class Executor:
    """Takes hand-outs and stops, gives results to the session. Belongs to the loop's thread.

    `changed` is called whenever the session has something new to send.
    """

    def __init__(
        self,
        session: WorkerSession,
        tools: Toolbox,
        plans: Plans,
        folders: Folders,
        zygotes: Zygotes,
        slots: tuple[int, int],
        changed: Callable[[], None],
    ) -> None:
        self._session = session
        self._tools = tools
        self._plans = plans
        self._folders = folders
        self._zygotes = zygotes
        self._light = Slots(slots[0])
        self._process = Slots(slots[1])
        self._changed = changed
        self._threads = ThreadPoolExecutor(max_workers=max(8, 2 * slots[1]), thread_name_prefix="headrace-task")
        self._running: dict[str, Attempt] = {}
        self._inline: deque[gateway.Assign] = deque()
        self._inline_planned = False
        self._flush_planned = False
        self._unflushed: dict[str, Attempt] = {}

    @property
    def running(self) -> list[Attempt]:
        """Attempts that run or wait for a slot."""
        return list(self._running.values())

    # ------------------------------------------------------------ in

    def start(self, assign: gateway.Assign) -> None:
        """Runs a hand-out, at once or when a slot is free; call `run_inline` after a batch of them."""
        try:
            plan = self._plans.of(assign)
        except Exception as error:  # noqa: BLE001 - a hand-out that cannot be read ends as failed, never the agent
            nothing = Plan(TaskType, {}, {}, Names(), waits=False, timeout=None, log_level=None)
            self._end(self._attempt(assign, nothing), None, error)
            return
        if plan.task_type.kind == "light" and not plan.waits and getattr(plan.task_type, "inline", False):
            # No slot: it is over before anything else could count it.
            self._inline.append(assign)
            return
        attempt = self._attempt(assign, plan)
        slots = self._light if plan.task_type.kind == "light" else self._process
        slots.take(attempt.token.lease_id, partial(self._launch, attempt, slots))

    def stop(self, token: gateway.AttemptToken, reason: str) -> None:
        """Ends an attempt. It answers by its result, unless the reason is `forget`."""
        attempt = self._running.get(token.lease_id)
        if attempt is None:
            # Still in line to run on the loop: taken out, ended unstarted.
            for assign in self._inline:
                if assign.token.lease_id == token.lease_id:
                    self._inline.remove(assign)
                    attempt = self._attempt(assign, self._plans.of(assign))
                    break
        if attempt is None:
            return
        attempt.stop(reason)
        waited = self._light.withdraw(token.lease_id) or self._process.withdraw(token.lease_id)
        if waited or attempt.task is None:
            self._end(attempt, None, Stopped())

    async def close(self) -> None:
        """Waits for what was stopped, then ends threads and fork servers."""
        tasks = [attempt.task for attempt in self._running.values() if attempt.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=limits.STOP_GRACE_SECONDS + 5)
        await self._zygotes.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _attempt(self, assign: gateway.Assign, plan: Plan) -> Attempt:
        token = assign.token
        attempt = Attempt(assign, plan, self._session, self._folders.of(token.task_run_id, token.attempt))
        self._running[token.lease_id] = attempt
        return attempt

    # ------------------------------------------------------------ light tasks on the loop

    def run_inline(self) -> None:
        """Runs the light tasks that wait, unless they have their turn already."""
        if self._inline and not self._inline_planned:
            self._run_inline()

    def _run_inline(self) -> None:
        """A few milliseconds of work; then messages get their turn."""
        self._inline_planned = False
        until = time.perf_counter() + limits.INLINE_SECONDS_MAX
        while self._inline:
            assign = self._inline.popleft()
            attempt = self._attempt(assign, self._plans.of(assign))
            outputs, error = None, None
            try:
                if attempt.plan.log_level is not None:
                    self._set_level(attempt, AgentContext(attempt, self._tools))
                context = AgentContext(attempt, self._tools)
                task = attempt.plan.whole or attempt.plan.task(context.scope)
                outputs = task.run(context)
            except Exception as failure:  # noqa: BLE001 - whatever a task raises ends its attempt, never the agent
                error = failure
            self._end(attempt, outputs, error)
            if time.perf_counter() > until and self._inline:
                self._inline_planned = True
                asyncio.get_running_loop().call_soon(self._run_inline)
                break
        self._changed()

    # ------------------------------------------------------------ everything else

    def _launch(self, attempt: Attempt, slots: Slots) -> None:
        attempt.started_at_us = now_us()
        attempt.log.on_pending = partial(self._flush_later, attempt)
        loop = asyncio.get_running_loop()
        attempt.task = loop.create_task(self._supervise(attempt, slots))
        if attempt.plan.task_type.kind == "light":
            attempt.started_timer = loop.call_later(limits.STARTED_AFTER_SECONDS, self._say_started, attempt)
        else:
            self._say_started(attempt)

    def _say_started(self, attempt: Attempt) -> None:
        self._session.started(attempt.token, attempt.started_at_us)
        self._changed()

    async def _supervise(self, attempt: Attempt, slots: Slots) -> None:
        outputs: Any = None
        error: Exception | None = None
        try:
            outputs = await self._execute(attempt)
        except asyncio.CancelledError:
            if attempt.stop_reason is None:
                attempt.stop_reason = "drain"  # only the end of the agent cancels without a reason
            error = Stopped()
        except Exception as failure:  # noqa: BLE001 - whatever a task raises ends its attempt, never the agent
            error = failure
        self._end(attempt, outputs, error)
        slots.free()

    async def _execute(self, attempt: Attempt) -> Any:
        task_type = attempt.plan.task_type
        context, task = await self._thread(self._prepare, attempt)
        run_async = getattr(task, "run_async", None)
        if run_async is not None:
            return await run_async(context)
        if isinstance(task, RunsCommand):
            return await self._run_command(attempt, context, task)
        if task_type.kind == "process":
            return await self._run_python(attempt, context, task)
        return await self._thread(task.run, context)

    def _prepare(self, attempt: Attempt) -> tuple[AgentContext, TaskType]:
        """In a thread: secrets, expressions, the typed task, its timeout."""
        context = AgentContext(attempt, self._tools)
        plan = attempt.plan
        context.prefetch_secrets()
        if plan.timeout is not None:
            attempt.timeout_text = str(context.render(plan.timeout))
            self._tools.bridge.soon(self._set_timeout, attempt, timeout_seconds(attempt.timeout_text))
        if plan.log_level is not None:
            self._set_level(attempt, context)
        return context, plan.whole or plan.task(context.scope)

    def _set_level(self, attempt: Attempt, context: AgentContext) -> None:
        attempt.log.level_min = LEVELS.get(str(context.render(attempt.plan.log_level)), INFO)

    def _set_timeout(self, attempt: Attempt, seconds: float) -> None:
        if attempt.ended:
            return
        spent = (now_us() - attempt.started_at_us) / 1_000_000
        attempt.timeout_timer = asyncio.get_running_loop().call_later(max(0.0, seconds - spent), attempt.stop, "timeout")

    def _thread(self, call: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *arguments))

    # ------------------------------------------------------------ processes

    async def _run_command(self, attempt: Attempt, context: AgentContext, task: RunsCommand) -> Any:
        command = await self._thread(task.command, context)
        env = {**clean_environment(), **self._marks(attempt), **command.env}
        process = Process()
        readers = self._readers(attempt)
        order = Order(env, command.cwd, attempt.token.lease_id, command.argv)
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
        return await self._thread(task.collect, context, Ended(exit_code, readers[0].lines_count, readers[1].lines_count, said))

    async def _watch(self, attempt: Attempt, context: AgentContext, task: RunsCommand) -> None:
        """Asks a running command's task how far it is, when it can tell."""
        latest = getattr(task, "latest_progress", None)
        while latest is not None:
            await asyncio.sleep(limits.PROGRESS_SECONDS)
            what = await self._thread(latest, context)
            if what is not None:
                self._tools.report(attempt, what)

    async def _run_python(self, attempt: Attempt, context: AgentContext, task: TaskType) -> Any:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=child.LINE_BYTES_MAX)
        task_type = type(task)
        writer.write(orjson.dumps(self._order(context, task, task_type), default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n")
        conversation = asyncio.ensure_future(self._converse(attempt, context, reader, writer))
        order = Order({**clean_environment(), **self._marks(attempt)}, context.workdir, attempt.token.lease_id)
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
            "HEADRACE_LEASE": token.lease_id,
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
                self._tools.report(attempt, said["progress"])
            elif "warning" in said:
                attempt.warning = said["warning"]
            elif "call" in said:
                answer = await self._answer(context, said["call"], said["arguments"])
                writer.write(orjson.dumps({"id": said["id"], **answer}, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n")
            else:
                return said

    async def _answer(self, context: AgentContext, name: str, arguments: list[Any]) -> dict[str, Any]:
        calls: dict[str, Callable[..., Any]] = {
            "render": context.render,
            "output_file": lambda path, label: context.output_file(Path(path), label),
            "input_file": context.input_file,
            "namespace_files": context.namespace_files,
        }
        try:
            value = await self._thread(calls[name], *arguments)
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

    # ------------------------------------------------------------ out

    def _flush_later(self, attempt: Attempt) -> None:
        """Lines wait for company, all attempts' together: one timer however many are chatting."""
        self._unflushed[attempt.token.lease_id] = attempt
        if not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_later(limits.LOG_BATCH_SECONDS, self._flush_all)

    def _flush_all(self) -> None:
        self._flush_planned = False
        waiting, self._unflushed = self._unflushed, {}
        for attempt in waiting.values():
            attempt.log.flush()
        self._changed()

    def _end(self, attempt: Attempt, outputs: Any, error: Exception | None) -> None:
        if attempt.ended:
            return
        attempt.ended = True
        attempt.close_timers()
        lease_id = attempt.token.lease_id
        self._running.pop(lease_id, None)
        self._unflushed.pop(lease_id, None)
        if error is not None and not isinstance(error, HeadraceError | Stopped):
            _log.warning("task %s failed unexpectedly: %s", attempt.assign.task_id, type(error).__name__, exc_info=error)
        result = result_of(attempt, outputs, error)
        self._session.finished(result)
        if attempt.folders.made:
            succeeded = result.outcome in (gateway.SUCCESS, gateway.WARNING)
            self._threads.submit(attempt.folders.remove, succeeded=succeeded)
        if not self._inline:
            self._changed()


def _crashed(ended: Exit) -> str:
    if ended.status == -9:
        why = "it was killed by signal 9, as the system does when memory runs out"
    elif ended.status < 0:
        why = f"it was ended by signal {-ended.status}"
    else:
        why = f"it left with exit code {ended.status}"
    return f"The task's process ended without a result: {why}. Its last lines are in the log."
