"""Cuts a file into batches, by size, by number of rows or into so many parts, without holding more than a block of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from worker.errors import TaskFailed

_BLOCK_BYTES = 1_000_000
ROW_BYTES_MAX = 64_000_000
"""Bytes of one row. A file without separators is no file of rows."""
PARTITIONS_MAX = 1_000
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", re.IGNORECASE)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def size_of(text: str) -> int:
    """`10MB`, `512`, `1.5 GB` in bytes, units of 1024. Raises TaskFailed (`task.property_invalid`)."""
    match = _SIZE.fullmatch(text)
    size = int(float(match.group(1)) * _UNITS[match.group(2).upper()]) if match is not None else 0
    if size < 1:
        raise TaskFailed(f"bytes: expected a size such as 10MB, found {text[:40]!r}", code="task.property_invalid")
    return size


def rows_of(path: Path, separator: bytes) -> Iterator[bytes]:
    """The rows of a file without their separators; what follows the last separator is a row unless it is empty."""
    with path.open("rb") as file:
        rest = b""
        while block := file.read(_BLOCK_BYTES):
            found = (rest + block).split(separator)
            rest = found.pop()
            yield from found
            if len(rest) > ROW_BYTES_MAX:
                raise TaskFailed(
                    f"A row is longer than {ROW_BYTES_MAX} bytes; is the separator right?", code="storage.row_too_long"
                )
        if rest:
            yield rest


def split(
    path: Path,
    folder: Path,
    separator: bytes,
    *,
    rows: int | None = None,
    bytes_max: int | None = None,
    partitions: int | None = None,
) -> Iterator[Path]:
    """Writes the batches below `folder`, one after the other, and yields each when it is whole. Exactly one mode.

    `partitions` deals the rows out in turn, as equally as rows can be; parts without a row are left out.
    """
    if partitions is not None:
        yield from _dealt(path, folder, separator, min(partitions, PARTITIONS_MAX))
        return
    batch: IO[bytes] | None = None
    count = size = number = 0
    target = folder
    for row in rows_of(path, separator):
        full = batch is not None and (
            count >= rows if rows is not None else bytes_max is not None and size + len(row) + len(separator) > bytes_max
        )
        if batch is not None and full:
            batch.close()
            yield target
            batch = None
        if batch is None:
            target = folder / f"batch-{number}{path.suffix or '.ion'}"
            batch = target.open("wb")
            count = size = 0
            number += 1
        batch.write(row + separator)
        count += 1
        size += len(row) + len(separator)
    if batch is not None:
        batch.close()
        yield target


def _dealt(path: Path, folder: Path, separator: bytes, partitions: int) -> Iterator[Path]:
    targets = [folder / f"batch-{number}{path.suffix or '.ion'}" for number in range(partitions)]
    files = [target.open("wb") for target in targets]
    count = 0
    try:
        for count, row in enumerate(rows_of(path, separator), start=1):
            files[(count - 1) % partitions].write(row + separator)
    finally:
        for file in files:
            file.close()
    yield from targets[: min(count, partitions)]
