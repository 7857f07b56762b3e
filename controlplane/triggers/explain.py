"""Why a trigger does not fire just now: machine-readable reasons, one for each thing that stands in the way.

Pure: a row and what is known around it in, reasons out. A reason has a stable `code`, a sentence, and the facts the sentence is
made of; `until` and `since` are instants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.platform.clock import iso
from controlplane.triggers.rows import StateRow
from flows.machine.states import State


@dataclass(frozen=True, slots=True)
class World:
    """What the rows do not say themselves. `executions`: state of those that hold a lock, by id. `groups`: worker groups with a
    connected worker. `flows`: `disabled`, `draft` or `enabled` by (namespace, flow id), for triggers that are not live.
    """

    now_us: int
    executions: Mapping[str, str] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    flows: Mapping[tuple[str, str], str] = field(default_factory=dict)


def explain_trigger(row: StateRow, world: World) -> list[dict[str, Any]]:
    """The reasons, what forbids it before what it waits for. Empty for a webhook that would answer."""
    reasons = _switched_off(row, world)
    if reasons:
        return reasons
    reasons = _held(row, world)
    if row.reason is not None:
        reasons.append(_last_look(row.reason))
    match row.kind:
        case "schedule":
            reasons.extend(_waits(row, world, "schedule.waits", "the next date is"))
        case "polling":
            reasons.extend(_no_worker(row, world))
            reasons.extend(_waits(row, world, "polling.waits", "it is evaluated next at"))
        case "realtime":
            reasons.extend(_no_worker(row, world))
            if row.evaluation_id is not None:
                reasons.append(
                    _reason(
                        "realtime.listens",
                        f"worker {row.worker_id} listens; an event starts an execution",
                        workerId=row.worker_id,
                    )
                )
        case "flow":
            reasons.extend(_windows(row))
    return reasons


def _reason(code: str, message: str, **facts: Any) -> dict[str, Any]:
    return {"code": code, "message": message, **{name: value for name, value in facts.items() if value is not None}}


def _switched_off(row: StateRow, world: World) -> list[dict[str, Any]]:
    reasons = []
    flow = world.flows.get((row.namespace, row.flow_id))
    if not row.live and flow in ("disabled", "draft"):
        what = "is disabled" if flow == "disabled" else "is a draft"
        reasons.append(_reason(f"flow.{flow}", f"flow {row.namespace}.{row.flow_id} {what}: nothing of it is evaluated"))
    if row.declared_disabled:
        reasons.append(_reason("trigger.declared_disabled", "the flow's text says disabled: true for this trigger"))
    if row.disabled:
        by = dict(row.disabled_by or {})
        at = by.pop("at", None)
        facts = {**by, "since": None if at is None else iso(at)}
        reasons.append(
            _reason("trigger.disabled", f"it was switched off at run time {_by_whom(by)}; enable it to go on", **facts)
        )
    if not row.live and not reasons:
        reasons.append(_reason("flow.inactive", "the flow cannot run as it is saved now"))
    return reasons


def _by_whom(by: Mapping[str, Any]) -> str:
    match by.get("kind"):
        case "stopAfter":
            return f"by stopAfter: execution {by.get('executionId')} ended {by.get('state')}"
        case "toggle":
            return "by a Toggle task" + (f" of execution {by['executionId']}" if by.get("executionId") else "")
        case "user":
            return f"by {by.get('user')}"
        case _:
            return "by someone"


def _held(row: StateRow, world: World) -> list[dict[str, Any]]:
    reasons = []
    if row.execution_id is not None:
        state = world.executions.get(row.execution_id)
        if state is not None and not State(state).terminated:
            reasons.append(
                _reason(
                    "trigger.locked",
                    f"its execution {row.execution_id} is {state}; only one runs at a time (allowConcurrent lifts this)",
                    executionId=row.execution_id,
                    state=state,
                    since=None if row.locked_at_us is None else iso(row.locked_at_us),
                )
            )
    if row.evaluation_id is not None and row.kind == "polling":
        since = None if row.evaluation_since_us is None else iso(row.evaluation_since_us)
        until = None if row.evaluation_until_us is None else iso(row.evaluation_until_us)
        message = f"worker {row.worker_id} evaluates it since {since}"
        reasons.append(_reason("trigger.evaluating", message, workerId=row.worker_id, since=since, until=until))
    if row.backfill is not None:
        paused = bool(row.backfill.get("paused"))
        code, what = ("backfill.paused", "a backfill is paused") if paused else ("backfill.running", "a backfill runs")
        current, end = row.backfill.get("current") or row.backfill.get("start"), row.backfill.get("end")
        reasons.append(
            _reason(
                code,
                f"{what}; regular dates wait until it is over or deleted",
                currentDate=_when(current),
                end=_when(end),
            )
        )
    return reasons


def _when(value: Any) -> str | None:
    return iso(value) if isinstance(value, int) else value


def _last_look(reason: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: value for name, value in reason.items() if name not in ("code", "message", "at")}
    at = reason.get("at")
    return _reason(str(reason.get("code")), str(reason.get("message", "")), at=_when(at), **facts)


def _waits(row: StateRow, world: World, code: str, what: str) -> list[dict[str, Any]]:
    if row.backfill is not None and row.backfill.get("paused"):
        return []
    if row.next_at_us is None:
        return [_reason("trigger.exhausted", "no further date will come")]
    until = iso(row.next_at_us)
    if row.next_at_us > world.now_us:
        return [_reason(code, f"{what} {until}", until=until)]
    return [_reason("trigger.due", f"it is due since {until} and taken up within a second once nothing holds it", since=until)]


def _no_worker(row: StateRow, world: World) -> list[dict[str, Any]]:
    if row.worker_group in world.groups:
        return []
    return [
        _reason(
            "worker.none",
            f"no worker of group {row.worker_group} is connected; start one to have this trigger evaluated",
            workerGroup=row.worker_group,
        )
    ]


def _windows(row: StateRow) -> list[dict[str, Any]]:
    memory = row.memory or {}
    waiting = memory.get("waiting")
    until = memory.get("until") or (None if row.next_at_us is None else iso(row.next_at_us))
    if not waiting:
        return [_reason("flow.waits", "it waits for an execution that meets its conditions", until=until)]
    names = ", ".join(str(name) for name in waiting)
    end = f" until {until}" if until else ""
    return [_reason("flow.window", f"its window waits for {names}{end}", waitingFor=list(waiting), until=until)]
