"""The trigger types that fire by the clock: Schedule and ScheduleOnDates (triggers-and-conditions §5, §6)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from flows.errors import ExpressionError
from flows.plugins import Properties, TriggerKind, TriggerType, is_template
from flows.schedule.context import read_date
from flows.schedule.cron import parse_cron
from flows.schedule.cron_fields import CronInvalid
from flows.schedule.zones import zone_of
from flows.spec.shapes import Duration

Recover = Literal["ALL", "LAST", "NONE"]
"""What becomes of instants missed while no scheduler ran or the trigger was off: run them all, only the last one, or none."""


def _zone(text: str) -> str:
    zone_of(text)
    return text


ZoneId = Annotated[str, AfterValidator(_zone)]


class ScheduleOutputs(Properties):
    """`trigger.*` of an execution that a schedule started."""

    date: str
    """The instant it was due, as planned: `2024-01-31T00:00:00+01:00`, in the trigger's time zone."""
    next: str | None = None
    """The next instant that the conditions accept."""
    previous: str | None = None
    """The instant before, that the conditions accept."""


class Schedule(TriggerType):
    """Starts an execution at each instant of a cron expression."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.trigger.Schedule",)
    kind: ClassVar[TriggerKind] = "schedule"
    title: ClassVar[str] = "Start by a cron expression"
    outputs: ClassVar[type[Properties]] = ScheduleOutputs
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: every_night
type: io.kestra.plugin.core.trigger.Schedule
cron: "30 2 * * *"
timezone: Europe/Paris
inputs:
  day: "{{ trigger.date | date('yyyy-MM-dd', timeZone='Europe/Paris') }}"
""",
        """\
id: first_monday
type: io.kestra.plugin.core.trigger.Schedule
cron: "0 11 * * 1"
recoverMissedSchedules: LAST
conditions:
  - type: io.kestra.plugin.core.condition.DayWeekInMonth
    dayOfWeek: MONDAY
    dayInMonth: FIRST
""",
        """\
id: every_ten_seconds
type: io.kestra.plugin.core.trigger.Schedule
cron: "*/10 * * * * *"
withSeconds: true
lateMaximumDelay: PT30S
""",
    )

    with_seconds: bool = False
    """Six fields, seconds first."""
    cron: str = Field(max_length=256)
    """Five fields, or a nickname such as `@daily`; see `flows.schedule.cron_fields`."""
    timezone: ZoneId | None = None
    """Where the cron expression is read; the server's zone without it."""
    late_maximum_delay: Duration | None = None
    """Instants that are later than this are skipped, except in a backfill."""
    recover_missed_schedules: Recover | None = None
    schedule_conditions: list[dict[str, Any]] | None = None
    """Deprecated: `conditions`."""
    backfill: dict[str, Any] | None = None
    """Deprecated and without effect: backfills are created through the API."""

    @field_validator("cron")
    @classmethod
    def _readable(cls, text: str, info: ValidationInfo) -> str:
        try:
            parse_cron(text, with_seconds=bool(info.data.get("with_seconds")))
        except CronInvalid as error:
            raise ValueError(str(error)) from None
        return text


class ScheduleOnDates(TriggerType):
    """Starts an execution at each of some dates. Dates without an offset are read in `timezone`."""

    types: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.trigger.ScheduleOnDates",)
    kind: ClassVar[TriggerKind] = "schedule"
    title: ClassVar[str] = "Start on given dates"
    outputs: ClassVar[type[Properties]] = ScheduleOutputs
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: releases
type: io.kestra.plugin.core.trigger.ScheduleOnDates
timezone: Europe/Paris
dates:
  - "2026-03-01T09:00:00"
  - "2026-06-01T09:00:00+02:00"
""",
    )

    dates: list[str] | str
    """The dates, or one expression that gives a list of them."""
    timezone: ZoneId | None = None
    recover_missed_schedules: Recover | None = None

    @field_validator("dates")
    @classmethod
    def _readable(cls, dates: list[str] | str) -> list[str] | str:
        if isinstance(dates, str) and not is_template(dates):
            raise ValueError("expected a list of dates, or an expression that gives one")
        for text in [dates] if isinstance(dates, str) else dates:
            if not is_template(text):
                try:
                    read_date(text, zone_of("UTC"))
                except ExpressionError as error:
                    raise ValueError(str(error)) from None
        return dates
