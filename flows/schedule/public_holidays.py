"""Public holidays of the world, from the library `holidays`, which is loaded when the first one is asked for."""

from __future__ import annotations

from collections.abc import Container
from datetime import date
from functools import lru_cache
from importlib import import_module
from typing import cast

from flows.errors import ExpressionError


def is_public_holiday(day: date, country: str | None, sub_division: str | None = None) -> bool:
    """Whether a day is a public holiday. `country`: ISO 3166-1 alpha-2 (`DE`); `sub_division`: ISO 3166-2 (`BY` or `DE-BY`).

    Raises ExpressionError when the country or the part of it is not known, or when the library is not installed.
    """
    if not country:
        raise ExpressionError("public holidays need a country, for example `country: DE`", code="expression.arguments")
    division = sub_division.upper().removeprefix(f"{country.upper()}-") if sub_division else None
    return day in _calendar(country.upper(), division, day.year)


@lru_cache(maxsize=512)
def _calendar(country: str, division: str | None, year: int) -> Container[date]:
    try:
        library = import_module("holidays")
    except ImportError:
        raise ExpressionError(
            "public holidays need the Python package `holidays` where schedules are evaluated", code="expression.unavailable"
        ) from None
    try:
        return cast("Container[date]", library.country_holidays(country, subdiv=division, years=year))
    except NotImplementedError:
        place = f"`{country[:10]}`" + (f" with the subdivision `{division[:10]}`" if division else "")
        raise ExpressionError(f"no public holidays are known for {place}", code="expression.arguments") from None
