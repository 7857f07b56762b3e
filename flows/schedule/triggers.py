"""The trigger types of the language's core: Schedule, ScheduleOnDates, Webhook, Flow."""

from __future__ import annotations

from flows.plugins import TriggerType

TRIGGERS: tuple[type[TriggerType], ...] = ()
