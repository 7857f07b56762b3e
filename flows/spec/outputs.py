"""Flow outputs at the end of an execution: each value converted by the type it was declared with (flow-language §5, §7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flows.errors import ExpressionError, InputInvalid, OutputInvalid
from flows.spec import input_types, parts
from flows.spec.faults import Findings
from flows.spec.model import Flow, Input, Output
from flows.spec.source import located

Evaluated = Callable[[Any], Any]
"""Gives the value of a written output, its expressions evaluated. Raises ExpressionError."""


def read_outputs(written: Any) -> tuple[Output, ...]:
    """Outputs declared as plain data that has been examined before, as those of a Loop; nothing where there is no list."""
    return parts.read_outputs(located(written, 1, 1), ("outputs",), Findings()) if isinstance(written, list) else ()


def evaluated_outputs(declared: Flow | Sequence[Output], evaluated: Evaluated) -> dict[str, Any]:
    """The value of each output before conversion. Raises ExpressionError naming the output.

    An output that is not `required` and cannot be evaluated is null: it may speak of a task that did not run.
    """
    values: dict[str, Any] = {}
    for output in declared.outputs if isinstance(declared, Flow) else declared:
        try:
            values[output.id] = evaluated(output.value)
        except ExpressionError as error:
            if output.required:
                raise ExpressionError(f"output `{output.id}`: {error}", code=error.code, line=error.line) from None
            values[output.id] = None
    return values


def typed_outputs(
    declared: Flow | Sequence[Output], values: Mapping[str, Any], *, encrypt: input_types.Encrypt | None = None
) -> dict[str, Any]:
    """The outputs as they are stored and handed on: converted by `type`, those without a type as they are.

    `values`: evaluated, by output id. A required output of a type may not be null. `encrypt`: how SECRET outputs are stored.
    Raises OutputInvalid naming the first output that does not fit.
    """
    found: dict[str, Any] = {}
    for output in declared.outputs if isinstance(declared, Flow) else declared:
        found[output.id] = _typed(output, values.get(output.id), encrypt)
    return found


def _typed(output: Output, value: Any, encrypt: input_types.Encrypt | None) -> Any:
    if output.type is None:
        return value
    if value is None:
        if output.required:
            raise OutputInvalid(output.id, "missing required output", "null")
        return None
    # The rules of an input of that type, without bounds and choices: an output has none.
    extra = {"itemType": output.item_type or "STRING"} if output.type in ("ARRAY", "MULTISELECT") else {}
    as_input = Input(id=output.id, type=output.type, required=output.required, extra=extra)
    try:
        return input_types.stored(as_input, input_types.parse(as_input, value), encrypt)
    except InputInvalid as fault:
        received = input_types.HIDDEN if output.type == "SECRET" else input_types.shown(value)
        raise OutputInvalid(output.id, fault.reason, received) from None
