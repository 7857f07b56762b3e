"""Flow triggers: what follows when an execution of another flow changes its state (triggers-and-conditions §8).

    rule = FlowTriggerRule.of(trigger, FlowFacts.of(flow), server)
    followed = rule.follow(upstream, windows, now)      # `windows`: by key, what was stored for this trigger
    # store followed.windows (None: delete), and create followed.firing, in one transaction

A flow never triggers itself; that A starts B and B starts A is nobody's to prevent (trap 15).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flows.errors import HeadraceError
from flows.expressions import Budget, Scope, regexes, render_value
from flows.machine.states import TERMINATED, State
from flows.plugins import ConditionType
from flows.schedule.conditions import MultipleCondition, Register, ask
from flows.schedule.context import ConditionContext
from flows.schedule.due import DEFAULT_SERVER, Server, conditions_of, gate, rendered_labels, shaped
from flows.schedule.facts import FlowFacts, UpstreamExecution, iso, trigger_key
from flows.schedule.flow_trigger import Dependency, Filter, Flow, Preconditions, UpstreamFlow, Where
from flows.schedule.gates import Gate, Hit, Passage, Requirement, WindowState
from flows.schedule.state import Failure, Firing, Reason
from flows.schedule.windows import Frame
from flows.spec.model import Trigger

STATES_1X = frozenset(state.value for state in TERMINATED | {State.PAUSED})
"""States a trigger of the 1.x form follows unless it says which: every end, and PAUSED (trap 14)."""

STATES_20 = frozenset(state.value for state in TERMINATED)
"""The same for a trigger that uses `when`: every end. Entries of `dependsOn` have their own."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What follows. `windows`: those that changed, by key; None = delete. `reason`: why nothing fires, when the trigger waits."""

    firing: Firing | None = None
    windows: Mapping[str, WindowState | None] = field(default_factory=dict)
    reason: Reason | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class FlowTriggerRule:
    """One Flow trigger, compiled. Shared between threads."""

    trigger: Trigger
    flow: FlowFacts
    shape: Flow
    conditions: tuple[ConditionType, ...]
    gates: tuple[Gate, ...]
    server: Server

    @classmethod
    def of(
        cls, trigger: Trigger, flow: FlowFacts, server: Server = DEFAULT_SERVER, register: Register | None = None
    ) -> FlowTriggerRule:
        """The rule of a Flow trigger. Raises RuleInvalid."""
        shape = shaped(Flow, trigger)
        given = conditions_of(trigger, register)
        plain = tuple(one for one in given if not isinstance(one, MultipleCondition))
        base = f"{flow.id}/{trigger.id}"
        gates = [_multiple(base, one) for one in given if isinstance(one, MultipleCondition)]
        if shape.preconditions is not None:
            gates.append(_preconditions(base, shape.preconditions))
        if shape.depends_on is not None:
            gates.append(_dependencies(base, shape))
        return cls(trigger, flow, shape, plain, tuple(gates), server)

    @property
    def key(self) -> str:
        """`namespace/flow/trigger`."""
        return trigger_key(self.flow, self.trigger)

    @property
    def new_form(self) -> bool:
        """Whether it is written in the 2.0 form: then what cannot be rendered becomes a FAILED execution."""
        return self.shape.depends_on is not None or self.trigger.when is not None

    @property
    def states(self) -> frozenset[str] | None:
        """The states it looks at; None: any, the entries of `dependsOn` say which."""
        if self.shape.states is not None:
            return frozenset(self.shape.states)
        if self.shape.depends_on is not None:
            return None
        return STATES_20 if self.trigger.when is not None else STATES_1X

    def concerns(self, upstream: UpstreamExecution) -> bool:
        """Whether it looks at that execution at all. Cheap: nothing is rendered."""
        own = (upstream.namespace, upstream.flow_id) == (self.flow.namespace, self.flow.id)
        if own or upstream.tenant != self.flow.tenant or upstream.kind != "NORMAL":
            return False
        if self.flow.disabled or self.trigger.disabled:
            return False
        states = self.states
        if states is not None:
            return upstream.state in states
        entries = self.shape.depends_on or ()
        return any(_fits(entry, upstream) and upstream.state in entry.states for entry in entries)

    def follow(self, upstream: UpstreamExecution, windows: Mapping[str, WindowState], now: datetime) -> Followed:
        """What follows from a change of state that was made now. Conditions that fail count as false, with a warning."""
        if not self.concerns(upstream):
            return Followed()
        context = self._context(upstream, _variables(upstream))
        verdict = ask(self.conditions, context)
        verdict = gate(self.trigger.when, context) if verdict.holds else verdict
        if not verdict.holds:
            said = (verdict.error.message,) if verdict.error is not None else ()
            return Followed(reason=Reason("condition_false"), warnings=said)
        zone = self.server.zone
        passages = [(one, one.pass_(upstream, windows.get(one.key), context, now, zone)) for one in self.gates]
        warnings = tuple(warning for _, passage in passages for warning in passage.warnings)
        if not all(passage.open for _, passage in passages):
            stored = {one.key: passage.window for one, passage in passages if passage.window != windows.get(one.key)}
            return Followed(None, stored, self.waiting({**windows, **stored}), warnings)
        fired = {one.key: _after(one, passage, now) for one, passage in passages}
        changed = {key: window for key, window in fired.items() if window != windows.get(key)}
        firing, more = self._firing(upstream, [passage for _, passage in passages])
        return Followed(firing, changed, None, (*warnings, *more))

    def waiting(self, windows: Mapping[str, WindowState | None]) -> Reason:
        """What the trigger waits for: the requirements not met, and until when those that were met count."""
        missing = [name for one in self.gates for name in one.missing(windows.get(one.key))]
        ends = [window.end for window in windows.values() if window is not None]
        return Reason("window_waits", {"for": missing, **({"until": iso(min(ends))} if ends else {})})

    # Misses -------------------------------------------------------------------------------------------------------------

    def next_deadline(self, after: datetime) -> datetime | None:
        """The next end of a window, for triggers with `onMiss`: when `missed` is to be asked. None for all others."""
        if self.shape.on_miss is None:
            return None
        return self.gates[-1].frame.next_end(after, self.server.zone)

    def missed(self, windows: Mapping[str, WindowState], deadline: datetime, since: datetime) -> Firing | None:
        """The FAILED execution for a window that ended at `deadline` without a firing, or None.

        `since`: when the trigger began to watch; a window that was under way then is not judged.
        """
        if self.shape.on_miss is None or self.flow.disabled or self.trigger.disabled:
            return None
        one = self.gates[-1]
        span = one.frame.span_ending(deadline, self.server.zone)
        window = windows.get(one.key)
        fired_at = window.fired_at if window is not None else None
        if span is None or span.start < since or (fired_at is not None and fired_at >= span.start):
            return None
        current = window if window is not None and window.start == span.start else None
        missing = ", ".join(one.missing(current)) or "nothing"
        message = f"the window from {iso(span.start)} to {iso(span.end)} ended without a start; missing: {missing}"
        labels = {**self.flow.labels, **self.trigger.labels, **(self.shape.on_miss.labels or {})}
        return Firing(
            f"{self.key}@missed:{iso(deadline)}", {}, labels, due_at=deadline, failure=Failure("trigger.window_missed", message)
        )

    # Firing -------------------------------------------------------------------------------------------------------------

    def _firing(self, upstream: UpstreamExecution, passages: list[Passage]) -> tuple[Firing | None, tuple[str, ...]]:
        variables = _variables(upstream)
        if self.shape.depends_on is not None:
            hits = [hit for passage in passages for hit in passage.hits.values()]
            variables["outputs"] = _joined(hits, single=len(self.shape.depends_on) == 1)
        context = self._context(upstream, variables)
        labels, warnings = rendered_labels(self.trigger.labels, context)
        failure = None
        inputs: Any = {}
        try:
            if self.trigger.inputs:
                inputs = render_value(self.trigger.inputs, Scope(context.variables, context.functions))
        except HeadraceError as error:
            message = f"the inputs of the trigger `{self.trigger.id}` cannot be rendered: {error}"
            if not self.new_form:
                return None, (*warnings, message)
            failure = Failure(error.code, message)
        key = f"{self.key}@{upstream.id}:{upstream.state}" + (f":{upstream.change}" if upstream.change else "")
        all_labels = {**self.flow.labels, **labels}
        firing = Firing(key, variables, all_labels, inputs, failure=failure, correlation_id=upstream.correlation_id)
        return firing, warnings

    def _context(self, upstream: UpstreamExecution, variables: Mapping[str, Any]) -> ConditionContext:
        roots = {
            **upstream.roots(),
            "trigger": variables,
            "namespace": upstream.namespace,
            "flowId": upstream.flow_id,
            "state": upstream.state,
            "hasRetryAttempt": upstream.has_retry_attempt,
        }
        server = self.server
        return ConditionContext(self.flow, roots, upstream, server.functions, server.zone, server.country)


def _variables(upstream: UpstreamExecution) -> dict[str, Any]:
    found: dict[str, Any] = {
        "executionId": upstream.id,
        "state": upstream.state,
        "namespace": upstream.namespace,
        "flowId": upstream.flow_id,
        "flowRevision": upstream.revision,
    }
    if upstream.outputs:
        found["outputs"] = dict(upstream.outputs)
    return found


def _joined(hits: list[Hit], *, single: bool) -> dict[str, Any]:
    """`trigger.outputs` of the 2.0 form: by flow; of the only entry also without the flow's name."""
    found: dict[str, Any] = {}
    for hit in hits:
        outputs = dict(hit.outputs or {})
        if single:
            found.update(outputs)
        found[hit.flow_id] = outputs
    return found


def _after(one: Gate, passage: Passage, now: datetime) -> WindowState | None:
    """What is kept after a firing: nothing, unless later executions or a deadline depend on it."""
    if passage.window is None:
        return None
    window = one.fired(passage.window, now)
    return window if window.hits or one.once or one.keep_outputs else None


# Requirements ---------------------------------------------------------------------------------------------------------


def _multiple(base: str, condition: MultipleCondition) -> Gate:
    requirements: dict[str, Requirement] = {name: one.holds for name, one in condition.conditions.items()}
    return Gate(f"{base}/{condition.id}", requirements, len(requirements), condition.frame(), condition.reset_on_success)


def _preconditions(base: str, given: Preconditions) -> Gate:
    requirements: dict[str, Requirement] = {}
    for entry in given.flows or ():
        requirements[_named(entry)] = _of_flow(entry)
    for block in given.where or ():
        requirements[f"where {block.id}"] = _of_block(block)
    frame = given.time_window.frame()
    return Gate(f"{base}/{given.id}", requirements, len(requirements), frame, given.reset_on_success)


def _dependencies(base: str, shape: Flow) -> Gate:
    entries = shape.depends_on or ()
    requirements: dict[str, Requirement] = {f"{one.namespace}.{one.flow_id}": _of_dependency(one) for one in entries}
    need = {"ANY": 1, "AT_LEAST": shape.min_satisfied or 1}.get(shape.mode or "ALL", len(requirements))
    frame = shape.window.frame() if shape.window is not None else Frame()
    once = shape.window is not None and shape.window.fire_once
    return Gate(base, requirements, need, frame, reset=True, once=once, keep_outputs=True)


def _named(entry: UpstreamFlow) -> str:
    """A name by content: it stays the same when entries change places."""
    name = entry.namespace + (f".{entry.flow_id}" if entry.flow_id is not None else "")
    details = [*(entry.states or ()), *(f"{key}={value}" for key, value in sorted((entry.labels or {}).items()))]
    return name + (f" [{', '.join(details)}]" if details else "")


def _fits(entry: UpstreamFlow | Dependency, upstream: UpstreamExecution) -> bool:
    if entry.namespace != upstream.namespace or (entry.flow_id is not None and entry.flow_id != upstream.flow_id):
        return False
    return all(upstream.label(key) == value for key, value in (entry.labels or {}).items())


def _of_flow(entry: UpstreamFlow) -> Requirement:
    def met(context: ConditionContext) -> bool:
        upstream = context.upstream("preconditions")
        return _fits(entry, upstream) and (entry.states is None or upstream.state in entry.states)

    return met


def _of_dependency(entry: Dependency) -> Requirement:
    def met(context: ConditionContext) -> bool:
        upstream = context.upstream("dependsOn")
        if not _fits(entry, upstream) or upstream.state not in entry.states:
            return False
        verdict = gate(entry.when, context)
        if verdict.error is not None:
            raise HeadraceError(verdict.error.message, code=verdict.error.code)
        return verdict.holds

    return met


def _of_block(block: Where) -> Requirement:
    def met(context: ConditionContext) -> bool:
        answers = (_filter(one, context) for one in block.filters)
        return all(answers) if block.operand == "AND" else any(answers)

    return met


def _filter(one: Filter, context: ConditionContext) -> bool:
    upstream = context.upstream("where")
    match one.field:
        case "FLOW_ID":
            found = upstream.flow_id
        case "NAMESPACE":
            found = upstream.namespace
        case "STATE":
            found = upstream.state
        case "EXPRESSION":
            return _expression_filter(one, context)
    return _compared(one, found, one.value or "")


def _expression_filter(one: Filter, context: ConditionContext) -> bool:
    """`value` is the expression; its rendered text is what the type of the filter looks at."""
    try:
        text = context.render(one.value or "").strip()
    except HeadraceError:
        if one.type in ("IS_NULL", "IS_NOT_NULL"):
            return one.type == "IS_NULL"
        raise
    return _compared(one, text, "")


def _compared(one: Filter, found: str, wanted: str) -> bool:
    match one.type:
        case "EQUAL_TO":
            return found == wanted
        case "NOT_EQUAL_TO":
            return found != wanted
        case "IN":
            return found in (one.values or ())
        case "NOT_IN":
            return found not in (one.values or ())
        case "IS_TRUE":
            return found == "true"
        case "IS_FALSE":
            return found == "false"
        case "IS_NULL":
            return found == ""
        case "IS_NOT_NULL":
            return found != ""
        case "STARTS_WITH":
            return found.startswith(wanted)
        case "ENDS_WITH":
            return found.endswith(wanted)
        case "REGEX":
            return regexes.full_match(found, wanted, Budget())
        case "CONTAINS":
            return wanted in found
