"""Cron: what an expression may say, and which instants it means."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from flows.schedule.cron import parse_cron
from flows.schedule.cron_fields import CronInvalid
from tests.support.cron_scan import ZONES, crons, minutes, scan, utc
from tests.unit.schedule.written import at


def following(expression: str, start: str, count: int, zone: str = "UTC", *, with_seconds: bool = False) -> list[str]:
    """The next instants, in the zone; and `previous` must lead back over the same ones."""
    where = ZoneInfo(zone)
    cron = parse_cron(expression, with_seconds=with_seconds)
    found: list[datetime] = []
    instant: datetime | None = at(start)
    for _ in range(count):
        assert instant is not None
        instant = cron.next(instant, where)
        if instant is None:
            break
        found.append(instant)
    for earlier, later in pairwise(found):
        assert cron.previous(later, where) == earlier
    return [one.astimezone(where).isoformat().replace("+00:00", "Z") for one in found]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["2024-01-31T00:01:00Z", "2024-01-31T00:02:00Z"]),
        ("*/20 * * * *", ["2024-01-31T00:20:00Z", "2024-01-31T00:40:00Z", "2024-01-31T01:00:00Z"]),
        ("5,7 3 * * *", ["2024-01-31T03:05:00Z", "2024-01-31T03:07:00Z", "2024-02-01T03:05:00Z"]),
        ("10-30/10 4 * * *", ["2024-01-31T04:10:00Z", "2024-01-31T04:20:00Z", "2024-01-31T04:30:00Z", "2024-02-01T04:10:00Z"]),
        ("40/10 4 * * *", ["2024-01-31T04:40:00Z", "2024-01-31T04:50:00Z", "2024-02-01T04:40:00Z"]),
        ("0 0 31 * *", ["2024-03-31T00:00:00Z", "2024-05-31T00:00:00Z", "2024-07-31T00:00:00Z"]),
        ("0 0 29 2 *", ["2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"]),
        ("0 12 1 jan,JUL *", ["2024-07-01T12:00:00Z", "2025-01-01T12:00:00Z"]),
        ("0 0 * * 0", ["2024-02-04T00:00:00Z", "2024-02-11T00:00:00Z"]),
        ("0 0 * * 7", ["2024-02-04T00:00:00Z", "2024-02-11T00:00:00Z"]),
        ("0 0 * * sun", ["2024-02-04T00:00:00Z", "2024-02-11T00:00:00Z"]),
        ("0 0 * * FRI-SUN", ["2024-02-02T00:00:00Z", "2024-02-03T00:00:00Z", "2024-02-04T00:00:00Z", "2024-02-09T00:00:00Z"]),
        # Both day fields restricted: either (§5).
        ("0 0 13 * 5", ["2024-02-02T00:00:00Z", "2024-02-09T00:00:00Z", "2024-02-13T00:00:00Z", "2024-02-16T00:00:00Z"]),
        ("0 0 ? * 5", ["2024-02-02T00:00:00Z", "2024-02-09T00:00:00Z", "2024-02-16T00:00:00Z"]),
        ("0 0 L * *", ["2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"]),
        ("0 0 L-3 * *", ["2024-02-26T00:00:00Z", "2024-03-28T00:00:00Z"]),
        ("0 0 LW * *", ["2024-02-29T00:00:00Z", "2024-03-29T00:00:00Z"]),
        ("0 0 15W 6 *", ["2024-06-14T00:00:00Z", "2025-06-16T00:00:00Z"]),
        (
            "0 0 1W * *",
            [
                "2024-02-01T00:00:00Z",
                "2024-03-01T00:00:00Z",
                "2024-04-01T00:00:00Z",
                "2024-05-01T00:00:00Z",
                "2024-06-03T00:00:00Z",
            ],
        ),
        ("0 0 * * 5L", ["2024-02-23T00:00:00Z", "2024-03-29T00:00:00Z"]),
        ("0 0 * * MON#2", ["2024-02-12T00:00:00Z", "2024-03-11T00:00:00Z"]),
        ("@yearly", ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]),
        ("@annually", ["2025-01-01T00:00:00Z"]),
        ("@monthly", ["2024-02-01T00:00:00Z"]),
        ("@weekly", ["2024-02-04T00:00:00Z"]),
        ("@daily", ["2024-02-01T00:00:00Z"]),
        ("@midnight", ["2024-02-01T00:00:00Z"]),
        ("@hourly", ["2024-01-31T01:00:00Z", "2024-01-31T02:00:00Z"]),
    ],
)
def test_an_expression_means_these_instants(expression: str, expected: list[str]) -> None:
    assert following(expression, "2024-01-31T00:00:00Z", len(expected)) == expected


def test_six_fields_begin_with_seconds() -> None:
    found = following("*/20 59 23 * * *", "2024-12-31T23:59:10Z", 3, with_seconds=True)
    assert found == ["2024-12-31T23:59:20Z", "2024-12-31T23:59:40Z", "2025-01-01T23:59:00Z"]


def test_an_instant_is_never_its_own_successor_and_fractions_are_dropped() -> None:
    cron = parse_cron("* * * * *")
    assert cron.next(at("2024-01-01T00:00:00Z")) == at("2024-01-01T00:01:00Z")
    assert cron.next(at("2024-01-01T00:00:59.999999Z")) == at("2024-01-01T00:01:00Z")
    assert cron.at_or_after(at("2024-01-01T00:01:00Z")) == at("2024-01-01T00:01:00Z")
    assert cron.previous(at("2024-01-01T00:01:00.000001Z")) == at("2024-01-01T00:01:00Z")
    assert cron.previous(at("2024-01-01T00:01:00Z")) == at("2024-01-01T00:00:00Z")


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30W 2 *"])
def test_a_day_that_never_comes_is_searched_for_and_given_up(expression: str) -> None:
    cron = parse_cron(expression)
    assert cron.next(utc(2026, 1, 1), ZoneInfo("Europe/Paris")) is None
    assert cron.previous(utc(2026, 1, 1), ZoneInfo("Europe/Paris")) is None


def test_a_fifth_friday_in_february_is_found_decades_away() -> None:
    assert parse_cron("0 0 * 2 5#5").next(utc(2008, 3, 1)) == utc(2036, 2, 29)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "expected 5 fields"),
        ("* * * *", "expected 5 fields (minute hour day-of-month month day-of-week), found 4"),
        ("* * * * * *", "found 6 (six fields need `withSeconds: true`)"),
        ("60 * * * *", "minute: 60 is not between 0 and 59"),
        ("* 24 * * *", "hour: 24 is not between 0 and 23"),
        ("* * 0 * *", "day of month: 0 is not between 1 and 31"),
        ("* * * 13 *", "month: 13 is not between 1 and 12"),
        ("* * * * 8", "day of week: 8 is not between 0 and 7"),
        ("* * * * MOO", "day of week: expected a number from 0 to 7 or a name (SUN, MON"),
        ("* * * NOPE *", "month: expected a number from 1 to 12 or a name (JAN, FEB"),
        ("*/0 * * * *", "minute: the step of `*/0` must be a number from 1 to 60"),
        ("*/x * * * *", "minute: the step of `*/x` must be"),
        ("* 22-2 * * *", "hour: the range `22-2` goes backwards; write `22-23,0-2`"),
        ("1,,2 * * * *", "has an empty entry in its list"),
        ("-1 * * * *", "minute: expected a number"),
        ("١ * * * *", "minute: expected a number"),
        ("* * L-31 * *", "must go back 1 to 30 days"),
        ("* * * * L", "say of which day `L` is the last, for example `5L`"),
        ("* * * * 5#6", "must count from 1 to 5"),
        ("@reboot", "unknown nickname, expected one of @yearly"),
        ("* " * 200, "longer than 256 characters"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(CronInvalid) as raised:
        parse_cron(expression)
    assert str(raised.value).startswith("invalid cron expression '")
    assert reason in str(raised.value)
    assert raised.value.code == "cron.invalid"


@pytest.mark.parametrize(
    ("zone", "expression", "start", "expected"),
    [
        # Europe/Paris, 29 March 2026: 02:00 → 03:00.
        ("Europe/Paris", "30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("Europe/Paris", "0 2,3 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]),
        ("Europe/Paris", "0 * * * *", "2026-03-29T00:30:00Z", ["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]),
        ("Europe/Paris", "*/30 * * * *", "2026-03-29T00:30:00Z", ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]),
        # 25 October 2026: 03:00 → 02:00.
        ("Europe/Paris", "30 2 * * *", "2026-10-24T12:00:00Z", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        ("Europe/Paris", "0 3 * * *", "2026-10-24T12:00:00Z", ["2026-10-25T03:00:00+01:00", "2026-10-26T03:00:00+01:00"]),
        (
            "Europe/Paris",
            "0 * * * *",
            "2026-10-24T23:30:00Z",
            ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"],
        ),
        ("Europe/Paris", "*/30 2 * * *", "2026-10-25T00:10:00Z", ["2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00"]),
        # America/New_York, 8 March 2026: 02:00 → 03:00; 1 November 2026: 02:00 → 01:00.
        ("America/New_York", "15 2 * * *", "2026-03-08T05:00:00Z", ["2026-03-08T03:15:00-04:00", "2026-03-09T02:15:00-04:00"]),
        ("America/New_York", "15 1 * * *", "2026-11-01T04:00:00Z", ["2026-11-01T01:15:00-04:00", "2026-11-02T01:15:00-05:00"]),
        (
            "America/New_York",
            "*/30 * * * *",
            "2026-11-01T05:00:00Z",
            ["2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00"],
        ),
        # Australia/Lord_Howe, half an hour. 4 October 2026: 02:00 → 02:30; 5 April 2026: 02:00 → 01:30.
        ("Australia/Lord_Howe", "10 2 * * *", "2026-10-03T10:00:00Z", ["2026-10-04T02:40:00+11:00", "2026-10-05T02:10:00+11:00"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T10:00:00Z", ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"]),
        (
            "Australia/Lord_Howe",
            "*/15 1 * * *",
            "2026-04-04T14:20:00Z",
            ["2026-04-05T01:30:00+11:00", "2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T01:45:00+10:30"],
        ),
        ("UTC", "30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"]),
        # Samoa left out 30 December 2011 altogether.
        ("Pacific/Apia", "0 12 * * *", "2011-12-30T00:00:00Z", ["2011-12-31T12:00:00+14:00", "2012-01-01T12:00:00+14:00"]),
    ],
)
def test_clock_changes_skip_nothing_and_repeat_only_wildcards(
    zone: str, expression: str, start: str, expected: list[str]
) -> None:
    """Trap 17: a local time that does not exist is shifted, one that exists twice runs once, wildcards follow real time."""
    assert following(expression, start, len(expected), zone) == expected


STRETCHES = [
    ("Europe/Paris", utc(2026, 3, 28), utc(2026, 3, 30)),
    ("Europe/Paris", utc(2026, 10, 24), utc(2026, 10, 26)),
    ("America/New_York", utc(2026, 3, 7, 12), utc(2026, 3, 9, 12)),
    ("America/New_York", utc(2026, 10, 31, 12), utc(2026, 11, 2, 12)),
    ("Australia/Lord_Howe", utc(2026, 4, 4), utc(2026, 4, 6)),
    ("Australia/Lord_Howe", utc(2026, 10, 3), utc(2026, 10, 5)),
    ("UTC", utc(2026, 2, 27), utc(2026, 3, 2)),
]


def test_every_instant_of_sampled_days_equals_a_scan_minute_by_minute() -> None:
    """All clock changes and some other days, for 200 expressions. The whole year: `python -m tests.bench.cron_year`."""
    seed = Random().randrange(1_000_000)
    print(f"seed {seed}")
    chance = Random(seed)
    stretches = list(STRETCHES)
    for zone in ZONES:
        start = utc(2026, 1, 1) + timedelta(days=chance.randrange(360))
        stretches.append((zone, start, start + timedelta(days=3)))
    scanned = [(zone, start, end, minutes(zone, start, end)) for zone, start, end in stretches]
    for expression in crons(200, seed):
        cron = parse_cron(expression)
        for zone, start, end, stretch in scanned:
            where = ZoneInfo(zone)
            found = []
            instant = cron.at_or_after(start, where)
            while instant is not None and instant < end:
                found.append(instant)
                instant = cron.next(instant, where)
            assert found == scan(expression, stretch), f"seed {seed}: {expression} in {zone} from {start}"
            before, last = start - timedelta(seconds=1), end - timedelta(seconds=1)
            assert list(cron.between(before, last, where)) == found, f"seed {seed}: {expression} in {zone} between"
            back = []
            instant = cron.previous(end, where)
            while instant is not None and instant >= start:
                back.append(instant)
                instant = cron.previous(instant, where)
            assert back[::-1] == found, f"seed {seed}: {expression} in {zone} before {end}"
