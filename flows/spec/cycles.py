"""Which names depend on themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def circular(needs: Mapping[str, Sequence[str]]) -> set[str]:
    """The names that stand in a cycle: those left when all that need nothing, or that nothing needs, are taken away.

    `needs`: name → names it depends on; unknown ones are ignored.
    """
    left = {name: {need for need in wanted if need in needs} for name, wanted in needs.items()}
    for _ in range(2):
        users: dict[str, list[str]] = {name: [] for name in left}
        for name, wanted in left.items():
            for need in wanted:
                users[need].append(name)
        free = [name for name, wanted in left.items() if not wanted]
        while free:
            gone = free.pop()
            left.pop(gone)
            for user in users[gone]:
                left[user].discard(gone)
                if not left[user]:
                    free.append(user)
        # Once more the other way round: what stands before a cycle without being part of it.
        turned: dict[str, set[str]] = {name: set() for name in left}
        for name, wanted in left.items():
            for need in wanted:
                turned[need].add(name)
        left = turned
    return set(left)
