"""The trigger types of the language's core: Schedule, ScheduleOnDates, Webhook, Flow."""

from __future__ import annotations

from flows.plugins import TriggerType
from flows.schedule.flow_trigger import Flow
from flows.schedule.schedule_trigger import Schedule, ScheduleOnDates
from flows.schedule.webhook_trigger import Webhook

TRIGGERS: tuple[type[TriggerType], ...] = (Schedule, ScheduleOnDates, Webhook, Flow)
