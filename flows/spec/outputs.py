"""Values of declared outputs → typed values, by the same rules as inputs (flow-language §5, §7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flows.errors import HeadraceError, InputInvalid
from flows.spec import input_types
from flows.spec.model import Input, Output


class OutputInvalid(HeadraceError):
    """A rendered output does not fit its type, or a required one has no value."""

    code = "output.invalid"


def read_outputs(written: Any) -> tuple[Output, ...]:
    """The outputs of a list as written in YAML, e.g. a Loop's; what is no map with an id is left out (validation has said so)."""
    if not isinstance(written, list):
        return ()
    return tuple(
        Output(str(one["id"]), one.get("value"), one.get("type"), one.get("required", True) is not False, one.get("itemType"))
        for one in written
        if isinstance(one, Mapping) and "id" in one
    )


def typed_outputs(outputs: Iterable[Output], values: Mapping[str, Any]) -> dict[str, Any]:
    """Each value by the type of its output; one without a type stays as it is.

    An output that is not required may be null. Raises OutputInvalid naming the output.
    """
    found: dict[str, Any] = {}
    for output in outputs:
        value = values.get(output.id)
        if value is None and output.type is not None and output.required:
            raise OutputInvalid(f"`{output.id}`: expected a value of type {output.type}, found none")
        if value is None or output.type is None:
            found[output.id] = value
            continue
        extra = {} if output.item_type is None else {"itemType": output.item_type}
        try:
            found[output.id] = input_types.parse(Input(output.id, output.type, extra=extra), value)
        except InputInvalid as error:
            raise OutputInvalid(f"`{output.id}`: {error}") from None
    return found
