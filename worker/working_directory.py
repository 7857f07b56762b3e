"""WorkingDirectory on the worker (execution-semantics §6.10): one hand-out, one directory, its children in order in it.

The children are task runs of their own: the worker gives them ids, runs their attempts under the lease of the WorkingDirectory
and reports each one when it is over; their logs, files and metrics carry their own ids. Each sees the outputs of those before
it. `runIf`/`when` of a child is evaluated here (later versions; the 0.21 line does not look at it). `outputFiles` are captured
even when a child failed, so that error handlers can look at them. The children of a repeated attempt are new task runs.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from flows.errors import HeadraceError
from flows.expressions import Names, render_value, truthy
from flows.machine.context import nest_outputs
from flows.machine.events import SubRun
from flows.machine.states import State
from flows.plugins import Dynamic, Properties, TaskType
from flows.spec.durations import parse_duration
from wire import gateway
from wire.ids import encode
from worker.agent_context import AgentContext
from worker.attempt import Attempt, Stopped, now_us, result_of
from worker.child_retry import Retries
from worker.directory_cache import DirectoryCache
from worker.errors import TaskFailed
from worker.folders import Folders
from worker.names import files_below, matches
from worker.rendering import Plan, Plans
from worker.running import Running
from worker.session import WorkerSession
from worker.subruns import child_run, message_of
from worker.tasks.bring_in import NamespaceFiles, bring_in


class Cache(Properties):
    """Which files are kept for the next execution, and for how long."""

    patterns: Dynamic[list[str]]
    ttl: str | None = None


class Directory(Properties):
    """What the WorkingDirectory itself brings in, keeps and captures."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    input_files: Dynamic[dict[str, Any]] | None = None
    output_files: Dynamic[list[str]] = Field(default=[])
    namespace_files: Dynamic[NamespaceFiles] | None = None
    cache: Cache | None = None


@dataclass(slots=True)
class _Stay:
    """One attempt's time in its directory."""

    attempt: Attempt
    context: AgentContext
    variables: dict[str, Any]
    directory: Directory
    cache: DirectoryCache | None
    value: str | None
    path: tuple[str, ...]
    warning: str | None = None
    failed: str | None = None


class WorkingDirectories:
    """Runs hand-outs that hold tasks. Belongs to the loop's thread; shared by all attempts of an agent."""

    def __init__(
        self, running: Running, plans: Plans, folders: Folders, session: WorkerSession, log_waits: Callable[[Attempt], None]
    ) -> None:
        self._running = running
        self._plans = plans
        self._folders = folders
        self._session = session
        self._log_waits = log_waits

    async def outputs_of(self, attempt: Attempt) -> dict[str, Any]:
        """Runs the children. Raises TaskFailed (`task.child_failed`) with the captured files, Stopped when ended from outside."""
        stay = await self._running.thread(self._enter, attempt)
        for position, written in enumerate(attempt.plan.children):
            if written.get("disabled") is True:
                continue
            await self._child(stay, position, written)
            if attempt.stop_reason is not None:
                raise Stopped
            if stay.failed is not None:
                break
        outputs = await self._running.thread(self._leave, stay)
        if stay.failed is not None:
            text = f"The task {stay.failed} of the working directory failed."
            raise TaskFailed(text, code="task.child_failed", outputs=outputs)
        attempt.warning = stay.warning
        return outputs

    # ------------------------------------------------------------ the directory

    def _enter(self, attempt: Attempt) -> _Stay:
        """In a thread: cache, then namespace files, then input files, each over what was there."""
        context = AgentContext(attempt, self._running.tools)
        self._running.begin(attempt, context)
        directory = _directory(render_value(attempt.plan.templated, context.scope))
        variables: dict[str, Any] = orjson.loads(attempt.assign.context_json) if attempt.assign.context_json else {}
        value = (variables.get("taskrun") or {}).get("value")
        values = [(parent.get("taskrun") or {}).get("value") for parent in variables.get("parents") or ()]
        path = tuple(one for one in reversed(values) if one is not None)
        cache = self._cache(attempt, directory.cache, value)
        if cache is not None and cache.restore(context.workdir, _beside(attempt)):
            context.log("DEBUG", "The cache of an earlier execution was restored.")
        bring_in(context, directory.namespace_files, directory.input_files)
        return _Stay(attempt, context, variables, directory, cache, value, path)

    def _cache(self, attempt: Attempt, wanted: Cache | None, value: str | None) -> DirectoryCache | None:
        if wanted is None:
            return None
        try:
            ttl: timedelta | None = parse_duration(wanted.ttl) if wanted.ttl is not None else None
        except ValueError as error:
            raise TaskFailed(f"cache.ttl: {error}", code="task.property_invalid") from None
        tools = self._running.tools
        patterns: Any = wanted.patterns
        return DirectoryCache(tools.door, tools.bridge, attempt.lease, value, patterns, ttl)

    def _leave(self, stay: _Stay) -> dict[str, Any]:
        """In a thread: captures output files, keeps the cache."""
        patterns: Any = stay.directory.output_files
        work = stay.context.workdir
        present = files_below(work) if patterns else {}
        found = {name: path for name, path in present.items() if any(matches(pattern, name) for pattern in patterns)}
        outputs = {"outputFiles": stay.context.files.output_files(found)} if patterns else {}
        if stay.cache is not None and stay.failed is None:
            stay.cache.save(work, _beside(stay.attempt))
        return outputs

    # ------------------------------------------------------------ the children

    async def _child(self, stay: _Stay, position: int, written: Mapping[str, Any]) -> None:
        """One child, with all its attempts; reported when it is over."""
        above = stay.attempt
        run_id = _run_id(above.token, position)
        retries = Retries(written.get("retry"), now_us())
        number = 1
        while True:
            result, metrics = await self._try(stay, written, run_id, number)
            if result is None:
                # Told of by nobody: the WorkingDirectory is lost with it, and its next attempt runs all children again.
                above.stop_reason = above.stop_reason or "lost"
                return
            wait = retries.wait_seconds(number, now_us()) if result.outcome == gateway.FAILED and not above.stop_reason else None
            if wait is None:
                break
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                if above.stop_reason == "kill":
                    result.outcome = gateway.KILLED
                self._over(stay, written, result, metrics, warned=False)
                raise
            number += 1
        self._over(stay, written, result, metrics, warned=retries.warning_on_retry and number > 1)

    def _over(
        self, stay: _Stay, written: Mapping[str, Any], result: gateway.Result, metrics: list[gateway.Metric], *, warned: bool
    ) -> None:
        """A child is over: told of with the state its flags leave, its error telling how its last attempt really ended."""
        above = stay.attempt
        run = child_run(result, str(written.get("id")), stay.value)
        run = replace(run, state=_softened(run.state, written, warned=warned))
        if above.stop_reason not in ("forget", "lease", "drain", "lost"):
            message = message_of(run, above.masker, metrics)
            self._session.report(gateway.Report(token=above.lease, runs=[message]))
        self._settle(stay, run)

    async def _try(
        self, stay: _Stay, written: Mapping[str, Any], run_id: str, number: int
    ) -> tuple[gateway.Result | None, list[gateway.Metric]]:
        above = stay.attempt
        outputs, error = None, None
        try:
            child = self._attempt(stay, written, run_id, number)
        except Exception as failure:  # noqa: BLE001 - a child that cannot be read ends as failed, never the agent
            child = self._unreadable(stay, written, run_id, number)
            error = failure
        else:
            skipped = await self._skipped(child, written)
            if skipped is True:
                child.ended = True
                token = child.token
                return gateway.Result(token=token, outcome=gateway.SKIPPED), []
            if isinstance(skipped, Exception):
                error = skipped
            else:
                outputs, error = await self._run(above, child)
        child.ended = True
        child.close_timers()
        result = result_of(child, outputs, error)
        succeeded = result.outcome in (gateway.SUCCESS, gateway.WARNING)
        if child.folders.made:
            await self._running.thread(partial(child.folders.remove, succeeded=succeeded))
        return (None if result.outcome == gateway.LOST else result), list(result.metrics)

    async def _run(self, above: Attempt, child: Attempt) -> tuple[Any, Exception | None]:
        """Runs a child's attempt; whatever stops the WorkingDirectory meanwhile stops it."""
        child.task = asyncio.ensure_future(self._running.outputs_of(child))

        def stop() -> None:
            child.timeout_text = child.timeout_text if above.stop_reason != "timeout" else above.timeout_text
            child.stop(above.stop_reason or "drain")

        above.on_stop = stop
        try:
            if above.stop_reason is not None:
                stop()
            await asyncio.wait((child.task,))
        except asyncio.CancelledError:
            child.stop(above.stop_reason or "drain")
            raise
        finally:
            above.on_stop = None
        if child.task.cancelled():
            child.stop_reason = child.stop_reason or "drain"
            return None, Stopped()
        error = child.task.exception()
        if isinstance(error, Exception):
            return None, error
        return child.task.result(), None

    async def _skipped(self, child: Attempt, written: Mapping[str, Any]) -> bool | Exception:
        """Whether `runIf` (2.0: `when`) says no; the error when it cannot be told, which fails the child."""
        condition = written.get("runIf", written.get("when"))
        if condition is None:
            return False

        def holds() -> bool:
            return truthy(AgentContext(child, self._running.tools).render(condition))

        try:
            return not await self._running.thread(holds)
        except HeadraceError as error:
            return error

    def _attempt(self, stay: _Stay, written: Mapping[str, Any], run_id: str, number: int) -> Attempt:
        above = stay.attempt
        assign = self._assign(stay, written, run_id, number)
        return self._made(above, assign, self._plans.of(assign))

    def _unreadable(self, stay: _Stay, written: Mapping[str, Any], run_id: str, number: int) -> Attempt:
        """An attempt for a child that no plan can be made of: only its end is told."""
        nothing = Plan(TaskType, {}, {}, Names(), waits=False, timeout=None, log_level=None)
        return self._made(stay.attempt, self._assign(stay, written, run_id, number), nothing)

    def _made(self, above: Attempt, assign: gateway.Assign, plan: Plan) -> Attempt:
        token = assign.token
        folders = self._folders.of(token.task_run_id, token.attempt, work=above.folders)
        child = Attempt(assign, plan, self._session, folders, above)
        child.log.on_pending = partial(self._log_waits, child)
        return child

    def _assign(self, stay: _Stay, written: Mapping[str, Any], run_id: str, number: int) -> gateway.Assign:
        """The child's hand-out as the plane would have made it: the variables so far, its own task and task run over them."""
        above = stay.attempt
        task_id, task_type = str(written.get("id")), str(written.get("type"))
        started = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        taskrun = {"id": run_id, "startDate": started, "attemptsCount": number - 1, "parentId": above.token.task_run_id}
        worker_taskrun = {"id": above.token.task_run_id}
        if stay.value is not None:
            taskrun["value"] = worker_taskrun["value"] = stay.value
        own = {"task": {"id": task_id, "type": task_type}, "taskrun": taskrun, "workerTaskrun": worker_taskrun}
        token = gateway.AttemptToken(
            execution_id=above.token.execution_id, task_run_id=run_id, attempt=number, lease_id=above.token.lease_id
        )
        return gateway.Assign(
            token=token,
            task_type=task_type,
            task_json=orjson.dumps(dict(written)),
            context_json=orjson.dumps({**stay.variables, **own}),
            namespace=above.assign.namespace,
            flow_id=above.assign.flow_id,
            flow_revision=above.assign.flow_revision,
            task_id=task_id,
        )

    def _settle(self, stay: _Stay, run: SubRun) -> None:
        """What a child's end means for those after it and for the whole."""
        if run.state is State.FAILED:
            stay.failed = run.task_id
        elif run.state is State.WARNING:
            stay.warning = f"The task {run.task_id} of the working directory ended with a warning."
        if run.outputs:
            tree = stay.variables.setdefault("outputs", {})
            nest_outputs(tree, run.task_id, stay.path, stay.value, run.outputs)
        if isinstance(stay.variables.get("tasks"), dict):
            entry: dict[str, Any] = {"state": run.state.value}
            known = stay.variables["tasks"].setdefault(run.task_id, {})
            known.update(entry if stay.value is None else {stay.value: entry})


def _softened(state: State, written: Mapping[str, Any], *, warned: bool) -> State:
    """The task run's state after `warningOnRetry`, `allowFailure` and `allowWarning`, in that order (semantics §9.1)."""
    if warned and state is State.SUCCESS:
        state = State.WARNING
    if state is State.FAILED and written.get("allowFailure") is True:
        state = State.WARNING
    if state is State.WARNING and written.get("allowWarning") is True:
        state = State.SUCCESS
    return state


def _directory(rendered: Mapping[str, Any]) -> Directory:
    try:
        return Directory.model_validate(rendered, context={"rendered": True})
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise TaskFailed(f"The rendered properties do not fit: {found}", code="task.property_invalid") from None


def _beside(attempt: Attempt) -> Path:
    """A folder of the attempt outside the directory its children see."""
    return attempt.folders.folder("files")


def _run_id(token: gateway.AttemptToken, position: int) -> str:
    """The id of a child: the same whenever this attempt is told of, another one in each attempt."""
    digest = hashlib.sha256(f"{token.task_run_id}/{token.attempt}/{position}".encode()).digest()
    return encode(int.from_bytes(digest[:16]))
