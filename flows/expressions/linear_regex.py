"""Regular expressions in time linear in the text: an automaton instead of backtracking.

A pattern is parsed by the standard library and compiled to a small program of splits and character tests. Matching follows
all alternatives at once, in order of preference, so it finds what a backtracking engine would find, without its explosions.
Sets of alternatives are remembered as states (a lazily built automaton): a character usually costs one look-up. What must
remember text, back-references and look-around, does not exist here and is refused.

Scanned characters and new states are charged to the budget of the rendering.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

from flows.expressions.budget import Budget

PROGRAM_MAX = 3_000
"""Instructions of one program. Counted repeats are written out, so `(…){1000}` is long."""

STATES_MAX = 300
"""States remembered for one program; beyond, all are forgotten and built anew."""

CHARACTERS_MAX = 128
"""Different characters remembered for one state."""

CHARACTERS_PER_STEP = 20
"""Scanned characters that cost one step of the budget."""

CHAR, SPLIT, JUMP, SAVE, ASSERT, MATCH = range(6)

NOWHERE, NEWLINE, LAST_NEWLINE, WORD, OTHER = range(5)
"""What stands beside a position, as far as `^ $ \\b` care. NOWHERE: the edge of the text."""

LAST_NEWLINE_KEY = "\n\n"
EDGE_KEY = ""


class Refused(Exception):
    """The pattern cannot be run in linear time, or is too long; the text says why."""


@dataclass(slots=True)
class Instruction:
    """One step. `first`/`second`: targets of splits and jumps, a slot of SAVE, an assertion's kind."""

    operation: int
    first: int = 0
    second: int = 0
    accepts: Callable[[str], bool] | None = None


class State:
    """Alternatives in order of preference, what was seen last, and where each character leads from here."""

    __slots__ = ("alternatives", "following", "seen")

    def __init__(self, alternatives: tuple[int, ...], seen: int) -> None:
        self.alternatives = alternatives
        self.seen = seen
        self.following: dict[str, tuple[bool, State]] = {}


class Program:
    """A compiled pattern for one direction, with the states met so far."""

    __slots__ = ("asserts", "backward", "code", "longest", "start", "starts", "states")

    def __init__(self, code: list[Instruction], start: int, *, backward: bool, longest: bool) -> None:
        self.code = code
        self.start = start
        self.backward = backward
        self.longest = longest
        self.asserts = any(one.operation == ASSERT for one in code)
        self.states: dict[tuple[tuple[int, ...], int], State] = {}
        self.starts: dict[int, State] = {}

    def initial(self, beside: int) -> State:
        """The state before the first character; `beside` is what stands behind the reading position."""
        beside = beside if self.asserts else OTHER
        state = self.starts.get(beside)
        if state is None:
            state = self.starts[beside] = self._state(tuple(self._follow((self.start,), None)), beside)
        return state

    def _state(self, alternatives: tuple[int, ...], seen: int) -> State:
        if len(self.states) >= STATES_MAX:
            self.states.clear()
            self.starts.clear()
        return self.states.setdefault((alternatives, seen), State(alternatives, seen))

    def step(self, state: State, key: str, budget: Budget) -> tuple[bool, State]:
        """Whether the pattern matches before `key`, and the state after it. Computed once, then found in the state."""
        alternatives = state.alternatives
        budget.spend(len(alternatives) // 4 + 1)
        kind = kind_of(key)
        if self.asserts:
            around = (kind, state.seen) if self.backward else (state.seen, kind)
            alternatives = tuple(self._follow(alternatives, around))
        character = key[:1]
        matched = False
        following: list[int] = []
        for index in alternatives:
            one = self.code[index]
            if one.operation == MATCH:
                matched = True
                if not self.longest:
                    break
            elif one.operation == CHAR and character and one.accepts is not None and one.accepts(character):
                following.append(index + 1)
        after = self._state(tuple(self._follow(tuple(following), None)), kind if self.asserts else OTHER)
        if len(state.following) >= CHARACTERS_MAX:
            state.following.clear()
        result = state.following[key] = matched, after
        return result

    def _follow(self, starts: tuple[int, ...], around: tuple[int, int] | None) -> list[int]:
        """The tests reachable without reading, in order. Assertions are passed when `around` is known and fits."""
        found: list[int] = []
        visited: set[int] = set()
        stack = list(reversed(starts))
        while stack:
            index = stack.pop()
            if index in visited:
                continue
            visited.add(index)
            one = self.code[index]
            if one.operation == JUMP:
                stack.append(one.first)
            elif one.operation == SPLIT:
                stack.append(one.second)
                stack.append(one.first)
            elif one.operation == SAVE:
                stack.append(index + 1)
            elif one.operation == ASSERT and around is not None:
                if holds(one.first, *around):
                    stack.append(index + 1)
            else:
                found.append(index)
        return found


def kind_of(key: str) -> int:
    """The kind of a character, or of the edge of the text."""
    if key == EDGE_KEY:
        return NOWHERE
    if key == LAST_NEWLINE_KEY:
        return LAST_NEWLINE
    if key == "\n":
        return NEWLINE
    return WORD if key.isascii() and (key.isalnum() or key == "_") else OTHER


BEGIN, BEGIN_LINE, END, END_LINE, END_TEXT, BOUNDARY, NO_BOUNDARY = range(7)


def holds(assertion: int, left: int, right: int) -> bool:
    """Whether an assertion holds between what stands on its left and right."""
    if assertion == BEGIN:
        return left == NOWHERE
    if assertion == BEGIN_LINE:
        return left in (NOWHERE, NEWLINE, LAST_NEWLINE)
    if assertion == END:
        return right in (NOWHERE, LAST_NEWLINE)
    if assertion == END_LINE:
        return right in (NOWHERE, NEWLINE, LAST_NEWLINE)
    if assertion == END_TEXT:
        return right == NOWHERE
    return ((left == WORD) != (right == WORD)) is (assertion == BOUNDARY)


# Compiling ---------------------------------------------------------------------------------------------------------

_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    sre.CATEGORY_DIGIT: lambda c: "0" <= c <= "9",
    sre.CATEGORY_NOT_DIGIT: lambda c: not "0" <= c <= "9",
    sre.CATEGORY_SPACE: lambda c: c in " \t\n\r\f\v",
    sre.CATEGORY_NOT_SPACE: lambda c: c not in " \t\n\r\f\v",
    sre.CATEGORY_WORD: lambda c: c.isascii() and (c.isalnum() or c == "_"),
    sre.CATEGORY_NOT_WORD: lambda c: not (c.isascii() and (c.isalnum() or c == "_")),
}


def _anything(character: str) -> bool:
    return True


def _within_line(character: str) -> bool:
    return character not in "\n\r"


def _class(items: Any, ignore_case: bool) -> Callable[[str], bool]:
    negated = False
    singles: set[str] = set()
    ranges: list[tuple[str, str]] = []
    categories: list[Callable[[str], bool]] = []
    for operation, argument in items:
        if operation is sre.NEGATE:
            negated = True
        elif operation is sre.LITERAL:
            singles.add(chr(argument))
        elif operation is sre.RANGE:
            ranges.append((chr(argument[0]), chr(argument[1])))
        elif operation is sre.CATEGORY:
            categories.append(_CATEGORIES[argument])
        else:
            raise Refused(f"{operation} is not available in a character class")

    def holds_one(character: str) -> bool:
        return (
            character in singles
            or any(low <= character <= high for low, high in ranges)
            or any(category(character) for category in categories)
        )

    def accepts(character: str) -> bool:
        found = holds_one(character)
        if not found and ignore_case:
            found = holds_one(character.lower()) or holds_one(character.upper())
        return found is not negated

    return accepts


class _Writer:
    """Writes the program of a parsed pattern, forwards or backwards."""

    def __init__(self, backward: bool) -> None:
        self.code: list[Instruction] = []
        self.backward = backward

    def add(self, operation: int, first: int = 0, second: int = 0, accepts: Callable[[str], bool] | None = None) -> int:
        if len(self.code) >= PROGRAM_MAX:
            raise Refused("it is too long once its counted repeats are written out")
        self.code.append(Instruction(operation, first, second, accepts))
        return len(self.code) - 1

    def sequence(self, tree: Any, flags: int) -> None:
        for operation, argument in reversed(list(tree)) if self.backward else tree:
            self._item(operation, argument, flags)

    def _item(self, operation: Any, argument: Any, flags: int) -> None:
        ignore_case = bool(flags & re.IGNORECASE)
        if operation is sre.LITERAL:
            self.add(CHAR, accepts=_class([(operation, argument)], ignore_case))
        elif operation is sre.NOT_LITERAL:
            self.add(CHAR, accepts=_class([(sre.NEGATE, None), (sre.LITERAL, argument)], ignore_case))
        elif operation is sre.ANY:
            self.add(CHAR, accepts=_anything if flags & re.DOTALL else _within_line)
        elif operation is sre.IN:
            self.add(CHAR, accepts=_class(argument, ignore_case))
        elif operation is sre.AT:
            self.add(ASSERT, self._assertion(argument, flags))
        elif operation is sre.SUBPATTERN:
            group, added, removed, body = argument
            inner = (flags | added) & ~removed
            if group is not None:
                self.add(SAVE, 2 * group + (1 if self.backward else 0))
            self.sequence(body, inner)
            if group is not None:
                self.add(SAVE, 2 * group + (0 if self.backward else 1))
        elif operation is sre.BRANCH:
            self._branch(argument[1], flags)
        elif operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, body = argument
            self._repeat(least, most, body, flags, greedy=operation is sre.MAX_REPEAT)
        elif operation in (sre.ASSERT, sre.ASSERT_NOT):
            raise Refused("look-around is not available")
        elif operation in (sre.GROUPREF, sre.GROUPREF_EXISTS):
            raise Refused("back-references are not available")
        else:
            raise Refused("possessive repeats and atomic groups are not available")

    @staticmethod
    def _assertion(kind: Any, flags: int) -> int:
        lines = bool(flags & re.MULTILINE)
        if kind in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            return BEGIN_LINE if lines and kind is sre.AT_BEGINNING else BEGIN
        if kind is sre.AT_END:
            return END_LINE if lines else END
        if kind is sre.AT_END_STRING:
            return END_TEXT
        return BOUNDARY if kind is sre.AT_BOUNDARY else NO_BOUNDARY

    def _branch(self, branches: Any, flags: int) -> None:
        ends = []
        for position, branch in enumerate(branches):
            split = self.add(SPLIT) if position + 1 < len(branches) else None
            if split is not None:
                self.code[split].first = split + 1
            self.sequence(branch, flags)
            if split is not None:
                ends.append(self.add(JUMP))
                self.code[split].second = len(self.code)
        for end in ends:
            self.code[end].first = len(self.code)

    def _repeat(self, least: int, most: Any, body: Any, flags: int, *, greedy: bool) -> None:
        for _ in range(least):
            self.sequence(body, flags)
        if most is sre.MAXREPEAT:
            split = self.add(SPLIT)
            self.sequence(body, flags)
            self.add(JUMP, split)
            self._choose(split, len(self.code), greedy)
            return
        splits = []
        for _ in range(most - least):
            splits.append(self.add(SPLIT))
            self.sequence(body, flags)
        for split in splits:
            self._choose(split, len(self.code), greedy)

    def _choose(self, split: int, end: int, greedy: bool) -> None:
        self.code[split].first, self.code[split].second = (split + 1, end) if greedy else (end, split + 1)


class LinearPattern:
    """A pattern that can be searched for. Made by `compile_linear`; shared between threads (states are only added)."""

    def __init__(self, tree: Any) -> None:
        flags = tree.state.flags
        self.groups: int = tree.state.groups - 1
        self.names: dict[str, int] = dict(tree.state.groupdict)
        writer = _Writer(backward=False)
        writer.sequence(tree, flags)
        writer.add(MATCH)
        # In front of the pattern, with the least preference: skip a character and try again.
        entry = writer.add(SPLIT)
        skip = writer.add(CHAR, accepts=_anything)
        writer.add(JUMP, entry)
        writer.code[entry].first, writer.code[entry].second = 0, skip
        self._searching = Program(writer.code, entry, backward=False, longest=False)
        self._anchored = Program(writer.code, 0, backward=False, longest=True)
        mirror = _Writer(backward=True)
        mirror.sequence(tree, flags)
        mirror.add(MATCH)
        self._backward = Program(mirror.code, 0, backward=True, longest=True)

    def spans(self, text: str, budget: Budget) -> Iterator[tuple[int, int]]:
        """All matches from left to right that do not overlap, as start and end."""
        position = 0
        while position <= len(text):
            span = self.search(text, position, budget)
            if span is None:
                return
            yield span
            position = span[1] if span[1] > span[0] else span[1] + 1

    def search(self, text: str, position: int, budget: Budget) -> tuple[int, int] | None:
        """The first match at or behind a position."""
        program = self._searching
        state = program.initial(_beside(text, position - 1))
        end = None
        here = position
        size = len(text)
        while True:
            key = text[here] if here < size - 1 else _key(text, here, size)
            matched, following = state.following.get(key) or program.step(state, key, budget)
            if matched:
                end = here
            if not following.alternatives or here >= size:
                break
            state = following
            here += 1
        budget.spend((here - position) // CHARACTERS_PER_STEP + 1)
        return None if end is None else (self._start(text, position, end, budget), end)

    def _start(self, text: str, least: int, end: int, budget: Budget) -> int:
        """The leftmost place from which the pattern reaches `end`."""
        program = self._backward
        size = len(text)
        state = program.initial(kind_of(_key(text, end, size)))
        start = here = end
        while True:
            key = EDGE_KEY if here == 0 else _key(text, here - 1, size)
            matched, following = state.following.get(key) or program.step(state, key, budget)
            if matched:
                start = here
            if not following.alternatives or here <= least:
                break
            state = following
            here -= 1
        budget.spend((end - here) // CHARACTERS_PER_STEP + 1)
        return start

    def fits(self, text: str, budget: Budget) -> bool:
        """Whether the whole text matches."""
        program = self._anchored
        size = len(text)
        budget.spend(size // CHARACTERS_PER_STEP + 1)
        state = program.initial(NOWHERE)
        for here in range(size):
            key = _key(text, here, size)
            _, state = state.following.get(key) or program.step(state, key, budget)
            if not state.alternatives:
                return False
        matched, _ = program.step(state, EDGE_KEY, budget)
        return matched

    def captured(self, text: str, start: int, end: int, budget: Budget) -> list[str | None]:
        """The texts of group 0, 1, … of a match; None for groups that took no part."""
        return [None if span is None else text[span[0] : span[1]] for span in self.captured_spans(text, start, end, budget)]

    def captured_spans(self, text: str, start: int, end: int, budget: Budget) -> list[tuple[int, int] | None]:
        """Start and end of group 0, 1, … of a match; None for groups that took no part."""
        slots = 2 * (self.groups + 1)
        if slots == 2:
            return [(start, end)]
        code = self._anchored.code
        threads: list[tuple[int, tuple[int, ...]]] = [(0, (-1,) * slots)]
        best: tuple[int, ...] = (-1,) * slots
        size = len(text)
        for here in range(start, end + 1):
            around = _beside(text, here - 1), kind_of(_key(text, here, size))
            ready = _expand(code, threads, here, around)
            budget.spend(len(ready) // 4 + 1)
            threads = []
            for index, saved in ready:
                one = code[index]
                if one.operation == MATCH:
                    if here == end:
                        best = saved
                        break
                elif here < end and one.accepts is not None and one.accepts(text[here]):
                    threads.append((index + 1, saved))
        found: list[tuple[int, int] | None] = [(start, end)]
        for group in range(1, self.groups + 1):
            low, high = best[2 * group], best[2 * group + 1]
            found.append((low, high) if low >= 0 and high >= low else None)
        return found


def _expand(
    code: list[Instruction], threads: list[tuple[int, tuple[int, ...]]], here: int, around: tuple[int, int]
) -> list[tuple[int, tuple[int, ...]]]:
    ready: list[tuple[int, tuple[int, ...]]] = []
    visited: set[int] = set()
    stack = list(reversed(threads))
    while stack:
        index, saved = stack.pop()
        if index in visited:
            continue
        visited.add(index)
        one = code[index]
        if one.operation == JUMP:
            stack.append((one.first, saved))
        elif one.operation == SPLIT:
            stack.append((one.second, saved))
            stack.append((one.first, saved))
        elif one.operation == SAVE:
            stack.append((index + 1, (*saved[: one.first], here, *saved[one.first + 1 :])))
        elif one.operation == ASSERT:
            if holds(one.first, *around):
                stack.append((index + 1, saved))
        else:
            ready.append((index, saved))
    return ready


def _key(text: str, index: int, size: int) -> str:
    if index >= size:
        return EDGE_KEY
    character = text[index]
    return LAST_NEWLINE_KEY if character == "\n" and index == size - 1 else character


def _beside(text: str, index: int) -> int:
    return NOWHERE if index < 0 else kind_of(_key(text, index, len(text)))


def compile_linear(pattern: str) -> LinearPattern:
    """Compiles a pattern in Python's spelling. Raises re.error for bad syntax and Refused for what is not available."""
    try:
        return LinearPattern(sre_parser.parse(pattern, re.ASCII))
    except RecursionError:
        raise Refused("it nests too deep") from None
