"""A small server that answers like chess.com's public data API, from the recording. For machines without internet.

`python -m cli.demo.chess_api --port 8099` runs it alone; the demonstration starts it in a thread.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cli.demo.recording import Json, Recording

_PLAYER = re.compile(r"^/pub/player/(?P<player>[^/]+)(?P<rest>/.*)?$")
_MONTH = re.compile(r"^/games/(?P<month>\d{4}/\d{2})$")
_POPUP = re.compile(r"^/callback/user/popup/(?P<player>[^/]+)$")


class ChessApi:
    """The running server. `base_url` ends with `/pub/`, as the real one's does."""

    def __init__(self, recording: Recording | None = None, port: int = 0) -> None:
        self.recording = recording or Recording()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self.answer))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="chess-api", daemon=True)

    @property
    def base_url(self) -> str:
        """What the flow's input `base_url` is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/pub/"

    def start(self) -> ChessApi:
        """Answers from now on, in a thread of its own."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends the server and frees its port."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[HTTPStatus, Json]:
        """Status and body for a path."""
        root = self.base_url.removesuffix("/")
        popup = _POPUP.match(path)
        if popup is not None:
            return self._found(unquote(popup["player"]).lower(), self._popup(unquote(popup["player"]).lower(), root))
        match = _PLAYER.match(path.removesuffix("/"))
        if match is None:
            return HTTPStatus.NOT_FOUND, {"code": 0, "message": f'Nothing is served at "{path}".'}
        player, rest = unquote(match["player"]).lower(), match["rest"] or ""
        month = _MONTH.match(rest)
        if month is not None:
            return self._found(player, self.recording.month(player, month["month"], root))
        answers: dict[str, Callable[[], Json | None]] = {
            "": lambda: self.recording.profile(player, root),
            "/stats": lambda: self.recording.stats(player),
            "/games/archives": lambda: self.recording.archives(player, root),
            "/is-online": lambda: {"online": False} if player in self.recording.players else None,
        }
        if rest not in answers:
            return HTTPStatus.NOT_FOUND, {"code": 0, "message": f'Nothing is served at "{path}".'}
        return self._found(player, answers[rest]())

    def _popup(self, player: str, root: str) -> Json | None:
        """The unofficial answer that older sources read the online status from."""
        profile = self.recording.profile(player, root)
        return profile and {"username": player, "onlineStatus": "offline", "lastLoginDate": profile["last_online"]}

    @staticmethod
    def _found(player: str, body: Json | None) -> tuple[HTTPStatus, Json]:
        if body is None:
            return HTTPStatus.NOT_FOUND, {"code": 0, "message": f'User "{player}" not found.'}
        return HTTPStatus.OK, body


def _handler(answer: Callable[[str], tuple[HTTPStatus, Json]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = answer(urlsplit(self.path).path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Silence: requests are seen in the task's log."""

    return Handler


def main() -> None:
    """Serves until stopped."""
    parser = argparse.ArgumentParser(description="chess.com's public data API from a recording")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument(
        "--responses", type=Path, help="folder of months recorded from the real API: <player>-<year>-<month>.json"
    )
    given = parser.parse_args()
    api = ChessApi(Recording(responses=given.responses), given.port)
    print(f"{api.base_url}  players: {', '.join(api.recording.players)}")
    api.start()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        api.stop()


if __name__ == "__main__":
    main()
