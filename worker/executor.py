"""Takes hand-outs and stops, gives each attempt a slot, sees it to its end and hands its result on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from flows.errors import HeadraceError
from flows.expressions import Names
from flows.plugins import TaskType
from wire import gateway
from worker import encrypted, limits
from worker.agent_context import AgentContext, Toolbox
from worker.attempt import Attempt, Stopped, now_us, result_of
from worker.errors import TaskFailed
from worker.folders import Folders
from worker.rendering import Plan, Plans
from worker.running import Running, set_level
from worker.session import WorkerSession
from worker.slots import Slots
from worker.working_directory import WorkingDirectories
from worker.zygotes import Zygotes

_log = logging.getLogger("headrace.worker")


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
        self._running = Running(tools, plans, zygotes, self._threads)
        self._directories = WorkingDirectories(self._running, plans, folders, session, self._flush_later)
        self._attempts: dict[str, Attempt] = {}
        self._inline: deque[gateway.Assign] = deque()
        self._inline_planned = False
        self._flush_planned = False
        self._unflushed: dict[str, Attempt] = {}

    @property
    def running(self) -> list[Attempt]:
        """Attempts that run or wait for a slot."""
        return list(self._attempts.values())

    # ------------------------------------------------------------ in

    def start(self, assign: gateway.Assign) -> None:
        """Runs a hand-out, at once or when a slot is free; call `run_inline` after a batch of them."""
        try:
            plan = self._plans.of(assign)
        except Exception as error:  # noqa: BLE001 - a hand-out that cannot be read ends as failed, never the agent
            nothing = Plan(TaskType, {}, {}, Names(), waits=False, timeout=None, log_level=None)
            self._end(self._attempt(assign, nothing), None, error)
            return
        if plan.inline and encrypted.MARK not in assign.context_json:
            # No slot: it is over before anything else could count it.
            self._inline.append(assign)
            return
        attempt = self._attempt(assign, plan)
        slots = self._light if plan.task_type.kind == "light" else self._process
        slots.take(attempt.token.lease_id, partial(self._launch, attempt, slots))

    def stop(self, token: gateway.AttemptToken, reason: str) -> None:
        """Ends an attempt. It answers by its result, unless the reason is `forget`."""
        attempt = self._attempts.get(token.lease_id)
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
        tasks = [attempt.task for attempt in self._attempts.values() if attempt.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=limits.STOP_GRACE_SECONDS + 5)
        await self._zygotes.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _attempt(self, assign: gateway.Assign, plan: Plan) -> Attempt:
        token = assign.token
        attempt = Attempt(assign, plan, self._session, self._folders.of(token.task_run_id, token.attempt))
        self._attempts[token.lease_id] = attempt
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
                context = AgentContext(attempt, self._tools)
                set_level(attempt, context)
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
            if attempt.plan.holds_tasks:
                outputs = await self._directories.outputs_of(attempt)
            else:
                outputs = await self._running.outputs_of(attempt)
        except asyncio.CancelledError:
            if attempt.stop_reason is None:
                attempt.stop_reason = "drain"  # only the end of the agent cancels without a reason
            error = Stopped()
        except Exception as failure:  # noqa: BLE001 - whatever a task raises ends its attempt, never the agent
            error = failure
        if attempt.log.file is None:
            self._end(attempt, outputs, error)
        else:
            await self._end_with_file(attempt, outputs, error)
        slots.free()

    # ------------------------------------------------------------ out

    def _flush_later(self, attempt: Attempt) -> None:
        """Lines wait for company, all attempts' together: one timer however many are chatting."""
        self._unflushed[attempt.marker] = attempt
        if not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_later(limits.LOG_BATCH_SECONDS, self._flush_all)

    def _flush_all(self) -> None:
        self._flush_planned = False
        waiting, self._unflushed = self._unflushed, {}
        for attempt in waiting.values():
            attempt.log.flush()
        self._changed()

    async def _end_with_file(self, attempt: Attempt, outputs: Any, error: Exception | None) -> None:
        """The end of an attempt whose log is a file: it is stored before the result is told."""
        if attempt.ended:
            return
        result = self._result(attempt, outputs, error)
        path = attempt.log.file
        try:
            if path is not None and path.exists():
                result.log_file = (await self._tools.door.put_file(attempt.lease, "log.txt", path)).uri
        except (TaskFailed, asyncio.CancelledError) as failure:
            _log.warning("the log file of %s could not be stored: %s", attempt.assign.task_id, failure)
        self._hand_in(attempt, result)

    def _end(self, attempt: Attempt, outputs: Any, error: Exception | None) -> None:
        if not attempt.ended:
            self._hand_in(attempt, self._result(attempt, outputs, error))

    def _result(self, attempt: Attempt, outputs: Any, error: Exception | None) -> gateway.Result:
        attempt.ended = True
        attempt.close_timers()
        self._unflushed.pop(attempt.marker, None)
        if error is not None and not isinstance(error, HeadraceError | Stopped):
            _log.warning("task %s failed unexpectedly: %s", attempt.assign.task_id, type(error).__name__, exc_info=error)
        return result_of(attempt, outputs, error)

    def _hand_in(self, attempt: Attempt, result: gateway.Result) -> None:
        self._attempts.pop(attempt.token.lease_id, None)
        self._session.finished(result)
        if attempt.folders.made:
            succeeded = result.outcome in (gateway.SUCCESS, gateway.WARNING)
            self._threads.submit(attempt.folders.remove, succeeded=succeeded)
        if not self._inline:
            self._changed()
