"""Values given at the start, or at the end of a pause → the `inputs` of a context (flow-language §4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flows.errors import ExpressionError, InputInvalid
from flows.expressions import Scope, compile_template, evaluate_value
from flows.spec import input_types
from flows.spec.input_shapes import dependencies
from flows.spec.model import Flow, Input

ScopeFactory = Callable[[Mapping[str, Any]], Scope]
"""Gives the scope for a template of an input; its argument are the inputs resolved so far, dotted ids nested."""


def resolve_inputs(
    declared: Flow | Sequence[Input],
    given: Mapping[str, Any],
    scope_factory: ScopeFactory,
    *,
    encrypt: input_types.Encrypt | None = None,
) -> dict[str, Any]:
    """The inputs of an execution (or those of `onResume`): typed, defaults filled in, dotted ids nested; data that survives JSON.

    `given`: values by input id; a dotted id may also be given as nested maps. Ids that are not declared are dropped.
    An input whose condition does not hold is absent. `encrypt`: what SECRET inputs are stored with; without it they are refused.
    Raises InputInvalid for the first input that does not fit.
    """
    resolved = look_at_inputs(declared, given, scope_factory, encrypt=encrypt)
    for one in resolved:
        if one.fault is not None:
            raise one.fault
    return nested({one.declared.id: one.value for one in resolved if one.enabled})


@dataclass(frozen=True, slots=True)
class ResolvedInput:
    """What became of one input. `declared` has the choices of its expression; a disabled input has no value at all."""

    declared: Input
    enabled: bool
    value: Any = None
    is_default: bool = False
    fault: InputInvalid | None = None


def look_at_inputs(
    declared: Flow | Sequence[Input],
    given: Mapping[str, Any],
    scope_factory: ScopeFactory,
    *,
    encrypt: input_types.Encrypt | None = None,
) -> tuple[ResolvedInput, ...]:
    """Every input with its value or what is wrong with it, in order of declaration: what a form shows before a start."""
    inputs = declared.inputs if isinstance(declared, Flow) else tuple(declared)
    resolver = _Resolver(inputs, given, scope_factory, encrypt)
    for one in inputs:
        resolver.resolve(one)
    return tuple(resolver.done[one.id] for one in inputs)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by id, `db.host` as `{"db": {"host": …}}`. Raises InputInvalid when `db` is a value too."""
    result: dict[str, Any] = {}
    for input_id, value in values.items():
        *parents, last = input_id.split(".")
        current = result
        for parent in parents:
            below = current.setdefault(parent, {})
            if not isinstance(below, dict):
                raise InputInvalid(input_id, f"`{parent}` is an input too", input_types.shown(value))
            current = below
        current[last] = value
    return result


class _Resolver:
    def __init__(
        self,
        inputs: Sequence[Input],
        given: Mapping[str, Any],
        scope_factory: ScopeFactory,
        encrypt: input_types.Encrypt | None,
    ) -> None:
        self.declared = {one.id: one for one in inputs}
        self.given = given
        self.scope_factory = scope_factory
        self.encrypt = encrypt
        self.done: dict[str, ResolvedInput] = {}
        self.clear: dict[str, Any] = {}
        """Values as the templates of other inputs see them: secrets in clear, only here and only now."""

    def resolve(self, declared: Input) -> None:
        """Resolves an input after what it depends on. A stack instead of recursion: chains may be long."""
        waiting = [declared]
        while waiting:
            current = waiting[-1]
            needs = [
                self.declared[name]
                for name in dependencies(current)
                if name in self.declared and name not in self.done and name != current.id
            ]
            needs = [need for need in needs if all(need is not one for one in waiting)]
            if current.id in self.done or not needs:
                waiting.pop()
                if current.id not in self.done:
                    self.done[current.id] = self._one(current)
                continue
            waiting.extend(needs)

    def _one(self, declared: Input) -> ResolvedInput:
        try:
            if not self._is_enabled(declared):
                return ResolvedInput(declared, enabled=False)
        except InputInvalid as fault:
            return ResolvedInput(declared, enabled=False, fault=fault)
        is_default = False
        try:
            declared = self._with_choices(declared)
            raw, is_default = self._raw(declared)
            if raw is None and declared.extra.get("autoSelectFirst") and declared.extra.get("values"):
                raw = declared.extra["values"][0]
                raw = [raw] if declared.type == "MULTISELECT" else raw
            if raw is None and declared.required:
                raise InputInvalid(declared.id, "missing required input", "null")
            value = None if raw is None else input_types.parse(declared, raw)
            kept = input_types.stored(declared, value, self.encrypt)
        except InputInvalid as fault:
            return ResolvedInput(declared, enabled=True, is_default=is_default, fault=fault)
        self.clear[declared.id] = value
        return ResolvedInput(declared, True, kept, is_default)

    def _is_enabled(self, declared: Input) -> bool:
        if not all(self.done[name].enabled for name in dependencies(declared) if name in self.done):
            return False
        depends = declared.extra.get("dependsOn")
        own = depends.get("condition") if isinstance(depends, Mapping) else None
        # Of the form around it first, then its own.
        return all(self._holds(declared, one) for one in (*declared.extra.get("formConditions", ()), own) if one is not None)

    def _holds(self, declared: Input, condition: Any) -> bool:
        if isinstance(condition, str):
            try:
                condition = compile_template(condition).evaluate(self._scope())
            except ExpressionError as error:
                raise InputInvalid(declared.id, f"its condition cannot be evaluated: {error}", condition) from None
        return condition is True

    def _with_choices(self, declared: Input) -> Input:
        expression = declared.extra.get("expression")
        if not isinstance(expression, str):
            return declared
        choices = self._evaluated(declared, expression)
        if not isinstance(choices, list):
            raise InputInvalid(declared.id, "its `expression` must give a list", input_types.shown(choices))
        return replace(declared, extra={**declared.extra, "values": choices})

    def _raw(self, declared: Input) -> tuple[Any, bool]:
        """The given value, else the default; and whether it is the default."""
        found: Any = self.given
        if declared.id in self.given:
            found = self.given[declared.id]
        elif "." in declared.id:
            for part in declared.id.split("."):
                found = found.get(part) if isinstance(found, Mapping) else None
        else:
            found = None
        if found is None and declared.has_defaults:
            return self._evaluated(declared, declared.defaults), True
        return found, False

    def _evaluated(self, declared: Input, value: Any) -> Any:
        try:
            return evaluate_value(value, self._scope())
        except ExpressionError as error:
            raise InputInvalid(declared.id, str(error), input_types.shown(value)) from None

    def _scope(self) -> Scope:
        return self.scope_factory(nested(self.clear))
