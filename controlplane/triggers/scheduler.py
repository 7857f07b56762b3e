"""The scheduler: finds what is due, decides in place, has the engine create executions. Safe in any number of copies.

Each round: locks whose execution is over are taken away, due schedules are looked at, deadlines of Flow triggers that passed are
reported. A look costs a few dozen microseconds and reads nothing; what it decided is settled with the execution in one
transaction (`settling`), so copies that race lose a look and nothing else. A round is woken by the next date, by the end of an
execution that held a lock, and in any case every second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controlplane.engine.items import Answer, Item
from controlplane.engine.service import Engine
from controlplane.platform import database
from controlplane.platform.database import Database
from controlplane.platform.wakeups import Hub
from controlplane.triggers import dates, flow_triggers
from controlplane.triggers.firing import schedule_item
from controlplane.triggers.rows import COLUMNS, StateRow, dump, state_row
from controlplane.triggers.rules import is_known, rule_of
from controlplane.triggers.settling import Settlement, StateKey, settle
from flows.errors import HeadraceError
from flows.machine.states import TERMINATED
from flows.schedule.state import Reason

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
"""Longest time between two rounds."""

DUE_MAX = 5_000
"""Triggers looked at in one round; the rest follow in the next, which begins at once."""

PORTION = 100
"""Triggers looked at before the engine gets what they start."""

WARM_US = 30_000_000
WARM_MAX = 200
"""How far ahead, and how many in one round, flows of coming dates are read, so that the due second costs no parsing."""

OUTAGE_US = 10_000_000
"""No scheduler has ticked for so long: dates missed since are treated by `recoverMissedSchedules`. A shorter pause is a restart,
and what fell into it runs late."""

CLOCK_US = 2_000_000
"""How often the common tick is written down."""

BROKEN_US = 60_000_000
"""When a trigger whose flow cannot be loaded is looked at again."""

REMEMBERED_US = 400 * 86_400_000_000
FORGET_SECONDS = 3_600.0
"""How long firings are remembered (longer than any date can be late), and how often old ones are taken out."""

_ROW = ", ".join(f"t.{name}" for name in COLUMNS)
_ENDED = ", ".join(f"'{state.value}'" for state in sorted(TERMINATED))


@dataclass(slots=True)
class Round:
    """What a round did."""

    unlocked: int = 0
    looked: int = 0
    fired: int = 0
    misses: int = 0


class Scheduler:
    """`start` runs it in a thread; `run_once` is one round, for jobs and tests."""

    def __init__(self, url: str, engine: Callable[[], Engine], hub: Hub | None = None) -> None:
        self._url = url
        self._engine = engine
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._in_flight: set[StateKey] = set()
        self._holders: set[tuple[str, str]] = set()
        self._recovered = False
        self._clock_due_us = 0
        self._forget_due = 0.0
        if hub is not None:
            hub.observe_ends(self._ended)

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the thread; returns at once."""
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after its round."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """Begin the next round now."""
        self._wake.set()

    def _loop(self) -> None:
        connection: Database | None = None
        while not self._stopping.is_set():
            wait = ROUND_SECONDS
            try:
                if connection is None:
                    connection = database.connect(self._url)
                self.run_once(connection)
                wait = self._pause(connection)
            except Exception:
                log.exception("the scheduler's round failed; the next one begins in a second")
                if connection is not None:
                    _close(connection)
                connection = None
            self._wake.wait(wait)
            self._wake.clear()
        if connection is not None:
            _close(connection)

    def _pause(self, connection: Database) -> float:
        """Seconds until the next date, at most a round."""
        found = connection.execute(
            "SELECT min(next_at_us) FROM trigger_state WHERE live AND NOT disabled AND next_at_us IS NOT NULL"
            " AND kind IN ('schedule', 'flow') AND execution_id IS NULL AND next_at_us > ?",
            (connection.now_us(),),
        )[0][0]
        if found is None:
            return ROUND_SECONDS
        return min(ROUND_SECONDS, max(0.0, (int(found) - connection.now_us()) / 1_000_000))

    def _ended(self, tenant: str, execution_id: str) -> None:
        """An execution ended in this process: if it held a lock, its trigger may go on at once."""
        if (tenant, execution_id) in self._holders:
            self._holders.discard((tenant, execution_id))
            self._wake.set()

    # -- a round ------------------------------------------------------------------------------------------------------

    def run_once(self, connection: Database, now: int | None = None) -> Round:
        """One round over the database. What it hands to the engine is committed there, usually after it returns.

        `now`: the instant to judge by, the database's clock when None.
        """
        now = connection.now_us() if now is None else now
        done = Round()
        if not self._recovered:
            self._recover(connection, now)
            self._recovered = True
        if now >= self._clock_due_us:
            _tick(connection, now)
            self._clock_due_us = now + CLOCK_US
        done.unlocked = unlock_ended(connection, now)
        rows = due_rows(connection, now)
        done.looked = len(rows)
        if len(rows) >= DUE_MAX:
            self._wake.set()
        settlements: list[Settlement] = []
        # In portions: the engine commits the first while the next are looked at.
        for start in range(0, len(rows), PORTION):
            items: list[Item] = []
            for row in rows[start : start + PORTION]:
                with self._lock:
                    if row.key in self._in_flight:
                        continue
                item, settlement = look_at(row, now)
                if item is not None:
                    items.append(item)
                elif settlement is not None:
                    settlements.append(settlement)
            done.fired += len(items)
            self._submit(items)
        if settlements:
            with connection.transaction():
                settle(connection, settlements, now)
        done.misses = flow_triggers.report_misses(connection, self._engine, now)
        self._warm(connection, now)
        self._forget(connection, now)
        return done

    def _submit(self, items: list[Item]) -> None:
        if not items:
            return
        engine = self._engine()
        for item in items:
            assert item.claim is not None
            settlement: Settlement = item.claim.value
            with self._lock:
                self._in_flight.add(settlement.key)
            if settlement.changes.get("execution_id"):
                self._holders.add(item.key)
            item.done = self._answered(item, settlement.key)
            engine.submit(item)

    def _answered(self, item: Item, key: StateKey) -> Callable[[Answer], None]:
        def done(answer: Answer) -> None:
            with self._lock:
                self._in_flight.discard(key)
                last = not self._in_flight
            if answer not in ("applied", "parked"):
                self._holders.discard(item.key)
            if last:
                self._wake.set()  # the rows say by now when they are due next

        return done

    def settled(self, timeout: float = 30.0) -> bool:
        """Waits until the engine has answered for everything it was handed. For tests."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            with self._lock:
                if not self._in_flight:
                    return True
            time.sleep(0.002)
        return False

    def _recover(self, connection: Database, now: int) -> None:
        """After an outage, dates missed meanwhile are treated as each trigger wants."""
        ticked = connection.execute("SELECT ticked_at_us FROM scheduler_clock WHERE id = 1")
        if not ticked or now - int(ticked[0][0]) < OUTAGE_US:
            return
        settlements = []
        for row in due_rows(connection, now, locked=True):
            changes = dates.recovered(row, now)
            if changes:
                settlements.append(Settlement(row.key, row.version, changes=changes))
        if settlements:
            with connection.transaction():
                settle(connection, settlements, now)
            log.info("%d schedules were late after an outage and are treated by recoverMissedSchedules", len(settlements))

    def _warm(self, connection: Database, now: int) -> None:
        cold = [row for row in coming_rows(connection, now) if not is_known(row)]
        for row in cold[:WARM_MAX]:
            if self._wake.is_set():
                return  # there is something to do
            try:
                rule_of(row)
            except HeadraceError:
                continue

    def _forget(self, connection: Database, now: int) -> None:
        if time.monotonic() < self._forget_due:
            return
        self._forget_due = time.monotonic() + FORGET_SECONDS
        connection.execute("DELETE FROM trigger_firing WHERE created_at_us < ?", (now - REMEMBERED_US,))


def _close(connection: Database) -> None:
    try:
        connection.close()
    except Exception:  # it is broken already; a new one is opened next
        log.debug("closing the broken connection failed", exc_info=True)


def _tick(connection: Database, now: int) -> None:
    connection.insert("scheduler_clock", (("id", "int"), ("ticked_at_us", "bigint")), [(1, now)], ignore=True)
    connection.execute("UPDATE scheduler_clock SET ticked_at_us = ? WHERE id = 1 AND ticked_at_us < ?", (now, now))


def due_rows(connection: Database, now: int, *, locked: bool = False) -> list[StateRow]:
    """Schedules whose date has come and that nothing holds (with `locked`: those that an execution holds as well)."""
    held = "" if locked else " AND t.execution_id IS NULL"
    found = connection.execute(
        f"SELECT {_ROW} FROM trigger_state t WHERE t.live AND NOT t.disabled AND t.next_at_us <= ?"  # noqa: S608 - constants
        f" AND t.kind = 'schedule'{held} ORDER BY t.next_at_us LIMIT ?",
        (now, DUE_MAX),
    )
    return [state_row(values) for values in found]


def coming_rows(connection: Database, now: int) -> list[StateRow]:
    """Schedules whose date comes soon."""
    found = connection.execute(
        f"SELECT {_ROW} FROM trigger_state t WHERE t.live AND NOT t.disabled AND t.next_at_us > ? AND t.next_at_us <= ?"  # noqa: S608
        " AND t.kind = 'schedule' ORDER BY t.next_at_us LIMIT ?",
        (now, now + WARM_US, DUE_MAX),
    )
    return [state_row(values) for values in found]


def look_at(row: StateRow, now: int) -> tuple[Item | None, Settlement | None]:
    """What is to be done about a due schedule: an execution to create, or columns to write, or nothing."""
    try:
        rule = rule_of(row)
        before = dates.state_of(row)
        look = dates.look(rule, row, now)
        changes = dates.changes_of(before, look.state)
        if look.firing is not None:
            return schedule_item(row, rule, look.firing, changes, now), None
    except HeadraceError as error:
        return None, _broken(row, error.code, str(error), now)
    except Exception:
        # A trigger that breaks the scheduler hurts itself only, and says so.
        log.exception("trigger %s of %s.%s cannot be decided", row.trigger_id, row.namespace, row.flow_id)
        return None, _broken(row, "trigger.fault", "an internal fault; see the control plane's log", now)
    reason = reason_of(look.reason, now)
    if not changes and reason is None:
        return None, None
    return None, Settlement(row.key, row.version, changes={**changes, "reason": dump(reason)})


def _broken(row: StateRow, code: str, message: str, now: int) -> Settlement:
    reason = {"code": code, "message": f"it could not be evaluated: {message}", "at": now}
    return Settlement(row.key, row.version, changes={"reason": dump(reason), "next_at_us": now + BROKEN_US})


_TOLD = {
    "condition_false": ("condition.false", "its conditions did not hold at that date"),
    "late": ("schedule.late", "dates older than lateMaximumDelay were passed over"),
}


def reason_of(reason: Reason | None, now: int) -> dict[str, Any] | None:
    """The reasons worth keeping: what the row does not say itself."""
    if reason is None or reason.code not in _TOLD:
        return None
    code, message = _TOLD[reason.code]
    return {"code": code, "message": message, "at": now, **reason.detail}


def unlock_ended(connection: Database, now: int) -> int:
    """Frees triggers whose execution is over, and switches those off that `stopAfter` says so.

    An execution that does not exist was deleted (it is created in the transaction that takes the lock): it holds nothing.
    """
    found = connection.execute(
        f"SELECT {_ROW}, e.state FROM trigger_state t LEFT JOIN execution e"  # noqa: S608 - constants
        " ON e.tenant_id = t.tenant_id AND e.id = t.execution_id"
        f" WHERE t.execution_id IS NOT NULL AND (e.state IS NULL OR e.state IN ({_ENDED})) LIMIT ?",
        (DUE_MAX,),
    )
    settlements = []
    for values in found:
        row, ended = state_row(values[:-1]), values[-1]
        settlements.append(Settlement(row.key, row.version, changes=_unlocked(row, ended, now)))
    if not settlements:
        return 0
    with connection.transaction():
        return sum(settle(connection, settlements, now))


def _unlocked(row: StateRow, ended: str | None, now: int) -> dict[str, Any]:
    changes: dict[str, Any] = {"execution_id": None, "locked_at_us": None}
    if ended is None or not row.stop_after:
        return changes
    disabled = ended in row.stop_after
    if disabled != row.disabled:
        by = {"kind": "stopAfter", "executionId": row.execution_id, "state": ended, "at": now}
        changes |= {"disabled": disabled, "disabled_by": dump(by) if disabled else None}
        changes |= {"next_at_us": None} if disabled else dates.resumed(row, now, None)
    return changes
