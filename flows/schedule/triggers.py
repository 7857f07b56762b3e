"""The trigger types of the language's core: Schedule, ScheduleOnDates, Webhook, Flow."""

from __future__ import annotations

from flows.plugins import TriggerType
from flows.schedule.schedule_trigger import Schedule, ScheduleOnDates

TRIGGERS: tuple[type[TriggerType], ...] = (Schedule, ScheduleOnDates)
