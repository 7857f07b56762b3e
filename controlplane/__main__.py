"""`python -m controlplane <django command>`: migrations and the like, with our settings."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Runs Django's command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
