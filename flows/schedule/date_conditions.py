"""Conditions on a date: DateTimeBetween, DayWeek, DayWeekInMonth, PublicHoliday, TimeBetween, Weekend (§9).

The date is `{{ trigger.date }}` unless another expression is given. Its weekday and its time of day are those of the zone it
carries. Bounds are exclusive (trap 22).
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, model_validator

from flows.errors import ExpressionError
from flows.expressions.calendar import holidays_of
from flows.plugins import ConditionType, is_template
from flows.schedule.context import ConditionContext, ConditionFailed, read_date, read_time

DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
Day = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
POSITIONS = ("FIRST", "SECOND", "THIRD", "FOURTH")

PREFIX = "io.kestra.plugin.core.condition."


def names(*short: str) -> tuple[str, ...]:
    """The identifiers of a condition type, the shown one first."""
    return tuple(PREFIX + name for name in short)


def _expression(text: str) -> str:
    if not is_template(text):
        raise ValueError("expected an expression that gives a date, such as {{ trigger.date }}")
    return text


def _date(text: str) -> str:
    if not is_template(text):
        try:
            read_date(text, UTC)
        except ExpressionError as error:
            raise ValueError(str(error)) from None
    return text


def _time(text: str) -> str:
    if not is_template(text):
        read_time(text)
    return text


class DateCondition(ConditionType):
    """What the conditions on a date share."""

    date: Annotated[str, AfterValidator(_expression)] = "{{ trigger.date }}"


class DateTimeBetween(DateCondition):
    """The date is later than `after` and earlier than `before`; at least one of them is given."""

    types: ClassVar = names("DateTimeBetween", "DateTimeBetweenCondition")
    title: ClassVar[str] = "The date lies between two instants"
    examples: ClassVar = (
        "type: io.kestra.plugin.core.condition.DateTimeBetween\nafter: 2024-01-01T00:00:00Z\nbefore: 2025-01-01T00:00:00Z\n",
    )

    after: Annotated[str, AfterValidator(_date)] | None = None
    before: Annotated[str, AfterValidator(_date)] | None = None

    @model_validator(mode="after")
    def _bounded(self) -> DateTimeBetween:
        if self.after is None and self.before is None:
            raise ValueError("at least one of `after` and `before` is required")
        return self

    def holds(self, context: ConditionContext) -> bool:
        """Strictly after, strictly before."""
        at = context.date(self.date).astimezone(UTC)
        if self.after is not None and at <= context.date(self.after).astimezone(UTC):
            return False
        return self.before is None or at < context.date(self.before).astimezone(UTC)


class TimeBetween(DateCondition):
    """The time of day is later than `after` and earlier than `before`.

    Each bound is compared in its own offset, one without an offset in the date's. Bounds in the other order span midnight: after
    22:00 and before 06:00 is the night.
    """

    types: ClassVar = names("TimeBetween", "TimeBetweenCondition")
    title: ClassVar[str] = "The time of day lies between two times"
    examples: ClassVar = ('type: io.kestra.plugin.core.condition.TimeBetween\nafter: "08:00:00Z"\nbefore: "18:00:00Z"\n',)

    after: Annotated[str, AfterValidator(_time)] | None = None
    before: Annotated[str, AfterValidator(_time)] | None = None

    @model_validator(mode="after")
    def _bounded(self) -> TimeBetween:
        if self.after is None and self.before is None:
            raise ValueError("at least one of `after` and `before` is required")
        return self

    def holds(self, context: ConditionContext) -> bool:
        """Strictly inside."""
        at = context.date(self.date)
        after, before = self._bound(self.after, context), self._bound(self.before, context)
        later = after is None or _time_of(at, after) > after.replace(tzinfo=None)
        earlier = before is None or _time_of(at, before) < before.replace(tzinfo=None)
        if after is not None and before is not None and _seconds(after) > _seconds(before):
            return later or earlier
        return later and earlier

    def _bound(self, text: str | None, context: ConditionContext) -> time | None:
        if text is None:
            return None
        try:
            return read_time(context.render(text))
        except ValueError as error:
            raise ExpressionError(str(error), code="expression.date") from None


def _time_of(at: datetime, bound: time) -> time:
    return (at.astimezone(bound.tzinfo) if bound.tzinfo is not None else at).time()


def _seconds(bound: time) -> float:
    offset = bound.utcoffset() or timedelta(0)
    return bound.hour * 3600 + bound.minute * 60 + bound.second - offset.total_seconds()


class DayWeek(DateCondition):
    """The date is that day of the week."""

    types: ClassVar = names("DayWeek", "DayWeekCondition")
    title: ClassVar[str] = "The date is a given day of the week"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.DayWeek\ndayOfWeek: MONDAY\n",)

    day_of_week: Day

    def holds(self, context: ConditionContext) -> bool:
        """Same weekday."""
        return DAYS[context.date(self.date).weekday()] == self.day_of_week


class DayWeekInMonth(DateCondition):
    """The date is the first, second, third, fourth or last such day of its month."""

    types: ClassVar = names("DayWeekInMonth", "DayWeekInMonthCondition")
    title: ClassVar[str] = "The date is the n-th such weekday of its month"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.DayWeekInMonth\ndayOfWeek: MONDAY\ndayInMonth: FIRST\n",)

    day_of_week: Day
    day_in_month: Literal["FIRST", "SECOND", "THIRD", "FOURTH", "LAST"]

    def holds(self, context: ConditionContext) -> bool:
        """Same weekday, and the position fits. A fifth Monday is LAST, and a fourth may be both."""
        at = context.date(self.date)
        if DAYS[at.weekday()] != self.day_of_week:
            return False
        if self.day_in_month == "LAST":
            return at.day + 7 > monthrange(at.year, at.month)[1]
        return (at.day - 1) // 7 == POSITIONS.index(self.day_in_month)


class Weekend(DateCondition):
    """The date is a Saturday or a Sunday."""

    types: ClassVar = names("Weekend", "WeekendCondition")
    title: ClassVar[str] = "The date is on a weekend"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.Weekend\n",)

    def holds(self, context: ConditionContext) -> bool:
        """Saturday or Sunday."""
        return context.date(self.date).weekday() >= 5


class PublicHoliday(DateCondition):
    """The date is a public holiday of a country, or of one of its subdivisions.

    Without `country` the server's is taken; a server without one cannot tell, and the condition fails.
    """

    types: ClassVar = names("PublicHoliday", "PublicHolidayCondition")
    title: ClassVar[str] = "The date is a public holiday"
    examples: ClassVar = ("type: io.kestra.plugin.core.condition.PublicHoliday\ncountry: DE\nsubDivision: BY\n",)

    country: str | None = None
    sub_division: str | None = None

    def holds(self, context: ConditionContext) -> bool:
        """A public holiday there."""
        country = context.render(self.country).strip() if self.country is not None else context.country
        if not country:
            raise ConditionFailed("`PublicHoliday` needs a country, for example `country: DE`")
        division = context.render(self.sub_division).strip() if self.sub_division is not None else ""
        day = context.date(self.date).date()
        return day in holidays_of(country.upper(), division.upper().removeprefix(f"{country.upper()}-"), day.year)


DATE_CONDITIONS: tuple[Any, ...] = (DateTimeBetween, DayWeek, DayWeekInMonth, PublicHoliday, TimeBetween, Weekend)
