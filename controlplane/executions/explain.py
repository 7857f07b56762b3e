"""Why an execution stands where it stands: what each part of it waits for, who holds it, until when, and what would free it.

Machine-readable: every reason has a stable `code`. A reason is about the execution, or about one task run of it that is not over.
The answer is made from what is stored, by one query a table; nothing is kept for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from django.db.models import Count

from controlplane.catalog.queries import load_flow
from controlplane.engine.concurrency import HOLDING, newest_limit
from controlplane.engine.leasing import LEASE_SECONDS
from controlplane.executions.models import Execution, HandOut, Timer
from controlplane.executions.queries import Row, open_task_runs
from controlplane.fleet.models import Worker
from controlplane.platform.clock import iso, now_us
from flows.errors import HeadraceError
from flows.machine.retries import policy_of
from flows.machine.states import TERMINATED, State
from flows.spec.input_shapes import inputs_of
from flows.spec.model import Flow, Task

REASONS_MAX = 500
"""Task runs explained one by one; beyond, `left_off` says how many more are not over."""

NAMED_MAX = 20
"""Executions named in one reason."""

Reason = dict[str, Any]


def explain(row: Row) -> dict[str, Any]:
    """`{executionId, state, cause, reasons, leftOff}` of an execution's row (`queries.find_execution`)."""
    found = _Explanation(row)
    runs = open_task_runs(row["tenant_id"], row["id"])
    reasons = list(found.of_execution())
    for run in runs[:REASONS_MAX]:
        reasons.extend(found.of_run(run))
    body: dict[str, Any] = {
        "executionId": row["id"],
        "state": row["state"],
        "cause": orjson.loads(row["cause"]) if row["cause"] else {"kind": "unknown"},
        "reasons": reasons,
        "leftOff": max(0, len(runs) - REASONS_MAX),
    }
    return body


class _Explanation:
    """What is stored about one execution, read once."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.tenant: str = row["tenant_id"]
        self.id: str = row["id"]
        self.state = State(row["state"])
        self.now = now_us()
        self.extra: dict[str, Any] = orjson.loads(row["extra"]) if row["extra"] else {}
        mine = {"tenant_id": self.tenant, "execution_id": self.id}
        self.hand_outs: dict[str, Any] = {one["task_run_id"]: one for one in HandOut.objects.filter(**mine).values()}
        self.timers: dict[tuple[str, str], int] = {}
        for timer in Timer.objects.filter(**mine).values("task_run_id", "kind", "due_at_us"):
            self.timers[timer["task_run_id"], timer["kind"]] = timer["due_at_us"]
        self.held: set[str] = set(self.extra.get("held", ()))
        self._flow: Flow | None = None
        try:
            self._flow = load_flow(self.tenant, row["namespace"], row["flow_id"], row["flow_revision"]).flow
        except HeadraceError:
            self._flow = None
        self._connected: dict[str, int] = {}

    def task(self, task_id: str) -> Task | None:
        """The task as written, when the flow can still be read."""
        return self._flow.index.get(task_id) if self._flow is not None else None

    # -- the execution ------------------------------------------------------------------------------------------------

    def of_execution(self) -> Iterator[Reason]:
        """What holds the execution as a whole."""
        if self.state is State.CREATED:
            due = self.timers.get(("", "start"))
            if due is not None:
                yield self._reason("execution.scheduled", "it starts at its date", until=due, unblocked_by=["time", "force-run"])
            else:
                yield self._reason("execution.starting", "its first step is about to be taken", unblocked_by=["engine"])
        elif self.state is State.QUEUED:
            yield self._queued()
        elif self.state is State.PAUSED and self.extra.get("paused"):
            yield self._reason("execution.paused", "it was paused by hand", unblocked_by=["resume", "kill"])
        elif self.state is State.BREAKPOINT:
            breakpoints = self.extra.get("breakpoints", [])
            yield self._reason(
                "execution.breakpoint",
                "it stands at a breakpoint",
                waits_for={"breakpoints": breakpoints},
                unblocked_by=["resume-from-breakpoint", "force-run", "kill"],
            )
        elif self.state is State.RETRIED and ("", "rerun") in self.timers:
            due = self.timers["", "rerun"]
            yield self._reason("execution.rerun", "it is tried again as a new execution", until=due, unblocked_by=["time"])
        for (run_id, kind), due in sorted(self.timers.items()):
            if not run_id and kind.startswith("sla:") and self.state not in TERMINATED:
                text = f"service level {kind[4:]} is violated when it is not over by then"
                yield self._reason("execution.sla", text, until=due, unblocked_by=["end of the execution"], sla=kind[4:])

    def _queued(self) -> Reason:
        same = Execution.objects.filter(tenant_id=self.tenant, namespace=self.row["namespace"], flow_id=self.row["flow_id"])
        before = same.filter(state="QUEUED", created_at_us__lt=self.row["created_at_us"]).count()
        holders = same.filter(state__in=[state.value for state in HOLDING]).order_by("created_at_us")
        limit = newest_limit(_newest, (self.tenant, self.row["namespace"], self.row["flow_id"]))
        flow = f"{self.row['namespace']}.{self.row['flow_id']}"
        return self._reason(
            "execution.queued",
            f"all places of flow {flow} are taken; {before} executions stand before it in the line",
            waits_for={"flow": flow, "limit": limit.limit if limit is not None else None, "ahead": before},
            held_by={"executions": list(holders.values_list("id", flat=True)[:NAMED_MAX]), "count": holders.count()},
            unblocked_by=["end of an execution that holds a place", "unqueue", "force-run", "kill"],
        )

    # -- task runs ----------------------------------------------------------------------------------------------------

    def of_run(self, run: Row) -> Iterator[Reason]:
        """What one task run waits for."""
        state = State(run["state"])
        hand_out = self.hand_outs.get(run["id"])
        task = self.task(run["task_id"])
        if hand_out is not None:
            yield self._handed_out(run, hand_out)
            return
        if state is State.RETRYING:
            yield self._retrying(run, task)
        elif state is State.PAUSED:
            yield self._paused(run, task)
        elif state is State.BREAKPOINT:
            yield self._of(
                run,
                "task_run.breakpoint",
                "a breakpoint stands before it",
                unblocked_by=["resume-from-breakpoint", "force-run", "kill"],
            )
        elif run["id"] in self.held or state in (State.CREATED, State.RESTARTED):
            yield self._of(
                run,
                "task_run.held",
                f"nothing new starts while the execution is {self.state}",
                waits_for={"execution": self.id, "state": self.state.value},
                unblocked_by=["resume", "resume-from-breakpoint", "kill"],
            )
        elif task is not None and task.kind == "executable":
            yield self._children(run)
        else:
            yield self._of(
                run, "task_run.children_open", "task runs below it are not over", unblocked_by=["end of those task runs", "kill"]
            )

    def _handed_out(self, run: Row, hand_out: Mapping[str, Any]) -> Reason:
        group, attempt = hand_out["worker_group"], hand_out["attempt"]
        if hand_out["lease_id"] is None:
            connected = self._workers(group)
            slots = "light" if hand_out["light"] else "process"
            waits_for = {"workerGroup": group, "slots": slots, "connectedWorkers": connected}
            if connected:
                return self._of(
                    run,
                    "task_run.no_free_slot",
                    f"no worker of group {group} has a free {slots} slot",
                    waits_for=waits_for,
                    unblocked_by=["end of another attempt of the group", "another worker", "kill"],
                )
            return self._of(
                run,
                "task_run.no_worker",
                f"no worker of group {group} is connected",
                waits_for=waits_for,
                unblocked_by=["a worker of the group", "kill"],
            )
        worker, until = hand_out["worker_id"], hand_out["lease_until_us"]
        held_by = {"workerId": worker, "attempt": attempt}
        if until < self.now:
            return self._of(
                run,
                "task_run.lease_lost",
                f"worker {worker} did not renew its lease; the attempt is handed out again at the next sweep",
                held_by=held_by,
                until=until,
                unblocked_by=["sweeper", "kill"],
            )
        code = "task_run.stopping" if hand_out["stop"] else "task_run.leased"
        text = "was told to stop it" if hand_out["stop"] else "holds it"
        deadline = self.timers.get((run["id"], "timeout"))
        more = {"timeoutAt": iso(deadline)} if deadline is not None else {}
        return self._of(
            run,
            code,
            f"worker {worker} {text}; its lease runs until then unless it is renewed",
            held_by=held_by,
            until=until,
            unblocked_by=["result of the worker", "end of the lease", "kill"],
            **more,
        )

    def _retrying(self, run: Row, task: Task | None) -> Reason:
        retry = policy_of(self._flow, task) if self._flow is not None and task is not None else None
        most = retry.attempts_max if retry is not None else None
        upcoming = run["attempt"] + 1
        return self._of(
            run,
            "task_run.retry",
            f"attempt {upcoming}{f' of {most}' if most is not None else ''} begins then",
            until=self.timers.get((run["id"], "retry")),
            unblocked_by=["time", "kill"],
            attempt=upcoming,
            attemptsMax=most,
        )

    def _paused(self, run: Row, task: Task | None) -> Reason:
        due = self.timers.get((run["id"], "round"))
        if due is not None:
            return self._of(
                run, "task_run.round", "the next round begins then", until=due, unblocked_by=["time", "resume", "kill"]
            )
        written = task.properties.get("onResume") if task is not None else None
        asked = [{"id": one.id, "type": one.type, "required": one.required} for one in inputs_of(written)] if written else []
        for kind, then in (("pause", "it goes on by itself then"), ("pause_timeout", "it fails then")):
            due = self.timers.get((run["id"], kind))
            if due is not None:
                return self._of(
                    run,
                    "task_run.paused",
                    f"it waits to be resumed; {then}",
                    waits_for={"inputs": asked},
                    until=due,
                    unblocked_by=["time", "resume", "kill"],
                )
        return self._of(
            run, "task_run.paused", "it waits to be resumed", waits_for={"inputs": asked}, unblocked_by=["resume", "kill"]
        )

    def _children(self, run: Row) -> Reason:
        children = Execution.objects.filter(
            tenant_id=self.tenant, parent_execution_id=self.id, parent_task_run_id=run["id"], ended_at_us__isnull=True
        )
        states = {one["state"]: one["n"] for one in children.values("state").annotate(n=Count("id")).order_by("state")}
        named = list(children.order_by("created_at_us", "id").values("id", "state")[:NAMED_MAX])
        return self._of(
            run,
            "task_run.child_executions",
            f"{sum(states.values())} executions it started are not over",
            waits_for={"executions": named, "states": states},
            unblocked_by=["end of those executions", "kill"],
        )

    def _workers(self, group: str) -> int:
        if group not in self._connected:
            since = self.now - LEASE_SECONDS * 1_000_000
            workers = Worker.objects.filter(
                tenant_id=self.tenant, worker_group=group, revoked_at_us__isnull=True, seen_at_us__gt=since
            )
            self._connected[group] = workers.count()
        return self._connected[group]

    # -- shape --------------------------------------------------------------------------------------------------------

    def _of(self, run: Row, code: str, message: str, **more: Any) -> Reason:
        found = self._reason(code, f"{run['task_id']}: {message}", **more)
        found |= {"taskRunId": run["id"], "taskId": run["task_id"], "state": run["state"]}
        if run["value"] is not None:
            found["value"] = run["value"]
        return found

    def _reason(
        self,
        code: str,
        message: str,
        *,
        waits_for: Mapping[str, Any] | None = None,
        held_by: Mapping[str, Any] | None = None,
        until: int | None = None,
        unblocked_by: list[str] | None = None,
        **more: Any,
    ) -> Reason:
        found: Reason = {"code": code, "message": message, "state": self.state.value}
        if waits_for is not None:
            found["waitsFor"] = {name: value for name, value in waits_for.items() if value is not None}
        if held_by is not None:
            found["heldBy"] = dict(held_by)
        if until is not None:
            found["until"] = iso(until)
        found["unblockedBy"] = unblocked_by or []
        found.update((name, value) for name, value in more.items() if value is not None)
        return found


def _newest(tenant: str, namespace: str, flow_id: str) -> tuple[int, Flow]:
    loaded = load_flow(tenant, namespace, flow_id, None)
    return loaded.revision, loaded.flow
