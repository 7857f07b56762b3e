"""Flows as these tests write them: short type names, one implied header."""

from __future__ import annotations

import re
from textwrap import dedent

from flows.spec.model import Flow
from flows.spec.parse import parse_flow
from wire.plugins import discover

_CORE = "io.kestra.plugin.core."
_FLOW = (
    *("Sequential", "Parallel", "Dag", "AllowFailure", "WorkingDirectory", "If", "Switch", "ForEach", "EachSequential"),
    *("EachParallel", "LoopUntil", "WaitFor", "Pause", "Subflow", "ForEachItem", "Loop"),
)
TYPES = {
    "Log": f"{_CORE}log.Log",
    "Return": f"{_CORE}debug.Return",
    "OutputValues": f"{_CORE}output.OutputValues",
    **{name: f"{_CORE}execution.{name}" for name in ("Fail", "Exit", "Labels", "SetVariables", "UnsetVariables", "Resume")},
    **{name: f"{_CORE}flow.{name}" for name in _FLOW},
    "Toggle": f"{_CORE}trigger.Toggle",
}
_SHORT = re.compile(r"\btype: (\w+)\b(?!\.)")


def flow(text: str, flow_id: str = "f") -> Flow:
    """The flow of a text without `id` and `namespace`; `type: Log` stands for the whole name, `{id: a}` for a Log of that id."""
    body = dedent(text)
    body = re.sub(r"\{id: ([\w-]+)\}", r"{id: \1, type: Log, message: x}", body)
    body = re.sub(r"\{id: ([\w-]+), \+ ?", r"{id: \1, type: Log, message: x, ", body)
    body = _SHORT.sub(lambda found: f"type: {TYPES.get(found[1], found[1])}", body)
    return parse_flow(f"id: {flow_id}\nnamespace: tests\n{body}", discover()).require()
