"""Files of rows: dropping duplicates, keeping what meets a condition (tasks §6). A row's fields are the variables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import orjson
from pydantic import Field

from flows.errors import ExpressionError
from flows.expressions import Scope, evaluate_value, render_value
from flows.plugins import Dynamic, Properties
from worker.agent_context import AgentContext
from worker.errors import TaskFailed
from worker.tasks.core.pieces import rows_of
from worker.tasks.core.storage import StorageTask

_STORAGE = "io.kestra.plugin.core.storage."
_KEYS_MAX = 5_000_000
"""Keys remembered while duplicates are dropped: about a gigabyte. More belongs into a database."""


def _rows(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for number, line in enumerate(rows_of(path, b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            raise TaskFailed(f"Line {number} is no row: expected one JSON map a line.", code="storage.row_invalid")
        yield line, row


class DeduplicateOutputs(Properties):
    """`uri`: the rows that stay; what was read, kept and dropped."""

    uri: str
    num_keys: int
    processed_items_total: int
    dropped_items_total: int


class DeduplicateItems(StorageTask):
    """Keeps the last row of each key, in the order they stand in."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "DeduplicateItems",)
    title: ClassVar[str] = "Drop duplicate rows"
    outputs: ClassVar[type[Properties]] = DeduplicateOutputs
    unrendered: ClassVar[frozenset[str]] = frozenset({"expr"})
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: latest\ntype: io.kestra.plugin.core.storage.DeduplicateItems\nfrom: '{{ outputs.export.uri }}'\n"
            "expr: '{{ customer }}'\n"
        ),
    )

    from_: Dynamic[str] = Field(alias="from")
    expr: str

    def run(self, context: AgentContext) -> DeduplicateOutputs:
        """Two passes: where each key stands last, then those rows."""
        source = context.files.local_copy(str(self.from_))
        last: dict[str, int] = {}
        total = 0
        for total, (_, row) in enumerate(_rows(source), start=1):
            last[str(render_value(self.expr, Scope(row)))] = total
            if len(last) > _KEYS_MAX:
                raise TaskFailed(f"There are more than {_KEYS_MAX} keys; use a database.", code="storage.too_many_keys")
        kept = set(last.values())
        target = context.scratch("kept") / "deduplicated.ion"
        with target.open("wb") as out:
            for number, (line, _) in enumerate(_rows(source), start=1):
                if number in kept:
                    out.write(line + b"\n")
        for name, value in (("fetch", total), ("store", len(kept))):
            context.metric(name, value)
        return DeduplicateOutputs(
            uri=context.output_file(target),
            num_keys=len(last),
            processed_items_total=total,
            dropped_items_total=total - len(kept),
        )


class FilterOutputs(Properties):
    """`uri`: the rows that stay; what was read and dropped."""

    uri: str
    processed_items_total: int
    dropped_items_total: int


class FilterItems(StorageTask):
    """Keeps the rows that meet a condition, or those that do not."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "FilterItems",)
    title: ClassVar[str] = "Filter rows"
    outputs: ClassVar[type[Properties]] = FilterOutputs
    unrendered: ClassVar[frozenset[str]] = frozenset({"filterCondition"})
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: grown\ntype: io.kestra.plugin.core.storage.FilterItems\nfrom: '{{ outputs.export.uri }}'\n"
            "filterCondition: '{{ age >= 18 }}'\n"
        ),
    )

    from_: Dynamic[str] = Field(alias="from")
    filter_condition: str
    filter_type: Dynamic[Literal["INCLUDE", "EXCLUDE"]] = "INCLUDE"
    error_or_null_behavior: Dynamic[Literal["FAIL", "INCLUDE", "EXCLUDE"]] = "FAIL"

    def run(self, context: AgentContext) -> FilterOutputs:
        """One pass. Raises TaskFailed (`storage.condition`) for a row the condition says nothing about, if that is wanted."""
        source = context.files.local_copy(str(self.from_))
        target = context.scratch("kept") / "filtered.ion"
        total = kept = 0
        with target.open("wb") as out:
            for total, (line, row) in enumerate(_rows(source), start=1):
                if self._stays(row, total):
                    out.write(line + b"\n")
                    kept += 1
        return FilterOutputs(uri=context.output_file(target), processed_items_total=total, dropped_items_total=total - kept)

    def _stays(self, row: dict[str, Any], number: int) -> bool:
        why = "it gives null"
        try:
            found = evaluate_value(self.filter_condition, Scope(row))
        except ExpressionError as error:
            found, why = None, str(error)
        if isinstance(found, str):
            found = {"true": True, "false": False}.get(found.strip().lower())
        if not isinstance(found, bool):
            if self.error_or_null_behavior == "FAIL":
                message = f"filterCondition says neither true nor false for row {number}: {why}"
                raise TaskFailed(message, code="storage.condition")
            return self.error_or_null_behavior == "INCLUDE"
        return found if self.filter_type == "INCLUDE" else not found


TASKS = (DeduplicateItems, FilterItems)
