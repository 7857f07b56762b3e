"""Labels: reading `k:v`, and asking a JSON column of [{"key", "value"}, …] for one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from django.db.models import BooleanField, F, Func, Q, Value
from django.db.models.sql.compiler import SQLCompiler

from controlplane.platform.errors import Invalid
from controlplane.platform.filters import WORDING, Condition, FilterField

SYSTEM_PREFIX = "system."


class HasLabel(Func):
    """Whether a JSON column holds a label with that key and value."""

    output_field = BooleanField()

    def __init__(self, column: str, key: str, value: str) -> None:
        super().__init__(F(column))
        self._label = {"key": key, "value": value}

    def as_sql(self, compiler: SQLCompiler, connection: Any, *_: Any, **__: Any) -> tuple[str, Any]:
        """PostgreSQL: containment; SQLite: a search in the list."""
        column, params = compiler.compile(self.source_expressions[0])
        if connection.vendor == "postgresql":
            return f"{column} @> %s::jsonb", [*params, orjson.dumps([self._label]).decode()]
        sql = (
            f"EXISTS (SELECT 1 FROM json_each({column}) AS label WHERE json_extract(label.value, '$.key') = %s"
            " AND json_extract(label.value, '$.value') = %s)"
        )
        return sql, [*params, self._label["key"], self._label["value"]]


def has_label(column: str, key: str, value: str) -> Q:
    """The same as a condition that can be negated and joined."""
    return Q(HasLabel(column, key, value))


def label_pairs(condition: Condition) -> list[tuple[str, str]]:
    """Pairs of a filter: `[k]=v`, or a list `k:v,k2:v2`."""
    if isinstance(condition.value, str):
        return [split_label(item) for item in condition.values]
    return list(condition.value.items())


def labels_field(column: str) -> FilterField:
    """`labels`: EQUALS needs every pair, IN one of them, CONTAINS looks into the text of keys and values."""

    def build(condition: Condition) -> Q:
        if condition.operation in ("CONTAINS", "STARTS_WITH", "ENDS_WITH") and isinstance(condition.value, str):
            return Q(**{f"{column}__icontains": condition.value})
        pairs = label_pairs(condition)
        joined = Q()
        for key, value in pairs:
            one = has_label(column, key, value)
            joined = joined | one if condition.operation == "IN" else joined & one
        if not pairs and condition.operation == "IN":
            return Q(Value(value=False, output_field=BooleanField()))
        return joined

    return FilterField(WORDING | {"IN", "NOT_IN"}, build)


def split_label(text: str) -> tuple[str, str]:
    """`k:v` at the first colon. Raises Invalid."""
    key, colon, value = text.partition(":")
    if not colon or not key:
        raise Invalid(f"a label reads key:value, not {text!r}", code="label.invalid")
    return key, value


def read_labels(texts: Iterable[str]) -> list[dict[str, str]]:
    """Labels a caller gives to an execution. `system.*` is ours, except the correlation id. Raises Invalid."""
    labels: dict[str, str] = {}
    for text in texts:
        key, value = split_label(text)
        if key.startswith(SYSTEM_PREFIX) and key != "system.correlationId":
            raise Invalid(f"label {key!r} cannot be set: labels that begin with system. are the system's", code="label.system")
        labels[key] = value
    return [{"key": key, "value": value} for key, value in labels.items()]
