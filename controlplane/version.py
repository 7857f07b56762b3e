"""Our version, and the version of the REST contract we speak."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

COMPATIBLE_VERSION = "2.0.3"
"""Tools gate features on a version that looks like this."""

try:
    VERSION = version("headrace")
except PackageNotFoundError:  # run from a checkout that was never installed
    VERSION = "0.0.0"
