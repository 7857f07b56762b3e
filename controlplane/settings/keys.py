"""The key that signs login cookies."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret_key(data: Path | None) -> str:
    """HEADRACE_SECRET_KEY; else the key in `<data>/secret.key`, made on first use; without a folder a passing one."""
    given = os.environ.get("HEADRACE_SECRET_KEY")
    if given:
        return given
    if data is None:
        return secrets.token_urlsafe(48)
    path = data / "secret.key"
    data.mkdir(parents=True, exist_ok=True)
    try:
        # Written aside and linked into place: several processes may start at once, none may read half a key.
        aside = data / f".secret.key.{os.getpid()}"
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink(missing_ok=True)
    except PermissionError:
        if not path.exists():
            raise
    return path.read_text().strip()
