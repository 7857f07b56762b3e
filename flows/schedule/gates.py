"""Several executions that must meet in a window: what is remembered of it, and how one more execution changes it (§8.2).

A requirement that was met stays met until the window ends or its results are dropped, whatever its flow does later (trap 12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from flows.errors import HeadraceError
from flows.schedule.context import ConditionContext
from flows.schedule.facts import UpstreamExecution, iso
from flows.schedule.windows import Frame, Span


@dataclass(frozen=True, slots=True)
class Hit:
    """A requirement was met. `outputs`: of the execution that did, kept when the trigger hands them on."""

    at: datetime
    execution_id: str
    flow_id: str = ""
    outputs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WindowState:
    """One window, under way. `hits`: by requirement. `fired_at`: the last firing, of this window or of an earlier one."""

    key: str
    start: datetime
    end: datetime
    hits: Mapping[str, Hit] = field(default_factory=dict)
    fired_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data, for a JSON column."""
        hits = {
            name: {
                "at": iso(hit.at),
                "executionId": hit.execution_id,
                "flowId": hit.flow_id,
                **({"outputs": dict(hit.outputs)} if hit.outputs is not None else {}),
            }
            for name, hit in self.hits.items()
        }
        fired = {"firedAt": iso(self.fired_at)} if self.fired_at is not None else {}
        return {"key": self.key, "start": iso(self.start), "end": iso(self.end), "hits": hits, **fired}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WindowState:
        """What `to_json` gave."""
        hits = {
            name: Hit(datetime.fromisoformat(one["at"]), one["executionId"], one.get("flowId", ""), one.get("outputs"))
            for name, one in data["hits"].items()
        }
        fired = datetime.fromisoformat(data["firedAt"]) if "firedAt" in data else None
        return cls(data["key"], datetime.fromisoformat(data["start"]), datetime.fromisoformat(data["end"]), hits, fired)


Requirement = Callable[[ConditionContext], bool]


@dataclass(frozen=True, slots=True)
class Passage:
    """What one execution did to a gate. `window`: to store; None = nothing is kept. `hits`: what opened it, when it is open."""

    window: WindowState | None
    open: bool = False
    hits: Mapping[str, Hit] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """Requirements of which `need` must be met in one window.

    `reset`: after a firing the results are dropped; otherwise each further execution that meets a requirement fires again until
    the window ends (trap 13). `once`: at most one firing for a window. `keep_outputs`: of the executions that met a requirement.
    """

    key: str
    requirements: Mapping[str, Requirement]
    need: int
    frame: Frame
    reset: bool = True
    once: bool = False
    keep_outputs: bool = False

    def pass_(
        self, upstream: UpstreamExecution, window: WindowState | None, context: ConditionContext, now: datetime, zone: tzinfo
    ) -> Passage:
        """An execution comes by. Whether the gate is open for it, and the window afterwards, before any firing."""
        span = self.frame.span(now, zone)
        if span is None:
            return Passage(window)
        met, warnings = self._met(context)
        current = self._current(window, span, now)
        if not met:
            return Passage(current if current.hits or current.fired_at is not None else None, warnings=warnings)
        outputs = upstream.outputs if self.keep_outputs else None
        hit = Hit(now, upstream.id, upstream.flow_id, outputs)
        current = replace(current, hits={**current.hits, **dict.fromkeys(met, hit)})
        fired = self.once and self.fired_in(current, Span(current.start, current.end))
        return Passage(current, len(current.hits) >= self.need and not fired, current.hits, warnings)

    def fired(self, window: WindowState, now: datetime) -> WindowState:
        """The window after the trigger fired. When it fired is kept, so that a window that is over is known to be no miss."""
        return replace(window, hits={} if self.reset else window.hits, fired_at=now)

    def fired_in(self, window: WindowState | None, span: Span) -> bool:
        """Whether the trigger fired in that window, as far as is known."""
        return window is not None and window.fired_at is not None and span.start <= window.fired_at <= span.end

    def missing(self, window: WindowState | None) -> list[str]:
        """The requirements that have not been met, in their order."""
        met = window.hits if window is not None else {}
        return [name for name in self.requirements if name not in met]

    def _met(self, context: ConditionContext) -> tuple[list[str], tuple[str, ...]]:
        met: list[str] = []
        warnings: list[str] = []
        for name, requirement in self.requirements.items():
            try:
                if requirement(context):
                    met.append(name)
            except HeadraceError as error:
                warnings.append(f"the requirement {name} cannot be evaluated and counts as not met: {error}")
        return met, tuple(warnings)

    def _current(self, window: WindowState | None, span: Span, now: datetime) -> WindowState:
        """The stored window while it lasts, else a new one: partial results of an expired window are dropped."""
        if window is None:
            return WindowState(self.key, span.start, span.end)
        if self.frame.kind == "sliding":
            recent = {name: hit for name, hit in window.hits.items() if hit.at >= span.start}
            return replace(window, start=span.start, end=span.end, hits=recent)
        if window.start == span.start or (self.frame.kind == "aligned" and window.start <= now < window.end):
            return window
        return WindowState(self.key, span.start, span.end, fired_at=window.fired_at)
