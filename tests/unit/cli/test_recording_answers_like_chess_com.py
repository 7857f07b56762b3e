"""The recording: facts that can be read back, in the shapes the public data API has."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.demo.chess_api import ChessApi
from cli.demo.pgn import read_games
from cli.demo.recording import GAMES, Recording, username

RESPONSES = Path(os.environ.get("HEADRACE_CHESS_RESPONSES", Path(__file__).parents[4] / "shared" / "data" / "chess"))
GAME_FIELDS = {
    "url",
    "pgn",
    "time_control",
    "end_time",
    "rated",
    "uuid",
    "initial_setup",
    "time_class",
    "rules",
    "white",
    "black",
}
SIDE_FIELDS = {"rating", "result", "@id", "username", "uuid"}


@pytest.fixture(scope="module")
def api() -> Iterator[ChessApi]:
    server = ChessApi(Recording(responses=RESPONSES if RESPONSES.is_dir() else None)).start()
    yield server
    server.stop()


def get(api: ChessApi, path: str, status: int = 200) -> Any:
    answer = httpx.get(api.base_url + path, trust_env=False)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_recording_holds_at_least_forty_games_in_less_than_300_kb() -> None:
    text = GAMES.read_bytes()
    facts = json.loads(text)
    assert len(text) < 300_000
    assert len(facts["games"]) >= 40
    assert facts["sources"]
    assert all(fact["moves"] or fact["result"] == "0-1" for fact in facts["games"])


def test_unknown_ratings_are_null_and_known_ones_numbers() -> None:
    ratings = {fact["date"][:4]: fact["white_rating"] for fact in json.loads(GAMES.read_text())["games"]}
    assert ratings["1886"] is None
    assert isinstance(ratings["1972"], int)


def test_archives_lead_to_months_and_months_to_games(api: ChessApi) -> None:
    archives = get(api, "player/fischer/games/archives")["archives"]
    assert [address.rsplit("/games/")[1] for address in archives] == ["1972/07", "1972/08"]
    games = [game for address in archives for game in httpx.get(address, trust_env=False).json()["games"]]
    assert len(games) == 21
    for game in games:
        assert game.keys() >= GAME_FIELDS
        assert game["white"].keys() >= SIDE_FIELDS
        assert {game["white"]["username"], game["black"]["username"]} == {"fischer", "spassky"}


def test_recorded_pgn_can_be_read_back(api: ChessApi) -> None:
    game = get(api, "player/spassky/games/1972/07")["games"][0]
    read = next(iter(read_games(game["pgn"])))
    assert read.tags["White"] == "Spassky, Boris V"
    assert read.moves[:3] == ("d4", "Nf6", "c4")
    assert read.result == "1-0"


def test_player_is_found_in_any_case_of_letters(api: ChessApi) -> None:
    assert get(api, "player/Fischer")["username"] == "fischer"


def test_unknown_player_is_answered_as_the_real_api_does(api: ChessApi) -> None:
    assert get(api, "player/nobody", 404) == {"code": 0, "message": 'User "nobody" not found.'}
    assert get(api, "player/nobody/games/archives", 404)["code"] == 0


def test_month_without_games_is_empty(api: ChessApi) -> None:
    assert get(api, "player/fischer/games/1973/01") == {"games": []}


@pytest.mark.skipif(not RESPONSES.is_dir(), reason="no recorded answers of the real API on this machine")
def test_recorded_games_have_the_shape_of_real_ones(api: ChessApi) -> None:
    real = get(api, "player/hikaru/games/2014/02")["games"]
    ours = get(api, "player/fischer/games/1972/07")["games"]
    assert len(real) == 54
    for field in GAME_FIELDS - {"white", "black"}:
        assert type(real[0][field]) is type(ours[0][field]), field
    assert real[0]["white"].keys() == ours[0]["white"].keys()


def test_user_names_are_plain() -> None:
    assert username("Capablanca, Jose Raul") == "capablanca"
    assert username("Deep Blue") == "deepblue"


def test_pgn_comments_and_variations_are_skipped() -> None:
    text = '[White "A"]\n[Black "B"]\n[Result "1-0"]\n\n1. e4 {best} e5 (1... c5 2. Nf3 (2. c3)) 2.Nf3! $1 Nc6 ; rest\n1-0\n'
    game = next(iter(read_games(text)))
    assert game.moves == ("e4", "e5", "Nf3", "Nc6")
