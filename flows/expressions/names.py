"""Which data a template names, found without running it: what has to be sent along with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jinja2 import nodes

CONTEXT_READERS = frozenset({"render", "renderOnce", "printContext", "fetchContext"})
"""Functions after whose call any root may be read: what they render is known only at run time."""

FUNCTION_ROOTS: dict[str, frozenset[str]] = {
    "currentEachOutput": frozenset({"parents", "taskrun"}),
    "iterationOutput": frozenset({"outputs", "parents", "task", "taskrun"}),
    "env": frozenset({"envs"}),
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

POSITION_READERS = frozenset({"currentEachOutput"})
"""Functions that take a task's outputs and read from them only what belongs to the reader's own place in its loops."""

POSITION_ROOTS = frozenset({"taskrun", "parent", "parents"})
"""Roots that spell the reader's place. A template that binds one of them itself spells something else."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a template mentions.

    `roots`: first names (`outputs`, `inputs`, …); None = any, because it renders text known only at run time.
    `outputs`, `inputs`: the entries of these roots that are read; None = any (computed name, or the whole map is used).
    `functions`, `filters`, `tests`: what it calls, macros of its own left out.
    `positions`: pairs (task, levels) of the tasks in `outputs` that are read along the reader's own place and in no other
    way. `levels` counts the subscripts that spell the place; 0 = all, however many (`currentEachOutput`). See
    `outputs_here_at`.
    """

    roots: frozenset[str] | None = frozenset()
    outputs: frozenset[str] | None = frozenset()
    inputs: frozenset[str] | None = frozenset()
    functions: frozenset[str] = frozenset()
    filters: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()
    positions: frozenset[tuple[str, int]] = frozenset()

    @property
    def outputs_here(self) -> frozenset[str]:
        """Tasks of `outputs` whose every read spells a place of the reader; whether it is the whole place: `outputs_here_at`."""
        return frozenset(task for task, _ in self.positions)

    def outputs_here_at(self, depth: int) -> frozenset[str]:
        """Tasks whose every read is at the reader's own place, for a reader below `depth` loop values, its own included.

        The place is the values of the ancestors that have one, outermost first, then the reader's own value
        (execution-semantics §14.2). For these tasks it is enough to load the outputs of task runs whose place begins the
        reader's or is begun by it: one task run in a flat loop. What qualifies, `T` being a task id written as a name or text:

        - `outputs.T` followed by exactly `depth` subscripts out of `[parents[n].taskrun.value]`, `[parent.taskrun.value]`
          (the same as `parents[0]`) and `[taskrun.value]`, each nearer to the reader than the one before, whatever follows:
          `outputs.T[taskrun.value].x`, `outputs.T[parent.taskrun.value][taskrun.value].rows[0]`. As many different levels as
          there are, in order, can only be all of them. Undefined levels raise with or without the rest.
        - `currentEachOutput(outputs.T)`, whatever the depth.

        What does not, because another task run's outputs could be read: fewer or more subscripts than levels, levels out
        of order, `outputs.T` passed on or assigned, other computed keys, a template that binds `taskrun`, `parent` or
        `parents` itself, a template that names `outputs` as a whole or calls `render()`.
        """
        wrong = {task for task, levels in self.positions if levels not in (0, depth)}
        return self.outputs_here - wrong


NO_NAMES = Names()


def union(parts: Iterable[Names]) -> Names:
    """What several templates mention together."""
    roots: frozenset[str] | None = frozenset()
    outputs: frozenset[str] | None = frozenset()
    inputs: frozenset[str] | None = frozenset()
    functions: frozenset[str] = frozenset()
    filters: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()
    positions: frozenset[tuple[str, int]] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    for part in parts:
        if part is NO_NAMES:
            continue
        roots = None if roots is None or part.roots is None else roots | part.roots
        outputs = None if outputs is None or part.outputs is None else outputs | part.outputs
        inputs = None if inputs is None or part.inputs is None else inputs | part.inputs
        functions |= part.functions
        filters |= part.filters
        tests |= part.tests
        positions |= part.positions
        elsewhere |= (part.outputs or frozenset()) - part.outputs_here
    positions = frozenset() if outputs is None else frozenset(one for one in positions if one[0] not in elsewhere)
    return Names(roots, outputs, inputs, functions, filters, tests, positions)


def levels_spelled(subscripts: Sequence[nodes.Expr | None]) -> int:
    """How many of the subscripts behind `outputs.T` spell the reader's place, from the first on; None = a plain key."""
    nearest: int | None = None
    count = 0
    for subscript in subscripts:
        ancestor = None if subscript is None else _ancestor(subscript)
        if ancestor is None or (nearest is not None and ancestor >= nearest):
            break
        nearest = ancestor
        count += 1
    return count


def _ancestor(node: nodes.Expr) -> int | None:
    """Which ancestor's value an expression is: -1 for `taskrun.value`, n for `parents[n].taskrun.value`, None for all else."""
    path: list[str | int] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        if isinstance(node, nodes.Getattr):
            path.append(node.attr)
        elif isinstance(node.arg, nodes.Const) and type(node.arg.value) in (str, int):
            path.append(node.arg.value)
        else:
            return None
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    match [node.name, *reversed(path)]:
        case ["taskrun", "value"]:
            return -1
        case ["parent", "taskrun", "value"]:
            return 0
        case ["parents", int(index), "taskrun", "value"]:
            return index
    return None
