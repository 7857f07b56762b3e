"""The condition types of triggers (triggers-and-conditions §9)."""

from __future__ import annotations

from flows.plugins import ConditionType

CONDITIONS: tuple[type[ConditionType], ...] = ()
