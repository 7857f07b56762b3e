"""One transaction in the making: what arrived is folded through the machine, and what follows from it within the batch as well.

Children that a step wants are created in the same transaction, and messages to executions whose lock the batch holds anyway are
applied at once; both up to a bound, beyond which they travel through the outbox. The order of locks is: executions by id, then
flows (`concurrency`). Nothing is locked twice, so nothing deadlocks.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from controlplane.engine import children, outbox, removal, rewinding, store
from controlplane.engine.concurrency import HOLDING, FlowKey, Places, PlacesBusy, flow_key, newest_limit
from controlplane.engine.dispatch import Channel, GroupKey
from controlplane.engine.items import Answer, Item
from controlplane.engine.leasing import Leases
from controlplane.engine.lookups import StoredLookups
from controlplane.engine.proofs import Proofs
from controlplane.engine.store import Key
from controlplane.platform.database import DatabaseError, Row
from controlplane.vault.encryption import encrypt_for
from controlplane.vault.functions import plane_functions
from flows.errors import HeadraceError
from flows.machine import invariants
from flows.machine.children import rerun_of
from flows.machine.decide import decide
from flows.machine.effects import ChildWanted, Effects, Tell
from flows.machine.events import Admitted, ChildCreated, ChildEnded, ChildRefused, Created, Event, Lost, SetLabels
from flows.machine.execution import Cursor, Execution
from flows.machine.states import State
from flows.machine.world import World
from flows.spec.model import Concurrency, Flow
from wire import gateway
from wire.ids import new_id

if TYPE_CHECKING:
    from controlplane.engine.advance import Advance

log = logging.getLogger(__name__)

FOLLOWED_MAX = 2_000
"""Children begun and messages applied within the batch that caused them; what is beyond waits for the next."""


@dataclass(slots=True)
class Outcome:
    """What a committed batch has to tell."""

    answers: list[tuple[Item, Answer]] = field(default_factory=list)
    changed: list[Key] = field(default_factory=list)
    ended: list[Key] = field(default_factory=list)
    assigned: dict[Channel, list[gateway.Assign]] = field(default_factory=dict)
    stopped: list[tuple[str, str, gateway.AttemptToken]] = field(default_factory=list)
    """(tenant, worker id, token) of attempts that must end."""
    next_due_us: int | None = None
    waiting: set[GroupKey] = field(default_factory=set)
    """Groups for which a hand-out now waits."""
    refused: list[Item] = field(default_factory=list)
    """What the engine must tell itself: hand-outs that can be given to nobody."""
    messages: list[Item] = field(default_factory=list)
    """Stored messages to other executions."""
    notices: list[outbox.Notice] = field(default_factory=list)
    freed: set[FlowKey] = field(default_factory=set)
    """Flows with a limit, one of whose executions gave its place up."""


class Batch:
    """Folds items into executions and effects. `saving.save` writes them."""

    def __init__(self, advance: Advance, items: list[Item]) -> None:
        self.advance = advance
        self.database = advance.database
        self.items = items
        self.outcome = Outcome()
        self.executions: dict[Key, Execution] = {}
        self.effects: dict[Key, Effects] = {}
        self.flows: dict[Key, Flow] = {}
        self.new: set[Key] = set()
        self.edited: dict[Key, Row] = {}
        """What is stored of labels and variables, for executions in which they may have changed."""
        self.timed: set[Key] = set()
        """Executions that may have timers of their own beside those of service levels: they stood before their start."""
        self.metrics: list[Row] = []
        self.ended_runs: set[str] = set()
        self.tells: deque[tuple[str, Tell]] = deque()
        """(tenant, message) not applied within this batch."""
        self.letters: list[tuple[str, str, str, object]] = []
        """(tenant, execution, kind, payload) of messages that are no events, e.g. the wish to be restarted."""
        self.deferred: list[tuple[Key, bool]] = []
        """New executions whose first step is left to the next batch, and whether their revision is pinned."""
        self.now = 0
        self.leases = Leases(self.database, advance.dispatcher, advance.load_flow)
        self._wanted: deque[tuple[Key, ChildWanted]] = deque()
        self._places: Places | None = None
        self._made: list[tuple[Key, bool]] = []
        self._parked: set[Key] = set()
        self._followed = 0
        self._older: dict[Key, int] = {}
        self._newest: dict[FlowKey, tuple[int, Flow] | HeadraceError] = {}

    # -- fold ---------------------------------------------------------------------------------------------------------

    def fold(self, locks: frozenset[FlowKey] = frozenset()) -> None:
        """Locks, loads, and applies every item whose proof holds. `locks`: flows to lock first. Raises PlacesBusy."""
        new = {item.key: fresh(item.new) for item in self.items if item.new is not None}
        for key in self._created_before():
            del new[key]
        keys = sorted({item.key for item in self.items if item.key not in new})
        # The lock comes first; what else must be known travels behind it in the same round trip.
        locked = self.database.select("execution", ("tenant_id", "id", "version"), store.EXECUTION_KEYS, keys, lock=True)
        clock = self.database.clock()
        proofs = Proofs(self.database, self.items)
        versions = {(row[0], row[1]): row[2] for row in locked()}
        self.now = int(clock()[0][0])
        missing = []
        for key, version in versions.items():
            held = self.advance.take_cached(key)
            if held is not None and held.version == version:
                self.executions[key] = held
            else:
                missing.append(key)
        self.executions.update(store.load_executions(self.database, missing))
        for key, execution in new.items():
            self.executions[key] = execution
            self.new.add(key)
        gone = proofs.refused(self.now)
        self.ended_runs = proofs.ended
        limits = self._lock_flows(locks, gone)
        for item in self.items:
            self.outcome.answers.append((item, self._answer(item, gone, limits.get(item.key))))
            self.leases.free_slot(item)
            if item.new is not None and id(item) in gone and item.key in self.new:
                self.new.discard(item.key)  # never stored, so nothing to remember
                del self.executions[item.key]
        self._follow()

    def _created_before(self) -> list[Key]:
        """Executions that a transaction created whose commit was answered by a broken connection: they are not created again."""
        keys = [item.key for item in self.items if item.new is not None and (item.tries or item.once)]
        if not keys:
            return []
        return [(row[0], row[1]) for row in self.database.select("execution", ("tenant_id", "id"), store.EXECUTION_KEYS, keys)()]

    def _answer(self, item: Item, gone: set[int], limit: Concurrency | None) -> Answer:
        execution = self.executions.get(item.key)
        if execution is None:
            self._disappoint(item, State.FAILED)
            return "absent"
        if id(item) in gone:
            return "superseded"
        if item.key in self._parked:
            return "parked"
        if item.states is not None and execution.state not in item.states:
            item.refusal = f"it is {execution.state}"
            item.refusal_code = "execution.over" if execution.state.terminated else "execution.state"
            if isinstance(item.event, Admitted):
                self.outcome.freed.add(flow_key(execution))  # somebody else may have the place
            return "refused"
        if isinstance(item.event, Admitted) and not self._has_place(execution):
            return "refused"
        event = item.event
        if isinstance(event, Created):
            event = self._created(execution, limit)
        if not self.step(item.key, event, item):
            if item.refusal is None:
                return "parked"
            self._disappoint(item, execution.state)
            return "refused"
        self._tell_off(item)
        return "applied"

    def _disappoint(self, item: Item, state: State) -> None:
        """Whoever asked for what cannot be hears how the execution ended; one that is still open will tell by itself."""
        if item.asked_by is not None and state.terminated:
            parent, run_id, index = item.asked_by
            self.tells.append((item.key[0], Tell(parent, ChildEnded(run_id, item.key[1], state, None, index))))

    def step(self, key: Key, event: Event, item: Item | None = None) -> bool:
        """One event of one execution. What goes wrong with it parks that execution and no other; False then."""
        execution = self.executions[key]
        try:
            self._apply(key, execution, event, item)
        except (*DatabaseError, PlacesBusy):
            raise  # says nothing about this execution: the whole transaction is void and tried again
        except rewinding.Refused as error:
            if item is not None:
                item.refusal, item.refusal_code = str(error), error.code
            return False
        except Exception as error:
            log.exception("execution %s is parked", key[1])
            self._parked.add(key)
            self.park(key, execution, error)
            return False
        return True

    def _apply(self, key: Key, execution: Execution, event: Event, item: Item | None) -> None:
        flow = self.flow_of(key, execution)
        effects = self.effects.setdefault(key, Effects())
        before = execution.state
        self._older[key] = len(effects.created)
        if before is State.CREATED and key not in self.new:
            self.timed.add(key)
        if key not in self.new and key not in self.edited and (isinstance(event, SetLabels) or item_rewinds(item) or edits(flow)):
            self.edited[key] = store.execution_edited_row(execution)
        world = self.world(key[0], flow)
        if item is not None and item.rewinds is not None:
            rewinding.carry_out(self, item, execution, effects, world)
        else:
            if key in self.new and before.terminated:  # created with its end: a check of the flow does not hold
                effects.states.append(before)
                effects.ended = True
            decide(execution, event, world, effects)
        if self.advance.checked:
            invariants.check(execution, flow, effects)
        if item is not None:
            for metric in item.metrics:
                self.metrics.append((*key, *_metric_values(metric), self.now))
        self.after(key, execution, flow, effects, before)

    def after(self, key: Key, execution: Execution, flow: Flow, effects: Effects, before: State) -> None:
        """What a decision wants beside rows of its own is put in line."""
        if self._places is not None:
            self._places.moved(flow_key(execution), before, execution.state)
        if flow.concurrency is not None and before in HOLDING and execution.state not in HOLDING:
            self.outcome.freed.add(flow_key(execution))
        if effects.children:
            self._wanted.extend((key, wanted) for wanted in effects.children)
            effects.children = []
        if effects.tells:
            self.tells.extend((key[0], tell) for tell in effects.tells)
            effects.tells = []
        if effects.removed or effects.removed_below:
            self.flush_removed(execution)
        if effects.reruns:
            effects.reruns = False
            self._begin(rerun_of(execution, new_id(), self.now, cause="retry"), pinned=True)

    def flush_removed(self, execution: Execution) -> None:
        """Takes away the rows of task runs that no longer are, before anything is looked up or created in their place."""
        effects = self.effects.get((execution.tenant, execution.id))
        if effects is not None and (effects.removed or effects.removed_below):
            removal.flush(self.database, execution, effects, self._older[(execution.tenant, execution.id)])

    def flow_of(self, key: Key, execution: Execution) -> Flow:
        """The revision it runs. Raises HeadraceError when it is gone."""
        flow = self.flows.get(key)
        if flow is None:
            flow = self.advance.load_flow(execution.tenant, execution.namespace, execution.flow_id, execution.revision)
            self.flows[key] = flow
        return flow

    def newest(self, key: FlowKey) -> tuple[int, Flow]:
        """The newest revision of a flow, asked for once a batch. Raises HeadraceError when there is none that can run."""
        found = self._newest.get(key)
        if found is None:
            try:
                found = self.advance.load_newest(*key)
            except HeadraceError as error:
                found = error
            self._newest[key] = found
        if isinstance(found, HeadraceError):
            raise found
        return found

    def world(self, tenant: str, flow: Flow) -> World:
        """What a decision may know."""
        return World(
            flow=flow,
            now=self.now,
            new_id=new_id,
            random=self.advance.random.random,
            lookup=StoredLookups(self.database, self.executions, self.effects, self.flush_removed),
            functions=_functions(self.now // 1_000_000, tenant, flow.namespace),
            encrypt=encrypt_for(tenant),
        )

    def _tell_off(self, item: Item) -> None:
        """A worker whose lease ran out and who is connected all the same must end the attempt; its answer frees the slot."""
        if item.expired and item.token is not None and isinstance(item.event, Lost) and item.event.worker_id is not None:
            token = item.token
            attempt = gateway.AttemptToken(
                execution_id=token.execution_id, task_run_id=token.task_run_id, attempt=token.attempt, lease_id=token.lease_id
            )
            self.outcome.stopped.append((token.tenant, item.event.worker_id, attempt))

    # -- places -------------------------------------------------------------------------------------------------------

    def _lock_flows(self, locks: frozenset[FlowKey], gone: set[int]) -> dict[Key, Concurrency]:
        """Limits of the executions that begin in this batch; the locks of their flows are held then."""
        limits: dict[Key, Concurrency] = {}
        wanted = set(locks)
        for item in self.items:
            execution = self.executions.get(item.key)
            if execution is None or id(item) in gone:
                continue
            if isinstance(item.event, Created):
                limit = self._limit(execution, item.pinned)
                if limit is not None:
                    limits[item.key] = limit
                    wanted.add(flow_key(execution))
            elif isinstance(item.event, Admitted):
                wanted.add(flow_key(execution))
        self._hold(wanted)
        return limits

    def _limit(self, execution: Execution, pinned: bool) -> Concurrency | None:
        """The limit an execution that begins now must keep: that of the flow's newest revision. A start date passes it by."""
        if execution.state is not State.CREATED or (execution.schedule_at or 0) > self.now:
            return None
        try:
            flow = self.flow_of((execution.tenant, execution.id), execution)
        except HeadraceError:
            return None  # the step will say so
        return newest_limit(lambda *key: self.newest(key), flow_key(execution)) if pinned else flow.concurrency

    def _hold(self, keys: set[FlowKey]) -> None:
        if not keys:
            return
        if self._places is None:
            self._places = Places(self.database, self.executions)
        self._places.hold(keys)

    def _created(self, execution: Execution, limit: Concurrency | None) -> Created:
        if limit is None or self._places is None:
            return Created()
        return Created(self._places.verdict(flow_key(execution), limit))

    def _has_place(self, execution: Execution) -> bool:
        key = flow_key(execution)
        limit = newest_limit(lambda *key: self.newest(key), key)
        return self._places is not None and self._places.free(key, limit)

    # -- what follows within the batch --------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Creates the children that were wanted and applies what executions of this batch tell each other."""
        later: deque[tuple[str, Tell]] = deque()
        while self._wanted or self.tells or self._made:
            round_, self._wanted = list(self._wanted), deque()
            for parent, wanted in round_:
                self._child(parent, wanted)
            self._begin_made()
            while self.tells:
                tenant, tell = self.tells.popleft()
                key = (tenant, tell.execution_id)
                if key in self.executions and key not in self._parked and self._followed < FOLLOWED_MAX:
                    self._followed += 1
                    self.step(key, tell.event)
                else:
                    later.append((tenant, tell))
        self.tells = later

    def _child(self, parent: Key, wanted: ChildWanted) -> None:
        """One child: composed, noted, and told to its parent."""
        if wanted.restarts is not None:
            payload = {"parent": parent[1], "taskRunId": wanted.task_run_id, "index": wanted.index}
            self.letters.append((parent[0], wanted.restarts, outbox.RESTART, payload))
            self.step(parent, ChildCreated(wanted.task_run_id, wanted.restarts))
            return
        try:
            execution, flow, pinned = children.compose(self, self.executions[parent], wanted)
        except HeadraceError as error:
            self.step(parent, ChildRefused(wanted.task_run_id, wanted.id, error.code, str(error)))
            return
        key = (execution.tenant, execution.id)
        self.flows[key] = flow
        self._begin(execution, pinned)
        self.step(parent, ChildCreated(wanted.task_run_id, execution.id))

    def adopt(self, execution: Execution, effects: Effects) -> None:
        """A new execution that came of another one and has moved already joins the batch. Its limit is not asked (§12)."""
        key = (execution.tenant, execution.id)
        self.executions[key] = execution
        self.new.add(key)
        self.effects[key] = effects
        self._older[key] = 0
        flow = self.flow_of(key, execution)
        if self.advance.checked:
            invariants.check(execution, flow, effects)
        self.after(key, execution, flow, effects, State.CREATED)

    def _begin(self, execution: Execution, pinned: bool) -> None:
        """A new execution joins the batch."""
        key = (execution.tenant, execution.id)
        self.executions[key] = execution
        self.new.add(key)
        self.effects[key] = Effects()
        self._made.append((key, pinned))

    def _begin_made(self) -> None:
        """First steps of the executions that were made in this round, as far as the bound allows."""
        made, self._made = self._made, []
        room = max(0, FOLLOWED_MAX - self._followed)
        self.deferred.extend(made[room:])
        made = made[:room]
        self._followed += len(made)
        limits = {key: limit for key, pinned in made if (limit := self._limit(self.executions[key], pinned)) is not None}
        self._hold({flow_key(self.executions[key]) for key in limits})
        for key, _ in made:
            self.step(key, self._created(self.executions[key], limits.get(key)))

    # -- when it goes wrong -------------------------------------------------------------------------------------------

    def park(self, key: Key, execution: Execution, error: Exception) -> None:
        """Ends an execution whose state can no longer be trusted, with a report, from what is stored of it."""
        code = error.code if isinstance(error, HeadraceError) else "machine.fault"
        text = (
            str(error)
            if isinstance(error, HeadraceError)
            else f"internal fault ({type(error).__name__}); see the control plane's log"
        )
        effects = Effects(execution_changed=True, ended=True)
        before = execution.state
        if key in self.new:
            execution.task_run_count = 0
        else:
            execution = store.load_executions(self.database, [key]).get(key, execution)
            # Whatever it had handed out or was waiting for is void, and what runs is told to end.
            for run in execution.runs.values():
                run.move(State.KILLED, self.now)
                effects.changed[run.id] = run
                effects.stopped.add(run.id)
                effects.withdrawn.add(run.id)
                effects.timers_void.add(run.id)
            effects.timers_void.add("")
            self.timed.add(key)
        execution.runs.clear()
        execution.held = []
        execution.paused = False
        execution.count()
        if not execution.state.terminated:
            execution.error = {"code": code, "message": text}
            execution.move(State.FAILED, self.now)
            effects.states.append(State.FAILED)
            if execution.waiter is not None:  # whoever waits for its end hears of it
                parent, run_id, index = execution.waiter
                self.tells.append((key[0], Tell(parent, ChildEnded(run_id, key[1], State.FAILED, None, index))))
        self.executions[key] = execution
        self.effects[key] = effects
        self.edited.pop(key, None)
        if self._places is not None:
            self._places.moved(flow_key(execution), before, execution.state)
        if before in HOLDING:
            self.outcome.freed.add(flow_key(execution))

    def park_stored(self, key: Key, items: list[Item], error: Exception) -> None:
        """`park` for an execution as it is stored; one that is not stored yet is left out, and its items are told so."""
        self.now = self.database.now_us()
        self.database.select("execution", ("id",), store.EXECUTION_KEYS, [key], lock=True)()
        stored = store.load_executions(self.database, [key]).get(key)
        if stored is not None:
            self.park(key, stored, error)
        for item in items:
            self.outcome.answers.append((item, "failed" if stored is None else "parked"))
            self.leases.free_slot(item)

    def undo(self) -> None:
        """Gives back what was taken in memory; the database does its part."""
        self.leases.undo()
        for key in self.executions:
            self.advance.take_cached(key)


def fresh(execution: Execution) -> Execution:
    """A new execution for one transaction: the machine changes it, and a transaction that fails must leave the item as it was."""
    return replace(
        execution,
        history=list(execution.history),
        cursor=Cursor(),
        runs={},
        variables=dict(execution.variables),
        labels=list(execution.labels),
        breakpoints=list(execution.breakpoints),
        held=list(execution.held),
    )


def item_rewinds(item: Item | None) -> bool:
    """Whether a command over all task runs comes with it."""
    return item is not None and item.rewinds is not None


@lru_cache(maxsize=4096)
def edits(flow: Flow) -> bool:
    """Whether executions of this flow may change their labels or variables by themselves: by a task, or by a service level."""
    return bool(flow.sla) or any(task.kind == "updating" for task in flow.walk())


@lru_cache(maxsize=256)
def _functions(second: int, tenant: str, namespace: str) -> dict[str, Callable[..., Any]]:
    """What the small expressions the control plane evaluates may call; the clock stands still within a second."""
    return plane_functions(tenant, namespace, datetime.fromtimestamp(second, UTC))


def _metric_values(metric: Any) -> tuple[Any, ...]:
    return (metric["task_run_id"], metric["task_id"], metric["name"], metric["kind"], metric["value"], store.dump(metric["tags"]))
