"""The plane's stream knows the tables of its applications: they are set up, and no database is touched."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

import django

django.setup()
