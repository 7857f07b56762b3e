"""The filter `jq` (expressions §5.3): queries on maps, lists and JSON texts."""

from __future__ import annotations

from typing import Any

from flows.expressions import serial
from flows.expressions.operators import type_error
from flows.expressions.printing import plain_value
from flows.expressions.registry import filter_
from flows.expressions.scope import Frame


@filter_("jq", "expression")
def jq(frame: Frame, value: Any, expression: Any) -> list[Any]:
    """All results of a jq program, always as a list; a text is read as JSON first."""
    # Imported here: most flows never ask for it.
    from flows.expressions.jq import run

    if not isinstance(expression, str):
        raise type_error("`jq` expects a text as `expression`", expression)
    data = serial.parse_json(value, frame.budget) if isinstance(value, str) else plain_value(value, frame.budget)
    return run(expression, data, frame.budget)
