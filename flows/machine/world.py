"""What a decision may know beside the execution: the flow, the time, sources of ids and chance, look-ups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flows.machine.execution import Execution, TaskRun
from flows.machine.states import State
from flows.spec.input_types import Encrypt
from flows.spec.model import Flow


@dataclass(frozen=True, slots=True)
class Iteration:
    """A child execution that is over, as the task that started it sees it. `index`: its position among its siblings."""

    index: int
    execution_id: str
    state: State
    outputs: dict[str, Any] | None


class Lookup(Protocol):
    """What the machine may ask about what it does not hold. The host answers from its store, within the same transaction."""

    def outputs(self, execution: Execution, task_ids: frozenset[str] | None) -> dict[str, Any]:
        """Outputs of ended task runs of these tasks (None = of all), nested as expressions see them."""

    def outputs_here(self, execution: Execution, task_ids: frozenset[str], path: tuple[str, ...]) -> dict[str, Any]:
        """The same, of the task runs whose values (ancestors', then their own) begin `path` or are begun by it."""

    def states(self, execution: Execution) -> dict[str, Any]:
        """`tasks.<id>.state` and `tasks.<id>.<value>.state` of all task runs."""

    def iterations(self, execution: Execution, run: TaskRun) -> Iterable[Iteration]:
        """Child executions that a task run started and that are over, by index; of several for one index the last."""

    def open_children(self, execution: Execution) -> Iterable[str]:
        """Ids of the executions that this one started and that are not over."""

    def lines(self, execution: Execution, uri: str) -> list[str]:
        """The lines of a text file in the storage, without line ends. Raises HeadraceError when it cannot be read."""

    def store_lines(self, execution: Execution, run: TaskRun, name: str, lines: Iterable[str]) -> str:
        """Writes a text file among the task run's files and returns its URI."""


@dataclass(slots=True)
class World:
    """Everything a decision needs beside the execution.

    `functions`: for the small expressions evaluated here (clock, chance, secrets …). `roots`: further variables of every
    expression (`globals`, `kestra`, `namespace` …).
    """

    flow: Flow
    now: int
    new_id: Callable[[], str]
    random: Callable[[], float]
    lookup: Lookup
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    roots: Mapping[str, Any] = field(default_factory=dict)
    default_worker_group: str = "default"
    encrypt: Encrypt | None = None
    """What SECRET outputs are stored with; None: there is no key, and such an output fails the execution."""
