"""The recorded games in the shapes of chess.com's public data API: profiles, statistics, archives, months, online status.

What the recording does not know stays unknown: ratings are null, how a game was lost is the plain `lose`, a draw is `agreed`
(the API has no plainer word), the time control is `-` and the time class `classical`.
"""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GAMES = Path(__file__).resolve().parents[2] / "flows" / "blueprints" / "chess" / "games.json"
START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
_SCORE = {"1-0": ("win", "lose"), "0-1": ("lose", "win"), "1/2-1/2": ("agreed", "agreed")}

Json = dict[str, Any]


class Recording:
    """Answers of the API by player and month, built once from a file of facts.

    `responses`: month answers recorded from the real API, files called `<player>-<year>-<month>.json`; served as they are.
    """

    def __init__(self, games: Path = GAMES, responses: Path | None = None) -> None:
        self._names: dict[str, str] = {}
        self._months: defaultdict[str, defaultdict[str, list[Json]]] = defaultdict(lambda: defaultdict(list))
        for number, fact in enumerate(json.loads(games.read_text(encoding="utf-8"))["games"], start=1):
            self._add(number, fact)
        for path in sorted(responses.glob("*-[0-9][0-9][0-9][0-9]-[0-9][0-9].json")) if responses else []:
            player, year, month = path.stem.rsplit("-", 2)
            self._names[player] = player
            self._months[player][f"{year}/{month}"] = json.loads(path.read_text(encoding="utf-8"))["games"]

    @property
    def players(self) -> list[str]:
        """User names known here, sorted."""
        return sorted(self._names)

    def profile(self, player: str, root: str) -> Json | None:
        """`/pub/player/{player}`; None for an unknown one. `root` is the address of `/pub`."""
        if player not in self._names:
            return None
        times = [game["end_time"] for month in self._months[player].values() for game in month]
        return {
            "player_id": 1 + self.players.index(player),
            "@id": f"{root}/player/{player}",
            "url": f"https://www.chess.com/member/{player}",
            "name": self._names[player],
            "username": player,
            "followers": 0,
            "country": "https://api.chess.com/pub/country/XX",
            "last_online": max(times),
            "joined": min(times),
            "status": "basic",
            "is_streamer": False,
            "verified": False,
        }

    def stats(self, player: str) -> Json | None:
        """`/pub/player/{player}/stats`: the record over all recorded games; None for an unknown player."""
        if player not in self._names:
            return None
        record = {"win": 0, "loss": 0, "draw": 0}
        last: Json = {"rating": None, "date": None}
        for month in sorted(self._months[player]):
            for game in self._months[player][month]:
                mine = next(game[side] for side in ("white", "black") if game[side]["username"].lower() == player)
                kind = "win" if mine["result"] == "win" else "draw" if mine["result"] == "agreed" else "loss"
                record[kind] += 1
                last = {"rating": mine["rating"], "date": game["end_time"]}
        return {"chess_classical": {"last": last, "record": record}, "fide": 0}

    def archives(self, player: str, root: str) -> Json | None:
        """`/pub/player/{player}/games/archives`: addresses of the months with games; None for an unknown player."""
        if player not in self._names:
            return None
        return {"archives": [f"{root}/player/{player}/games/{month}" for month in sorted(self._months[player])]}

    def month(self, player: str, month: str, root: str) -> Json | None:
        """`/pub/player/{player}/games/{YYYY/MM}`; an empty month is an empty list; None for an unknown player."""
        if player not in self._names:
            return None
        return {"games": [_addressed(game, root) for game in self._months[player].get(month, ())]}

    def _add(self, number: int, fact: Json) -> None:
        ended = int(datetime.strptime(fact["date"], "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
        address = f"https://www.chess.com/game/recorded/{number}"
        sides: dict[str, Json] = {}
        for side, result in zip(("white", "black"), _SCORE[fact["result"]], strict=True):
            name = username(fact[side])
            self._names.setdefault(name, fact[side])
            sides[side] = {
                "rating": fact[f"{side}_rating"],
                "result": "checkmated" if result == "lose" and fact["moves"].endswith("#") else result,
                "@id": f"/player/{name}",
                "username": name,
                "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"player:{name}")),
            }
        game = {
            "url": address,
            "pgn": _pgn(fact, address),
            "time_control": "-",
            "end_time": ended,
            "rated": fact["white_rating"] is not None,
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{fact['event']} {fact['round']} {fact['date']}")),
            "initial_setup": START,
            "fen": fact["fen"],
            "time_class": "classical",
            "rules": "chess",
            **sides,
            "eco": f"https://www.chess.com/openings/{fact['eco']}" if fact["eco"] else None,
        }
        month = fact["date"][:7].replace("-", "/")
        for player in sides.values():
            self._months[player["username"]][month].append(game)


def username(name: str) -> str:
    """`Capablanca, Jose Raul` → `capablanca`, `Deep Blue` → `deepblue`."""
    plain = unicodedata.normalize("NFKD", name.split(",", maxsplit=1)[0]).encode("ascii", "ignore").decode()
    return "".join(plain.split()).lower()


def _addressed(game: Json, root: str) -> Json:
    """The same game with the players' addresses on this server."""
    sides = {side: game[side] | {"@id": root + game[side]["@id"]} for side in ("white", "black") if game[side]["@id"][0] == "/"}
    return game | sides


def _pgn(fact: Json, address: str) -> str:
    tags = {
        "Event": fact["event"],
        "Site": fact["site"],
        "Date": fact["date"].replace("-", "."),
        "Round": fact["round"],
        "White": fact["white"],
        "Black": fact["black"],
        "Result": fact["result"],
        "CurrentPosition": fact["fen"],
        "ECO": fact["eco"] or "?",
        "WhiteElo": fact["white_rating"] or "?",
        "BlackElo": fact["black_rating"] or "?",
        "Link": address,
    }
    moves = fact["moves"].split()
    numbered = [f"{1 + index // 2}. {move}" if index % 2 == 0 else move for index, move in enumerate(moves)]
    return "\n".join(f'[{tag} "{value}"]' for tag, value in tags.items()) + "\n\n" + " ".join([*numbered, fact["result"]]) + "\n"
