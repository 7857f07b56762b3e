"""Flows made by hypothesis: small ones first, every kind of block, every option the machine knows."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from flows.spec.model import Flow
from flows.spec.parse import parse_flow
from tests.unit.machine.written import TYPES
from wire.plugins import discover

_RETRIES = (
    {"type": "constant", "interval": "PT1S", "maxAttempt": 2},
    {"type": "constant", "interval": "PT0S", "maxAttempt": 3, "warningOnRetry": True},
    {"type": "random", "minInterval": "PT1S", "maxInterval": "PT3S", "maxAttempt": 2},
)
_COMMON: dict[str, st.SearchStrategy[Any]] = {
    "retry": st.sampled_from(_RETRIES),
    "runIf": st.sampled_from(["true", "false", "{{ missing.name }}"]),
    "allowFailure": st.just(True),
    "allowWarning": st.just(True),
    "disabled": st.just(True),
}


@st.composite
def _options(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(_COMMON)), max_size=2, unique=True)) if draw(st.integers(0, 2)) == 2 else []
    return {name: draw(_COMMON[name]) for name in chosen}


def _leaf() -> st.SearchStrategy[dict[str, Any]]:
    plain = st.fixed_dictionaries(
        {"type": st.just(TYPES["Log"]), "message": st.just("x")}, optional={"timeout": st.just("PT10S")}
    )
    return st.builds(lambda task, options: {**task, **options}, plain, _options())


def _block(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(children, min_size=1, max_size=3)
    handlers = {"errors": st.lists(children, min_size=1, max_size=2), "finally": st.lists(children, min_size=1, max_size=2)}
    sequential = st.fixed_dictionaries({"type": st.just(TYPES["Sequential"]), "tasks": some}, optional=handlers)
    parallel = st.fixed_dictionaries(
        {"type": st.just(TYPES["Parallel"]), "tasks": some, "concurrent": st.integers(0, 2)}, optional=handlers
    )
    if_ = st.fixed_dictionaries(
        {"type": st.just(TYPES["If"]), "condition": st.sampled_from(["true", "false", "{{ missing.name }}"]), "then": some},
        optional={"else": some, **handlers},
    )
    each = st.fixed_dictionaries(
        {
            "type": st.just(TYPES["ForEach"]),
            "values": st.sampled_from([[], ["a"], ["a", "b", "a"], ["a", "b", "c"], "[1, null]"]),
            "concurrencyLimit": st.integers(0, 2),
            "tasks": some,
        },
        optional=handlers,
    )
    return st.builds(lambda task, options: {**task, **options}, st.one_of(sequential, parallel, if_, each), _options())


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A valid flow of up to a few dozen tasks."""
    tasks = st.recursive(_leaf(), _block, max_leaves=8)
    source: dict[str, Any] = {"id": "f", "namespace": "tests", "tasks": draw(st.lists(tasks, min_size=1, max_size=3))}
    for name in ("errors", "finally"):
        if draw(st.integers(0, 3)) == 3:
            source[name] = draw(st.lists(_leaf(), min_size=1, max_size=2))
    if draw(st.integers(0, 5)) == 5:
        source["retry"] = _RETRIES[0]
    count = 0

    def name_all(listed: list[dict[str, Any]]) -> None:
        nonlocal count
        for task in listed:
            count += 1
            task["id"] = f"t{count}"
            for branch in ("tasks", "then", "else", "errors", "finally"):
                name_all(task.get(branch, []))

    copied = json.loads(json.dumps(source))
    for branch in ("tasks", "errors", "finally"):
        name_all(copied.get(branch, []))
    return parse_flow(json.dumps(copied), discover()).require()
