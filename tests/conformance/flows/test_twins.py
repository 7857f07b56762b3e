"""The same flow in the 1.x and in the 2.0 spelling ends in the same state with the same outputs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flows.expressions import Scope
from flows.expressions.ambient import make_ambient
from flows.machine.simulate import run
from flows.machine.states import State
from flows.spec.inputs import resolve_inputs
from flows.spec.parse import parse_flow
from tests.conformance.flows.corpus import NEW_TWINS, OLD_TWINS, source
from wire.plugins import discover

FUNCTIONS = make_ambient(lambda: datetime(2026, 1, 31, 12, tzinfo=UTC), Random(0))


def ended(path: Path) -> tuple[State, dict[str, Any] | None]:
    flow = parse_flow(source(path), discover()).require()
    roots = {"flow": {"id": flow.id, "namespace": flow.namespace}, "vars": flow.variables}
    inputs = resolve_inputs(flow, {}, lambda known: Scope({**roots, "inputs": known}, FUNCTIONS))
    execution = run(flow, inputs=inputs, functions=FUNCTIONS).execution
    return execution.state, execution.outputs


def test_there_are_at_least_ten_pairs() -> None:
    assert len(OLD_TWINS) >= 10
    assert [path.name.removesuffix(".1x.yml") for path in OLD_TWINS] == [path.name.removesuffix(".20.yml") for path in NEW_TWINS]


@pytest.mark.parametrize(("old", "new"), list(zip(OLD_TWINS, NEW_TWINS, strict=True)), ids=lambda path: path.name)
def test_twins_end_equal(old: Path, new: Path) -> None:
    state, outputs = ended(old)
    assert (state, outputs) == ended(new)
    assert state in (State.SUCCESS, State.WARNING)
    assert outputs
    assert None not in outputs.values()
