"""Prints the OpenAPI document as JSON."""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Entry point of `python -m controlplane.openapi`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    import django

    django.setup()
    from controlplane.openapi import document

    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
