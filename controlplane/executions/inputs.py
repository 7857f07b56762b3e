"""Inputs as a request brings them: parts of a form, uploads among them, or values by id; typed by what is declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from django.core.files.uploadedfile import UploadedFile

from controlplane.files import storage
from controlplane.platform.errors import Invalid
from controlplane.vault.encryption import encrypt_for
from controlplane.vault.functions import plane_functions
from flows.expressions import Scope
from flows.spec.inputs import ResolvedInput, look_at_inputs, resolve_inputs
from flows.spec.model import Flow, Input

Given: TypeAlias = "Iterable[tuple[str, str | UploadedFile[Any]]] | Mapping[str, Any]"


@dataclass(frozen=True, slots=True)
class Place:
    """Whose inputs they are: the flow's variables and names are there for their expressions, uploads go to the execution."""

    tenant: str
    namespace: str
    flow_id: str
    execution_id: str
    revision: int
    variables: Mapping[str, Any]

    def scope(self, inputs: Mapping[str, Any]) -> Scope:
        """What an expression in a default, a condition or a check sees."""
        moment = datetime.now(UTC)
        flow = {"id": self.flow_id, "namespace": self.namespace, "revision": self.revision, "tenantId": self.tenant}
        functions = plane_functions(self.tenant, self.namespace, moment)
        return Scope({"flow": flow, "vars": self.variables, "inputs": inputs}, functions)


def place_of(tenant: str, flow: Flow, revision: int, execution_id: str) -> Place:
    """The place of an execution of that flow."""
    return Place(tenant, flow.namespace, flow.id, execution_id, revision, flow.variables)


def typed_inputs(declared: Sequence[Input], given: Given, place: Place) -> dict[str, Any]:
    """Typed values of all inputs; uploads are stored first. Raises InputInvalid, Invalid."""
    if not declared:
        return {}
    values = _values(declared, given, place, keep=True)
    return resolve_inputs(declared, values, place.scope, encrypt=encrypt_for(place.tenant))


def looked_at_inputs(declared: Sequence[Input], given: Given, place: Place) -> list[dict[str, Any]]:
    """What would become of each input, and what is wrong with it: rows `{input, value, enabled, isDefault, errors}`."""
    return [_row(one) for one in look_at_inputs(declared, _values(declared, given, place, keep=False), place.scope)]


def _row(one: ResolvedInput) -> dict[str, Any]:
    declared = {"id": one.declared.id, "type": one.declared.type, "required": one.declared.required, **one.declared.extra}
    errors = [] if one.fault is None else [{"message": str(one.fault)}]
    row = {"input": declared, "enabled": one.enabled, "isDefault": one.is_default, "errors": errors}
    return row if one.value is None else {**row, "value": one.value}


def _values(declared: Sequence[Input], given: Given, place: Place, *, keep: bool) -> dict[str, Any]:
    """Values by input id. A part that comes twice is a list. `keep`: uploads are stored."""
    types = {one.id: one.type.upper() for one in declared}
    values: dict[str, Any] = {}
    for name, part in given.items() if isinstance(given, Mapping) else given:
        if isinstance(part, UploadedFile):
            if name not in types:
                continue
            if types[name] != "FILE":
                values[name] = _text(name, part)
            elif keep:
                stored = storage.put_input_file(
                    place.tenant, place.namespace, place.flow_id, place.execution_id, name, part.name or name, part.chunks()
                )
                values[name] = stored.uri
            else:
                values[name] = f"{storage.SCHEME}:///{part.name or name}"
        elif name in values:
            earlier = values[name]
            values[name] = [*earlier, part] if isinstance(earlier, list) else [earlier, part]
        else:
            values[name] = part
    return values


def _text(name: str, upload: UploadedFile[Any]) -> str:
    try:
        return bytes(upload.read()).decode()
    except UnicodeDecodeError:
        raise Invalid(f"input `{name}` is no FILE, and the upload is no UTF-8 text", code="input.invalid") from None
