"""The way in for REST and console pages. Static files of the console are answered before Django is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.headers import Headers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_IMMUTABLE = r"^/ui/assets/.+-[\w-]{8}\.\w+$"


def _headers(headers: Headers, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"


def build() -> Wsgi:
    """Django, with the console's built files in front when there are any."""
    django: Wsgi = get_wsgi_application()
    root = settings.CONSOLE_ROOT
    if not root.is_dir():
        return django
    files = WhiteNoise(
        django, max_age=600, immutable_file_test=_IMMUTABLE, add_headers_function=_headers, allow_all_origins=False
    )
    files.add_files(str(root), prefix="ui/")
    files.files.pop("/ui/index.html", None)  # the shell view serves it, with the CSRF token
    served: Wsgi = files
    return served


application = build()
