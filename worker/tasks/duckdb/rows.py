"""Cells and rows of a DuckDB result as JSON can hold them, and rows stored as a file in constant memory.

A file of rows holds one JSON object a line. JSON text is Ion text, so the file is what other tasks read as rows.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from worker.errors import TaskFailed

Convert = Callable[[Any], Any]

_BITS_63 = 2**63
_PLAIN = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT", "DOUBLE", "VARCHAR"}
)
"""Types whose cells are JSON already: no call per cell."""


def zone_of(name: str | None) -> dt.tzinfo | None:
    """The zone of that name; None for the worker's own. Raises TaskFailed (`duckdb.zone_unknown`)."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise TaskFailed(
            f"timeZoneId {name!r} is no known time zone. Expected a name like Europe/Paris.", code="duckdb.zone_unknown"
        ) from error


def read_rows(cursor: Any, zone: dt.tzinfo | None, block: int) -> Iterator[dict[str, Any]]:
    """The rows of an executed statement, fetched `block` at a time."""
    names = [column[0] for column in cursor.description]
    converters = _converters(cursor.description, zone)
    while found := cursor.fetchmany(block):
        for values in found:
            yield dict(zip(names, _converted(values, converters, names), strict=True))


def store_rows(cursor: Any, path: Path, zone: dt.tzinfo | None, block: int) -> int:
    """Writes all rows to `path`, one JSON object a line, holding `block` rows at most. Returns their number."""
    size = 0
    with path.open("wb") as file:
        for row in read_rows(cursor, zone, block):
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            size += 1
    return size


def _converters(description: Sequence[Any], zone: dt.tzinfo | None) -> list[tuple[int, Convert]]:
    """Position and function of the columns whose cells need one."""
    found: list[tuple[int, Convert]] = []
    for position, column in enumerate(description):
        kind = str(column[1])
        if kind == "JSON":
            found.append((position, lambda value: None if value is None else json.loads(value)))
        elif kind not in _PLAIN:
            found.append((position, lambda value: _cell(value, zone)))
    return found


def _converted(values: tuple[Any, ...], converters: list[tuple[int, Convert]], names: Sequence[str]) -> Sequence[Any]:
    if not converters:
        return values
    cells = list(values)
    for position, convert in converters:
        try:
            cells[position] = convert(cells[position])
        except TypeError as error:
            raise TaskFailed(
                f"Column {names[position]}: {error}. Cast it to a type that JSON knows.", code="duckdb.type_unknown"
            ) from error
    return cells


def _cell(value: Any, zone: dt.tzinfo | None) -> Any:
    if value is None or isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, int):
        # Beyond 64 bits readers lose digits: text keeps them.
        return value if -_BITS_63 <= value < _BITS_63 else str(value)
    if isinstance(value, decimal.Decimal):
        return _decimal(value)
    if isinstance(value, dt.datetime):
        # A timestamp without zone is a moment on the worker's clock, shown in the zone asked for; one with zone is UTC.
        moment = value.astimezone(dt.UTC) if value.tzinfo else value.astimezone(zone)
        return moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return _duration(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, dict):
        return {str(key): _cell(item, zone) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cell(item, zone) for item in value]
    if hasattr(value, "tolist"):
        return _cell(value.tolist(), zone)
    raise TypeError(f"values of type {type(value).__name__} are not understood")


def _decimal(value: decimal.Decimal) -> Any:
    if value == value.to_integral_value() and value.as_tuple().exponent == 0:
        return _cell(int(value), None)
    number = float(value)
    return number if decimal.Decimal(repr(number)) == value else str(value)


def _duration(value: dt.timedelta) -> str:
    """ISO-8601, as `P1DT2H3M4.5S`."""
    sign, value = ("-", -value) if value < dt.timedelta(0) else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    days = f"{value.days}D" if value.days else ""
    clock = (
        (f"{hours}H" if hours else "")
        + (f"{minutes}M" if minutes else "")
        + (f"{seconds}{fraction}S" if seconds or fraction else "")
    )
    return f"{sign}P{days}{'T' + clock if clock else ''}" if days or clock else "PT0S"
