"""The keys of the control plane: one signs login cookies, one encrypts values in executions."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret_key(data: Path | None) -> str:
    """HEADRACE_SECRET_KEY; else the key in `<data>/secret.key`, made on first use; without a folder a passing one."""
    return _key("HEADRACE_SECRET_KEY", "secret.key", data)


def encryption_key(data: Path | None) -> str:
    """HEADRACE_ENCRYPTION_KEY; else the key in `<data>/encryption.key`, as `secret_key`. Lost, what it encrypted is lost too."""
    return _key("HEADRACE_ENCRYPTION_KEY", "encryption.key", data)


def _key(variable: str, name: str, data: Path | None) -> str:
    given = os.environ.get(variable)
    if given:
        return given
    if data is None:
        return secrets.token_urlsafe(48)
    path = data / name
    data.mkdir(parents=True, exist_ok=True)
    try:
        # Written aside and linked into place: several processes may start at once, none may read half a key.
        aside = data / f".{name}.{os.getpid()}"
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
