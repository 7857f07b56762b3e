"""The way in for streams (and for creations that wait): Django's ASGI application with the routes of `stream_urls`.

WSGI servers buffer an asynchronous answer to its end, ASGI servers are slow at plain REST: so each gets what it is good at.
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

import django
from django.core.handlers.asgi import ASGIHandler, ASGIRequest


class StreamRequest(ASGIRequest):
    """Resolved against its own routes, whose views are coroutines."""

    urlconf = "controlplane.stream_urls"


class StreamHandler(ASGIHandler):
    """Django's handler for such requests."""

    request_class = StreamRequest


django.setup(set_prefix=False)
application = StreamHandler()
