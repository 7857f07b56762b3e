"""A dlt source that reads chess players, their games and when they were last online from chess.com's public data API.

Three resources:
- `players_profiles`: one row per player, replaced on each run;
- `players_games`: one row per game, merged on its uuid. Months that were read and are over are remembered in the pipeline's
  state and not asked for again, so a second run loads only what is new;
- `players_online_status`: one row per player and run, appended.

All profiles are fetched before anything is handed to dlt: a misspelt player stops the run while nothing is loaded yet.
"""

from datetime import UTC, datetime

import dlt
from dlt.sources.helpers.requests import Client

USER_AGENT = "headrace-chess-blueprint/1.0"


@dlt.source(name="chess")
def chess(
    base_url: str = "https://api.chess.com/pub/",
    players: list | str = (),
    from_month: str | None = None,
    to_month: str | None = None,
):
    """`players`: user names, a list or comma separated. `from_month`, `to_month`: as `2022/11`, both included; None: no bound."""
    api = Api(base_url)
    listed = players.split(",") if isinstance(players, str) else players
    names = [name.strip().lower() for name in listed if name.strip()]
    if not names:
        raise ValueError("No players: give the input `players` at least one chess.com user name, for example hikaru")
    profiles = [api.profile(name) for name in names]

    @dlt.resource(write_disposition="replace", primary_key="player_id")
    def players_profiles():
        yield profiles

    # Columns that a player without ratings (or a first month without them) would leave untyped are typed here.
    @dlt.resource(
        write_disposition="merge",
        primary_key="uuid",
        columns={
            "end_time": {"data_type": "bigint"},
            "white__rating": {"data_type": "bigint"},
            "black__rating": {"data_type": "bigint"},
            "eco": {"data_type": "text"},
        },
    )
    def players_games():
        state = dlt.current.resource_state()
        if "months" not in state:  # the table is there from the first run on, games or not
            yield dlt.mark.materialize_table_schema()
        remembered = state.setdefault("months", {})
        this_month = datetime.now(UTC).strftime("%Y/%m")
        seen = set()
        for name in names:
            known = remembered.setdefault(name, [])
            for month in api.months(name):
                if month in known or (from_month and month < from_month) or (to_month and month > to_month):
                    continue
                # Two of our players may have met: their game stands in both archives.
                games = [game for game in api.games(name, month) if game["uuid"] not in seen]
                seen.update(game["uuid"] for game in games)
                yield games
                if month < this_month:
                    known.append(month)

    @dlt.resource(write_disposition="append")
    def players_online_status():
        now = datetime.now(UTC)
        for profile in profiles:
            last = profile["last_online"]
            yield {
                "username": profile["username"],
                "status": profile["status"],
                "last_online": datetime.fromtimestamp(last, UTC),
                "online": now.timestamp() - last < 300,
                "checked_at": now,
            }

    return players_profiles, players_games, players_online_status


class Api:
    """The calls of the public data API that are needed here, with errors a person can act on."""

    def __init__(self, base_url: str):
        self.base_url = base_url.rstrip("/")
        self.client = Client(request_timeout=20, request_max_attempts=3, request_backoff_factor=0.5, raise_for_status=False)

    def profile(self, player: str) -> dict:
        """A player's profile."""
        found = self.get(f"/player/{player}")
        if found is None:
            raise ValueError(f"There is no player `{player}` at {self.base_url}: check the spelling in the input `players`")
        return found

    def months(self, player: str) -> list:
        """Months with games, as `2022/11`, oldest first."""
        found = self.get(f"/player/{player}/games/archives") or {"archives": []}
        return sorted(address.split("/games/")[1] for address in found["archives"])

    def games(self, player: str, month: str) -> list:
        """Games a player finished in that month."""
        return (self.get(f"/player/{player}/games/{month}") or {"games": []})["games"]

    def get(self, path: str):
        """The answer at a path, None for 404."""
        address = self.base_url + path
        try:
            response = self.client.get(address, headers={"User-Agent": USER_AGENT})
        except Exception as error:
            reason = f"{address} could not be read ({type(error).__name__})"
            raise ConnectionError(f"{reason}: check the input `base_url` and the network") from error
        if response.status_code == 404:
            return None
        if response.status_code >= 400:
            raise ConnectionError(f"{address} answered {response.status_code}: {response.text[:200]}")
        return response.json()
