"""Who is asking, once known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated caller. `source` says what proved it: only cookies need the CSRF check."""

    user_id: str
    username: str
    instance_owner: bool
    source: Literal["token", "basic", "cookie", "system"]
