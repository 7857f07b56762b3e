"""`flows/` decides from what it is given: the same input gives the same answer on any machine at any time.

Imports are held by import-linter (`make check`); here are the calls that need no forbidden import.
"""

from __future__ import annotations

import ast

from tests.unit.house.source import modules, place, tree

CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "monotonic"),
}
RANDOM = {
    ("uuid", "uuid4"),
    ("uuid", "uuid1"),
    ("os", "urandom"),
    ("random", "random"),
    ("random", "randint"),
    ("random", "choice"),
}
INPUT_OUTPUT = {"open", "input", "print"}


def _called(node: ast.Call) -> tuple[str, str] | None:
    function = node.func
    if isinstance(function, ast.Attribute):
        owner = function.value
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        return name, function.attr
    return None


def test_flows_reads_no_clock_and_rolls_no_dice() -> None:
    found = [
        f"{place(path, node)}: {'.'.join(called)}()"
        for path in modules("flows")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and (called := _called(node)) in CLOCKS | RANDOM and called is not None
    ]
    assert not found, (
        "flows/ is pure: `now` and random numbers are arguments, so that a decision can be replayed and tested in virtual time.\n"
        "Take them as a parameter (see flows/expressions/ambient.py):\n" + "\n".join(found)
    )


def test_flows_reads_and_writes_nothing() -> None:
    found = [
        f"{place(path, node)}: {node.func.id}()"
        for path in modules("flows")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in INPUT_OUTPUT
    ]
    assert not found, "flows/ does no input or output: hand it text, let wire/, worker/ or controlplane/ read it.\n" + "\n".join(
        found
    )
