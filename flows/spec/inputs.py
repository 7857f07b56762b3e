"""Values given at the start of an execution → the `inputs` of its context (flow-language §4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flows.errors import ExpressionError, InputInvalid
from flows.expressions import Scope, compile_template, evaluate_value
from flows.spec import input_types
from flows.spec.model import Flow, Input

ScopeFactory = Callable[[Mapping[str, Any]], Scope]
"""Gives the scope for a template of an input; its argument are the inputs resolved so far, dotted ids nested."""


def resolve_inputs(flow: Flow, given: Mapping[str, Any], scope_factory: ScopeFactory) -> dict[str, Any]:
    """The inputs of an execution: typed, defaults filled in, dotted ids nested; plain data that survives JSON.

    `given`: values by input id; a dotted id may also be given as nested maps. Ids the flow does not declare are dropped.
    An input whose condition does not hold is absent. Raises InputInvalid for the first input that does not fit.
    """
    resolver = _Resolver(flow, given, scope_factory)
    for declared in flow.inputs:
        resolver.resolve(declared)
    for fault in resolver.faults:
        raise fault
    return resolver.nested()


class _Resolver:
    def __init__(self, flow: Flow, given: Mapping[str, Any], scope_factory: ScopeFactory) -> None:
        self.declared = {one.id: one for one in flow.inputs}
        self.given = given
        self.scope_factory = scope_factory
        self.enabled: dict[str, bool] = {}
        self.values: dict[str, Any] = {}
        self.faults: list[InputInvalid] = []

    def resolve(self, declared: Input) -> None:
        """Resolves an input after what it depends on. A stack instead of recursion: chains may be long."""
        waiting = [declared]
        while waiting:
            current = waiting[-1]
            needs = [
                self.declared[name]
                for name in _needs(current)
                if name in self.declared and name not in self.enabled and name != current.id
            ]
            needs = [need for need in needs if all(need is not one for one in waiting)]
            if current.id in self.enabled or not needs:
                waiting.pop()
                if current.id not in self.enabled:
                    self._one(current)
                continue
            waiting.extend(needs)

    def _one(self, declared: Input) -> None:
        try:
            self.enabled[declared.id] = self._is_enabled(declared)
            if not self.enabled[declared.id]:
                return
            declared = self._with_choices(declared)
            raw = self._raw(declared)
            if raw is None and declared.extra.get("autoSelectFirst") and declared.extra.get("values"):
                raw = declared.extra["values"][0]
                raw = [raw] if declared.type == "MULTISELECT" else raw
            if raw is None:
                if declared.required:
                    raise InputInvalid(declared.id, "missing required input", "null")
                self.values[declared.id] = None
                return
            self.values[declared.id] = input_types.parse(declared, raw)
        except InputInvalid as fault:
            self.enabled.setdefault(declared.id, False)
            self.faults.append(fault)

    def _is_enabled(self, declared: Input) -> bool:
        if not all(self.enabled.get(name, True) for name in _needs(declared)):
            return False
        depends = declared.extra.get("dependsOn")
        condition = depends.get("condition") if isinstance(depends, Mapping) else None
        if condition is None:
            return True
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

    def _raw(self, declared: Input) -> Any:
        found: Any = self.given
        if declared.id in self.given:
            found = self.given[declared.id]
        elif "." in declared.id:
            for part in declared.id.split("."):
                found = found.get(part) if isinstance(found, Mapping) else None
        else:
            found = None
        if found is None and declared.has_defaults:
            return self._evaluated(declared, declared.defaults)
        return found

    def _evaluated(self, declared: Input, value: Any) -> Any:
        try:
            return evaluate_value(value, self._scope())
        except ExpressionError as error:
            raise InputInvalid(declared.id, str(error), input_types.shown(value)) from None

    def _scope(self) -> Scope:
        return self.scope_factory(self.nested())

    def nested(self) -> dict[str, Any]:
        """The values by id, `db.host` as `{"db": {"host": …}}`."""
        result: dict[str, Any] = {}
        for input_id, value in self.values.items():
            *parents, last = input_id.split(".")
            current = result
            for parent in parents:
                below = current.setdefault(parent, {})
                if not isinstance(below, dict):
                    raise InputInvalid(input_id, f"`{parent}` is an input too", input_types.shown(value))
                current = below
            current[last] = value
        return result


def _needs(declared: Input) -> list[str]:
    depends = declared.extra.get("dependsOn")
    names = depends.get("inputs") if isinstance(depends, Mapping) else None
    return [str(name) for name in names] if isinstance(names, list) else []
