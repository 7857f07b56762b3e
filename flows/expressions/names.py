"""Which data a template names, found without running it: what has to be sent along with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CONTEXT_READERS = frozenset({"render", "renderOnce", "printContext", "fetchContext"})
"""Functions after whose call any root may be read: what they render is known only at run time."""

FUNCTION_ROOTS: dict[str, frozenset[str]] = {
    "currentEachOutput": frozenset({"parents", "taskrun"}),
    "iterationOutput": frozenset({"parents", "taskrun"}),
    "tasksWithState": frozenset({"tasks"}),
    "secret": frozenset({"flow"}),
    "kv": frozenset({"flow"}),
    "read": frozenset({"flow", "execution", "trigger"}),
    "fileURI": frozenset({"flow"}),
    "fileSize": frozenset({"flow", "execution", "trigger"}),
    "fileExists": frozenset({"flow", "execution", "trigger"}),
    "fileEmpty": frozenset({"flow", "execution", "trigger"}),
    "isFileEmpty": frozenset({"flow", "execution", "trigger"}),
    "errorLogs": frozenset({"flow", "execution"}),
}
"""Roots that a function reads by itself."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a template mentions.

    `roots`: first names (`outputs`, `inputs`, …); None = any, because it renders text known only at run time.
    `outputs`, `inputs`: the entries of these roots that are read; None = any (computed name, or the whole map is used).
    `functions`, `filters`, `tests`: what it calls, macros of its own left out.
    """

    roots: frozenset[str] | None = frozenset()
    outputs: frozenset[str] | None = frozenset()
    inputs: frozenset[str] | None = frozenset()
    functions: frozenset[str] = frozenset()
    filters: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()


NO_NAMES = Names()


def union(parts: Iterable[Names]) -> Names:
    """What several templates mention together."""
    roots: frozenset[str] | None = frozenset()
    outputs: frozenset[str] | None = frozenset()
    inputs: frozenset[str] | None = frozenset()
    functions: frozenset[str] = frozenset()
    filters: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()
    for part in parts:
        if part is NO_NAMES:
            continue
        roots = None if roots is None or part.roots is None else roots | part.roots
        outputs = None if outputs is None or part.outputs is None else outputs | part.outputs
        inputs = None if inputs is None or part.inputs is None else inputs | part.inputs
        functions |= part.functions
        filters |= part.filters
        tests |= part.tests
    return Names(roots, outputs, inputs, functions, filters, tests)
