"""Times and durations on the wire."""

from __future__ import annotations

import pytest

from controlplane.platform.clock import iso, iso_span, parse_instant, parse_span

AT = 1_767_607_200_000_000


@pytest.mark.parametrize(
    ("at_us", "text"),
    [(AT, "2026-01-05T10:00:00Z"), (AT + 100_000, "2026-01-05T10:00:00.100000Z"), (AT + 1, "2026-01-05T10:00:00.000001Z")],
)
def test_instants_are_utc_with_z(at_us: int, text: str) -> None:
    assert iso(at_us) == text
    assert parse_instant(text) == at_us


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T12:00:00+02:00",
        "2026-01-05T12:00:00 02:00",
        "2026-01-05T10:00:00",
        "2026-01-05T10:00:00.000000999Z",
        "2026-01-05T10:00Z",
    ],
)
def test_any_offset_and_fraction_is_read(text: str) -> None:
    assert parse_instant(text) == AT


@pytest.mark.parametrize(
    ("span", "text"),
    [(0, "PT0S"), (1_234_000, "PT1.234S"), (3_723_500_000, "PT1H2M3.5S"), (3_600_000_000, "PT1H"), (90_000_000_000, "PT25H")],
)
def test_durations_are_iso(span: int, text: str) -> None:
    assert iso_span(span) == text
    assert parse_span(text) == span


def test_nonsense_is_refused() -> None:
    for text in ("", "P", "PT", "yesterday"):
        with pytest.raises(ValueError, match=r".*"):
            parse_span(text)
    with pytest.raises(ValueError, match=r".*"):
        parse_instant("soon")
