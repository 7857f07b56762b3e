"""The page that carries the console: its HTML with this browser's CSRF token written in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from controlplane.accounts import sessions

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_BARE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Headrace</title></head><body>'
    "<p>The console is not built here. `make` builds it; the REST interface at /api/v1 works without.</p></body></html>"
)


@lru_cache(maxsize=2)
def _page(path: Path, changed_ns: int) -> str:
    return path.read_text(encoding="utf-8")


def console_page(request: HttpRequest, rest: str | None = None) -> HttpResponse:
    """Any address below /ui/: the console finds its own way. Clients find the token by a regular expression: keep it so."""
    if rest and rest.startswith("assets/"):  # of an earlier build: a page instead of a script would only confuse
        raise Http404
    path = Path(settings.CONSOLE_ROOT) / "index.html"
    page = _page(path, path.stat().st_mtime_ns) if path.is_file() else _BARE
    token = sessions.csrf_token(request)
    page = page.replace("<head>", f'<head><meta name="csrf-token" content="{token}">', 1)
    response = HttpResponse(page, content_type="text/html; charset=utf-8")
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = "no-store"
    sessions.set_csrf(request, response, token)
    return response


def console_root(request: HttpRequest) -> HttpResponse:
    """`/` leads to the console."""
    response = HttpResponse(status=302)
    response["Location"] = "/ui/"
    return response
