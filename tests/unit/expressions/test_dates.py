"""Dates: what is accepted, Java's patterns, named formats, zones and units."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from flows.errors import ExpressionError
from flows.expressions import Scope, compile_template
from flows.expressions.ambient import make_ambient

AT = "'2024-01-31T10:05:09.123456Z'"


def render(template: str, **variables: Any) -> str:
    return compile_template(template).render(Scope(variables))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ '2024-01-31T10:00:00Z' | date('yyyy/MM/dd') }}", "2024/01/31"),
        ("{{ '2024-01-31' | dateAdd(1, 'MONTHS', 'iso_local_date') }}", "2024-02-29"),
        ('{{ "July 24, 2001" | date("yyyy-MM-dd", existingFormat="MMMM dd, yyyy") }}', "2001-07-24"),
        (f"{{{{ {AT} | date }}}}", "2024-01-31T10:05:09.123456Z"),
        (f"{{{{ {AT} | date('iso_sec') }}}}", "2024-01-31T10:05:09Z"),
        (f"{{{{ {AT} | date('sql') }}}}", "2024-01-31 10:05:09.123456"),
        (f"{{{{ {AT} | date('sql_seq') }}}}", "2024-01-31 10:05:09"),
        (f"{{{{ {AT} | date('iso_instant') }}}}", "2024-01-31T10:05:09.123456Z"),
        (f"{{{{ {AT} | date('iso_week_date') }}}}", "2024-W05-3Z"),
        (f"{{{{ {AT} | date('iso_ordinal_date') }}}}", "2024-031Z"),
        (f"{{{{ {AT} | date('iso_date') }}}}", "2024-01-31Z"),
        (f"{{{{ {AT} | date('rfc_1123_date_time') }}}}", "Wed, 31 Jan 2024 10:05:09 GMT"),
        (
            f"{{{{ {AT} | date('iso_zoned_date_time', timeZone='Europe/Paris') }}}}",
            "2024-01-31T11:05:09.123456+01:00[Europe/Paris]",
        ),
        (f"{{{{ {AT} | date('short') }}}}", "1/31/24, 10:05 AM"),
        (f"{{{{ {AT} | date(\"EEE, d MMM ''yy 'at' h:mm a\") }}}}", "Wed, 31 Jan '24 at 10:05 AM"),
        (
            f"{{{{ {AT} | date('EEEE MMMM Q QQQ D w YYYY e SSS n H k K') }}}}",
            "Wednesday January 1 Q1 31 5 2024 4 123 123456000 10 10 10",
        ),
        (
            f"{{{{ {AT} | date('X XX XXX x xxx Z O VV z', timeZone='+05:30') }}}}",
            "+0530 +0530 +05:30 +0530 +05:30 +0530 GMT+5:30 +05:30 +05:30",
        ),
        (f"{{{{ {AT} | date('X xxx Z') }}}}", "Z +00:00 +0000"),
        # Without timeZone a zoned value is converted to UTC (trap 10).
        ("{{ '2013-09-08T16:19:00+02:00' | date('iso_sec') }}", "2013-09-08T14:19:00Z"),
        ("{{ '2013-09-08T16:19' | date('iso_sec', timeZone='America/New_York') }}", "2013-09-08T16:19:00-04:00"),
        ("{{ 1706695509 | date('iso_sec') }}", "2024-01-31T10:05:09Z"),
        ("{{ '2024-12-30' | date('YYYY') }}", "2025"),
        ("{{ '31/01/24 10h' | date('iso_sec', existingFormat=\"dd/MM/yy HH'h'\") }}", "2024-01-31T10:00:00Z"),
        ("{{ '20240131' | date('iso_local_date', existingFormat='yyyyMMdd') }}", "2024-01-31"),
        ("{{ '01/31/2024 09:05 PM +02:00' | date('iso_sec', existingFormat='MM/dd/yyyy hh:mm a XXX') }}", "2024-01-31T19:05:00Z"),
        ("{{ '2024-01-31' | date('iso_sec', existingFormat=\"yyyy-MM-dd['T'HH:mm]\") }}", "2024-01-31T00:00:00Z"),
        ("{{ '2024-01-31T10:00:00Z' | dateAdd(-1, 'DAYS', 'iso_local_date') }}", "2024-01-30"),
        ("{{ '2024-01-31T10:00:00Z' | dateAdd(90, 'MINUTES', 'iso_sec') }}", "2024-01-31T11:30:00Z"),
        ("{{ '2024-02-29' | dateAdd(1, 'YEARS', 'iso_local_date') }}", "2025-02-28"),
        ("{{ '2024-03-31T01:30:00' | dateAdd(1, 'HOURS', 'iso_sec', timeZone='Europe/Paris') }}", "2024-03-31T03:30:00+02:00"),
        ("{{ '2024-01-31T10:00:00Z' | timestamp }}", "1706695200"),
        ("{{ '2024-01-31T10:00:00.5Z' | timestampMilli }}", "1706695200500"),
        ("{{ '2024-01-31T10:00:00Z' | timestampMicro }}", "1706695200000000"),
        ("{{ '2024-01-31T10:00:00Z' | timestampNano }}", "1706695200000000000"),
    ],
)
def test_date(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x' | date }}",
        "{{ 1.5 | date }}",
        "{{ '2024-13-01' | date }}",
        "{{ '2024-01-01' | date('yyyyb') }}",
        "{{ '2024-01-01' | date(\"yyyy 'open\") }}",
        "{{ '2024-01-01' | date(timeZone='Mars/Base') }}",
        "{{ '2024-01-01' | date(timeZone='../../../etc/passwd') }}",
        "{{ '2024-01-01' | date('MMMM', locale='xx_XX') }}",
        "{{ '2024-01-01' | dateAdd(1, 'days') }}",
        "{{ '2024-01-01' | dateAdd('1', 'DAYS') }}",
        "{{ '9999-12-31' | dateAdd(1, 'YEARS') }}",
        "{{ '01' | date('iso', existingFormat='MM') }}",
        "{{ '2024x' | date('iso', existingFormat='yyyy') }}",
    ],
)
def test_what_is_no_date_is_refused(template: str) -> None:
    with pytest.raises(ExpressionError):
        render(template)


def test_ambient_functions_use_the_clock_and_the_generator_they_were_given() -> None:
    def scope() -> Scope:
        return Scope({}, make_ambient(lambda: datetime(2024, 1, 31, 10, tzinfo=UTC), Random(5)))

    assert compile_template("{{ now() }}").render(scope()) == "2024-01-31T10:00:00.000000Z"
    assert compile_template("{{ now(format='yyyy') }}").render(scope()) == "2024"
    assert compile_template("{{ now() | dateAdd(1, 'DAYS', 'iso_local_date') }}").render(scope()) == "2024-02-01"
    assert compile_template("{{ now('HH', timeZone='Asia/Tokyo') }}").render(scope()) == "19"
    template = compile_template("{{ uuid() }} {{ id() }} {{ ksuid() }} {{ nanoId(5) }} {{ randomInt(1, 3) }} {{ randomPort() }}")
    first = template.render(scope())
    assert first == template.render(scope())
    uuid, friendly, ksuid, nano, number, port = first.split(" ")
    assert (len(uuid), uuid[14], len(friendly), len(ksuid), len(nano)) == (36, "4", 22, 27, 5)
    assert number in ("1", "2")
    assert 49152 <= int(port) < 65536
