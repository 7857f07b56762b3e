"""Reads games written in PGN, the notation chess games are exchanged in: tags in brackets, then moves.

Only what the recording needs: tags, the moves of the main line, the result. Comments, variations and move numbers are
skipped. Games are not checked for legality here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

RESULTS = ("1-0", "0-1", "1/2-1/2", "*")

_TAG = re.compile(r'^\[(\w+)\s+"((?:[^"\\]|\\.)*)"\]\s*$')
_TOKEN = re.compile(r"\{[^}]*\}|;[^\n]*|\$\d+|\(|\)|\d+\.(?:\.\.)?|[^\s(){};]+")


@dataclass(frozen=True, slots=True)
class Game:
    """One game: its tags by name, its moves in standard algebraic notation, its result as PGN writes it."""

    tags: dict[str, str]
    moves: tuple[str, ...]
    result: str


def read_games(text: str) -> Iterator[Game]:
    """The games of a PGN document, in order."""
    tags: dict[str, str] = {}
    body: list[str] = []
    for line in text.lstrip("\ufeff").splitlines():
        tag = _TAG.match(line)
        if tag is None:
            body.append(line)
            continue
        if any(part.strip() for part in body):
            yield _game(tags, "\n".join(body))
            tags = {}
        body = []
        tags[tag[1]] = tag[2].replace('\\"', '"').replace("\\\\", "\\")
    if tags:
        yield _game(tags, "\n".join(body))


def _game(tags: dict[str, str], body: str) -> Game:
    moves: list[str] = []
    result = tags.get("Result", "*")
    depth = 0
    for word in _TOKEN.findall(body):
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        elif depth or word[0] in "{;$" or (word[0].isdigit() and word.rstrip(".").isdigit()):
            continue
        elif word in RESULTS:
            result = word
        else:
            moves.append(word.rstrip("!?"))
    return Game(tags=tags, moves=tuple(moves), result=result)
