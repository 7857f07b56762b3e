"""Places under the concurrency limit of a flow (execution-semantics §12).

An execution holds a place by the state it is stored in, and by nothing else: there is no list of places that could disagree with
the executions. Whoever decides about a place holds the lock of its flow until the commit, so two engines never give the same one
away. Locks of flows come after those of executions and in order; a flow that turns out to be needed out of order is only taken
when it is free, else the step begins anew with it (`PlacesBusy`): no deadlock. Only flows with a limit pay for any of this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

from controlplane.engine.items import Item
from controlplane.engine.store import Key
from controlplane.platform.database import Database
from flows.errors import HeadraceError
from flows.machine.events import Admitted, Verdict
from flows.machine.execution import Execution
from flows.machine.states import State
from flows.spec.model import Concurrency, Flow

FlowKey = tuple[str, str, str]
"""(tenant, namespace, flow id)."""

NewestLoader = Callable[[str, str, str], tuple[int, Flow]]
"""(tenant, namespace, flow id) → number of the newest revision, and that revision. Raises HeadraceError when there is none that
can run: deleted, a draft, no longer valid."""

HOLDING = frozenset(
    {State.RUNNING, State.PAUSED, State.RETRYING, State.BREAKPOINT, State.RESTARTED, State.KILLING, State.SUBMITTED}
)
"""States in which an execution holds a place."""

ADMITTED_MAX = 500
"""Queued executions admitted in one go."""

_HOLDING_SQL = ", ".join(f"'{state}'" for state in sorted(HOLDING))


class PlacesBusy(Exception):
    """The lock of a flow is held elsewhere and may not be waited for here: take it first, then do the step again."""

    def __init__(self, keys: Iterable[FlowKey]) -> None:
        super().__init__("the lock of a flow is held elsewhere")
        self.keys = frozenset(keys)


def flow_key(execution: Execution) -> FlowKey:
    """The flow whose places an execution may need."""
    return (execution.tenant, execution.namespace, execution.flow_id)


class Places:
    """The places of the flows one transaction decides about. `executions`: those of the batch, as they are in memory."""

    def __init__(self, database: Database, executions: Mapping[Key, Execution]) -> None:
        self._database = database
        self._executions = executions
        self._locks: dict[FlowKey, int] = {}
        self._taken: dict[FlowKey, int] = {}
        self._waiting: dict[FlowKey, bool] = {}

    def hold(self, keys: Iterable[FlowKey]) -> None:
        """Takes the locks of these flows until the end of the transaction. Raises PlacesBusy."""
        wanted = sorted((_lock_number(key), key) for key in set(keys) - self._locks.keys())
        busy: list[FlowKey] = []
        for number, key in wanted:
            if self._database.postgres:
                if all(number > held for held in self._locks.values()):
                    self._database.execute("SELECT pg_advisory_xact_lock(?)", (number,))
                elif not self._database.execute("SELECT pg_try_advisory_xact_lock(?)", (number,))[0][0]:
                    busy.append(key)
                    continue
            self._locks[key] = number
        if busy:
            raise PlacesBusy([*self._locks, *busy])
        for _, key in wanted:
            self._count(key)

    def _count(self, key: FlowKey) -> None:
        """What is stored, without the executions of this batch, and those as they are now."""
        mine = {execution.id for execution in self._executions.values() if flow_key(execution) == key}
        rows = self._database.execute(
            "SELECT id FROM execution WHERE tenant_id = ? AND namespace = ? AND flow_id = ?"  # noqa: S608 - constants
            f" AND state IN ({_HOLDING_SQL})",
            key,
        )
        queued = self._database.execute(
            "SELECT id FROM execution WHERE tenant_id = ? AND namespace = ? AND flow_id = ? AND state = 'QUEUED' LIMIT ?",
            (*key, len(mine) + 1),
        )
        self._taken[key] = len({row[0] for row in rows} - mine)
        self._waiting[key] = bool({row[0] for row in queued} - mine)
        for execution in self._executions.values():
            if execution.id in mine:
                self.moved(key, None, execution.state)

    def moved(self, key: FlowKey, before: State | None, after: State) -> None:
        """An execution of the batch took another state."""
        if key not in self._taken:
            return
        self._taken[key] += (after in HOLDING) - (before in HOLDING)
        if after is State.QUEUED:
            self._waiting[key] = True

    def verdict(self, key: FlowKey, limit: Concurrency) -> Verdict:
        """What the limit says about one more execution. Behind others that wait, it waits as well: first come, first served."""
        if self._taken[key] >= limit.limit:
            return limit.behavior
        if limit.behavior == "QUEUE" and self._waiting[key]:
            return "QUEUE"
        return "run"

    def free(self, key: FlowKey, limit: Concurrency | None) -> bool:
        """Whether a queued execution may have a place."""
        return limit is None or self._taken[key] < limit.limit


def _lock_number(key: FlowKey) -> int:
    """A flow as the 64-bit number of its lock."""
    return int.from_bytes(hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest(), "big", signed=True)


def queued_flows(database: Database) -> list[FlowKey]:
    """Flows in whose line somebody stands."""
    rows = database.execute("SELECT DISTINCT tenant_id, namespace, flow_id FROM execution WHERE state = 'QUEUED'")
    return [(row[0], row[1], row[2]) for row in rows]


def admissions(database: Database, key: FlowKey, load_newest: NewestLoader) -> list[Item]:
    """Items that admit the oldest queued executions of a flow, as many as there are places now. The step looks again."""
    limit = newest_limit(load_newest, key)
    room = ADMITTED_MAX
    if limit is not None:
        rows = database.execute(
            "SELECT count(*) FROM execution WHERE tenant_id = ? AND namespace = ? AND flow_id = ?"  # noqa: S608 - constants
            f" AND state IN ({_HOLDING_SQL})",
            key,
        )
        room = min(room, limit.limit - int(rows[0][0]))
    if room <= 0:
        return []
    rows = database.execute(
        "SELECT id FROM execution WHERE tenant_id = ? AND namespace = ? AND flow_id = ? AND state = 'QUEUED'"
        " ORDER BY created_at_us, id LIMIT ?",
        (*key, room),
    )
    return [Item(key=(key[0], row[0]), event=Admitted(), states=frozenset({State.QUEUED})) for row in rows]


def newest_limit(load_newest: NewestLoader, key: FlowKey) -> Concurrency | None:
    """The limit in the newest revision; none when the flow is gone or cannot be read: nobody waits for what no longer is."""
    try:
        return load_newest(*key)[1].concurrency
    except HeadraceError:
        return None
