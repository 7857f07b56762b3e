"""Which worker has room: the open sessions of this process and their free slots.

Slots are counted here, never stored: a session begins with what its worker announced, less what it still holds.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from wire import gateway

GroupKey = tuple[str, str, bool]
"""(tenant, worker group, light)."""


@dataclass(eq=False, slots=True)
class Channel:
    """One worker's open session. `deliver` hands messages to the session; it is called from the engine's thread."""

    tenant: str
    worker_group: str
    worker_id: str
    epoch: int
    deliver: Callable[[list[gateway.Assign], list[gateway.AttemptToken]], None]
    free: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    open: bool = True


class Dispatcher:
    """Sessions by group. Thread-safe: sessions come and go on the gateway's loop, leases are made by the engine's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: defaultdict[tuple[str, str], list[Channel]] = defaultdict(list)
        self._by_worker: dict[tuple[str, str], Channel] = {}
        self.backlog: set[GroupKey] = set()
        """Groups that may have waiting hand-outs in the table. Too many is harmless, too few is not."""

    def attach(self, channel: Channel) -> Channel | None:
        """Opens a session; returns the older one of the same worker, which is no longer used."""
        with self._lock:
            older = self._by_worker.get((channel.tenant, channel.worker_id))
            if older is not None:
                self._remove(older)
            self._groups[(channel.tenant, channel.worker_group)].append(channel)
            self._by_worker[(channel.tenant, channel.worker_id)] = channel
            for light in (True, False):
                self.backlog.add((channel.tenant, channel.worker_group, light))
        return older

    def detach(self, channel: Channel) -> None:
        """Closes a session; a second call is harmless."""
        with self._lock:
            self._remove(channel)

    def drain(self, channel: Channel) -> None:
        """Leases nothing more to a session that goes on: what its worker still runs can be stopped through it."""
        with self._lock:
            members = self._groups.get((channel.tenant, channel.worker_group), [])
            if channel in members:
                members.remove(channel)

    def _remove(self, channel: Channel) -> None:
        channel.open = False
        members = self._groups.get((channel.tenant, channel.worker_group), [])
        if channel in members:
            members.remove(channel)
        if self._by_worker.get((channel.tenant, channel.worker_id)) is channel:
            del self._by_worker[(channel.tenant, channel.worker_id)]

    def channel_of(self, tenant: str, worker_id: str) -> Channel | None:
        """The open session of a worker, if it is on this process."""
        with self._lock:
            return self._by_worker.get((tenant, worker_id))

    def reserve(self, key: GroupKey, wanted: int) -> list[Channel]:
        """Takes up to `wanted` free slots of a group, the worker with most room first; one entry per slot."""
        tenant, group, light = key
        taken: list[Channel] = []
        with self._lock:
            members = self._groups.get((tenant, group))
            if not members:
                return taken
            if len(members) == 1:
                channel = members[0]
                # Below zero: a worker that came back with more attempts than slots owes before it gets.
                count = max(0, min(wanted, channel.free[light]))
                channel.free[light] -= count
                return [channel] * count
            while len(taken) < wanted:
                channel = max(members, key=lambda member: member.free[light])
                if channel.free[light] <= 0:
                    break
                channel.free[light] -= 1
                taken.append(channel)
        return taken

    def release(self, channel: Channel, light: bool, count: int = 1) -> None:
        """Gives slots back."""
        with self._lock:
            channel.free[light] += count

    def groups_with_room(self) -> list[tuple[GroupKey, int]]:
        """Groups that may have waiting hand-outs and have free slots, with their number."""
        found = []
        with self._lock:
            for key in self.backlog:
                tenant, group, light = key
                room = sum(max(0, channel.free[light]) for channel in self._groups.get((tenant, group), ()))
                if room:
                    found.append((key, room))
        return found

    def look_again(self) -> bool:
        """Every group with a session may have waiting hand-outs: another process may have put them there. Says if any has one."""
        with self._lock:
            for channel in self._by_worker.values():
                for light in (True, False):
                    self.backlog.add((channel.tenant, channel.worker_group, light))
            return bool(self._by_worker)

    def connected(self) -> list[tuple[str, str]]:
        """(tenant, worker id) of the open sessions of this process."""
        with self._lock:
            return list(self._by_worker)
